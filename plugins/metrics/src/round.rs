//! Rounding as Python's `round(x, 2)`: from the exact binary value, ties to even.

use crate::number::Number;

/// `value` rounded to 2 decimals: the double nearest to the decimal that is nearest to the exact binary value.
///
/// 15.625 is exact in binary, a tie, and gives 15.62; 0.285 is a little less in binary, and gives 0.28.
pub fn to_2_decimals(value: f64) -> f64 {
    let exponent = ((value.to_bits() >> 52) & 0x7ff) as i32 - 1075;
    if exponent >= 0 {
        return value; // an integer, an infinity or not a number
    }
    // |value| = mantissa / 2^shift, so the hundredths are 100 × mantissa / 2^shift: all of it fits 64 bits.
    let shift = exponent.unsigned_abs();
    if shift >= u64::BITS {
        return 0f64.copysign(value); // less than half a hundredth
    }
    let mantissa = (value.to_bits() & ((1 << 52) - 1)) | (1 << 52);
    let hundredths = nearest(100 * mantissa, shift);
    (Number::Int(hundredths.into()) / Number::Int(100)).copysign(value)
}

/// `numerator` / 2^shift as the nearest integer, ties to even.
fn nearest(numerator: u64, shift: u32) -> u64 {
    let (whole, rest, half) = (numerator >> shift, numerator & ((1 << shift) - 1), 1 << (shift - 1));
    whole + u64::from(rest > half || rest == half && whole % 2 == 1)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Rust's formatting rounds the exact binary value, ties to even, and its parsing is exact.
    fn reference(value: f64) -> f64 {
        format!("{value:.2}").parse().unwrap()
    }

    #[test]
    fn ties_go_to_even() {
        for (value, rounded) in
            [(15.625, 15.62), (15.375, 15.38), (0.125, 0.12), (0.375, 0.38), (-0.125, -0.12), (2.5, 2.5)]
        {
            assert_eq!(to_2_decimals(value), rounded, "{value}");
            assert_eq!(reference(value), rounded, "{value}");
        }
    }

    #[test]
    fn the_exact_binary_value_decides() {
        assert_eq!(to_2_decimals(0.285), 0.28); // 0.284999…
        assert_eq!(to_2_decimals(1.005), 1.0); // 1.00499…
        assert_eq!(to_2_decimals(2.675), 2.67); // 2.67499…
        assert_eq!(to_2_decimals(0.015), 0.01); // 0.01499…
        assert_eq!(to_2_decimals(0.145), 0.14); // 0.144999…
    }

    #[test]
    fn signs_integers_and_extremes_stay() {
        for value in [0.0, 1.0, 1e300, f64::MAX, f64::INFINITY, 2f64.powi(52)] {
            assert_eq!(to_2_decimals(value), value);
            assert_eq!(to_2_decimals(-value), -value);
        }
        assert!(to_2_decimals(-0.0).is_sign_negative());
        assert!(to_2_decimals(-0.004).is_sign_negative());
        assert_eq!(to_2_decimals(f64::MIN_POSITIVE / 4.0), 0.0);
        assert!(to_2_decimals(f64::NAN).is_nan());
    }

    proptest! {
        #[test]
        fn any_double_rounds_as_its_exact_decimal_form(bits: u64) {
            let value = f64::from_bits(bits);
            prop_assume!(value.is_finite());
            prop_assert_eq!(to_2_decimals(value).to_bits(), reference(value).to_bits());
        }

        #[test]
        fn large_doubles_round_as_their_exact_decimal_form(mantissa in 1u64 << 52..1 << 53, shift in 0..52) {
            let value = mantissa as f64 / 2f64.powi(shift);
            prop_assert_eq!(to_2_decimals(value).to_bits(), reference(value).to_bits());
        }

        #[test]
        fn percentages_round_as_their_exact_decimal_form(value in -1e3..1e3) {
            prop_assert_eq!(to_2_decimals(value).to_bits(), reference(value).to_bits());
        }

        #[test]
        fn ties_and_their_neighbours_round_as_their_exact_decimal_form(eighths: i32, step in -2i64..=2) {
            let tie = f64::from(eighths) / 8.0;
            let value = f64::from_bits(tie.to_bits().wrapping_add_signed(step));
            prop_assume!(value.is_finite());
            prop_assert_eq!(to_2_decimals(value).to_bits(), reference(value).to_bits());
        }

        #[test]
        fn decimals_halfway_round_as_their_exact_decimal_form(thousandths in 0u64..1_000_000_000_000) {
            let value = thousandths as f64 / 1000.0;
            prop_assert_eq!(to_2_decimals(value).to_bits(), reference(value).to_bits());
        }
    }
}
