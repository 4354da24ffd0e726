//! Who the host is to a Redis server, and whom it trusts.

use std::path::PathBuf;
use std::{fmt, fs, io};

/// User name and password for a Redis server; what is given here wins over the address. SQLite ignores it.
#[derive(Debug, Clone, Default)]
pub struct Credentials {
    /// The ACL user; `None` for the address's, or else the server's default user.
    pub username: Option<String>,
    /// The password; `None` for the address's, or else none.
    pub password: Option<Password>,
}

/// A password, or where to find it. `Debug` hides it.
#[derive(Clone)]
pub enum Password {
    /// The password itself.
    Text(String),
    /// A file that holds it. It is read at each connection, so that a rotated secret works; line ends at its end don't
    /// count.
    File(PathBuf),
}

/// The files of one's own for TLS, in PEM. They are read at each connection, so that what is renewed works.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Tls {
    /// The certificates of the authorities to trust in place of the system's.
    pub ca_file: Option<PathBuf>,
    /// A certificate to show to a server that asks for one, with those that lead to its authority.
    pub client: Option<ClientFiles>,
}

/// A client's certificate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClientFiles {
    /// The certificate.
    pub cert_file: PathBuf,
    /// Its private key.
    pub key_file: PathBuf,
}

impl Password {
    /// The password as it is now. Blocks while a file is read.
    pub(crate) fn reveal(&self) -> io::Result<String> {
        match self {
            Password::Text(text) => Ok(text.clone()),
            Password::File(path) => {
                let mut text = fs::read_to_string(path)?;
                text.truncate(text.trim_end_matches(['\r', '\n']).len());
                Ok(text)
            }
        }
    }
}

impl fmt::Debug for Password {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Password::Text(_) => f.write_str("Text(hidden)"),
            Password::File(path) => write!(f, "File({path:?})"),
        }
    }
}
