//! What a store can do to a host: it waits, not ready, and goes on by itself.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use serde_json::json;
use store::testing::RedisServer;
use store::{Address, Credentials, Keys, Store};

use super::support::redis::Redis;
use super::support::{Host, plugin, wait_for};
use super::{Disk, consumer, host, wait_for_sum};

/// How much of a core both processes of a host take while a condition is waited for.
fn share_of_a_core(host: &Host, seconds: u64) -> f64 {
    let ticks = || -> u64 {
        [host.pid(), host.worker()]
            .iter()
            .filter_map(|pid| std::fs::read_to_string(format!("/proc/{pid}/stat")).ok())
            .map(|stat| {
                let rest: Vec<_> = stat.rsplit(") ").next().unwrap().split(' ').collect();
                rest[11].parse::<u64>().unwrap() + rest[12].parse::<u64>().unwrap()
            })
            .sum()
    };
    let before = ticks();
    std::thread::sleep(Duration::from_secs(seconds));
    (ticks() - before) as f64 / (seconds * 100) as f64
}

#[test]
fn a_redis_that_is_killed_and_keeps_its_data_loses_nothing() {
    let mut redis = Redis::start();
    let host = consumer(&redis, &[]);
    for round in 0..5 {
        redis.append((0..500).map(|_| json!({"add": 1}).to_string()));
        redis.server.kill();
        host.wait_until_not_ready();
        redis.server.restart();
        wait_for_sum(&redis, f64::from((round + 1) * 500));
    }
    assert_eq!(redis.output().unwrap()["calls"], 2500);
}

#[test]
fn a_redis_that_is_away_costs_little_time() {
    let mut redis = Redis::start();
    let host = host(&redis, &[]);
    redis.write(r#"{"add": 1}"#);
    wait_for_sum(&redis, 1.0);
    redis.server.stop();
    host.wait_until_not_ready();
    let (_, metrics) = host.get("/metrics").unwrap();
    let errors = metrics.lines().find_map(|line| line.strip_prefix("plugin_host_store_errors_total "));
    assert!(errors.unwrap().parse::<u64>().unwrap() > 0, "{metrics}");
    let share = share_of_a_core(&host, 5);
    assert!(share <= 0.02, "{share} of a core");
    redis.server.restart();
    redis.write(r#"{"add": 2}"#);
    wait_for_sum(&redis, 3.0);
}

#[test]
fn a_redis_that_is_full_is_waited_for() {
    let redis = Redis::start();
    let host = host(&redis, &[]);
    redis.write(r#"{"add": 1}"#);
    wait_for_sum(&redis, 1.0);
    redis.write(r#"{"add": 2, "then": "sleep"}"#);
    host.wait_for_log("falling asleep");
    redis.cli(&["config", "set", "maxmemory", "1"]);
    let reason = host.wait_until_not_ready();
    assert!(reason.contains("maxmemory") || reason.contains("OOM"), "{reason}");
    redis.cli(&["config", "set", "maxmemory", "0"]);
    wait_for_sum(&redis, 3.0);
    host.wait_until_ready();
}

#[test]
fn a_redis_that_has_become_a_replica_is_waited_for() {
    let redis = Redis::start();
    let host = host(&redis, &[]);
    redis.write(r#"{"add": 1}"#);
    wait_for_sum(&redis, 1.0);
    redis.write(r#"{"add": 2, "then": "sleep"}"#);
    host.wait_for_log("falling asleep");
    redis.cli(&["replicaof", "127.0.0.1", "1"]);
    let reason = host.wait_until_not_ready();
    assert!(reason.to_lowercase().contains("read only replica") || reason.contains("READONLY"), "{reason}");
    redis.cli(&["replicaof", "no", "one"]);
    wait_for_sum(&redis, 3.0);
}

#[test]
fn connections_that_are_cut_in_the_middle_cost_nothing() {
    let redis = Redis::start();
    let _host = consumer(&redis, &[("STREAM_BATCH", "10")]);
    for _ in 0..30 {
        redis.append((0..100).map(|_| json!({"add": 1}).to_string()));
        redis.cli(&["client", "kill", "type", "normal", "skipme", "yes"]);
    }
    assert_eq!(wait_for_sum(&redis, 3000.0)["calls"], 3000);
}

#[test]
fn a_password_that_is_wrong_is_said_and_one_that_was_changed_is_read_again() {
    let redis = Redis::start();
    redis.write(r#"{"add": 1}"#);
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("password");
    std::fs::write(&file, "an-old-secret").unwrap();
    redis.cli(&["acl", "setuser", "host", "on", ">a-new-secret", "~*", "&*", "+@all"]);
    let host = host(&redis, &[("REDIS_USERNAME", "host"), ("REDIS_PASSWORD_FILE", file.to_str().unwrap())]);
    let wrong = |(_, said): &(u16, String)| said.contains("wrong user name or password");
    let (_, reason) = wait_for("the reason", || host.get("/readyz").filter(wrong));
    assert!(!reason.contains("secret"), "{reason}");
    std::fs::write(&file, "a-new-secret").unwrap();
    wait_for_sum(&redis, 1.0);
    assert!(host.log().iter().all(|line| !line.contains("secret")));
}

fn sqlite(path: &Path) -> (Store, Keys, tokio::runtime::Runtime) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    (Store::new(Address::sqlite(path), Credentials::default()), Keys::of("out").unwrap(), runtime)
}

#[test]
fn a_file_that_is_gone_is_made_anew_with_the_env() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("store.db");
    let (store, keys, runtime) = sqlite(&path);
    let write = |input: &str| {
        wait_for("a write", || runtime.block_on(store.write("metrics", input.as_bytes())).ok());
    };
    let sum = |sum: f64| {
        wait_for(&format!("the sum {sum}"), || {
            let output = runtime.block_on(store.read("out")).ok()??;
            let output: serde_json::Value = serde_json::from_slice(&output).unwrap();
            (output["sum"] == json!(sum)).then_some(())
        });
    };
    let url = format!("sqlite:{}", path.display());
    let host = Host::start(&plugin("fixture_faulty"), &[("STORE_URL", &url), ("HANDLER_FUNCTION", "fault")]);
    write(r#"{"add": 1}"#);
    sum(1.0);
    for name in ["store.db", "store.db-wal", "store.db-shm"] {
        std::fs::remove_file(folder.path().join(name)).ok();
    }
    write(r#"{"add": 2}"#);
    sum(3.0);
    write(r#"{"add": 3, "then": "segfault"}"#);
    wait_for("what was set aside", || (host.status()["dead"] == 1).then_some(()));
    write(r#"{"add": 4}"#);
    sum(7.0);
    assert!(runtime.block_on(store.saved(&keys)).unwrap().is_some());
}

#[test]
fn a_file_that_another_process_locks_is_waited_for() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("store.db");
    let (store, _keys, runtime) = sqlite(&path);
    let url = format!("sqlite:{}", path.display());
    let host = Host::start(&plugin("fixture_faulty"), &[("STORE_URL", &url), ("HANDLER_FUNCTION", "fault")]);
    runtime.block_on(store.write("metrics", br#"{"add": 1}"#)).unwrap();
    wait_for("a result", || runtime.block_on(store.read("out")).ok()?);
    runtime.block_on(store.write("metrics", br#"{"add": 2, "then": "sleep"}"#)).unwrap();
    // The lock is held until its holder is killed.
    let hold = "import sqlite3, sys, time
file = sqlite3.connect(sys.argv[1], 60)
file.execute('begin exclusive')
time.sleep(600)";
    let lock = Command::new("python3").args(["-c", hold]).arg(&path).spawn();
    let Ok(mut lock) = lock else {
        println!("skipped: there is no python3 to lock the file with");
        return;
    };
    host.wait_until_not_ready();
    lock.kill().unwrap();
    lock.wait().unwrap();
    host.wait_until_ready();
    wait_for("the second result", || {
        let output = runtime.block_on(store.read("out")).ok()??;
        String::from_utf8_lossy(&output).contains("3.0").then_some(())
    });
}

#[test]
fn a_disk_that_is_full_is_said_and_waited_for() {
    let Some(disk) = Disk::mount() else {
        println!("skipped: this user may not mount a file system");
        return;
    };
    let path = disk.path().join("store.db");
    let (store, _keys, runtime) = sqlite(&path);
    let url = format!("sqlite:{}", path.display());
    let host = Host::start(&plugin("fixture_faulty"), &[("STORE_URL", &url), ("HANDLER_FUNCTION", "fault")]);
    runtime.block_on(store.write("metrics", br#"{"add": 1}"#)).unwrap();
    wait_for("a result", || runtime.block_on(store.read("out")).ok()?);
    runtime.block_on(store.write("metrics", br#"{"add": 2, "then": "sleep"}"#)).unwrap();
    let filling = disk.path().join("filling");
    // It fails at the end of the room.
    std::fs::write(&filling, vec![1; 2 << 20]).unwrap_err();
    let reason = host.wait_until_not_ready();
    assert!(reason.contains("full"), "{reason}");
    std::fs::remove_file(&filling).unwrap();
    host.wait_until_ready();
    wait_for("the second result", || {
        let output = runtime.block_on(store.read("out")).ok()??;
        String::from_utf8_lossy(&output).contains("3.0").then_some(())
    });
    drop(host);
}

#[test]
fn a_redis_that_answers_slowly_is_waited_for() {
    let redis = Redis::with(RedisServer::options().arg("--enable-debug-command").arg("local").start());
    let host = host(&redis, &[]);
    for add in 1..=5 {
        redis.write(&json!({"add": 1, "number": add}).to_string());
        redis.cli(&["debug", "sleep", "0.5"]);
    }
    redis.write(r#"{"add": 100}"#);
    let output = wait_for("the last one", || redis.output().filter(|output| output["sum"].as_f64() >= Some(100.0)));
    assert_eq!(output["sum"].as_f64().unwrap(), 99.0 + output["calls"].as_f64().unwrap());
    host.wait_until_ready();
}

/// The server's data are away as well: what it lost is written again from the worker's env.
#[test]
fn a_redis_that_is_killed_and_loses_its_data_gets_the_env_again() {
    let mut redis = Redis::with(RedisServer::options().arg("--save").arg("").start());
    let host = host(&redis, &[]);
    redis.write(r#"{"add": 1}"#);
    wait_for_sum(&redis, 1.0);
    redis.server.kill();
    host.wait_until_not_ready();
    redis.server.restart();
    redis.write(r#"{"add": 2}"#);
    wait_for_sum(&redis, 3.0);
}

/// It answers all the while, each question with an error.
#[test]
fn a_redis_that_loads_its_data_is_waited_for() {
    // 10 ms a key: more than five seconds for what is written here.
    let arguments = ["--save", "3600 1", "--rdbcompression", "no", "--key-load-delay", "10000"];
    let arguments = arguments.into_iter().chain(["--loading-process-events-interval-bytes", "1024"]);
    let mut redis =
        Redis::with(arguments.fold(RedisServer::options(), |options, argument| options.arg(argument)).start());
    redis.pipeline((0..500).map(|key| vec!["SET".to_owned(), format!("filling:{key}"), "x".repeat(100)]));
    let host = host(&redis, &[]);
    redis.write(r#"{"add": 1}"#);
    wait_for_sum(&redis, 1.0);
    let server = &mut redis.server;
    std::thread::scope(|scope| {
        let restarted = scope.spawn(|| server.restart());
        let says_so = |(code, said): &(u16, String)| *code == 503 && said.contains("loading");
        wait_for("a host that waits for the data", || host.get("/readyz").filter(says_so));
        let share = share_of_a_core(&host, 2);
        assert!(share <= 0.02, "{share} of a core");
        assert!(!restarted.is_finished(), "it has loaded its data too soon to tell");
    });
    redis.write(r#"{"add": 2}"#);
    assert_eq!(wait_for_sum(&redis, 3.0)["calls"], 2);
    assert_eq!((redis.sequence(), redis.history().len()), (2, 2));
    host.wait_until_ready();
}

#[test]
fn a_file_on_a_file_system_that_is_read_only_is_waited_for() {
    let Some(disk) = Disk::mount() else {
        println!("skipped: this user may not mount a file system");
        return;
    };
    let path = disk.path().join("store.db");
    {
        let (store, _keys, runtime) = sqlite(&path);
        runtime.block_on(store.write("metrics", br#"{"add": 1}"#)).unwrap();
    }
    disk.remount("ro");
    let url = format!("sqlite:{}", path.display());
    let host = Host::start(&plugin("fixture_faulty"), &[("STORE_URL", &url), ("HANDLER_FUNCTION", "fault")]);
    let says_so = |(code, said): &(u16, String)| *code == 503 && said.contains("may write to");
    wait_for("what it needs", || host.get("/readyz").filter(says_so));
    disk.remount("rw");
    let (store, _keys, runtime) = sqlite(&path);
    let output = wait_for("the result", || runtime.block_on(store.read("out")).ok()?);
    let output: serde_json::Value = serde_json::from_slice(&output).unwrap();
    assert_eq!(output, json!({"calls": 1, "sum": 1.0, "attempt": 1}));
    host.wait_until_ready();
}
