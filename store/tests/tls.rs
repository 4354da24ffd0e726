//! Redis over TLS: whom a store trusts, what it shows, and what it says where that isn't enough.
#![allow(clippy::unwrap_used, reason = "a test may fail by a panic, in its helpers too")]

use std::io::{Read, Write};
use std::net::TcpListener;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use store::testing::{RedisServer, certificates};
use store::{Address, Cause, Change, ClientFiles, Credentials, Error, Store, Tls};

fn store(url: &str, files: Tls) -> Store {
    Store::new(Address::parse(url).unwrap().with_tls(files), Credentials::default())
}

/// Trusts the server, and shows it nothing.
fn trusting(server: &RedisServer) -> Tls {
    Tls { client: None, ..server.tls_files() }
}

async fn refused(url: &str, files: Tls) -> Error {
    store(url, files).ping().await.unwrap_err()
}

#[tokio::test]
async fn a_server_of_the_named_authority_is_trusted_and_its_password_goes_through_tls() {
    let server = RedisServer::options().password("right").tls().start();
    let store = store(&server.tls_url(), trusting(&server));
    store.write("in", b"1").await.unwrap();
    assert_eq!(store.read("in").await.unwrap().unwrap(), b"1");
    assert!(format!("{store:?}").contains("rediss://localhost:"), "{store:?}");
    let wrong = server.tls_url().replace("right", "wrong");
    let error = refused(&wrong, trusting(&server)).await;
    assert!(matches!(error.cause, Cause::Denied(_)) && error.to_string().contains("REDIS_PASSWORD"), "{error}");
}

#[tokio::test]
async fn a_server_of_an_unknown_authority_is_refused_until_the_file_names_it() {
    let server = RedisServer::options().tls().start();
    let error = refused(&server.tls_url(), Tls::default()).await;
    assert!(matches!(error.cause, Cause::Unreachable(_)) && error.to_string().contains("REDIS_CA_FILE"), "{error}");
    let folder = tempfile::tempdir().unwrap();
    let ca_file = certificates::issue(folder.path()).ca_file.unwrap();
    let store = store(&server.tls_url(), Tls { ca_file: Some(ca_file.clone()), client: None });
    let error = store.ping().await.unwrap_err();
    assert!(matches!(error.cause, Cause::Unreachable(_)) && error.to_string().contains("ca.pem"), "{error}");
    // The authority was changed: the file is read again.
    std::fs::copy(server.tls_files().ca_file.unwrap(), ca_file).unwrap();
    store.ping().await.unwrap();
}

#[tokio::test]
async fn a_server_of_another_name_is_refused_with_the_name_that_it_has() {
    let server = RedisServer::options().tls().start();
    let url = server.tls_url().replace("localhost", "127.0.0.1");
    let error = refused(&url, trusting(&server)).await;
    assert!(matches!(error.cause, Cause::Unreachable(_)) && error.to_string().contains("\"localhost\""), "{error}");
}

#[tokio::test]
async fn a_server_that_asks_for_a_certificate_is_shown_one_or_told_of_with_the_variables() {
    for protocols in ["TLSv1.3", "TLSv1.2"] {
        let options = RedisServer::options().tls().arg("--tls-auth-clients").arg("yes");
        let server = options.arg("--tls-protocols").arg(protocols).start();
        store(&server.tls_url(), server.tls_files()).ping().await.unwrap();
        let error = refused(&server.tls_url(), trusting(&server)).await;
        assert!(matches!(error.cause, Cause::Denied(_)), "{protocols}: {error}");
        assert!(error.to_string().contains("REDIS_CERT_FILE"), "{protocols}: {error}");
        let folder = tempfile::tempdir().unwrap();
        let stranger = Tls { ca_file: server.tls_files().ca_file, ..certificates::issue(folder.path()) };
        let error = refused(&server.tls_url(), stranger).await;
        assert!(matches!(error.cause, Cause::Denied(_)), "{protocols}: {error}");
        assert!(error.to_string().contains("client.pem"), "{protocols}: {error}");
        let error = refused(&server.tls_url(), Tls::default()).await;
        assert!(error.to_string().contains("REDIS_CA_FILE"), "whom we don't trust comes first: {error}");
    }
}

#[tokio::test]
async fn files_that_cannot_be_used_are_named() {
    let server = RedisServer::options().tls().start();
    let files = server.tls_files();
    let (ca_file, client) = (files.ca_file.unwrap(), files.client.unwrap());
    let folder = tempfile::tempdir().unwrap();
    let empty = folder.path().join("empty.pem");
    std::fs::write(&empty, "nothing in PEM").unwrap();
    let showing = |cert_file: &PathBuf, key_file: &PathBuf| Tls {
        ca_file: Some(ca_file.clone()),
        client: Some(ClientFiles { cert_file: cert_file.clone(), key_file: key_file.clone() }),
    };
    let server_key = ca_file.with_file_name("server.key");
    for (files, said) in [
        (Tls { ca_file: Some("/nowhere/ca.pem".into()), client: None }, "/nowhere/ca.pem (REDIS_CA_FILE)"),
        (Tls { ca_file: Some(empty.clone()), client: None }, "empty.pem (REDIS_CA_FILE)"),
        (showing(&empty, &client.key_file), "empty.pem (REDIS_CERT_FILE)"),
        (showing(&client.cert_file, &empty), "empty.pem (REDIS_KEY_FILE)"),
        (showing(&client.cert_file, &server_key), "is not the key of"),
    ] {
        let error = refused(&server.tls_url(), files).await;
        assert!(matches!(error.cause, Cause::Denied(_)) && error.to_string().contains(said), "{said}: {error}");
    }
}

#[tokio::test]
async fn a_port_without_tls_and_one_with_it_are_told_apart() {
    let server = RedisServer::options().tls().start();
    let error = store(&server.tls_url().replace("rediss:", "redis:"), Tls::default()).ping().await.unwrap_err();
    assert!(matches!(error.cause, Cause::Unreachable(_)) && error.to_string().contains("rediss://"), "{error}");
    // Redis takes the handshake for a line that has no end yet.
    let started = Instant::now();
    let url = format!("rediss://localhost:{}", server.port());
    let error = refused(&url, trusting(&server)).await;
    assert!(matches!(error.cause, Cause::Unreachable(_)) && error.to_string().contains("speaks TLS"), "{error}");
    assert!(started.elapsed() < Duration::from_millis(5_900), "{:?}", started.elapsed());
    let other = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("rediss://localhost:{}", other.local_addr().unwrap().port());
    std::thread::spawn(move || {
        let (mut stream, _) = other.accept().unwrap();
        stream.read_exact(&mut [0; 5]).unwrap();
        stream.write_all(b"-ERR what?\r\n").unwrap();
    });
    let error = refused(&url, trusting(&server)).await;
    assert!(matches!(error.cause, Cause::Unreachable(_)) && error.to_string().contains("speaks TLS"), "{error}");
}

#[tokio::test]
async fn writes_and_a_loss_are_told_over_tls_too() {
    let mut server = RedisServer::options().tls().start();
    let (store, other) = (store(&server.tls_url(), trusting(&server)), store(&server.tls_url(), trusting(&server)));
    let mut watch = store.watch(&["out"]).await.unwrap();
    let next = async |watch: &mut store::Watch| {
        tokio::time::timeout(Duration::from_secs(10), watch.next()).await.expect("something is told")
    };
    other.write("out", b"1").await.unwrap();
    assert_eq!(next(&mut watch).await, Change::Written("out".to_owned()));
    server.restart();
    assert_eq!(next(&mut watch).await, Change::Lost);
    while store.ping().await.is_err() {}
    assert_eq!(next(&mut watch).await, Change::Restored);
}

#[tokio::test]
async fn big_values_come_back_over_tls_as_they_were() {
    let server = RedisServer::options().tls().start();
    let store = store(&server.tls_url(), trusting(&server));
    let bytes: Vec<u8> = (0..3_000_000_u32).map(|number| (number % 251) as u8).collect();
    store.write("in", &bytes).await.unwrap();
    assert_eq!(store.read("in").await.unwrap().unwrap(), bytes);
}
