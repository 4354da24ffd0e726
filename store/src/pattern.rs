//! A pattern of keys: what stands before and after its one `*`.

use std::str::FromStr;

/// A pattern with one `*`, which stands for any text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pattern {
    /// What stands before the `*`.
    pub prefix: String,
    /// What stands after it.
    pub suffix: String,
}

impl FromStr for Pattern {
    type Err = String;

    fn from_str(text: &str) -> Result<Pattern, String> {
        match text.split_once('*') {
            Some((prefix, suffix)) if !suffix.contains('*') => {
                Ok(Pattern { prefix: prefix.to_owned(), suffix: suffix.to_owned() })
            }
            Some(_) => Err(format!("{text:?} has more than one *")),
            None => Err(format!("{text:?} has no *")),
        }
    }
}

impl Pattern {
    /// The text that the `*` stands for in a key; none where the key doesn't match.
    pub fn text_of<'a>(&self, key: &'a str) -> Option<&'a str> {
        key.strip_prefix(self.prefix.as_str())?.strip_suffix(self.suffix.as_str())
    }

    /// The key with this text for the `*`.
    pub fn with(&self, text: &str) -> String {
        format!("{}{text}{}", self.prefix, self.suffix)
    }

    /// The same as a pattern of Redis, in which other characters have a meaning too
    /// (<https://redis.io/docs/latest/commands/keys/>).
    pub fn glob(&self) -> String {
        let escaped = |text: &str| -> String {
            let special = |c: char| matches!(c, '?' | '[' | ']' | '\\' | '^' | '-');
            text.chars().flat_map(|c| special(c).then_some('\\').into_iter().chain([c])).collect()
        };
        format!("{}*{}", escaped(&self.prefix), escaped(&self.suffix))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pattern(text: &str) -> Pattern {
        text.parse().unwrap()
    }

    #[test]
    fn a_key_is_taken_apart_and_made_anew() {
        let input = pattern("metrics:*:raw");
        assert_eq!(input.text_of("metrics:web:raw"), Some("web"));
        assert_eq!(input.text_of("metrics:raw"), None, "the two parts must not overlap");
        assert_eq!(pattern("report:*").with("web"), "report:web");
        assert!("a*b*c".parse::<Pattern>().is_err() && "abc".parse::<Pattern>().is_err());
    }

    #[test]
    fn what_redis_takes_for_special_is_escaped() {
        assert_eq!(pattern("a[1]?*").glob(), "a\\[1\\]\\?*");
    }
}
