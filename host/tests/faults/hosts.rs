//! Two hosts with one output key.

use std::time::{Duration, Instant};

use serde_json::json;

use super::support::redis::Redis;
use super::support::{Host, wait_for};
use super::{consumer, host, signal, wait_for_sum};

/// Waits until one of two hosts works and the other stands by; gives them in this order.
pub(super) fn in_order(hosts: [Host; 2]) -> [Host; 2] {
    hosts.iter().for_each(Host::wait_until_ready);
    let state = |host: &Host| host.status()["state"].as_str().unwrap().to_owned();
    wait_for("one that works and one that stands by", || {
        let mut states = hosts.iter().map(state).collect::<Vec<_>>();
        states.sort();
        (states == ["running", "standby"]).then_some(())
    });
    let [one, two] = hosts;
    if state(&one) == "running" { [one, two] } else { [two, one] }
}

#[test]
fn the_one_that_stands_by_is_ready_and_works_at_once_when_the_other_stops() {
    let redis = Redis::start();
    let variables = [("LEASE_PERIOD", "60")];
    let [active, standby] = in_order([host(&redis, &variables), host(&redis, &variables)]);
    redis.write(r#"{"add": 1}"#);
    wait_for_sum(&redis, 1.0);
    assert_eq!(standby.status()["calls"], 0);

    assert!(active.stop().success());
    let stopped = Instant::now();
    redis.write(r#"{"add": 2}"#);
    assert_eq!(wait_for_sum(&redis, 3.0)["calls"], 2);
    assert!(stopped.elapsed() < Duration::from_secs(15), "it waited for the lease to end");
    assert_eq!(standby.status()["state"], "running");
}

#[test]
fn one_that_is_killed_is_replaced_when_its_lease_has_ended() {
    let redis = Redis::start();
    let variables = [("LEASE_PERIOD", "0.5")];
    let [active, standby] = in_order([host(&redis, &variables), host(&redis, &variables)]);
    redis.write(r#"{"add": 1}"#);
    wait_for_sum(&redis, 1.0);
    active.kill();
    redis.write(r#"{"add": 2}"#);
    wait_for_sum(&redis, 3.0);
    assert_eq!(standby.status()["state"], "running");
}

#[test]
fn hosts_with_different_periods_do_not_both_work() {
    let redis = Redis::start();
    let active = host(&redis, &[("LEASE_PERIOD", "30")]);
    wait_for("one that works", || (active.status()["state"] == "running").then_some(()));
    let hasty = host(&redis, &[("LEASE_PERIOD", "0.3")]);
    wait_for("one that stands by", || (hasty.status()["state"] == "standby").then_some(()));
    for sum in 1..=20 {
        redis.write(&json!({"add": 1, "number": sum}).to_string());
        wait_for_sum(&redis, f64::from(sum));
        // Several of the other's periods.
        std::thread::sleep(Duration::from_millis(100));
    }
    assert_eq!((&active.status()["calls"], &hasty.status()["calls"]), (&json!(20), &json!(0)));
    assert_eq!(hasty.status()["state"], "standby");
    assert_eq!(redis.history().len(), 20);
}

#[test]
fn a_crash_of_the_worker_costs_no_takeover() {
    let redis = Redis::start();
    let variables = [("LEASE_PERIOD", "2")];
    let [active, standby] = in_order([host(&redis, &variables), host(&redis, &variables)]);
    for add in 1..=10 {
        redis.write(&json!({"add": 1, "number": add, "then": "segfault", "until": 2}).to_string());
        wait_for_sum(&redis, f64::from(add));
    }
    assert_eq!(active.status()["restarts"], json!({"sigsegv": 10}));
    assert_eq!(standby.status()["state"], "standby");
}

#[test]
fn one_that_was_stopped_for_long_cannot_commit_what_it_called_before() {
    let redis = Redis::start();
    let variables = [("LEASE_PERIOD", "0.5"), ("STREAM_BATCH", "1")];
    let [active, standby] = in_order([consumer(&redis, &variables), consumer(&redis, &variables)]);
    redis.append([json!({"add": 1}).to_string()]);
    wait_for_sum(&redis, 1.0);
    redis.append([json!({"add": 10, "then": "sleep"}).to_string()]);
    active.wait_for_log("falling asleep");
    let stopped = [active.worker(), active.pid()];
    stopped.iter().for_each(|pid| signal("STOP", *pid));
    // The other one finds the entry pending and calls it too.
    assert_eq!(wait_for_sum(&redis, 11.0)["calls"], 2);
    redis.append([json!({"add": 100}).to_string()]);
    wait_for_sum(&redis, 111.0);
    stopped.iter().for_each(|pid| signal("CONT", *pid));
    wait_for("standing by", || (active.status()["state"] == "standby").then_some(()));
    assert_eq!(standby.status()["state"], "running");
    redis.append([json!({"add": 1000}).to_string()]);
    assert_eq!(wait_for_sum(&redis, 1111.0)["calls"], 4);
    assert_eq!(redis.history().len(), 4);
}

#[test]
fn one_that_stands_by_is_not_ready_while_the_store_is_away() {
    let mut redis = Redis::start();
    let [_active, standby] = in_order([host(&redis, &[]), host(&redis, &[])]);
    redis.write(r#"{"add": 1}"#);
    wait_for_sum(&redis, 1.0);
    redis.server.stop();
    standby.wait_until_not_ready();
    redis.server.restart();
    standby.wait_until_ready();
    redis.write(r#"{"add": 2}"#);
    assert_eq!(wait_for_sum(&redis, 3.0)["calls"], 2);
    assert_eq!(redis.history().len(), 2);
}
