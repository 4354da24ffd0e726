//! Being told of writes, and connections through a way of the caller's own.
#![allow(clippy::unwrap_used, reason = "a test may fail by a panic, in its helpers too")]

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll};
use std::time::{Duration, Instant, SystemTime};

use store::testing::{RedisServer, commit};
use store::{
    Access, Address, Cause, Change, Committed, Credentials, Keys, Opening, Options, Store, Stream, Transport, Watch,
};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;

fn store(server: &RedisServer) -> Store {
    Store::new(Address::parse(&server.url()).unwrap(), Credentials::default())
}

/// Someone else, who writes.
fn run(server: &RedisServer, words: &[&str]) {
    let client = redis::Client::open(server.url()).unwrap();
    redis::cmd(words[0]).arg(&words[1..]).exec(&mut client.get_connection().unwrap()).unwrap();
}

async fn next(watch: &mut Watch) -> Change {
    tokio::time::timeout(Duration::from_secs(10), watch.next()).await.expect("something is told")
}

fn written(key: &str) -> Change {
    Change::Written(key.to_owned())
}

#[tokio::test]
async fn every_way_of_changing_a_key_is_told() {
    let server = RedisServer::start();
    let store = store(&server);
    let mut watch = store.watch(&["out", "in"]).await.unwrap();
    for words in [&["SET", "out", "1"][..], &["DEL", "out"], &["HSET", "out", "a", "1"]] {
        run(&server, words);
        assert_eq!(next(&mut watch).await, written("out"), "{words:?}");
    }
    run(&server, &["FLUSHALL"]);
    let both = (next(&mut watch).await, next(&mut watch).await);
    assert_eq!(both, (written("in"), written("out")), "every key");
    run(&server, &["SET", "in", "1", "PX", "20"]);
    assert_eq!(next(&mut watch).await, written("in"));
    assert_eq!(next(&mut watch).await, written("in"), "it ran out of time");
}

#[tokio::test]
async fn longer_keys_and_own_writes_are_not_told() {
    let server = RedisServer::start();
    let store = store(&server);
    let mut watch = store.watch(&["out", "out2"]).await.unwrap();
    store.write("out", b"mine").await.unwrap();
    run(&server, &["SET", "outer", "1"]);
    run(&server, &["SET", "out2", "1"]);
    assert_eq!(next(&mut watch).await, written("out2"));
}

#[tokio::test]
async fn one_connection_carries_both() {
    let server = RedisServer::start();
    let store = store(&server);
    let _watch = store.watch(&["out"]).await.unwrap();
    store.ping().await.unwrap();
    let client = redis::Client::open(server.url()).unwrap();
    let list: String = redis::cmd("CLIENT").arg("LIST").query(&mut client.get_connection().unwrap()).unwrap();
    assert_eq!(list.lines().count(), 2, "the asking one and the store's: {list}");
}

#[tokio::test]
async fn a_loss_is_told_at_once_and_a_new_connection_tells_again() {
    let mut server = RedisServer::start();
    let store = store(&server);
    let mut watch = store.watch(&["out"]).await.unwrap();
    for restart in [true, false] {
        if restart {
            server.restart();
        } else {
            run(&server, &["CLIENT", "KILL", "TYPE", "normal"]);
        }
        assert_eq!(next(&mut watch).await, Change::Lost);
        // The first operation may find the old connection.
        while store.ping().await.is_err() {}
        assert_eq!(next(&mut watch).await, Change::Restored);
        run(&server, &["SET", "out", "1"]);
        assert_eq!(next(&mut watch).await, written("out"));
    }
}

#[tokio::test]
async fn a_server_that_hangs_is_a_loss_and_a_restoration_once_it_goes_on() {
    let server = RedisServer::start();
    let options = Options { answer_within: Duration::from_millis(200), ..Options::default() };
    let store = Store::with(Address::parse(&server.url()).unwrap(), options);
    let mut watch = store.watch(&["out"]).await.unwrap();
    server.pause();
    let error = store.ping().await.unwrap_err();
    assert!(matches!(error.cause, Cause::TimedOut(_)) && error.to_string().contains("within 0.2 s"), "{error}");
    assert_eq!(next(&mut watch).await, Change::Lost);
    server.resume();
    while store.ping().await.is_err() {}
    assert_eq!(next(&mut watch).await, Change::Restored);
    run(&server, &["SET", "out", "1"]);
    assert_eq!(next(&mut watch).await, written("out"));
}

#[tokio::test]
async fn a_second_watch_takes_the_place_of_the_first_which_is_told() {
    let server = RedisServer::start();
    let store = store(&server);
    let mut first = store.watch(&["out"]).await.unwrap();
    let mut second = store.watch(&["in"]).await.unwrap();
    assert_eq!(next(&mut first).await, Change::Lost);
    run(&server, &["SET", "in", "1"]);
    assert_eq!(next(&mut second).await, written("in"));
}

#[tokio::test]
async fn a_store_works_the_same_while_it_watches() {
    let server = RedisServer::options().password("right").start();
    let anonymous = Store::new(Address::redis("127.0.0.1", server.port()), Credentials::default());
    let error = anonymous.watch(&["out"]).await.unwrap_err();
    assert!(matches!(error.cause, Cause::Denied(_)) && error.to_string().contains("REDIS_PASSWORD"), "{error}");
    let (store, keys) = (store(&server), Keys::of("out").unwrap());
    let mut watch = store.watch(&["out", &keys.status, "end"]).await.unwrap();
    assert_eq!(store.commit(&commit(&keys, 0)).await.unwrap(), Committed::Applied);
    assert_eq!(store.saved(&keys).await.unwrap().unwrap().env, b"env");
    assert_eq!(store.history(&keys, 9).await.unwrap()[0].data, b"output");
    assert_eq!(next(&mut watch).await, written("out"), "Redis doesn't see whose a script's writes are");
    store.announce(&keys, b"mine", Duration::from_secs(9)).await.unwrap();
    run(&server, &["SET", "end", "1"]);
    assert_eq!(next(&mut watch).await, written("end"));
}

#[tokio::test]
async fn a_watch_that_is_dropped_ends_with_the_connection() {
    let server = RedisServer::start();
    let store = store(&server);
    drop(store.watch(&["out"]).await.unwrap());
    run(&server, &["CLIENT", "KILL", "TYPE", "normal"]);
    while store.ping().await.is_err() {}
    let client = redis::Client::open(server.url()).unwrap();
    let info: String = redis::cmd("INFO").arg("clients").query(&mut client.get_connection().unwrap()).unwrap();
    assert!(info.contains("tracking_clients:0"), "{info}");
}

#[tokio::test]
async fn a_watch_that_nobody_reads_keeps_one_mark_a_key() {
    let server = RedisServer::start();
    let store = store(&server);
    let mut watch = store.watch(&["out", "end"]).await.unwrap();
    let mut writer = redis::Client::open(server.url()).unwrap().get_connection().unwrap();
    for _ in 0..100 {
        let mut burst = redis::pipe();
        for number in 0..1_000 {
            burst.cmd("SET").arg("out").arg(number).ignore();
        }
        burst.exec(&mut writer).unwrap();
    }
    run(&server, &["SET", "end", "1"]);
    // What the server has told before its answer has been taken in by then.
    store.ping().await.unwrap();
    let first = next(&mut watch).await;
    let second = next(&mut watch).await;
    assert_eq!((first, second), (written("end"), written("out")));
    let more = tokio::time::timeout(Duration::from_millis(1), watch.next()).await;
    assert!(more.is_err(), "{more:?}");
}

#[tokio::test]
async fn who_can_not_be_told_is_told_so_and_can_still_read() {
    let old = RedisServer::options().arg("--rename-command").arg("HELLO").arg("").start();
    let bare = RedisServer::start();
    run(&bare, &["ACL", "SETUSER", "default", "on", "nopass", "~*", "+@all", "-client|tracking"]);
    for server in [old, bare] {
        let store = store(&server);
        let error = store.watch(&["out"]).await.unwrap_err();
        assert!(matches!(error.cause, Cause::Unsupported(_)), "{error}");
        assert_eq!(store.read("out").await.unwrap(), None);
    }
    let folder = tempfile::tempdir().unwrap();
    let file = Store::new(Address::sqlite(folder.path().join("a.db")), Credentials::default());
    assert!(matches!(file.watch(&["out"]).await.unwrap_err().cause, Cause::Unsupported(_)));
}

#[tokio::test]
async fn the_stores_clock_can_be_asked() {
    let server = RedisServer::start();
    let (before, now, after) = (SystemTime::now(), store(&server).now().await.unwrap(), SystemTime::now());
    let slack = Duration::from_millis(5);
    assert!(before - slack <= now && now <= after + slack);
}

/// Goes to a port and counts how often, and how many of these ways are still open.
struct Counted {
    port: u16,
    opened: AtomicUsize,
    open: Arc<AtomicUsize>,
}

/// One such way.
struct Way {
    stream: TcpStream,
    open: Arc<AtomicUsize>,
}

impl Counted {
    fn to(port: u16) -> Arc<Counted> {
        Arc::new(Counted { port, opened: AtomicUsize::new(0), open: Arc::default() })
    }

    async fn wait_for_open(&self, ways: usize) {
        let deadline = Instant::now() + Duration::from_secs(10);
        while self.open.load(Ordering::Relaxed) != ways {
            assert!(Instant::now() < deadline, "{} ways are open, not {ways}", self.open.load(Ordering::Relaxed));
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }
}

impl Transport for Counted {
    fn open(&self) -> Opening<'_> {
        self.opened.fetch_add(1, Ordering::Relaxed);
        Box::pin(async {
            let stream = TcpStream::connect(("127.0.0.1", self.port)).await?;
            self.open.fetch_add(1, Ordering::Relaxed);
            Ok(Box::new(Way { stream, open: Arc::clone(&self.open) }) as Box<dyn Stream>)
        })
    }
}

impl Drop for Way {
    fn drop(&mut self) {
        self.open.fetch_sub(1, Ordering::Relaxed);
    }
}

impl AsyncRead for Way {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, into: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, into)
    }
}

impl AsyncWrite for Way {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

#[tokio::test]
async fn a_way_is_let_go_of_with_its_connection_even_while_a_request_hangs_in_it() {
    let server = RedisServer::start();
    let way = Counted::to(server.port());
    let transport: Arc<dyn Transport> = way.clone();
    let answer_within = Duration::from_millis(200);
    let options = Options { transport: Some(transport), answer_within, ..Options::default() };
    let store = Store::with(Address::redis("there", 1), options);
    let _watch = store.watch(&["out"]).await.unwrap();
    way.wait_for_open(1).await;
    server.pause();
    // More than the sockets hold, so that it can't even be sent.
    store.write("in", &vec![0; 32 << 20]).await.unwrap_err();
    way.wait_for_open(0).await;
    server.resume();
    store.ping().await.unwrap();
    way.wait_for_open(1).await;
    drop(store);
    way.wait_for_open(0).await;
}

#[tokio::test]
async fn a_transport_is_opened_anew_after_its_connection_broke() {
    let mut server = RedisServer::options().password("right").start();
    let way = Counted::to(server.port());
    let password = store::Password::Text("right".to_owned());
    let options = Options {
        transport: Some(way.clone()),
        credentials: Credentials { username: None, password: Some(password) },
        ..Options::default()
    };
    // What the address says of host and port is for the transport alone.
    let store = Store::with(Address::parse("redis://nowhere.invalid:1/3").unwrap(), options);
    let mut watch = store.watch(&["out"]).await.unwrap();
    store.write("mine", b"1").await.unwrap();
    assert_eq!(way.opened.load(Ordering::Relaxed), 1);
    let client = redis::Client::open(format!("{}/3", server.url())).unwrap();
    let mine: String = redis::cmd("GET").arg("mine").query(&mut client.get_connection().unwrap()).unwrap();
    assert_eq!(mine, "1", "the database is the address's");
    server.restart();
    assert_eq!(next(&mut watch).await, Change::Lost);
    while store.ping().await.is_err() {}
    assert_eq!(way.opened.load(Ordering::Relaxed), 2);
    server.stop();
    assert_eq!(next(&mut watch).await, Change::Restored);
    assert_eq!(next(&mut watch).await, Change::Lost);
    store.ping().await.unwrap_err();
    let error = store.ping().await.unwrap_err();
    assert!(matches!(&error.cause, Cause::Unreachable(why) if why.contains("refused")), "{error}");
}

#[tokio::test]
async fn whoever_only_looks_leaves_no_file() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("below/a.db");
    let looking = || {
        let options = Options { access: Access::Existing, ..Options::default() };
        Store::with(Address::sqlite(&path), options)
    };
    assert!(matches!(looking().ping().await.unwrap_err().cause, Cause::Unreachable(_)));
    assert!(!path.parent().unwrap().exists());
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(&path, "").unwrap();
    assert!(matches!(looking().ping().await.unwrap_err().cause, Cause::Unavailable(_)));
    assert_eq!(std::fs::metadata(&path).unwrap().len(), 0);
    let writing = Store::new(Address::sqlite(&path), Credentials::default());
    writing.write("out", b"1").await.unwrap();
    let looking = looking();
    assert_eq!(looking.read("out").await.unwrap().unwrap(), b"1");
    writing.write("out", b"2").await.unwrap();
    assert_eq!(looking.read("out").await.unwrap().unwrap(), b"2");
}
