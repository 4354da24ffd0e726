//! Where a store is, taken from text and shown without its password: one Redis server, those that sentinels watch, a
//! cluster, or a SQLite file.

use std::fmt;
use std::path::{Path, PathBuf};

use redis::{ConnectionAddr, IntoConnectionInfo, RedisConnectionInfo};

use crate::credentials::Tls;

/// The port of a server, unless the address names another.
const SERVER_PORT: u16 = 6379;

/// The port of a sentinel, unless the address names another.
const SENTINEL_PORT: u16 = 26379;

/// Where a store is. `Display` and `Debug` never show a password.
#[derive(Clone)]
pub struct Address(Place);

/// What each backend needs to get there.
#[derive(Clone)]
pub(crate) enum Place {
    /// The servers.
    Redis(Servers),
    /// The file.
    Sqlite(PathBuf),
}

/// A Redis, however many servers it consists of.
#[derive(Clone)]
pub(crate) struct Servers {
    pub layout: Layout,
    /// Database, and user and password as far as the address has them.
    pub login: RedisConnectionInfo,
    /// The files for TLS, where it is reached so.
    pub tls: Option<Tls>,
}

/// Which server holds what.
#[derive(Clone)]
pub(crate) enum Layout {
    /// This one holds everything.
    One(Whom),
    /// Each key has a slot, and each slot a master; these of the servers can be asked which.
    Cluster(Vec<Endpoint>),
}

/// The server at the other end of a connection.
#[derive(Clone)]
pub(crate) enum Whom {
    /// The one that listens there.
    Server(Endpoint),
    /// The one that these sentinels call the master of that name.
    Master { sentinels: Vec<Endpoint>, name: String },
}

/// Where one server listens.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum Endpoint {
    /// Its name or address, without brackets, and its port.
    Tcp(String, u16),
    /// Its socket's file.
    Unix(PathBuf),
}

/// Why a text is no address. The message never repeats what could be a password.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AddressError {
    /// Another kind of store than those known.
    #[error(
        "store address with scheme {0:?} isn't taken: write redis://[user[:password]@]host[:port][/db], with rediss for \
         TLS, redis+sentinel://host[:port],…/master, redis+cluster://host[:port],…, unix:PATH or sqlite:PATH"
    )]
    Scheme(String),
    /// There is nothing before a colon.
    #[error(
        "store address names no scheme: write redis://[user[:password]@]host[:port][/db], unix:PATH or sqlite:PATH"
    )]
    NoScheme,
    /// A `redis://` or `rediss://` address that doesn't parse.
    #[error(
        "redis address can't be read ({0}): write redis://[user[:password]@]host[:port][/db], with \
         special characters of user and password percent-encoded (%23 for #)"
    )]
    Redis(String),
    /// A `redis+sentinel://` or `rediss+sentinel://` address that doesn't parse.
    #[error(
        "address of sentinels can't be read ({0}): write \
         redis+sentinel://[user[:password]@]host[:port][,host[:port]…]/master[/db], with special characters of user and \
         password percent-encoded (%23 for #)"
    )]
    Sentinel(String),
    /// A `redis+cluster://` or `rediss+cluster://` address that doesn't parse.
    #[error(
        "address of a cluster can't be read ({0}): write redis+cluster://[user[:password]@]host[:port][,host[:port]…], \
         with special characters of user and password percent-encoded (%23 for #)"
    )]
    Cluster(String),
    /// A `unix:` address that names no socket.
    #[error(
        "address of a socket can't be read ({0}): write unix:PATH or unix:PATH?db=N, for example unix:/run/redis.sock"
    )]
    Unix(&'static str),
    /// A `sqlite:` address that names no file.
    #[error("sqlite address names no file ({0}): write sqlite:PATH, for example sqlite:/var/lib/host.db")]
    Sqlite(&'static str),
}

impl Address {
    /// Reads one of
    ///
    /// - `redis://[user[:password]@]host[:port][/db]`: one server (port 6379 and database 0 unless given; user and
    ///   password percent-encoded);
    /// - `redis+sentinel://[user[:password]@]host[:port][,host[:port]…]/master[/db]`: the server that these sentinels
    ///   (port 26379 unless given) call the master of that name;
    /// - `redis+cluster://[user[:password]@]host[:port][,host[:port]…]`: a cluster, of which these servers are asked for
    ///   the others;
    /// - each of them with `rediss` in place of `redis`: all of these servers are reached over TLS;
    /// - `unix:PATH[?db=N]`: one server, by its socket (`unix:///PATH` is the same);
    /// - `sqlite:PATH`.
    ///
    /// # Errors
    ///
    /// Another scheme; an address that doesn't parse, or holds more than these parts.
    pub fn parse(text: &str) -> Result<Address, AddressError> {
        let (scheme, rest) = text.split_once(':').ok_or(AddressError::NoScheme)?;
        let tls = scheme.starts_with("rediss").then(Tls::default);
        match scheme {
            "redis" | "rediss" => {
                let (endpoint, login) = parse_server(rest, SERVER_PORT).map_err(AddressError::Redis)?;
                Ok(Address(Place::Redis(Servers { layout: Layout::One(Whom::Server(endpoint)), login, tls })))
            }
            "redis+sentinel" | "rediss+sentinel" => {
                let (layout, login) = parse_sentinels(rest).map_err(AddressError::Sentinel)?;
                Ok(Address(Place::Redis(Servers { layout, login, tls })))
            }
            "redis+cluster" | "rediss+cluster" => {
                let (layout, login) = parse_cluster(rest).map_err(AddressError::Cluster)?;
                Ok(Address(Place::Redis(Servers { layout, login, tls })))
            }
            "unix" => parse_socket(rest).map_err(AddressError::Unix),
            "sqlite" => parse_sqlite(rest),
            _ if is_scheme(scheme) && rest.starts_with("//") => Err(AddressError::Scheme(scheme.to_owned())),
            _ => Err(AddressError::NoScheme),
        }
    }

    /// A Redis server without TLS, database 0, no credentials.
    pub fn redis(host: impl Into<String>, port: u16) -> Address {
        let layout = Layout::One(Whom::Server(Endpoint::Tcp(host.into(), port)));
        Address(Place::Redis(Servers { layout, login: RedisConnectionInfo::default(), tls: None }))
    }

    /// The same address with these files for TLS; they mean nothing unless it [is reached so](Address::is_tls).
    #[must_use]
    pub fn with_tls(mut self, files: Tls) -> Address {
        if let Place::Redis(Servers { tls: Some(tls), .. }) = &mut self.0 {
            *tls = files;
        }
        self
    }

    /// Whether it is a Redis that is reached over TLS.
    pub fn is_tls(&self) -> bool {
        matches!(&self.0, Place::Redis(Servers { tls: Some(_), .. }))
    }

    /// A SQLite file. It is created, with its folder, when the store is first used.
    pub fn sqlite(path: impl Into<PathBuf>) -> Address {
        Address(Place::Sqlite(path.into()))
    }

    /// The host name or address, without brackets, of the first server or sentinel that it names; empty for sockets and
    /// SQLite.
    pub fn host(&self) -> &str {
        self.first().map_or("", |(host, _)| host)
    }

    /// The port of the first server or sentinel that it names; 0 for sockets and SQLite.
    pub fn port(&self) -> u16 {
        self.first().map_or(0, |(_, port)| port)
    }

    /// Whether it is one server that is reached by TCP, so that a single [way](crate::Transport) could lead there.
    pub fn is_one_host(&self) -> bool {
        matches!(&self.0, Place::Redis(Servers { layout: Layout::One(Whom::Server(Endpoint::Tcp(..))), .. }))
    }

    /// Whether it is a cluster, where an operation's keys must be in the same [slot](crate::slot).
    pub fn is_cluster(&self) -> bool {
        matches!(&self.0, Place::Redis(Servers { layout: Layout::Cluster(_), .. }))
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
        matches!(&self.0, Place::Redis(servers) if servers.login.password().is_some())
    }

    /// The place itself, for the backend.
    pub(crate) fn place(&self) -> &Place {
        &self.0
    }

    fn first(&self) -> Option<(&str, u16)> {
        let Place::Redis(servers) = &self.0 else { return None };
        match servers.layout.named().first() {
            Some(Endpoint::Tcp(host, port)) => Some((host, *port)),
            _ => None,
        }
    }
}

impl Layout {
    /// The servers or sentinels that the address names.
    pub fn named(&self) -> &[Endpoint] {
        match self {
            Layout::One(Whom::Server(endpoint)) => std::slice::from_ref(endpoint),
            Layout::One(Whom::Master { sentinels: named, .. }) | Layout::Cluster(named) => named,
        }
    }
}

/// Reads what follows the scheme of one server.
fn parse_server(rest: &str, usual_port: u16) -> Result<(Endpoint, RedisConnectionInfo), String> {
    let url = redis::parse_redis_url(&format!("redis:{rest}")).ok_or("host, port or an escape is malformed")?;
    // In `redis://user:12#3@host` the part before the '#' reads as host and port: a password that was not encoded
    // would be taken for them, and shown.
    if url.fragment().is_some() || url.query().is_some() {
        return Err("it holds a '#' or a '?'".to_owned());
    }
    if url.host_str().is_none_or(str::is_empty) {
        return Err("it names no host".to_owned());
    }
    let port = url.port().unwrap_or(usual_port);
    let server = url.into_connection_info().map_err(|error| error.to_string())?;
    let ConnectionAddr::Tcp(host, _) = server.addr() else { return Err("it names no host".to_owned()) };
    let login = server.redis_settings().clone();
    if login.db() < 0 {
        return Err("its database number is negative".to_owned());
    }
    Ok((Endpoint::Tcp(host.clone(), port), login))
}

fn parse_sentinels(rest: &str) -> Result<(Layout, RedisConnectionInfo), String> {
    let (servers, path) = split_path(rest)?;
    let (master, database) = path.split_once('/').unwrap_or((path, ""));
    if master.is_empty() {
        return Err("it names no master, as the sentinels call it".to_owned());
    }
    let (sentinels, login) = parse_list(servers, database, SENTINEL_PORT)?;
    Ok((Layout::One(Whom::Master { sentinels, name: master.to_owned() }), login))
}

fn parse_cluster(rest: &str) -> Result<(Layout, RedisConnectionInfo), String> {
    let (servers, path) = split_path(rest)?;
    if !matches!(path, "" | "0") {
        return Err("a cluster has database 0 only".to_owned());
    }
    let (named, login) = parse_list(servers, "", SERVER_PORT)?;
    Ok((Layout::Cluster(named), login))
}

/// Splits `//servers/path`.
fn split_path(rest: &str) -> Result<(&str, &str), String> {
    let rest = rest.strip_prefix("//").ok_or("it names no host")?;
    let (servers, path) = rest.split_once('/').unwrap_or((rest, ""));
    match path {
        // A password that was not encoded would be taken for hosts, and shown.
        _ if path.contains(['@', '#', '?']) => Err("it holds an '@', a '#' or a '?' after the hosts".to_owned()),
        _ => Ok((servers, path.strip_suffix('/').unwrap_or(path))),
    }
}

/// Reads `[user[:password]@]host[:port][,host[:port]…]`.
fn parse_list(servers: &str, database: &str, usual_port: u16) -> Result<(Vec<Endpoint>, RedisConnectionInfo), String> {
    let (login, hosts) = match servers.rfind('@') {
        Some(end) => servers.split_at(end + 1),
        None => ("", servers),
    };
    let read = |host| parse_server(&format!("//{login}{host}/{database}"), usual_port);
    let read: Vec<_> = hosts.split(',').map(read).collect::<Result<_, _>>()?;
    let login = read.first().map(|(_, login)| login.clone()).ok_or("it names no host")?;
    Ok((read.into_iter().map(|(endpoint, _)| endpoint).collect(), login))
}

fn parse_socket(rest: &str) -> Result<Address, &'static str> {
    let (path, database) = match rest.split_once('?') {
        None => (rest, 0),
        Some((path, query)) => {
            let number = query.strip_prefix("db=").and_then(|number| number.parse::<u32>().ok());
            (path, number.ok_or("what follows the '?' is not db=N")?)
        }
    };
    let path = match path.strip_prefix("//") {
        Some(absolute) if absolute.starts_with('/') => absolute,
        Some(_) => return Err("two slashes before a path that doesn't begin with one"),
        None => path,
    };
    if path.is_empty() || path.ends_with('/') || path.contains('\0') {
        return Err("the path names no file");
    }
    let login = RedisConnectionInfo::default().set_db(i64::from(database));
    Ok(Address(Place::Redis(Servers {
        layout: Layout::One(Whom::Server(Endpoint::Unix(path.into()))),
        login,
        tls: None,
    })))
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
        let Servers { layout, login, tls } = match &self.0 {
            Place::Sqlite(path) => return write!(f, "sqlite:{}", path.display()),
            Place::Redis(servers) => servers,
        };
        let scheme = if tls.is_some() { "rediss" } else { "redis" };
        match layout {
            Layout::One(Whom::Server(Endpoint::Unix(_))) => {}
            Layout::One(Whom::Server(_)) => write!(f, "{scheme}://")?,
            Layout::One(Whom::Master { .. }) => write!(f, "{scheme}+sentinel://")?,
            Layout::Cluster(_) => write!(f, "{scheme}+cluster://")?,
        }
        for (place, endpoint) in layout.named().iter().enumerate() {
            write!(f, "{}{endpoint}", if place == 0 { "" } else { "," })?;
        }
        if let Layout::One(Whom::Master { name, .. }) = layout {
            write!(f, "/{name}")?;
        }
        match (layout, login.db()) {
            (_, 0) => Ok(()),
            (Layout::One(Whom::Server(Endpoint::Unix(_))), database) => write!(f, "?db={database}"),
            (_, database) => write!(f, "/{database}"),
        }
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Endpoint::Tcp(host, port) if host.contains(':') => write!(f, "[{host}]:{port}"),
            Endpoint::Tcp(host, port) => write!(f, "{host}:{port}"),
            Endpoint::Unix(path) => write!(f, "unix:{}", path.display()),
        }
    }
}

impl fmt::Debug for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Address({self})")
    }
}
