//! Write a handler, get a plugin: a shared library that `plugin-host` calls when data in Redis changes.
//!
//! A handler takes an input and a [`Context`], and returns an output:
//!
//! ```
//! //! Memory in use, and the most that was seen.
//! use plugin_api::{Context, Result};
//! use serde::{Deserialize, Serialize};
//!
//! #[derive(Deserialize)]
//! struct Figures {
//!     #[serde(rename = "virtual_memory-percent")]
//!     memory: f64,
//! }
//!
//! #[derive(Default, Serialize, Deserialize)]
//! struct Seen {
//!     most: f64,
//! }
//!
//! #[derive(Serialize)]
//! struct Report {
//!     memory: f64,
//!     most: f64,
//! }
//!
//! fn handler(input: Figures, context: &mut Context<Seen>) -> Result<Report> {
//!     context.env.most = context.env.most.max(input.memory);
//!     Ok(Report { memory: input.memory, most: context.env.most })
//! }
//!
//! plugin_api::export!(handler);
//! # fn main() {}
//! ```
//!
//! Its `Cargo.toml` has `crate-type = ["cdylib"]` and the dependencies `plugin-api` and `serde`; no other is needed.
//! `plugin-host new NAME` writes such a crate, `plugin-host dev` runs it, [`testing`] tests it, and the [`cookbook`] has a
//! recipe for what comes next.
//!
//! # The life of a plugin
//!
//! `host/examples/life.rs` goes through these steps, numbered as here.
//!
//! 1. The host finds the library (or the ZIP that holds it), reads it once, and checks pin and signature, where asked for.
//! 2. It reads the manifest that [`export!`] wrote into the library, before any of its code runs, and copies the library
//!    to a private place, under a name made of its content's hash.
//! 3. It loads that copy, looks up the handler's symbol and checks its layout.
//! 4. It opens the handler; `env` is `E::default()`.
//! 5. Where the store holds an env of this output key, the host loads it.
//! 6. For each event it calls the handler: the input is read, the function runs, the output is written.
//! 7. After a success, output and env are committed in one transaction.
//! 8. After a failure (an error, a panic), nothing is written and the last env that was saved is loaded again.
//! 9. A new version of the library gets the env of the old one. Libraries are never unloaded.
//!
//! # What a handler may rely on
//!
//! - A failed call leaves `env` exactly as it was before the call and writes no output. A handler may run twice for
//!   one event (after a crash, or a failure within a batch), but its effect in the store is once.
//! - Numbers that JSON can't hold (NaN, infinities) fail the call, in output and env. Doubles come back bit for bit.
//! - All calls for one output key come one after another on one thread.
//! - A panic is caught and becomes the call's failure. A plugin built with `panic = "abort"` can't be protected so.
//! - Records made with the `log` crate come out as the host's own, with plugin and handler named.
//! - The name of a handler is an exported symbol, so names of C functions that Rust's library calls are refused.

pub mod abi;
mod context;
pub mod cookbook;
mod json;
pub mod testing;
mod value;

pub use context::{Context, Env};
pub use log;
pub use serde_json::{Map, Value, json};
pub use value::{Input, Output, Raw};

/// Any error: what `?` makes of errors that implement [`std::error::Error`], of `anyhow::Error`, and of texts
/// (`Err("no such disk")?`).
pub type Error = Box<dyn std::error::Error + Send + Sync>;

/// What a handler returns; an error is recorded with its chain.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// The version of this crate.
pub const VERSION: &str = env!("CARGO_PKG_VERSION");
/// The compiler that built this crate.
pub const RUSTC: &str = env!("PLUGIN_API_RUSTC");
/// The target that this crate was built for.
pub const TARGET: &str = env!("PLUGIN_API_TARGET");
