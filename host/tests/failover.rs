//! A Redis that is several servers: one of them is killed, and the host goes on with the one that takes its place.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

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
    let variables =
        [("STORE_URL", url), ("HANDLER_FUNCTION", "sum"), ("TRIGGER", "push"), ("MONITORING_PERIOD", "3600")];
    let host = Host::start(&plugin("fixture"), &variables);
    host.wait_until_ready();
    host
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
