//! A Redis Cluster: masters that are replaced, slots that are moved, keys that don't belong together.
#![allow(clippy::unwrap_used, reason = "a test may fail by a panic, in its helpers too")]

mod patience;

use std::collections::BTreeSet;
use std::time::Duration;

use patience::{PATIENCE, until_it_works};
use store::testing::{RedisCluster, RedisServer, certificates, commit};
use store::{Address, Cause, Change, Committed, Credentials, Group, Keys, Store, Taken};

fn store(cluster: &RedisCluster) -> Store {
    Store::new(Address::parse(&cluster.url()).unwrap(), Credentials::default())
}

fn start() -> RedisCluster {
    RedisCluster::start(&RedisServer::options())
}

#[tokio::test]
async fn each_operation_goes_to_the_master_of_its_key() {
    let cluster = RedisCluster::start(&RedisServer::options().password("secret"));
    let store = store(&cluster);
    store.ping().await.unwrap();
    store.now().await.unwrap();
    for name in ["a", "b", "c", "d", "e", "f", "in{tag}"] {
        let keys = Keys::of(name).unwrap();
        assert_eq!(store.commit(&commit(&keys, 0)).await.unwrap(), Committed::Applied);
        store.announce(&keys, b"{}", Duration::from_secs(60)).await.unwrap();
        assert_eq!(store.saved(&keys).await.unwrap().unwrap().sequence, 1);
        assert_eq!(store.history(&keys, 9).await.unwrap().len(), 1);
        for key in [&keys.output, &keys.env, &keys.history, &keys.status] {
            let place: u16 = cluster.master(name).run(&["CLUSTER", "KEYSLOT", key]);
            assert_eq!(place, store::slot(key), "{key}");
        }
        assert_eq!(cluster.master(name).run::<i64>(&["EXISTS", name]), 1);
        store.forget(&keys).await.unwrap();
        assert_eq!(store.read(name).await.unwrap(), None);
    }
}

#[tokio::test]
async fn keys_of_different_slots_are_refused_with_what_to_do() {
    let cluster = start();
    let (store, keys) = (store(&cluster), Keys::of("out").unwrap());
    let group = Group { stream: "in".to_owned(), name: "g".to_owned(), consumer: "main".to_owned() };
    store.create_group(&group, None).await.unwrap();
    let taken = Taken { group: &group, ids: vec!["1-1"] };
    let apart = store::Commit { taken: Some(taken), ..commit(&keys, 0) };
    let error = store.commit(&apart).await.unwrap_err();
    assert!(matches!(error.cause, Cause::Other(_)), "{error}");
    assert!(error.to_string().contains("same slot") && error.to_string().contains("hash tag"), "{error}");
    assert_eq!(store.saved(&keys).await.unwrap(), None);
}

#[tokio::test]
async fn a_replica_takes_over_and_commits_go_on() {
    let mut cluster = RedisCluster::start(&RedisServer::options().password("secret"));
    let (store, keys) = (store(&cluster), Keys::of("out").unwrap());
    let elsewhere =
        ["a", "b", "c", "d"].into_iter().find(|key| cluster.master(key).port() != cluster.master("out").port());
    let elsewhere = elsewhere.unwrap();
    let mut watch = store.watch(&["out", elsewhere]).await.unwrap();
    let mut next = async || tokio::time::timeout(PATIENCE, watch.next()).await.unwrap();
    assert_eq!(store.commit(&commit(&keys, 0)).await.unwrap(), Committed::Applied);
    assert_eq!(next().await, Change::Written("out".to_owned()));
    let copied: i64 = cluster.master("out").run(&["WAIT", "1", "10000"]);
    assert_eq!(copied, 1, "the replica has what was committed");

    let first = cluster.first_master("out");
    first.kill();
    let first = format!("127.0.0.1:{}", first.port());
    assert_eq!(next().await, Change::Lost);
    let error = store.read("out").await.unwrap_err();
    assert!(error.to_string().contains(&first) && !error.to_string().contains("secret"), "{error}");
    let saved = until_it_works(|| store.saved(&keys)).await.unwrap();
    assert_eq!(saved.sequence, 1);
    assert_eq!(next().await, Change::Restored, "what was asked made the connection that tells");
    assert_eq!(store.commit(&commit(&keys, 0)).await.unwrap(), Committed::Refused { sequence: 1 });
    assert_eq!(store.commit(&commit(&keys, 1)).await.unwrap(), Committed::Applied);
    assert_eq!(next().await, Change::Written("out".to_owned()));
    cluster.master(elsewhere).run::<()>(&["SET", elsewhere, "1"]);
    assert_eq!(next().await, Change::Written(elsewhere.to_owned()));
    let sequence: String = cluster.master("out").run(&["HGET", "{out}:env", "sequence"]);
    assert_eq!(sequence, "2");
}

#[tokio::test]
async fn a_slot_that_is_moved_is_followed() {
    let cluster = start();
    let (store, keys) = (store(&cluster), Keys::of("out").unwrap());
    let mut watch = store.watch(&["out"]).await.unwrap();
    let mut next = async || tokio::time::timeout(PATIENCE, watch.next()).await.unwrap();
    for sequence in 0..2 {
        assert_eq!(store.commit(&commit(&keys, sequence)).await.unwrap(), Committed::Applied);
        assert_eq!(next().await, Change::Written("out".to_owned()));
    }
    let (from, to) = (cluster.master("out"), cluster.other_master("out"));

    cluster.begin_to_move("out", from, to);
    assert_eq!(store.saved(&keys).await.unwrap().unwrap().sequence, 2);
    assert_eq!(store.commit(&commit(&keys, 2)).await.unwrap(), Committed::Applied, "all keys are still there");
    cluster.move_keys("out", from, to);
    // From here on the first server sends on to the second, which answers who asks it in that manner.
    assert_eq!(store.saved(&keys).await.unwrap().unwrap().sequence, 3);
    assert_eq!(store.commit(&commit(&keys, 3)).await.unwrap(), Committed::Applied, "the script is new there");
    assert_eq!(store.commit(&commit(&keys, 3)).await.unwrap(), Committed::Refused { sequence: 4 });
    let fifth = commit(&keys, 4);
    let (read, committed, again) = tokio::join!(store.read("out"), store.commit(&fifth), store.saved(&keys));
    assert_eq!((read.unwrap().unwrap(), committed.unwrap()), (b"output".to_vec(), Committed::Applied));
    again.unwrap();

    cluster.end_move("out", from, to);
    assert_eq!(store.saved(&keys).await.unwrap().unwrap().sequence, 5);
    // The map is asked for before the next operation, and then the watch goes to where the key is.
    until_restored(&store, &mut next).await;
    to.run::<()>(&["SET", "out", "others"]);
    assert_eq!(next().await, Change::Written("out".to_owned()));
    assert_eq!(store.commit(&commit(&keys, 5)).await.unwrap(), Committed::Applied);
}

/// Reads the key as a host does, until its watch is told again.
async fn until_restored(store: &Store, next: &mut impl AsyncFnMut() -> Change) {
    store.ping().await.unwrap();
    let mut told = Vec::new();
    while told.last() != Some(&Change::Restored) {
        store.read("out").await.unwrap();
        told.push(next().await);
    }
    assert!(told.contains(&Change::Lost), "{told:?}");
}

#[tokio::test]
async fn many_keys_are_found_read_and_committed_wherever_they_are() {
    let mut cluster = start();
    let store = store(&cluster);
    let names: Vec<_> = (0..60).map(|number| format!("many:{number}")).collect();
    let keys: Vec<_> = names.iter().map(|name| Keys::of(name).unwrap()).collect();
    let all: Vec<_> = keys.iter().collect();
    let commits = |sequence: u64| keys.iter().map(|keys| commit(keys, sequence)).collect::<Vec<_>>();
    let applied = async |sequence: u64| {
        let committed = store.commit_each(&commits(sequence)).await.unwrap();
        committed.into_iter().filter(|committed| matches!(committed, Ok(Committed::Applied))).count()
    };
    assert_eq!(applied(0).await, 60, "no server knows the script yet");
    assert_eq!(applied(1).await, 60);
    let (mut found, mut cursor) = (BTreeSet::new(), 0);
    loop {
        let (some, next) = store.keys_like("many:*", cursor, 7).await.unwrap();
        found.extend(some);
        cursor = next;
        if cursor == 0 {
            break;
        }
    }
    assert_eq!(found, names.iter().cloned().collect());

    let (from, to) = (cluster.master("many:7"), cluster.other_master("many:7"));
    cluster.begin_to_move("many:7", from, to);
    cluster.move_keys("many:7", from, to);
    assert_eq!(applied(2).await, 60, "one is to be asked for elsewhere");
    cluster.end_move("many:7", from, to);
    assert_eq!(applied(3).await, 60, "one has moved");
    cluster.master("many:9").run::<()>(&["DEL", "many:9"]);
    cluster.master("many:9").run::<()>(&["RPUSH", "many:9", "1"]);
    cluster.master("many:8").run::<()>(&["DEL", "many:8"]);
    cluster.master("many:7").run::<()>(&["SET", "many:7", ""]);
    let named: Vec<_> = names.iter().map(String::as_str).collect();
    let read = store.read_up_to_each(&named, 1 << 20).await.unwrap();
    let lengths: Vec<_> = read.into_iter().map(|part| part.unwrap().map(|part| part.length)).collect();
    let absent: Vec<_> = (0..60).filter(|place| lengths[*place].is_none()).collect();
    assert_eq!(absent, [8, 9], "what is no plain value reads as none");
    assert_eq!((lengths[7], lengths[10]), (Some(0), Some("output".len())));
    let saved = store.saved_each(&all).await.unwrap();
    assert!(saved.into_iter().all(|saved| saved.unwrap().unwrap().sequence == 4));

    let mut watch = store.watch_prefix("many:").await.unwrap();
    for name in &names[10..13] {
        cluster.master(name).run::<()>(&["SET", name, "others"]);
        assert_eq!(watch.next().await, Change::Written(name.clone()));
    }
    let dead = cluster.first_master("many:1");
    dead.kill();
    assert_eq!(watch.next().await, Change::Lost);
    // The keys of other masters are not held up.
    let read = store.read_up_to_each(&named, 1 << 20).await.unwrap();
    let failed = read.iter().filter(|read| read.is_err()).count();
    assert!((2..60).contains(&failed), "{failed} of 60 failed");
    let committed = store.commit_each(&commits(4)).await.unwrap();
    let failed = committed.iter().filter(|committed| committed.is_err()).count();
    assert!((2..60).contains(&failed), "{failed} of 60 failed");
    until_it_works(|| store.ping()).await;
    assert_eq!(watch.next().await, Change::Restored, "asking all masters makes the connections that tell");
}

#[tokio::test]
async fn all_masters_are_reached_over_tls() {
    let folder = tempfile::tempdir().unwrap();
    let files = certificates::issue(folder.path());
    let cluster = RedisCluster::start(&RedisServer::options().shared_tls(folder.path()));
    let address = Address::parse(&cluster.tls_url()).unwrap().with_tls(files);
    let store = Store::new(address, Credentials::default());
    for name in ["a", "b", "c", "d", "e", "f"] {
        let keys = Keys::of(name).unwrap();
        assert_eq!(store.commit(&commit(&keys, 0)).await.unwrap(), Committed::Applied);
    }
    let (from, to) = (cluster.master("a"), cluster.other_master("a"));
    cluster.begin_to_move("a", from, to);
    assert_eq!(store.read("a").await.unwrap().unwrap(), b"output");
    from.run::<()>(&["DEL", "a"]);
    assert_eq!(store.read("a").await.unwrap(), None, "it is asked for at the other server");
}

#[tokio::test]
async fn a_server_of_a_cluster_is_no_server_by_itself_nor_the_reverse() {
    let cluster = start();
    let other = cluster.other_master("out");
    let alone = Store::new(Address::redis("127.0.0.1", other.port()), Credentials::default());
    let error = alone.read("out").await.unwrap_err();
    assert!(error.to_string().contains("redis+cluster://"), "{error}");
    let server = RedisServer::start();
    let url = format!("redis+cluster://127.0.0.1:{}", server.port());
    let error = Store::new(Address::parse(&url).unwrap(), Credentials::default()).read("out").await.unwrap_err();
    assert!(error.to_string().contains("redis://"), "{error}");
}
