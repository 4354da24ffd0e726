//! `timer`: gives an event with the input `null` every period.

use std::time::{Duration, SystemTime};

use tokio::time::Interval;

use super::{Event, every};

/// Ticks every period.
pub struct Timer {
    key: String,
    interval: Interval,
}

impl Timer {
    /// Ticks at once, and then every period. The key only names the events.
    pub fn new(key: &str, period: Duration) -> Timer {
        Timer { key: key.to_owned(), interval: every(period) }
    }

    pub(super) async fn next(&mut self) -> Event {
        self.interval.tick().await;
        Event::of_tick(&self.key, SystemTime::now())
    }
}
