//! The same with a pattern of keys: whatever one key's value does costs the others nothing.

use std::time::Duration;

use proptest::prelude::Rng;
use proptest::test_runner::{RngAlgorithm, TestRng};
use serde_json::{Value, json};
use store::Keys;

use super::signal;
use super::support::redis::Redis;
use super::support::{Host, plugin_host, text, wait_at_most, wait_for};

fn fleet(redis: &Redis, variables: &[(&str, &str)]) -> Host {
    let mut all = vec![("REDIS_INPUT_KEY", "in:*"), ("REDIS_OUTPUT_KEY", "out:*")];
    all.extend_from_slice(variables);
    super::host(redis, &all)
}

fn set(number: usize, value: &Value) -> Vec<String> {
    vec!["SET".to_owned(), format!("in:{number}"), value.to_string()]
}

fn output(redis: &Redis, number: usize) -> Option<Value> {
    let output = redis.runtime.block_on(redis.store.read(&format!("out:{number}"))).ok()??;
    Some(serde_json::from_slice(&output).unwrap())
}

#[test]
fn a_value_that_ends_the_process_is_set_aside_and_the_others_are_counted() {
    for (then, restarts) in [("segfault", json!({"sigsegv": 3})), ("loop", json!({"timeout": 3}))] {
        let redis = Redis::start();
        let host = fleet(&redis, &[("HANDLER_TIMEOUT", "0.5")]);
        redis.pipeline((0..20).map(|number| set(number, &json!({"add": 1}))));
        (0..20).for_each(|number| {
            wait_for("a first result", || output(&redis, number));
        });
        let bad = json!({"add": 100, "then": then});
        let good = |number| set(number, &json!({"add": 2}));
        redis.pipeline((0..10).map(good).chain([set(10, &bad)]).chain((11..20).map(good)));
        let dead = || redis.cli(&["xrange", "{out:10}:dead", "-", "+"]);
        let told = wait_for("what was set aside", || Some(dead()).filter(|dead| !dead.is_empty()));
        assert_eq!((told.lines().nth(2).unwrap(), told.lines().nth(6).unwrap()), (bad.to_string().as_str(), "3"));
        for number in (0..20).filter(|number| *number != 10) {
            let sum = || output(&redis, number).filter(|output| output["sum"] == 3.0);
            assert_eq!(wait_for("the sum 3", sum)["calls"], 2, "key {number}");
        }
        assert_eq!(output(&redis, 10).unwrap()["sum"], 1.0);
        redis.pipeline([set(10, &json!({"add": 5}))]);
        wait_for("the next value", || output(&redis, 10).filter(|output| output["sum"] == 6.0));
        assert_eq!(host.status()["restarts"], restarts);
    }
}

#[test]
fn a_value_that_fails_is_set_aside_after_its_attempts_unless_a_newer_one_comes() {
    let redis = Redis::start();
    let _host = fleet(&redis, &[]);
    redis.pipeline([
        set(1, &json!({"add": 1, "then": "fail"})),
        set(2, &json!({"add": 1, "then": "panic", "until": 3})),
    ]);
    wait_for("what was set aside", || (redis.cli(&["xlen", "{out:1}:dead"]) == "1").then_some(()));
    assert_eq!(wait_for("a result", || output(&redis, 2)), json!({"calls": 1, "sum": 1.0, "attempt": 3}));
    redis.pipeline([set(1, &json!({"add": 2}))]);
    assert_eq!(wait_for("a result", || output(&redis, 1)), json!({"calls": 1, "sum": 2.0, "attempt": 1}));
}

#[test]
fn what_was_set_aside_is_called_once_more_out_of_turn() {
    let redis = Redis::start();
    // The last one's name has a hash tag of its own.
    let names = ["1", "a b", "{2}"];
    let set = |name: &str, value: Value| vec!["SET".to_owned(), format!("in:{name}"), value.to_string()];
    let read = |name: &str| {
        let keys = Keys::of(&format!("out:{name}")).unwrap();
        let saved = redis.runtime.block_on(redis.store.saved(&keys)).unwrap()?;
        Some((keys, saved.sequence, serde_json::from_slice::<Value>(&saved.env).unwrap_or_default()))
    };
    let wait_for_commits = |name: &str, commits: u64| {
        wait_for(&format!("commit {commits} of {name}"), || read(name).filter(|(_, sequence, _)| *sequence == commits))
    };
    let host = fleet(&redis, &[("MAX_ATTEMPTS", "1")]);
    redis.pipeline(names.map(|name| set(name, json!({"add": 10, "then": "fail", "until": 2}))));
    names.iter().for_each(|name| drop(wait_for_commits(name, 1)));
    redis.pipeline(names.map(|name| set(name, json!({"add": 1}))));
    names.iter().for_each(|name| drop(wait_for_commits(name, 2)));
    assert!(host.stop().success());

    let host = fleet(&redis, &[]);
    host.wait_until_ready();
    for name in names {
        let replayed = plugin_host()
            .args(["dead", "replay", "--all", "--output-key", &format!("out:{name}"), "--store", &redis.server.url()])
            .output()
            .unwrap();
        assert!(replayed.status.success(), "{}", text(&replayed.stderr));
        let (keys, _, env) = wait_for_commits(name, 3);
        assert_eq!(env, json!({"calls": 2, "sum": 11.0}), "{name}");
        assert_eq!([&keys.dead, &keys.replay].map(|key| redis.cli(&["xlen", key])), ["0", "0"], "{name}");
    }
    // The keys' own values were counted before, and still are; the next ones go on from there.
    redis.pipeline(names.map(|name| set(name, json!({"add": 5}))));
    for name in names {
        assert_eq!(wait_for_commits(name, 4).2, json!({"calls": 3, "sum": 16.0}), "{name}");
    }
    assert_eq!(host.status()["dead"], 0);
}

#[test]
fn what_fails_once_more_is_set_aside_again_and_what_ends_the_process_too() {
    for (then, attempts) in [("fail", "3"), ("segfault", "3")] {
        let redis = Redis::start();
        let host = fleet(&redis, &[]);
        let bad = json!({"add": 100, "then": then});
        redis.pipeline([set(1, &bad)]);
        wait_for("what was set aside", || (redis.cli(&["xlen", "{out:1}:dead"]) == "1").then_some(()));
        redis.pipeline([set(1, &json!({"add": 1}))]);
        wait_for("a result", || output(&redis, 1));
        let first = redis.cli(&["xrange", "{out:1}:dead", "-", "+"]);
        let replayed = plugin_host()
            .args(["dead", "replay", "--all", "--output-key", "out:1", "--store", &redis.server.url()])
            .output()
            .unwrap();
        assert!(replayed.status.success(), "{}", text(&replayed.stderr));
        let dead = || redis.cli(&["xrange", "{out:1}:dead", "-", "+"]);
        let again =
            wait_for("what was set aside again", || Some(dead()).filter(|dead| !dead.is_empty() && *dead != first));
        let lines: Vec<_> = again.lines().collect();
        assert_eq!((lines[2], lines[6]), (bad.to_string().as_str(), attempts), "{then}");
        assert_eq!(redis.cli(&["xlen", "{out:1}:replay"]), "0", "{then}");
        redis.pipeline([set(1, &json!({"add": 2}))]);
        wait_for("the next value", || output(&redis, 1).filter(|output| output["sum"] == 3.0));
        host.wait_until_ready();
    }
}

#[test]
fn each_value_that_was_committed_is_counted_once_though_processes_are_killed_at_any_instant() {
    const KEYS: usize = 10;
    let redis = Redis::start();
    let state = tempfile::tempdir().unwrap();
    let variables = [("STATE_DIR", state.path().to_str().unwrap()), ("MAX_ATTEMPTS", "1000")];
    let mut random = TestRng::deterministic_rng(RngAlgorithm::ChaCha);
    let mut host = fleet(&redis, &variables);
    for kill in 0..100 {
        redis.pipeline((0..KEYS).map(|number| set(number, &json!({"add": 1, "number": kill}))));
        std::thread::sleep(Duration::from_micros(u64::from(random.next_u32() % 40_000)));
        if kill % 3 != 0 {
            signal("KILL", host.worker());
        }
        if kill % 3 != 1 {
            host.kill();
            host = fleet(&redis, &variables);
        }
    }
    redis.pipeline((0..KEYS).map(|number| set(number, &json!({"add": 1, "number": "last"}))));
    for number in 0..KEYS {
        let keys = Keys::of(&format!("out:{number}")).unwrap();
        let last = redis.runtime.block_on(redis.store.read(&format!("in:{number}"))).unwrap().unwrap();
        let id = host::trigger::content_id(&last);
        let saved = wait_at_most(Duration::from_secs(30), "the last value", || {
            redis.runtime.block_on(redis.store.saved(&keys)).ok()?.filter(|saved| saved.last_event == id)
        });
        let env: Value = serde_json::from_slice(&saved.env).unwrap();
        assert_eq!(env["calls"].as_u64(), Some(saved.sequence), "key {number}");
        assert_eq!(env["sum"].as_f64(), Some(saved.sequence as f64), "key {number}");
        assert!(saved.sequence <= 101, "key {number}");
    }
}
