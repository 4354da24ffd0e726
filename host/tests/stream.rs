//! `TRIGGER=stream`: each entry counted once, whatever happens to hosts, batches and handlers.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use std::time::Duration;

use proptest::prelude::Rng;
use serde_json::{Value, json};
use store::testing::RedisServer;
use support::redis::Redis;
use support::{Host, plugin_host, text, wait_at_most, wait_for};

/// A host on the stream `events`.
fn consumer(redis: &Redis, handler: &str, variables: &[(&str, &str)]) -> Host {
    let mut all = vec![("TRIGGER", "stream"), ("REDIS_INPUT_KEY", "events")];
    all.extend_from_slice(variables);
    redis.host(handler, &all)
}

fn add(number: usize) -> String {
    json!({ "add": number }).to_string()
}

/// How many entries are given and not acknowledged.
fn pending(redis: &Redis) -> usize {
    redis.cli(&["xpending", "events", "plugin-host"]).lines().next().unwrap().parse().unwrap()
}

fn wait_for_calls(redis: &Redis, calls: u64) -> Value {
    wait_for(&format!("{calls} calls"), || redis.output().filter(|output| output["calls"].as_u64() >= Some(calls)))
}

#[test]
fn entries_are_called_in_order_and_acknowledged_with_their_results() {
    let redis = Redis::start();
    redis.append((1..=250).map(add));
    let host = consumer(&redis, "sum", &[("STREAM_BATCH", "100"), ("HISTORY_LENGTH", "120")]);
    wait_for_calls(&redis, 250);
    redis.append([add(1000)]);
    assert_eq!(wait_for_calls(&redis, 251), json!({"calls": 251, "sum": 31375.0 + 1000.0}));

    let calls: Vec<_> = redis.history().iter().map(|result| result["calls"].as_u64().unwrap()).collect();
    assert_eq!(calls, (132..=251).collect::<Vec<_>>(), "a result an entry, in order, the newest 120");
    wait_for("the acknowledgement", || (pending(&redis) == 0).then_some(()));
    let newest = redis.cli(&["xrevrange", "events", "+", "-", "count", "1"]);
    assert_eq!(Some(redis.saved().unwrap().last_event.as_str()), newest.lines().next());
    assert_eq!((&host.status()["trigger"], &host.status()["calls"]), (&json!("stream"), &json!(251)));
    assert!(redis.sequence() < 10, "a commit a batch, not one an entry: {}", redis.sequence());
}

#[test]
fn an_entry_without_data_is_given_as_an_object_of_its_fields() {
    let redis = Redis::start();
    let _host = consumer(&redis, "echo", &[]);
    redis.cli(&["xadd", "events", "*", "cpu", "12.5", "source", "a"]);
    assert_eq!(wait_for("a result", || redis.output()), json!({"cpu": "12.5", "source": "a"}));
}

#[test]
fn each_entry_is_counted_once_though_the_host_is_killed_at_any_instant() {
    const KILLS: u32 = 50;
    let redis = Redis::start();
    let mut random = proptest::test_runner::TestRng::deterministic_rng(proptest::test_runner::RngAlgorithm::ChaCha);
    let mut added = 0;
    for _ in 0..KILLS {
        let more = 20 + (random.next_u32() % 300) as usize;
        redis.append((added + 1..=added + more).map(add));
        added += more;
        let host = consumer(&redis, "sum", &[("STREAM_BATCH", "7")]);
        // Some are killed before they are ready, some in the middle, some when all is done.
        let instant = Duration::from_micros(u64::from(random.next_u32() % 150_000));
        std::thread::sleep(instant);
        host.kill();
    }
    let _host = consumer(&redis, "sum", &[]);
    let wanted = json!({"calls": added, "sum": (added * (added + 1) / 2) as f64});
    wait_at_most(Duration::from_secs(60), "the rest", || redis.output().filter(|output| output["calls"] == added));
    assert_eq!(redis.output().unwrap(), wanted);
    assert_eq!(serde_json::from_slice::<Value>(&redis.saved().unwrap().env).unwrap(), wanted);
    assert_eq!(pending(&redis), 0);
}

#[test]
fn what_the_handler_cannot_do_is_set_aside_and_costs_the_rest_of_its_batch_nothing() {
    let redis = Redis::start();
    let failing = json!({"add": 100, "then": "fail"}).to_string();
    let panicking = json!({"add": 100, "then": "panic"}).to_string();
    let spoiling = json!({"add": 100, "then": "spoilenv"}).to_string();
    redis.append([add(1), failing.clone(), add(2), "no JSON".to_owned(), add(3), panicking, spoiling, add(4)]);
    let host = consumer(&redis, "sum", &[("MAX_ATTEMPTS", "2")]);
    assert_eq!(wait_for_calls(&redis, 4), json!({"calls": 4, "sum": 10.0}));
    wait_for("the acknowledgement", || (pending(&redis) == 0).then_some(()));

    let dead = redis.cli(&["xrange", "{out}:dead", "-", "+"]);
    let lines: Vec<_> = dead.lines().collect();
    let dead: Vec<_> = lines.chunks(9).map(|entry| (entry[2], entry[4], entry[6])).collect();
    assert_eq!(dead.len(), 4, "{dead:?}");
    assert_eq!((dead[0].0, dead[0].2), (failing.as_str(), "2"));
    assert!(dead[0].1.contains("the disk is on fire"), "{dead:?}");
    assert_eq!((dead[1].0, dead[1].2), ("no JSON", "1"), "no other attempt changes what can't be read");
    assert!(dead[2].1.contains("out of cheese") && dead[3].1.contains("NaN"), "{dead:?}");
    assert_eq!(host.status()["failures"], 7);
    assert_eq!(redis.history().len(), 4);
}

#[test]
fn the_attempts_are_told_to_the_handler_and_the_number_of_dead_is_bounded() {
    let redis = Redis::start();
    redis.append((0..30).map(|_| "bad".to_owned()));
    redis.append([add(1)]);
    let _host = consumer(&redis, "sum", &[("DEAD_MAX", "5")]);
    wait_for_calls(&redis, 1);
    assert_eq!(redis.cli(&["xlen", "{out}:dead"]), "5");
}

#[test]
fn entries_of_a_consumer_that_is_gone_are_claimed() {
    let redis = Redis::start();
    redis.append((1..=10).map(add));
    redis.cli(&["xgroup", "create", "events", "plugin-host", "0"]);
    redis.cli(&["xreadgroup", "group", "plugin-host", "gone", "count", "4", "streams", "events", ">"]);
    let _host = consumer(&redis, "sum", &[("STREAM_CLAIM_IDLE", "0.2")]);
    assert_eq!(wait_for_calls(&redis, 10), json!({"calls": 10, "sum": 55.0}));
    wait_for("the acknowledgement", || (pending(&redis) == 0).then_some(()));
}

#[test]
fn entries_that_were_claimed_by_another_consumer_are_counted_by_that_one_alone() {
    let redis = Redis::start();
    redis.cli(&["xgroup", "create", "events", "plugin-host", "0", "mkstream"]);
    let slow = consumer(&redis, "sum", &[("STREAM_CLAIM_IDLE", "0")]);
    slow.wait_until_ready();
    redis.append([json!({"add": 1, "then": "sleep"}).to_string()]);
    slow.wait_for_log("falling asleep");
    slow.signal("STOP");
    redis.append((2..=4).map(add));
    let other = consumer(&redis, "sum", &[("STREAM_CONSUMER", "other"), ("STREAM_CLAIM_IDLE", "0.2")]);
    let counted = |key: &str| -> u64 {
        let env = redis.cli(&["hget", key, "env"]);
        serde_json::from_str::<Value>(&env).map_or(0, |env| env["sum"].as_f64().unwrap() as u64)
    };
    wait_for("the other's count", || (counted("{out}:env:other") == 10).then_some(()));
    slow.signal("CONT");
    slow.wait_for_log("other consumers have claimed entries");
    redis.append([add(100)]);
    let total = || counted("{out}:env:other") + counted("{out}:env");
    wait_for("the last one", || (total() >= 110).then_some(()));
    wait_for("the acknowledgement", || (pending(&redis) == 0).then_some(()));
    assert_eq!(total(), 110, "an entry was counted by both");
    assert!(other.stop().success() && slow.stop().success());
}

#[test]
fn consumers_share_the_entries_each_with_an_env_of_its_own() {
    let redis = Redis::start();
    let first = consumer(&redis, "sum", &[("STREAM_CONSUMER", "a"), ("STREAM_BATCH", "5")]);
    let second = consumer(&redis, "sum", &[("STREAM_CONSUMER", "b"), ("STREAM_BATCH", "5")]);
    first.wait_until_ready();
    second.wait_until_ready();
    redis.append((1..=1000).map(add));
    let calls = |key: &str| -> u64 {
        let env = redis.cli(&["hget", key, "env"]);
        serde_json::from_str::<Value>(&env).map_or(0, |env| env["calls"].as_u64().unwrap())
    };
    wait_for("all calls", || (calls("{out}:env:a") + calls("{out}:env:b") >= 1000).then_some(()));
    assert_eq!(calls("{out}:env:a") + calls("{out}:env:b"), 1000);
    assert_eq!(redis.sequence(), 0, "the env of the consumer main is none of theirs");
}

#[test]
fn results_go_to_an_output_stream_too() {
    let redis = Redis::start();
    let _host = consumer(&redis, "sum", &[("REDIS_OUTPUT_STREAM", "results")]);
    redis.append((1..=30).map(add));
    wait_for_calls(&redis, 30);
    assert_eq!(redis.cli(&["xlen", "results"]), "30");
    let last = redis.cli(&["xrevrange", "results", "+", "-", "count", "1"]);
    assert_eq!(last.lines().nth(2), Some(redis.output().unwrap().to_string().as_str()));
}

#[test]
fn an_entry_that_was_removed_while_it_was_pending_is_let_go() {
    let redis = Redis::start();
    redis.append((1..=3).map(add));
    redis.cli(&["xgroup", "create", "events", "plugin-host", "0"]);
    let read = redis.cli(&["xreadgroup", "group", "plugin-host", "main", "streams", "events", ">"]);
    redis.cli(&["xdel", "events", read.lines().nth(1).unwrap()]);
    let host = consumer(&redis, "sum", &[]);
    assert_eq!(wait_for_calls(&redis, 2), json!({"calls": 2, "sum": 5.0}));
    host.wait_for_log("removed before they were read");
    wait_for("the acknowledgement", || (pending(&redis) == 0).then_some(()));
}

#[test]
fn a_server_that_lost_its_data_is_written_on_to_from_the_hosts_env() {
    let mut redis = Redis::with(RedisServer::start());
    let _host = consumer(&redis, "sum", &[]);
    redis.append((1..=10).map(add));
    wait_for_calls(&redis, 10);
    redis.server.stop();
    redis.server.restart();
    wait_for("the lost stream", || (redis.cli(&["exists", "events"]) == "1").then_some(()));
    redis.append([add(100)]);
    assert_eq!(wait_for_calls(&redis, 11), json!({"calls": 11, "sum": 155.0}));
}

#[test]
fn a_stop_leaves_nothing_half_done() {
    let redis = Redis::start();
    redis.append((1..=5000).map(add));
    let host = consumer(&redis, "sum", &[("STREAM_BATCH", "10")]);
    wait_for_calls(&redis, 100);
    assert!(host.stop().success());
    let done = redis.output().unwrap()["calls"].as_u64().unwrap();
    let _host = consumer(&redis, "sum", &[]);
    assert_eq!(wait_for_calls(&redis, 5000), json!({"calls": 5000, "sum": 12_502_500.0}), "stopped after {done}");
}

#[test]
fn wrong_settings_are_told_together() {
    let output = plugin_host()
        .args(["run", "--trigger", "stream", "--store", "sqlite:x.db", "--output-key", "out", "--stream-batch", "0"])
        .args(["--output-stream", "out", "--max-attempts", "none"])
        .output()
        .unwrap();
    let said = text(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{said}");
    for part in ["a SQLite file has no streams", "STREAM_BATCH", "REDIS_OUTPUT_STREAM", "MAX_ATTEMPTS"] {
        assert!(said.contains(part), "{said}");
    }
}
