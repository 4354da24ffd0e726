//! How long to wait before a worker is started again.

use std::time::Duration;

const FIRST: Duration = Duration::from_millis(10);
const LONGEST: Duration = Duration::from_secs(30);

/// Doubles from 10 ms to 30 s, and begins anew after a worker that has committed something.
#[derive(Default)]
pub(super) struct Restarts {
    last: Duration,
}

impl Restarts {
    pub(super) fn next(&mut self, has_committed: bool) -> Duration {
        let before = if has_committed { Duration::ZERO } else { self.last };
        self.last = (before * 2).clamp(FIRST, LONGEST);
        self.last
    }
}

#[cfg(test)]
mod tests {
    use super::Restarts;

    #[test]
    fn each_wait_is_longer_until_something_is_committed() {
        let mut restarts = Restarts::default();
        let mut waits = |committed| restarts.next(committed).as_millis();
        assert_eq!([waits(false), waits(false), waits(false)], [10, 20, 40]);
        assert_eq!(waits(true), 10);
        assert_eq!((0..20).map(|_| waits(false)).max(), Some(30_000));
    }
}
