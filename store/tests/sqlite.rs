//! What only a file can do: be removed, replaced, someone else's, of the future, or locked.

use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use store::testing::commit;
use store::{Access, Address, Cause, Commit, Committed, Credentials, Dead, Keys, Options, Replayed, Store};

fn store(path: &Path) -> Store {
    Store::new(Address::sqlite(path), Credentials::default())
}

#[tokio::test]
async fn other_connections_read_while_a_write_goes_on() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("store.db");
    store(&path).write("in", b"before").await.unwrap();
    let mut writer = rusqlite::Connection::open(&path).unwrap();
    let writing = writer.transaction_with_behavior(rusqlite::TransactionBehavior::Immediate).unwrap();
    writing.execute("UPDATE keys SET value = X'00'", []).unwrap();
    let reader = rusqlite::Connection::open_with_flags(&path, rusqlite::OpenFlags::SQLITE_OPEN_READ_ONLY).unwrap();
    let value: Vec<u8> = reader.query_row("SELECT value FROM keys", [], |row| row.get(0)).unwrap();
    assert_eq!(value, b"before");
    writing.commit().unwrap();
    let value: Vec<u8> = reader.query_row("SELECT value FROM keys", [], |row| row.get(0)).unwrap();
    assert_eq!(value, b"\0");
}

#[tokio::test]
async fn an_open_store_reads_while_another_process_writes() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("store.db");
    let store = store(&path);
    store.write("in", b"before").await.unwrap();
    let mut writer = rusqlite::Connection::open(&path).unwrap();
    let writing = writer.transaction_with_behavior(rusqlite::TransactionBehavior::Immediate).unwrap();
    assert_eq!(store.read("in").await.unwrap().unwrap(), b"before");
    drop(writing);
}

#[tokio::test]
async fn a_lock_that_is_never_released_is_an_error_in_time() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("store.db");
    let store = store(&path);
    store.ping().await.unwrap();
    let mut other = rusqlite::Connection::open(&path).unwrap();
    let locked = other.transaction_with_behavior(rusqlite::TransactionBehavior::Immediate).unwrap();
    let started = Instant::now();
    let error = store.write("in", b"x").await.unwrap_err();
    assert!(matches!(error.cause, Cause::TimedOut(_)), "{error}");
    assert!(started.elapsed() < Duration::from_secs(6), "{:?}", started.elapsed());
    drop(locked);
    store.write("in", b"x").await.unwrap();
}

#[tokio::test]
async fn many_stores_may_create_the_same_file_at_once() {
    let folder = tempfile::tempdir().unwrap();
    for round in 0..20 {
        let path = folder.path().join(format!("{round}/store.db"));
        let tasks: Vec<_> = (0..8)
            .map(|number| {
                let store = store(&path);
                tokio::spawn(async move { store.write(&format!("in-{number}"), b"x").await })
            })
            .collect();
        for task in tasks {
            task.await.unwrap().unwrap();
        }
        assert_eq!(store(&path).read("in-7").await.unwrap().unwrap(), b"x");
    }
}

#[tokio::test]
async fn a_removed_file_is_created_again() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("below/store.db");
    let (store, keys) = (store(&path), Keys::of("out").unwrap());
    store.commit(&commit(&keys, 0)).await.unwrap();
    fs::remove_file(&path).unwrap();
    assert_eq!(store.commit(&commit(&keys, 1)).await.unwrap(), Committed::Refused { sequence: 0 });
    assert_eq!(store.commit(&commit(&keys, 0)).await.unwrap(), Committed::Applied);
    fs::remove_dir_all(path.parent().unwrap()).unwrap();
    assert_eq!(store.saved(&keys).await.unwrap(), None);
    assert!(path.exists());
}

#[tokio::test]
async fn a_replaced_file_is_opened_again() {
    let folder = tempfile::tempdir().unwrap();
    let (path, new) = (folder.path().join("store.db"), folder.path().join("new.db"));
    let (store, other) = (store(&path), store(&new));
    store.write("in", b"old").await.unwrap();
    other.write("in", b"new").await.unwrap();
    // The last connection that closes puts everything in the one file.
    drop(other);
    assert!(!folder.path().join("new.db-wal").exists());
    for suffix in ["-wal", "-shm"] {
        fs::remove_file(folder.path().join(format!("store.db{suffix}"))).unwrap();
    }
    fs::rename(&new, &path).unwrap();
    assert_eq!(store.read("in").await.unwrap().unwrap(), b"new");
    store.write("in", b"newer").await.unwrap();
    assert_eq!(self::store(&path).read("in").await.unwrap().unwrap(), b"newer");
}

#[tokio::test]
async fn a_schema_of_the_future_is_refused_and_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("store.db");
    store(&path).write("in", b"x").await.unwrap();
    let connection = rusqlite::Connection::open(&path).unwrap();
    connection.pragma_update(None, "user_version", 2).unwrap();
    let error = store(&path).write("in", b"y").await.unwrap_err();
    assert!(matches!(error.cause, Cause::Corrupt(_)), "{error}");
    assert!(error.to_string().contains("schema version 2"), "{error}");
    connection.pragma_update(None, "user_version", 1).unwrap();
    assert_eq!(store(&path).read("in").await.unwrap().unwrap(), b"x");
}

#[tokio::test]
async fn another_programs_database_is_refused_and_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("store.db");
    rusqlite::Connection::open(&path).unwrap().execute_batch("CREATE TABLE theirs (x)").unwrap();
    let before = fs::read(&path).unwrap();
    let error = store(&path).ping().await.unwrap_err();
    assert!(matches!(error.cause, Cause::Corrupt(_)) && error.to_string().contains("another"), "{error}");
    assert_eq!(fs::read(&path).unwrap(), before);
}

#[tokio::test]
async fn a_file_that_is_no_database_is_refused_until_it_is_moved_away() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("store.db");
    fs::write(&path, "not a database, by far not one ".repeat(200)).unwrap();
    let store = store(&path);
    let error = store.ping().await.unwrap_err();
    assert!(matches!(error.cause, Cause::Corrupt(_)), "{error}");
    assert!(error.to_string().contains(&*path.to_string_lossy()), "{error}");
    fs::rename(&path, folder.path().join("away")).unwrap();
    store.ping().await.unwrap();
}

#[tokio::test]
async fn a_folder_that_cannot_be_made_is_an_error_until_it_can() {
    let folder = tempfile::tempdir().unwrap();
    let blocker = folder.path().join("blocker");
    fs::write(&blocker, "a file where a folder should be").unwrap();
    let store = store(&blocker.join("store.db"));
    let error = store.ping().await.unwrap_err();
    assert!(matches!(error.cause, Cause::Unreachable(_)) && error.to_string().contains("folder"), "{error}");
    fs::remove_file(&blocker).unwrap();
    store.ping().await.unwrap();
}

#[tokio::test]
async fn a_path_that_is_a_folder_is_an_error() {
    let folder = tempfile::tempdir().unwrap();
    let error = store(folder.path()).ping().await.unwrap_err();
    assert!(matches!(error.cause, Cause::Unreachable(_)), "{error}");
}

#[tokio::test]
async fn history_ids_grow_though_the_clock_went_back() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("store.db");
    let (store, keys) = (store(&path), Keys::of("out").unwrap());
    store.commit(&commit(&keys, 0)).await.unwrap();
    let far = 1_u64 << 50;
    let other = rusqlite::Connection::open(&path).unwrap();
    other.execute(&format!("UPDATE streams SET ms = {far}"), []).unwrap();
    store.commit(&commit(&keys, 1)).await.unwrap();
    let ids: Vec<String> = store.history(&keys, 9).await.unwrap().into_iter().map(|entry| entry.id).collect();
    assert_eq!(ids, [format!("{far}-0"), format!("{far}-1")]);
}

/// The tables as programs made them that could set nothing aside.
const EARLIER: &str = "
    CREATE TABLE keys (
        key TEXT NOT NULL, field TEXT NOT NULL, value BLOB NOT NULL, expires_at INTEGER, PRIMARY KEY (key, field)
    );
    CREATE TABLE streams (
        key TEXT NOT NULL, ms INTEGER NOT NULL, seq INTEGER NOT NULL, data BLOB NOT NULL, PRIMARY KEY (key, ms, seq)
    );
    PRAGMA application_id = 0x686f7374;
    PRAGMA user_version = 1;
    INSERT INTO streams (key, ms, seq, data) VALUES ('{out}:history', 5, 0, X'01');
";

#[tokio::test]
async fn a_file_of_an_earlier_program_is_gone_on_with_and_can_be_given_back_to_it() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("store.db");
    let earlier = rusqlite::Connection::open(&path).unwrap();
    earlier.execute_batch(EARLIER).unwrap();
    let (store, keys) = (store(&path), Keys::of("out").unwrap());
    let dead = Dead { data: b"2", reason: "why", attempts: 3, at: "2026-01-31T12:00:00Z", most: 9 };
    let aside = Commit { outputs: Vec::new(), dead: Some(dead), ..commit(&keys, 0) };
    assert_eq!(store.commit(&aside).await.unwrap(), Committed::Applied);
    assert_eq!(store.dead(&keys, None, 9).await.unwrap()[0].reason, "why");
    assert_eq!(store.history(&keys, 9).await.unwrap()[0].data, [1]);
    // What the earlier program asks for and does.
    let version: i64 = earlier.query_row("PRAGMA user_version", [], |row| row.get(0)).unwrap();
    assert_eq!(version, 1);
    let append = "INSERT INTO streams (key, ms, seq, data) VALUES ('{out}:history', 6, 0, X'02')";
    assert_eq!(earlier.execute(append, []).unwrap(), 1);
    assert_eq!(store.history(&keys, 9).await.unwrap()[1].data, [2]);
    assert_eq!(store.dead(&keys, None, 9).await.unwrap().len(), 1);
}

#[tokio::test]
async fn whoever_only_looks_finds_nothing_set_aside_in_a_file_of_an_earlier_program_and_leaves_it_as_it_is() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("store.db");
    let earlier = rusqlite::Connection::open(&path).unwrap();
    earlier.execute_batch(EARLIER).unwrap();
    let options = Options { access: Access::Existing, ..Options::default() };
    let (looking, keys) = (Store::with(Address::sqlite(&path), options), Keys::of("out").unwrap());
    assert_eq!(looking.dead(&keys, None, 9).await.unwrap(), []);
    assert_eq!(looking.replays(&keys, 9).await.unwrap(), []);
    assert_eq!(looking.replay(&keys, "1-1", 9).await.unwrap(), Replayed::Gone);
    let columns = "SELECT count(*) FROM pragma_table_info('streams')";
    assert_eq!(earlier.query_row(columns, [], |row| row.get::<_, i64>(0)).unwrap(), 4);
}

#[tokio::test]
async fn a_file_has_no_stream_that_an_event_could_go_back_to() {
    let folder = tempfile::tempdir().unwrap();
    let store = store(&folder.path().join("store.db"));
    let error = store.replay_to_stream(&Keys::of("out").unwrap(), "1-1", "in").await.unwrap_err();
    assert!(matches!(error.cause, Cause::Unsupported(_)), "{error}");
}
