//! Patterns of keys, and whether what is written for one would be read for another: a loop.

use store::{Keys, KeysError};

pub use store::Pattern;

/// A key that is written for the output pattern `output` and that the input pattern might match: a loop. None where
/// that can't be.
///
/// # Errors
///
/// The output pattern's keys can't have companions.
pub fn looping_key(input: &Pattern, output: &str) -> Result<Option<String>, KeysError> {
    let keys = Keys::of(output)?;
    let looping = |key: &&str| key.parse().is_ok_and(|written: Pattern| may_meet(input, &written));
    Ok(keys.all().into_iter().find(looping).map(str::to_owned))
}

/// Whether some key could match both.
fn may_meet(one: &Pattern, other: &Pattern) -> bool {
    let alike = |a: &str, b: &str| a.starts_with(b) || b.starts_with(a);
    let reversed = |text: &str| -> String { text.chars().rev().collect() };
    alike(&one.prefix, &other.prefix) && alike(&reversed(&one.suffix), &reversed(&other.suffix))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pattern(text: &str) -> Pattern {
        text.parse().unwrap()
    }

    #[test]
    fn an_output_that_could_be_an_input_is_found() {
        let input = pattern("metrics:*");
        for output in ["metrics:out:*", "metrics:*", "m*", "*", "*:out"] {
            assert!(looping_key(&input, output).unwrap().is_some(), "{output}");
        }
        for output in ["report:*", "out:metrics:*"] {
            assert_eq!(looping_key(&input, output).unwrap(), None, "{output}");
        }
        assert!(looping_key(&pattern("{*"), "report:*").unwrap().is_some(), "a companion key");
    }
}
