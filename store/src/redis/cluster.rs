//! The masters of a Redis Cluster
//! (<https://redis.io/docs/latest/operate/oss_and_stack/reference/cluster-spec/>): a map that says which of them has
//! which slot, asked for anew whenever a server or its absence shows that it is out of date, and a connection to each.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, Weak};
use std::time::Duration;

use redis::{Cmd, FromRedisValue, Pipeline, RedisError, RedisResult, Value, cmd, pipe};
use tokio::sync::{Mutex, MutexGuard};
use tokio::time::{Instant, timeout};

use super::connection::{Connection, is_broken};
use super::fault;
use super::link::{Entry, Question, first_of};
use super::server::{Manner, Server};
use super::servers;
use super::slots::{Slots, endpoint_of};
use crate::address::{Endpoint, Whom};
use crate::error::{Cause, Outcome};
use crate::keys::slot;
use crate::watch::{Board, Watch};

/// How often an operation is sent on. A slot that is moved twice at a time is rare.
const LONGEST_WAY: usize = 5;

pub(super) struct Cluster {
    /// The servers that the address names.
    named: Vec<Endpoint>,
    entry: Arc<Entry>,
    /// Who wants to be told of writes. A plain mutex: it is held for a copy only.
    watching: std::sync::Mutex<Weak<Board>>,
    /// How often something has shown that the map is out of date.
    outdated: AtomicU64,
    /// Held while the map is asked for, so that callers at the same time wait for that: hence an async mutex.
    map: Mutex<Map>,
}

#[derive(Default)]
struct Map {
    slots: Slots,
    connections: HashMap<Endpoint, Arc<Connection>>,
    /// How many connections there have been: each has a number of its own.
    numbered: u64,
    /// What `outdated` was when it was asked for.
    as_of: u64,
    /// How often it was asked for: each time of another server first, since one that is cut off from the others doesn't
    /// know better.
    asked: usize,
    /// Who has said that the map is out of date, and so knows better.
    knows_better: Option<Endpoint>,
    /// When it was last asked for in vain, and why.
    failed: Option<(Instant, Cause)>,
}

impl Cluster {
    pub fn new(named: Vec<Endpoint>, entry: Arc<Entry>) -> Cluster {
        let outdated = AtomicU64::new(1);
        Cluster { named, entry, watching: std::sync::Mutex::default(), outdated, map: Mutex::default() }
    }

    /// How long an answer may take.
    pub fn answer_within(&self) -> Duration {
        self.entry.options.answer_within
    }

    /// Makes new connections to the masters of what `watch` wants to know of, which also tell of that.
    pub async fn watch(&self, watch: Watch) -> Outcome<Watch> {
        if let Some(former) = self.set_watching(watch.board()).upgrade() {
            former.rely_on(&[]);
        }
        let opened = async {
            for (_, connection) in self.watched().await? {
                connection.open().await.inspect_err(|_| self.outdate())?;
            }
            Ok(())
        };
        if let Err(cause) = opened.await {
            self.set_watching(Weak::new());
            return Err(cause);
        }
        Ok(watch)
    }

    /// Runs one operation at the master of `key`, or where that one, or the next, says.
    pub async fn use_for<T>(
        &self,
        key: &str,
        operation: impl AsyncFnOnce(&mut Server) -> RedisResult<T> + Clone,
    ) -> Outcome<T> {
        let slot = slot(key);
        let (mut endpoint, mut connection) = {
            let mut map = self.current().await?;
            self.master(&mut map, slot)?
        };
        let mut manner = Manner::Plain;
        for _ in 0..LONGEST_WAY {
            let answer = connection.ask(manner, operation.clone()).await;
            let error = match answer.inspect_err(|_| self.outdate()).map_err(|cause| cause.at(&endpoint))? {
                Ok(value) => return Ok(value),
                Err(error) => error,
            };
            if is_broken(&error) || matches!(error.code(), Some("MOVED" | "CLUSTERDOWN")) {
                self.outdate();
            }
            let Some((next, as_asked)) = redirection(&error, &endpoint) else {
                return Err(fault::cause_of(&error, key, self.answer_within()).at(&endpoint));
            };
            manner = as_asked;
            let mut map = self.map.lock().await;
            if manner == Manner::Plain {
                map.knows_better = Some(endpoint);
            }
            connection = map.connection(&next, &self.entry);
            endpoint = next;
        }
        Err(Cause::Unavailable(format!(
            "the cluster's servers disagree about slot {slot}: see whether CLUSTER NODES is the same on all of them"
        )))
    }

    /// Runs one operation at each master that tells of writes, or else at that of slot 0.
    pub async fn use_for_watched(
        &self,
        operation: impl AsyncFnOnce(&mut Server) -> RedisResult<()> + Clone,
    ) -> Outcome<()> {
        for (endpoint, connection) in self.watched().await? {
            let answer = connection.use_for("", operation.clone()).await;
            answer.inspect_err(|_| self.outdate()).map_err(|cause| cause.at(&endpoint))?;
        }
        Ok(())
    }

    /// The answers to commands, one for each of `keys`. Those of a master that fails have failed, those of others not.
    pub async fn each(&self, keys: &[&str], all: &Pipeline) -> Outcome<Vec<Outcome<Value>>> {
        let mut parts: HashMap<Option<Endpoint>, Vec<(usize, &str, &Cmd)>> = HashMap::new();
        {
            let map = self.current().await?;
            for (place, (key, command)) in keys.iter().zip(all.cmd_iter()).enumerate() {
                parts.entry(map.slots.master(slot(key)).cloned()).or_default().push((place, key, command));
            }
        }
        let mut answers = vec![Ok(Value::Nil); keys.len()];
        for part in parts.values() {
            let mut commands = pipe();
            commands.ignore_errors();
            for (_, _, command) in part {
                commands.add_command((*command).clone());
            }
            let key = part.first().map_or("", |(_, key, _)| key);
            let told = self.use_for(key, async |server| servers::answers(server, &commands).await).await;
            let places = part.iter().map(|(place, ..)| *place);
            match told {
                Ok(told) => places.zip(told).for_each(|(place, answer)| answers[place] = Ok(answer)),
                Err(cause) => places.for_each(|place| answers[place] = Err(cause.clone())),
            }
        }
        Ok(answers)
    }

    /// Asks one of the masters, by their first slots, with one command; gives also whether it is the last one.
    pub async fn query_nth<T: FromRedisValue>(&self, place: u64, command: &Cmd) -> Outcome<(T, bool)> {
        let (endpoint, connection, is_last) = {
            let mut map = self.current().await?;
            let masters = map.slots.masters();
            let place = usize::try_from(place).unwrap_or(usize::MAX);
            let endpoint = masters.get(place).map(|endpoint| (*endpoint).clone());
            let is_last = place + 1 >= masters.len();
            let gone = || Cause::Unavailable("the cluster has fewer masters than a moment ago".to_owned());
            let endpoint = endpoint.ok_or_else(gone)?;
            let connection = map.connection(&endpoint, &self.entry);
            (endpoint, connection, is_last)
        };
        let answer = connection.query(command).await;
        Ok((answer.inspect_err(|_| self.outdate()).map_err(|cause| cause.at(&endpoint))?, is_last))
    }

    /// The masters of what is watched, or else that of slot 0.
    async fn watched(&self) -> Outcome<Vec<(Endpoint, Arc<Connection>)>> {
        let mut map = self.current().await?;
        match self.watching().upgrade() {
            Some(board) => Ok(self.assign(&mut map, &board)),
            None => Ok(vec![self.master(&mut map, 0)?]),
        }
    }

    fn master(&self, map: &mut Map, slot: u16) -> Outcome<(Endpoint, Arc<Connection>)> {
        let Some(endpoint) = map.slots.master(slot).cloned() else {
            self.outdate();
            return Err(Cause::Unavailable(format!("no server of the cluster has slot {slot}: see CLUSTER INFO")));
        };
        let connection = map.connection(&endpoint, &self.entry);
        Ok((endpoint, connection))
    }

    /// Sees that the masters of what is watched are those that tell of it, each once it is connected anew by the next
    /// operation there; gives them.
    fn assign(&self, map: &mut Map, board: &Arc<Board>) -> Vec<(Endpoint, Arc<Connection>)> {
        let masters: Vec<Endpoint> = match board.slots() {
            Some(slots) => {
                let mut masters: Vec<_> =
                    slots.into_iter().filter_map(|slot| map.slots.master(slot)).cloned().collect();
                masters.sort();
                masters.dedup();
                masters
            }
            None => map.slots.masters().into_iter().cloned().collect(),
        };
        for (_, other) in map.connections.iter().filter(|(endpoint, _)| !masters.contains(endpoint)) {
            other.tell(Weak::new());
        }
        let tellers: Vec<_> = masters
            .into_iter()
            .map(|endpoint| {
                let connection = map.connection(&endpoint, &self.entry);
                connection.tell(Arc::downgrade(board));
                (endpoint, connection)
            })
            .collect();
        let links: Vec<u64> = tellers.iter().map(|(_, connection)| connection.link()).collect();
        board.rely_on(&links);
        tellers
    }

    /// The map, asked for anew if it is out of date. Who waited while that failed shares the failure.
    async fn current(&self) -> Outcome<MutexGuard<'_, Map>> {
        let asked = Instant::now();
        let mut map = self.map.lock().await;
        let as_of = self.outdated.load(Ordering::Relaxed);
        if map.as_of == as_of {
            return Ok(map);
        }
        if let Some((when, cause)) = &map.failed
            && *when > asked
        {
            return Err(cause.clone());
        }
        let question = |whom| -> Question<Slots> { Box::pin(slots_of(whom)) };
        let questions = map.candidates(&self.named, &self.entry).into_iter().map(question).collect();
        let limit = self.entry.options.connect_within;
        match timeout(limit, first_of(questions)).await.unwrap_or(Err(Cause::TimedOut(limit))) {
            Ok(slots) => {
                map.connections.retain(|endpoint, _| slots.masters().contains(&endpoint));
                (map.slots, map.as_of, map.failed) = (slots, as_of, None);
                if let Some(board) = self.watching().upgrade() {
                    self.assign(&mut map, &board);
                }
                Ok(map)
            }
            Err(cause) => {
                map.failed = Some((Instant::now(), cause.clone()));
                Err(cause)
            }
        }
    }

    fn outdate(&self) {
        self.outdated.fetch_add(1, Ordering::Relaxed);
    }

    fn watching(&self) -> Weak<Board> {
        self.watching.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Gives who was told before.
    fn set_watching(&self, board: Weak<Board>) -> Weak<Board> {
        std::mem::replace(&mut self.watching.lock().unwrap_or_else(PoisonError::into_inner), board)
    }
}

impl Map {
    fn connection(&mut self, endpoint: &Endpoint, entry: &Arc<Entry>) -> Arc<Connection> {
        let connection = self.connections.entry(endpoint.clone()).or_insert_with(|| {
            self.numbered += 1;
            Arc::new(Connection::new(Whom::Server(endpoint.clone()), Arc::clone(entry), self.numbered))
        });
        Arc::clone(connection)
    }

    /// Whom to ask for the map, and in which order: those that are known, then those that the address names.
    fn candidates(&mut self, named: &[Endpoint], entry: &Arc<Entry>) -> Vec<(Endpoint, Arc<Connection>)> {
        let mut known: Vec<_> = self.connections.iter().map(|(at, server)| (at.clone(), Arc::clone(server))).collect();
        known.sort_by(|one, other| one.0.cmp(&other.0));
        if !known.is_empty() {
            self.asked = (self.asked + 1) % known.len();
            known.rotate_left(self.asked);
        }
        if let Some(first) = self.knows_better.take() {
            known.sort_by_key(|(endpoint, _)| *endpoint != first);
        }
        let anew = |endpoint: &Endpoint| {
            (endpoint.clone(), Arc::new(Connection::new(Whom::Server(endpoint.clone()), Arc::clone(entry), 0)))
        };
        known.extend(named.iter().map(anew));
        known
    }
}

/// What a server says of who has which slot.
async fn slots_of((endpoint, server): (Endpoint, Arc<Connection>)) -> Outcome<Slots> {
    let answer: Value = server.query(cmd("CLUSTER").arg("SLOTS")).await.map_err(|cause| cause.at(&endpoint))?;
    Slots::read(answer, &endpoint)
        .ok_or_else(|| Cause::Other(format!("{endpoint}: the answer to CLUSTER SLOTS can't be read")))
}

/// Where a server sends an operation on to, and how that one is to be asked.
fn redirection(error: &RedisError, asked: &Endpoint) -> Option<(Endpoint, Manner)> {
    let (word, _slot) = error.redirect_node()?;
    let manner = if error.code() == Some("ASK") { Manner::Asking } else { Manner::Plain };
    Some((endpoint_of(word, asked)?, manner))
}
