//! What makes the host call a handler: each trigger gives events, one after another.

mod key;
mod poll;
mod push;
mod stream;
mod timer;

mod feed;

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use store::{DeadEntry, Part, Store};
use tokio::time::{Interval, MissedTickBehavior, interval};

use crate::plugin::sha256;

pub use feed::{Feed, Place, Source};
pub use poll::Poll;
pub use push::Push;
pub use stream::Stream;
pub(crate) use stream::bytes as stream_input;
pub use timer::Timer;

/// One input.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    /// The key that it was read from; a timer's events bear the output key.
    pub key: String,
    /// Its bytes, untouched.
    pub bytes: Vec<u8>,
    /// How many there are: of a key's value that is too long `bytes` are the first ones only.
    pub length: usize,
    /// Its identity: `sha256:HEX` of the bytes, a stream's `ms-seq`, `timer:MILLISECONDS` since 1970, or `replay:ID` for
    /// one that was set aside and is called once more, out of turn.
    pub id: String,
    /// How often others were given it before, who may have ended with it.
    pub attempts: u32,
}

/// Where events come from.
pub enum Trigger {
    /// Looks at a key every period.
    Poll(Poll),
    /// Is told when a key is written.
    Push(Push),
    /// Reads a stream in batches.
    Stream(Stream),
    /// Ticks every period.
    Timer(Timer),
    /// Writes the inputs itself: the `dev` command's.
    Feed(Feed),
}

impl Trigger {
    /// What comes next: one event, a stream's batch, or nothing where a look at the store found nothing new;
    /// `last_event` is the identity of the one that was committed last.
    ///
    /// Dropping the future loses nothing: the next call looks again.
    ///
    /// # Errors
    ///
    /// The store can't be read or written.
    pub async fn next(&mut self, store: &Store, last_event: Option<&str>) -> Result<Vec<Event>, store::Error> {
        match self {
            Trigger::Poll(poll) => poll.next(store, last_event).await.map(Vec::from_iter),
            Trigger::Push(push) => push.next(store, last_event).await.map(Vec::from_iter),
            Trigger::Stream(stream) => stream.next(last_event).await,
            Trigger::Timer(timer) => Ok(vec![timer.next().await]),
            Trigger::Feed(feed) => feed.next(store).await.map(|event| vec![event]),
        }
    }

    /// Whether what comes next may be taken before what came last is committed.
    pub fn reads_ahead(&self) -> bool {
        matches!(self, Trigger::Stream(stream) if stream.reads_ahead())
    }

    /// Another host has committed since the last event was read. A key's value may have been counted and replaced
    /// meanwhile, so the key is read anew and compared with what that host committed; a stream gives again what is still
    /// this consumer's.
    pub fn look_again(&mut self) {
        match self {
            Trigger::Poll(poll) => poll.look_again(),
            Trigger::Push(push) => push.look_again(),
            Trigger::Stream(stream) => stream.look_again(),
            Trigger::Timer(_) | Trigger::Feed(_) => {}
        }
    }

    /// What makes the host call now: `push` is `poll` where the server tells nobody of writes.
    pub fn kind(&self) -> &'static str {
        match self {
            Trigger::Push(push) if push.is_told() => "push",
            Trigger::Poll(_) | Trigger::Push(_) => "poll",
            Trigger::Stream(_) => "stream",
            Trigger::Timer(_) | Trigger::Feed(_) => "timer",
        }
    }
}

impl Event {
    /// An event that is known by its content.
    pub fn of_content(key: &str, bytes: Vec<u8>) -> Event {
        Event { key: key.to_owned(), id: content_id(&bytes), length: bytes.len(), bytes, attempts: 0 }
    }

    /// The same of a value of which perhaps only the beginning was read.
    fn of_part(key: &str, part: Part) -> Event {
        Event { key: key.to_owned(), id: part_id(&part), length: part.length, bytes: part.bytes, attempts: 0 }
    }

    /// An event that was set aside.
    pub(crate) fn of_replay(key: &str, entry: DeadEntry) -> Event {
        let (id, length) = (format!("replay:{}", entry.id), entry.data.len());
        Event { key: key.to_owned(), id, length, bytes: entry.data, attempts: 0 }
    }

    /// Whether it is a key's value, known by its content.
    pub(crate) fn is_known_by_content(&self) -> bool {
        self.id.starts_with("sha256:")
    }

    fn of_tick(key: &str, now: SystemTime) -> Event {
        let since = now.duration_since(UNIX_EPOCH).unwrap_or_default();
        let (bytes, id) = (b"null".to_vec(), format!("timer:{}", since.as_millis()));
        Event { key: key.to_owned(), length: bytes.len(), bytes, id, attempts: 0 }
    }
}

/// How an event is known by its content: `sha256:HEX`.
pub fn content_id(bytes: &[u8]) -> String {
    format!("sha256:{}", sha256(bytes))
}

/// The same of a value of which only the beginning was read: others begin so too.
pub(crate) fn part_id(part: &Part) -> String {
    match part.length == part.bytes.len() {
        true => content_id(&part.bytes),
        false => format!("{}:{}", content_id(&part.bytes), part.length),
    }
}

/// Ticks at once and then every period. A tick that came too late moves those after it.
fn every(period: Duration) -> Interval {
    let mut interval = interval(period);
    interval.set_missed_tick_behavior(MissedTickBehavior::Delay);
    interval
}
