//! One connection to a Redis server that heals itself: made at first use, dropped once it broke, made anew by the next
//! operation.

use std::sync::{Arc, PoisonError, Weak};
use std::time::Duration;

use redis::aio::MultiplexedConnection;
use redis::{Cmd, FromRedisValue, ProtocolVersion, RedisError, RedisResult, cmd};
use tokio::sync::Mutex;
use tokio::time::{Instant, timeout_at};

use super::link::{Entry, Live, Teller, Way};
use super::server::{Manner, Server};
use super::{fault, sentinel};
use crate::address::Whom;
use crate::error::{Cause, Outcome};
use crate::watch::{Board, Watch};

pub(super) struct Connection {
    whom: Whom,
    entry: Arc<Entry>,
    /// Its number among those that tell the same board.
    link: u64,
    /// Who wants to be told of writes. A plain mutex: it is held for a copy only.
    watching: std::sync::Mutex<Weak<Board>>,
    /// Held while a connection is made, so that callers at the same time wait for that one: hence an async mutex.
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    live: Option<Live>,
    /// Whom the live connection tells of writes.
    told: Weak<Board>,
    /// Counts the connections made, so that only the one that broke is dropped, never its successor.
    generation: u64,
    /// When the last attempt to connect failed, and why.
    failed: Option<(Instant, Cause)>,
}

impl Connection {
    pub fn new(whom: Whom, entry: Arc<Entry>, link: u64) -> Connection {
        Connection { whom, entry, link, watching: std::sync::Mutex::default(), state: Mutex::default() }
    }

    /// Its number among those that tell the same board.
    pub fn link(&self) -> u64 {
        self.link
    }

    /// How long an answer may take.
    pub fn answer_within(&self) -> Duration {
        self.entry.options.answer_within
    }

    /// Makes a new connection that also tells of the writes that `watch` wants to know of.
    pub async fn watch(&self, watch: Watch) -> Outcome<Watch> {
        if let Some(former) = self.tell(watch.board()).upgrade() {
            former.lost(self.link);
        }
        if let Err(cause) = self.open().await {
            self.tell(Weak::new());
            return Err(cause);
        }
        Ok(watch)
    }

    /// From now on that board is the one to be told; the next operation makes a new connection for it. Gives who was told
    /// before.
    pub fn tell(&self, board: Weak<Board>) -> Weak<Board> {
        std::mem::replace(&mut self.watching.lock().unwrap_or_else(PoisonError::into_inner), board)
    }

    /// Sees that there is a connection.
    pub async fn open(&self) -> Outcome<()> {
        self.take().await.map(|_| ())
    }

    /// Runs one operation, which works on `key`, on the connection. It isn't tried again.
    pub async fn use_for<T>(
        &self,
        key: &str,
        operation: impl AsyncFnOnce(&mut Server) -> RedisResult<T>,
    ) -> Outcome<T> {
        let answer = self.ask(Manner::Plain, operation).await?;
        answer.map_err(|error| fault::cause_of(&error, key, self.answer_within()))
    }

    /// Runs one operation, and gives what the server, or the way to it, says.
    pub async fn ask<T>(
        &self,
        manner: Manner,
        operation: impl AsyncFnOnce(&mut Server) -> RedisResult<T>,
    ) -> Outcome<RedisResult<T>> {
        let (live, generation) = self.take().await?;
        let answer = operation(&mut Server::new(live.server.clone(), manner)).await;
        self.heed(generation, answer.as_ref().err()).await;
        Ok(answer)
    }

    /// Asks with one command.
    pub async fn query<T: FromRedisValue>(&self, command: &Cmd) -> Outcome<T> {
        let (mut live, generation) = self.take().await?;
        let answer = command.query_async(&mut live.server).await;
        self.heed(generation, answer.as_ref().err()).await;
        answer.map_err(|error| fault::cause_of(&error, "", self.answer_within()))
    }

    /// Lets go of the connection of that number if an error shows that it broke.
    async fn heed(&self, generation: u64, error: Option<&RedisError>) {
        if !error.is_some_and(is_broken) {
            return;
        }
        let mut state = self.state.lock().await;
        if state.generation == generation && state.live.take().is_some() {
            // A connection that hangs doesn't say so itself.
            self.watching().upgrade().inspect(|board| board.lost(self.link));
        }
    }

    /// The live connection with its generation; made now if there is none. Who waited while an attempt failed shares
    /// its failure, so that a server that is away costs each caller one time-out and not a queue of them.
    async fn take(&self) -> Outcome<(Live, u64)> {
        let asked = Instant::now();
        let mut state = self.state.lock().await;
        let board = self.watching();
        if let Some(live) = &state.live
            && (board.strong_count() == 0 || board.ptr_eq(&state.told))
        {
            return Ok((live.clone(), state.generation));
        }
        if let Some((when, cause)) = &state.failed
            && *when > asked
        {
            return Err(cause.clone());
        }
        // Each attempt has a number of its own, so that the end of one isn't taken for that of another.
        state.generation += 1;
        state.live = None;
        match self.connect(state.generation, &board).await {
            Ok(live) => {
                (state.failed, state.live, state.told) = (None, Some(live.clone()), board);
                Ok((live, state.generation))
            }
            Err(cause) => {
                state.failed = Some((Instant::now(), cause.clone()));
                Err(cause)
            }
        }
    }

    async fn connect(&self, generation: u64, board: &Weak<Board>) -> Outcome<Live> {
        let limit = self.entry.options.connect_within;
        let deadline = Instant::now() + limit;
        match (&self.whom, &self.entry.options.transport) {
            (Whom::Server(endpoint), None) => {
                let way = self.entry.open(endpoint, deadline).await?;
                self.enter(way, generation, board, deadline).await
            }
            (Whom::Server(endpoint), Some(transport)) => {
                // How long this may take is for the transport to decide.
                let stream = transport.open().await.map_err(|error| Cause::Unreachable(error.to_string()))?;
                let deadline = Instant::now() + limit;
                let way = self.entry.secure(stream, endpoint, deadline).await?;
                self.enter(way, generation, board, deadline).await
            }
            (Whom::Master { sentinels, name }, None) => {
                let endpoint = sentinel::master(sentinels, name, &self.entry, deadline).await?;
                let entered = async {
                    let way = self.entry.open(&endpoint, deadline).await?;
                    self.enter(way, generation, board, deadline).await
                };
                entered.await.map_err(|cause| cause.at(&endpoint))
            }
            (Whom::Master { .. }, Some(_)) => {
                Err(Cause::Unsupported("a single way doesn't lead to sentinels and their servers".to_owned()))
            }
        }
    }

    /// Logs in, and asks to be told of writes if someone wants to know of them.
    async fn enter(&self, way: Way, generation: u64, board: &Weak<Board>, deadline: Instant) -> Outcome<Live> {
        let entered = async {
            let login = self.entry.login().await?;
            let board = board.upgrade();
            let mut live = match &board {
                None => self.entry.talk(way, login, None).await?,
                Some(board) => {
                    board.expect(self.link, generation);
                    let teller = Teller { board: Arc::downgrade(board), link: self.link, generation };
                    let login = login.set_protocol(ProtocolVersion::RESP3);
                    self.entry.talk(way, login, Some(teller)).await.map_err(untold)?
                }
            };
            if matches!(self.whom, Whom::Master { .. }) {
                sentinel::confirm(&mut live.server).await?;
            }
            if let Some(board) = &board {
                track(&mut live.server, board, self.answer_within()).await?;
                board.restored(self.link);
            }
            Ok(live)
        };
        let limit = self.entry.options.connect_within;
        timeout_at(deadline, entered).await.unwrap_or(Err(Cause::TimedOut(limit)))
    }

    fn watching(&self) -> Weak<Board> {
        self.watching.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
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
pub(super) fn is_broken(error: &RedisError) -> bool {
    error.is_io_error()
        || error.is_unrecoverable_error()
        || matches!(error.code(), Some("NOAUTH" | "WRONGPASS" | "READONLY" | "UNBLOCKED"))
}
