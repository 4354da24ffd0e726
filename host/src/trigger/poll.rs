//! `poll`: looks at a key every period and gives an event when its bytes changed.

use std::time::Duration;

use store::Store;
use tokio::time::Interval;

use super::key::Key;
use super::{Event, every};

/// Looks at a key every period.
pub struct Poll {
    key: Key,
    interval: Interval,
    /// A period has passed and the key was not read since.
    due: bool,
}

impl Poll {
    /// Looks at once, and then every period. Of a value of more bytes than `most` it reads the beginning.
    pub fn new(key: &str, period: Duration, most: usize) -> Poll {
        Poll { key: Key::new(key, most), interval: every(period), due: false }
    }

    /// Reads the key at once, as if nothing had been seen of it.
    pub(super) fn look_again(&mut self) {
        self.due = true;
        self.key.forget();
    }

    pub(super) async fn next(
        &mut self,
        store: &Store,
        last_event: Option<&str>,
    ) -> Result<Option<Event>, store::Error> {
        if !self.due {
            self.interval.tick().await;
            self.due = true;
        }
        let event = self.key.look(store, last_event).await?;
        self.due = false;
        Ok(event)
    }
}
