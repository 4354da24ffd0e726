//! `plugin-host run` with a real Redis: results, companion keys, restarts, failures.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use serde_json::{Value, json};
use store::testing::RedisServer;
use store::{Address, Credentials, Keys, Saved, Store};
use support::{Host, plugin, plugin_host, text, wait_for};

/// A Redis and a way to look into it.
struct Redis {
    server: RedisServer,
    store: Store,
    keys: Keys,
    runtime: tokio::runtime::Runtime,
}

impl Redis {
    fn start() -> Redis {
        Redis::with(RedisServer::options().appendonly().arg("--appendfsync").arg("always").start())
    }

    fn with(server: RedisServer) -> Redis {
        Redis {
            store: Store::new(Address::parse(&server.url()).unwrap(), Credentials::default()),
            keys: Keys::of("out").unwrap(),
            runtime: tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap(),
            server,
        }
    }

    /// Runs a handler of the fixture with this store.
    fn host(&self, handler: &str, variables: &[(&str, &str)]) -> Host {
        let url = self.server.url();
        let mut all = vec![("STORE_URL", url.as_str()), ("HANDLER_FUNCTION", handler)];
        all.extend_from_slice(variables);
        Host::start(&plugin(if handler == "handler" { "metrics" } else { "fixture" }), &all)
    }

    fn write(&self, input: &str) {
        // After a restart of the server the first try finds the old connection broken.
        wait_for("a write", || self.runtime.block_on(self.store.write("metrics", input.as_bytes())).ok());
    }

    /// Waits until the host has looked at its input twice, so at least once from beginning to end.
    fn wait_for_looks(&self) {
        let looks = || -> u64 {
            let stats = std::process::Command::new("redis-cli")
                .args(["-p", &self.server.port().to_string(), "info", "commandstats"])
                .output()
                .unwrap();
            let stats = text(&stats.stdout);
            stats.split("cmdstat_get:calls=").nth(1).and_then(|rest| rest.split(',').next()?.parse().ok()).unwrap_or(0)
        };
        let before = looks();
        wait_for("two looks at the input", || Some(()).filter(|()| looks() >= before + 2));
    }

    fn output(&self) -> Option<Value> {
        let output = self.runtime.block_on(self.store.read("out")).ok()??;
        Some(serde_json::from_slice(&output).unwrap())
    }

    fn saved(&self) -> Option<Saved> {
        self.runtime.block_on(self.store.saved(&self.keys)).ok()?
    }

    fn sequence(&self) -> u64 {
        self.saved().map_or(0, |saved| saved.sequence)
    }

    fn wait_for_sequence(&self, sequence: u64) -> Saved {
        wait_for(&format!("commit {sequence}"), || self.saved().filter(|saved| saved.sequence >= sequence))
    }

    fn history(&self) -> Vec<Value> {
        let history = self.runtime.block_on(self.store.history(&self.keys, 1000)).unwrap();
        history.iter().map(|entry| serde_json::from_slice(&entry.data).unwrap()).collect()
    }

    fn status(&self) -> Option<Value> {
        let status = self.runtime.block_on(self.store.status(&self.keys)).ok()??;
        Some(serde_json::from_slice(&status).unwrap())
    }
}

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
    let host = redis.host("sum", &[]);
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
    assert_eq!(redis.saved().unwrap(), before);
    assert_eq!((redis.output().unwrap(), redis.history().len()), (json!({"calls": 1, "sum": 1.0}), 1));

    redis.write(r#"{"add": 2}"#);
    redis.wait_for_sequence(2);
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
    redis.wait_for_sequence(1);
    assert_eq!(redis.output().unwrap()["percent-memory-cache"], 15.62);
}

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
fn the_loaded_library_is_a_copy_that_only_its_user_reads() {
    use std::os::unix::fs::PermissionsExt;
    let redis = Redis::start();
    let folder = tempfile::tempdir().unwrap();
    let (original, state) = (folder.path().join("libfixture.so"), folder.path().join("state"));
    std::fs::copy(plugin("fixture"), &original).unwrap();
    let (url, state_text) = (redis.server.url(), state.to_str().unwrap());
    let host = Host::start(&original, &[("STORE_URL", &url), ("HANDLER_FUNCTION", "count"), ("STATE_DIR", state_text)]);
    host.wait_until_ready();
    let maps = std::fs::read_to_string(format!("/proc/{}/maps", host.pid())).unwrap();
    let sha256 = host.status()["plugin"]["sha256"].as_str().unwrap().to_owned();
    assert!(maps.contains(&format!("{state_text}/plugins/{sha256}.so")), "{maps}");
    assert!(!maps.contains("/libfixture.so"), "{maps}");
    assert_eq!(std::fs::metadata(state.join("plugins")).unwrap().permissions().mode() & 0o777, 0o700);

    std::fs::write(&original, "overwritten in place").unwrap();
    redis.write("a");
    redis.wait_for_sequence(1);
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
fn an_env_of_another_host_that_cannot_be_read_is_waited_for() {
    let redis = Redis::start();
    let host = redis.host("sum", &[]);
    redis.write(r#"{"add": 1}"#);
    redis.wait_for_sequence(1);
    let port = redis.server.port().to_string();
    let set = |sequence: &str, env: &str| {
        let fields = ["hset", "{out}:env", "sequence", sequence, "env", env, "last_event", "z"];
        assert!(std::process::Command::new("redis-cli").args(["-p", &port]).args(fields).status().unwrap().success());
    };
    set("9", "{{{");
    redis.write(r#"{"add": 2}"#);
    host.wait_for_log("can't be taken up");
    assert_eq!(host.status()["state"], "env-unreadable");
    set("10", r#"{"calls": 100, "sum": 0.5}"#);
    redis.wait_for_sequence(11);
    assert_eq!(redis.output().unwrap(), json!({"calls": 101, "sum": 2.5}));
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
