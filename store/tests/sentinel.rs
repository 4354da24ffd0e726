//! A server that sentinels watch over, and the one that takes its place.
#![allow(clippy::unwrap_used, reason = "a test may fail by a panic, in its helpers too")]

mod patience;

use std::time::{Duration, Instant};

use patience::{PATIENCE, until_it_works};
use store::testing::{RedisServer, SentinelSet, certificates, commit};
use store::{Address, Cause, Change, Committed, Credentials, Keys, Options, Store};

fn store(url: &str) -> Store {
    Store::new(Address::parse(url).unwrap(), Credentials::default())
}

/// False also where the server ends the connection, as sentinels have it do when they turn it into one.
fn is_replica(server: &RedisServer) -> bool {
    let client = redis::Client::open(server.url()).unwrap();
    let asked = client.get_connection().and_then(|mut server| redis::cmd("INFO").arg("replication").query(&mut server));
    asked.is_ok_and(|said: String| said.contains("role:slave"))
}

#[tokio::test]
async fn the_replica_takes_over_and_commits_go_on() {
    let mut set = SentinelSet::start(&RedisServer::options().password("secret"), &RedisServer::options());
    let (store, keys) = (store(&set.url()), Keys::of("out").unwrap());
    let mut watch = store.watch(&["in"]).await.unwrap();
    let mut next = async || tokio::time::timeout(PATIENCE, watch.next()).await.unwrap();
    assert_eq!(store.commit(&commit(&keys, 0)).await.unwrap(), Committed::Applied);
    set.first().run::<()>(&["SET", "in", "1"]);
    assert_eq!(next().await, Change::Written("in".to_owned()));
    let copied: i64 = set.first().run(&["WAIT", "1", "10000"]);
    assert_eq!(copied, 1, "the replica has what was committed");

    set.first().kill();
    assert_eq!(next().await, Change::Lost);
    // The first of them may still find the connection that has just broken.
    let (_, error) = (store.read("out").await.unwrap_err(), store.read("out").await.unwrap_err());
    let first = format!("127.0.0.1:{}", set.first().port());
    assert!(error.to_string().contains(&set.url().replace(":secret@", "")), "{error}");
    assert!(!error.to_string().contains("secret") && error.to_string().contains(&first), "{error}");
    let saved = until_it_works(|| store.saved(&keys)).await.unwrap();
    assert_eq!(saved.sequence, 1);
    assert_eq!(next().await, Change::Restored);
    assert_eq!(store.commit(&commit(&keys, 0)).await.unwrap(), Committed::Refused { sequence: 1 });
    assert_eq!(store.commit(&commit(&keys, 1)).await.unwrap(), Committed::Applied);
    set.second().run::<()>(&["SET", "in", "2"]);
    assert_eq!(next().await, Change::Written("in".to_owned()));
    assert_eq!(set.second().run::<String>(&["HGET", "{out}:env", "sequence"]), "2");

    // The one that comes back is a replica by and by, and nobody is led there once all sentinels know.
    let deadline = Instant::now() + PATIENCE;
    let second = set.second().port();
    for sentinel in set.sentinels() {
        let named = || sentinel.run::<(String, u16)>(&["SENTINEL", "GET-MASTER-ADDR-BY-NAME", "plugins"]).1;
        while named() != second {
            assert!(Instant::now() < deadline, "a sentinel doesn't hear of the failover");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
    set.first().restart();
    while !is_replica(set.first()) {
        assert!(Instant::now() < deadline, "the former master is not made a replica");
        assert_eq!(self::store(&set.url()).saved(&keys).await.unwrap().unwrap().sequence, 2);
    }
}

#[tokio::test]
async fn sentinels_that_are_gone_or_hang_are_passed_over_and_may_ask_for_the_password() {
    let secret = RedisServer::options().password("secret");
    let mut set = SentinelSet::start(&secret, &secret);
    let url = set.url();
    set.sentinels()[0].kill();
    set.sentinels()[1].pause();
    let asked = Instant::now();
    store(&url).ping().await.unwrap();
    assert!(asked.elapsed() < Duration::from_secs(4), "{:?}", asked.elapsed());
    set.sentinels()[2].kill();
    let connect_within = Duration::from_secs(1);
    let options = Options { connect_within, ..Options::default() };
    let error = Store::with(Address::parse(&url).unwrap(), options).ping().await.unwrap_err();
    assert!(matches!(error.cause, Cause::TimedOut(limit) if limit == connect_within), "{error}");
    set.sentinels()[1].resume();
    store(&url).ping().await.unwrap();
    let unknown = url.replace("/plugins", "/others");
    let error = store(&unknown).ping().await.unwrap_err();
    assert!(
        error.to_string().contains("no master \"others\"") || matches!(error.cause, Cause::Unreachable(_)),
        "{error}"
    );
    let error = store(&url.replace(":secret@", "")).ping().await.unwrap_err();
    assert!(error.to_string().contains("refused") || error.to_string().contains("REDIS_PASSWORD"), "{error}");
}

#[tokio::test]
async fn a_replica_that_is_called_the_master_is_not_taken_for_one() {
    let mut set = SentinelSet::start(&RedisServer::options(), &RedisServer::options());
    let store = store(&set.url());
    store.ping().await.unwrap();
    // Someone turns the roles around without asking the sentinels, who go on to name the first one for a while.
    let (first, second) = (set.first().port().to_string(), set.second().port().to_string());
    set.second().run::<()>(&["REPLICAOF", "NO", "ONE"]);
    set.first().run::<()>(&["REPLICAOF", "127.0.0.1", &second]);
    let error = store.write("in", b"1").await.unwrap_err();
    assert!(matches!(error.cause, Cause::Unavailable(_)), "{error}");
    let error = store.read("in").await.unwrap_err();
    assert!(error.to_string().contains("calls itself a replica") && error.to_string().contains(&first), "{error}");
    set.first().run::<()>(&["REPLICAOF", "NO", "ONE"]);
    set.second().run::<()>(&["REPLICAOF", "127.0.0.1", &first]);
    until_it_works(|| store.write("in", b"1")).await;
}

#[tokio::test]
async fn sentinels_and_master_are_reached_over_tls() {
    let folder = tempfile::tempdir().unwrap();
    let files = certificates::issue(folder.path());
    let options = RedisServer::options().shared_tls(folder.path());
    let master = options.clone().start();
    // Their certificates have a name, so that is what the sentinel calls the master.
    let lines = format!(
        "sentinel resolve-hostnames yes\nsentinel announce-hostnames yes\nsentinel monitor plugins {} {} 1\n",
        certificates::SERVER_NAME,
        master.tls_port()
    );
    let sentinel = options.sentinel(&lines).start();
    let url = format!("{}/plugins", sentinel.tls_url().replace("rediss:", "rediss+sentinel:"));
    let store = Store::new(Address::parse(&url).unwrap().with_tls(files), Credentials::default());
    assert_eq!(store.commit(&commit(&Keys::of("out").unwrap(), 0)).await.unwrap(), Committed::Applied);
    assert_eq!(master.run::<String>(&["GET", "out"]), "output");
}
