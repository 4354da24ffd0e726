//! One connection to a Redis server that heals itself: made at first use, dropped once it broke, made anew by the next
//! operation.

use std::sync::{Arc, PoisonError, Weak};
use std::time::{Duration, Instant};

use redis::aio::{MultiplexedConnection, SendError};
use redis::{
    AsyncConnectionConfig, Client, ConnectionInfo, ProtocolVersion, PushInfo, RedisConnectionInfo, RedisError,
    RedisResult, cmd,
};
use tokio::sync::Mutex;
use tokio::time::timeout;

use super::fault;
use crate::error::{Cause, Outcome};
use crate::options::{Options, Stream};
use crate::watch::{Board, Watch};

/// How long a connection may take to be made, name look-up and login included. A server in the same cluster needs
/// milliseconds; 5 s leave room for a packet that is lost twice, and are still short to whoever waits.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

pub(super) struct Connection {
    server: ConnectionInfo,
    options: Options,
    /// Who wants to be told of writes. A plain mutex: it is held for a copy only.
    watching: std::sync::Mutex<Weak<Board>>,
    /// Held while a connection is made, so that callers at the same time wait for that one: hence an async mutex.
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    live: Option<MultiplexedConnection>,
    /// Counts the connections made, so that only the one that broke is dropped, never its successor.
    generation: u64,
    /// When the last attempt to connect failed, and why.
    failed: Option<(Instant, Cause)>,
}

impl Connection {
    pub fn new(server: ConnectionInfo, options: Options) -> Connection {
        Connection { server, options, watching: std::sync::Mutex::default(), state: Mutex::default() }
    }

    /// Makes a new connection that also tells of writes to `keys`.
    pub async fn watch(&self, keys: &[&str]) -> Outcome<Watch> {
        let watch = Watch::new(keys);
        self.set_watching(watch.board());
        self.state.lock().await.live = None;
        if let Err(cause) = self.take().await {
            self.set_watching(Weak::new());
            return Err(cause);
        }
        // The first connection is no restored one.
        watch.begin();
        Ok(watch)
    }

    /// Runs one operation, which works on `key`, on the connection. It isn't tried again.
    pub async fn use_for<T>(
        &self,
        key: &str,
        operation: impl AsyncFnOnce(&mut MultiplexedConnection) -> RedisResult<T>,
    ) -> Outcome<T> {
        let (mut connection, generation) = self.take().await?;
        match operation(&mut connection).await {
            Ok(value) => Ok(value),
            Err(error) => {
                if is_broken(&error) {
                    let mut state = self.state.lock().await;
                    if state.generation == generation {
                        state.live = None;
                    }
                }
                Err(fault::cause_of(&error, key, self.options.answer_within))
            }
        }
    }

    /// The live connection with its generation; made now if there is none. Who waited while an attempt failed shares
    /// its failure, so that a server that is away costs each caller one time-out and not a queue of them.
    async fn take(&self) -> Outcome<(MultiplexedConnection, u64)> {
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
        match self.connect().await {
            Ok(connection) => {
                state.generation += 1;
                state.failed = None;
                state.live = Some(connection.clone());
                Ok((connection, state.generation))
            }
            Err(cause) => {
                state.failed = Some((Instant::now(), cause.clone()));
                Err(cause)
            }
        }
    }

    async fn connect(&self) -> Outcome<MultiplexedConnection> {
        // How long this may take is for the transport to decide.
        let opened = match &self.options.transport {
            Some(transport) => Some(transport.open().await.map_err(|error| Cause::Unreachable(error.to_string()))?),
            None => None,
        };
        let talk = async {
            let login = self.login().await?;
            match self.watching().upgrade() {
                None => self.talk(opened, login, None).await,
                Some(board) => {
                    let login = login.set_protocol(ProtocolVersion::RESP3);
                    let mut connection = self.talk(opened, login, Some(&board)).await.map_err(untold)?;
                    track(&mut connection, &board).await?;
                    board.restored();
                    Ok(connection)
                }
            }
        };
        timeout(CONNECT_TIMEOUT, talk).await.unwrap_or(Err(Cause::TimedOut(CONNECT_TIMEOUT)))
    }

    /// Who the caller is, with the password as it is now.
    async fn login(&self) -> Outcome<RedisConnectionInfo> {
        let mut login = self.server.redis_settings().clone();
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

    /// Connects, unless the way is open, and logs in.
    async fn talk(
        &self,
        opened: Option<Box<dyn Stream>>,
        login: RedisConnectionInfo,
        board: Option<&Arc<Board>>,
    ) -> Outcome<MultiplexedConnection> {
        let mut config = AsyncConnectionConfig::new()
            .set_connection_timeout(Some(CONNECT_TIMEOUT))
            .set_response_timeout(Some(self.options.answer_within));
        if let Some(board) = board {
            let board = Arc::downgrade(board);
            config = config.set_push_sender(move |push: PushInfo| {
                if let Some(board) = board.upgrade() {
                    board.take_in(&push);
                }
                Ok::<(), SendError>(())
            });
        }
        let told = |error: RedisError| fault::cause_of(&error, "", CONNECT_TIMEOUT);
        match opened {
            Some(stream) => {
                let (connection, driver) =
                    MultiplexedConnection::new_with_config(&login, stream, config).await.map_err(told)?;
                // It ends, and drops the stream, once the last clone of the connection is gone.
                tokio::spawn(driver);
                Ok(connection)
            }
            None => {
                // A commit is several segments; without this the last of them would wait for the server's
                // acknowledgement.
                let tcp = self.server.tcp_settings().clone().set_nodelay(true);
                let server = self.server.clone().set_redis_settings(login).set_tcp_settings(tcp);
                let client = Client::open(server).map_err(told)?;
                client.get_multiplexed_async_connection_with_config(&config).await.map_err(told)
            }
        }
    }

    fn watching(&self) -> Weak<Board> {
        self.watching.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn set_watching(&self, board: Weak<Board>) {
        *self.watching.lock().unwrap_or_else(PoisonError::into_inner) = board;
    }
}

/// Asks the server to tell of writes.
async fn track(connection: &mut MultiplexedConnection, board: &Board) -> Outcome<()> {
    let mut tracking = cmd("CLIENT");
    tracking.arg("TRACKING").arg("ON").arg("BCAST").arg("NOLOOP");
    for prefix in board.prefixes() {
        tracking.arg("PREFIX").arg(prefix);
    }
    tracking.exec_async(connection).await.map_err(|error| match error.code() {
        Some("ERR" | "NOPERM") => {
            Cause::Unsupported(format!("{error}: the server doesn't tell this user of writes (CLIENT TRACKING)"))
        }
        _ => fault::cause_of(&error, "", CONNECT_TIMEOUT),
    })
}

/// A refused handshake of RESP3, told as what it is: servers before Redis 6 don't know it, and some users have no right
/// to it.
fn untold(cause: Cause) -> Cause {
    match cause {
        Cause::Other(why) | Cause::Denied(why)
            if why.contains("HELLO") || why.contains("hello") || why.contains("NOPROTO") =>
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
