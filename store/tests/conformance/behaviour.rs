//! The behaviours, each a function of a fresh place.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use store::{Cause, Commit, Committed, Keys, Store};

use super::place::Place;

pub use damage::*;
pub use dead::*;
pub use lease::*;

mod damage;
mod dead;
mod lease;

fn keys() -> Keys {
    Keys::of("out").expect("it is a good key")
}

/// A commit from `sequence` whose output and env are `bytes`.
fn commit<'a>(keys: &'a Keys, sequence: u64, bytes: &'a [u8]) -> Commit<'a> {
    Commit { outputs: vec![bytes], env: bytes, ..store::testing::commit(keys, sequence) }
}

async fn history(store: &Store, newest: usize) -> Vec<Vec<u8>> {
    store.history(&keys(), newest).await.unwrap().into_iter().map(|entry| entry.data).collect()
}

/// Asserts that `out` and its companions are as if nothing had ever been committed.
async fn assert_nothing_committed(store: &Store) {
    let keys = keys();
    assert_eq!(store.read(&keys.output).await.unwrap(), None);
    assert_eq!(store.saved(&keys).await.unwrap(), None);
    assert_eq!(history(store, 9).await, Vec::<Vec<u8>>::new());
}

pub async fn an_input_is_read_as_it_was_written(place: &impl Place) {
    let store = place.store();
    store.ping().await.unwrap();
    store.write("in", b"one").await.unwrap();
    store.write("in", b"two").await.unwrap();
    assert_eq!(place.store().read("in").await.unwrap().unwrap(), b"two");
}

pub async fn a_missing_key_reads_as_none(place: &impl Place) {
    let store = place.store();
    assert_nothing_committed(&store).await;
    assert_eq!(store.status(&keys()).await.unwrap(), None);
}

pub async fn a_commit_with_the_right_sequence_applies_everything(place: &impl Place) {
    let (store, keys) = (place.store(), keys());
    for (sequence, bytes) in [(0, b"first "), (1, b"second")] {
        assert_eq!(store.commit(&commit(&keys, sequence, bytes)).await.unwrap(), Committed::Applied);
    }
    let other = place.store();
    assert_eq!(other.read("out").await.unwrap().unwrap(), b"second");
    let saved = other.saved(&keys).await.unwrap().unwrap();
    assert_eq!((saved.sequence, saved.env.as_slice()), (2, b"second".as_slice()));
    assert_eq!((saved.last_event.as_str(), saved.handler.as_str()), ("event", "handler"));
    assert_eq!((saved.plugin_version.as_str(), saved.saved_at.as_str()), ("1.2.3", "2026-01-31T12:00:00Z"));
    assert_eq!(history(&other, 9).await, [b"first ", b"second"]);
}

pub async fn a_commit_with_a_wrong_sequence_applies_nothing(place: &impl Place) {
    let (store, keys) = (place.store(), keys());
    assert_eq!(store.commit(&commit(&keys, 7, b"x")).await.unwrap(), Committed::Refused { sequence: 0 });
    assert_nothing_committed(&store).await;
    store.commit(&commit(&keys, 0, b"kept")).await.unwrap();
    for wrong in [0, 2, u64::MAX - 1] {
        let refused = store.commit(&commit(&keys, wrong, b"x")).await.unwrap();
        assert_eq!(refused, Committed::Refused { sequence: 1 });
    }
    assert_eq!(store.read("out").await.unwrap().unwrap(), b"kept");
    assert_eq!(store.saved(&keys).await.unwrap().unwrap().env, b"kept");
    assert_eq!(history(&store, 9).await, [b"kept"]);
}

pub async fn of_two_writers_from_the_same_sequence_exactly_one_wins(place: &impl Place) {
    let (one, two, keys) = (place.store(), place.store(), keys());
    for sequence in 0..200 {
        let (first, second) = (commit(&keys, sequence, b"one"), commit(&keys, sequence, b"two"));
        let (first, second) = tokio::join!(one.commit(&first), two.commit(&second));
        let lost = Committed::Refused { sequence: sequence + 1 };
        let winner: &[u8] = match (first.unwrap(), second.unwrap()) {
            (Committed::Applied, refused) if refused == lost => b"one",
            (refused, Committed::Applied) if refused == lost => b"two",
            other => panic!("round {sequence}: {other:?}"),
        };
        assert_eq!(one.read("out").await.unwrap().unwrap(), winner);
        let saved = two.saved(&keys).await.unwrap().unwrap();
        assert_eq!((saved.sequence, saved.env.as_slice()), (sequence + 1, winner));
        assert_eq!(history(&one, 1).await, [winner]);
    }
}

pub async fn the_history_is_capped_and_ordered(place: &impl Place) {
    let (store, keys) = (place.store(), keys());
    for number in 0..20u8 {
        store.commit(&commit(&keys, number.into(), &[number])).await.unwrap();
    }
    assert_eq!(history(&store, usize::MAX >> 1).await, [[17], [18], [19]]);
    assert_eq!(history(&store, 2).await, [[18], [19]]);
    assert_eq!(history(&store, 0).await, Vec::<Vec<u8>>::new());
    let entries = store.history(&keys, 3).await.unwrap();
    let ids: Vec<(u64, u64)> = entries
        .iter()
        .map(|entry| entry.id.split_once('-').unwrap())
        .map(|(ms, seq)| (ms.parse().unwrap(), seq.parse().unwrap()))
        .collect();
    assert!(ids.is_sorted_by(|a, b| a < b), "{ids:?}");
    let shorter = Commit { history_length: 1, ..commit(&keys, 20, b"last") };
    store.commit(&shorter).await.unwrap();
    assert_eq!(history(&store, 9).await, [b"last"]);
}

pub async fn a_history_is_read_up_to_so_many_bytes(place: &impl Place) {
    let (store, keys) = (place.store(), keys());
    for number in 0..500_u16 {
        let output = number.to_be_bytes().repeat(if number < 100 { 5_000 } else { 50 });
        let all = Commit { history_length: 720, ..commit(&keys, number.into(), &output) };
        store.commit(&all).await.unwrap();
    }
    let read = async |most: usize| {
        let entries = store.history_up_to(&keys, 720, most).await.unwrap();
        let numbers = entries.iter().map(|entry| u16::from_be_bytes([entry.data[0], entry.data[1]]));
        let bytes: usize = entries.iter().map(|entry| entry.data.len()).sum();
        assert!(numbers.clone().rev().eq((0..500).rev().take(entries.len())), "all of them, to the newest");
        (entries.len(), bytes)
    };
    assert_eq!(read(usize::MAX).await.0, 500);
    assert_eq!(read(1).await.0, 1, "the newest comes whatever its size");
    for most in [10_000, 100_000, 300_000] {
        let (count, bytes) = read(most).await;
        assert!(bytes <= most && bytes + 400 * 20 + 10_020 > most, "{count} entries have {bytes} bytes of {most}");
    }
}

pub async fn a_value_is_read_up_to_so_many_bytes(place: &impl Place) {
    let store = place.store();
    let read = async |most| store.read_up_to("in", most).await.unwrap().map(|part| (part.bytes, part.length));
    assert_eq!(read(9).await, None);
    store.write("in", b"\xffbytes").await.unwrap();
    assert_eq!(read(9).await, Some((b"\xffbytes".to_vec(), 6)));
    assert_eq!(read(6).await, Some((b"\xffbytes".to_vec(), 6)));
    assert_eq!(read(2).await, Some((b"\xffb".to_vec(), 6)));
    store.write("in", b"").await.unwrap();
    assert_eq!(read(9).await, Some((Vec::new(), 0)));
    store.commit(&commit(&keys(), 0, b"x")).await.unwrap();
    let error = store.read_up_to(&keys().env, 9).await.unwrap_err();
    assert!(matches!(error.cause, Cause::WrongType { .. }), "{error}");
}

pub async fn a_history_length_of_zero_writes_none_and_keeps_what_is_there(place: &impl Place) {
    let (store, keys) = (place.store(), keys());
    let without = |sequence| Commit { history_length: 0, ..commit(&keys, sequence, b"without") };
    store.commit(&without(0)).await.unwrap();
    assert_eq!(history(&store, 9).await, Vec::<Vec<u8>>::new());
    store.commit(&commit(&keys, 1, b"with")).await.unwrap();
    store.commit(&without(2)).await.unwrap();
    assert_eq!(history(&store, 9).await, [b"with"]);
    assert_eq!(store.read("out").await.unwrap().unwrap(), b"without");
}

pub async fn a_status_expires(place: &impl Place) {
    let (store, keys) = (place.store(), keys());
    store.announce(&keys, b"{}", Duration::from_millis(300)).await.unwrap();
    assert_eq!(store.status(&keys).await.unwrap().unwrap(), b"{}");
    let deadline = Instant::now() + Duration::from_secs(5);
    while store.status(&keys).await.unwrap().is_some() {
        assert!(Instant::now() < deadline, "the status is still there");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

pub async fn a_status_can_be_renewed_before_it_expires(place: &impl Place) {
    let (store, keys) = (place.store(), keys());
    store.announce(&keys, b"short", Duration::ZERO).await.unwrap();
    store.announce(&keys, b"long", Duration::MAX).await.unwrap();
    tokio::time::sleep(Duration::from_millis(20)).await;
    assert_eq!(store.status(&keys).await.unwrap().unwrap(), b"long");
}

pub async fn any_bytes_come_back_as_they_were(place: &impl Place) {
    let (store, keys) = (place.store(), keys());
    let every_byte: Vec<u8> = (0..=255).collect();
    for (sequence, bytes) in [every_byte.as_slice(), b"", b"\xff\xfe", b"\r\n"].into_iter().enumerate() {
        store.write("in", bytes).await.unwrap();
        assert_eq!(store.read("in").await.unwrap().unwrap(), bytes);
        store.commit(&commit(&keys, sequence as u64, bytes)).await.unwrap();
        assert_eq!(store.read("out").await.unwrap().unwrap(), bytes);
        assert_eq!(store.saved(&keys).await.unwrap().unwrap().env, bytes);
        assert_eq!(history(&store, 1).await, [bytes]);
    }
}

pub async fn values_of_a_mebibyte_come_back_as_they_were(place: &impl Place) {
    let (store, keys) = (place.store(), keys());
    let bytes: Vec<u8> = (0..1 << 20).map(|index: u32| (index.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
    assert_eq!(store.commit(&commit(&keys, 0, &bytes)).await.unwrap(), Committed::Applied);
    assert_eq!(store.read("out").await.unwrap().unwrap(), bytes);
    assert_eq!(store.saved(&keys).await.unwrap().unwrap().env, bytes);
    assert_eq!(history(&store, 1).await, [bytes]);
}

pub async fn keys_may_be_any_text(place: &impl Place) {
    let store = place.store();
    for output in ["größe/温度 🌡", "a b\nc", "it's \"quoted\"; DROP TABLE keys", "tag{ged}", "%_*"] {
        let keys = Keys::of(output).unwrap();
        store.commit(&commit(&keys, 0, output.as_bytes())).await.unwrap();
        assert_eq!(store.read(output).await.unwrap().unwrap(), output.as_bytes());
        assert_eq!(store.saved(&keys).await.unwrap().unwrap().sequence, 1);
    }
}

pub async fn a_reader_sees_all_of_a_commit_or_nothing(place: &impl Place) {
    let done = Arc::new(AtomicBool::new(false));
    let writer = tokio::spawn({
        let (store, keys, done) = (place.store(), keys(), done.clone());
        async move {
            let mut sequence = 0;
            while !done.load(Ordering::Relaxed) {
                store.commit(&commit(&keys, sequence, sequence.to_string().as_bytes())).await.unwrap();
                sequence += 1;
            }
        }
    });
    place.store().ping().await.unwrap();
    let deadline = Instant::now() + Duration::from_secs(30);
    let mut seen = std::collections::BTreeSet::new();
    while seen.len() < 50 {
        let (output, env) = place.output_and_env("out", "{out}:env");
        assert_eq!(output, env);
        seen.insert(output);
        assert!(!writer.is_finished() && Instant::now() < deadline, "the reader saw {} commits", seen.len());
        tokio::task::yield_now().await;
    }
    done.store(true, Ordering::Relaxed);
    writer.await.unwrap();
}

pub async fn forgetting_removes_output_and_companions(place: &impl Place) {
    let (store, keys) = (place.store(), keys());
    store.write("in", b"stays").await.unwrap();
    store.forget(&keys).await.unwrap();
    store.commit(&commit(&keys, 0, b"x")).await.unwrap();
    store.announce(&keys, b"{}", Duration::from_secs(60)).await.unwrap();
    store.forget(&keys).await.unwrap();
    assert_nothing_committed(&store).await;
    assert_eq!(store.status(&keys).await.unwrap(), None);
    assert_eq!(store.read("in").await.unwrap().unwrap(), b"stays");
}

pub async fn a_forgotten_output_starts_from_sequence_zero(place: &impl Place) {
    let (store, keys) = (place.store(), keys());
    store.commit(&commit(&keys, 0, b"old")).await.unwrap();
    store.forget(&keys).await.unwrap();
    assert_eq!(store.commit(&commit(&keys, 1, b"x")).await.unwrap(), Committed::Refused { sequence: 0 });
    assert_eq!(store.commit(&commit(&keys, 0, b"new")).await.unwrap(), Committed::Applied);
    assert_eq!(history(&store, 9).await, [b"new"]);
}

pub async fn errors_name_action_key_and_store(place: &impl Place) {
    let store = place.store();
    store.ping().await.unwrap();
    place.set_field("a hash", "field", "1");
    let error = store.read("a hash").await.unwrap_err();
    let sentence =
        format!("cannot read key \"a hash\" in store {}: key \"a hash\" holds another kind", store.address());
    assert!(error.to_string().starts_with(&sentence), "{error}");
}

pub async fn clones_and_tasks_share_a_store(place: &impl Place) {
    let store = place.store();
    let tasks: Vec<_> = (0..50)
        .map(|number| {
            let store = store.clone();
            tokio::spawn(async move { store.write(&format!("in-{number}"), b"x").await })
        })
        .collect();
    for task in tasks {
        task.await.unwrap().unwrap();
    }
    assert_eq!(store.read("in-49").await.unwrap().unwrap(), b"x");
}
