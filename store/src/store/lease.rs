//! Who may write to an output, asked of the store.

use std::time::Duration;

use super::{Backend, Store};
use crate::error::Error;
use crate::keys::Keys;
use crate::lease::Lease;

impl Store {
    /// Takes the lease if it is free or `token`'s already; then it is `token`'s for `time_to_live` (whole milliseconds, at
    /// least one) from now. Extend it several times within that: whoever doesn't ask in time may find it another one's.
    /// The time is the store's to measure: the Redis server's clock, and on SQLite this machine's, so that hosts need not
    /// agree about the time; nor about the period, as the holder's own stands beside its token. A lease that would last longer
    /// than twice that is taken from its holder: the clock was set back.
    ///
    /// Who waits for it needs not ask often. A [`watch`](Store::watch) on `keys.lease` tells at once that it was given up,
    /// and within a moment that its time is over. It also tells of each time that it was extended, the caller's own
    /// included: so a holder must not extend it because of what it is told. A watch tells of all keys together, and there
    /// is one a connection: where another watch is used already, watch the lease with [`another`](Store::another). Where
    /// nothing is told (on SQLite), ask again after `expires_in` or a fraction of it.
    ///
    /// # Errors
    ///
    /// The store fails, and nobody knows whether the lease was taken; the key holds another kind of value.
    pub async fn take_lease(&self, keys: &Keys, token: &str, time_to_live: Duration) -> Result<Lease, Error> {
        let outcome = match self.backend.as_ref() {
            Backend::Redis(redis) => redis.take_lease(&keys.lease, token, time_to_live).await,
            Backend::Sqlite(sqlite) => sqlite.take_lease(&keys.lease, token, time_to_live).await,
        };
        self.told(outcome, || format!("take lease {:?}", keys.lease))
    }

    /// Gives up the lease if it is `token`'s.
    ///
    /// # Errors
    ///
    /// As [`take_lease`](Store::take_lease).
    pub async fn release(&self, keys: &Keys, token: &str) -> Result<(), Error> {
        let outcome = match self.backend.as_ref() {
            Backend::Redis(redis) => redis.release(&keys.lease, token).await,
            Backend::Sqlite(sqlite) => sqlite.release(&keys.lease, token).await,
        };
        self.told(outcome, || format!("give up lease {:?}", keys.lease))
    }
}
