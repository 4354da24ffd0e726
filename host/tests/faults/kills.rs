//! SIGKILL at random instants: of the worker, of the supervisor, of both; with each trigger.

use std::time::Duration;

use proptest::prelude::Rng;
use proptest::test_runner::{RngAlgorithm, TestRng};
use serde_json::json;

use super::support::redis::Redis;
use super::support::{wait_at_most, wait_for};
use super::{consumer, dead, host, signal};

const KILLS: usize = 200;

/// What is killed.
const VICTIMS: [&str; 3] = ["worker", "supervisor", "both"];

#[test]
fn each_entry_of_a_stream_is_counted_once() {
    let redis = Redis::start();
    let state = tempfile::tempdir().unwrap();
    let variables = [("STREAM_BATCH", "7"), ("STATE_DIR", state.path().to_str().unwrap()), ("MAX_ATTEMPTS", "1000")];
    let mut random = TestRng::deterministic_rng(RngAlgorithm::ChaCha);
    let mut added = 0_u64;
    let mut host = consumer(&redis, &variables);
    for kill in 0..KILLS {
        let more = 20 + u64::from(random.next_u32() % 200);
        redis.append((added + 1..=added + more).map(|add| json!({"add": add}).to_string()));
        added += more;
        std::thread::sleep(Duration::from_micros(u64::from(random.next_u32() % 60_000)));
        let victim = VICTIMS[kill % VICTIMS.len()];
        if victim != "supervisor" {
            signal("KILL", host.worker());
        }
        if victim != "worker" {
            host.kill();
            host = consumer(&redis, &variables);
        }
    }
    let calls = || redis.output().filter(|output| output["calls"] == added);
    let output = wait_at_most(Duration::from_secs(60), "the rest", calls);
    assert_eq!(output["sum"], (added * (added + 1) / 2) as f64);
    assert_eq!(dead(&redis).len(), 0);
    let env: serde_json::Value = serde_json::from_slice(&redis.saved().unwrap().env).unwrap();
    assert_eq!(env, json!({"calls": added, "sum": output["sum"]}));
}

#[test]
fn each_value_of_a_key_that_was_committed_is_counted_once() {
    for trigger in ["push", "poll"] {
        let redis = Redis::start();
        let state = tempfile::tempdir().unwrap();
        let variables = [("TRIGGER", trigger), ("STATE_DIR", state.path().to_str().unwrap()), ("MAX_ATTEMPTS", "1000")];
        let mut random = TestRng::deterministic_rng(RngAlgorithm::ChaCha);
        let mut host = host(&redis, &variables);
        for kill in 0..KILLS / 2 {
            redis.write(&json!({"add": 1, "number": kill}).to_string());
            std::thread::sleep(Duration::from_micros(u64::from(random.next_u32() % 40_000)));
            let victim = VICTIMS[kill % VICTIMS.len()];
            if victim != "supervisor" {
                signal("KILL", host.worker());
            }
            if victim != "worker" {
                host.kill();
                host = super::host(&redis, &variables);
            }
        }
        redis.write(r#"{"add": 1, "number": "last"}"#);
        let last = redis.runtime.block_on(redis.store.read("metrics")).unwrap().unwrap();
        let id = host::trigger::content_id(&last);
        let saved = wait_for("the last one", || redis.saved().filter(|saved| saved.last_event == id));
        // Each commit counted one value, and no value twice: there are as many as results.
        let env: serde_json::Value = serde_json::from_slice(&saved.env).unwrap();
        assert_eq!(env["calls"].as_u64(), Some(saved.sequence), "{trigger}");
        assert!(saved.sequence <= KILLS as u64 / 2 + 1, "{trigger}: a value was counted twice");
        let sums: Vec<_> = redis.history().iter().map(|result| result["sum"].as_f64().unwrap()).collect();
        assert_eq!(sums, (1..=saved.sequence).map(|sum| sum as f64).collect::<Vec<_>>(), "{trigger}");
        assert_eq!(dead(&redis).len(), 0, "{trigger}");
        drop(host);
    }
}
