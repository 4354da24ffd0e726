//! How long to wait for the store: longer each time, up to a bound.

use std::time::Duration;

const FIRST: Duration = Duration::from_millis(50);
const LONGEST: Duration = Duration::from_secs(2);

/// Doubles from 50 ms to 2 s: a store that is back is used within that.
#[derive(Default)]
pub(crate) struct Backoff {
    last: Duration,
}

impl Backoff {
    pub(crate) fn next(&mut self) -> Duration {
        self.last = (self.last * 2).clamp(FIRST, LONGEST);
        self.last
    }
}
