//! Patterns of keys: one host, an env a key.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use proptest::prelude::Rng;
use serde_json::{Value, json};
use store::Keys;
use store::testing::RedisServer;
use support::redis::Redis;
use support::{Host, build, plugin, plugin_host, replace, text, wait_at_most, wait_for};

/// A host on `in:*`, whose results go to `out:*`.
fn fleet(redis: &Redis, handler: &str, variables: &[(&str, &str)]) -> Host {
    let mut all = vec![("REDIS_INPUT_KEY", "in:*"), ("REDIS_OUTPUT_KEY", "out:*")];
    all.extend_from_slice(variables);
    redis.host(handler, &all)
}

fn pushed(redis: &Redis, handler: &str, variables: &[(&str, &str)]) -> Host {
    let mut all = vec![("TRIGGER", "push"), ("MONITORING_PERIOD", "3600")];
    all.extend_from_slice(variables);
    let host = fleet(redis, handler, &all);
    host.wait_until_ready();
    host
}

fn set(name: &str, value: &Value) -> Vec<String> {
    vec!["SET".to_owned(), format!("in:{name}"), value.to_string()]
}

fn output(redis: &Redis, name: &str) -> Option<Value> {
    let output = redis.runtime.block_on(redis.store.read(&format!("out:{name}"))).unwrap()?;
    Some(serde_json::from_slice(&output).unwrap())
}

fn sequence(redis: &Redis, name: &str) -> u64 {
    let keys = Keys::of(&format!("out:{name}")).unwrap();
    redis.runtime.block_on(redis.store.saved(&keys)).unwrap().map_or(0, |saved| saved.sequence)
}

#[test]
fn each_key_has_an_env_and_a_result_of_its_own() {
    let redis = Redis::start();
    redis.pipeline([set("a", &json!({"add": 1})), set("b", &json!({"add": 10}))]);
    let host = fleet(&redis, "sum", &[]);
    wait_for("both", || (sequence(&redis, "a") == 1 && sequence(&redis, "b") == 1).then_some(()));
    redis.pipeline([set("a", &json!({"add": 2})), set("c", &json!({"add": 100}))]);
    wait_for("the others", || (sequence(&redis, "a") == 2 && sequence(&redis, "c") == 1).then_some(()));
    assert_eq!(output(&redis, "a"), Some(json!({"calls": 2, "sum": 3.0})));
    assert_eq!(output(&redis, "b"), Some(json!({"calls": 1, "sum": 10.0})));
    assert_eq!(output(&redis, "c"), Some(json!({"calls": 1, "sum": 100.0})));
    let status = wait_for("three keys", || Some(host.status()).filter(|status| status["keys"] == 3));
    assert_eq!((&status["envs"], &status["calls"], &status["trigger"]), (&json!(3), &json!(4), &json!("poll")));
    wait_for("a status in the store", || {
        serde_json::from_str::<Value>(&redis.cli(&["get", "{out:*}:status"])).ok().filter(|status| status["keys"] == 3)
    });
}

#[test]
fn writes_are_called_as_they_come_and_equal_bytes_are_not() {
    let redis = Redis::start();
    let host = pushed(&redis, "sum", &[]);
    for step in 1..=10 {
        redis.pipeline([set("a", &json!({"add": 1, "step": step})), set("b", &json!({"add": 1, "step": step}))]);
        wait_for("both", || (sequence(&redis, "a") == step && sequence(&redis, "b") == step).then_some(()));
        redis.pipeline([set("a", &json!({"add": 1, "step": step}))]);
    }
    redis.pipeline([set("last", &json!({"add": 1}))]);
    wait_for("the last", || (sequence(&redis, "last") == 1).then_some(()));
    assert_eq!(host.status()["calls"], 21);
    assert_eq!(host.status()["trigger"], "push");
}

#[test]
fn after_restarts_of_host_and_server_envs_go_on() {
    let mut redis = Redis::start();
    let host = pushed(&redis, "sum", &[]);
    redis.pipeline((0..300).map(|key| set(&key.to_string(), &json!({"add": 1}))));
    wait_for("all", || (0..300).all(|key| sequence(&redis, &key.to_string()) == 1).then_some(()));
    host.kill();
    let host = pushed(&redis, "sum", &[]);
    redis.pipeline((0..300).map(|key| set(&key.to_string(), &json!({"add": 2}))));
    wait_for("all", || (0..300).all(|key| sequence(&redis, &key.to_string()) == 2).then_some(()));
    assert_eq!(host.status()["calls"], 300, "what was counted before was called again");
    redis.server.restart();
    wait_for("the server", || redis.runtime.block_on(redis.store.ping()).ok());
    redis.pipeline((0..300).map(|key| set(&key.to_string(), &json!({"add": 3}))));
    wait_for("all", || (0..300).all(|key| sequence(&redis, &key.to_string()) == 3).then_some(()));
    assert_eq!(output(&redis, "7"), Some(json!({"calls": 3, "sum": 6.0})));
}

#[test]
fn a_server_that_lost_its_data_is_written_on_to_from_the_hosts_envs() {
    let mut redis = Redis::with(RedisServer::start());
    let _host = pushed(&redis, "sum", &[]);
    redis.pipeline([set("a", &json!({"add": 1}))]);
    wait_for("a result", || (sequence(&redis, "a") == 1).then_some(()));
    redis.pipeline([set("a", &json!({"add": 2}))]);
    wait_for("a result", || (sequence(&redis, "a") == 2).then_some(()));
    redis.server.restart();
    wait_for("the server", || redis.runtime.block_on(redis.store.ping()).ok());
    redis.pipeline([set("a", &json!({"add": 4}))]);
    wait_for("a result", || output(&redis, "a").filter(|output| *output == json!({"calls": 3, "sum": 7.0})));
}

#[test]
fn each_value_is_counted_once_though_the_host_is_killed_at_any_instant() {
    let redis = Redis::start();
    let mut random = proptest::test_runner::TestRng::deterministic_rng(proptest::test_runner::RngAlgorithm::ChaCha);
    let mut sums = BTreeMap::<u32, u64>::new();
    for round in 0..50_u64 {
        let changed: Vec<u32> = (0..40).filter(|_| random.next_u32().is_multiple_of(2)).collect();
        redis.pipeline(changed.iter().map(|key| set(&key.to_string(), &json!({"add": round + 1}))));
        for key in changed {
            *sums.entry(key).or_default() += round + 1;
        }
        let host = fleet(&redis, "sum", &[("TRIGGER", "push")]);
        std::thread::sleep(Duration::from_micros(u64::from(random.next_u32() % 60_000)));
        host.kill();
        // Of a key that is written again before it was read the newer value counts, so this one is counted first.
        let host = fleet(&redis, "sum", &[("TRIGGER", "push")]);
        let is_counted = |(key, sum): (&u32, &u64)| {
            output(&redis, &key.to_string()).is_some_and(|output| output["sum"].as_f64() == Some(*sum as f64))
        };
        wait_at_most(Duration::from_secs(60), "each value, once", || sums.iter().all(is_counted).then_some(()));
        host.kill();
    }
}

#[test]
fn a_failing_key_costs_the_others_nothing_and_its_env_stays() {
    let redis = Redis::start();
    let host = pushed(&redis, "sum", &[("MAX_ATTEMPTS", "1")]);
    redis.pipeline([set("a", &json!({"add": 1})), set("b", &json!({"add": 1}))]);
    wait_for("both", || (sequence(&redis, "a") == 1 && sequence(&redis, "b") == 1).then_some(()));
    redis.cli(&["hset", "{out:broken}:env", "sequence", "1", "env", "no JSON", "last_event", "x", "handler", "sum"]);
    redis.cli(&["hset", "{out:broken}:env", "plugin_version", "1", "saved_at", "t"]);
    redis.pipeline([
        set("a", &json!({"add": 10, "then": "panic"})),
        set("broken", &json!({"add": 1})),
        set("b", &json!({"add": 2})),
    ]);
    wait_for("b", || (sequence(&redis, "b") == 2).then_some(()));
    wait_for("two failures", || (host.status()["failures"] == 2).then_some(()));
    assert_eq!(redis.cli(&["hget", "{out:broken}:env", "env"]), "no JSON", "an env that can't be read was overwritten");
    wait_for("what was set aside", || (sequence(&redis, "a") == 2).then_some(()));
    redis.pipeline([set("a", &json!({"add": 100}))]);
    wait_for("a", || (sequence(&redis, "a") == 3).then_some(()));
    assert_eq!(output(&redis, "a"), Some(json!({"calls": 2, "sum": 101.0})));
}

#[test]
fn envs_that_are_not_touched_leave_memory_and_keys_that_vanish_are_let_go() {
    let redis = Redis::start();
    let host = pushed(&redis, "sum", &[("ENV_IDLE", "0.2")]);
    redis.pipeline([set("a", &json!({"add": 1})), set("b", &json!({"add": 1}))]);
    wait_for("both", || (sequence(&redis, "a") == 1 && sequence(&redis, "b") == 1).then_some(()));
    wait_for("two keys and no env in memory", || {
        Some(host.status()).filter(|status| status["envs"] == 0 && status["keys"] == 2)
    });
    redis.pipeline([set("a", &json!({"add": 5}))]);
    wait_for("a", || output(&redis, "a").filter(|output| *output == json!({"calls": 2, "sum": 6.0})));
    redis.cli(&["del", "in:b"]);
    wait_for("one key", || (host.status()["keys"] == 1).then_some(()));
}

#[test]
fn a_new_version_goes_on_with_each_env() {
    let redis = Redis::start();
    let folder = tempfile::tempdir().unwrap();
    let library = folder.path().join("libfixture.so");
    replace(&library, &build(1));
    let path = library.to_str().unwrap();
    let host = pushed(&redis, "versioned", &[("HANDLER_PATH", path), ("RELOAD_PERIOD", "0.05")]);
    redis.pipeline([set("a", &json!(1)), set("b", &json!(1))]);
    wait_for("both", || (sequence(&redis, "a") == 1 && sequence(&redis, "b") == 1).then_some(()));
    replace(&library, &build(2));
    host.wait_for_log("reloaded");
    redis.pipeline([set("a", &json!(2)), set("b", &json!(2))]);
    wait_for("both", || (sequence(&redis, "a") == 2 && sequence(&redis, "b") == 2).then_some(()));
    for name in ["a", "b"] {
        assert_eq!(output(&redis, name), Some(json!({"build": "build-0000000002", "calls": 2})));
    }
}

/// A host that calls `sum` of a copy of the fixture, which has been replaced by `newer` after a first call.
fn replaced(redis: &Redis, folder: &Path, newer: &[u8]) -> Host {
    let library = folder.join("libfixture.so");
    replace(&library, &build(1));
    let path = library.to_str().unwrap();
    let host = pushed(redis, "sum", &[("HANDLER_PATH", path), ("RELOAD_PERIOD", "0.05")]);
    redis.pipeline([set("a", &json!({"add": 1}))]);
    wait_for("a result", || (sequence(redis, "a") == 1).then_some(()));
    replace(&library, newer);
    host.wait_for_log("reloaded");
    host
}

#[test]
fn an_input_that_fails_in_both_versions_says_nothing_against_the_new_one() {
    let redis = Redis::start();
    let folder = tempfile::tempdir().unwrap();
    let host = replaced(&redis, folder.path(), &build(2));
    let newer = host.status()["plugin"]["sha256"].clone();
    redis.pipeline([set("a", &json!({"add": 10, "then": "panic"}))]);
    wait_for("three failures in each", || (host.status()["failures"] == 6).then_some(()));
    redis.pipeline([set("a", &json!({"add": 100})), set("b", &json!({"add": 1}))]);
    wait_for("both", || (sequence(&redis, "a") == 3 && sequence(&redis, "b") == 1).then_some(()));
    assert_eq!(output(&redis, "a"), Some(json!({"calls": 2, "sum": 101.0})));
    let status = host.status();
    assert_eq!((&status["plugin"]["sha256"], &status["last_reload"]["failed"]), (&newer, &Value::Null));
    assert_eq!((&status["failures"], &status["failed_reloads"]), (&json!(6), &json!({})));
}

#[test]
fn a_version_that_fails_where_the_one_before_succeeds_is_gone_back_from() {
    let redis = Redis::start();
    let folder = tempfile::tempdir().unwrap();
    let next = std::fs::read(plugin("fixture_next")).unwrap();
    let host = replaced(&redis, folder.path(), &next);
    redis.pipeline((0..40).map(|key| set(&key.to_string(), &json!({"add": 1}))));
    redis.pipeline([set("a", &json!({"add": 2}))]);
    let is_counted = |key: u32| sequence(&redis, &key.to_string()) == 1;
    wait_for("all", || ((0..40).all(is_counted) && sequence(&redis, "a") == 2).then_some(()));
    assert_eq!(output(&redis, "a"), Some(json!({"calls": 2, "sum": 3.0})));
    let status = host.status();
    assert_eq!(
        (&status["plugin"]["name"], &status["last_reload"]["failed"]),
        (&json!("fixture"), &json!("first-call"))
    );
    let message = status["last_reload"]["message"].as_str().unwrap();
    assert!(message.contains("the version before succeeded") && message.contains("is broken"), "{message}");
}

#[test]
fn wrong_patterns_are_told() {
    for (input, output, part) in [
        ("in:*", "out", "has no *"),
        ("in:*:*", "out:*", "more than one *"),
        ("in:*", "in:out:*", "a loop"),
        ("*", "out:*", "a loop"),
    ] {
        let refused = plugin_host().args(["run", "--input-key", input, "--output-key", output]).output().unwrap();
        let said = text(&refused.stderr);
        assert_eq!(refused.status.code(), Some(2), "{said}");
        assert!(said.contains(part), "{said}");
    }
}
