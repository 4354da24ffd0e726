//! What the tests share: the built host and plugins, a host that runs, and waiting for a condition.

#![allow(dead_code, reason = "each test file uses its own part of it")]

pub mod dev;
pub mod minisign;
pub mod python;
pub mod redis;
pub mod server;
pub mod volume;

use std::io::{BufRead, BufReader};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::sync::{Arc, LazyLock, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::Value;

/// The built program, with none of the environment that could change what it does.
pub fn plugin_host() -> Command {
    let kept = |name: &str| {
        ["PATH", "HOME", "TMPDIR"].contains(&name) || name.starts_with("CARGO") || name.starts_with("RUSTUP")
    };
    let mut command = Command::new(env!("CARGO_BIN_EXE_plugin-host"));
    command.env_clear().envs(std::env::vars().filter(|(name, _)| kept(name)));
    command
}

/// The repository.
pub fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

/// A plugin of this repository, built by cargo once for all tests.
pub fn plugin(name: &str) -> PathBuf {
    static BUILT: LazyLock<PathBuf> = LazyLock::new(|| {
        let status = Command::new(env!("CARGO"))
            .args(["build", "--quiet", "-p", "metrics", "-p", "collector", "-p", "fixture", "-p", "fixture-next"])
            .args(["-p", "fixture-faulty", "-p", "python"])
            .args((!cfg!(debug_assertions)).then_some("--release"))
            .current_dir(root())
            .status()
            .unwrap();
        assert!(status.success(), "the plugins don't build");
        Path::new(env!("CARGO_BIN_EXE_plugin-host")).parent().unwrap().to_owned()
    });
    BUILT.join(format!("lib{name}.so"))
}

/// The fixture's library without debug information, to be made into builds by [`build`].
pub fn fixture() -> &'static [u8] {
    static STRIPPED: LazyLock<Vec<u8>> = LazyLock::new(|| {
        let folder = tempfile::tempdir().unwrap();
        let stripped = folder.path().join("libfixture.so");
        let status =
            Command::new("strip").arg("--strip-debug").arg("-o").arg(&stripped).arg(plugin("fixture")).status();
        assert!(status.unwrap().success());
        std::fs::read(stripped).unwrap()
    });
    &STRIPPED
}

/// Compiles a plugin in C, without a warning.
pub fn compile(source: &Path, library: &Path, arguments: &[&str]) {
    let output = Command::new("cc")
        .args(["-shared", "-fPIC", "-O2", "-std=c99", "-pedantic", "-Wall", "-Wextra", "-Werror"])
        .args(arguments)
        .arg("-I")
        .arg(root().join("plugin-api/include"))
        .arg("-o")
        .arg(library)
        .arg(source)
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", text(&output.stderr));
}

/// The fixture as a build of its own: its handler `versioned` tells the number.
pub fn build(number: usize) -> Vec<u8> {
    let mut library = fixture().to_owned();
    let mark = b"build-0000000000";
    let at = library.windows(mark.len()).position(|window| window == mark).unwrap();
    library[at..at + mark.len()].copy_from_slice(format!("build-{number:010}").as_bytes());
    library
}

/// A ZIP with some bytes as the fixture's library, packed by the host.
pub fn zipped(library: &[u8]) -> Vec<u8> {
    let folder = tempfile::tempdir().unwrap();
    let (path, zip) = (folder.path().join("libfixture.so"), folder.path().join("fixture.zip"));
    std::fs::write(&path, library).unwrap();
    let packed = plugin_host().arg("pack").arg(&path).arg("--zip").arg(&zip).output().unwrap();
    assert!(packed.status.success(), "{}", text(&packed.stderr));
    std::fs::read(zip).unwrap()
}

/// Starts `run` with a plugin that it must refuse; gives what it says. It must leave nothing.
pub fn refused(variables: &[(&str, &str)]) -> String {
    let folder = tempfile::tempdir().unwrap();
    let Output { status, stderr, .. } = plugin_host()
        .args(["run", "--http", "off", "--handler", "count", "--output-key", "out", "--store", "sqlite:/dev/null/x"])
        .envs(variables.iter().copied())
        .env("TMPDIR", folder.path())
        .output()
        .unwrap();
    assert_eq!(status.code(), Some(1), "{}", text(&stderr));
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0, "something was left");
    text(&stderr)
}

/// Checks that the results of the handler `versioned` count each call once and go from older builds to newer ones;
/// gives how often they do.
pub fn switches(results: &[Value]) -> usize {
    for (index, result) in results.iter().enumerate() {
        assert_eq!(result["calls"], index as u64 + 1, "a call was lost or counted twice");
    }
    let builds: Vec<_> = results.iter().map(|result| result["build"].as_str().unwrap()).collect();
    assert!(builds.is_sorted(), "a result of an old version came after one of a new one");
    builds.windows(2).filter(|pair| pair[0] != pair[1]).count()
}

/// Puts a file where another one may be, in one step.
pub fn replace(path: &Path, bytes: &[u8]) {
    let new = path.with_extension("new");
    std::fs::write(&new, bytes).unwrap();
    std::fs::rename(new, path).unwrap();
}

/// What the fixture's handler `versioned` gives in one host with each of these libraries, each put where the one before was.
pub fn results_of_versions(libraries: &[Vec<u8>]) -> Vec<Value> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("libfixture.so");
    replace(&path, &libraries[0]);
    let redis = redis::Redis::start();
    let url = redis.server.url();
    let variables = [("STORE_URL", url.as_str()), ("HANDLER_FUNCTION", "versioned"), ("RELOAD_PERIOD", "0.02")];
    let host = Host::start(&path, &variables);
    let mut results = Vec::new();
    for (turn, library) in libraries.iter().enumerate() {
        if turn > 0 {
            replace(&path, library);
            wait_for("the new version", || (host.status()["reloads"] == turn).then_some(()));
        }
        let before = redis.sequence();
        redis.write(&turn.to_string());
        redis.wait_for_sequence(before + 1);
        results.push(redis.output().unwrap());
    }
    assert!(host.stop().success());
    results
}

/// Waits until `condition` gives something; fails after 20 s.
pub fn wait_for<T>(what: &str, condition: impl FnMut() -> Option<T>) -> T {
    wait_at_most(Duration::from_secs(20), what, condition)
}

/// Waits for as long as that until `condition` gives something.
pub fn wait_at_most<T>(most: Duration, what: &str, mut condition: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + most;
    loop {
        if let Some(found) = condition() {
            return found;
        }
        assert!(Instant::now() < deadline, "waited in vain for: {what}");
        thread::sleep(Duration::from_millis(10));
    }
}

/// Sends a signal to a process, which may have gone already.
pub fn signal(name: &str, pid: u32) {
    Command::new("kill").args([&format!("-{name}"), &pid.to_string()]).output().unwrap();
}

/// The code and body of an HTTP answer; none where nobody answers.
pub fn get(address: &str, path: &str) -> Option<(u16, String)> {
    use std::io::{Read, Write};
    let mut stream = std::net::TcpStream::connect(address).ok()?;
    write!(stream, "GET {path} HTTP/1.0\r\n\r\n").ok()?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).ok()?;
    let (head, body) = answer.split_once("\r\n\r\n")?;
    Some((head.split(' ').nth(1)?.parse().ok()?, body.to_owned()))
}

/// A port that nobody listens on.
pub fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

pub fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// Runs `invoke` on lines and gives what it printed.
pub fn invoke(plugin: &Path, handler: &str, input: &[u8]) -> Output {
    let mut child = plugin_host()
        .arg("invoke")
        .arg(plugin)
        .args(["--handler", handler])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let input = input.to_owned();
    let writer = thread::spawn(move || std::io::Write::write_all(&mut stdin, &input).ok());
    let output = child.wait_with_output().unwrap();
    writer.join().unwrap();
    output
}

/// `plugin-host run` in a process of its own, ended with the value.
pub struct Host {
    child: Child,
    http: String,
    /// Its temporary folder: what a killed host leaves goes with the test.
    temporary: tempfile::TempDir,
    log: Arc<Mutex<Vec<String>>>,
}

impl Host {
    /// Starts it with these variables besides those that make it quick: a period of 20 ms, a lease of half a second, HTTP
    /// on a free port.
    pub fn start(plugin: &Path, variables: &[(&str, &str)]) -> Host {
        let http = format!("127.0.0.1:{}", free_port());
        let temporary = tempfile::tempdir().unwrap();
        let mut child = plugin_host()
            .arg("run")
            .env("HANDLER_PATH", plugin)
            .env("MONITORING_PERIOD", "0.02")
            .env("HTTP_ADDR", &http)
            .env("TMPDIR", temporary.path())
            .env("REDIS_OUTPUT_KEY", "out")
            .env("LEASE_PERIOD", "0.5")
            .envs(variables.iter().copied())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let log = Arc::new(Mutex::new(Vec::new()));
        let stderr = BufReader::new(child.stderr.take().unwrap());
        let lines = Arc::clone(&log);
        thread::spawn(move || stderr.lines().map_while(Result::ok).for_each(|line| lines.lock().unwrap().push(line)));
        Host { child, http, temporary, log }
    }

    /// As [`get`].
    pub fn get(&self, path: &str) -> Option<(u16, String)> {
        get(&self.http, path)
    }

    /// Its temporary folder.
    pub fn temporary(&self) -> &Path {
        self.temporary.path()
    }

    pub fn http(&self) -> &str {
        &self.http
    }

    pub fn status(&self) -> Value {
        wait_for("an answer of /status", || serde_json::from_str(&self.get("/status")?.1).ok())
    }

    pub fn wait_until_ready(&self) {
        wait_for("a host that is ready", || self.get("/readyz").filter(|(code, _)| *code == 200));
    }

    pub fn wait_until_not_ready(&self) -> String {
        wait_for("a host that is not ready", || self.get("/readyz").filter(|(code, _)| *code == 503)).1
    }

    /// Every log line so far.
    pub fn log(&self) -> Vec<String> {
        self.log.lock().unwrap().clone()
    }

    /// Waits for a log line that contains a text.
    pub fn wait_for_log(&self, part: &str) -> String {
        wait_for(&format!("a log line with {part:?}"), || {
            self.log.lock().unwrap().iter().find(|line| line.contains(part)).cloned()
        })
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Its worker, once it has one.
    pub fn worker(&self) -> u32 {
        let children = format!("/proc/{0}/task/{0}/children", self.pid());
        wait_for("a worker", || std::fs::read_to_string(&children).ok()?.split_whitespace().next()?.parse().ok())
    }

    /// Sends a signal to both of its processes.
    pub fn signal(&self, name: &str) {
        [self.worker(), self.pid()].into_iter().for_each(|pid| signal(name, pid));
    }

    /// How it ended, if it has.
    pub fn ended(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().unwrap()
    }

    /// Sends SIGTERM and waits for the end.
    pub fn stop(mut self) -> ExitStatus {
        self.terminate()
    }

    /// The same; the log stays.
    pub fn terminate(&mut self) -> ExitStatus {
        let sent = Command::new("kill").arg(self.child.id().to_string()).status().unwrap();
        assert!(sent.success());
        wait_for("the host's end", || self.child.try_wait().unwrap())
    }

    /// Sends SIGKILL.
    pub fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
        if thread::panicking() {
            eprintln!("the host's log:\n{}", self.log.lock().unwrap().join("\n"));
        }
    }
}
