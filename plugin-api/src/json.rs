//! JSON as it crosses the border: errors name the field, and what JSON can't hold is refused.

use serde::Serialize;
use serde::de::DeserializeOwned;

mod finite;
mod path;

/// Reads a value; the error names the field and the place.
pub(crate) fn read<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, String> {
    serde_json::from_slice(bytes).map_err(|error| explain(bytes, &error))
}

/// Writes a value; the error names the field.
pub(crate) fn write<T: Serialize>(value: &T, buffer: &mut Vec<u8>) -> Result<(), String> {
    value.serialize(finite::Finite(&mut serde_json::Serializer::new(buffer))).map_err(|error| error.to_string())
}

/// Says what is wrong where. Only the error's place is at hand: to follow the path while reading (as the crate
/// serde_path_to_error does) would compile every handler's types twice, which costs each plugin 30 KiB.
#[cold]
fn explain(bytes: &[u8], error: &serde_json::Error) -> String {
    if bytes.trim_ascii().is_empty() {
        return "it is empty, not JSON".to_owned();
    }
    if let Err(error) = std::str::from_utf8(bytes) {
        return format!("it is not UTF-8: {error}");
    }
    match path::at(bytes, error.line(), error.column()) {
        path if path.is_empty() || error.is_syntax() || error.is_eof() => error.to_string(),
        path => format!("{path}: {error}"),
    }
}
