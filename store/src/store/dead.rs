//! Events that were set aside, asked of the store.

use super::{Backend, Store};
use crate::dead::{DeadEntry, Replayed};
use crate::error::Error;
use crate::keys::Keys;

impl Store {
    /// Up to `most` events that were set aside, newest first, from the one before the id `before` on (none: from the
    /// newest).
    ///
    /// # Errors
    ///
    /// The store fails; the key holds something other than a stream of such events; on Redis before 6.2 where `before` is
    /// given.
    pub async fn dead(&self, keys: &Keys, before: Option<&str>, most: usize) -> Result<Vec<DeadEntry>, Error> {
        let outcome = match self.backend.as_ref() {
            Backend::Redis(redis) => redis.dead(&keys.dead, before, most).await,
            Backend::Sqlite(sqlite) => sqlite.dead(&keys.dead, before, most).await,
        };
        self.told(outcome, || format!("read what was set aside {:?}", keys.dead))
    }

    /// Moves an event that was set aside to `{out}:replay`, where at most `most` wait, as one: it is in one of them at any
    /// time, and never in both.
    ///
    /// # Errors
    ///
    /// As [`commit`](Store::commit): nobody knows whether it was moved, or `{out}:dead` or `{out}:replay` holds another
    /// kind of value.
    pub async fn replay(&self, keys: &Keys, id: &str, most: usize) -> Result<Replayed, Error> {
        let outcome = match self.backend.as_ref() {
            Backend::Redis(redis) => redis.replay(keys, id, most).await,
            Backend::Sqlite(sqlite) => sqlite.replay(keys, id, most).await,
        };
        self.told(outcome, || format!("replay {id} of {:?}", keys.dead))
    }

    /// Moves an event that was set aside back to the stream that it came from, as an entry with the field `data`, as
    /// [`replay`](Store::replay) does. Both must be in the same slot of a cluster.
    ///
    /// # Errors
    ///
    /// As [`replay`](Store::replay); [`Unsupported`](crate::Cause::Unsupported) on SQLite.
    pub async fn replay_to_stream(&self, keys: &Keys, id: &str, stream: &str) -> Result<Replayed, Error> {
        let outcome = async { self.redis()?.replay_to_stream(keys, id, stream).await }.await;
        self.told(outcome, || format!("replay {id} of {:?} to stream {stream:?}", keys.dead))
    }

    /// Up to `most` events that are to be called once more, oldest first. Each goes with the [commit](Store::commit) of its
    /// results.
    ///
    /// # Errors
    ///
    /// As [`dead`](Store::dead).
    pub async fn replays(&self, keys: &Keys, most: usize) -> Result<Vec<DeadEntry>, Error> {
        let outcome = match self.backend.as_ref() {
            Backend::Redis(redis) => redis.replays(&keys.replay, most).await,
            Backend::Sqlite(sqlite) => sqlite.replays(&keys.replay, most).await,
        };
        self.told(outcome, || format!("read what is to be replayed {:?}", keys.replay))
    }
}
