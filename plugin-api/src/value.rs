//! What a handler can take and give.

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::json;

/// What a handler can take: anything that serde reads from JSON, or [`Raw`].
#[diagnostic::on_unimplemented(
    message = "`{Self}` can't be a handler's input",
    note = "derive serde::Deserialize for it, or take plugin_api::Value or plugin_api::Raw"
)]
pub trait Input: Sized {
    /// Reads the input's bytes.
    ///
    /// # Errors
    ///
    /// A sentence that names the field and what is wrong with it.
    fn read(bytes: &[u8]) -> Result<Self, String>;
}

/// What a handler can give: anything that serde writes as JSON, or [`Raw`].
#[diagnostic::on_unimplemented(
    message = "`{Self}` can't be a handler's output",
    note = "derive serde::Serialize for it, or return plugin_api::Value or plugin_api::Raw"
)]
pub trait Output {
    /// Appends the output's bytes.
    ///
    /// # Errors
    ///
    /// A sentence that names the field that JSON can't hold.
    fn write(&self, buffer: &mut Vec<u8>) -> Result<(), String>;
}

/// Bytes that pass through as they are, for handlers that don't speak JSON.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Raw(pub Vec<u8>);

impl<T: DeserializeOwned> Input for T {
    fn read(bytes: &[u8]) -> Result<Self, String> {
        json::read(bytes)
    }
}

impl<T: Serialize> Output for T {
    fn write(&self, buffer: &mut Vec<u8>) -> Result<(), String> {
        json::write(self, buffer)
    }
}

impl Input for Raw {
    fn read(bytes: &[u8]) -> Result<Self, String> {
        Ok(Raw(bytes.to_owned()))
    }
}

impl Output for Raw {
    fn write(&self, buffer: &mut Vec<u8>) -> Result<(), String> {
        buffer.extend_from_slice(&self.0);
        Ok(())
    }
}
