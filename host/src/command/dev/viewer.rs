//! The viewer's window on what `dev` writes.

use std::env;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use store::Store;

/// The viewer's program.
const PROGRAM: &str = "plugin-viewer";

/// An open window, closed with the value.
pub(super) struct Viewer(Option<Child>);

impl Viewer {
    /// Opens it on a store: the one beside this program, or the first on the path.
    ///
    /// # Errors
    ///
    /// There is none, or it can't be started.
    pub(super) fn open(store: &Store, output_key: &str, input_key: &str, period: Duration) -> Result<Viewer> {
        let beside = env::current_exe().ok().and_then(|program| Some(program.parent()?.join(PROGRAM)));
        let folders = env::var_os("PATH").unwrap_or_default();
        let on_the_path = env::split_paths(&folders).map(|folder| folder.join(PROGRAM));
        let Some(program) = beside.into_iter().chain(on_the_path).find(|file| file.is_file()) else {
            bail!(
                "no window is opened: {PROGRAM} is neither beside this program nor on the PATH. In a clone of \
                 plugin-host's repository, cargo install --path viewer installs it"
            );
        };
        let child = Command::new(&program)
            .args(["--store", &store.address().to_string(), "--output-key", output_key, "--input-key", input_key])
            .args(["--period", &period.as_secs_f64().to_string()])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .spawn()
            .with_context(|| format!("can't start {}", program.display()))?;
        Ok(Viewer(Some(child)))
    }

    /// Leaves the window open, for the process that takes this one's place.
    pub(super) fn leave_open(mut self) {
        self.0 = None;
    }
}

impl Drop for Viewer {
    fn drop(&mut self) {
        if let Some(child) = &mut self.0 {
            // It may have been closed already.
            child.kill().ok();
            child.wait().ok();
        }
    }
}
