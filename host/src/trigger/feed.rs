//! `dev`'s inputs: every period the next one is written to the store. They are a trigger of their own, or what another
//! trigger finds there.

use std::time::Duration;

use store::Store;
use tokio::time::{Interval, MissedTickBehavior, interval, sleep};

use super::Event;
use crate::worker::Backoff;

/// Gives the next input; an error is told and the period passes without an event.
pub type Source = Box<dyn FnMut() -> anyhow::Result<Vec<u8>>>;

/// About as many entries stay in a stream of inputs.
const ENTRIES: usize = 10_000;

/// Writes the inputs itself.
pub struct Feed {
    place: Place,
    interval: Interval,
    source: Source,
    /// An input that could not be written yet.
    pending: Option<Vec<u8>>,
}

/// Where inputs are written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Place {
    /// Under a key, in the place of the one before.
    Key(String),
    /// At a stream's end.
    Stream(String),
}

impl Feed {
    /// Writes the first input at once, and then one every period.
    pub fn new(place: Place, period: Duration, source: Source) -> Feed {
        let mut interval = interval(period);
        // So that as many come in a second as were asked for, and none in a heap after a pause.
        interval.set_missed_tick_behavior(MissedTickBehavior::Skip);
        Feed { place, interval, source, pending: None }
    }

    /// Writes inputs for another trigger to find, as long as it is waited for. What could not be written is written as
    /// soon as it can be.
    pub async fn write_on(mut self, store: &Store) {
        let mut backoff = Backoff::default();
        loop {
            match self.next(store).await {
                Ok(_) => backoff = Backoff::default(),
                Err(error) => {
                    tracing::warn!("no input: {error}");
                    sleep(backoff.next()).await;
                }
            }
        }
    }

    pub(super) async fn next(&mut self, store: &Store) -> Result<Event, store::Error> {
        let bytes = match &mut self.pending {
            Some(bytes) => bytes,
            none => loop {
                self.interval.tick().await;
                match (self.source)() {
                    Ok(bytes) => break none.insert(bytes),
                    Err(error) => tracing::error!("no input: {error:#}"),
                }
            },
        };
        let (Place::Key(name) | Place::Stream(name)) = &self.place;
        match &self.place {
            Place::Key(key) => store.write(key, bytes).await?,
            Place::Stream(stream) => store.append(stream, bytes, ENTRIES).await?,
        }
        Ok(Event::of_content(name, self.pending.take().unwrap_or_default()))
    }
}
