//! A Redis that is several servers: one of them is killed, and the host goes on with the one that takes its place.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use std::ops::RangeInclusive;
use std::time::Duration;

use serde_json::json;
use store::testing::{RedisCluster, RedisServer, SentinelSet};
use store::{Address, Credentials, Keys, Store};
use support::{Host, plugin, wait_at_most};

/// How long a failover may take on a machine that runs many tests at once.
const PATIENCE: Duration = Duration::from_secs(60);

/// Somebody who writes inputs and looks at results, as a host's neighbours do.
struct Neighbour {
    store: Store,
    runtime: tokio::runtime::Runtime,
}

impl Neighbour {
    fn of(url: &str) -> Neighbour {
        Neighbour {
            store: Store::new(Address::parse(url).unwrap(), Credentials::default()),
            runtime: tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap(),
        }
    }

    /// Writes inputs of 1, each once the one before is counted.
    fn count_to(&self, first: u64, last: u64) {
        let keys = Keys::of("out").unwrap();
        for step in first..=last {
            let input = json!({"add": 1, "step": step}).to_string();
            let write = || self.runtime.block_on(self.store.write("metrics", input.as_bytes())).ok();
            wait_at_most(PATIENCE, "a write", write);
            let saved = || self.runtime.block_on(self.store.saved(&keys)).ok().flatten();
            wait_at_most(PATIENCE, "a result", || saved().filter(|saved| saved.sequence == step));
        }
        let output = self.runtime.block_on(self.store.read("out")).unwrap().unwrap();
        let output: serde_json::Value = serde_json::from_slice(&output).unwrap();
        assert_eq!(output, json!({"calls": last, "sum": last as f64}), "each input counts once");
    }
}

fn pushed(url: &str) -> Host {
    summing(url, &[("TRIGGER", "push"), ("MONITORING_PERIOD", "3600")])
}

/// A host on a stream in the slot of its output.
fn streaming(url: &str) -> Host {
    summing(url, &[("TRIGGER", "stream"), ("REDIS_INPUT_KEY", "{out}:events")])
}

fn summing(url: &str, variables: &[(&str, &str)]) -> Host {
    let all = [&[("STORE_URL", url), ("HANDLER_FUNCTION", "sum")], variables].concat();
    let host = Host::start(&plugin("fixture"), &all);
    host.wait_until_ready();
    host
}

/// Appends these numbers to the stream, to be added up, once the server is a master.
fn append(server: &RedisServer, numbers: RangeInclusive<u64>) {
    let mut all = redis::pipe();
    all.atomic();
    for number in numbers {
        all.cmd("XADD").arg(&["{out}:events", "*", "data"]).arg(json!({ "add": number }).to_string()).ignore();
    }
    wait_at_most(PATIENCE, "a master that takes entries", || all.query::<()>(&mut server.connection()).ok());
}

/// Waits until a host has added up the numbers from 1 to `last`, and checks that it took each of them once.
fn wait_for_sum(neighbour: &Neighbour, last: u64) {
    let output = || neighbour.runtime.block_on(neighbour.store.read("out")).ok().flatten();
    let output = || serde_json::from_slice::<serde_json::Value>(&output()?).ok();
    wait_at_most(PATIENCE, "all entries", || output().filter(|output| output["calls"].as_u64() >= Some(last)));
    assert_eq!(output(), Some(json!({"calls": last, "sum": (last * (last + 1) / 2) as f64})), "each entry counts once");
}

/// Waits until the replica has what was written.
fn wait_for_copy(server: &RedisServer) {
    wait_at_most(PATIENCE, "the replica", || (server.run::<i64>(&["WAIT", "1", "1000"]) == 1).then_some(()));
}

#[test]
fn with_sentinels_the_host_goes_on_at_the_new_master() {
    let mut set = SentinelSet::start(&RedisServer::options().password("secret"), &RedisServer::options());
    let host = pushed(&set.url());
    let neighbour = Neighbour::of(&set.url());
    neighbour.count_to(1, 20);
    wait_for_copy(set.first());
    set.first().kill();
    neighbour.count_to(21, 40);
    assert_eq!(host.status()["trigger"], "push");
    assert!(!host.log().join("\n").contains("secret"));
    assert!(host.stop().success());
}

#[test]
fn in_a_cluster_the_host_goes_on_at_the_new_master_and_where_slots_are_moved() {
    let mut cluster = RedisCluster::start(&RedisServer::options());
    let host = pushed(&cluster.url());
    let neighbour = Neighbour::of(&cluster.url());
    neighbour.count_to(1, 20);
    wait_for_copy(cluster.master("out"));
    wait_for_copy(cluster.master("metrics"));
    cluster.first_master("out").kill();
    neighbour.count_to(21, 40);
    cluster.master("out");
    let (from, to) = (cluster.master("out"), cluster.other_master("out"));
    cluster.begin_to_move("out", from, to);
    cluster.move_keys("out", from, to);
    neighbour.count_to(41, 50);
    cluster.end_move("out", from, to);
    neighbour.count_to(51, 60);
    assert_eq!(host.status()["trigger"], "push");
    assert!(host.stop().success());
}

#[test]
fn with_sentinels_a_stream_goes_on_at_the_new_master() {
    let mut set = SentinelSet::start(&RedisServer::options().password("secret"), &RedisServer::options());
    let host = streaming(&set.url());
    let neighbour = Neighbour::of(&set.url());
    append(set.first(), 1..=250);
    wait_for_sum(&neighbour, 250);
    wait_for_copy(set.first());
    set.first().kill();
    append(set.second(), 251..=500);
    wait_for_sum(&neighbour, 500);
    assert!(host.stop().success());
}

#[test]
fn entries_whose_commit_was_lost_with_the_master_come_again_and_count_once() {
    let mut set = SentinelSet::start(&RedisServer::options().password("secret"), &RedisServer::options());
    let host = streaming(&set.url());
    let neighbour = Neighbour::of(&set.url());
    append(set.first(), 1..=250);
    wait_for_sum(&neighbour, 250);
    // The replica gets the next entries, and not that they were called.
    host.signal("STOP");
    append(set.first(), 251..=500);
    wait_for_copy(set.first());
    set.second().run::<()>(&["CONFIG", "SET", "masterauth", "another"]);
    set.first().run::<i64>(&["CLIENT", "KILL", "TYPE", "replica"]);
    host.signal("CONT");
    wait_for_sum(&neighbour, 500);
    set.first().kill();
    append(set.second(), 501..=600);
    wait_for_sum(&neighbour, 600);
    assert!(host.stop().success());
}

#[test]
fn in_a_cluster_a_stream_goes_on_at_the_new_master_and_where_its_slot_is_moved() {
    let mut cluster = RedisCluster::start(&RedisServer::options());
    let host = streaming(&cluster.url());
    let neighbour = Neighbour::of(&cluster.url());
    append(cluster.master("out"), 1..=250);
    wait_for_sum(&neighbour, 250);
    wait_for_copy(cluster.master("out"));
    cluster.first_master("out").kill();
    append(cluster.master("out"), 251..=500);
    wait_for_sum(&neighbour, 500);
    let (from, to) = (cluster.master("out"), cluster.other_master("out"));
    cluster.begin_to_move("out", from, to);
    cluster.move_keys("out", from, to);
    cluster.end_move("out", from, to);
    append(to, 501..=750);
    wait_for_sum(&neighbour, 750);
    assert!(host.stop().success());
}
