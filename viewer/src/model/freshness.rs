//! How old a value is, and whether it may still be taken for what is now.

/// Seconds between results where nobody says: the Python runtime's.
pub const USUAL_PERIOD: f64 = 5.0;

/// A value is late after this many periods without a new one.
pub const LATE_PERIODS: f64 = 2.0;

/// A value is stale after this many periods without a new one.
pub const STALE_PERIODS: f64 = 5.0;

/// Whether a value may be taken for what is now.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Freshness {
    /// It came within the last two periods.
    Fresh,
    /// It was there when the viewer connected, and since then no period long enough has passed to tell.
    Unconfirmed,
    /// No new one for two periods.
    Late,
    /// No new one for five periods.
    Stale,
}

impl Freshness {
    /// The freshness of a value of this age, both in seconds. The age counts from when the payload's timestamp last
    /// changed before the viewer's eyes, so clocks that differ don't matter.
    pub fn of(age: f64, period: f64) -> Freshness {
        if age > period * STALE_PERIODS {
            Freshness::Stale
        } else if age > period * LATE_PERIODS {
            Freshness::Late
        } else {
            Freshness::Fresh
        }
    }

    /// The word that is shown beside the age.
    pub fn word(self) -> &'static str {
        match self {
            Freshness::Fresh => "fresh",
            Freshness::Unconfirmed => "age unknown",
            Freshness::Late => "late",
            Freshness::Stale => "stale",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_periods_are_fresh_and_five_are_late() {
        for (age, freshness) in [
            (0.0, Freshness::Fresh),
            (10.0, Freshness::Fresh),
            (10.1, Freshness::Late),
            (25.0, Freshness::Late),
            (25.1, Freshness::Stale),
        ] {
            assert_eq!(Freshness::of(age, 5.0), freshness, "{age}");
        }
    }
}
