//! `dev`'s own trigger: every period it writes the next input to its key, and gives it as an event.

use std::time::Duration;

use store::Store;
use tokio::time::Interval;

use super::{Event, every};

/// Gives the next input; an error is told and the period passes without an event.
pub type Source = Box<dyn FnMut() -> anyhow::Result<Vec<u8>>>;

/// Writes the inputs itself.
pub struct Feed {
    key: String,
    interval: Interval,
    source: Source,
    /// An input that could not be written yet.
    pending: Option<Vec<u8>>,
}

impl Feed {
    /// Writes the first input at once, and then one every period.
    pub fn new(key: &str, period: Duration, source: Source) -> Feed {
        Feed { key: key.to_owned(), interval: every(period), source, pending: None }
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
        store.write(&self.key, bytes).await?;
        Ok(Event::of_content(&self.key, self.pending.take().unwrap_or_default()))
    }
}
