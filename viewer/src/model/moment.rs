//! A point on the viewer's own clock.

use std::ops::{Add, Sub};

/// Seconds since the viewer started, on a clock that goes on while the machine sleeps. Negative for what was before.
#[derive(Debug, Clone, Copy, PartialEq, PartialOrd, Default)]
pub struct Moment(pub f64);

impl Sub for Moment {
    type Output = f64;

    /// Seconds from `earlier` to `self`.
    fn sub(self, earlier: Moment) -> f64 {
        self.0 - earlier.0
    }
}

impl Add<f64> for Moment {
    type Output = Moment;

    fn add(self, seconds: f64) -> Moment {
        Moment(self.0 + seconds)
    }
}
