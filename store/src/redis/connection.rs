//! One connection to a Redis server that heals itself: made at first use, dropped once it broke, made anew by the next
//! operation.

use std::time::{Duration, Instant};

use redis::aio::MultiplexedConnection;
use redis::{AsyncConnectionConfig, Client, ConnectionInfo, RedisError, RedisResult};
use tokio::sync::Mutex;
use tokio::time::timeout;

use super::fault;
use crate::credentials::Credentials;
use crate::error::{Cause, Outcome};

/// How long a connection may take to be made, name look-up and login included. A server in the same cluster needs
/// milliseconds; 5 s leave room for a packet that is lost twice, and are still short to whoever waits.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// How long an answer may take. The client's own 500 ms are less than a busy server takes to fork, to load a big
/// value or to be moved to another machine, and a commit that times out costs its caller more than the wait.
const RESPONSE_TIMEOUT: Duration = Duration::from_secs(5);

pub(super) struct Connection {
    server: ConnectionInfo,
    credentials: Credentials,
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
    pub fn new(server: ConnectionInfo, credentials: Credentials) -> Connection {
        Connection { server, credentials, state: Mutex::default() }
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
                Err(fault::cause_of(&error, key, RESPONSE_TIMEOUT))
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
        let connected = timeout(CONNECT_TIMEOUT, self.connect()).await;
        match connected.unwrap_or(Err(Cause::TimedOut(CONNECT_TIMEOUT))) {
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
        let mut login = self.server.redis_settings().clone();
        if let Some(username) = &self.credentials.username {
            login = login.set_username(username);
        }
        if let Some(password) = self.credentials.password.clone() {
            let revealed = tokio::task::spawn_blocking(move || (password.reveal(), password));
            let (text, password) = revealed.await.map_err(|error| Cause::Other(error.to_string()))?;
            login = login.set_password(
                text.map_err(|error| Cause::Denied(format!("the password ({password:?}) can't be read: {error}")))?,
            );
        }
        // A commit is several segments; without this the last of them would wait for the server's acknowledgement.
        let tcp = self.server.tcp_settings().clone().set_nodelay(true);
        let server = self.server.clone().set_redis_settings(login).set_tcp_settings(tcp);
        let config = AsyncConnectionConfig::new()
            .set_connection_timeout(Some(CONNECT_TIMEOUT))
            .set_response_timeout(Some(RESPONSE_TIMEOUT));
        let client = Client::open(server).map_err(|error| fault::cause_of(&error, "", CONNECT_TIMEOUT))?;
        client
            .get_multiplexed_async_connection_with_config(&config)
            .await
            .map_err(|error| fault::cause_of(&error, "", CONNECT_TIMEOUT))
    }
}

/// Whether a new connection could do better: this one is gone, its answers can't be told apart any more, it isn't
/// logged in as the server now wants, or its server has become a replica and the name may lead to the new primary.
fn is_broken(error: &RedisError) -> bool {
    error.is_io_error()
        || error.is_unrecoverable_error()
        || matches!(error.code(), Some("NOAUTH" | "WRONGPASS" | "READONLY"))
}
