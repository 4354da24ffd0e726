//! Events that are set aside, and called once more.

use store::{Cause, Commit, Committed, Dead, DeadEntry, Keys, Replayed, Store};

use super::super::place::Place;
use super::{assert_nothing_committed, commit, history, keys};

const MOST: usize = 100;

/// A commit that sets an event aside, from the env `kept`.
fn set_aside<'a>(keys: &'a Keys, sequence: u64, data: &'a [u8]) -> Commit<'a> {
    let dead = Dead { data, reason: "no number: \"x\"", attempts: 3, at: "2026-01-31T12:00:00Z", most: MOST };
    Commit { outputs: Vec::new(), dead: Some(dead), ..commit(keys, sequence, b"kept") }
}

/// Sets events aside, in the order given; gives the ids, newest first.
async fn set_all_aside(store: &Store, events: &[&[u8]]) -> Vec<String> {
    let keys = keys();
    for (sequence, data) in events.iter().enumerate() {
        assert_eq!(store.commit(&set_aside(&keys, sequence as u64, data)).await.unwrap(), Committed::Applied);
    }
    ids(&dead(store).await)
}

async fn dead(store: &Store) -> Vec<DeadEntry> {
    store.dead(&keys(), None, MOST).await.unwrap()
}

/// Moves an event to where it waits to be replayed; gives its id there.
async fn replay(store: &Store, id: &str) -> String {
    match store.replay(&keys(), id, MOST).await.unwrap() {
        Replayed::Moved { id } => id,
        other => panic!("{id}: {other:?}"),
    }
}

fn ids(entries: &[DeadEntry]) -> Vec<String> {
    entries.iter().map(|entry| entry.id.clone()).collect()
}

fn data(entries: &[DeadEntry]) -> Vec<&[u8]> {
    entries.iter().map(|entry| entry.data.as_slice()).collect()
}

pub async fn an_event_is_set_aside_with_its_reason_and_makes_progress(place: &impl Place) {
    let (store, keys) = (place.store(), keys());
    assert_eq!(dead(&store).await, []);
    store.commit(&commit(&keys, 0, b"kept")).await.unwrap();
    let bytes: Vec<u8> = (0..=255).collect();
    let aside = Commit { last_event: "sha256:11", ..set_aside(&keys, 1, &bytes) };
    assert_eq!(store.commit(&aside).await.unwrap(), Committed::Applied);
    let found = dead(&place.store()).await.pop().unwrap();
    assert_eq!(found.data, bytes);
    assert_eq!((found.reason.as_str(), found.attempts), ("no number: \"x\"", 3));
    assert_eq!(found.at, "2026-01-31T12:00:00Z");
    assert_eq!(store.read("out").await.unwrap().unwrap(), b"kept");
    assert_eq!(history(&store, 9).await, [b"kept"]);
    let saved = store.saved(&keys).await.unwrap().unwrap();
    assert_eq!((saved.sequence, saved.last_event.as_str(), saved.env.as_slice()), (2, "sha256:11", &b"kept"[..]));
    assert_eq!(store.commit(&aside).await.unwrap(), Committed::Refused { sequence: 2 });
    assert_eq!(dead(&store).await.len(), 1);
}

pub async fn as_many_events_are_kept_aside_as_the_commit_says(place: &impl Place) {
    let (store, keys) = (place.store(), keys());
    for sequence in 0..5u8 {
        let event = [sequence];
        let mut aside = set_aside(&keys, sequence.into(), &event);
        aside.dead.as_mut().unwrap().most = 3;
        store.commit(&aside).await.unwrap();
    }
    assert_eq!(data(&dead(&store).await), [[4], [3], [2]]);
}

pub async fn what_was_set_aside_is_read_in_pages(place: &impl Place) {
    let (store, keys) = (place.store(), keys());
    let all = set_all_aside(&store, &[b"1", b"2", b"3", b"4", b"5"]).await;
    let mut read = Vec::new();
    loop {
        let page = store.dead(&keys, read.last().map(String::as_str), 2).await.unwrap();
        if page.is_empty() {
            break;
        }
        assert!(page.len() <= 2);
        read.extend(ids(&page));
    }
    assert_eq!(read, all);
    assert_eq!(store.dead(&keys, None, 0).await.unwrap(), []);
}

pub async fn an_event_that_was_set_aside_is_replayed_once(place: &impl Place) {
    let (store, keys) = (place.store(), keys());
    assert_eq!(store.replays(&keys, MOST).await.unwrap(), []);
    let all = set_all_aside(&store, &[b"1", b"2", b"3"]).await;
    let before = dead(&store).await;
    let (second, first) = (replay(&store, &all[1]).await, replay(&place.store(), &all[2]).await);
    assert_eq!(data(&dead(&store).await), [b"3"]);
    let waiting = store.replays(&keys, MOST).await.unwrap();
    assert_eq!(ids(&waiting), [second.clone(), first], "in the order in which they were to be replayed");
    assert_eq!(waiting[0], DeadEntry { id: second, ..before[1].clone() });
    assert_eq!(data(&store.replays(&keys, 1).await.unwrap()), [b"2"]);
    for gone in [all[1].as_str(), "0-0", "1-1", "no id", "", "-", "+", "1", "01-1", "1-1-1", "18446744073709551616-0"] {
        assert_eq!(store.replay(&keys, gone, MOST).await.unwrap(), Replayed::Gone, "{gone:?}");
    }
    assert_eq!(store.saved(&keys).await.unwrap().unwrap().sequence, 3, "that is no progress");
}

pub async fn no_more_events_wait_to_be_replayed_than_may(place: &impl Place) {
    let (store, keys) = (place.store(), keys());
    let all = set_all_aside(&store, &[b"1", b"2", b"3"]).await;
    for (id, moves) in all.iter().zip([true, true, false]) {
        let replayed = store.replay(&keys, id, 2).await.unwrap();
        assert_eq!(matches!(replayed, Replayed::Moved { .. }), moves, "{replayed:?}");
        assert_eq!(replayed == Replayed::Full, !moves, "{replayed:?}");
    }
    assert_eq!(data(&dead(&store).await), [b"1"]);
    assert_eq!(data(&store.replays(&keys, MOST).await.unwrap()), [b"3", b"2"]);
}

pub async fn a_commit_that_replays_takes_the_event_away_and_leaves_progress_as_it_was(place: &impl Place) {
    let (store, keys) = (place.store(), keys());
    let all = set_all_aside(&store, &[b"1", b"2"]).await;
    let newest = Commit { last_event: "sha256:newest", ..commit(&keys, 2, b"newest") };
    store.commit(&newest).await.unwrap();
    let (first, second) = (replay(&store, &all[1]).await, replay(&store, &all[0]).await);
    let replayed = Commit { last_event: "sha256:old", replayed: Some(&first), ..commit(&keys, 3, b"old") };
    assert_eq!(store.commit(&replayed).await.unwrap(), Committed::Applied);
    assert_eq!(ids(&store.replays(&keys, MOST).await.unwrap()), [second]);
    let saved = store.saved(&keys).await.unwrap().unwrap();
    assert_eq!((saved.sequence, saved.last_event.as_str()), (4, "sha256:newest"));
    assert_eq!((saved.env.as_slice(), saved.handler.as_str()), (&b"old"[..], "handler"));
    assert_eq!(store.read("out").await.unwrap().unwrap(), b"old");
    assert_eq!(history(&store, 9).await, [&b"newest"[..], b"old"]);
    assert_eq!(dead(&store).await, []);
}

pub async fn a_commit_that_replays_what_is_gone_applies_nothing(place: &impl Place) {
    let (store, keys) = (place.store(), keys());
    let gone = Commit { replayed: Some("1-1"), ..commit(&keys, 0, b"x") };
    assert_eq!(store.commit(&gone).await.unwrap(), Committed::Claimed);
    assert_nothing_committed(&store).await;
    let all = set_all_aside(&store, &[b"1"]).await;
    let id = replay(&store, &all[0]).await;
    let behind = Commit { replayed: Some(&id), ..commit(&keys, 0, b"x") };
    assert_eq!(store.commit(&behind).await.unwrap(), Committed::Refused { sequence: 1 });
    assert_eq!(store.replays(&keys, MOST).await.unwrap().len(), 1, "a host that fell behind takes nothing away");
    let counted = Commit { replayed: Some(&id), ..commit(&keys, 1, b"x") };
    assert_eq!(store.commit(&counted).await.unwrap(), Committed::Applied);
    let again = Commit { replayed: Some(&id), ..commit(&keys, 2, b"y") };
    assert_eq!(store.commit(&again).await.unwrap(), Committed::Claimed);
    assert_eq!(store.saved(&keys).await.unwrap().unwrap().sequence, 2);
    assert_eq!(store.read("out").await.unwrap().unwrap(), b"x");
}

pub async fn of_two_commits_that_replay_an_event_one_counts(place: &impl Place) {
    let (one, two, keys) = (place.store(), place.store(), keys());
    let all = set_all_aside(&one, &[b"1", b"2", b"3", b"4", b"5"]).await;
    for (sequence, id) in (5..).zip(&all) {
        let (first, second) = tokio::join!(one.replay(&keys, id, MOST), two.replay(&keys, id, MOST));
        let id = match (first.unwrap(), second.unwrap()) {
            (Replayed::Moved { id }, Replayed::Gone) | (Replayed::Gone, Replayed::Moved { id }) => id,
            both => panic!("{both:?}"),
        };
        let commit = Commit { replayed: Some(&id), ..commit(&keys, sequence, b"x") };
        let (first, second) = tokio::join!(one.commit(&commit), two.commit(&commit));
        let refused = Committed::Refused { sequence: sequence + 1 };
        let both = [first.unwrap(), second.unwrap()];
        assert!(both.contains(&Committed::Applied) && both.contains(&refused), "{both:?}");
    }
    assert_eq!(one.replays(&keys, MOST).await.unwrap(), []);
}

pub async fn an_event_that_is_replayed_in_vain_is_set_aside_again(place: &impl Place) {
    let (store, keys) = (place.store(), keys());
    let all = set_all_aside(&store, &[b"1"]).await;
    let id = replay(&store, &all[0]).await;
    let again = Commit { replayed: Some(&id), last_event: "sha256:old", ..set_aside(&keys, 1, b"1") };
    assert_eq!(store.commit(&again).await.unwrap(), Committed::Applied);
    assert_eq!(store.replays(&keys, MOST).await.unwrap(), []);
    assert_eq!(data(&dead(&store).await), [b"1"]);
    assert_eq!(store.saved(&keys).await.unwrap().unwrap().last_event, "event");
}

pub async fn a_first_commit_may_replay(place: &impl Place) {
    let (store, keys) = (place.store(), keys());
    let all = set_all_aside(&store, &[b"1"]).await;
    let id = replay(&store, &all[0]).await;
    // What a store leaves that has lost the env.
    place.set_field(&keys.env, "sequence", "0");
    let first = Commit { replayed: Some(&id), last_event: "sha256:old", ..commit(&keys, 0, b"x") };
    assert_eq!(store.commit(&first).await.unwrap(), Committed::Applied);
    let saved = store.saved(&keys).await.unwrap().unwrap();
    assert_eq!((saved.sequence, saved.last_event.as_str()), (1, ""), "the key's value is still to be called");
}

pub async fn keys_of_another_kind_stop_what_is_set_aside_and_replayed(place: &impl Place) {
    let (store, keys) = (place.store(), keys());
    let all = set_all_aside(&store, &[b"1"]).await;
    let is_wrong = |error: store::Error, wrong: &str| {
        assert!(matches!(&error.cause, Cause::WrongType { key } if key == wrong), "{error}");
    };
    store.write(&keys.replay, b"no stream").await.unwrap();
    is_wrong(store.replay(&keys, &all[0], MOST).await.unwrap_err(), &keys.replay);
    is_wrong(store.replays(&keys, MOST).await.unwrap_err(), &keys.replay);
    let replayed = Commit { replayed: Some("1-1"), ..commit(&keys, 1, b"x") };
    is_wrong(store.commit(&replayed).await.unwrap_err(), &keys.replay);
    assert_eq!(ids(&dead(&store).await), all);
    store.write(&keys.dead, b"no stream").await.unwrap();
    is_wrong(store.commit(&set_aside(&keys, 1, b"2")).await.unwrap_err(), &keys.dead);
    is_wrong(store.dead(&keys, None, MOST).await.unwrap_err(), &keys.dead);
    is_wrong(store.replay(&keys, &all[0], MOST).await.unwrap_err(), &keys.dead);
    assert_eq!(store.saved(&keys).await.unwrap().unwrap().sequence, 1);
}

pub async fn forgetting_removes_what_was_set_aside(place: &impl Place) {
    let (store, keys) = (place.store(), keys());
    let all = set_all_aside(&store, &[b"1", b"2"]).await;
    replay(&store, &all[0]).await;
    store.forget(&keys).await.unwrap();
    assert_eq!(dead(&store).await, []);
    assert_eq!(store.replays(&keys, MOST).await.unwrap(), []);
    assert_nothing_committed(&store).await;
}
