//! Texts in a table's cells. A spreadsheet calculates what begins like a formula, and field names are anybody's words: such
//! a text gets an apostrophe before it, which says that it is none (<https://owasp.org/www-community/attacks/CSV_Injection>).
//! Numbers stay as they are.

use std::borrow::Cow;

/// What a formula may begin with.
const STARTS: [char; 11] = ['=', '+', '-', '@', '\t', '\r', '\n', '＝', '＋', '－', '＠'];

/// The cell of a text.
pub fn of_text(text: &str) -> Cow<'_, str> {
    if text.starts_with(STARTS) || is_marked(text) { format!("'{text}").into() } else { text.into() }
}

/// The text of a cell.
pub fn text(cell: &str) -> &str {
    if is_marked(cell) { &cell[1..] } else { cell }
}

/// Whether it begins with an apostrophe that [`of_text`] may have put there.
fn is_marked(text: &str) -> bool {
    text.strip_prefix('\'').is_some_and(|rest| rest.starts_with(STARTS) || rest.starts_with('\''))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn no_text_begins_like_a_formula() {
        for (name, cell) in [
            ("=1+1", "'=1+1"),
            ("@SUM(A1)", "'@SUM(A1)"),
            ("-a", "'-a"),
            ("'=1", "''=1"),
            ("'a", "'a"),
            ("percent-network-egress", "percent-network-egress"),
        ] {
            assert_eq!(of_text(name), cell);
        }
    }

    proptest! {
        #[test]
        fn every_text_comes_back(name in "['=a＠-]{0,5}") {
            let cell = of_text(&name);
            prop_assert!(!cell.starts_with(STARTS));
            prop_assert_eq!(text(&cell), name.as_str());
        }
    }
}
