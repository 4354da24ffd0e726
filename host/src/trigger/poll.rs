//! `poll`: looks at a key every period and gives an event when its bytes changed.

use std::time::Duration;

use store::Store;
use tokio::time::Interval;

use super::{Event, every};

/// Looks at a key every period.
pub struct Poll {
    key: String,
    interval: Interval,
    /// A period has passed and the key was not read since.
    due: bool,
    /// The bytes of the last event, called with success or not: equal bytes are not called again. None after a start,
    /// when what was committed tells whether the bytes are new.
    seen: Option<Vec<u8>>,
}

impl Poll {
    /// Looks at once, and then every period.
    pub fn new(key: &str, period: Duration) -> Poll {
        Poll { key: key.to_owned(), interval: every(period), due: false, seen: None }
    }

    /// Reads the key at once, as if nothing had been seen of it.
    pub(super) fn look_again(&mut self) {
        self.due = true;
        self.seen = None;
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
        let bytes = store.read(&self.key).await?;
        self.due = false;
        let Some(bytes) = bytes.filter(|bytes| self.seen.as_ref() != Some(bytes)) else { return Ok(None) };
        let first = self.seen.replace(bytes.clone()).is_none();
        let event = Event::of_content(&self.key, bytes);
        Ok((!first || last_event != Some(event.id.as_str())).then_some(event))
    }
}
