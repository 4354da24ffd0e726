//! What a handler knows besides its input.

use std::path::PathBuf;

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

/// What a handler knows besides its input, with the names of the Python runtime's `Context`.
///
/// `E` is the type of the handler's own state. Without it, `env` is a JSON map.
#[derive(Debug)]
#[non_exhaustive]
pub struct Context<E = Map<String, Value>> {
    /// The host name of the store; empty for a SQLite file.
    pub host: String,
    /// The port of the store; 0 for a SQLite file.
    pub port: u16,
    /// The key that is read.
    pub input_key: String,
    /// The key that is written.
    pub output_key: String,
    /// When the plugin's original file was changed, in seconds since 1970.
    pub function_getmtime: f64,
    /// When this handler's last successful call ended (ISO 8601, UTC); none before the first one.
    pub last_execution: Option<String>,
    /// The identity of the event: `sha256:HEX` of the input's bytes, or what the trigger gives.
    pub event_id: String,
    /// Which attempt at this event this is, from 1.
    pub attempt: u32,
    /// The folder where the plugin's other files lie.
    pub plugin_dir: PathBuf,
    /// The handler's own state, kept between calls and restarts.
    ///
    /// A call that fails leaves it as it was before the call. It travels as JSON: what serde skips is not kept.
    pub env: E,
}

/// What an env can be: anything that has a default and that serde can write as JSON and read back.
#[diagnostic::on_unimplemented(
    message = "`{Self}` can't be a handler's env",
    note = "derive Default, serde::Serialize and serde::Deserialize for it"
)]
pub trait Env: Default + Serialize + DeserializeOwned {}

impl<E: Default + Serialize + DeserializeOwned> Env for E {}
