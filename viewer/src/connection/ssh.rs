//! The user's own `ssh` as the way to a Redis: its standard input and output are the connection, so whatever the user's
//! configuration says holds here too, and no port is opened on this machine.

use std::ffi::OsString;
use std::io;
use std::path::PathBuf;
use std::pin::Pin;
use std::process::{ExitStatus, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use store::{Address, Opening, Stream, Transport};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, Join, ReadBuf};
use tokio::process::{Child, ChildStderr, ChildStdin, ChildStdout, Command};
use tokio::sync::watch;

use super::fault::{Fault, Then};
use super::words;
use crate::askpass;
use crate::model::printable;
use crate::state::Step;

/// The most of its words that are kept.
const MOST_WORDS: usize = 16 << 10;

/// How long `ssh -G` may take: the configuration can run programs (`Match exec`).
const RESOLVE_WITHIN: Duration = Duration::from_secs(5);

/// How long to wait for the last words of an `ssh` that has ended.
const LAST_WORDS_WITHIN: Duration = Duration::from_millis(500);

/// The longest first line that a Redis answers with.
const LONGEST_ANSWER: usize = 512;

/// No console window for a program of the console.
#[cfg(windows)]
const CREATE_NO_WINDOW: u32 = 0x0800_0000;

/// Variables that `ssh` gets besides this program's own; `PATH` is where it is looked for.
pub type Variables = Vec<(OsString, OsString)>;

/// A way through an SSH host to a port that it sees.
pub(super) struct Ssh {
    alias: String,
    /// `HOST:PORT`, as `-W` takes it.
    place: String,
    /// What is there speaks TLS from the first byte.
    tls: bool,
    variables: Variables,
    /// The user's configuration has it say nothing, not even why it ends.
    quiet: AtomicBool,
    said: Mutex<Said>,
}

/// What the newest `ssh` has said on its standard error.
struct Said {
    words: Words,
    /// Closed once there is no more.
    ended: watch::Receiver<()>,
}

/// An `ssh` that goes with the connection.
struct Joined {
    bytes: Join<ChildStdout, ChildStdin>,
    /// Whether something has come back: then `ssh` is through.
    through: bool,
    words: Words,
    _process: Process,
}

/// What is said on standard error.
type Words = Arc<Mutex<Vec<u8>>>;

/// A running `ssh`. Dropping it kills it, with all that it has started.
struct Process(Child);

impl Ssh {
    pub fn new(alias: &str, address: &Address, variables: &Variables) -> Ssh {
        let (host, port) = (address.host(), address.port());
        let place = if host.contains(':') { format!("[{host}]:{port}") } else { format!("{host}:{port}") };
        let said = Mutex::new(Said { words: Arc::default(), ended: watch::channel(()).1 });
        Ssh {
            alias: alias.to_owned(),
            place,
            tls: address.is_tls(),
            variables: variables.clone(),
            quiet: AtomicBool::new(false),
            said,
        }
    }

    /// What the alias stands for, as the user's configuration has it: `me@host:22`, and through what.
    pub async fn resolve(&self) -> Result<String, Fault> {
        let mut ssh = command(&self.variables);
        ssh.args(["-G", "--", &self.alias]);
        let (status, printed, said) = match tokio::time::timeout(RESOLVE_WITHIN, output(ssh)).await {
            Ok(Ok(output)) => output,
            Ok(Err(error)) => return Err(not_started(&error)),
            // It only informs: the connection itself says what is wrong.
            Err(_) => return Ok(self.alias.clone()),
        };
        if !status.success() {
            return Err(words::read(&said, &self.alias, &self.place));
        }
        let value =
            |name: &str| printed.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' ')).map(printable);
        // Two names of the same level; of `QUIET` it tells the older one.
        let quiet = value("loglevel").is_some_and(|level| matches!(level.as_str(), "QUIET" | "SILENT"));
        self.quiet.store(quiet, Ordering::Relaxed);
        let mut told = format!(
            "{}@{}:{}",
            value("user").unwrap_or_default(),
            value("hostname").unwrap_or_else(|| self.alias.clone()),
            value("port").unwrap_or_else(|| "22".to_owned())
        );
        if let Some(jump) = value("proxyjump").filter(|jump| jump != "none") {
            told += &format!(" through {jump}");
        } else if let Some(proxy) = value("proxycommand").filter(|proxy| proxy != "none") {
            told += &format!(" through {proxy}");
        }
        Ok(told)
    }

    /// What it meant to say, if it has ended with an error; none where it said nothing.
    pub async fn fault(&self) -> Option<Fault> {
        let (words, mut ended) = {
            let said = self.said();
            (said.words.clone(), said.ended.clone())
        };
        tokio::time::timeout(LAST_WORDS_WITHIN, async { while ended.changed().await.is_ok() {} }).await.ok();
        let words = String::from_utf8_lossy(&words.lock().unwrap_or_else(PoisonError::into_inner)).into_owned();
        (!words.trim().is_empty()).then(|| words::read(&words, &self.alias, &self.place))
    }

    fn said(&self) -> std::sync::MutexGuard<'_, Said> {
        self.said.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn connect(&self) -> io::Result<Box<dyn Stream>> {
        let mut ssh = command(&self.variables);
        ssh.args(["-o", "ControlMaster=no", "-o", "ControlPath=none"]);
        ssh.args(["-o", "ServerAliveInterval=15", "-o", "ServerAliveCountMax=2", "-o", "ConnectTimeout=10"]);
        if self.quiet.load(Ordering::Relaxed) {
            // What can't be mended by trying again is told from what can by its words.
            ssh.args(["-o", "LogLevel=ERROR"]);
        }
        ssh.args(["-W", &self.place, "--", &self.alias]);
        ssh.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = ssh.spawn()?;
        let (Some(input), Some(output), Some(errors)) = (child.stdin.take(), child.stdout.take(), child.stderr.take())
        else {
            return Err(io::Error::other("ssh has no pipes"));
        };
        let said = listen(errors);
        let words = said.words.clone();
        *self.said() = said;
        let bytes = tokio::io::join(output, input);
        let mut joined = Joined { bytes, through: false, words, _process: Process(child) };
        if self.tls {
            return Ok(Box::new(joined));
        }
        // An `ssh` that runs is not yet one that is through: it may wait for a password. A question that every Redis
        // answers, logged in or not, tells; only then does the time for the login begin.
        joined.write_all(b"PING\r\n").await?;
        joined.flush().await?;
        let answer = first_line(&mut joined).await?;
        match answer.as_str() {
            "" => Err(io::Error::new(io::ErrorKind::UnexpectedEof, "ssh has ended")),
            line if line.starts_with('+') || line.starts_with("-NOAUTH") || line.starts_with("-LOADING") => {
                Ok(Box::new(joined))
            }
            line if line.starts_with('-') => Err(io::Error::other(printable(line))),
            line => Err(io::Error::other(format!("what answers there is no Redis: it says {:?}", printable(line)))),
        }
    }
}

impl Transport for Ssh {
    fn open(&self) -> Opening<'_> {
        Box::pin(self.connect())
    }
}

/// `ssh`, with this program as the one that asks for passwords.
fn command(variables: &Variables) -> Command {
    let mut command = Command::new("ssh");
    command.kill_on_drop(true);
    if let Ok(program) = this_program() {
        askpass::offer(&program, |name, value| {
            command.env(name, value);
        });
    }
    command.envs(variables.iter().map(|(name, value)| (name, value)));
    // It is for the store alone, and `ssh` hands its variables on to whatever its configuration starts.
    command.env_remove("REDIS_PASSWORD");
    // What it starts, such as the ssh to a jump host, ends with it.
    #[cfg(unix)]
    command.process_group(0);
    #[cfg(windows)]
    command.creation_flags(CREATE_NO_WINDOW);
    command
}

/// This program's file. Where it was replaced or removed since the start, its name leads nowhere, but Linux still has it.
fn this_program() -> io::Result<PathBuf> {
    let named = std::env::current_exe()?;
    let gone = cfg!(target_os = "linux") && !named.is_file();
    Ok(if gone { format!("/proc/{}/exe", std::process::id()).into() } else { named })
}

/// Runs it to its end; gives what it has printed, and said on standard error.
async fn output(mut ssh: Command) -> io::Result<(ExitStatus, String, String)> {
    let child = ssh.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()?;
    let mut process = Process(child);
    let (output, errors) = (process.0.stdout.take(), process.0.stderr.take());
    let (printed, said) = tokio::try_join!(text(output), text(errors))?;
    Ok((process.0.wait().await?, printed, said))
}

/// All that comes through a pipe.
async fn text(pipe: Option<impl AsyncRead + Unpin>) -> io::Result<String> {
    let mut bytes = Vec::new();
    if let Some(mut pipe) = pipe {
        pipe.read_to_end(&mut bytes).await?;
    }
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

/// Why `ssh` can't be started, as a fault.
fn not_started(error: &io::Error) -> Fault {
    Fault::new(
        Step::Ssh,
        Then::NeedsYou,
        &format!("the program ssh can't be started: {error}"),
        "Install OpenSSH's client, or connect without an SSH host.",
    )
}

/// Keeps what is said, up to a bound, so that the pipe never fills up.
fn listen(mut errors: ChildStderr) -> Said {
    let words = Words::default();
    let (end, ended) = watch::channel(());
    let kept = words.clone();
    tokio::spawn(async move {
        let mut chunk = [0; 1024];
        while let Ok(count @ 1..) = errors.read(&mut chunk).await {
            let mut kept = kept.lock().unwrap_or_else(PoisonError::into_inner);
            kept.extend_from_slice(&chunk[..count]);
            // What decides comes last.
            let surplus = kept.len().saturating_sub(MOST_WORDS);
            kept.drain(..surplus);
        }
        drop(end);
    });
    Said { words, ended }
}

/// The first line, without its end; empty where there is none.
async fn first_line(stream: &mut Joined) -> io::Result<String> {
    let mut line = Vec::new();
    while line.len() < LONGEST_ANSWER {
        match stream.read_u8().await {
            Ok(b'\n') => break,
            Ok(byte) => line.push(byte),
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => break,
            Err(error) => return Err(error),
        }
    }
    Ok(String::from_utf8_lossy(&line).trim_end().to_owned())
}

impl Drop for Process {
    /// `ssh` itself is killed by its handle. The `ssh` to a jump host, and a dialog that it has opened, would stay.
    fn drop(&mut self) {
        // No id: it has ended and been waited for, and the number may be another's by now.
        #[cfg(unix)]
        if let Some(group) = self.0.id().and_then(|id| rustix::process::Pid::from_raw(id.cast_signed())) {
            // It fails only where nobody is left.
            rustix::process::kill_process_group(group, rustix::process::Signal::KILL).ok();
        }
        #[cfg(windows)]
        if let Some(id) = self.0.id() {
            use std::os::windows::process::CommandExt;
            // By the number of their parent, so before that ends. It fails only where nobody is left.
            let mut end = std::process::Command::new("taskkill");
            end.args(["/T", "/F", "/PID", &id.to_string()]).creation_flags(CREATE_NO_WINDOW);
            end.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).status().ok();
        }
        #[cfg(not(unix))]
        self.0.start_kill().ok();
    }
}

impl AsyncRead for Joined {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let read = Pin::new(&mut self.bytes).poll_read(context, buffer);
        if !self.through && buffer.filled().len() > before {
            self.through = true;
            // A banner or a warning; what is said from here on explains an end.
            self.words.lock().unwrap_or_else(PoisonError::into_inner).clear();
        }
        read
    }
}

impl AsyncWrite for Joined {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.bytes).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.bytes).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.bytes).poll_shutdown(context)
    }
}
