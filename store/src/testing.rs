//! Real Redis servers for tests, one or several: on free ports, in folders of their own, ended with the test.
//!
//! Everything in here blocks, and panics with a sentence where a test can't go on.

pub mod certificates;
mod cluster;
mod sentinels;

pub use cluster::RedisCluster;
pub use sentinels::SentinelSet;

use std::fs;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use tempfile::TempDir;

use crate::commit::Commit;
use crate::keys::Keys;

use crate::Tls;

/// How long a server may take to answer after its start, or to end: long, for machines that run many tests at once.
const PATIENCE: Duration = Duration::from_secs(20);

/// How a server is to be started.
#[derive(Debug, Clone, Default)]
pub struct RedisOptions {
    arguments: Vec<String>,
    password: Option<String>,
    tls: bool,
    /// Where the certificates are that it shares with others; none for some of its own.
    certificates: Option<PathBuf>,
    /// What a sentinel watches over, as its configuration file has it; none for a server.
    sentinel: Option<String>,
}

/// A running server. It is killed, and its folder removed, when this is dropped.
#[derive(Debug)]
pub struct RedisServer {
    options: RedisOptions,
    folder: TempDir,
    port: u16,
    tls_port: u16,
    child: Option<Child>,
}

impl RedisOptions {
    /// Keeps the data over a stop: every write is in an append-only file before it is answered.
    pub fn appendonly(self) -> RedisOptions {
        self.arg("--appendonly").arg("yes").arg("--appendfsync").arg("always")
    }

    /// Asks clients for this password.
    pub fn password(mut self, password: &str) -> RedisOptions {
        self.password = Some(password.to_owned());
        self.arg("--requirepass").arg(password)
    }

    /// Speaks TLS too, on a port of its own and with certificates of its own; asks clients for none.
    pub fn tls(mut self) -> RedisOptions {
        self.tls = true;
        self.arg("--tls-auth-clients").arg("no")
    }

    /// Speaks TLS with certificates that were [issued](certificates::issue) into that folder; also to other servers.
    pub fn shared_tls(mut self, certificates: &Path) -> RedisOptions {
        self.certificates = Some(certificates.to_owned());
        self.tls().arg("--tls-replication").arg("yes")
    }

    /// A sentinel in place of a server, with these lines of configuration.
    pub fn sentinel(mut self, lines: &str) -> RedisOptions {
        self.sentinel = Some(lines.to_owned());
        self
    }

    /// One more argument for the command line of `redis-server`.
    pub fn arg(mut self, argument: &str) -> RedisOptions {
        self.arguments.push(argument.to_owned());
        self
    }

    /// Starts the server and waits until it answers.
    ///
    /// # Panics
    ///
    /// Where `redis-server` isn't installed or doesn't start.
    pub fn start(self) -> RedisServer {
        let folder = tempfile::tempdir().expect("a temporary folder can be created");
        let mut server = RedisServer { options: self, folder, port: 0, tls_port: 0, child: None };
        if server.options.tls && server.options.certificates.is_none() {
            certificates::issue(server.folder.path());
        }
        if let Some(lines) = &server.options.sentinel {
            fs::write(server.sentinel_file(), lines).expect("a configuration can be written");
        }
        // Another process may take the port between its choice and the start: then a new one is tried.
        for _ in 0..5 {
            (server.port, server.tls_port) = (free_port(), free_port());
            if server.spawn() {
                return server;
            }
        }
        panic!("redis-server doesn't start: run it with {:?} to see why", server.options.arguments);
    }
}

impl RedisServer {
    /// A server without password that keeps nothing over a stop.
    ///
    /// # Panics
    ///
    /// As [`RedisOptions::start`].
    pub fn start() -> RedisServer {
        RedisServer::options().start()
    }

    /// A server still to be described.
    pub fn options() -> RedisOptions {
        RedisOptions::default()
    }

    /// The port on 127.0.0.1; the same after a restart.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// `redis://…` of the server, with its password if it has one.
    pub fn url(&self) -> String {
        let login = self.options.password.as_ref().map(|password| format!(":{password}@")).unwrap_or_default();
        format!("redis://{login}127.0.0.1:{}", self.port)
    }

    /// `rediss://…` of the server, by the name in its certificate, with its password if it has one.
    pub fn tls_url(&self) -> String {
        let login = self.options.password.as_ref().map(|password| format!(":{password}@")).unwrap_or_default();
        format!("rediss://{login}{}:{}", certificates::SERVER_NAME, self.tls_port)
    }

    /// The port on 127.0.0.1 that speaks TLS.
    pub fn tls_port(&self) -> u16 {
        self.tls_port
    }

    /// The files of a client that the server trusts, with the authority of both.
    pub fn tls_files(&self) -> Tls {
        certificates::files(self.certificates())
    }

    /// `unix:…` of the server.
    pub fn socket_url(&self) -> String {
        format!("unix:{}", self.socket().display())
    }

    /// The password that it asks for.
    pub(super) fn password(&self) -> Option<&str> {
        self.options.password.as_deref()
    }

    /// A connection of its own. It is tried for until the server takes one: a server that becomes a master ends the
    /// connections that it has, also those that have just begun.
    ///
    /// # Panics
    ///
    /// If the server takes none.
    pub fn connection(&self) -> redis::Connection {
        let client = redis::Client::open(self.url()).expect("the server's URL is one");
        let mut told = client.get_connection();
        eventually(|| {
            if told.is_err() {
                told = client.get_connection();
            }
            told.is_ok()
        });
        told.expect("the server takes connections")
    }

    /// Runs a command over a connection of its own.
    ///
    /// # Panics
    ///
    /// If the server doesn't take it, or answers something else.
    pub fn run<T: redis::FromRedisValue>(&self, words: &[&str]) -> T {
        let mut command = redis::Cmd::new();
        command.arg(words);
        command.query(&mut self.connection()).unwrap_or_else(|error| panic!("{words:?}: {error}"))
    }

    /// Kills the server (SIGKILL) and waits until it is gone.
    pub fn kill(&mut self) {
        if let Some(child) = self.child.take() {
            end(child);
        }
    }

    /// Ends the server as an operator would, and waits until it is gone.
    ///
    /// # Panics
    ///
    /// If it doesn't end.
    pub fn stop(&mut self) {
        if let Some(mut child) = self.child.take() {
            signal(&child, "TERM");
            let gone = eventually(|| child.try_wait().expect("a child can be waited for").is_some());
            if !gone {
                end(child);
                panic!("redis-server on port {} doesn't end", self.port);
            }
        }
    }

    /// Starts the server again, on the same port and folder; stops it before if it runs.
    ///
    /// # Panics
    ///
    /// If it doesn't start.
    pub fn restart(&mut self) {
        self.stop();
        assert!(eventually(|| self.spawn()), "redis-server doesn't start again on port {}", self.port);
    }

    /// Stops the process in its tracks (SIGSTOP): connections stay, answers don't come.
    ///
    /// # Panics
    ///
    /// If the server doesn't run.
    pub fn pause(&self) {
        signal(self.running(), "STOP");
    }

    /// Lets a paused server go on.
    ///
    /// # Panics
    ///
    /// If the server doesn't run.
    pub fn resume(&self) {
        signal(self.running(), "CONT");
    }

    fn running(&self) -> &Child {
        self.child.as_ref().expect("the server has been stopped")
    }

    fn certificates(&self) -> &Path {
        self.options.certificates.as_deref().unwrap_or(self.folder.path())
    }

    fn socket(&self) -> PathBuf {
        self.folder.path().join("redis.sock")
    }

    fn sentinel_file(&self) -> PathBuf {
        self.folder.path().join("sentinel.conf")
    }

    /// Starts the process and waits until it answers; false if it ends instead.
    fn spawn(&mut self) -> bool {
        let mut command = Command::new("redis-server");
        match self.options.sentinel {
            Some(_) => command.arg(self.sentinel_file()).arg("--sentinel"),
            None => command.args(["--save", "", "--unixsocket"]).arg(self.socket()),
        };
        if self.options.tls {
            let file = |name| self.certificates().join(name);
            command.args(["--tls-port", &self.tls_port.to_string(), "--tls-ca-cert-file"]).arg(file("ca.pem"));
            command.arg("--tls-cert-file").arg(file("server.pem")).arg("--tls-key-file").arg(file("server.key"));
        }
        let spawned = command
            .args(["--bind", "127.0.0.1", "--port", &self.port.to_string()])
            .arg("--dir")
            .arg(self.folder.path())
            .args(&self.options.arguments)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn();
        let mut child = match spawned {
            Ok(child) => child,
            Err(error) => {
                panic!("redis-server can't be run ({error}): install it, on Debian with apt install redis-server")
            }
        };
        let mut ended = false;
        eventually(|| {
            ended = child.try_wait().expect("a child can be waited for").is_some();
            // It makes its socket once it has its port, where another server may have been quicker, and answers.
            ended || (self.options.sentinel.is_some() || self.socket().exists()) && answers(self.port)
        });
        if ended {
            return false;
        }
        self.child = Some(child);
        true
    }
}

impl Drop for RedisServer {
    fn drop(&mut self) {
        self.kill();
    }
}

/// A commit of no meaning: output `output`, env `env`, and up to three results of history.
pub fn commit(keys: &Keys, sequence: u64) -> Commit<'_> {
    Commit {
        keys,
        sequence,
        outputs: vec![b"output"],
        env: b"env",
        last_event: "event",
        handler: "handler",
        plugin_version: "1.2.3",
        saved_at: "2026-01-31T12:00:00Z",
        history_length: 3,
        output_stream: None,
        taken: None,
        dead: None,
        replayed: None,
    }
}

fn free_port() -> u16 {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a local port can be had");
    listener.local_addr().expect("a listener has an address").port()
}

/// Whether a server is ready for commands; one that asks for a password is.
fn answers(port: u16) -> bool {
    let ask = || {
        let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port))?;
        stream.set_read_timeout(Some(Duration::from_secs(1)))?;
        stream.write_all(b"PING\r\n")?;
        let mut answer = [0; 5];
        stream.read_exact(&mut answer)?;
        Ok::<_, std::io::Error>(&answer == b"+PONG" || &answer == b"-NOAU")
    };
    ask().unwrap_or(false)
}

/// Asks until it holds; false after [`PATIENCE`].
fn eventually(mut holds: impl FnMut() -> bool) -> bool {
    let deadline = Instant::now() + PATIENCE;
    while Instant::now() < deadline {
        if holds() {
            return true;
        }
        thread::sleep(Duration::from_millis(5));
    }
    false
}

fn signal(child: &Child, name: &str) {
    let status = Command::new("kill").args([&format!("-{name}"), &child.id().to_string()]).status();
    assert!(status.is_ok_and(|status| status.success()), "redis-server can't be sent SIG{name}");
}

fn end(mut child: Child) {
    // Both fail only for a process that is gone already.
    child.kill().ok();
    child.wait().ok();
}
