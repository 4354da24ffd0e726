//! Where a store is: `redis://…`, `rediss://…` or `sqlite:PATH`, taken from text and shown without its password.

use std::fmt;
use std::path::{Path, PathBuf};

use redis::{ConnectionAddr, IntoConnectionInfo, RedisConnectionInfo};

use crate::credentials::Tls;

/// Where a store is. `Display` and `Debug` never show a password.
#[derive(Clone)]
pub struct Address(Place);

/// What each backend needs to get there.
#[derive(Clone)]
pub(crate) enum Place {
    /// The server.
    Redis(Server),
    /// The file.
    Sqlite(PathBuf),
}

/// A Redis server.
#[derive(Clone)]
pub(crate) struct Server {
    /// Its name or address, without brackets.
    pub host: String,
    pub port: u16,
    /// Database, and user and password as far as the address has them.
    pub login: RedisConnectionInfo,
    /// The files for TLS, where it is reached so.
    pub tls: Option<Tls>,
}

/// Why a text is no address. The message never repeats what could be a password.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AddressError {
    /// Another kind of store than those known.
    #[error(
        "store address with scheme {0:?} isn't taken: \
         write redis://[user[:password]@]host[:port][/db], with rediss for TLS, or sqlite:PATH"
    )]
    Scheme(String),
    /// There is nothing before a colon.
    #[error("store address names no scheme: write redis://[user[:password]@]host[:port][/db] or sqlite:PATH")]
    NoScheme,
    /// A `redis://` or `rediss://` address that doesn't parse.
    #[error(
        "redis address can't be read ({0}): write redis://[user[:password]@]host[:port][/db], with \
         special characters of user and password percent-encoded (%23 for #)"
    )]
    Redis(String),
    /// A `sqlite:` address that names no file.
    #[error("sqlite address names no file ({0}): write sqlite:PATH, for example sqlite:/var/lib/host.db")]
    Sqlite(&'static str),
}

impl Address {
    /// Reads `redis://[user[:password]@]host[:port][/db]` (port 6379 and database 0 unless given; user and password
    /// percent-encoded), the same with `rediss` for a server that is reached over TLS, or `sqlite:PATH`.
    ///
    /// # Errors
    ///
    /// Another scheme, a `redis://` or `rediss://` address that doesn't parse or holds more than these parts, a `sqlite:` address
    /// without the path of a file.
    pub fn parse(text: &str) -> Result<Address, AddressError> {
        let (scheme, rest) = text.split_once(':').ok_or(AddressError::NoScheme)?;
        match scheme {
            "redis" => parse_redis(rest, None),
            "rediss" => parse_redis(rest, Some(Tls::default())),
            "sqlite" => parse_sqlite(rest),
            _ if is_scheme(scheme) && (rest.starts_with("//") || scheme == "unix") => {
                Err(AddressError::Scheme(scheme.to_owned()))
            }
            _ => Err(AddressError::NoScheme),
        }
    }

    /// A Redis server without TLS, database 0, no credentials.
    pub fn redis(host: impl Into<String>, port: u16) -> Address {
        Address(Place::Redis(Server { host: host.into(), port, login: RedisConnectionInfo::default(), tls: None }))
    }

    /// The same address with these files for TLS; they mean nothing unless it [is reached so](Address::is_tls).
    #[must_use]
    pub fn with_tls(mut self, files: Tls) -> Address {
        if let Place::Redis(Server { tls: Some(tls), .. }) = &mut self.0 {
            *tls = files;
        }
        self
    }

    /// Whether it is a server that is reached over TLS.
    pub fn is_tls(&self) -> bool {
        matches!(&self.0, Place::Redis(Server { tls: Some(_), .. }))
    }

    /// A SQLite file. It is created, with its folder, when the store is first used.
    pub fn sqlite(path: impl Into<PathBuf>) -> Address {
        Address(Place::Sqlite(path.into()))
    }

    /// The server's host name or address, without brackets; empty for SQLite.
    pub fn host(&self) -> &str {
        self.tcp().0
    }

    /// The server's port; 0 for SQLite.
    pub fn port(&self) -> u16 {
        self.tcp().1
    }

    /// The SQLite file; `None` for a server.
    pub fn file(&self) -> Option<&Path> {
        match &self.0 {
            Place::Sqlite(path) => Some(path),
            Place::Redis(_) => None,
        }
    }

    /// Whether the address itself holds a password, as the flag of a program must not.
    pub fn has_password(&self) -> bool {
        matches!(&self.0, Place::Redis(server) if server.login.password().is_some())
    }

    /// The place itself, for the backend.
    pub(crate) fn place(&self) -> &Place {
        &self.0
    }

    fn tcp(&self) -> (&str, u16) {
        match &self.0 {
            Place::Redis(server) => (&server.host, server.port),
            Place::Sqlite(_) => ("", 0),
        }
    }
}

/// Reads what follows the scheme; the client knows the one without TLS only.
fn parse_redis(rest: &str, tls: Option<Tls>) -> Result<Address, AddressError> {
    let bad = |why: &str| AddressError::Redis(why.to_owned());
    let url =
        redis::parse_redis_url(&format!("redis:{rest}")).ok_or_else(|| bad("host, port or an escape is malformed"))?;
    // In `redis://user:12#3@host` the part before the '#' reads as host and port: a password that was not encoded
    // would be taken for them, and shown.
    if url.fragment().is_some() || url.query().is_some() {
        return Err(bad("it holds a '#' or a '?'"));
    }
    if url.host_str().is_none_or(str::is_empty) {
        return Err(bad("it names no host"));
    }
    let server = url.into_connection_info().map_err(|error| bad(&error.to_string()))?;
    let ConnectionAddr::Tcp(host, port) = server.addr() else { return Err(bad("it names no host")) };
    let login = server.redis_settings().clone();
    if login.db() < 0 {
        return Err(bad("its database number is negative"));
    }
    Ok(Address(Place::Redis(Server { host: host.clone(), port: *port, login, tls })))
}

fn parse_sqlite(path: &str) -> Result<Address, AddressError> {
    match path {
        "" => Err(AddressError::Sqlite("the path is empty")),
        ":memory:" => Err(AddressError::Sqlite("other processes can't read a database in memory")),
        // Some take the two slashes for the start of an absolute path, some for the end of the scheme.
        _ if path.starts_with("//") => Err(AddressError::Sqlite("the path starts with two slashes")),
        _ if path.contains('\0') => Err(AddressError::Sqlite("the path holds a zero byte")),
        _ => Ok(Address::sqlite(path)),
    }
}

/// The characters that RFC 3986, section 3.1 allows.
fn is_scheme(text: &str) -> bool {
    text.starts_with(|first: char| first.is_ascii_alphabetic())
        && text.chars().all(|c| c.is_ascii_alphanumeric() || "+-.".contains(c))
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Place::Sqlite(path) => write!(f, "sqlite:{}", path.display()),
            Place::Redis(server) => {
                let Server { host, port, login, tls } = server;
                let scheme = if tls.is_some() { "rediss" } else { "redis" };
                if host.contains(':') {
                    write!(f, "{scheme}://[{host}]:{port}")?;
                } else {
                    write!(f, "{scheme}://{host}:{port}")?;
                }
                match login.db() {
                    0 => Ok(()),
                    database => write!(f, "/{database}"),
                }
            }
        }
    }
}

impl fmt::Debug for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Address({self})")
    }
}
