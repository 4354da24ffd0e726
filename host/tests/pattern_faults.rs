//! What goes wrong with one key of a pattern, or with the store, costs the other keys nothing, and no env is lost.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicU16, Ordering};
use std::thread;
use std::time::Duration;

use serde_json::{Value, json};
use store::testing::RedisServer;
use support::redis::Redis;
use support::{Host, plugin, wait_for};

/// A host on `in:*` that is told of writes, and looks only at the start.
fn pushed(redis: &Redis, variables: &[(&str, &str)]) -> Host {
    fleet(&redis.server.url(), &[&[("TRIGGER", "push"), ("MONITORING_PERIOD", "3600")], variables].concat())
}

fn fleet(url: &str, variables: &[(&str, &str)]) -> Host {
    let own = [("STORE_URL", url), ("HANDLER_FUNCTION", "sum"), ("REDIS_INPUT_KEY", "in:*")];
    let host = Host::start(&plugin("fixture"), &[&own[..], &[("REDIS_OUTPUT_KEY", "out:*")], variables].concat());
    host.wait_until_ready();
    host
}

fn set(name: impl std::fmt::Display, value: &Value) -> Vec<String> {
    vec!["SET".to_owned(), format!("in:{name}"), value.to_string()]
}

fn wait_for_output(redis: &Redis, name: impl std::fmt::Display, calls: u64, sum: f64) {
    let wanted = json!({"calls": calls, "sum": sum});
    wait_for(&format!("{wanted} of {name}"), || {
        let output = redis.runtime.block_on(redis.store.read(&format!("out:{name}"))).ok()??;
        serde_json::from_slice::<Value>(&output).ok().filter(|output| *output == wanted)
    });
}

#[test]
fn an_output_that_cannot_be_written_costs_the_other_keys_nothing() {
    let redis = Redis::start();
    redis.cli(&["rpush", "out:web", "a list"]);
    redis.cli(&["set", "{out:db}:history", "plain bytes"]);
    redis.cli(&["hset", "{out:old}:env", "sequence", &u64::MAX.to_string(), "env", "{\"calls\":0,\"sum\":0}"]);
    redis.cli(&["hset", "{out:old}:env", "last_event", "x", "handler", "h", "plugin_version", "1", "saved_at", "t"]);
    let host = pushed(&redis, &[]);
    for round in 1..=2_u32 {
        let value = json!({"add": 1, "round": round});
        let bad = ["web", "db", "old"].map(|name| set(name, &value));
        redis.pipeline(bad.into_iter().chain((0..20).map(|number| set(number, &value))));
        (0..20).for_each(|number| wait_for_output(&redis, number, u64::from(round), f64::from(round)));
    }
    let status = wait_for("a failure of each value", || Some(host.status()).filter(|status| status["failures"] == 6));
    assert_eq!((&status["state"], &status["calls"]), (&json!("running"), &json!(46)), "{status}");
    assert_eq!(status["last_error"]["kind"], "output", "{status}");
    assert_eq!(redis.cli(&["lrange", "out:web", "0", "-1"]), "a list");

    redis.cli(&["del", "out:web"]);
    redis.pipeline([set("web", &json!({"add": 5}))]);
    wait_for_output(&redis, "web", 1, 5.0);
}

#[test]
fn a_redis_that_loses_its_data_while_keys_are_worked_on_gets_their_envs_again() {
    let mut redis = Redis::with(RedisServer::start());
    let host = pushed(&redis, &[]);
    for (add, sum) in [(1, 1.0), (2, 3.0)] {
        redis.pipeline((0..4).map(|number| set(number, &json!({"add": add}))));
        (0..4).for_each(|number| wait_for_output(&redis, number, add, sum));
    }
    redis.pipeline((0..4).map(|number| set(number, &json!({"add": 100, "then": "sleep"}))));
    host.wait_for_log("falling asleep");
    redis.server.kill();
    host.wait_until_not_ready();
    redis.server.restart();
    host.wait_until_ready();
    redis.pipeline((0..4).map(|number| set(number, &json!({"add": 4}))));
    (0..4).for_each(|number| wait_for_output(&redis, number, 3, 7.0));
}

#[test]
fn an_error_that_passes_while_envs_are_read_is_waited_for() {
    let redis = Redis::start();
    let host = pushed(&redis, &[]);
    redis.cli(&["acl", "setuser", "default", "-hgetall"]);
    redis.pipeline((0..4).map(|number| set(number, &json!({"add": 1}))));
    let reason = host.wait_until_not_ready();
    assert!(reason.contains("hgetall"), "{reason}");
    redis.cli(&["acl", "setuser", "default", "+hgetall"]);
    (0..4).for_each(|number| wait_for_output(&redis, number, 1, 1.0));
    host.wait_until_ready();
    assert_eq!(host.status()["failures"], 0);
}

/// Leads to a server that can be changed for new connections; answers take a while.
struct Way {
    port: u16,
    to: Arc<AtomicU16>,
}

impl Way {
    fn to(server: &RedisServer, delay: Duration) -> Way {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let way = Way { port: listener.local_addr().unwrap().port(), to: Arc::new(server.port().into()) };
        let to = Arc::clone(&way.to);
        thread::spawn(move || {
            for host in listener.incoming().map_while(Result::ok) {
                let Ok(server) = TcpStream::connect(("127.0.0.1", to.load(Ordering::Relaxed))) else { continue };
                let ends = (host.try_clone().unwrap(), server.try_clone().unwrap());
                thread::spawn(move || pass(host, server, Duration::ZERO));
                thread::spawn(move || pass(ends.1, ends.0, delay));
            }
        });
        way
    }

    fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port)
    }
}

/// Passes on what comes, until either side ends.
fn pass(mut from: TcpStream, mut to: TcpStream, delay: Duration) {
    let mut bytes = [0; 1 << 16];
    while let Ok(count @ 1..) = from.read(&mut bytes) {
        thread::sleep(delay);
        if to.write_all(&bytes[..count]).is_err() {
            break;
        }
    }
    to.shutdown(Shutdown::Both).ok();
}

#[test]
fn a_server_that_has_become_a_replica_is_let_go() {
    let (first, second) = (Redis::start(), Redis::start());
    let way = Way::to(&first.server, Duration::ZERO);
    let _host = fleet(&way.url(), &[]);
    first.pipeline([set("a", &json!({"add": 1}))]);
    wait_for_output(&first, "a", 1, 1.0);

    let has_role = |redis: &Redis, field: &str| {
        wait_for(field, || redis.cli(&["info", "replication"]).contains(field).then_some(()));
    };
    second.cli(&["replicaof", "127.0.0.1", &first.server.port().to_string()]);
    has_role(&second, "master_link_status:up");
    wait_for_output(&second, "a", 1, 1.0);
    second.cli(&["replicaof", "no", "one"]);
    way.to.store(second.server.port(), Ordering::Relaxed);
    // Its connections stay, and it answers questions.
    first.cli(&["replicaof", "127.0.0.1", &second.server.port().to_string()]);
    has_role(&first, "master_link_status:up");
    second.pipeline([set("a", &json!({"add": 2}))]);
    wait_for_output(&second, "a", 2, 3.0);
}

#[test]
fn what_is_written_while_the_keys_are_looked_through_is_called_at_once() {
    const OTHERS: usize = 200_000;
    let redis = Redis::start();
    redis.cli(&["config", "set", "appendonly", "no"]);
    redis.pipeline((0..OTHERS).map(|number| vec!["SET".to_owned(), format!("other:{number}"), "x".to_owned()]));
    let way = Way::to(&redis.server, Duration::from_millis(50));
    let own = [("STORE_URL", way.url()), ("HANDLER_FUNCTION", "sum".to_owned())];
    let own = own.each_ref().map(|(name, value)| (*name, value.as_str()));
    let keys = [("REDIS_INPUT_KEY", "in:*"), ("REDIS_OUTPUT_KEY", "out:*"), ("TRIGGER", "push")];
    let _host = Host::start(&plugin("fixture"), &[&own[..], &keys, &[("MONITORING_PERIOD", "3600")]].concat());
    let steps = || -> usize {
        let stats = redis.cli(&["info", "commandstats"]);
        stats.split("cmdstat_scan:calls=").nth(1).map_or(0, |rest| rest.split(',').next().unwrap().parse().unwrap())
    };
    wait_for("the look's beginning", || (steps() > 0).then_some(()));
    // The look may come by the first, and doesn't come back for the others.
    for calls in 1..=3 {
        redis.pipeline([set("a", &json!({"add": 1, "number": calls}))]);
        wait_for_output(&redis, "a", calls, calls as f64);
    }
    let steps = steps();
    assert!(steps < OTHERS / 1000, "the look had come to its end: {steps} steps");
}

#[test]
fn a_server_that_stops_to_tell_of_writes_is_looked_through_each_period() {
    let redis = Redis::start();
    let host = fleet(&redis.server.url(), &[("TRIGGER", "push"), ("MONITORING_PERIOD", "0.2")]);
    redis.pipeline([set("a", &json!({"add": 1}))]);
    wait_for_output(&redis, "a", 1, 1.0);
    redis.cli(&["acl", "setuser", "default", "-client|tracking"]);
    redis.cli(&["client", "kill", "type", "normal", "skipme", "yes"]);
    wait_for("polling", || (host.status()["trigger"] == "poll").then_some(()));
    redis.pipeline([set("a", &json!({"add": 2}))]);
    wait_for_output(&redis, "a", 2, 3.0);
    host.wait_until_ready();
}

#[test]
fn told_to_stop_it_commits_what_it_has_called_and_leaves_the_rest_for_later() {
    let redis = Redis::start();
    let host = pushed(&redis, &[]);
    let keys = 0..20 * thread::available_parallelism().unwrap().get().min(16);
    redis.pipeline(keys.clone().map(|number| set(number, &json!({"add": 1, "then": "sleep"}))));
    // Each thread has one round of one key behind it, and is in the middle of the next.
    let calls = || host.log().iter().filter(|line| line.contains("falling asleep")).count();
    let threads = thread::available_parallelism().unwrap().get().min(16);
    wait_for("the second rounds", || (calls() >= 3 * threads).then_some(()));
    assert!(host.stop().success());
    let counted = keys.clone().filter(|number| redis.cli(&["exists", &format!("out:{number}")]) == "1").count();
    assert!((1..keys.len()).contains(&counted), "{counted} were called before the end");
    let _host = pushed(&redis, &[]);
    keys.for_each(|number| wait_for_output(&redis, number, 1, 1.0));
}

#[test]
fn values_that_fill_the_memory_are_set_aside_unread_and_the_other_keys_are_counted() {
    let redis = Redis::start();
    redis.cli(&["config", "set", "appendonly", "no"]);
    let host = pushed(&redis, &[("MEMORY_LIMIT", "205MiB"), ("INPUT_MAX_BYTES", "1MiB")]);
    let large = json!({"add": 1, "filling": "x".repeat(60 << 20)}).to_string();
    for name in ["a", "b", "c", "d", "e", "f"] {
        redis.cli(&["set", &format!("in:{name}"), "no JSON"]);
        redis.pipeline([vec!["SET".to_owned(), format!("in:{name}"), large.clone()]]);
    }
    redis.pipeline((0..20).map(|number| set(number, &json!({"add": 1}))));
    (0..20).for_each(|number| wait_for_output(&redis, number, 1, 1.0));
    wait_for("what was set aside", || {
        let newest = redis.cli(&["xrevrange", "{out:f}:dead", "+", "-", "count", "1"]);
        newest.contains("62914582 bytes are more than INPUT_MAX_BYTES").then_some(())
    });
    redis.pipeline([set("a", &json!({"add": 2}))]);
    wait_for_output(&redis, "a", 1, 2.0);
    assert_eq!(host.status()["restarts"], json!({}));
}
