//! Tries a new version in a process of its own, while the one before goes on in this one: a library can end its process
//! when it is loaded, and what a module imports can't be undone.

use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStderr, Command, ExitStatus, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use super::{Module, Verified};

/// How long a version may take to be loaded.
const MOST: Duration = Duration::from_secs(30);

/// How often the process is looked at.
const LOOK: Duration = Duration::from_millis(5);

/// How this program begins what it says in the end.
const REFUSAL: &str = "plugin-host: ";

/// Imports a module and looks up its function, as `invoke` does with no input.
///
/// # Errors
///
/// What Python says, or that it takes too long.
pub(super) fn try_module(verified: &Verified, module: &Module) -> Result<()> {
    let file = module.folder.join(module.file().unwrap_or_default());
    let mut invoke = invoke(&file, &format!("{}.{}", module.name, verified.symbol));
    let Ended { status, said } = run(invoke.arg("--python-plugin").arg(real_copy(verified)?))?;
    if status.success() {
        return Ok(());
    }
    let said = said.split_once(REFUSAL).map_or(said.as_str(), |(_, said)| said).trim();
    bail!("{}", said.strip_prefix(&format!("the plugin {}: ", file.display())).unwrap_or(said))
}

/// Loads a library and opens its handler with a fresh env, as `invoke` does with no input. What that refuses this process
/// can refuse as well, and knows better: the library lies beside other files here.
///
/// # Errors
///
/// It has ended the process, or takes too long.
pub(super) fn try_library(verified: &Verified) -> Result<()> {
    let copy = real_copy(verified)?;
    let reached = copy.with_extension("tried");
    let ended = run(invoke(&copy, &verified.symbol).arg("--save-env").arg(&reached));
    let has_reached_the_end = std::fs::remove_file(&reached).is_ok();
    let Ended { status, said } = ended?;
    if !has_reached_the_end && !said.contains(REFUSAL) {
        bail!("it has ended a process that tried to load it: {status}");
    }
    Ok(())
}

/// The private copy, not as this process gets there.
fn real_copy(verified: &Verified) -> Result<PathBuf> {
    verified.copy.canonicalize().context("can't find the private copy")
}

/// What `plugin-host invoke` does with a plugin and no input.
fn invoke(plugin: &Path, handler: &str) -> Command {
    // This very program, though another one may lie at its path by now.
    let own = if cfg!(target_os = "linux") { None } else { std::env::current_exe().ok() };
    let mut invoke = Command::new(own.unwrap_or_else(|| "/proc/self/exe".into()));
    invoke
        .arg("invoke")
        .arg(plugin)
        .args(["--handler", handler, "--input", "/dev/null"])
        // It was trusted already, by what this host asks for.
        .env_remove("PLUGIN_PUBLIC_KEY")
        .env_remove("ZIP_SHA256")
        .env("RUST_LOG", "error")
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped());
    invoke
}

/// How a process ended.
struct Ended {
    status: ExitStatus,
    /// The beginning of what it said.
    said: String,
}

/// Runs it to its end.
///
/// # Errors
///
/// It can't be started, or had to be ended.
fn run(command: &mut Command) -> Result<Ended> {
    let mut child = command.spawn().context("can't start a process that tries the new version")?;
    let said = child.stderr.take().map(|stderr| thread::spawn(move || read(stderr)));
    let status = end(&mut child)?;
    let said = said.and_then(|reader| reader.join().ok()).unwrap_or_default();
    let status = status.with_context(|| format!("it takes more than {} s to be loaded", MOST.as_secs()))?;
    Ok(Ended { status, said })
}

/// Waits for the end; none where it had to be ended.
fn end(child: &mut Child) -> Result<Option<ExitStatus>> {
    let deadline = Instant::now() + MOST;
    loop {
        if let Some(status) = child.try_wait().context("can't wait for the process")? {
            return Ok(Some(status));
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
