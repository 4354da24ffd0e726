//! The bytes under a key, read as JSON: whatever stands there, an error says what it is instead.

use std::sync::Arc;

use serde_json::{Map, Value};

/// A JSON object and the bytes that it was read from. Cheap to clone.
#[derive(Debug, Clone, PartialEq)]
pub struct Document {
    fields: Arc<Map<String, Value>>,
    bytes: Arc<[u8]>,
}

/// Why bytes are no document, in a sentence with what to do about it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Unreadable {
    /// No bytes.
    #[error("the value is empty")]
    Empty,
    /// Not UTF-8.
    #[error("the value isn't text (byte {0} is no UTF-8): is it compressed or pickled? Store JSON")]
    NotText(usize),
    /// Python's `json.dumps` writes these three unless told not to.
    #[error("{0} isn't JSON (line {1}, column {2}): Python writes it for a float that is none; write null")]
    NotFinite(&'static str, usize, usize),
    /// Not JSON.
    #[error("the value isn't JSON: {0}")]
    NotJson(String),
    /// JSON, but not an object.
    #[error("the value is {0}, not a JSON object")]
    NotObject(&'static str),
}

impl Document {
    /// Reads a JSON object.
    ///
    /// # Errors
    ///
    /// Anything else, said as it is.
    pub fn read(bytes: &[u8]) -> Result<Document, Unreadable> {
        if bytes.is_empty() {
            return Err(Unreadable::Empty);
        }
        let text = std::str::from_utf8(bytes).map_err(|error| Unreadable::NotText(error.valid_up_to()))?;
        match serde_json::from_str(text) {
            Ok(Value::Object(fields)) => Ok(Document { fields: Arc::new(fields), bytes: bytes.into() }),
            Ok(other) => Err(Unreadable::NotObject(kind(&other))),
            Err(error) => Err(told(text, &error)),
        }
    }

    /// Its fields by name.
    pub fn fields(&self) -> &Map<String, Value> {
        &self.fields
    }

    /// The bytes as they were in the store.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }
}

fn told(text: &str, error: &serde_json::Error) -> Unreadable {
    let (line, column) = (error.line(), error.column());
    let around = text.lines().nth(line.saturating_sub(1)).unwrap_or_default();
    // serde_json stops within the word; it starts at most its own length before.
    for word in ["NaN", "-Infinity", "Infinity"] {
        let start = column.saturating_sub(word.len() + 1);
        let end = (column + word.len()).min(around.len());
        if around.as_bytes().get(start..end).is_some_and(|near| contains(near, word.as_bytes())) {
            return Unreadable::NotFinite(word, line, column);
        }
    }
    Unreadable::NotJson(error.to_string())
}

fn contains(bytes: &[u8], word: &[u8]) -> bool {
    bytes.windows(word.len()).any(|window| window == word)
}

/// What a value is, with its article.
pub(super) fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "true or false",
        Value::Number(_) => "a number",
        Value::String(_) => "text",
        Value::Array(_) => "a list",
        Value::Object(_) => "an object",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_come_back_as_they_were() {
        let document = Document::read(b" {\"b\":1, \"a\":2} ").unwrap();
        assert_eq!(document.bytes(), b" {\"b\":1, \"a\":2} ");
        assert_eq!(document.fields().len(), 2);
    }

    #[test]
    fn what_is_no_object_is_named() {
        for (bytes, sentence) in [
            (&b""[..], "empty"),
            (b"\x80\x04pickled", "byte 0 is no UTF-8"),
            (b"[1]", "a list, not a JSON object"),
            (b"null", "null, not"),
            (b"hello", "isn't JSON: expected value at line 1 column 1"),
            (b"{\"a\":", "EOF"),
            (b"{\"a\": NaN}", "NaN isn't JSON (line 1"),
            (b"{\"a\": 1,\n \"b\": -Infinity}", "-Infinity isn't JSON (line 2"),
            (b"{\"a\": Infinity}", "Infinity isn't JSON"),
        ] {
            let error = Document::read(bytes).unwrap_err().to_string();
            assert!(error.contains(sentence), "{error}");
        }
    }

    #[test]
    fn nesting_without_end_is_an_error() {
        let deep = "{\"a\":".repeat(100_000);
        assert!(matches!(Document::read(deep.as_bytes()), Err(Unreadable::NotJson(_))));
    }
}
