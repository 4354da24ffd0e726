//! The formulas, with what Python's arithmetic gives for them.

use crate::{number::Number, round};

/// Share of the bytes sent in those moved, in %.
pub fn egress(sent: Number, recv: Number) -> f64 {
    percent(sent, sent + recv)
}

/// `part` / `whole` in %; 0 where `whole` is 0.
pub fn percent(part: Number, whole: Number) -> f64 {
    if whole.is_zero() {
        return 0.0;
    }
    round::to_2_decimals(part / whole * 100.0)
}

/// The mean, added up from left to right; not a number where there are no values.
pub fn mean(values: &[f64]) -> f64 {
    let total = values.iter().fold(0.0, |total, value| total + value);
    round::to_2_decimals(total / values.len() as f64)
}
