//! Numbers as Python calculates with them: integers are exact, and turn into floats where they meet one.

use std::ops::{Add, Div};

/// A number of an input, or a sum of some. Sums of 64-bit counters stay far from the bounds of 128 bits.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Number {
    Int(i128),
    Float(f64),
}

/// Up to here every integer is a double.
const EXACT: u128 = 1 << f64::MANTISSA_DIGITS;

impl Number {
    /// The nearest double.
    pub fn to_f64(self) -> f64 {
        match self {
            Self::Int(int) => int as f64,
            Self::Float(float) => float,
        }
    }

    /// Whether it is zero, of whichever sign.
    pub fn is_zero(self) -> bool {
        match self {
            Self::Int(int) => int == 0,
            Self::Float(float) => float == 0.0,
        }
    }
}

impl Add for Number {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        match (self, other) {
            (Self::Int(one), Self::Int(other)) => Self::Int(one + other),
            _ => Self::Float(self.to_f64() + other.to_f64()),
        }
    }
}

impl Div for Number {
    type Output = f64;

    /// The double nearest to the quotient, ties to even: also of integers that are no doubles themselves.
    fn div(self, other: Self) -> f64 {
        match (self, other) {
            (Self::Int(part), Self::Int(whole)) if part.unsigned_abs().max(whole.unsigned_abs()) > EXACT => {
                let magnitude = nearest_quotient(part.unsigned_abs(), whole.unsigned_abs());
                if (part < 0) == (whole < 0) { magnitude } else { -magnitude }
            }
            _ => self.to_f64() / other.to_f64(),
        }
    }
}

/// Long division in binary until the quotient has two bits more than a double holds, the last of them standing for
/// all that would follow; so the conversion is the only rounding.
fn nearest_quotient(part: u128, whole: u128) -> f64 {
    if part == 0 || whole == 0 {
        return part as f64 / whole as f64;
    }
    let shift = whole.leading_zeros().saturating_sub(part.leading_zeros());
    let (whole, mut scale) = (whole << shift, (1u128 << shift) as f64);
    let (mut quotient, mut rest) = (0u128, part); // less than twice the whole: a first bit of 0 or 1
    loop {
        if rest >= whole {
            (quotient, rest) = (quotient + 1, rest - whole);
        }
        if quotient > 4 * EXACT {
            quotient |= u128::from(rest != 0);
            return quotient as f64 * scale;
        }
        (quotient, rest, scale) = (quotient * 2, rest * 2, scale / 2.0);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn integers_add_exactly_and_floats_win() {
        let huge = Number::Int(i128::from(u64::MAX));
        assert_eq!(huge + Number::Int(1), Number::Int(1 << 64));
        assert_eq!(huge + Number::Float(0.5), Number::Float(18_446_744_073_709_551_616.0));
    }

    #[test]
    fn huge_integers_divide_with_one_rounding() {
        // 2⁵³ + 1 over 3: rounding the part to a double first gives 3002399751580330.5.
        assert_eq!(Number::Int((1 << 53) + 1) / Number::Int(3), 3_002_399_751_580_331.0);
        assert_eq!(Number::Int(u64::MAX.into()) / Number::Int((1 << 64) - 1), 1.0);
        assert_eq!(Number::Int(-(1 << 60)) / Number::Int(1 << 61), -0.5);
        assert_eq!(Number::Int(0) / Number::Int(1 << 61), 0.0);
        assert_eq!(Number::Int(1) / Number::Int(1 << 100), 2f64.powi(-100));
    }

    proptest! {
        /// The neighbours of the nearest double are not nearer: compared as the fractions they are.
        #[test]
        fn no_double_is_nearer_to_the_quotient(part in 1..u64::MAX, whole in 1..u64::MAX) {
            let quotient = nearest_quotient(part.into(), whole.into());
            let error = distance(part, whole, quotient);
            for neighbour in [quotient.next_up(), quotient.next_down()] {
                let theirs = distance(part, whole, neighbour);
                prop_assert!(error < theirs || error == theirs && quotient.to_bits().is_multiple_of(2));
            }
        }

        #[test]
        fn integers_that_are_doubles_divide_as_doubles(part in 0..=EXACT, whole in 1..=EXACT) {
            prop_assert_eq!(nearest_quotient(part, whole), part as f64 / whole as f64);
        }
    }

    /// |part / whole − double| × whole × 2¹²⁸, exact as 256 bits: double = mantissa × 2^exponent.
    fn distance(part: u64, whole: u64, double: f64) -> (u128, u128) {
        let exponent = (double.to_bits() >> 52) as i32 - 1075;
        let mantissa = u128::from(double.to_bits() & (EXACT / 2 - 1) as u64) + EXACT / 2;
        let exact = shifted(part.into(), 128);
        let product = shifted(mantissa * u128::from(whole), 128 + exponent);
        let (more, less) = if exact > product { (exact, product) } else { (product, exact) };
        let (low, borrow) = more.1.overflowing_sub(less.1);
        (more.0 - less.0 - u128::from(borrow), low)
    }

    /// value × 2^bits as (high, low); `bits` is within 0..=139 for quotients of 64-bit integers.
    fn shifted(value: u128, bits: i32) -> (u128, u128) {
        match bits {
            128.. => (value << (bits - 128), 0),
            0 => (0, value),
            _ => (value >> (128 - bits), value << bits),
        }
    }
}
