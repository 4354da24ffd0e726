//! Other programs' words, made fit to be shown.

/// The most characters of them that are repeated.
const LONGEST: usize = 600;

/// Another program's words: one line, without characters that steer or turn text, not too long.
pub fn printable(text: &str) -> String {
    let spaced = text.chars().map(|c| if c.is_whitespace() { ' ' } else { c });
    let clean: String = spaced.filter(|c| !steers(*c)).take(4 * LONGEST).collect();
    let mut words = clean.split_whitespace().collect::<Vec<_>>().join(" ");
    if let Some((end, _)) = words.char_indices().nth(LONGEST) {
        words.truncate(end);
        words.push('…');
    }
    words
}

/// Whether a character steers a terminal, or has text run the other way, so that it seems to say something else.
pub fn steers(c: char) -> bool {
    c.is_control() || matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_of_others_can_not_steer_a_terminal_or_fill_a_screen() {
        let words = printable(&format!("bad \u{1b}[2Jnews\r\n\u{202e}{}", "x".repeat(5_000)));
        assert!(words.starts_with("bad [2Jnews x"), "{words}");
        assert_eq!(words.chars().count(), LONGEST + 1);
    }
}
