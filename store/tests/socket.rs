//! A server that is reached by its unix socket.
#![cfg(unix)]
#![allow(clippy::unwrap_used, reason = "a test may fail by a panic, in its helpers too")]

use std::time::Duration;

use store::testing::{RedisServer, commit};
use store::{Address, Cause, Change, Committed, Credentials, Keys, Password, Store};

fn store(url: &str, password: Option<&str>) -> Store {
    let password = password.map(|password| Password::Text(password.to_owned()));
    Store::new(Address::parse(url).unwrap(), Credentials { username: None, password })
}

#[tokio::test]
async fn a_socket_leads_to_the_same_server() {
    let server = RedisServer::options().password("secret").start();
    let (store, keys) = (store(&format!("{}?db=3", server.socket_url()), Some("secret")), Keys::of("out").unwrap());
    assert_eq!(store.commit(&commit(&keys, 0)).await.unwrap(), Committed::Applied);
    let mut third = server.connection();
    redis::cmd("SELECT").arg(3).exec(&mut third).unwrap();
    let output: String = redis::cmd("GET").arg("out").query(&mut third).unwrap();
    assert_eq!(output, "output");
}

#[tokio::test]
async fn writes_are_told_and_a_restart_is_survived() {
    let mut server = RedisServer::start();
    let store = store(&server.socket_url(), None);
    let mut watch = store.watch(&["in"]).await.unwrap();
    let mut next = async || tokio::time::timeout(Duration::from_secs(10), watch.next()).await.unwrap();
    server.run::<()>(&["SET", "in", "1"]);
    assert_eq!(next().await, Change::Written("in".to_owned()));
    server.restart();
    assert_eq!(next().await, Change::Lost);
    while store.ping().await.is_err() {}
    assert_eq!(next().await, Change::Restored);
}

#[tokio::test]
async fn a_socket_that_nobody_serves_is_an_error_that_names_it() {
    let mut server = RedisServer::options().password("secret").start();
    let error = store(&server.socket_url(), None).ping().await.unwrap_err();
    assert!(matches!(error.cause, Cause::Denied(_)) && error.to_string().contains("REDIS_PASSWORD"), "{error}");
    server.kill();
    let error = store(&server.socket_url(), Some("secret")).ping().await.unwrap_err();
    assert!(matches!(error.cause, Cause::Unreachable(_)), "{error}");
    assert!(error.to_string().contains(&server.socket_url()), "{error}");
}
