//! The store: where inputs, outputs and env live, in Redis or in a SQLite file, behind one type.
//!
//! Keys and bytes go in and come out; what they mean is others' business. Everything that a host writes for an event
//! goes through [`Store::commit`], which writes all of it or nothing.
//!
//! ```no_run
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! use store::{Address, Commit, Committed, Credentials, Keys, Store};
//!
//! let store = Store::new(Address::parse("sqlite:target/dev.db")?, Credentials::default());
//! let keys = Keys::of("out")?;
//! let saved = store.saved(&keys).await?;
//! let committed = store
//!     .commit(&Commit {
//!         keys: &keys,
//!         sequence: saved.map_or(0, |saved| saved.sequence),
//!         outputs: vec![b"{\"load\":0.5}"],
//!         env: b"{}",
//!         last_event: "sha256:00",
//!         handler: "handler",
//!         plugin_version: "0.1.0",
//!         saved_at: "2026-01-31T12:00:00Z",
//!         history_length: 720,
//!         output_stream: None,
//!         taken: None,
//!         dead: None,
//!         replayed: None,
//!     })
//!     .await?;
//! assert_eq!(committed, Committed::Applied);
//! # Ok(())
//! # }
//! ```
#![forbid(unsafe_code)]

mod address;
mod credentials;
mod dead;
mod group;
mod keys;
mod lease;
mod options;
mod pattern;
mod store;
mod watch;

mod commit;
mod error;
mod redis;
mod sqlite;

#[cfg(feature = "testing")]
pub mod testing;

pub use address::{Address, AddressError};
pub use commit::{Commit, Committed, Dead, Entry, Part, Saved};
pub use credentials::{ClientFiles, Credentials, Password, Tls};
pub use dead::{DeadEntry, Replayed};
pub use error::{Cause, Error};
pub use group::{Group, StreamEntry, Taken};
pub use keys::{COMPANIONS, Companion, Keys, KeysError, slot};
pub use lease::Lease;
pub use options::{Access, Opening, Options, Stream, Transport};
pub use pattern::Pattern;
pub use store::Store;
pub use watch::{Change, Watch};
