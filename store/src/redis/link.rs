//! How a connection to a server is made: a way for its bytes, TLS, a login.

use std::io;
use std::pin::Pin;
use std::sync::{Arc, Weak};
use std::time::Duration;

use redis::aio::{MultiplexedConnection, SendError};
use redis::{AsyncConnectionConfig, PushInfo, RedisConnectionInfo, RedisError};
use tokio::net::{TcpStream, lookup_host};
use tokio::task::{AbortHandle, JoinSet};
use tokio::time::{Instant, timeout, timeout_at};

use super::fault;
use super::tls::{self, Identity};
use crate::address::Endpoint;
use crate::credentials::Tls;
use crate::error::{Cause, Outcome};
use crate::options::{Options, Stream};
use crate::watch::Board;

/// How long one of several servers is waited for before another is asked too.
const HEAD_START: Duration = Duration::from_millis(200);

/// How to get into each of a store's servers.
pub(super) struct Entry {
    /// Database, and user and password as far as the address has them.
    pub login: RedisConnectionInfo,
    /// The files for TLS, where the servers are reached so.
    pub tls: Option<Tls>,
    pub options: Options,
}

/// What leads to a server, before it is told who asks.
pub(super) struct Way {
    stream: Box<dyn Stream>,
    identity: Option<Arc<Identity>>,
}

/// A connection, open for as long as there is a clone of this.
#[derive(Clone)]
pub(super) struct Live {
    pub server: MultiplexedConnection,
    _driver: Arc<Driver>,
}

/// Who is told what a connection says unasked: a board, by which of its links, and by the how manieth connection there.
pub(super) struct Teller {
    pub board: Weak<Board>,
    pub link: u64,
    pub generation: u64,
}

/// What one of several servers is asked.
pub(super) type Question<T> = Pin<Box<dyn Future<Output = Outcome<T>> + Send>>;

/// What moves a connection's bytes. By itself it would go on until what was asked last is sent, which on a connection
/// that hangs is for ever.
struct Driver(AbortHandle);

impl Drop for Driver {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl Entry {
    /// Opens a way to a server, by `deadline`.
    pub async fn open(&self, endpoint: &Endpoint, deadline: Instant) -> Outcome<Way> {
        let limit = self.options.connect_within;
        let reached = timeout_at(deadline, reach(endpoint)).await.map_err(|_elapsed| Cause::TimedOut(limit))?;
        let told = |error| Cause::Unreachable(format!("{error}: see whether a Redis runs there"));
        self.secure(reached.map_err(told)?, endpoint, deadline).await
    }

    /// Makes a way of those bytes: a secret one, where the servers are reached so.
    pub async fn secure(&self, stream: Box<dyn Stream>, endpoint: &Endpoint, deadline: Instant) -> Outcome<Way> {
        match (&self.tls, endpoint) {
            (Some(files), Endpoint::Tcp(host, _)) => {
                let (stream, identity) = tls::secure(stream, host, files, deadline).await?;
                Ok(Way { stream, identity: Some(identity) })
            }
            _ => Ok(Way { stream, identity: None }),
        }
    }

    /// Who the caller is, with the password as it is now.
    pub async fn login(&self) -> Outcome<RedisConnectionInfo> {
        let mut login = self.login.clone();
        let credentials = &self.options.credentials;
        if let Some(username) = &credentials.username {
            login = login.set_username(username);
        }
        if let Some(password) = credentials.password.clone() {
            let revealed = tokio::task::spawn_blocking(move || (password.reveal(), password));
            let (text, password) = revealed.await.map_err(|error| Cause::Other(error.to_string()))?;
            login = login.set_password(
                text.map_err(|error| Cause::Denied(format!("the password ({password:?}) can't be read: {error}")))?,
            );
        }
        Ok(login)
    }

    /// Logs in.
    pub async fn talk(&self, way: Way, login: RedisConnectionInfo, teller: Option<Teller>) -> Outcome<Live> {
        let limit = self.options.answer_within;
        let mut config = AsyncConnectionConfig::new().set_response_timeout(Some(limit));
        if let Some(Teller { board, link, generation }) = teller {
            config = config.set_push_sender(move |push: PushInfo| {
                if let Some(board) = board.upgrade() {
                    board.take_in(link, generation, &push);
                }
                Ok::<(), SendError>(())
            });
        }
        let Way { stream, identity } = way;
        let told = |error: RedisError| match &identity {
            _ if !error.is_io_error() || error.is_timeout() => fault::cause_of(&error, "", limit),
            None => Cause::Unreachable(format!(
                "{error}: see whether a Redis runs there, and whether it speaks TLS (rediss://)"
            )),
            Some(identity) => identity.refused(&error).unwrap_or_else(|| fault::cause_of(&error, "", limit)),
        };
        let (server, driver) = MultiplexedConnection::new_with_config(&login, stream, config).await.map_err(told)?;
        Ok(Live { server, _driver: Arc::new(Driver(tokio::spawn(driver).abort_handle())) })
    }
}

async fn reach(endpoint: &Endpoint) -> io::Result<Box<dyn Stream>> {
    match endpoint {
        Endpoint::Tcp(host, port) => Ok(Box::new(reach_tcp(host, *port).await?)),
        #[cfg(unix)]
        Endpoint::Unix(path) => Ok(Box::new(tokio::net::UnixStream::connect(path).await?)),
        #[cfg(not(unix))]
        Endpoint::Unix(_) => Err(io::Error::other("this system has no unix sockets")),
    }
}

/// Connects to whichever of a host's addresses answers first: behind a name there may be one that is dead.
async fn reach_tcp(host: &str, port: u16) -> io::Result<TcpStream> {
    let mut attempts = JoinSet::new();
    for address in lookup_host((host, port)).await? {
        attempts.spawn(TcpStream::connect(address));
    }
    let mut failed = io::Error::other("its name has no address");
    while let Some(attempt) = attempts.join_next().await {
        match attempt.unwrap_or_else(|error| Err(io::Error::other(error))) {
            Ok(stream) => {
                // A commit is several segments; without this the last of them would wait for the server's
                // acknowledgement.
                stream.set_nodelay(true)?;
                return Ok(stream);
            }
            Err(error) => failed = error,
        }
    }
    Err(failed)
}

/// What the first of several servers to be of use answers. They are asked in order: the next one once the one before has
/// failed, or has not answered for a moment. Where all fail it is the last failure.
pub(super) async fn first_of<T: Send + 'static>(questions: Vec<Question<T>>) -> Outcome<T> {
    let mut questions = questions.into_iter();
    let mut asked = JoinSet::new();
    let mut failed = Cause::Unreachable("there is no server to ask".to_owned());
    loop {
        if let Some(question) = questions.next() {
            asked.spawn(question);
        }
        match timeout(HEAD_START, asked.join_next()).await {
            Ok(Some(Ok(Ok(answer)))) => return Ok(answer),
            Ok(Some(Ok(Err(cause)))) => failed = cause,
            Ok(Some(Err(error))) => failed = Cause::Other(error.to_string()),
            Ok(None) => return Err(failed),
            Err(_elapsed) => {}
        }
    }
}
