//! Tries a new version of a module in a process of its own: what a module imports can't be undone in this one.

use std::io::Read;
use std::process::{Child, ChildStderr, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use super::{Module, Verified};

/// How long a module may take to be imported.
const MOST: Duration = Duration::from_secs(30);

/// How often the process is looked at.
const LOOK: Duration = Duration::from_millis(20);

/// Imports the module and looks up its function, as `invoke` does with no input.
///
/// # Errors
///
/// What Python says, or that it takes too long.
pub(super) fn try_out(verified: &Verified, module: &Module) -> Result<()> {
    let program = std::env::current_exe().context("can't find this program's file")?;
    let file = module.folder.join(module.file().unwrap_or_default());
    let mut child = Command::new(program)
        .arg("invoke")
        .arg(&file)
        .args(["--handler", &format!("{}.{}", module.name, verified.symbol)])
        .args(["--input", "/dev/null", "--python-plugin"])
        // Not as this process gets there.
        .arg(verified.copy.canonicalize().context("can't find the private copy")?)
        // It was trusted already, by what this host asks for.
        .env_remove("PLUGIN_PUBLIC_KEY")
        .env_remove("ZIP_SHA256")
        .env("RUST_LOG", "error")
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .context("can't start a process that tries the new version")?;
    let said = child.stderr.take().map(|stderr| thread::spawn(move || read(stderr)));
    let succeeded = ended(&mut child)?;
    let said = said.and_then(|reader| reader.join().ok()).unwrap_or_default();
    match succeeded {
        Some(true) => Ok(()),
        Some(false) => {
            let said = said.split_once("plugin-host: ").map_or(said.as_str(), |(_, said)| said).trim();
            bail!("{}", said.strip_prefix(&format!("the plugin {}: ", file.display())).unwrap_or(said))
        }
        None => bail!("it takes more than {} s to be imported", MOST.as_secs()),
    }
}

/// Whether it has succeeded; none where it had to be ended.
fn ended(child: &mut Child) -> Result<Option<bool>> {
    let deadline = Instant::now() + MOST;
    loop {
        if let Some(status) = child.try_wait().context("can't wait for the process")? {
            return Ok(Some(status.success()));
        }
        if Instant::now() >= deadline {
            child.kill().context("can't end the process")?;
            child.wait().context("can't wait for the process")?;
            return Ok(None);
        }
        thread::sleep(LOOK);
    }
}

/// The beginning of what it says, to its end.
fn read(mut stderr: ChildStderr) -> String {
    let mut said = Vec::new();
    // What was read before an error is what there is to tell.
    stderr.by_ref().take(64 << 10).read_to_end(&mut said).ok();
    std::io::copy(&mut stderr, &mut std::io::sink()).ok();
    String::from_utf8_lossy(&said).into_owned()
}
