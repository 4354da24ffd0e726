//! JSON as it crosses the border: errors name the field, and what JSON can't hold is refused.

use serde::Serialize;
use serde::de::DeserializeOwned;

mod finite;
mod path;

/// Reads a value; the error names the field and the place.
pub(crate) fn read<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, String> {
    // Checked at once, not string by string: several times as fast.
    let text = std::str::from_utf8(bytes).map_err(|error| format!("it is not UTF-8: {error}"))?;
    serde_json::from_str(text).map_err(|error| explain(text, &error))
}

/// Writes a value; the error names the field.
pub(crate) fn write<T: Serialize>(value: &T, buffer: &mut Vec<u8>) -> Result<(), String> {
    value.serialize(finite::Finite(&mut serde_json::Serializer::new(buffer))).map_err(|error| error.to_string())
}

/// Says what is wrong where. Only the error's place is at hand: to follow the path while reading (as the crate
/// serde_path_to_error does) would compile every handler's types twice.
#[cold]
fn explain(text: &str, error: &serde_json::Error) -> String {
    if text.trim_ascii().is_empty() {
        return "it is empty, not JSON".to_owned();
    }
    match path::at(text.as_bytes(), error.line(), error.column()) {
        path if path.is_empty() || error.is_syntax() || error.is_eof() => error.to_string(),
        path => format!("{path}: {error}"),
    }
}
