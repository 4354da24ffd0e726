//! `TRIGGER=push`: results come when inputs are written, not when a period has passed. The period is an hour in here.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use serde_json::json;
use store::testing::RedisServer;
use support::redis::Redis;
use support::{Host, wait_for};

fn pushed(redis: &Redis, handler: &str) -> Host {
    let host = redis.host(handler, &[("TRIGGER", "push"), ("MONITORING_PERIOD", "3600")]);
    host.wait_until_ready();
    host
}

#[test]
fn each_write_is_called_as_it_comes() {
    let redis = Redis::start();
    let host = pushed(&redis, "sum");
    for step in 1..=20 {
        redis.write(&json!({"add": 1, "step": step}).to_string());
        redis.wait_for_sequence(step);
    }
    assert_eq!(redis.output().unwrap(), json!({"calls": 20, "sum": 20.0}));
    assert_eq!(host.status()["trigger"], "push");
}

#[test]
fn what_was_written_before_the_start_is_called_and_equal_bytes_are_not() {
    let redis = Redis::start();
    redis.write("a");
    let host = pushed(&redis, "count");
    redis.wait_for_sequence(1);
    redis.write("a");
    redis.write("b");
    redis.wait_for_sequence(2);
    assert_eq!(host.status()["calls"], 2);
    assert!(host.stop().success());

    let host = pushed(&redis, "count");
    redis.write("c");
    redis.wait_for_sequence(3);
    assert_eq!(host.status()["calls"], 1, "what was called before the restart was called again");
}

#[test]
fn of_a_burst_the_newest_value_is_called_last_and_none_twice() {
    let redis = Redis::start();
    let host = pushed(&redis, "echo");
    redis.pipeline((1..=500).map(|number| vec!["SET".to_owned(), "metrics".to_owned(), number.to_string()]));
    wait_for("the newest value", || redis.output().filter(|output| *output == json!(500)));
    let history = redis.history();
    assert!(history.is_sorted_by(|a, b| a.as_u64() < b.as_u64()), "{history:?}");
    assert_eq!(host.status()["calls"], history.len());
}

#[test]
fn keys_that_only_begin_alike_are_no_input() {
    let redis = Redis::start();
    let host =
        redis.host("count", &[("TRIGGER", "push"), ("MONITORING_PERIOD", "3600"), ("REDIS_OUTPUT_KEY", "metrics-out")]);
    host.wait_until_ready();
    redis.cli(&["set", "metrics2", "x"]);
    redis.write("a");
    wait_for("a result", || (redis.cli(&["get", "metrics-out"]) == "1").then_some(()));
    redis.write("b");
    wait_for("another", || (redis.cli(&["get", "metrics-out"]) == "2").then_some(()));
    assert_eq!(host.status()["calls"], 2, "the host's own writes were taken for inputs");
}

#[test]
fn after_a_restart_of_the_server_writes_are_told_again() {
    let mut redis = Redis::start();
    let host = pushed(&redis, "sum");
    redis.write(r#"{"add": 1}"#);
    redis.wait_for_sequence(1);
    redis.server.stop();
    redis.server.restart();
    redis.write(r#"{"add": 2}"#);
    redis.wait_for_sequence(2);
    redis.write(r#"{"add": 3}"#);
    redis.wait_for_sequence(3);
    assert_eq!(redis.output().unwrap(), json!({"calls": 3, "sum": 6.0}));
    assert_eq!(host.status()["trigger"], "push");
}

#[test]
fn a_server_that_tells_nobody_is_polled_and_that_is_said() {
    let redis = Redis::with(RedisServer::options().arg("--rename-command").arg("CLIENT").arg("").start());
    let host = redis.host("count", &[("TRIGGER", "push")]);
    host.wait_for_log("falls back to a look each period");
    redis.write("a");
    redis.wait_for_sequence(1);
    wait_for("what it does now", || Some(()).filter(|()| host.status()["trigger"] == "poll"));
}

#[test]
fn a_file_is_polled() {
    let folder = tempfile::tempdir().unwrap();
    let url = format!("sqlite:{}", folder.path().join("store.db").display());
    let host = Host::start(
        &support::plugin("fixture"),
        &[("STORE_URL", &url), ("TRIGGER", "push"), ("HANDLER_FUNCTION", "count")],
    );
    host.wait_for_log("falls back to a look each period");
    host.wait_until_ready();
}
