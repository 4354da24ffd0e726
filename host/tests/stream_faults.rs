//! A stream whose group, env or answers get lost: what was counted is not counted again, and nothing is left behind.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use serde_json::json;
use store::testing::RedisServer;
use support::redis::Redis;
use support::{Host, wait_for};

/// A host on the stream `events`.
fn consumer(redis: &Redis, variables: &[(&str, &str)]) -> Host {
    redis.host("sum", &[&[("TRIGGER", "stream"), ("REDIS_INPUT_KEY", "events")], variables].concat())
}

fn add(number: u64) -> String {
    json!({ "add": number }).to_string()
}

fn wait_for_sum(redis: &Redis, calls: u64, sum: f64) {
    let wanted = json!({"calls": calls, "sum": sum});
    wait_for(&wanted.to_string(), || redis.output().filter(|output| *output == wanted));
}

/// A server that after its end has no more than what it was told to save.
fn forgetful() -> Redis {
    Redis::with(RedisServer::start())
}

#[test]
fn a_stream_that_survives_its_group_and_the_env_is_not_counted_twice() {
    let mut redis = forgetful();
    redis.append((1..=10).map(add));
    redis.cli(&["save"]);
    let host = consumer(&redis, &[]);
    wait_for_sum(&redis, 10, 55.0);
    redis.server.kill();
    host.wait_until_not_ready();
    redis.server.restart();
    host.wait_until_ready();
    redis.append([add(100)]);
    wait_for_sum(&redis, 11, 155.0);
    host.wait_for_log("goes on after");
}

#[test]
fn a_stream_that_lost_its_newest_entries_with_its_group_and_the_env_is_counted_anew() {
    let mut redis = forgetful();
    redis.append((1..=5).map(add));
    redis.cli(&["save"]);
    redis.append((6..=10).map(add));
    let host = consumer(&redis, &[]);
    wait_for_sum(&redis, 10, 55.0);
    redis.server.kill();
    host.wait_until_not_ready();
    redis.server.restart();
    wait_for_sum(&redis, 5, 15.0);
    redis.append([add(100)]);
    wait_for_sum(&redis, 6, 115.0);
}

#[test]
fn a_group_that_was_destroyed_is_made_anew_where_it_was() {
    let redis = Redis::start();
    redis.append((1..=10).map(add));
    let host = consumer(&redis, &[]);
    wait_for_sum(&redis, 10, 55.0);
    redis.cli(&["xgroup", "destroy", "events", "plugin-host"]);
    redis.append([add(100)]);
    wait_for_sum(&redis, 11, 155.0);
    host.wait_for_log("goes on after");
    assert!(host.stop().success());

    redis.cli(&["xgroup", "destroy", "events", "plugin-host"]);
    let _host = consumer(&redis, &[]);
    redis.append([add(1000)]);
    wait_for_sum(&redis, 12, 1155.0);
}

#[test]
fn a_stream_that_was_made_anew_is_read_from_its_beginning() {
    let redis = Redis::start();
    redis.append((1..=10).map(add));
    let _host = consumer(&redis, &[]);
    wait_for_sum(&redis, 10, 55.0);
    redis.cli(&["del", "events"]);
    redis.cli(&["xadd", "events", "1-1", "data", &add(100)]);
    wait_for_sum(&redis, 11, 155.0);
}

/// Appends an entry and has it given in the host's name, with an answer that the host never sees.
fn lose(redis: &Redis, number: u64) {
    let mut both = redis::pipe();
    both.atomic().cmd("XADD").arg(&["events", "*", "data", &add(number)]);
    both.cmd("XREADGROUP").arg(&["GROUP", "plugin-host", "main", "STREAMS", "events", ">"]);
    let answer: Vec<redis::Value> = both.query(&mut redis.server.connection()).unwrap();
    assert_ne!(answer[1], redis::Value::Nil, "the host was quicker");
}

#[test]
fn an_entry_whose_delivery_was_lost_is_found_after_any_loss_of_the_connection() {
    let redis = Redis::start();
    redis.append([add(1)]);
    let _host = consumer(&redis, &[("STREAM_CLAIM_IDLE", "0")]);
    wait_for_sum(&redis, 1, 1.0);
    lose(&redis, 10);
    wait_for_sum(&redis, 2, 11.0);
    redis.cli(&["client", "kill", "type", "normal", "skipme", "yes"]);
    redis.append([add(100)]);
    wait_for_sum(&redis, 3, 111.0);
    lose(&redis, 1000);
    wait_for_sum(&redis, 4, 1111.0);
}

#[test]
fn told_to_stop_it_commits_what_it_has_called_and_leaves_the_rest_pending() {
    let redis = Redis::start();
    redis.append((0..40).map(|_| json!({"add": 1, "then": "sleep"}).to_string()));
    let host = consumer(&redis, &[]);
    host.wait_for_log("falling asleep");
    assert!(host.stop().success());
    let counted = redis.output().unwrap()["calls"].as_u64().unwrap();
    assert!((1..40).contains(&counted), "{counted} were called before the end");
    assert_eq!(redis.cli(&["xpending", "events", "plugin-host"]).lines().next(), Some(&*(40 - counted).to_string()));
    let _host = consumer(&redis, &[]);
    wait_for_sum(&redis, 40, 40.0);
}

#[test]
fn entries_that_together_fill_the_memory_are_read_a_few_at_a_time() {
    let redis = Redis::start();
    redis.cli(&["config", "set", "appendonly", "no"]);
    let large = json!({"add": 1, "filling": "x".repeat(8 << 20)}).to_string();
    (0..30).for_each(|_| redis.append([large.clone()]));
    let host = consumer(&redis, &[("MEMORY_LIMIT", "205MiB"), ("HISTORY_LENGTH", "0")]);
    wait_for_sum(&redis, 30, 30.0);
    let restarts = host.status()["restarts"].clone();
    assert_eq!(restarts, json!({"sigabrt": 1}), "it begins with as many as usual, and then with one");
    redis.append((0..200).map(|_| add(1)));
    wait_for_sum(&redis, 230, 230.0);
}
