//! What makes the host call a handler: each trigger gives events, one after another.

mod feed;
mod poll;
mod timer;

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use store::Store;
use tokio::time::{Interval, MissedTickBehavior, interval};

use crate::plugin::sha256;

pub use feed::{Feed, Source};
pub use poll::Poll;
pub use timer::Timer;

/// One input.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    /// The key that it was read from; a timer's events bear the output key.
    pub key: String,
    /// Its bytes, untouched.
    pub bytes: Vec<u8>,
    /// Its identity: `sha256:HEX` of the bytes, or `timer:MILLISECONDS` since 1970.
    pub id: String,
}

/// Where events come from.
pub enum Trigger {
    /// Looks at a key every period.
    Poll(Poll),
    /// Ticks every period.
    Timer(Timer),
    /// Writes the inputs itself: the `dev` command's.
    Feed(Feed),
}

impl Trigger {
    /// The next event, or none where a look at the store found nothing new; `last_event` is the identity of the one
    /// that was committed last.
    ///
    /// Dropping the future loses nothing: the next call looks again.
    ///
    /// # Errors
    ///
    /// The store can't be read or written.
    pub async fn next(&mut self, store: &Store, last_event: Option<&str>) -> Result<Option<Event>, store::Error> {
        match self {
            Trigger::Poll(poll) => poll.next(store, last_event).await,
            Trigger::Timer(timer) => Ok(Some(timer.next().await)),
            Trigger::Feed(feed) => feed.next(store).await.map(Some),
        }
    }

    /// Another host has committed since the last event was read. A key's value may have been counted and replaced
    /// meanwhile, so the key is read anew and compared with what that host committed.
    pub fn look_again(&mut self) {
        if let Trigger::Poll(poll) = self {
            poll.look_again();
        }
    }
}

impl Event {
    /// An event that is known by its content.
    pub fn of_content(key: &str, bytes: Vec<u8>) -> Event {
        Event { key: key.to_owned(), id: content_id(&bytes), bytes }
    }

    fn of_tick(key: &str, now: SystemTime) -> Event {
        let since = now.duration_since(UNIX_EPOCH).unwrap_or_default();
        Event { key: key.to_owned(), bytes: b"null".to_vec(), id: format!("timer:{}", since.as_millis()) }
    }
}

/// How an event is known by its content: `sha256:HEX`.
pub fn content_id(bytes: &[u8]) -> String {
    format!("sha256:{}", sha256(bytes))
}

/// Ticks at once and then every period. A tick that came too late moves those after it.
fn every(period: Duration) -> Interval {
    let mut interval = interval(period);
    interval.set_missed_tick_behavior(MissedTickBehavior::Delay);
    interval
}
