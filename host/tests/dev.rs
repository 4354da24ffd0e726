//! `plugin-host dev`: builds a crate, prints its results, and takes up changes of its source while it runs.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use store::{Address, Credentials, Keys, Store};
use support::{plugin_host, root, text, wait_for};

/// A plugin's crate of its own, outside the workspace.
struct Crate {
    folder: tempfile::TempDir,
    /// Kept from run to run, so that only the first one builds the dependencies.
    target: PathBuf,
}

impl Crate {
    fn new(name: &str) -> Crate {
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
        let made = Crate { target: built.join("tests").join(name), folder };
        made.write("Ok(plugin_api::json!({\"calls\": context.env}))");
        made
    }

    /// Gives the handler this body.
    fn write(&self, body: &str) {
        let source = format!(
            "use plugin_api::{{Context, Result, Value}};\n\
             fn handler(_input: Value, context: &mut Context<u64>) -> Result<Value> {{\n context.env += 1;\n {body}\n}}\n\
             plugin_api::export!(handler);\n"
        );
        fs::write(self.folder.path().join("src/lib.rs"), source).unwrap();
    }

    fn dev(&self, arguments: &[&str]) -> Dev {
        let mut child = plugin_host()
            .arg("dev")
            .arg(self.folder.path())
            .args(["--period", "0.05"])
            .args(arguments)
            .env("CARGO_TARGET_DIR", &self.target)
            .env("TMPDIR", self.folder.path())
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
struct Dev {
    child: Child,
    said: Arc<Mutex<Vec<String>>>,
    /// How many lines were looked at.
    seen: usize,
}

impl Dev {
    /// Waits, for as long as a build may take, for a line that comes after those seen and contains a text.
    fn wait_for(&mut self, part: &str) -> String {
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

    fn stop(mut self) {
        std::process::Command::new("kill").arg(self.child.id().to_string()).status().unwrap();
        let ended = wait_for("dev's end", || self.child.try_wait().unwrap());
        assert!(ended.success());
    }
}

impl Drop for Dev {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

/// The number behind `calls` in a printed line.
fn calls(line: &str) -> u64 {
    line.split_once("calls ").and_then(|(_, rest)| rest.split_whitespace().next()?.parse().ok()).unwrap()
}

#[test]
fn a_change_of_the_source_changes_the_results_without_a_restart() {
    let plugin = Crate::new("changing");
    plugin.write("Ok(plugin_api::json!({\"total\": _input[\"virtual_memory-total\"], \"calls\": context.env}))");
    let mut dev = plugin.dev(&[]);
    dev.wait_for("writes to metrics-output in sqlite:");
    assert_eq!(calls(&dev.wait_for("calls ")), 1);
    let line = dev.wait_for("calls ");
    let before = calls(&line);
    let total = line.split_once("total ").and_then(|(_, rest)| rest.split_whitespace().next()?.parse::<u64>().ok());
    assert!(total.unwrap() > 1 << 20, "these are not this machine's figures: {line}");

    plugin.write("Ok(plugin_api::json!({\"new\": true, \"calls\": context.env}))");
    dev.wait_for("goes on with the new build of changing");
    let after = dev.wait_for("new true");
    assert!(calls(&after) > before, "env did not go on: {after}");

    plugin.write("this is not Rust");
    dev.wait_for("error");
    dev.wait_for("not built; waiting for a change of the source");
    dev.wait_for("new true");

    plugin.write("panic!(\"at {}\", context.env)");
    dev.wait_for("goes on with the new build");
    dev.wait_for("the handler panicked at src/lib.rs:4:2: at ");

    plugin.write("Ok(plugin_api::json!({\"mended\": context.env}))");
    dev.wait_for("mended ");
    dev.stop();
}

#[test]
fn the_results_lie_in_the_sqlite_file_and_each_start_begins_anew() {
    let plugin = Crate::new("starting");
    fs::write(plugin.folder.path().join("inputs.jsonl"), "{\"n\": 1}\n\n{\"n\": 2}\n").unwrap();
    plugin.write("Ok(plugin_api::json!({\"got\": _input[\"n\"], \"calls\": context.env}))");
    let mut dev = plugin.dev(&[]);
    for got in ["got 1", "got 2", "got 1"] {
        dev.wait_for(got);
    }
    dev.stop();

    let file = plugin.target.join("plugin-host/dev.db");
    let store = Store::new(Address::sqlite(file), Credentials::default());
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let input = runtime.block_on(store.read("metrics")).unwrap().unwrap();
    assert!(text(&input).starts_with("{\"n\": "), "{}", text(&input));
    let saved = runtime.block_on(store.saved(&Keys::of("metrics-output").unwrap())).unwrap().unwrap();
    assert!(saved.sequence >= 3);

    let input = plugin.folder.path().join("other.jsonl");
    fs::write(&input, "{\"n\": 9}").unwrap();
    let mut dev = plugin.dev(&["--input", input.to_str().unwrap()]);
    assert_eq!(calls(&dev.wait_for("got 9")), 1);
    dev.stop();
}

#[test]
fn what_is_no_plugin_crate_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let dev = |folder: &Path| plugin_host().arg("dev").arg(folder).output().unwrap();
    for (folder, said) in [
        (folder.path().to_owned(), "name the folder of the plugin's Cargo.toml"),
        (root(), "is a workspace, not a crate"),
        (root().join("store"), "set crate-type = [\"cdylib\"]"),
    ] {
        let output = dev(&folder);
        assert_eq!(output.status.code(), Some(1));
        assert!(text(&output.stderr).contains(said), "{}", text(&output.stderr));
    }
}
