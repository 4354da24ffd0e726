//! A crate outside the workspace, and `plugin-host dev` at work on it.

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use super::{plugin_host, root, wait_for};

/// A plugin's crate of its own, outside the workspace.
pub struct Crate {
    pub folder: tempfile::TempDir,
    /// Shared by all and kept from run to run, so that only the first one builds the dependencies.
    pub target: PathBuf,
}

impl Crate {
    pub fn new(name: &str) -> Crate {
        let folder = tempfile::tempdir().unwrap();
        let manifest = format!(
            "[package]\nname = \"{name}\"\nversion = \"0.1.0\"\nedition = \"2024\"\n[workspace]\n\
             [lib]\ncrate-type = [\"cdylib\"]\n[dependencies]\nplugin-api = {{ path = {:?} }}\nserde = \"1\"\n",
            root().join("plugin-api")
        );
        fs::write(folder.path().join("Cargo.toml"), manifest).unwrap();
        fs::copy(root().join("Cargo.lock"), folder.path().join("Cargo.lock")).unwrap();
        fs::create_dir(folder.path().join("src")).unwrap();
        let built = Path::new(env!("CARGO_BIN_EXE_plugin-host")).parent().unwrap().parent().unwrap();
        let made = Crate { target: built.join("tests/dev"), folder };
        made.write("Ok(plugin_api::json!({\"calls\": context.env}))");
        made
    }

    /// Gives the handler this body.
    pub fn write(&self, body: &str) {
        let source = format!(
            "use plugin_api::{{Context, Result, Value}};\n\
             fn handler(_input: Value, context: &mut Context<u64>) -> Result<Value> {{\n context.env += 1;\n {body}\n}}\n\
             plugin_api::export!(handler);\n"
        );
        fs::write(self.folder.path().join("src/lib.rs"), source).unwrap();
    }

    /// Runs `dev` on it, with a file of its own as the store.
    pub fn dev(&self, arguments: &[&str]) -> Dev {
        let store = format!("sqlite:{}", self.folder.path().join("dev.db").display());
        let mut with_store = vec!["--store", &store];
        with_store.extend(arguments);
        self.dev_at(&with_store)
    }

    /// The same, without naming a store.
    pub fn dev_at(&self, arguments: &[&str]) -> Dev {
        let mut command = plugin_host();
        command.arg("dev").args(arguments);
        if !arguments.contains(&"--period") {
            command.args(["--period", "0.05"]);
        }
        self.start(command)
    }

    /// Starts a command in the crate's folder.
    pub fn start(&self, mut command: Command) -> Dev {
        let mut child = command
            .current_dir(&self.folder)
            .env("CARGO_TARGET_DIR", &self.target)
            .env("TMPDIR", self.folder.path())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let said = Arc::new(Mutex::new(Vec::new()));
        for pipe in [
            Box::new(child.stdout.take().unwrap()) as Box<dyn std::io::Read + Send>,
            Box::new(child.stderr.take().unwrap()),
        ] {
            let said = Arc::clone(&said);
            thread::spawn(move || {
                BufReader::new(pipe).lines().map_while(Result::ok).for_each(|line| said.lock().unwrap().push(line));
            });
        }
        Dev { child, said, seen: 0 }
    }
}

/// A running `dev`.
pub struct Dev {
    child: Child,
    said: Arc<Mutex<Vec<String>>>,
    /// How many lines were looked at.
    seen: usize,
}

impl Dev {
    /// Waits, for as long as a build may take, for a line that comes after those seen and contains a text.
    pub fn wait_for(&mut self, part: &str) -> String {
        let deadline = Instant::now() + Duration::from_secs(600);
        loop {
            let lines = self.said.lock().unwrap().clone();
            if let Some(at) = lines[self.seen..].iter().position(|line| line.contains(part)) {
                self.seen += at + 1;
                return lines[self.seen - 1].clone();
            }
            assert!(self.child.try_wait().unwrap().is_none(), "dev ended: {lines:#?}");
            assert!(Instant::now() < deadline, "waited in vain for {part:?}: {lines:#?}");
            thread::sleep(Duration::from_millis(10));
        }
    }

    pub fn stop(mut self) {
        Command::new("kill").arg(self.child.id().to_string()).status().unwrap();
        let ended = wait_for("dev's end", || self.child.try_wait().unwrap());
        assert!(ended.success());
    }
}

impl Dev {
    /// Every line so far.
    pub fn said(&self) -> Vec<String> {
        self.said.lock().unwrap().clone()
    }
}

impl Drop for Dev {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

/// The number behind `calls` in a printed line.
pub fn calls(line: &str) -> u64 {
    line.split_once("calls ").and_then(|(_, rest)| rest.split_whitespace().next()?.parse().ok()).unwrap()
}
