//! Events that were set aside, in Redis: back to their stream, and what a server can do against it.
#![allow(clippy::unwrap_used, reason = "a test may fail by a panic, in its helpers too")]

use std::time::Duration;

use store::testing::{RedisCluster, RedisServer, commit};
use store::{Address, Cause, Change, Commit, Committed, Credentials, Dead, Group, Keys, Replayed, Store, StreamEntry};

const MOST: usize = 100;

fn store(url: &str) -> Store {
    Store::new(Address::parse(url).unwrap(), Credentials::default())
}

fn keys() -> Keys {
    Keys::of("out").unwrap()
}

fn set_aside<'a>(keys: &'a Keys, sequence: u64, data: &'a [u8]) -> Commit<'a> {
    let dead = Dead { data, reason: "why", attempts: 3, at: "2026-01-31T12:00:00Z", most: MOST };
    Commit { outputs: Vec::new(), dead: Some(dead), ..commit(keys, sequence) }
}

/// Sets an event aside, from that sequence; gives its id.
async fn one_aside(store: &Store, keys: &Keys, sequence: u64) -> String {
    assert_eq!(store.commit(&set_aside(keys, sequence, b"{}")).await.unwrap(), Committed::Applied);
    store.dead(keys, None, 1).await.unwrap().remove(0).id
}

/// A store of a user that may do all but that.
fn without(server: &RedisServer, command: &str) -> Store {
    server.run::<()>(&["ACL", "SETUSER", "half", "reset", "on", ">pass", "~*", "+@all", &format!("-{command}")]);
    store(&format!("redis://half:pass@127.0.0.1:{}", server.port()))
}

#[tokio::test]
async fn an_event_goes_back_to_its_stream_as_an_entry_with_the_field_data() {
    let server = RedisServer::start();
    let (store, keys) = (store(&server.url()), keys());
    let group = Group { stream: "in".to_owned(), name: "group".to_owned(), consumer: "main".to_owned() };
    store.create_group(&group, None).await.unwrap();
    let id = one_aside(&store, &keys, 0).await;
    let Replayed::Moved { id: moved } = store.replay_to_stream(&keys, &id, "in").await.unwrap() else {
        panic!("it is there");
    };
    let entries = store.new_entries(&group, 9, Duration::from_secs(1)).await.unwrap();
    let fields = Some(vec![(b"data".to_vec(), b"{}".to_vec())]);
    assert_eq!(entries, [StreamEntry { id: moved, fields, deliveries: 0 }]);
    assert_eq!(store.dead(&keys, None, MOST).await.unwrap(), []);
    assert_eq!(store.replay_to_stream(&keys, &id, "in").await.unwrap(), Replayed::Gone);
    assert_eq!(store.replays(&keys, MOST).await.unwrap(), []);
}

#[tokio::test]
async fn a_stream_of_another_kind_stops_a_replay() {
    let server = RedisServer::start();
    let (store, keys) = (store(&server.url()), keys());
    let id = one_aside(&store, &keys, 0).await;
    store.write("in", b"no stream").await.unwrap();
    let error = store.replay_to_stream(&keys, &id, "in").await.unwrap_err();
    assert!(matches!(&error.cause, Cause::WrongType { key } if key == "in"), "{error}");
    assert_eq!(store.dead(&keys, None, MOST).await.unwrap().len(), 1);
}

#[tokio::test]
async fn an_entry_of_someone_elses_is_an_error_and_stays() {
    let server = RedisServer::start();
    let (store, keys) = (store(&server.url()), keys());
    server.run::<()>(&["XADD", &keys.dead, "5-5", "other", "x"]);
    for error in [
        store.dead(&keys, None, MOST).await.unwrap_err(),
        store.replay_to_stream(&keys, "5-5", "in").await.unwrap_err(),
    ] {
        assert!(matches!(&error.cause, Cause::Corrupt(_)), "{error}");
        assert!(error.to_string().contains("5-5") && error.to_string().contains("data"), "{error}");
    }
    assert_eq!(server.run::<i64>(&["XLEN", &keys.dead]), 1);
}

#[tokio::test]
async fn a_user_who_may_not_run_one_of_the_commands_moves_nothing() {
    let server = RedisServer::start();
    let (whole, keys) = (store(&server.url()), keys());
    let id = one_aside(&whole, &keys, 0).await;
    for command in ["type", "xrange", "xlen", "xdel", "xadd"] {
        let half = without(&server, command);
        let mut errors = vec![half.replay(&keys, &id, MOST).await.unwrap_err()];
        if command != "xlen" {
            errors.push(half.replay_to_stream(&keys, &id, "in").await.unwrap_err());
        }
        for error in errors {
            assert!(matches!(error.cause, Cause::Denied(_)), "{command}: {error}");
            let named = format!("{} in the replay's script", command.to_uppercase());
            assert!(error.to_string().contains(&named), "{named}: {error}");
        }
        assert_eq!(whole.dead(&keys, None, MOST).await.unwrap().len(), 1, "{command}");
        assert_eq!(whole.replays(&keys, MOST).await.unwrap(), [], "{command}");
        assert_eq!(server.run::<i64>(&["EXISTS", "in"]), 0, "{command}");
    }
    assert!(matches!(whole.replay(&keys, &id, MOST).await.unwrap(), Replayed::Moved { .. }));
}

#[tokio::test]
async fn a_user_who_may_not_run_one_of_the_commands_counts_no_replay() {
    let server = RedisServer::start();
    let (whole, keys) = (store(&server.url()), keys());
    let id = one_aside(&whole, &keys, 0).await;
    let Replayed::Moved { id } = whole.replay(&keys, &id, MOST).await.unwrap() else { panic!("it is there") };
    let counted = Commit { replayed: Some(&id), ..commit(&keys, 1) };
    for command in ["xrange", "xdel"] {
        let error = without(&server, command).commit(&counted).await.unwrap_err();
        assert!(matches!(error.cause, Cause::Denied(_)), "{command}: {error}");
        let named = format!("{} in the commit's script", command.to_uppercase());
        assert!(error.to_string().contains(&named), "{named}: {error}");
        assert_eq!(whole.saved(&keys).await.unwrap().unwrap().sequence, 1, "{command}");
        assert_eq!(whole.replays(&keys, MOST).await.unwrap().len(), 1, "{command}");
        assert_eq!(whole.history(&keys, 9).await.unwrap(), [], "{command}");
        assert_eq!(whole.read("out").await.unwrap(), None, "{command}");
    }
    // Who replays nothing needs no such rights.
    assert_eq!(without(&server, "xdel").commit(&commit(&keys, 1)).await.unwrap(), Committed::Applied);
}

#[tokio::test]
async fn a_host_is_told_of_an_event_to_replay() {
    let server = RedisServer::start();
    let (host, operator, keys) = (store(&server.url()), store(&server.url()), keys());
    let id = one_aside(&host, &keys, 0).await;
    let mut watch = host.watch(&["in", &keys.replay]).await.unwrap();
    operator.replay(&keys, &id, MOST).await.unwrap();
    let told = tokio::time::timeout(Duration::from_secs(10), watch.next()).await.unwrap();
    assert_eq!(told, Change::Written(keys.replay));
}

#[tokio::test]
async fn a_cluster_moves_events_between_keys_of_one_slot_only() {
    let cluster = RedisCluster::start(&RedisServer::options());
    let (store, keys) = (store(&cluster.url()), keys());
    let id = one_aside(&store, &keys, 0).await;
    let error = store.replay_to_stream(&keys, &id, "in").await.unwrap_err();
    assert!(error.to_string().contains("hash tag"), "{error}");
    assert!(matches!(store.replay_to_stream(&keys, &id, "{out}:in").await.unwrap(), Replayed::Moved { .. }));
    let id = one_aside(&store, &keys, 1).await;
    let Replayed::Moved { id } = store.replay(&keys, &id, MOST).await.unwrap() else { panic!("it is there") };
    let counted = Commit { replayed: Some(&id), ..commit(&keys, 2) };
    assert_eq!(store.commit(&counted).await.unwrap(), Committed::Applied);
}
