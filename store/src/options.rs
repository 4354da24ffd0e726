//! How a store is reached and used, beside where it is.

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite};

use crate::credentials::Credentials;

/// How long an answer may take, unless said otherwise. The Redis client's own 500 ms are less than a busy server takes
/// to fork, to load a big value or to be moved to another machine, and a commit that times out costs its caller more
/// than the wait.
const ANSWER_WITHIN: Duration = Duration::from_secs(5);

/// How long it may take to connect and log in, unless said otherwise. A server in the same cluster needs milliseconds;
/// 5 s leave room for a packet that is lost twice, and are still short to whoever waits.
const CONNECT_WITHIN: Duration = Duration::from_secs(5);

/// How a store is reached and used.
#[derive(Clone)]
pub struct Options {
    /// Who the caller is to a Redis server.
    pub credentials: Credentials,
    /// What leads to a Redis server in place of a TCP connection to its address.
    pub transport: Option<Arc<dyn Transport>>,
    /// How long it may take to connect to a Redis server and log in, TLS and name look-up included; what a transport
    /// takes to open comes on top.
    pub connect_within: Duration,
    /// How long a Redis server's answer may take.
    pub answer_within: Duration,
    /// What may be done to a SQLite file.
    pub access: Access,
}

/// What may be done to a SQLite file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Access {
    /// It is created, with its folder and tables, where it isn't there.
    #[default]
    Create,
    /// It has to be there: whoever only looks must not leave an empty file where a path was mistyped.
    Existing,
}

/// A way to a Redis server: the bytes of a connection go through what it opens.
pub trait Transport: Send + Sync {
    /// Opens it once more; the future may take as long as a person takes to type a password, and is not timed. What it
    /// gives is dropped when the connection ends.
    fn open(&self) -> Opening<'_>;
}

/// A way that is being opened. Its error is told as it is.
pub type Opening<'a> = Pin<Box<dyn Future<Output = io::Result<Box<dyn Stream>>> + Send + 'a>>;

/// What bytes go through in both directions.
pub trait Stream: AsyncRead + AsyncWrite + Unpin + Send {}

impl<T: AsyncRead + AsyncWrite + Unpin + Send> Stream for T {}

impl Default for Options {
    fn default() -> Options {
        Options {
            credentials: Credentials::default(),
            transport: None,
            connect_within: CONNECT_WITHIN,
            answer_within: ANSWER_WITHIN,
            access: Access::default(),
        }
    }
}
