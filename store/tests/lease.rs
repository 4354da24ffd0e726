//! A lease in Redis: what a standby is told of it, and who may take it.
#![allow(clippy::unwrap_used, reason = "a test may fail by a panic, in its helpers too")]

use std::time::Duration;

use store::testing::{RedisCluster, RedisServer};
use store::{Address, Cause, Change, Credentials, Error, Keys, Lease, Store, Watch};

const LONG: Duration = Duration::from_secs(60);

fn store(url: &str) -> Store {
    Store::new(Address::parse(url).unwrap(), Credentials::default())
}

fn keys() -> Keys {
    Keys::of("out").unwrap()
}

async fn next(watch: &mut Watch) -> Change {
    tokio::time::timeout(LONG, watch.next()).await.expect("something is told")
}

#[tokio::test]
async fn a_standby_is_told_that_a_lease_was_given_up() {
    let server = RedisServer::start();
    let (active, standby, keys) = (store(&server.url()), store(&server.url()), keys());
    assert_eq!(active.take_lease(&keys, "active", LONG).await.unwrap(), Lease::Held);
    let mut watch = standby.watch(&["in", &keys.lease]).await.unwrap();
    assert!(matches!(standby.take_lease(&keys, "standby", LONG).await.unwrap(), Lease::Of { .. }));
    active.release(&keys, "active").await.unwrap();
    assert_eq!(next(&mut watch).await, Change::Written(keys.lease.clone()));
    assert_eq!(standby.take_lease(&keys, "standby", LONG).await.unwrap(), Lease::Held);
}

#[tokio::test]
async fn a_standby_is_told_that_a_leases_time_is_over_and_asks_in_vain_without_being_told() {
    let server = RedisServer::start();
    let (active, standby, keys) = (store(&server.url()), store(&server.url()), keys());
    let mut watch = standby.watch(&[&keys.lease]).await.unwrap();
    assert_eq!(active.take_lease(&keys, "active", Duration::from_millis(400)).await.unwrap(), Lease::Held);
    assert_eq!(next(&mut watch).await, Change::Written(keys.lease.clone()), "it was taken");
    assert!(matches!(standby.take_lease(&keys, "standby", LONG).await.unwrap(), Lease::Of { .. }));
    assert_eq!(next(&mut watch).await, Change::Written(keys.lease.clone()), "it is over");
    assert_eq!(standby.take_lease(&keys, "standby", LONG).await.unwrap(), Lease::Held);
    assert_eq!(next(&mut watch).await, Change::Written(keys.lease), "what a script writes is told to its caller too");
}

#[tokio::test]
async fn a_server_that_restarts_without_its_data_has_a_free_lease() {
    let mut server = RedisServer::start();
    let (active, keys) = (store(&server.url()), keys());
    assert_eq!(active.take_lease(&keys, "active", LONG).await.unwrap(), Lease::Held);
    server.restart();
    assert_eq!(store(&server.url()).take_lease(&keys, "standby", LONG).await.unwrap(), Lease::Held);
    // The first operation finds the connection that has broken.
    active.ping().await.ok();
    let taken = active.take_lease(&keys, "active", LONG).await.unwrap();
    assert!(matches!(&taken, Lease::Of { token, .. } if token == "standby"), "{taken:?}");
}

#[tokio::test]
async fn a_cluster_has_each_lease_at_the_master_of_its_output() {
    let cluster = RedisCluster::start(&RedisServer::options());
    let (one, two) = (store(&cluster.url()), store(&cluster.url()));
    for name in ["a", "b", "c", "d"] {
        let keys = Keys::of(name).unwrap();
        assert_eq!(one.take_lease(&keys, "one", LONG).await.unwrap(), Lease::Held);
        let taken = two.take_lease(&keys, "two", LONG).await.unwrap();
        assert!(matches!(&taken, Lease::Of { token, .. } if token == "one"), "{taken:?}");
        assert_eq!(cluster.master(name).run::<String>(&["GET", &keys.lease]), "one 60000");
        one.release(&keys, "one").await.unwrap();
        assert_eq!(two.take_lease(&keys, "two", LONG).await.unwrap(), Lease::Held);
    }
}

#[tokio::test]
async fn whoever_may_not_write_a_lease_is_told_so() {
    let server = RedisServer::start();
    let (whole, keys) = (store(&server.url()), keys());
    let is_told = |error: Error, command: &str| {
        assert!(matches!(error.cause, Cause::Denied(_)), "{command}: {error}");
        let named = format!("{} in the lease's script", command.to_uppercase());
        assert!(error.to_string().contains(&named), "{named}: {error}");
    };
    for command in ["type", "set", "get", "pttl", "del"] {
        server.run::<()>(&["ACL", "SETUSER", "half", "reset", "on", ">pass", "~*", "+@all", &format!("-{command}")]);
        let half = store(&format!("redis://half:pass@127.0.0.1:{}", server.port()));
        match command {
            "del" => assert_eq!(half.take_lease(&keys, "half", LONG).await.unwrap(), Lease::Held),
            "get" | "pttl" => assert_eq!(whole.take_lease(&keys, "whole", LONG).await.unwrap(), Lease::Held),
            _ => {}
        }
        match command {
            "del" => is_told(half.release(&keys, "half").await.unwrap_err(), command),
            _ => is_told(half.take_lease(&keys, "half", LONG).await.unwrap_err(), command),
        }
        whole.release(&keys, "whole").await.unwrap();
    }
}
