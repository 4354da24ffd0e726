//! SIGTERM, once and twice.

use std::path::Path;
use std::time::Duration;

use serde_json::json;

use super::support::redis::Redis;
use super::support::{wait_at_most, wait_for};
use super::{host, signal, wait_for_sum};

#[test]
fn a_call_that_is_under_way_ends_and_is_committed() {
    let redis = Redis::start();
    let host = host(&redis, &[]);
    redis.write(r#"{"add": 1, "then": "sleep"}"#);
    host.wait_for_log("falling asleep");
    assert!(host.stop().success());
    assert_eq!(redis.output().unwrap(), json!({"calls": 1, "sum": 1.0, "attempt": 1}));
}

#[test]
fn a_second_signal_ends_the_host_now_and_the_event_is_not_lost() {
    let redis = Redis::start();
    let mut host = host(&redis, &[("HANDLER_TIMEOUT", "600")]);
    redis.write(r#"{"add": 1, "then": "loop", "until": 2}"#);
    host.wait_for_log("going round in circles");
    let worker = host.worker();
    signal("TERM", host.pid());
    host.wait_for_log("stopping");
    signal("TERM", host.pid());
    let ended = wait_at_most(Duration::from_secs(10), "the end", || host.ended());
    assert_eq!(ended.code(), Some(1));
    wait_for("the worker's end", || (!Path::new(&format!("/proc/{worker}")).exists()).then_some(()));
    assert!(redis.output().is_none());

    let _host = super::host(&redis, &[]);
    redis.write(r#"{"add": 1, "then": "loop", "until": 1}"#);
    wait_for_sum(&redis, 1.0);
}
