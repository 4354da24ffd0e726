//! How long to wait before the next attempt: 1, 2, 4 … 30 s.

use std::time::Duration;

const FIRST: Duration = Duration::from_secs(1);
const LONGEST: Duration = Duration::from_secs(30);

/// A connection that lived this long was a good one: what broke it is new, and the waiting starts anew.
const GOOD_AFTER: Duration = Duration::from_secs(10);

/// The pause to come.
#[derive(Debug)]
pub(super) struct Backoff {
    next: Duration,
}

impl Backoff {
    pub fn new() -> Backoff {
        Backoff { next: FIRST }
    }

    /// The pause after a connection that was live for this long.
    pub fn pause(&mut self, lived: Duration) -> Duration {
        if lived >= GOOD_AFTER {
            self.next = FIRST;
        }
        let pause = self.next;
        self.next = (pause * 2).min(LONGEST);
        pause
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_until_a_connection_was_good() {
        let mut backoff = Backoff::new();
        let mut pause = |lived| backoff.pause(Duration::from_secs(lived)).as_secs();
        let failing: Vec<u64> = (0..7).map(|_| pause(0)).collect();
        assert_eq!(failing, [1, 2, 4, 8, 16, 30, 30]);
        assert_eq!((pause(9), pause(10), pause(0)), (30, 1, 2));
    }
}
