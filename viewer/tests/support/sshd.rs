//! A real SSH server on loopback, for the user that runs the test: with keys, configuration and known hosts of its own,
//! ended with the test. Everything in here blocks, and panics with a sentence where a test can't go on.
#![allow(dead_code, reason = "each test uses a part")]
#![allow(clippy::unwrap_used, reason = "a test may fail by a panic, in its helpers too")]

use std::ffi::OsString;
use std::fs;
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use tempfile::TempDir;

/// How long the server may take to start or to end.
const PATIENCE: Duration = Duration::from_secs(20);

/// A running server, and a program `ssh` that knows it by these aliases:
///
/// - `good`: everything is right;
/// - `wrong-key`: with a key that the server doesn't take;
/// - `changed`: another host key than the server's is known;
/// - `unknown`: no host key is known;
/// - `nowhere`: a name that doesn't resolve;
/// - `jumped`: `good` through `good`.
pub struct Sshd {
    folder: TempDir,
    port: u16,
    child: Option<Child>,
}

impl Sshd {
    /// Starts the server; none, with the reason printed, where it isn't installed.
    pub fn start() -> Option<Sshd> {
        let Some(program) = found("sshd") else {
            eprintln!("skipped: sshd isn't installed (package openssh-server)");
            return None;
        };
        let ssh = found("ssh").expect("where sshd is installed, ssh is too");
        let folder = tempfile::tempdir().unwrap();
        for key in ["host", "other-host", "id", "other-id"] {
            keygen(&folder.path().join(key));
        }
        let mut sshd = Sshd { folder, port: 0, child: None };
        fs::copy(sshd.path("id.pub"), sshd.path("authorized_keys")).unwrap();
        sshd.wrap(&ssh);
        // Another process may take the port between its choice and the start: then a new one is tried.
        for _ in 0..5 {
            sshd.port = free_port();
            sshd.configure();
            if sshd.run(&program) {
                return Some(sshd);
            }
        }
        panic!("sshd doesn't start: {}", fs::read_to_string(sshd.path("log")).unwrap_or_default());
    }

    /// Has `ssh` be found as the one that knows this server.
    pub fn variables(&self) -> Vec<(OsString, OsString)> {
        let mut path = OsString::from(self.path("bin"));
        path.push(":");
        path.push(std::env::var_os("PATH").unwrap_or_default());
        vec![("PATH".into(), path)]
    }

    /// The process ids of the connections that were started so far, oldest first.
    pub fn connections(&self) -> Vec<u32> {
        let starts = fs::read_to_string(self.path("starts")).unwrap_or_default();
        let connections = starts.lines().filter(|line| line.contains(" -W "));
        connections.filter_map(|line| line.split(' ').next()?.parse().ok()).collect()
    }

    /// What the newest connection was started with.
    pub fn arguments(&self) -> String {
        let starts = fs::read_to_string(self.path("starts")).unwrap_or_default();
        let newest = starts.lines().rfind(|line| line.contains(" -W ")).unwrap_or_default();
        newest.split_once(' ').unwrap_or_default().1.to_owned()
    }

    /// The environment of the newest `ssh`.
    pub fn environment(&self) -> String {
        fs::read_to_string(self.path("environment")).unwrap_or_default()
    }

    /// Ends the server, and every connection that it serves.
    pub fn stop(&mut self) {
        if let Some(mut child) = self.child.take() {
            for process in descendants(child.id()) {
                signal(process, "KILL");
            }
            child.kill().ok();
            child.wait().unwrap();
        }
    }

    /// Ends and starts it again, on the same port.
    pub fn restart(&mut self) {
        self.stop();
        assert!(self.run(&found("sshd").unwrap()), "sshd doesn't start again on port {}", self.port);
    }

    /// The port on 127.0.0.1; the same after a restart.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Adds lines to the configuration that `ssh` reads.
    pub fn add_to_config(&self, lines: &str) {
        let config = fs::read_to_string(self.path("config")).unwrap();
        fs::write(self.path("config"), format!("{lines}\n{config}")).unwrap();
    }

    /// A file of the server's folder.
    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Puts a program `ssh` into a folder of its own, which notes its start and becomes the real one.
    fn wrap(&self, ssh: &Path) {
        let program = self.path("bin/ssh");
        fs::create_dir(self.path("bin")).unwrap();
        let folder = self.folder.path().display();
        let script = format!(
            "#!/bin/sh\necho \"$$ $*\" >> {folder}/starts\nenv > {folder}/environment\nexec {} -F {folder}/config \
             \"$@\"\n",
            ssh.display()
        );
        fs::write(&program, script).unwrap();
        fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
    }

    fn configure(&self) {
        let (folder, port, user) = (self.folder.path().display(), self.port, user());
        let config = format!(
            "Port {port}\nListenAddress 127.0.0.1\nHostKey {folder}/host\nAuthorizedKeysFile {folder}/authorized_keys\n\
             PidFile none\nStrictModes no\nUsePAM no\nPasswordAuthentication no\nKbdInteractiveAuthentication no\n\
             PermitRootLogin prohibit-password\n"
        );
        fs::write(self.path("sshd_config"), config).unwrap();
        let known = |name: &str| {
            let key = fs::read_to_string(self.path(&format!("{name}.pub"))).unwrap();
            format!("[127.0.0.1]:{port} {key}")
        };
        fs::write(self.path("known"), known("host")).unwrap();
        fs::write(self.path("known-otherwise"), format!("# a comment\n{}", known("other-host"))).unwrap();
        let client = format!(
            "Host wrong-key\n IdentityFile {folder}/other-id\n\
             Host changed\n UserKnownHostsFile {folder}/known-otherwise\n\
             Host unknown\n UserKnownHostsFile {folder}/known-nothing\n\
             Host nowhere\n HostName nowhere.invalid\n\
             Host jumped\n ProxyCommand {folder}/bin/ssh -W %h:%p good\n\
             Host * !wrong-key\n IdentityFile {folder}/id\n\
             Host *\n HostName 127.0.0.1\n Port {port}\n User {user}\n IdentitiesOnly yes\n IdentityAgent \
             none\n UserKnownHostsFile {folder}/known\n GlobalKnownHostsFile /dev/null\n \
             StrictHostKeyChecking yes\n BatchMode yes\n"
        );
        fs::write(self.path("config"), client).unwrap();
    }

    fn run(&mut self, program: &Path) -> bool {
        if user() == "root" {
            // Where the server gives up its rights; its package's service makes it at each start.
            fs::create_dir_all("/run/sshd").unwrap();
        }
        let log = fs::File::create(self.path("log")).unwrap();
        let mut child = Command::new(program)
            .args(["-D", "-e", "-f"])
            .arg(self.path("sshd_config"))
            .stdin(Stdio::null())
            .stderr(log)
            .spawn()
            .unwrap();
        let deadline = Instant::now() + PATIENCE;
        while Instant::now() < deadline && child.try_wait().unwrap().is_none() {
            if TcpStream::connect((Ipv4Addr::LOCALHOST, self.port)).is_ok() {
                self.child = Some(child);
                return true;
            }
            thread::sleep(Duration::from_millis(5));
        }
        child.kill().ok();
        child.wait().unwrap();
        false
    }
}

impl Drop for Sshd {
    fn drop(&mut self) {
        self.stop();
    }
}

/// Sends a signal, by its name without `SIG`; a process that is gone doesn't mind.
pub fn signal(process: u32, name: &str) {
    Command::new("kill").args([&format!("-{name}"), &process.to_string()]).stderr(Stdio::null()).status().unwrap();
}

/// Whether a process is there, and not only its exit status.
pub fn is_running(process: u32) -> bool {
    let listed = Command::new("ps").args(["-o", "stat=", "-p", &process.to_string()]).output().unwrap();
    let state = String::from_utf8_lossy(&listed.stdout).trim().to_owned();
    !state.is_empty() && !state.starts_with('Z')
}

/// The processes that it has started, and those that these have.
pub fn descendants(process: u32) -> Vec<u32> {
    let listed = Command::new("ps").args(["-A", "-o", "pid=,ppid="]).output().unwrap();
    let listed = String::from_utf8_lossy(&listed.stdout).into_owned();
    let pairs: Vec<(u32, u32)> = listed
        .lines()
        .filter_map(|line| {
            let mut numbers = line.split_whitespace().filter_map(|number| number.parse().ok());
            Some((numbers.next()?, numbers.next()?))
        })
        .collect();
    let mut found = vec![process];
    let mut place = 0;
    while let Some(parent) = found.get(place).copied() {
        found.extend(pairs.iter().filter(|(_, of)| *of == parent).map(|(child, _)| *child));
        place += 1;
    }
    found.split_off(1)
}

fn found(program: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let folders = std::env::split_paths(&path).chain(["/usr/sbin".into(), "/usr/local/sbin".into()]);
    folders.map(|folder| folder.join(program)).find(|file| file.is_file())
}

fn keygen(file: &Path) {
    let made = Command::new("ssh-keygen").args(["-q", "-t", "ed25519", "-N", "", "-f"]).arg(file).status().unwrap();
    assert!(made.success(), "ssh-keygen can't make {}", file.display());
}

fn user() -> String {
    let printed = Command::new("id").arg("-un").output().unwrap().stdout;
    String::from_utf8(printed).unwrap().trim().to_owned()
}

fn free_port() -> u16 {
    TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap().local_addr().unwrap().port()
}
