//! What only a server can do: restart, hang, change its password, run full.
#![allow(clippy::unwrap_used, reason = "a test may fail by a panic, in its helpers too")]

use std::fs;
use std::time::{Duration, Instant};

use store::testing::{RedisServer, commit};
use store::{Address, Cause, Committed, Credentials, Keys, Password, Store};

fn store(server: &RedisServer) -> Store {
    Store::new(Address::parse(&server.url()).expect("the server's URL is one"), Credentials::default())
}

fn admin(server: &RedisServer) -> redis::Connection {
    let client = redis::Client::open(server.url()).expect("the server's URL is one");
    client.get_connection().expect("the server takes connections")
}

fn run(server: &RedisServer, words: &[&str]) {
    redis::cmd(words[0]).arg(&words[1..]).exec(&mut admin(server)).expect("the server takes the command");
}

/// Asserts that under `keys` there is nothing that anyone would see.
async fn assert_nothing_committed(store: &Store, keys: &Keys) {
    assert_eq!(store.read(&keys.output).await.unwrap(), None);
    assert_eq!(store.saved(keys).await.unwrap(), None);
    assert_eq!(store.history(keys, 9).await.unwrap(), []);
}

#[tokio::test]
async fn the_same_store_goes_on_after_the_server_restarted() {
    let mut server = RedisServer::options().appendonly().start();
    let (store, keys) = (store(&server), Keys::of("out").unwrap());
    store.commit(&commit(&keys, 0)).await.unwrap();
    server.stop();
    for _ in 0..2 {
        let error = store.ping().await.unwrap_err();
        assert!(matches!(error.cause, Cause::Unreachable(_)), "{error}");
        assert!(error.to_string().contains(&format!("redis://127.0.0.1:{}", server.port())), "{error}");
    }
    server.restart();
    assert_eq!(store.saved(&keys).await.unwrap().unwrap().sequence, 1);
    assert_eq!(store.commit(&commit(&keys, 1)).await.unwrap(), Committed::Applied);
}

#[tokio::test]
async fn a_restart_between_two_operations_costs_one_error_at_most() {
    let mut server = RedisServer::options().appendonly().start();
    let (store, keys) = (store(&server), Keys::of("out").unwrap());
    store.commit(&commit(&keys, 0)).await.unwrap();
    server.restart();
    if let Err(error) = store.commit(&commit(&keys, 1)).await {
        assert!(matches!(error.cause, Cause::Unreachable(_)), "{error}");
        assert_eq!(store.saved(&keys).await.unwrap().unwrap().sequence, 1);
    }
    store.ping().await.unwrap();
}

#[tokio::test]
async fn a_password_file_that_is_put_right_is_read_again() {
    let server = RedisServer::options().password("right").start();
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("password");
    let credentials = Credentials { username: None, password: Some(Password::File(file.clone())) };
    // The URL's right password doesn't count: credentials win.
    let store = Store::new(Address::parse(&server.url()).unwrap(), credentials);
    for content in [None, Some("wrong\n")] {
        if let Some(content) = content {
            fs::write(&file, content).unwrap();
        }
        let error = store.ping().await.unwrap_err();
        assert!(matches!(error.cause, Cause::Denied(_)), "{error}");
        assert!(!error.to_string().contains("wrong\n") && !error.to_string().contains("right"), "{error}");
    }
    fs::write(&file, "right\n").unwrap();
    store.ping().await.unwrap();
    run(&server, &["CONFIG", "SET", "requirepass", "rotated"]);
    fs::write(&file, "rotated\r\n").unwrap();
    let mut killer = redis::Client::open(format!("redis://:rotated@127.0.0.1:{}", server.port()))
        .and_then(|client| client.get_connection())
        .unwrap();
    redis::cmd("CLIENT").arg(&["KILL", "TYPE", "normal"]).exec(&mut killer).unwrap();
    store.ping().await.unwrap_err();
    store.ping().await.unwrap();
}

#[tokio::test]
async fn a_server_that_asks_for_a_password_says_which_variable_to_set() {
    let server = RedisServer::options().password("secret").start();
    let error =
        Store::new(Address::redis("127.0.0.1", server.port()), Credentials::default()).ping().await.unwrap_err();
    assert!(matches!(error.cause, Cause::Denied(_)), "{error}");
    assert!(error.to_string().contains("REDIS_PASSWORD"), "{error}");
    let wrong = Credentials { username: Some("me".to_owned()), password: Some(Password::Text("hunter2".to_owned())) };
    let error = Store::new(Address::redis("127.0.0.1", server.port()), wrong).ping().await.unwrap_err();
    assert!(error.to_string().contains("REDIS_USERNAME") && !error.to_string().contains("hunter2"), "{error}");
}

#[tokio::test]
async fn a_server_that_hangs_is_an_error_and_a_late_commit_does_no_harm() {
    let server = RedisServer::start();
    let (store, keys) = (store(&server), Keys::of("out").unwrap());
    store.commit(&commit(&keys, 0)).await.unwrap();
    server.pause();
    let started = Instant::now();
    let committing = commit(&keys, 1);
    let (committed, pinged) = tokio::join!(store.commit(&committing), store.ping());
    assert!(started.elapsed() < Duration::from_millis(5_900), "{:?}", started.elapsed());
    let (committed, pinged) = (committed.unwrap_err(), pinged.unwrap_err());
    assert!(matches!(committed.cause, Cause::TimedOut(_)), "{committed}");
    assert!(matches!(pinged.cause, Cause::TimedOut(_)), "{pinged}");
    server.resume();
    // The commit lay in the server's socket all the while, so it came to be after its caller had given up.
    let deadline = Instant::now() + Duration::from_secs(5);
    while store.saved(&keys).await.unwrap().unwrap().sequence == 1 {
        assert!(Instant::now() < deadline, "the late commit never arrived");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    assert_eq!(store.commit(&commit(&keys, 1)).await.unwrap(), Committed::Refused { sequence: 2 });
    assert_eq!(store.history(&keys, 9).await.unwrap().len(), 2);
}

/// How many connections the server has, the asking one left out.
fn connections(admin: &mut redis::Connection) -> usize {
    let list: String = redis::cmd("CLIENT").arg("LIST").query(admin).unwrap();
    list.lines().count() - 1
}

#[tokio::test]
async fn many_callers_make_one_connection() {
    let server = RedisServer::start();
    let store = store(&server);
    let mut admin = admin(&server);
    for _ in 0..3 {
        let callers: Vec<_> = (0..50)
            .map(|_| {
                let store = store.clone();
                tokio::spawn(async move { store.ping().await })
            })
            .collect();
        for caller in callers {
            caller.await.unwrap().unwrap();
        }
        assert_eq!(connections(&mut admin), 1);
        let total: String = redis::cmd("INFO").arg("stats").query(&mut admin).unwrap();
        let made = total.lines().find_map(|line| line.strip_prefix("total_connections_received:")).unwrap();
        // One asked whether the server was up, one is the admin's, one is the store's.
        assert_eq!(made.trim(), "3");
    }
}

#[tokio::test]
async fn callers_that_wait_for_a_server_that_is_away_share_one_failure() {
    let mut server = RedisServer::start();
    server.stop();
    let store = store(&server);
    let callers: Vec<_> = (0..50)
        .map(|_| {
            let store = store.clone();
            tokio::spawn(async move { store.ping().await })
        })
        .collect();
    for caller in callers {
        assert!(matches!(caller.await.unwrap().unwrap_err().cause, Cause::Unreachable(_)));
    }
    server.restart();
    store.ping().await.unwrap();
}

#[tokio::test]
async fn a_history_that_can_take_no_further_id_stops_the_whole_commit() {
    let server = RedisServer::start();
    let (store, keys) = (store(&server), Keys::of("out").unwrap());
    let greatest = "18446744073709551615-18446744073709551615";
    run(&server, &["XADD", &keys.history, greatest, "data", "last"]);
    store.commit(&commit(&keys, 0)).await.unwrap_err();
    assert_eq!(store.read("out").await.unwrap(), None);
    assert_eq!(store.saved(&keys).await.unwrap(), None);
    assert_eq!(store.history(&keys, 9).await.unwrap().len(), 1);
}

#[tokio::test]
async fn a_server_out_of_memory_takes_nothing_of_a_commit() {
    let server = RedisServer::start();
    let (store, keys) = (store(&server), Keys::of("out").unwrap());
    run(&server, &["CONFIG", "SET", "maxmemory", "1"]);
    let error = store.commit(&commit(&keys, 0)).await.unwrap_err();
    assert!(matches!(error.cause, Cause::Unavailable(_)) && error.to_string().contains("maxmemory"), "{error}");
    assert_nothing_committed(&store, &keys).await;
    run(&server, &["CONFIG", "SET", "maxmemory", "0"]);
    assert_eq!(store.commit(&commit(&keys, 0)).await.unwrap(), Committed::Applied);
}

#[tokio::test]
async fn a_user_who_may_not_run_one_of_the_commands_commits_nothing() {
    let server = RedisServer::start();
    let (whole, keys) = (store(&server), Keys::of("out").unwrap());
    for sequence in 0..2 {
        for forbidden in ["set", "hset", "hget", "xadd", "type"] {
            if sequence == 0 && forbidden == "hget" {
                continue; // There is no env yet whose sequence would be asked for.
            }
            run(&server, &["ACL", "SETUSER", "half", "reset", "on", ">pass", "~*", "+@all", &format!("-{forbidden}")]);
            let half = Store::new(
                Address::parse(&format!("redis://half:pass@127.0.0.1:{}", server.port())).unwrap(),
                Credentials::default(),
            );
            let error = half.commit(&commit(&keys, sequence)).await.unwrap_err();
            assert!(matches!(error.cause, Cause::Denied(_)), "{forbidden}: {error}");
            assert_eq!(whole.saved(&keys).await.unwrap().map_or(0, |saved| saved.sequence), sequence, "{forbidden}");
            assert_eq!(whole.history(&keys, 9).await.unwrap().len() as u64, sequence, "{forbidden}");
            assert_eq!(whole.read("out").await.unwrap().is_some(), sequence == 1, "{forbidden}");
        }
        assert_eq!(whole.commit(&commit(&keys, sequence)).await.unwrap(), Committed::Applied);
    }
}

#[tokio::test]
async fn a_replica_is_told_from_a_primary() {
    let server = RedisServer::start();
    let (store, keys) = (store(&server), Keys::of("out").unwrap());
    run(&server, &["REPLICAOF", "127.0.0.1", "1"]);
    let error = store.commit(&commit(&keys, 0)).await.unwrap_err();
    assert!(matches!(error.cause, Cause::Unavailable(_)) && error.to_string().contains("replica"), "{error}");
    run(&server, &["REPLICAOF", "NO", "ONE"]);
    assert_nothing_committed(&store, &keys).await;
}

#[tokio::test]
async fn a_script_that_the_server_forgot_is_sent_again() {
    let server = RedisServer::start();
    let (store, keys) = (store(&server), Keys::of("out").unwrap());
    for sequence in 0..3 {
        assert_eq!(store.commit(&commit(&keys, sequence)).await.unwrap(), Committed::Applied);
        run(&server, &["SCRIPT", "FLUSH"]);
    }
    assert_eq!(store.history(&keys, 9).await.unwrap().len(), 3);
}

#[tokio::test]
async fn what_others_add_to_a_history_is_left_out() {
    let server = RedisServer::start();
    let (store, keys) = (store(&server), Keys::of("out").unwrap());
    for field in ["data", "other", "data", "\\xff"] {
        run(&server, &["XADD", &keys.history, "*", field, "x"]);
    }
    assert_eq!(store.history(&keys, 9).await.unwrap().len(), 2);
    assert_eq!(store.history(&keys, 2).await.unwrap().len(), 1, "so many are looked at");
}

#[tokio::test]
async fn databases_of_a_server_are_apart() {
    let server = RedisServer::start();
    let second = Store::new(Address::parse(&format!("{}/1", server.url())).unwrap(), Credentials::default());
    second.write("in", b"second").await.unwrap();
    assert_eq!(store(&server).read("in").await.unwrap(), None);
    let none = Store::new(Address::parse(&format!("{}/99", server.url())).unwrap(), Credentials::default());
    assert!(none.ping().await.unwrap_err().to_string().contains("database"));
}
