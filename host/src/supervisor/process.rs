//! A worker's process: started as this same program, spoken to over a socket, and how it ended.

use std::io::Write;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt;
use std::process::{Command, Stdio};

use anyhow::{Context, Result};
use rustix::process::{Pid, Signal, WaitStatus, kill_process};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, BufReader};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use crate::control::{Beginning, Order, Report};

/// A worker that runs.
pub(super) struct Process {
    pub(super) pid: Pid,
    /// Which of the workers it is: what one before it said late must not be taken for its own.
    pub(super) number: u64,
    /// Its plugin is loaded.
    pub(super) loaded: bool,
    /// It was told to work.
    pub(super) gone: bool,
    /// Why it was told to end, or killed.
    pub(super) ending: Option<Ending>,
    /// It was asked how it is going, and has not said.
    asked: bool,
    /// It was told to end, didn't in time, and was killed: its calls are not to blame.
    pub(super) given_up: bool,
    /// It has ended: its number may be another process's.
    pub(super) is_over: bool,
    /// Reads what it says, until the end.
    pub(super) reader: JoinHandle<()>,
    socket: UnixStream,
}

/// The longest line that a worker may say.
const LINE_MAX: u64 = 64 << 20;

/// Why the supervisor ends a worker.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ending {
    /// A call takes too long.
    Timeout,
    /// Too many libraries are mapped.
    Libraries,
    /// A new version of the plugin can't run beside the old one.
    NewVersion,
    /// Another host has the lease.
    Lease,
    /// It said that it can't begin.
    Refused,
}

impl Ending {
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Ending::Timeout => "timeout",
            Ending::Libraries => "libraries",
            Ending::NewVersion => "new-version",
            Ending::Lease => "lease",
            Ending::Refused => "refused",
        }
    }
}

impl Process {
    /// Starts a worker with this process's own arguments. What it says goes to `reports`, with its number.
    pub(super) fn start(number: u64, beginning: Beginning, reports: mpsc::Sender<(u64, Report)>) -> Result<Process> {
        let (mut socket, theirs) = UnixStream::pair().context("can't make a socket")?;
        // This very program, though another one may lie at its path by now.
        let program = if cfg!(target_os = "linux") { "/proc/self/exe".into() } else { std::env::current_exe()? };
        let child = Command::new(program)
            .arg0("plugin-host")
            .arg("worker")
            .args(std::env::args_os().skip(2))
            .stdin(Stdio::from(OwnedFd::from(theirs)))
            .spawn()
            .context("can't start a process")?;
        let mut line = serde_json::to_vec(&Order::Begin(Box::new(beginning)))?;
        line.push(b'\n');
        socket.write_all(&line).context("can't speak to the process")?;
        socket.set_nonblocking(true)?;
        let lines = tokio::net::UnixStream::from_std(socket.try_clone()?)?;
        let reader = tokio::spawn(async move {
            let (mut lines, mut line) = (BufReader::new(lines), Vec::new());
            // A handler can write to the socket too: what is no report is passed over.
            while let Ok(1..) = (&mut lines).take(LINE_MAX).read_until(b'\n', &mut line).await {
                if let Ok(report) = serde_json::from_slice(&line)
                    && reports.send((number, report)).await.is_err()
                {
                    return;
                }
                line.clear();
            }
        });
        let pid = i32::try_from(child.id()).ok().and_then(Pid::from_raw).context("a process without number")?;
        let (loaded, gone, ending, asked, given_up, is_over) = (false, false, None, false, false, false);
        Ok(Process { pid, number, loaded, gone, ending, asked, given_up, is_over, reader, socket })
    }

    /// Asks how it is going, unless it was asked and has not said.
    pub(super) fn ask(&mut self) {
        if !std::mem::replace(&mut self.asked, true) {
            // A worker that doesn't read has stopped to work, which shows in other ways.
            self.tell(&Order::Tell).ok();
        }
    }

    /// It has said how it is going.
    pub(super) fn answered(&mut self) {
        self.asked = false;
    }

    /// Lets it work; ends it if it can't be told.
    pub(super) fn go(&mut self) {
        self.gone = true;
        if self.tell(&Order::Go).is_err() {
            self.kill();
        }
    }

    fn tell(&mut self, order: &Order) -> std::io::Result<()> {
        let mut line = serde_json::to_vec(order)?;
        line.push(b'\n');
        self.socket.write_all(&line)
    }

    /// Has it end after the call that is under way.
    pub(super) fn end(&self) {
        self.signal(Signal::TERM);
    }

    pub(super) fn kill(&self) {
        self.signal(Signal::KILL);
    }

    fn signal(&self, signal: Signal) {
        if !self.is_over {
            kill_process(self.pid, signal).ok();
        }
    }
}

/// How a process ended: a word for metrics, and a sentence's part.
pub(super) fn end_in_words(status: WaitStatus) -> (String, String) {
    match (status.exit_status(), status.terminating_signal()) {
        (Some(code), _) => ("exit".to_owned(), format!("exit code {code}")),
        (None, Some(number)) => {
            let name = signal_name(number);
            (name.to_lowercase(), format!("signal {number} ({name})"))
        }
        (None, None) => ("unknown".to_owned(), "an unknown end".to_owned()),
    }
}

/// The names of the signals that end processes.
fn signal_name(number: i32) -> &'static str {
    const NAMES: [(Signal, &str); 12] = [
        (Signal::SEGV, "SIGSEGV"),
        (Signal::ABORT, "SIGABRT"),
        (Signal::KILL, "SIGKILL"),
        (Signal::BUS, "SIGBUS"),
        (Signal::FPE, "SIGFPE"),
        (Signal::ILL, "SIGILL"),
        (Signal::TERM, "SIGTERM"),
        (Signal::TRAP, "SIGTRAP"),
        (Signal::SYS, "SIGSYS"),
        (Signal::XCPU, "SIGXCPU"),
        (Signal::XFSZ, "SIGXFSZ"),
        (Signal::INT, "SIGINT"),
    ];
    NAMES.iter().find(|(signal, _)| signal.as_raw() == number).map_or("signal", |(_, name)| name)
}
