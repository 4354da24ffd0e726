//! `plugin-host run` with a real Redis: results, companion keys, restarts, failed calls, configuration.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use serde_json::{Value, json};
use store::testing::RedisServer;
use store::{Address, Credentials, Keys, Store};
use support::redis::Redis;
use support::{Host, plugin, plugin_host, text, wait_for};

#[test]
fn a_result_and_its_companion_keys_are_written() {
    let redis = Redis::start();
    let host = redis.host("sum", &[("HISTORY_LENGTH", "2")]);
    for (step, add) in [1, 2, 3].into_iter().enumerate() {
        redis.write(&format!("{{\"add\": {add}}}"));
        redis.wait_for_sequence(step as u64 + 1);
    }
    assert_eq!(redis.output().unwrap(), json!({"calls": 3, "sum": 6.0}));
    assert_eq!(redis.history(), [json!({"calls": 2, "sum": 3.0}), json!({"calls": 3, "sum": 6.0})]);

    let saved = redis.saved().unwrap();
    assert_eq!(serde_json::from_slice::<Value>(&saved.env).unwrap(), json!({"calls": 3, "sum": 6.0}));
    assert_eq!((saved.sequence, saved.handler.as_str(), saved.plugin_version.as_str()), (3, "sum", "0.1.0"));
    assert!(saved.last_event.starts_with("sha256:") && saved.last_event.len() == 71, "{}", saved.last_event);
    assert!(saved.saved_at.ends_with('Z'), "{}", saved.saved_at);

    let status = wait_for("a status with three calls", || redis.status().filter(|status| status["calls"] == 3));
    assert_eq!((&status["state"], &status["handler"]), (&json!("running"), &json!("sum")));
    assert_eq!((&status["plugin"]["name"], &status["plugin"]["abi"]), (&json!("fixture"), &json!(1)));
    assert_eq!(status["period"], 0.02);
    assert!(status["last_call_us"].as_f64().unwrap() > 0.0);

    assert!(host.stop().success());
    let status = redis.status().unwrap();
    assert_eq!(status["state"], "stopped");
}

#[test]
fn env_goes_on_after_a_restart_and_the_same_sample_is_not_counted_again() {
    let redis = Redis::start();
    let sample = |percent: f64| {
        json!({"timestamp": "t", "virtual_memory-total": 8, "virtual_memory-cached": 1, "virtual_memory-buffers": 0,
               "cpu_percent-0": percent})
        .to_string()
    };
    let host = redis.host("handler", &[]);
    redis.write(&sample(10.0));
    redis.wait_for_sequence(1);
    assert!(host.stop().success());

    let host = redis.host("handler", &[]);
    host.wait_until_ready();
    redis.wait_for_looks();
    redis.write(&sample(20.0));
    redis.wait_for_sequence(2);
    assert_eq!(redis.output().unwrap()["avg-util-cpu0-60sec"], 15.0);
    assert_eq!(host.status()["calls"], 1, "the first sample was called again");
    host.kill();

    let host = redis.host("handler", &[]);
    redis.write(&sample(20.0));
    host.wait_until_ready();
    redis.wait_for_looks();
    redis.write(&sample(60.0));
    redis.wait_for_sequence(3);
    assert_eq!(redis.output().unwrap()["avg-util-cpu0-60sec"], 30.0);
    assert_eq!(redis.sequence(), 3);
}

#[test]
fn equal_bytes_are_called_once() {
    let redis = Redis::start();
    let host = redis.host("count", &[]);
    redis.write("a");
    redis.wait_for_sequence(1);
    redis.write("a");
    redis.wait_for_looks();
    redis.write("b");
    redis.wait_for_sequence(2);
    assert_eq!((redis.sequence(), &host.status()["calls"]), (2, &json!(2)));
}

#[test]
fn a_timer_calls_with_null_and_needs_no_input() {
    let redis = Redis::start();
    let _host = redis.host("echo", &[("TRIGGER", "timer")]);
    redis.wait_for_sequence(3);
    assert_eq!(redis.output().unwrap(), Value::Null);
    assert!(redis.saved().unwrap().last_event.starts_with("timer:"));
}

#[test]
fn the_collector_writes_this_machines_figures() {
    let redis = Redis::start();
    let url = redis.server.url();
    let _host = Host::start(&plugin("collector"), &[("STORE_URL", &url), ("TRIGGER", "timer")]);
    redis.wait_for_sequence(2);
    let figures = redis.output().unwrap();
    assert!(figures["virtual_memory-total"].as_u64().unwrap() > 0);
    assert!(figures["timestamp"].as_str().unwrap().contains('T'));
    assert!((0.0..=100.0).contains(&figures["cpu_percent-0"].as_f64().unwrap()));
}

#[test]
fn a_failed_call_writes_no_output_keeps_env_and_the_next_event_works() {
    let redis = Redis::start();
    let host = redis.host("sum", &[("MAX_ATTEMPTS", "1")]);
    redis.write(r#"{"add": 1}"#);
    let before = redis.wait_for_sequence(1);
    for (failures, then, kind, said) in [
        (1, "fail", "error", "the handler returned an error: the machine is broken: the disk is on fire"),
        (2, "panic", "panic", "out of cheese"),
        (3, "spoilenv", "env", "sum: JSON has no form for the number NaN"),
    ] {
        redis.write(&json!({"add": 10, "then": then}).to_string());
        let status = wait_for("a failure", || Some(host.status()).filter(|status| status["failures"] == failures));
        assert_eq!(status["last_error"]["kind"], kind);
        let message = status["last_error"]["message"].as_str().unwrap();
        assert!(message.starts_with("key metrics: ") && message.contains(said), "{message}");
        host.wait_for_log(said);
    }
    assert_eq!(redis.wait_for_sequence(4).env, before.env);
    assert_eq!((redis.output().unwrap(), redis.history().len()), (json!({"calls": 1, "sum": 1.0}), 1));
    assert_eq!(redis.cli(&["xlen", "{out}:dead"]), "3");

    redis.write(r#"{"add": 2}"#);
    redis.wait_for_sequence(5);
    assert_eq!(redis.output().unwrap(), json!({"calls": 2, "sum": 3.0}));
    let status = wait_for("the error in the status key", || redis.status().filter(|status| status["failures"] == 3));
    assert!(status["last_error"]["at"].as_str().unwrap().ends_with('Z'));
}

#[test]
fn bad_input_is_an_error_that_names_key_and_field_and_the_host_goes_on() {
    let redis = Redis::start();
    let host = redis.host("handler", &[]);
    let huge = format!("{{\"timestamp\": \"{}\"", "x".repeat(10 << 20));
    let cases: [(&[u8], &str); 5] = [
        (b"", "it is empty"),
        (b"not json", "expected ident"),
        (b"\xff\xfe\xfd", "not UTF-8"),
        (br#"{"timestamp": "t", "virtual_memory-total": "8"}"#, "virtual_memory-total"),
        (huge.as_bytes(), "EOF while parsing"),
    ];
    for (failures, (input, said)) in cases.into_iter().enumerate() {
        redis.runtime.block_on(redis.store.write("metrics", input)).unwrap();
        let status = wait_for("a failure", || Some(host.status()).filter(|status| status["failures"] == failures + 1));
        let message = status["last_error"]["message"].as_str().unwrap();
        assert!(message.starts_with("key metrics: the input can't be read: "), "{message}");
        assert!(message.contains(said), "{said:?} is missing in {message}");
        assert_eq!(status["last_error"]["kind"], "input");
    }
    redis.write(include_str!("../../plugins/metrics/data/sample.json"));
    redis.wait_for_sequence(6);
    assert_eq!(redis.output().unwrap()["percent-memory-cache"], 15.62);
}

#[test]
fn the_loaded_library_is_a_copy_that_only_its_user_reads() {
    use std::os::unix::fs::PermissionsExt;
    let redis = Redis::start();
    let folder = tempfile::tempdir().unwrap();
    let (original, state) = (folder.path().join("libfixture.so"), folder.path().join("state"));
    std::fs::copy(plugin("fixture"), &original).unwrap();
    let (url, state_text) = (redis.server.url(), state.to_str().unwrap());
    let host = Host::start(&original, &[("STORE_URL", &url), ("HANDLER_FUNCTION", "count"), ("STATE_DIR", state_text)]);
    host.wait_until_ready();
    let maps = std::fs::read_to_string(format!("/proc/{}/maps", host.worker())).unwrap();
    let sha256 = host.status()["plugin"]["sha256"].as_str().unwrap().to_owned();
    let mapped = maps.lines().find_map(|line| line.split_once(state_text)?.1.strip_suffix(&format!("/{sha256}.so")));
    assert!(!maps.contains("/libfixture.so"), "{maps}");
    let private = state.join(mapped.unwrap().trim_start_matches('/'));
    assert_eq!(std::fs::metadata(private).unwrap().permissions().mode() & 0o777, 0o700);

    std::fs::write(&original, "overwritten in place").unwrap();
    redis.write("a");
    redis.wait_for_sequence(1);
}

#[test]
fn a_host_whose_log_nobody_reads_goes_on() {
    let redis = Redis::start();
    let mut child = plugin_host()
        .args(["run", "--output-key", "out", "--handler", "sum", "--period", "0.02", "--http", "off", "--plugin"])
        .arg(plugin("fixture"))
        .args(["--store", &redis.server.url()])
        .stderr(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    drop(child.stderr.take());
    for add in 1..=3 {
        redis.write(&json!({"add": add, "then": "log"}).to_string());
        redis.wait_for_sequence(add);
    }
    child.kill().unwrap();
    child.wait().unwrap();
}

#[test]
fn a_value_that_comes_back_after_a_failed_one_is_called() {
    let redis = Redis::start();
    let host = redis.host("sum", &[]);
    redis.write(r#"{"add": 1}"#);
    redis.wait_for_sequence(1);
    redis.write("oops");
    wait_for("the failure", || Some(()).filter(|()| host.status()["failures"] == 1));
    redis.write(r#"{"add": 1}"#);
    redis.wait_for_sequence(2);
}

#[test]
fn sigterm_lets_the_running_call_end_and_commits_it() {
    let redis = Redis::start();
    let host = redis.host("sum", &[]);
    host.wait_until_ready();
    redis.write(r#"{"add": 7, "then": "sleep"}"#);
    host.wait_for_log("falling asleep");
    assert!(host.stop().success());
    assert_eq!(redis.output().unwrap(), json!({"calls": 1, "sum": 7.0}));
}

#[test]
fn the_context_has_the_python_runtimes_fields() {
    let redis = Redis::start();
    let _host = redis.host("about", &[]);
    redis.write("1");
    redis.wait_for_sequence(1);
    redis.write("2");
    let saved = redis.wait_for_sequence(2);
    let about = redis.output().unwrap();
    assert_eq!((&about["host"], &about["port"]), (&json!("127.0.0.1"), &json!(redis.server.port())));
    assert_eq!((&about["input_key"], &about["output_key"]), (&json!("metrics"), &json!("out")));
    assert_eq!(about["event_id"], json!(saved.last_event));
    assert!(about["last_execution"].as_str().unwrap().contains('T'));
}

#[test]
fn healthcheck_says_whether_the_host_is_ready() {
    let mut redis = Redis::start();
    let host = redis.host("count", &[]);
    host.wait_until_ready();
    let check = || plugin_host().args(["healthcheck", "--http", host.http()]).output().unwrap();
    let healthy = check();
    assert_eq!((healthy.status.code(), text(&healthy.stdout)), (Some(0), "ready\n".to_owned()));
    redis.server.stop();
    host.wait_until_not_ready();
    let unhealthy = check();
    assert_eq!(unhealthy.status.code(), Some(1));
    assert!(text(&unhealthy.stdout).starts_with("not ready: "));
    host.kill();
    let gone = plugin_host().args(["healthcheck"]).env("HTTP_ADDR", "127.0.0.1:1").output().unwrap();
    assert_eq!(gone.status.code(), Some(1));
}

#[test]
fn wrong_configuration_is_told_as_a_whole_with_exit_code_2() {
    let output = plugin_host().arg("run").env("MONITORING_PERIOD", "soon").env("TRIGGER", "never").output().unwrap();
    assert_eq!(output.status.code(), Some(2));
    let told = text(&output.stderr);
    for said in ["3 faults", "MONITORING_PERIOD (--period)", "TRIGGER (--trigger)", "REDIS_OUTPUT_KEY (--output-key)"] {
        assert!(told.contains(said), "{said:?} is missing in {told}");
    }
}

#[test]
fn a_taken_http_address_is_told_and_ends_the_host() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let output = plugin_host()
        .args(["run", "--output-key", "out", "--handler", "count", "--store", "sqlite:/dev/null/x", "--http"])
        .arg(taken.local_addr().unwrap().to_string())
        .arg("--plugin")
        .arg(plugin("fixture"))
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(text(&output.stderr).contains("set HTTP_ADDR to a free address"), "{}", text(&output.stderr));
}

#[test]
fn json_logs_are_one_object_a_line() {
    let redis = Redis::start();
    let host = redis.host("sum", &[("LOG_FORMAT", "json")]);
    redis.write(r#"{"add": 1, "then": "log"}"#);
    redis.wait_for_sequence(1);
    let called: Value = serde_json::from_str(&host.wait_for_log("\"called\"")).unwrap();
    host.log().iter().for_each(|line| assert!(serde_json::from_str::<Value>(line).unwrap().is_object()));
    assert_eq!((&called["fields"]["key"], &called["level"]), (&json!("metrics"), &json!("INFO")));
    assert!(called["fields"]["us"].is_u64() && called["fields"]["output_bytes"] == 21, "{called}");
    let record: Value = serde_json::from_str(&host.wait_for_log("adding 1")).unwrap();
    assert_eq!(
        (&record["fields"]["plugin"], &record["fields"]["handler"]),
        (&json!("fixture"), &json!("sum")),
        "{record}"
    );
}

#[test]
fn a_redis_over_tls_serves_as_well() {
    let redis = Redis::with(RedisServer::options().tls().arg("--tls-auth-clients").arg("yes").start());
    let (url, files) = (redis.server.tls_url(), redis.server.tls_files());
    let (ca, client) = (files.ca_file.unwrap(), files.client.unwrap());
    let path = |path: &std::path::PathBuf| path.to_str().unwrap().to_owned();
    let (ca, cert, key) = (path(&ca), path(&client.cert_file), path(&client.key_file));
    let untrusting = redis.host("sum", &[("STORE_URL", &url)]);
    untrusting.wait_for_log("name the certificate of its authority in REDIS_CA_FILE");
    let tls = [("REDIS_CA_FILE", ca.as_str()), ("REDIS_CERT_FILE", &cert), ("REDIS_KEY_FILE", &key)];
    let host = redis.host("sum", &[&[("STORE_URL", url.as_str())], &tls[..]].concat());
    redis.write(r#"{"add": 1}"#);
    redis.wait_for_sequence(1);
    assert!(host.stop().success());
}

#[test]
fn a_sqlite_file_serves_as_well() {
    let folder = tempfile::tempdir().unwrap();
    let url = format!("sqlite:{}", folder.path().join("a/b.db").display());
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let store = Store::new(Address::parse(&url).unwrap(), Credentials::default());
    let keys = Keys::of("out").unwrap();
    let host = Host::start(&plugin("fixture"), &[("STORE_URL", &url), ("HANDLER_FUNCTION", "sum")]);
    for sequence in 1..=3 {
        let input = json!({"add": sequence}).to_string();
        runtime.block_on(store.write("metrics", input.as_bytes())).unwrap();
        wait_for("a commit", || {
            runtime.block_on(store.saved(&keys)).unwrap().filter(|saved| saved.sequence == sequence)
        });
    }
    assert_eq!(runtime.block_on(store.read("out")).unwrap().unwrap(), br#"{"calls":3,"sum":6.0}"#);
    assert!(host.stop().success());
}

#[test]
fn a_value_that_was_given_up_for_a_newer_one_is_called_when_it_is_back() {
    let redis = Redis::start();
    let host = redis.host("sum", &[("MONITORING_PERIOD", "5"), ("MAX_ATTEMPTS", "1000000000")]);
    let failing = r#"{"add": 1, "then": "fail"}"#;
    redis.write(failing);
    let failures = || host.status()["failures"].as_u64().unwrap();
    wait_for("failures", || Some(failures()).filter(|failures| *failures > 5));
    redis.write(r#"{"add": 2}"#);
    let mut before = failures();
    wait_for("the end of them", || {
        let now = failures();
        (std::mem::replace(&mut before, now) == now).then_some(())
    });
    redis.write(failing);
    wait_for("more of them", || Some(failures()).filter(|failures| *failures > before));
}

#[test]
fn a_value_that_fills_the_memory_is_set_aside_unread() {
    let redis = Redis::start();
    redis.cli(&["config", "set", "appendonly", "no"]);
    let host = redis.host("sum", &[("MEMORY_LIMIT", "205MiB"), ("INPUT_MAX_BYTES", "1MiB")]);
    redis.write(&json!({"add": 1, "filling": "x".repeat(250 << 20)}).to_string());
    wait_for("what was set aside", || (redis.cli(&["xlen", "{out}:dead"]) == "1").then_some(()));
    assert_eq!(redis.cli(&["xrange", "{out}:dead", "-", "+"]).lines().nth(2).unwrap().len(), (1 << 20) + 1);
    // A longer one that begins so is another one.
    redis.cli(&["append", "metrics", " "]);
    wait_for("the other one", || (redis.cli(&["xlen", "{out}:dead"]) == "2").then_some(()));
    redis.write(r#"{"add": 2}"#);
    redis.wait_for_sequence(3);
    assert_eq!(redis.output().unwrap()["sum"], 2.0);
    assert_eq!(host.status()["restarts"], json!({}));
}
