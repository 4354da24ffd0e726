//! Who may write: one at a time, and nobody for ever.

use std::time::{Duration, Instant};

use store::{Cause, Keys, Lease, Store};

use super::super::place::Place;
use super::{commit, keys};

const LONG: Duration = Duration::from_secs(60);

async fn take(store: &Store, token: &str, time_to_live: Duration) -> Lease {
    store.take_lease(&keys(), token, time_to_live).await.unwrap()
}

/// Asserts that it is that token's, for about as long.
fn assert_of(lease: &Lease, holder: &str, time_to_live: Duration) {
    let Lease::Of { token, expires_in } = lease else { panic!("nobody had it") };
    assert_eq!(token, holder);
    assert!(*expires_in <= time_to_live && *expires_in + LONG / 2 > time_to_live, "{expires_in:?}");
}

pub async fn of_two_that_ask_for_a_lease_one_holds_it(place: &impl Place) {
    let (one, two) = (place.store(), place.store());
    let (first, second) = tokio::join!(take(&one, "one", LONG), take(&two, "two", LONG));
    let (holder, other) = match (&first, &second) {
        (Lease::Held, other) => ("one", other),
        (other, Lease::Held) => ("two", other),
        both => panic!("{both:?}"),
    };
    assert_of(other, holder, LONG);
    assert_of(&take(&one, "three", LONG).await, holder, LONG);
    assert_eq!(take(&two, holder, LONG).await, Lease::Held, "it is the token's, not the connection's");
}

pub async fn a_lease_that_is_extended_stays_and_one_that_is_not_runs_out(place: &impl Place) {
    let (store, short) = (place.store(), Duration::from_millis(300));
    assert_eq!(take(&store, "one", short).await, Lease::Held);
    assert_eq!(take(&store, "one", LONG).await, Lease::Held);
    tokio::time::sleep(short).await;
    assert_of(&take(&store, "two", LONG).await, "one", LONG);
    assert_eq!(take(&store, "one", short).await, Lease::Held);
    let asked = Instant::now();
    while let Lease::Of { expires_in, .. } = take(&store, "two", short).await {
        assert!(asked.elapsed() < LONG / 2, "it is still the first one's");
        tokio::time::sleep(expires_in.min(Duration::from_millis(10))).await;
    }
    assert_of(&take(&store, "one", short).await, "two", short);
}

pub async fn a_lease_is_given_up_by_its_holder_alone(place: &impl Place) {
    let store = place.store();
    store.release(&keys(), "one").await.unwrap();
    assert_eq!(take(&store, "one", LONG).await, Lease::Held);
    store.release(&keys(), "two").await.unwrap();
    assert_of(&take(&store, "two", LONG).await, "one", LONG);
    store.release(&keys(), "one").await.unwrap();
    assert_eq!(take(&place.store(), "two", LONG).await, Lease::Held);
}

pub async fn a_lease_that_nobody_would_see_end_is_taken(place: &impl Place) {
    let (store, second) = (place.store(), Duration::from_secs(1));
    let leave = async |value: &str, time_to_live| {
        let lease = Keys { status: keys().lease, ..keys() };
        store.announce(&lease, value.as_bytes(), time_to_live).await.unwrap();
    };
    // What a clock that was set back by an hour leaves, of this program and of one that wrote no period.
    leave("one 1000", 3600 * second).await;
    assert_eq!(take(&store, "two", second).await, Lease::Held);
    leave("one", 3600 * second).await;
    assert_eq!(take(&store, "two", second).await, Lease::Held);
    leave("one", second).await;
    assert_of(&take(&store, "two", second).await, "one", second);
    store.write(&keys().lease, b"without end").await.unwrap();
    assert_eq!(take(&store, "two", second).await, Lease::Held);
    store.release(&keys(), "two").await.unwrap();
    // What a server leaves whose clock is a little ahead.
    leave("one 40000", LONG).await;
    assert_of(&take(&store, "two", second).await, "one", LONG);
}

pub async fn a_lease_lasts_as_long_as_its_holder_has_taken_it_for(place: &impl Place) {
    let (store, second) = (place.store(), Duration::from_secs(1));
    assert_eq!(take(&store, "one", LONG).await, Lease::Held);
    assert_of(&take(&store, "two", second).await, "one", LONG);
    assert_eq!(take(&store, "one", LONG).await, Lease::Held);
    store.release(&keys(), "one").await.unwrap();
    assert_eq!(take(&store, "two 2", second).await, Lease::Held, "a token may look like one with a period");
    assert_of(&take(&store, "one", LONG).await, "two 2", second);
    store.release(&keys(), "two 2").await.unwrap();
    assert_eq!(take(&store, "one", LONG).await, Lease::Held);
}

pub async fn a_wrong_typed_lease_is_an_error_and_stays(place: &impl Place) {
    let (store, keys) = (place.store(), keys());
    store.ping().await.unwrap();
    place.set_field(&keys.lease, "field", "1");
    for error in [
        store.take_lease(&keys, "one", LONG).await.unwrap_err(),
        store.release(&keys, "one").await.unwrap_err(),
        store.read(&keys.lease).await.unwrap_err(),
    ] {
        assert!(matches!(&error.cause, Cause::WrongType { key } if *key == keys.lease), "{error}");
        assert!(error.to_string().contains("{out}:lease"), "{error}");
    }
}

pub async fn a_forgotten_output_leaves_its_lease(place: &impl Place) {
    let (store, keys) = (place.store(), keys());
    assert_eq!(take(&store, "one", LONG).await, Lease::Held);
    store.commit(&commit(&keys, 0, b"x")).await.unwrap();
    store.forget(&keys).await.unwrap();
    assert_of(&take(&store, "two", LONG).await, "one", LONG);
}

pub async fn consumers_have_leases_of_their_own(place: &impl Place) {
    let store = place.store();
    for name in ["a", "b"] {
        let keys = Keys::of("out").unwrap().of_consumer(name);
        assert_eq!(store.take_lease(&keys, name, LONG).await.unwrap(), Lease::Held);
    }
    assert_eq!(take(&store, "main", LONG).await, Lease::Held);
}
