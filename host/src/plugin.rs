//! From where a plugin lies to a handler that can be called.
//!
//! A plugin's life has one type a state, so that the wrong order does not compile: [`Found`] (a library or ZIP that
//! was read) → [`Trusted`] (pin and signature are as asked for) → [`Unpacked`] (the library, out of its ZIP) →
//! [`Verified`] (a private copy whose manifest fits this host) → [`Loaded`] (mapped, its handler's layout checked) →
//! [`Running`] (open, with an env). [`Loader`] goes from what was found to what is loaded.
//!
//! [`Source`] gives what is found, at the start and whenever it changed; [`Watch`] looks there while the host works.

mod origin;

mod find;
mod found;
mod module;

mod download;
mod source;

mod trust;

mod examine;
mod private;
mod unpack;
mod verify;

mod load;
mod running;

mod loader;
mod trial;
mod watch;

pub(crate) use download::http_client;
pub use examine::{Examined, Glibc, Refusal, examine};
pub use find::{HandlerName, find};
pub use found::{Found, Kind, ZIP_MAX_BYTES};
pub(crate) use found::{is_zip_name, sha256, signature_of};
pub(crate) use load::host_glibc;
pub use load::{Loaded, mapped_libraries};
pub use loader::{Loader, Loading, NotLoaded, Renewed, Step};
pub(crate) use module::{Module, is_module_name};
pub use origin::{Origin, ZipUrl};
pub use private::PrivateFolder;
pub(crate) use private::{lock, open_folder};
pub use running::Running;
pub use source::Source;
pub use trust::{Distrust, PublicKey, Signer, Trust, Trusted, writable_by_others};
pub(crate) use unpack::is_suspicious;
pub use unpack::{BadArchive, check, unpack};
pub use verify::{Unpacked, Verified};
pub use watch::{Arrival, Watch};
