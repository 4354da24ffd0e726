//! Keys that hold something else than a commit wrote: each stops the whole commit, and nothing is overwritten.

use store::{Cause, Commit, Committed, Store};

use super::super::place::Place;
use super::{assert_nothing_committed, commit, history, keys};

/// A commit must fail for the wrong type of `wrong` and leave everything as it was.
async fn assert_stopped_by(store: &Store, sequence: u64, wrong: &str) {
    let error = store.commit(&commit(&keys(), sequence, b"half")).await.unwrap_err();
    assert!(matches!(&error.cause, Cause::WrongType { key } if key == wrong), "{error}");
    assert!(error.to_string().contains("another kind of value"), "{error}");
}

pub async fn a_wrong_typed_history_stops_the_whole_commit(place: &impl Place) {
    let (store, keys) = (place.store(), keys());
    let without = Commit { history_length: 0, ..commit(&keys, 0, b"whole") };
    store.write(&keys.history, b"no stream").await.unwrap();
    assert_stopped_by(&store, 0, &keys.history).await;
    assert_eq!(store.read("out").await.unwrap(), None);
    assert_eq!(store.saved(&keys).await.unwrap(), None);
    store.commit(&without).await.unwrap();
    assert_stopped_by(&store, 1, &keys.history).await;
    assert_eq!(store.read("out").await.unwrap().unwrap(), b"whole");
    assert_eq!(store.saved(&keys).await.unwrap().unwrap().sequence, 1);
    assert_eq!(store.read(&keys.history).await.unwrap().unwrap(), b"no stream");
}

pub async fn a_wrong_typed_env_stops_the_whole_commit(place: &impl Place) {
    let (store, keys) = (place.store(), keys());
    store.write(&keys.env, b"no hash").await.unwrap();
    assert_stopped_by(&store, 0, &keys.env).await;
    assert_eq!(store.read("out").await.unwrap(), None);
    assert_eq!(history(&store, 9).await, Vec::<Vec<u8>>::new());
    assert_eq!(store.read(&keys.env).await.unwrap().unwrap(), b"no hash");
    assert!(matches!(store.saved(&keys).await.unwrap_err().cause, Cause::WrongType { .. }));
}

pub async fn a_wrong_typed_output_stops_the_whole_commit(place: &impl Place) {
    let (store, keys) = (place.store(), keys());
    place.store().ping().await.unwrap();
    place.set_field("out", "precious", "1");
    assert_stopped_by(&store, 0, "out").await;
    assert_eq!(store.saved(&keys).await.unwrap(), None);
    assert_eq!(history(&store, 9).await, Vec::<Vec<u8>>::new());
    assert!(matches!(store.read("out").await.unwrap_err().cause, Cause::WrongType { .. }));
}

pub async fn a_wrong_typed_history_matters_only_where_history_is_kept(place: &impl Place) {
    let (store, keys) = (place.store(), keys());
    store.write(&keys.history, b"no stream").await.unwrap();
    let without = Commit { history_length: 0, ..commit(&keys, 0, b"x") };
    assert_eq!(store.commit(&without).await.unwrap(), Committed::Applied);
    assert!(matches!(store.history(&keys, 9).await.unwrap_err().cause, Cause::WrongType { .. }));
}

pub async fn a_sequence_that_is_no_number_is_an_error_and_stays(place: &impl Place) {
    let (store, keys) = (place.store(), keys());
    store.commit(&commit(&keys, 0, b"kept")).await.unwrap();
    for sequence in ["", "x", "-1", "01", "1.0", "1e0", " 1", "18446744073709551616"] {
        place.set_field(&keys.env, "sequence", sequence);
        for error in [
            store.saved(&keys).await.unwrap_err(),
            store.commit(&commit(&keys, 0, b"lost")).await.unwrap_err(),
            store.commit(&commit(&keys, 1, b"lost")).await.unwrap_err(),
        ] {
            assert!(matches!(error.cause, Cause::Corrupt(_)), "{sequence:?}: {error}");
        }
    }
    assert_eq!(place.output_and_env("out", &keys.env), (Some(b"kept".to_vec()), Some(b"kept".to_vec())));
}

pub async fn a_hash_without_a_sequence_is_an_error_and_stays(place: &impl Place) {
    let (store, keys) = (place.store(), keys());
    store.ping().await.unwrap();
    place.set_field(&keys.env, "env", "precious");
    assert!(matches!(store.saved(&keys).await.unwrap_err().cause, Cause::Corrupt(_)));
    assert!(matches!(store.commit(&commit(&keys, 0, b"x")).await.unwrap_err().cause, Cause::Corrupt(_)));
    assert_eq!(place.output_and_env("out", &keys.env), (None, Some(b"precious".to_vec())));
}

pub async fn sequences_beyond_53_bits_are_told_apart(place: &impl Place) {
    let (store, keys) = (place.store(), keys());
    store.commit(&commit(&keys, 0, b"x")).await.unwrap();
    let sequence = (1 << 60) + 1;
    place.set_field(&keys.env, "sequence", &sequence.to_string());
    let refused = store.commit(&commit(&keys, sequence - 1, b"y")).await.unwrap();
    assert_eq!(refused, Committed::Refused { sequence });
    assert_eq!(store.commit(&commit(&keys, sequence, b"z")).await.unwrap(), Committed::Applied);
    assert_eq!(store.saved(&keys).await.unwrap().unwrap().sequence, sequence + 1);
}

pub async fn the_greatest_sequence_is_an_error(place: &impl Place) {
    let (store, keys) = (place.store(), keys());
    assert!(matches!(store.commit(&commit(&keys, u64::MAX, b"x")).await.unwrap_err().cause, Cause::Corrupt(_)));
    assert_nothing_committed(&store).await;
}
