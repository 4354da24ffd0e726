//! From a path to a handler that can be called.
//!
//! A plugin's life has one type a state, so that the wrong order does not compile:
//! [`Found`] (a file that may be a plugin) → [`Verified`] (a private copy whose manifest fits this host) →
//! [`Loaded`] (mapped, its handler's layout checked) → [`Running`] (open, with an env).

mod find;

mod examine;
mod verify;

mod load;
mod running;

pub use examine::{Examined, Glibc, Refusal, examine};
pub use find::{Found, HandlerName, find};
pub use load::Loaded;
pub(crate) use load::host_glibc;
pub use running::{Outcome, Running};
pub(crate) use verify::sha256;
pub use verify::{PrivateFolder, Verified};
