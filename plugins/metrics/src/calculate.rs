//! The formulas, with what Python's arithmetic gives for them.

use crate::{figure::Fault, input::Counters, number::Number, ordered::Ordered, round};

/// Share of the bytes sent in those moved, in %: of `eth0`, or of every interface but `lo` where there is no `eth0`.
pub fn egress(interfaces: &Ordered<Counters>) -> Result<f64, Fault> {
    let has_eth0 = interfaces.iter().any(|(name, _)| name == "eth0");
    let (mut sent, mut recv) = (Number::Int(0), Number::Int(0));
    for (name, counters) in interfaces.iter() {
        let counts = if has_eth0 { name == "eth0" } else { name != "lo" };
        if counts {
            sent = sent + counters.sent(name)?;
            recv = recv + counters.recv(name)?;
        }
    }
    Ok(percent(sent, sent + recv))
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
