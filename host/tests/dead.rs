//! `plugin-host dead`: what was set aside is shown, and called once more.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use std::path::Path;
use std::process::Output;

use serde_json::{Value, json};
use store::testing::RedisServer;
use store::{Address, Commit, Committed, Credentials, Dead, DeadEntry, Keys, Store};
use support::redis::Redis;
use support::{plugin_host, text, wait_for};
use tokio::runtime::Runtime;

fn dead(words: &[&str], variables: &[(&str, &str)]) -> Output {
    plugin_host().arg("dead").args(words).envs(variables.iter().copied()).output().unwrap()
}

/// What it prints where it succeeds.
fn said(words: &[&str], variables: &[(&str, &str)]) -> String {
    let output = dead(words, variables);
    assert!(output.status.success(), "{words:?}: {}", text(&output.stderr));
    assert_eq!(text(&output.stderr), "", "{words:?}");
    text(&output.stdout)
}

/// What it prints where it fails with that exit code.
fn refused(code: i32, words: &[&str], variables: &[(&str, &str)]) -> String {
    let output = dead(words, variables);
    assert_eq!(output.status.code(), Some(code), "{words:?}: {}", text(&output.stdout));
    text(&output.stderr)
}

/// A store in which events can be set aside without a host.
struct Aside {
    runtime: Runtime,
    store: Store,
    keys: Keys,
    url: String,
}

impl Aside {
    fn at(url: &str) -> Aside {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let store = Store::new(Address::parse(url).unwrap(), Credentials::default());
        Aside { runtime, store, keys: Keys::of("out").unwrap(), url: url.to_owned() }
    }

    fn in_file(folder: &Path) -> Aside {
        Aside::at(&format!("sqlite:{}", folder.join("store.db").display()))
    }

    fn variables(&self) -> [(&str, &str); 2] {
        [("STORE_URL", &self.url), ("REDIS_OUTPUT_KEY", "out")]
    }

    /// Sets so many events aside: `event 0` and so on.
    fn set_aside(&self, events: usize) {
        for number in 0..events {
            let (data, reason) = (format!("event {number}"), format!("no {number}\nat all"));
            let dead = Dead {
                data: data.as_bytes(),
                reason: &reason,
                attempts: 3,
                at: "2026-01-31T12:00:00.000000Z",
                most: 1000,
            };
            let commit =
                Commit { outputs: Vec::new(), dead: Some(dead), ..store::testing::commit(&self.keys, number as u64) };
            assert_eq!(self.runtime.block_on(self.store.commit(&commit)).unwrap(), Committed::Applied);
        }
    }

    /// The ids of those that are aside, newest first.
    fn ids(&self) -> Vec<String> {
        let entries = self.runtime.block_on(self.store.dead(&self.keys, None, 1000)).unwrap();
        entries.into_iter().map(|entry| entry.id).collect()
    }

    fn waiting(&self) -> Vec<DeadEntry> {
        self.runtime.block_on(self.store.replays(&self.keys, 1000)).unwrap()
    }
}

fn json_lines(lines: &str) -> Vec<Value> {
    lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[test]
fn a_listing_has_a_line_an_event_the_newest_first() {
    let folder = tempfile::tempdir().unwrap();
    let server = RedisServer::start();
    for aside in [Aside::in_file(folder.path()), Aside::at(&server.url())] {
        aside.set_aside(40);
        let listed = said(&["list"], &aside.variables());
        let lines: Vec<_> = listed.lines().collect();
        assert!(lines[0].starts_with("ID ") && lines[0].ends_with("REASON"), "{listed}");
        let ids: Vec<_> = lines[1..].iter().map(|line| line.split_whitespace().next().unwrap().to_owned()).collect();
        assert_eq!(ids, aside.ids());
        let words: Vec<_> = lines[1].split_whitespace().skip(1).collect();
        assert_eq!(words, ["2026-01-31T12:00:00.000000Z", "3", "8", "no", "39\\nat", "all"], "{listed}");
        assert_eq!(said(&["list", "--count", "17"], &aside.variables()).lines().count(), 18);
    }
}

#[test]
fn a_listing_as_json_has_the_events_themselves() {
    let folder = tempfile::tempdir().unwrap();
    let aside = Aside::in_file(folder.path());
    aside.set_aside(2);
    let listed = said(&["list", "--format", "json", "--count", "1"], &aside.variables());
    let id = aside.ids().remove(0);
    let line = json!({
        "id": id, "at": "2026-01-31T12:00:00.000000Z", "attempts": 3, "reason": "no 1\nat all",
        "bytes": 7, "data": "event 1",
    });
    assert_eq!(json_lines(&listed), [line]);
}

#[test]
fn a_listing_of_nothing_says_so_to_who_looks_and_nothing_to_who_reads_it() {
    let folder = tempfile::tempdir().unwrap();
    let aside = Aside::in_file(folder.path());
    aside.set_aside(1);
    for format in ["text", "json"] {
        let output = dead(&["list", "--output-key", "other", "--format", format], &aside.variables());
        assert!(output.status.success() && output.stdout.is_empty(), "{}", text(&output.stdout));
        assert_eq!(text(&output.stderr), "nothing is set aside in \"{other}:dead\"\n");
    }
}

#[test]
fn events_of_a_key_wait_for_the_host_once_they_are_replayed() {
    let folder = tempfile::tempdir().unwrap();
    let server = RedisServer::start();
    for aside in [Aside::in_file(folder.path()), Aside::at(&server.url())] {
        aside.set_aside(3);
        let ids = aside.ids();
        let moved = said(&["replay", &ids[0], &ids[2]], &aside.variables());
        let waiting = aside.waiting();
        let lines = [(&ids[0], &waiting[0].id), (&ids[2], &waiting[1].id)]
            .map(|(id, entry)| format!("{id}: waits as {entry} for the host to call it\n"));
        assert_eq!(moved, lines.concat());
        assert_eq!(waiting.iter().map(|entry| entry.data.as_slice()).collect::<Vec<_>>(), [b"event 2", b"event 0"]);
        assert_eq!(aside.ids(), ids[1..2]);
        let told = refused(1, &["replay", &ids[0], "1-1", &ids[1]], &aside.variables());
        assert!(told.contains(&format!("{:?}: no such event is set aside in \"{{out}}:dead\"", ids[0])), "{told}");
        assert!(told.contains("\"1-1\""), "{told}");
        assert_eq!(aside.ids(), Vec::<String>::new(), "those that are there are replayed");
    }
}

#[test]
fn no_more_events_wait_than_are_kept_aside() {
    let folder = tempfile::tempdir().unwrap();
    let aside = Aside::in_file(folder.path());
    aside.set_aside(3);
    let [store, output] = aside.variables();
    let told = refused(1, &["replay", "--all"], &[store, output, ("DEAD_MAX", "2")]);
    assert!(told.contains("2 events wait already in \"{out}:replay\"") && told.contains("DEAD_MAX"), "{told}");
    assert_eq!((aside.waiting().len(), aside.ids().len()), (2, 1));
    assert_eq!(aside.waiting()[0].data, b"event 0", "the oldest first");
}

#[test]
fn events_of_a_stream_are_read_again_once_the_handler_can_do_it() {
    let redis = Redis::start();
    let url = redis.server.url();
    let variables = [
        ("STORE_URL", url.as_str()),
        ("REDIS_OUTPUT_KEY", "out"),
        ("TRIGGER", "stream"),
        ("REDIS_INPUT_KEY", "events"),
    ];
    redis.append((0..40).map(|number| json!({"add": 1, "then": format!("unknown{number}")}).to_string()));
    redis.append(["no JSON".to_owned()]);
    let host = redis.host("sum", &variables[2..]);
    wait_for("what is set aside", || (redis.cli(&["xlen", "{out}:dead"]) == "41").then_some(()));
    let listed = json_lines(&said(&["list", "--format", "json"], &variables));
    assert_eq!((listed[0]["data"].as_str(), listed[0]["attempts"].as_u64()), (Some("no JSON"), Some(1)));
    assert!(listed[0]["reason"].as_str().unwrap().contains("can't be read"), "{}", listed[0]);
    host.stop();

    let moved = said(&["replay", "--all"], &variables);
    assert_eq!(moved.lines().count(), 41);
    assert!(moved.lines().all(|line| line.contains(": appended to \"events\" as ")), "{moved}");
    assert_eq!(redis.cli(&["xlen", "{out}:dead"]), "0");
    let newest = redis.cli(&["xrevrange", "events", "+", "-", "count", "1"]);
    assert!(newest.ends_with("data\nno JSON"), "in the order in which they were set aside: {newest}");
    assert_eq!(said(&["replay", "--all"], &variables), "");
    // They come again, and are set aside again.
    let _host = redis.host("sum", &variables[2..]);
    wait_for("what is set aside again", || (redis.cli(&["xlen", "{out}:dead"]) == "41").then_some(()));
    assert_eq!(redis.cli(&["xlen", "events"]), "82");
}

#[test]
fn all_faults_of_the_configuration_are_told_at_once_and_no_password() {
    let told = refused(
        2,
        &["list", "--store", "redis://:hunter2@localhost", "--trigger", "sometimes"],
        &[("DEAD_MAX", "0"), ("REDIS_PASSWORD", "hunter3"), ("REDIS_PASSWORD_FILE", "/nowhere")],
    );
    assert!(told.contains("the configuration has 5 faults"), "{told}");
    for variable in ["STORE_URL (--store)", "TRIGGER (--trigger)", "DEAD_MAX", "REDIS_OUTPUT_KEY (--output-key)"] {
        assert!(told.contains(variable), "{variable}: {told}");
    }
    assert!(!told.contains("hunter"), "{told}");
}

#[test]
fn a_patterns_events_are_those_of_one_of_its_keys() {
    let server = RedisServer::start();
    let url = server.url();
    let variables = [("STORE_URL", url.as_str()), ("REDIS_INPUT_KEY", "in:*"), ("REDIS_OUTPUT_KEY", "report:*")];
    let told = refused(2, &["list"], &variables);
    assert!(told.contains("REDIS_OUTPUT_KEY (--output-key)") && told.contains("name one of these keys"), "{told}");
    let output = dead(&["list", "--output-key", "report:web"], &variables);
    assert!(output.status.success(), "{}", text(&output.stderr));
}

#[test]
fn wrong_usage_and_a_store_that_is_not_there_are_told() {
    let folder = tempfile::tempdir().unwrap();
    let aside = Aside::in_file(folder.path());
    assert!(refused(1, &["list"], &aside.variables()).contains("store.db"));
    assert!(!folder.path().join("store.db").exists(), "whoever only looks leaves no file");
    for words in [&["replay"][..], &["replay", "1-1", "--all"], &[], &["list", "--format", "xml"]] {
        refused(2, words, &aside.variables());
    }
    let streams = [("STORE_URL", aside.url.as_str()), ("REDIS_OUTPUT_KEY", "out"), ("TRIGGER", "stream")];
    assert!(refused(2, &["replay", "--all"], &streams).contains("no streams"));
    let apart = [("STORE_URL", "redis+cluster://127.0.0.1:1"), ("REDIS_OUTPUT_KEY", "out"), ("TRIGGER", "stream")];
    assert!(refused(2, &["replay", "1-1"], &apart).contains("hash tag"));
}
