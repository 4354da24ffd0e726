//! `plugin-host record`: a key's values, or a stream's entries, as lines.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use std::io::{BufRead, BufReader};
use std::process::{Child, ChildStdout, Command, ExitStatus, Stdio};

use store::{Address, Credentials, Store};
use support::redis::Redis;
use support::{plugin_host, text, wait_for};

/// A running `record`, ended with the value.
struct Recording {
    child: Child,
    lines: BufReader<ChildStdout>,
}

impl Recording {
    fn start(url: &str, arguments: &[&str]) -> Recording {
        let mut child = plugin_host()
            .arg("record")
            .args(arguments)
            .env("STORE_URL", url)
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap());
        Recording { child, lines }
    }

    /// The next line; empty at the end.
    fn line(&mut self) -> String {
        let mut line = String::new();
        self.lines.read_line(&mut line).unwrap();
        line.trim_end_matches('\n').to_owned()
    }

    fn end(mut self) -> ExitStatus {
        wait_for("the end of record", || self.child.try_wait().unwrap())
    }
}

impl Drop for Recording {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

#[test]
fn the_values_of_a_key_are_recorded_as_soon_as_they_are_written() {
    let redis = Redis::start();
    redis.write(r#"{"add": 1}"#);
    // With this period only a server that tells of writes is quick enough.
    let mut recording =
        Recording::start(&redis.server.url(), &["--key", "metrics", "--count", "4", "--period", "1000"]);
    assert_eq!(recording.line(), r#"{"add": 1}"#);
    redis.write("{\n  \"add\": 2\r\n}\n");
    assert_eq!(recording.line(), "{   \"add\": 2  }");
    redis.write("");
    redis.write("of several lines\nand no JSON");
    redis.write("no JSON");
    assert_eq!(recording.line(), "no JSON");
    redis.write("no JSON");
    redis.write("5");
    assert_eq!(recording.line(), "5");
    assert_eq!(recording.line(), "");
    assert!(recording.end().success());
    assert_eq!(redis.cli(&["DBSIZE"]), "1", "recording left something");
}

#[test]
fn a_store_that_tells_nobody_is_looked_at_each_period_until_it_is_stopped() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("dev.db");
    let store = Store::new(Address::sqlite(file.clone()), Credentials::default());
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let write = |input: &str| runtime.block_on(store.write("metrics", input.as_bytes())).unwrap();
    write("1");
    let url = format!("sqlite:{}", file.display());
    let mut recording = Recording::start(&url, &["--period", "0.02"]);
    for (line, next) in [("1", "2"), ("2", "1"), ("1", "3")] {
        assert_eq!(recording.line(), line);
        write(next);
    }
    assert_eq!(recording.line(), "3");
    assert!(Command::new("kill").arg(recording.child.id().to_string()).status().unwrap().success());
    assert!(recording.end().success());
}

#[test]
fn the_entries_of_a_stream_are_recorded_from_the_oldest_on() {
    let redis = Redis::start();
    redis.append((1..=150).map(|number| format!("{{\"add\": {number}}}")));
    let arguments = ["--key", "events", "--trigger", "stream", "--count", "152"];
    let mut recording = Recording::start(&redis.server.url(), &arguments);
    for number in 1..=150 {
        assert_eq!(recording.line(), format!("{{\"add\": {number}}}"));
    }
    redis.cli(&["XADD", "events", "*", "add", "151"]);
    redis.append(["152", "153"].map(str::to_owned));
    assert_eq!(
        (recording.line(), recording.line(), recording.line()),
        ("{\"add\":\"151\"}".to_owned(), "152".to_owned(), String::new())
    );
    assert!(recording.end().success());
    let groups = redis.cli(&["XINFO", "GROUPS", "events"]);
    assert_eq!(groups, "", "recording joined a group");
}

#[test]
fn what_cannot_be_recorded_is_told() {
    let record = |arguments: &[&str]| plugin_host().arg("record").args(arguments).output().unwrap();
    for (arguments, said) in [
        (["--trigger", "timer", "--key", "metrics"], "a timer reads nothing"),
        (["--store", "sqlite:/dev/null/x", "--trigger", "stream"], "a SQLite file has no streams"),
        (["--key", "metrics:*", "--count", "1"], "name one of them"),
        (["--store", "redis://:secret@localhost", "--count", "1"], "--store"),
    ] {
        let output = record(&arguments);
        assert_eq!(output.status.code(), Some(2), "{arguments:?}");
        assert!(text(&output.stderr).contains(said), "{said:?} is missing in {}", text(&output.stderr));
    }
    let output = record(&["--store", "sqlite:/dev/null/x", "--count", "1"]);
    assert_eq!(output.status.code(), Some(1), "{}", text(&output.stderr));
}
