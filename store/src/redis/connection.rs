//! One connection to a Redis server that heals itself: made at first use, dropped once it broke, made anew by the next
//! operation.

use std::io;
use std::sync::{Arc, PoisonError, Weak};
use std::time::Duration;

use redis::aio::{MultiplexedConnection, SendError};
use redis::{AsyncConnectionConfig, ProtocolVersion, PushInfo, RedisConnectionInfo, RedisError, RedisResult, cmd};
use tokio::net::{TcpStream, lookup_host};
use tokio::sync::Mutex;
use tokio::task::{AbortHandle, JoinSet};
use tokio::time::{Instant, timeout_at};

use super::fault;
use super::tls::{self, Identity};
use crate::address::Server;
use crate::error::{Cause, Outcome};
use crate::options::{Options, Stream};
use crate::watch::{Board, Watch};

pub(super) struct Connection {
    server: Server,
    options: Options,
    /// Who wants to be told of writes. A plain mutex: it is held for a copy only.
    watching: std::sync::Mutex<Weak<Board>>,
    /// Held while a connection is made, so that callers at the same time wait for that one: hence an async mutex.
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    live: Option<Live>,
    /// Counts the connections made, so that only the one that broke is dropped, never its successor.
    generation: u64,
    /// When the last attempt to connect failed, and why.
    failed: Option<(Instant, Cause)>,
}

/// A connection, open for as long as there is a clone of this.
#[derive(Clone)]
struct Live {
    server: MultiplexedConnection,
    _driver: Arc<Driver>,
}

/// What moves a connection's bytes. By itself it would go on until what was asked last is sent, which on a connection
/// that hangs is for ever.
struct Driver(AbortHandle);

impl Drop for Driver {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl Connection {
    pub fn new(server: Server, options: Options) -> Connection {
        Connection { server, options, watching: std::sync::Mutex::default(), state: Mutex::default() }
    }

    /// How long an answer may take.
    pub fn answer_within(&self) -> Duration {
        self.options.answer_within
    }

    /// Makes a new connection that also tells of the writes that `watch` wants to know of.
    pub async fn watch(&self, watch: Watch) -> Outcome<Watch> {
        if let Some(former) = self.set_watching(watch.board()).upgrade() {
            former.lost();
        }
        self.state.lock().await.live = None;
        if let Err(cause) = self.take().await {
            self.set_watching(Weak::new());
            return Err(cause);
        }
        Ok(watch)
    }

    /// Runs one operation, which works on `key`, on the connection. It isn't tried again.
    pub async fn use_for<T>(
        &self,
        key: &str,
        operation: impl AsyncFnOnce(&mut MultiplexedConnection) -> RedisResult<T>,
    ) -> Outcome<T> {
        let (mut live, generation) = self.take().await?;
        match operation(&mut live.server).await {
            Ok(value) => Ok(value),
            Err(error) => {
                if is_broken(&error) {
                    let mut state = self.state.lock().await;
                    if state.generation == generation && state.live.take().is_some() {
                        // A connection that hangs doesn't say so itself.
                        self.watching().upgrade().inspect(|board| board.lost());
                    }
                }
                Err(fault::cause_of(&error, key, self.options.answer_within))
            }
        }
    }

    /// The live connection with its generation; made now if there is none. Who waited while an attempt failed shares
    /// its failure, so that a server that is away costs each caller one time-out and not a queue of them.
    async fn take(&self) -> Outcome<(Live, u64)> {
        let asked = Instant::now();
        let mut state = self.state.lock().await;
        if let Some(live) = &state.live {
            return Ok((live.clone(), state.generation));
        }
        if let Some((when, cause)) = &state.failed
            && *when > asked
        {
            return Err(cause.clone());
        }
        // Each attempt has a number of its own, so that the end of one isn't taken for that of another.
        state.generation += 1;
        match self.connect(state.generation).await {
            Ok(live) => {
                state.failed = None;
                state.live = Some(live.clone());
                Ok((live, state.generation))
            }
            Err(cause) => {
                state.failed = Some((Instant::now(), cause.clone()));
                Err(cause)
            }
        }
    }

    async fn connect(&self, generation: u64) -> Outcome<Live> {
        let limit = self.options.connect_within;
        let late = || Cause::TimedOut(limit);
        let (way, deadline) = match &self.options.transport {
            // How long this may take is for the transport to decide.
            Some(transport) => {
                let way = transport.open().await.map_err(|error| Cause::Unreachable(error.to_string()))?;
                (way, Instant::now() + limit)
            }
            None => {
                let deadline = Instant::now() + limit;
                let way = timeout_at(deadline, reach(&self.server)).await.map_err(|_elapsed| late())?;
                let told = |error| Cause::Unreachable(format!("{error}: see whether a Redis runs there"));
                (Box::new(way.map_err(told)?) as Box<dyn Stream>, deadline)
            }
        };
        let (way, identity) = match &self.server.tls {
            Some(files) => {
                let (way, identity) = tls::secure(way, &self.server.host, files, deadline).await?;
                (way, Some(identity))
            }
            None => (way, None),
        };
        let talk = async {
            let login = self.login().await?;
            match self.watching().upgrade() {
                None => self.talk(way, identity, login, None).await,
                Some(board) => {
                    let login = login.set_protocol(ProtocolVersion::RESP3);
                    board.expect(generation);
                    let teller = Some((Arc::downgrade(&board), generation));
                    let mut live = self.talk(way, identity, login, teller).await.map_err(untold)?;
                    track(&mut live.server, &board, self.options.answer_within).await?;
                    board.restored();
                    Ok(live)
                }
            }
        };
        timeout_at(deadline, talk).await.unwrap_or_else(|_elapsed| Err(late()))
    }

    /// Who the caller is, with the password as it is now.
    async fn login(&self) -> Outcome<RedisConnectionInfo> {
        let mut login = self.server.login.clone();
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
    async fn talk(
        &self,
        way: Box<dyn Stream>,
        identity: Option<Arc<Identity>>,
        login: RedisConnectionInfo,
        teller: Option<(Weak<Board>, u64)>,
    ) -> Outcome<Live> {
        let mut config = AsyncConnectionConfig::new().set_response_timeout(Some(self.options.answer_within));
        if let Some((board, generation)) = teller {
            config = config.set_push_sender(move |push: PushInfo| {
                if let Some(board) = board.upgrade() {
                    board.take_in(generation, &push);
                }
                Ok::<(), SendError>(())
            });
        }
        let limit = self.options.answer_within;
        let told = |error: RedisError| match &identity {
            _ if !error.is_io_error() || error.is_timeout() => fault::cause_of(&error, "", limit),
            None => Cause::Unreachable(format!(
                "{error}: see whether a Redis runs there, and whether it speaks TLS (rediss://)"
            )),
            Some(identity) => identity.refused(&error).unwrap_or_else(|| fault::cause_of(&error, "", limit)),
        };
        let (server, driver) = MultiplexedConnection::new_with_config(&login, way, config).await.map_err(told)?;
        Ok(Live { server, _driver: Arc::new(Driver(tokio::spawn(driver).abort_handle())) })
    }

    fn watching(&self) -> Weak<Board> {
        self.watching.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Gives who was told before.
    fn set_watching(&self, board: Weak<Board>) -> Weak<Board> {
        std::mem::replace(&mut self.watching.lock().unwrap_or_else(PoisonError::into_inner), board)
    }
}

/// Connects by TCP to whichever of the server's addresses answers first: behind a name there may be one that is dead.
async fn reach(server: &Server) -> io::Result<TcpStream> {
    let mut attempts = JoinSet::new();
    for address in lookup_host((server.host.as_str(), server.port)).await? {
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

/// Asks the server to tell of writes.
async fn track(connection: &mut MultiplexedConnection, board: &Board, limit: Duration) -> Outcome<()> {
    let mut tracking = cmd("CLIENT");
    tracking.arg("TRACKING").arg("ON").arg("BCAST").arg("NOLOOP");
    for prefix in board.prefixes() {
        tracking.arg("PREFIX").arg(prefix);
    }
    tracking.exec_async(connection).await.map_err(|error| match error.code() {
        Some("ERR" | "NOPERM") => {
            Cause::Unsupported(format!("{error}: the server doesn't tell this user of writes (CLIENT TRACKING)"))
        }
        _ => fault::cause_of(&error, "", limit),
    })
}

/// A refused handshake of RESP3, told as what it is: servers before Redis 6 don't know it, and some users have no right
/// to it.
fn untold(cause: Cause) -> Cause {
    match cause {
        // "NOAUTH HELLO must be called with…" is a server that does speak it.
        Cause::Other(why) | Cause::Denied(why)
            if ["HELLO", "'hello'", "NOPROTO"].iter().any(|word| why.contains(word)) && !why.contains("NOAUTH") =>
        {
            Cause::Unsupported(format!("{why}: the server doesn't speak RESP3, by which writes are told"))
        }
        cause => cause,
    }
}

/// Whether a new connection could do better: this one is gone, its answers can't be told apart any more, it isn't
/// logged in as the server now wants, or its server has become a replica and the name may lead to the new primary.
fn is_broken(error: &RedisError) -> bool {
    error.is_io_error()
        || error.is_unrecoverable_error()
        || matches!(error.code(), Some("NOAUTH" | "WRONGPASS" | "READONLY"))
}
