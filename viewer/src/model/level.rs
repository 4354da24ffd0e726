//! How bad a percentage is.

use serde::{Deserialize, Serialize};

/// Where a percentage stands against its thresholds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// Below both.
    Normal,
    /// At the first or above.
    Warning,
    /// At the second or above.
    Critical,
}

/// From which percentages on a value is a warning, or critical.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Thresholds {
    /// First percentage of a warning.
    pub warning: f64,
    /// First critical percentage.
    pub critical: f64,
}

impl Default for Thresholds {
    fn default() -> Thresholds {
        Thresholds { warning: 60.0, critical: 85.0 }
    }
}

impl Thresholds {
    /// The level of `percent`.
    pub fn level(&self, percent: f64) -> Level {
        if percent >= self.critical {
            Level::Critical
        } else if percent >= self.warning {
            Level::Warning
        } else {
            Level::Normal
        }
    }

    /// The same with both within 0 and 100, the warning not above the critical one.
    pub fn in_order(self) -> Thresholds {
        let critical = if self.critical.is_finite() { self.critical.clamp(0.0, 100.0) } else { 85.0 };
        let warning = if self.warning.is_finite() { self.warning.clamp(0.0, critical) } else { 60.0_f64.min(critical) };
        Thresholds { warning, critical }
    }
}

impl Level {
    /// The word that stands beside the colour.
    pub fn word(self) -> &'static str {
        match self {
            Level::Normal => "normal",
            Level::Warning => "warning",
            Level::Critical => "critical",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_threshold_belongs_to_the_level_above_it() {
        let thresholds = Thresholds::default();
        for (percent, level) in [
            (-1.0, Level::Normal),
            (59.99, Level::Normal),
            (60.0, Level::Warning),
            (84.99, Level::Warning),
            (85.0, Level::Critical),
            (250.0, Level::Critical),
        ] {
            assert_eq!(thresholds.level(percent), level, "{percent}");
        }
    }

    #[test]
    fn thresholds_are_put_in_order() {
        let wrong = Thresholds { warning: 90.0, critical: 50.0 }.in_order();
        assert_eq!(wrong, Thresholds { warning: 50.0, critical: 50.0 });
        let none = Thresholds { warning: f64::NAN, critical: f64::INFINITY }.in_order();
        assert_eq!(none, Thresholds::default());
    }
}
