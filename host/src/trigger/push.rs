//! `push`: the server tells of each write to a key, and the key is read at once; a look every period backs it up.
//!
//! Between being told and reading, the key may be written again: the newest value wins. After a new connection the key
//! is read too, since nothing was told meanwhile. A server that tells nobody of writes is polled.

use std::time::Duration;

use store::{Cause, Store, Watch};
use tokio::time::Interval;

use super::key::Key;
use super::{Event, every};

/// Reads a key as soon as it is written.
pub struct Push {
    key: Key,
    interval: Interval,
    /// There is reason to read the key, and it was not read since.
    due: bool,
    watching: Watching,
}

enum Watching {
    NotYet,
    Told(Watch),
    /// The server can't tell, or not this user.
    Refused,
}

impl Push {
    /// Reads the key at once, whenever it is written, and every period. Of a value of more bytes than `most` it reads the
    /// beginning.
    pub fn new(key: &str, period: Duration, most: usize) -> Push {
        Push { key: Key::new(key, most), interval: every(period), due: false, watching: Watching::NotYet }
    }

    /// Reads the key at once, as if nothing had been seen of it.
    pub(super) fn look_again(&mut self) {
        self.due = true;
        self.key.forget();
    }

    /// Whether the server tells of writes.
    pub(super) fn is_told(&self) -> bool {
        !matches!(self.watching, Watching::Refused)
    }

    pub(super) async fn next(
        &mut self,
        store: &Store,
        last_event: Option<&str>,
    ) -> Result<Option<Event>, store::Error> {
        if matches!(self.watching, Watching::NotYet) {
            match store.watch(&[self.key.name()]).await {
                Ok(watch) => self.watching = Watching::Told(watch),
                Err(error) => self.refused(error)?,
            }
            self.due = true;
        }
        if !self.due {
            match &mut self.watching {
                Watching::Told(watch) => tokio::select! {
                    // Whatever it is: a lost connection is made anew by the reading.
                    _ = watch.next() => {}
                    _ = self.interval.tick() => {}
                },
                _ => {
                    self.interval.tick().await;
                }
            }
            self.due = true;
        }
        let event = match self.key.look(store, last_event).await {
            Ok(event) => event,
            Err(error) => {
                self.refused(error)?;
                return Ok(None);
            }
        };
        self.due = false;
        Ok(event)
    }

    /// Polls from now on, if the reason is that the server tells nobody.
    fn refused(&mut self, error: store::Error) -> Result<(), store::Error> {
        if !matches!(error.cause, Cause::Unsupported(_)) {
            return Err(error);
        }
        tracing::warn!("TRIGGER=push falls back to a look each period: {error}");
        self.watching = Watching::Refused;
        Ok(())
    }
}
