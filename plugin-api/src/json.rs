//! JSON as it crosses the border: errors name the field, and what JSON can't hold is refused.

use serde::Serialize;
use serde::de::DeserializeOwned;

mod finite;

/// Reads a value; the error names the field and the place.
pub(crate) fn read<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, String> {
    serde_json::from_slice(bytes).map_err(|error| explain::<T>(bytes, error))
}

/// Writes a value; the error names the field.
pub(crate) fn write<T: Serialize>(value: &T, buffer: &mut Vec<u8>) -> Result<(), String> {
    value.serialize(finite::Finite(&mut serde_json::Serializer::new(buffer))).map_err(|error| error.to_string())
}

/// Reads once more to learn which field it was: following the path costs time that good input need not spend.
#[cold]
fn explain<T: DeserializeOwned>(bytes: &[u8], error: serde_json::Error) -> String {
    if bytes.trim_ascii().is_empty() {
        return "it is empty, not JSON".to_owned();
    }
    if let Err(error) = std::str::from_utf8(bytes) {
        return format!("it is not UTF-8: {error}");
    }
    match serde_path_to_error::deserialize::<_, T>(&mut serde_json::Deserializer::from_slice(bytes)) {
        Err(with_path) if with_path.path().iter().next().is_some() => with_path.to_string(),
        _ => error.to_string(),
    }
}
