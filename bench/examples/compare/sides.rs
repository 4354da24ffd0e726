//! What is measured, as processes on a processor of their own.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result};

/// Where programs are.
pub struct Programs {
    /// `plugin-host`, `libmetrics.so` and this program.
    pub folder: PathBuf,
    /// A Python that has the packages redis and hiredis.
    pub python: PathBuf,
    /// The Python runtime.
    pub peer: PathBuf,
}

/// One of those that are compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    Host,
    /// The host in one process.
    Unsupervised,
    Bare,
    Peer,
}

/// A process that is ended with the value.
pub struct Running(pub Child);

impl Drop for Running {
    fn drop(&mut self) {
        // It may have ended by itself.
        self.0.kill().ok();
        self.0.wait().ok();
    }
}

impl Running {
    /// The process and its children.
    fn processes(&self) -> Vec<u32> {
        let pid = self.0.id();
        let children = fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).unwrap_or_default();
        [pid].into_iter().chain(children.split_whitespace().filter_map(|pid| pid.parse().ok())).collect()
    }

    /// The processor time that its threads have used; those that ended are not counted.
    pub fn processor_time(&self) -> Result<Duration> {
        let mut used = 0;
        for pid in self.processes() {
            for thread in fs::read_dir(format!("/proc/{pid}/task"))? {
                // On a processor, waiting for one, and how often: nanoseconds, where a tick of `stat` has ten million.
                let told = fs::read_to_string(thread?.path().join("schedstat"))?;
                used += told.split_whitespace().next().context("no time")?.parse::<u64>()?;
            }
        }
        Ok(Duration::from_nanos(used))
    }

    /// The memory that it holds, in bytes. Pages that its processes share are counted once.
    pub fn resident(&self) -> Result<u64> {
        let of = |pid: u32| {
            let rollup = fs::read_to_string(format!("/proc/{pid}/smaps_rollup"))?;
            let line = rollup.lines().find(|line| line.starts_with("Pss:")).context("no Pss")?;
            Ok(line.split_whitespace().nth(1).context("no number")?.parse::<u64>()? * 1024)
        };
        self.processes().into_iter().map(of).sum()
    }
}

impl Programs {
    /// `plugin-host run` with these variables.
    pub fn host(&self, url: &str, variables: &[(&str, &str)]) -> Result<Running> {
        let mut command = self.pinned(&self.folder.join("plugin-host"));
        command.arg("run");
        self.start(command, url, variables)
    }

    fn start(&self, mut command: Command, url: &str, variables: &[(&str, &str)]) -> Result<Running> {
        command.env("STORE_URL", url).env("HANDLER_PATH", self.folder.join("libmetrics.so"));
        command.env("REDIS_INPUT_KEY", "in").env("REDIS_OUTPUT_KEY", "out").env("HTTP_ADDR", "off");
        command.env("RUST_LOG", "warn").envs(variables.iter().copied());
        Ok(Running(command.spawn().context("plugin-host")?))
    }

    /// The same in one process.
    pub fn unsupervised(&self, url: &str, variables: &[(&str, &str)]) -> Result<Running> {
        let mut command = self.pinned(&self.folder.join("plugin-host"));
        command.args(["run", "--no-supervisor"]);
        self.start(command, url, variables)
    }

    pub fn bare(&self, words: &[&str]) -> Result<Running> {
        let mut command = self.pinned(&self.folder.join("examples/compare"));
        Ok(Running(command.args(words).spawn().context("the bare loop")?))
    }

    pub fn peer(&self, program: &str, port: u16, variables: &[(&str, &str)]) -> Result<Running> {
        let mut command = self.pinned(&self.python);
        command.arg(self.peer.join(program)).current_dir(&self.peer).env("REDIS_PORT", port.to_string());
        command.env("REDIS_HOST", "127.0.0.1").env("REDIS_INPUT_KEY", "in").env("REDIS_OUTPUT_KEY", "out");
        command.env("USERMODULE", self.peer.join("handler_module.py")).envs(variables.iter().copied());
        Ok(Running(command.stdout(Stdio::null()).spawn().context("the peer")?))
    }

    /// On the second processor, where there is one; the server has the first.
    fn pinned(&self, program: &Path) -> Command {
        let mut command = Command::new("taskset");
        command.args(["-c", last_processor()]).arg(program).stdin(Stdio::null());
        command
    }
}

fn last_processor() -> &'static str {
    if std::thread::available_parallelism().is_ok_and(|count| count.get() > 1) { "1" } else { "0" }
}
