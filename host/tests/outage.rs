//! What the host does while its store is gone, hangs, refuses, or belongs to another host too.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use serde_json::json;
use store::testing::RedisServer;
use support::redis::Redis;
use support::{Host, wait_for};

#[test]
fn a_redis_that_goes_and_comes_back_costs_nothing_that_was_committed() {
    let mut redis = Redis::start();
    let host = redis.host("sum", &[]);
    redis.write(r#"{"add": 1}"#);
    redis.wait_for_sequence(1);

    redis.server.stop();
    let reason = host.wait_until_not_ready();
    assert!(reason.contains("cannot read key \"metrics\" in store redis://"), "{reason}");
    assert_eq!(host.status()["state"], "store-unavailable");
    assert_eq!(host.get("/livez").unwrap().0, 200);

    redis.server.restart();
    host.wait_until_ready();
    redis.write(r#"{"add": 2}"#);
    redis.wait_for_sequence(2);
    assert_eq!(redis.output().unwrap(), json!({"calls": 2, "sum": 3.0}));
    assert_eq!(host.status()["calls"], 2);
}

#[test]
fn a_redis_that_is_not_there_yet_is_waited_for() {
    let mut redis = Redis::start();
    redis.server.stop();
    let host = redis.host("count", &[]);
    host.wait_until_not_ready();
    host.wait_for_log("refused");
    redis.server.restart();
    host.wait_until_ready();
    redis.write("a");
    redis.wait_for_sequence(1);
}

#[test]
fn a_call_whose_commit_redis_could_not_take_is_committed_once_it_is_back() {
    let mut redis = Redis::start();
    let host = redis.host("sum", &[]);
    redis.write(r#"{"add": 5, "then": "sleep"}"#);
    // The handler sleeps for 300 ms: the server is gone when the outcome is ready.
    host.wait_for_log("falling asleep");
    redis.server.stop();
    host.wait_until_not_ready();
    redis.server.restart();
    redis.wait_for_sequence(1);
    assert_eq!(redis.output().unwrap(), json!({"calls": 1, "sum": 5.0}));
    redis.write(r#"{"add": 1}"#);
    redis.wait_for_sequence(2);
    assert_eq!(redis.output().unwrap(), json!({"calls": 2, "sum": 6.0}));
}

#[test]
fn a_redis_that_lost_its_data_gets_the_env_again() {
    let mut redis = Redis::with(RedisServer::options().arg("--save").arg("").start());
    let host = redis.host("sum", &[]);
    redis.write(r#"{"add": 1}"#);
    redis.wait_for_sequence(1);
    redis.server.stop();
    host.wait_until_not_ready();
    redis.server.restart();
    host.wait_until_ready();
    assert!(redis.saved().is_none());
    redis.write(r#"{"add": 2}"#);
    redis.wait_for_sequence(1);
    assert_eq!(redis.output().unwrap(), json!({"calls": 2, "sum": 3.0}));
}

#[test]
fn two_hosts_on_one_output_count_each_sample_once() {
    let redis = Redis::start();
    let hosts = [redis.host("sum", &[]), redis.host("sum", &[])];
    hosts.iter().for_each(Host::wait_until_ready);
    for add in 1..=50 {
        redis.write(&json!({"add": add}).to_string());
        redis.wait_for_sequence(add);
    }
    assert_eq!(redis.output().unwrap(), json!({"calls": 50, "sum": 1275.0}));
    assert_eq!(redis.sequence(), 50);
    assert_eq!(redis.history().len(), 50);
}

#[test]
fn an_env_that_cannot_be_read_keeps_the_host_from_working_and_stays() {
    let redis = Redis::start();
    let host = redis.host("handler", &[]);
    redis.write(include_str!("../../plugins/metrics/data/sample.json"));
    redis.wait_for_sequence(1);
    assert!(host.stop().success());
    let before = redis.saved().unwrap();

    let host = redis.host("sum", &[]);
    let reason = host.wait_for_log("can't be taken up");
    assert!(reason.contains("{out}:env") && reason.contains("missing field `calls`"), "{reason}");
    redis.write(r#"{"add": 1}"#);
    host.wait_until_not_ready();
    assert_eq!(host.status()["state"], "env-unreadable");
    wait_for("the state in the status key", || redis.status().filter(|status| status["state"] == "env-unreadable"));
    assert!(host.stop().success());
    assert_eq!(redis.saved().unwrap(), before);

    let host = redis.host("handler", &[]);
    redis.write(
        r#"{"timestamp": 1, "virtual_memory-total": 1, "virtual_memory-cached": 0, "virtual_memory-buffers": 0}"#,
    );
    redis.wait_for_sequence(2);
    assert!(host.stop().success());
}

#[test]
fn an_env_of_another_handler_is_not_taken_for_an_old_one() {
    let redis = Redis::start();
    let host = redis.host("sum", &[]);
    redis.write(r#"{"add": 1}"#);
    redis.wait_for_sequence(1);
    assert!(host.stop().success());
    let host = redis.host("handler", &[]);
    host.wait_for_log("missing field `cpu_history`");
    assert_eq!(redis.sequence(), 1);
}

#[test]
fn a_commit_that_redis_refuses_keeps_the_host_from_being_ready_until_it_can_be_taken() {
    let redis = Redis::start();
    let cli = |arguments: &[&str]| {
        let port = redis.server.port().to_string();
        assert!(
            std::process::Command::new("redis-cli").args(["-p", &port]).args(arguments).status().unwrap().success()
        );
    };
    cli(&["rpush", "out", "a list"]);
    let host = redis.host("sum", &[]);
    redis.write(r#"{"add": 1}"#);
    let reason = host.wait_until_not_ready();
    assert!(!reason.is_empty());
    host.wait_for_log("not ready: ");
    assert_eq!(redis.sequence(), 0);
    cli(&["del", "out"]);
    redis.wait_for_sequence(1);
    host.wait_until_ready();
    let times_ready = host.log().iter().filter(|line| line.ends_with("INFO ready")).count();
    assert_eq!((times_ready, &host.status()["calls"]), (2, &json!(1)));
}

#[test]
fn a_redis_that_hangs_is_noticed_and_does_not_keep_the_host_from_stopping() {
    let redis = Redis::start();
    let host = redis.host("count", &[]);
    redis.write("a");
    redis.wait_for_sequence(1);
    redis.server.pause();
    host.wait_until_not_ready();
    redis.server.resume();
    host.wait_until_ready();
    redis.server.pause();
    host.wait_until_not_ready();
    assert!(host.stop().success());
    redis.server.resume();
}

#[test]
fn a_timer_that_is_not_due_for_long_notices_a_redis_that_is_gone() {
    let mut redis = Redis::start();
    let host = redis.host("count", &[("TRIGGER", "timer"), ("MONITORING_PERIOD", "3600")]);
    redis.wait_for_sequence(1);
    host.wait_until_ready();
    redis.server.stop();
    host.wait_until_not_ready();
    redis.server.restart();
    host.wait_until_ready();
}

#[test]
fn an_env_of_another_host_that_cannot_be_read_is_waited_for() {
    let redis = Redis::start();
    let host = redis.host("sum", &[]);
    redis.write(r#"{"add": 1}"#);
    redis.wait_for_sequence(1);
    redis.set_env("9", "{{{");
    redis.write(r#"{"add": 2}"#);
    host.wait_for_log("can't be taken up");
    assert_eq!(host.status()["state"], "env-unreadable");
    redis.set_env("10", r#"{"calls": 100, "sum": 0.5}"#);
    redis.wait_for_sequence(11);
    assert_eq!(redis.output().unwrap(), json!({"calls": 101, "sum": 2.5}));
}
