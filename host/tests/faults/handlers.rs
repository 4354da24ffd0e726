//! What a handler can do to its process.

use serde_json::json;

use super::support::redis::Redis;
use super::support::{Host, plugin, plugin_host, replace, text, wait_for};
use super::{aborting_plugin, consumer, dead, host, signal, wait_for_dead, wait_for_sum};

/// A key whose handler goes wrong each time: the event is set aside after three attempts, and the next one is counted.
fn is_survived(then: &str, reason: &str, variables: &[(&str, &str)]) -> (Redis, Host) {
    let redis = Redis::start();
    let host = host(&redis, variables);
    redis.write(r#"{"add": 1}"#);
    wait_for_sum(&redis, 1.0);
    let bad = json!({"add": 100, "then": then}).to_string();
    redis.write(&bad);
    let dead = wait_for_dead(&redis, 1);
    assert_eq!((dead[0].data.as_str(), dead[0].attempts.as_str()), (bad.as_str(), "3"), "{then}");
    assert!(dead[0].reason.contains(reason), "{then}: {:?}", dead[0].reason);
    assert_eq!(redis.output().unwrap()["sum"], 1.0, "{then}");

    redis.write(r#"{"add": 2}"#);
    assert_eq!(wait_for_sum(&redis, 3.0), json!({"calls": 2, "sum": 3.0, "attempt": 1}), "{then}");
    assert_eq!(redis.sequence(), 3, "{then}: two results and what was set aside");
    let status = host.status();
    assert_eq!((&status["failures"], &status["dead"]), (&json!(3), &json!(1)), "{then}: {status}");
    assert_eq!(host.get("/livez").unwrap().0, 200);
    (redis, host)
}

/// As above, and the process ended each time.
fn is_survived_by_another_process(then: &str, reason: &str, restart: &str) {
    let (_redis, host) = is_survived(then, reason, &[]);
    assert_eq!(host.status()["restarts"], json!({restart: 3}), "{then}");
    assert_eq!(host.status()["last_error"]["kind"], "crash", "{then}");
}

#[test]
fn an_error_is_tried_again_and_set_aside() {
    let (_redis, host) = is_survived("fail", "out of luck", &[]);
    assert_eq!(host.status()["restarts"], json!({}));
}

#[test]
fn a_panic_is_tried_again_and_set_aside() {
    let (_redis, host) = is_survived("panic", "out of cheese", &[]);
    assert_eq!(host.status()["restarts"], json!({}));
}

#[test]
fn an_abort_costs_a_process() {
    is_survived_by_another_process("abort", "signal 6 (SIGABRT)", "sigabrt");
}

#[test]
fn a_segmentation_fault_costs_a_process() {
    is_survived_by_another_process("segfault", "signal 11 (SIGSEGV)", "sigsegv");
}

#[test]
fn a_stack_overflow_costs_a_process() {
    is_survived_by_another_process("overflow", "signal 6 (SIGABRT)", "sigabrt");
}

#[test]
fn an_exit_with_success_is_none() {
    is_survived_by_another_process("exit", "exit code 0", "exit");
}

#[test]
fn a_double_free_costs_a_process() {
    is_survived_by_another_process("doublefree", "signal 6 (SIGABRT)", "sigabrt");
}

#[test]
fn a_call_that_never_ends_is_ended() {
    let (_redis, host) = is_survived("loop", "longer than HANDLER_TIMEOUT, 0.4 s", &[("HANDLER_TIMEOUT", "0.4")]);
    assert_eq!(host.status()["restarts"], json!({"timeout": 3}));
    assert_eq!(host.status()["last_error"]["kind"], "timeout");
}

#[test]
fn a_handler_that_takes_all_memory_is_stopped_by_the_limit() {
    let (_redis, host) = is_survived("allocate", "signal 6 (SIGABRT)", &[("MEMORY_LIMIT", "256MiB")]);
    assert_eq!(host.status()["restarts"], json!({"sigabrt": 3}));
}

#[test]
fn a_thread_that_is_left_behind_does_not_keep_the_host_from_ending() {
    let redis = Redis::start();
    let host = host(&redis, &[]);
    redis.write(r#"{"add": 1, "then": "thread"}"#);
    wait_for_sum(&redis, 1.0);
    redis.write(r#"{"add": 2}"#);
    wait_for_sum(&redis, 3.0);
    assert!(host.stop().success());
}

#[test]
fn a_panic_in_a_plugin_that_aborts_costs_a_process() {
    let redis = Redis::start();
    let url = redis.server.url();
    let variables = [("STORE_URL", url.as_str()), ("HANDLER_FUNCTION", "fault"), ("TRIGGER", "push")];
    let host = Host::start(&aborting_plugin(), &variables);
    redis.write(r#"{"add": 1, "then": "panic"}"#);
    assert_eq!(wait_for_dead(&redis, 1)[0].attempts, "3");
    redis.write(r#"{"add": 2}"#);
    wait_for_sum(&redis, 2.0);
    assert_eq!(host.status()["restarts"], json!({"sigabrt": 3}));
}

#[test]
fn what_ends_a_process_in_a_batch_costs_the_batchs_other_entries_no_attempt() {
    let redis = Redis::start();
    let bad = json!({"add": 1000, "then": "segfault"}).to_string();
    let recovers = json!({"add": 7, "then": "abort", "until": 3}).to_string();
    let good = |add: u64| json!({"add": add, "then": "fail", "until": 1}).to_string();
    let entries = (1..=40).map(good).chain([bad.clone()]).chain((41..=60).map(good)).chain([recovers]);
    redis.append(entries.chain((61..=80).map(good)));
    let _host = consumer(&redis, &[("STREAM_BATCH", "100")]);
    let sum = f64::from((1..=80).sum::<u32>() + 7);
    let output = wait_for_sum(&redis, sum);
    assert_eq!((&output["calls"], &output["attempt"]), (&json!(81), &json!(1)));
    let dead = dead(&redis);
    assert_eq!(dead.len(), 1);
    assert_eq!((dead[0].data.as_str(), dead[0].attempts.as_str()), (bad.as_str(), "3"));
    let attempts: Vec<_> = redis
        .history()
        .iter()
        .map(|result| result["attempt"].as_u64().unwrap())
        .filter(|attempt| *attempt > 1)
        .collect();
    assert_eq!(attempts, [3], "the one that succeeds at its third attempt");
}

#[test]
fn an_entry_that_ended_another_consumer_has_had_its_attempts_there() {
    let redis = Redis::start();
    let bad = json!({"add": 1000, "then": "segfault"}).to_string();
    let good = |add: u64| json!({"add": add}).to_string();
    redis.append([good(1), bad.clone(), good(2)]);
    redis.append([json!({"add": 4, "then": "fail", "until": 3}).to_string()]);
    let first = consumer(&redis, &[("STREAM_CONSUMER", "first"), ("MAX_ATTEMPTS", "1000")]);
    wait_for("several crashes", || (first.status()["restarts"]["sigsegv"].as_u64() > Some(3)).then_some(()));
    first.kill();
    let given = || redis.cli(&["xpending", "events", "plugin-host", "-", "+", "10"]);
    let pending = given();
    assert!(pending.lines().count() > 4, "it and others wait for somebody: {pending}");

    let second = consumer(&redis, &[("STREAM_CONSUMER", "second"), ("STREAM_CLAIM_IDLE", "0.2")]);
    let dead = wait_for_dead(&redis, 1);
    assert_eq!((dead[0].data.as_str(), dead[0].attempts.as_str()), (bad.as_str(), "3"));
    wait_for("all entries", || given().is_empty().then_some(()));
    assert_eq!(second.status()["restarts"], json!({"sigsegv": 1}), "it was called once more, and not from the start");
    let sum = |consumer: &str| -> f64 {
        let env = redis.cli(&["hget", &format!("{{out}}:env:{consumer}"), "env"]);
        serde_json::from_str::<serde_json::Value>(&env).map_or(0.0, |env| env["sum"].as_f64().unwrap())
    };
    assert_eq!(
        sum("first") + sum("second"),
        7.0,
        "those that were given with it are counted, and have had attempts too"
    );
}

#[test]
fn an_input_that_cannot_be_read_is_set_aside_at_once_and_not_called_again() {
    let redis = Redis::start();
    let host = host(&redis, &[]);
    redis.write("no JSON");
    assert_eq!(wait_for_dead(&redis, 1)[0].attempts, "1");
    assert!(host.stop().success());
    let sequence = redis.sequence();
    let host = super::host(&redis, &[]);
    host.wait_until_ready();
    redis.wait_for_looks();
    assert_eq!((redis.sequence(), dead(&redis).len()), (sequence, 1));
    assert_eq!(host.status()["calls"], 0);
}

#[test]
fn a_newer_value_takes_the_place_of_one_that_fails() {
    let redis = Redis::start();
    let host = host(&redis, &[("MAX_ATTEMPTS", "1000000000")]);
    redis.write(r#"{"add": 1, "then": "fail"}"#);
    wait_for("several attempts", || host.status()["failures"].as_u64().filter(|failures| *failures > 5));
    redis.write(r#"{"add": 2}"#);
    wait_for_sum(&redis, 2.0);
    assert_eq!(dead(&redis).len(), 0);
}

#[test]
fn inputs_results_and_envs_have_bounds() {
    let redis = Redis::start();
    let host = host(&redis, &[("INPUT_MAX_BYTES", "200"), ("ENV_MAX_BYTES", "40")]);
    redis.write(&format!(r#"{{"add": 1, "then": "{}"}}"#, "x".repeat(300)));
    let reason = wait_for_dead(&redis, 1)[0].reason.clone();
    assert!(reason.contains("INPUT_MAX_BYTES, 200"), "{reason}");
    redis.write(r#"{"add": 1234567890123456789012345678}"#);
    wait_for_sum(&redis, 1_234_567_890_123_456_789_012_345_678.0);
    drop(host);

    let host = super::host(&redis, &[("OUTPUT_MAX_BYTES", "20")]);
    redis.write(r#"{"add": 5}"#);
    let dead = wait_for_dead(&redis, 2);
    assert!(dead[1].reason.contains("OUTPUT_MAX_BYTES, 20"), "{dead:?}");
    drop(host);

    let _host = super::host(&redis, &[("ENV_MAX_BYTES", "10")]);
    redis.write(r#"{"add": 6}"#);
    let dead = wait_for_dead(&redis, 3);
    assert!(dead[2].reason.contains("ENV_MAX_BYTES, 10"), "{dead:?}");
}

/// How soon is measured by `bench/compare crash`.
#[test]
fn work_goes_on_in_another_process_after_a_crash() {
    let redis = Redis::start();
    let host = host(&redis, &[]);
    host.wait_until_ready();
    let before = host.worker();
    redis.write(r#"{"add": 1, "then": "segfault", "until": 2}"#);
    assert_eq!(wait_for_sum(&redis, 1.0)["attempt"], 2);
    assert_ne!(host.worker(), before);
}

#[test]
fn what_was_set_aside_is_called_once_more_out_of_turn() {
    let redis = Redis::start();
    let host = host(&redis, &[("MAX_ATTEMPTS", "1")]);
    redis.write(r#"{"add": 10, "then": "fail", "until": 2}"#);
    wait_for_dead(&redis, 1);
    redis.write(r#"{"add": 1}"#);
    wait_for_sum(&redis, 1.0);
    assert!(host.stop().success());

    let host = super::host(&redis, &[]);
    let replayed = plugin_host()
        .args(["dead", "replay", "--all", "--output-key", "out", "--store", &redis.server.url()])
        .output()
        .unwrap();
    assert!(replayed.status.success(), "{}", text(&replayed.stderr));
    assert_eq!(wait_for_sum(&redis, 11.0), json!({"calls": 2, "sum": 11.0, "attempt": 2}));
    assert_eq!((dead(&redis).len(), redis.cli(&["xlen", "{out}:replay"]).as_str()), (0, "0"));

    // The key's own value was counted before, and still is.
    let sequence = redis.sequence();
    assert!(host.stop().success());
    let host = super::host(&redis, &[]);
    host.wait_until_ready();
    redis.wait_for_looks();
    assert_eq!((redis.sequence(), &host.status()["calls"]), (sequence, &json!(0)));
}

#[test]
fn a_plugin_that_cannot_be_loaded_after_a_crash_is_tried_again_ever_more_slowly() {
    let redis = Redis::start();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("libfixture_faulty.so");
    let library = std::fs::read(plugin("fixture_faulty")).unwrap();
    std::fs::write(&path, &library).unwrap();
    let url = redis.server.url();
    let variables = [("STORE_URL", url.as_str()), ("HANDLER_FUNCTION", "fault"), ("TRIGGER", "push")];
    let host = Host::start(&path, &variables);
    redis.write(r#"{"add": 1}"#);
    wait_for_sum(&redis, 1.0);
    replace(&path, b"rubbish");
    signal("KILL", host.worker());
    host.wait_for_log("again_in_ms=640");
    let reason = host.wait_until_not_ready();
    assert!(reason.contains("not a shared library"), "{reason}");
    let restarts = host.status()["restarts"]["refused"].as_u64().unwrap();
    assert!(restarts < 20, "{restarts} in a second");
    // No worker says so in the store.
    let told = wait_for("the state in the store", || redis.status().filter(|status| status["state"] == "restarting"));
    assert!(told["reason"].as_str().unwrap().contains("not a shared library"), "{told}");
    assert!(told["restarts"]["refused"].as_u64() > Some(0), "{told}");
    replace(&path, &library);
    redis.write(r#"{"add": 2}"#);
    wait_for_sum(&redis, 3.0);
    wait_for("the state in the store", || redis.status().filter(|status| status["state"] == "running"));
}

#[test]
fn a_new_version_that_ends_its_process_when_it_is_loaded_is_not_taken() {
    let redis = Redis::start();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("libfixture_faulty.so");
    let library = std::fs::read(plugin("fixture_faulty")).unwrap();
    // The same library, with another word about what it does when it is loaded.
    let version = |word: &str| {
        let mark = b"at-load=nothing.";
        let mut version = library.clone();
        let at = library.windows(mark.len()).position(|window| window == mark).unwrap();
        version[at + 8..at + 16].copy_from_slice(word.as_bytes());
        version
    };
    std::fs::write(&path, &library).unwrap();
    let host = {
        let url = redis.server.url();
        let variables = [("STORE_URL", url.as_str()), ("HANDLER_FUNCTION", "fault"), ("RELOAD_PERIOD", "0.02")];
        Host::start(&path, &variables)
    };
    redis.write(r#"{"add": 1}"#);
    wait_for_sum(&redis, 1.0);
    let before = (host.worker(), host.status()["plugin"].clone());
    for (index, (word, how)) in [("segfault", "SIGSEGV"), ("success!", "exit status: 0")].into_iter().enumerate() {
        replace(&path, &version(word));
        let message = wait_for("why it is not taken", || {
            let last = host.status()["last_reload"].clone();
            last["message"].as_str().filter(|why| last["failed"] == "load" && why.contains(how)).map(str::to_owned)
        });
        assert!(message.contains("it has ended a process that tried to load it"), "{message}");
        redis.write(&json!({"add": 1, "after": word}).to_string());
        wait_for_sum(&redis, 2.0 + index as f64);
    }
    host.wait_for_log("not reloaded, the old version stays");
    let status = host.status();
    assert_eq!((&status["restarts"], &status["failed_reloads"]), (&json!({}), &json!({"load": 2})));
    assert_eq!((host.worker(), status["plugin"].clone()), before, "the same process calls the same version");

    replace(&path, &version("another."));
    wait_for("another version", || (host.status()["reloads"] == 1).then_some(()));
    redis.write(r#"{"add": 4}"#);
    assert_eq!(wait_for_sum(&redis, 7.0), json!({"calls": 4, "sum": 7.0, "attempt": 1}));
    assert_eq!((redis.sequence(), dead(&redis).len()), (4, 0));
}

#[test]
fn every_event_that_was_set_aside_is_told() {
    let redis = Redis::start();
    let host = consumer(&redis, &[("MAX_ATTEMPTS", "1")]);
    redis.append((0..5).map(|number| json!({"add": number, "then": "abort"}).to_string()));
    redis.append([json!({"add": 100}).to_string()]);
    wait_for_sum(&redis, 100.0);
    assert_eq!(dead(&redis).len(), 5);
    wait_for("all of them", || (host.status()["dead"] == 5).then_some(()));
}

#[test]
fn a_value_that_was_replaced_has_all_its_attempts_when_it_comes_again() {
    let redis = Redis::start();
    let _host = host(&redis, &[]);
    for round in 1..=4 {
        redis.write(r#"{"add": 0, "then": "segfault", "until": 2}"#);
        wait_for("the second attempt", || redis.output().filter(|output| output["calls"] == 2 * round - 1));
        redis.write(r#"{"add": 1}"#);
        wait_for("the value between", || redis.output().filter(|output| output["calls"] == 2 * round));
    }
    assert_eq!(dead(&redis).len(), 0);
}

#[test]
fn an_error_of_any_length_is_told_in_part() {
    let redis = Redis::start();
    let host = host(&redis, &[]);
    redis.write(&format!(r#"{{"add": 1, "then": "{}"}}"#, "x".repeat(1_000_000)));
    let dead = wait_for_dead(&redis, 1);
    assert!(dead[0].reason.len() < 5000 && dead[0].reason.contains("bytes)"), "{}", dead[0].reason.len());
    assert!(host.get("/status").unwrap().1.len() < 10_000);
}
