//! A screen that nobody sees, with a bus on which a screen reader would listen: the real window is drawn there, and what
//! it says to the reader is what a test reads.

use std::io::{BufRead, BufReader, Read};
use std::path::Path;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use tempfile::TempDir;

/// How long to wait for anything that will come: long, for machines that run many tests at once.
const PATIENCE: Duration = Duration::from_secs(30);

/// Debian's Python, which has what reads the names; another one in the path may not.
const PYTHON: &str = "/usr/bin/python3";

/// A screen and a bus. Both end when this is dropped.
pub struct Screen {
    children: Vec<Child>,
    folder: TempDir,
    display: String,
    bus: String,
}

/// The program on that screen.
pub struct Window {
    child: Child,
    reader: Child,
    names: Arc<Mutex<Vec<String>>>,
}

impl Screen {
    /// Starts both; none, with the reason printed, where something isn't installed.
    pub fn start() -> Option<Screen> {
        let missing = missing();
        if !missing.is_empty() {
            eprintln!("skipped: no window can be drawn and read here, for lack of {}", missing.join(", "));
            return None;
        }
        let mut screen = Screen {
            children: Vec::new(),
            folder: tempfile::tempdir().unwrap(),
            display: String::new(),
            bus: String::new(),
        };
        let mut xvfb = Command::new("Xvfb");
        xvfb.args(["-displayfd", "1", "-screen", "0", "1300x900x24", "-nolisten", "tcp"]);
        screen.display = format!(":{}", screen.first_line(xvfb));
        let mut bus = Command::new("dbus-daemon");
        bus.args(["--session", "--nofork", "--nopidfile", "--print-address=1"]);
        screen.bus = screen.first_line(bus);
        // Programs tell their names only where somebody listens.
        let listening = screen
            .command("dbus-send")
            .args(["--session", "--dest=org.a11y.Bus", "--print-reply", "/org/a11y/bus"])
            .args(["org.freedesktop.DBus.Properties.Set", "string:org.a11y.Status", "string:IsEnabled"])
            .arg("variant:boolean:true")
            .output()
            .unwrap();
        assert!(listening.status.success(), "{}", String::from_utf8_lossy(&listening.stderr));
        Some(screen)
    }

    /// A program that sees the screen and the bus, and keeps its files in a folder of the test's.
    pub fn command(&self, program: impl AsRef<std::ffi::OsStr>) -> Command {
        let mut command = Command::new(program);
        command.env("DISPLAY", &self.display).env("DBUS_SESSION_BUS_ADDRESS", &self.bus);
        command.env_remove("WAYLAND_DISPLAY").env("LIBGL_ALWAYS_SOFTWARE", "1");
        for name in ["XDG_CONFIG_HOME", "XDG_DATA_HOME", "XDG_RUNTIME_DIR"] {
            command.env(name, self.folder.path());
        }
        for name in ["STORE_URL", "REDIS_USERNAME", "REDIS_PASSWORD", "REDIS_PASSWORD_FILE"] {
            command.env_remove(name);
        }
        command
    }

    /// The folder in which programs keep their configuration.
    pub fn configuration(&self) -> &Path {
        self.folder.path()
    }

    /// Opens the viewer's window.
    pub fn window(&self, arguments: &[&str], variables: &[(std::ffi::OsString, std::ffi::OsString)]) -> Window {
        self.window_of(Path::new(env!("CARGO_BIN_EXE_plugin-viewer")), arguments, variables)
    }

    /// The same of a copy of the program.
    pub fn window_of(
        &self,
        program: &Path,
        arguments: &[&str],
        variables: &[(std::ffi::OsString, std::ffi::OsString)],
    ) -> Window {
        let mut viewer = self.command(program);
        viewer.args(arguments).envs(variables.iter().cloned()).stdin(Stdio::null());
        let child = viewer.spawn().unwrap();
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/support/names.py");
        let mut reader = self
            .command(PYTHON)
            .arg(script)
            .arg(child.id().to_string())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let names: Arc<Mutex<Vec<String>>> = Arc::default();
        let (lines, seen) = (BufReader::new(reader.stdout.take().unwrap()), names.clone());
        thread::spawn(move || {
            for line in lines.lines().map_while(Result::ok) {
                *seen.lock().unwrap() = serde_json::from_str(&line).unwrap();
            }
        });
        Window { child, reader, names }
    }

    /// Starts a program that ends with this, and gives the first line that it prints.
    fn first_line(&mut self, mut command: Command) -> String {
        let child = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
        self.children.push(child);
        let output = self.children.last_mut().unwrap().stdout.as_mut().unwrap();
        read_line(output)
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        for child in self.children.iter_mut().rev() {
            child.kill().ok();
            child.wait().ok();
        }
    }
}

impl Window {
    /// What a screen reader finds now.
    pub fn names(&self) -> Vec<String> {
        self.names.lock().unwrap().clone()
    }

    /// Waits until one of the names holds.
    pub fn wait_for(&self, what: &str, holds: impl Fn(&str) -> bool) {
        assert!(self.sees(PATIENCE, &holds), "{what} never came; there is {:#?}", self.names());
    }

    /// Whether one of the names holds before `patience` is over.
    pub fn sees(&self, patience: Duration, holds: impl Fn(&str) -> bool) -> bool {
        let deadline = Instant::now() + patience;
        while Instant::now() < deadline {
            if self.names().iter().any(|name| holds(name)) {
                return true;
            }
            thread::sleep(Duration::from_millis(5));
        }
        false
    }

    /// The program's process.
    pub fn process(&self) -> u32 {
        self.child.id()
    }

    /// Kills the program, which can't say anything to what it has started.
    pub fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Waits until the program has ended by itself, and tells whether it succeeded.
    pub fn ended_well(&mut self) -> bool {
        let deadline = Instant::now() + PATIENCE;
        while Instant::now() < deadline {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status.success();
            }
            thread::sleep(Duration::from_millis(10));
        }
        false
    }
}

impl Drop for Window {
    fn drop(&mut self) {
        for child in [&mut self.reader, &mut self.child] {
            child.kill().ok();
            child.wait().ok();
        }
    }
}

fn missing() -> Vec<&'static str> {
    let is_there = |program: &str| Command::new("sh").args(["-c", &format!("command -v {program}")]).output();
    let mut missing: Vec<&str> = ["Xvfb", "dbus-daemon", "dbus-send"]
        .into_iter()
        .filter(|program| !is_there(program).is_ok_and(|output| output.status.success()))
        .collect();
    let python = Command::new(PYTHON)
        .args(["-c", "import gi; gi.require_version('Atspi', '2.0'); from gi.repository import Atspi"])
        .output();
    if !python.is_ok_and(|output| output.status.success()) {
        missing.push("python3-gi with gir1.2-atspi-2.0");
    }
    missing
}

fn read_line(output: &mut ChildStdout) -> String {
    let mut line = Vec::new();
    let mut byte = [0];
    while output.read(&mut byte).unwrap() == 1 && byte[0] != b'\n' {
        line.push(byte[0]);
    }
    String::from_utf8(line).unwrap()
}
