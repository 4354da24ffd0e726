//! One handler on all keys of a pattern, each with an env of its own.
//!
//! A look through the keys, and the server's telling of writes, say which keys are to be read; each goes to the thread
//! that it belongs to (`shard`), which reads, calls and commits for its keys in pipelines. So calls of one key run in
//! order, those of different keys side by side, and of a key that is written faster than it is read the newest value
//! counts.

mod due;
mod look;
mod shard;

mod commit;
mod read;
mod replay;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result};
use plugin_api::abi::About;
use store::{Cause, Keys, Store, Watch};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;
use tokio::time::{MissedTickBehavior, interval, sleep, timeout};

use self::due::{Due, Why};
use self::look::Look;
use self::replay::Replays;
use self::shard::{ROUND, Shard};
use crate::config::{Limits, Retries};
use crate::control::{Report, Supervision};
use crate::flight::{MOST_CALLERS, key_number};
use crate::pattern::Pattern;
use crate::plugin::{Arrival, Loaded};
use crate::status::{Board, State};
use crate::versions::Versions;
use crate::worker::{Backoff, HEARTBEAT, STATUS_LIFE};

/// About how many keys a step of a look goes over.
const STEP: usize = 1000;

/// How many keys may wait for a thread to call what is to be called there once more.
const MOST_REPLAYS: usize = 16;

/// The most threads that call handlers.
const MOST_SHARDS: usize = MOST_CALLERS;

/// What is done with a pattern's keys.
#[derive(Clone)]
pub struct Job {
    /// Where data lies.
    pub store: Store,
    /// The store's host name and port, for the handler's context.
    pub address: (String, u16),
    /// The keys that are read.
    pub input: Pattern,
    /// The keys that are written.
    pub output: Pattern,
    /// How many results each key's history keeps.
    pub history_length: usize,
    /// The time between looks through the keys.
    pub period: Duration,
    /// Whether the server is asked to tell of writes.
    pub push: bool,
    /// After how long an env that was not touched leaves memory.
    pub env_idle: Duration,
    /// What becomes of a value whose call fails.
    pub retries: Retries,
    /// How large inputs, results and envs may be.
    pub limits: Limits,
}

/// Opens the handler once, with a fresh env, as if the pattern were a key: one that doesn't open at all is refused before
/// there is any key, and not key by key.
///
/// # Errors
///
/// The handler doesn't open, or what the supervisor gave can't be used.
pub fn try_open(job: &Job, plugin: &Loaded, supervision: &Supervision) -> Result<()> {
    let (input, output) = (job.input.with("*"), job.output.with("*"));
    let mut slot = supervision.slot(0)?;
    slot.enter_opening();
    plugin.run(&job.about(plugin, &input, &output), &[])?;
    slot.leave();
    Ok(())
}

impl Job {
    /// What a handler is told about a key.
    fn about<'a>(&'a self, plugin: &'a Loaded, input_key: &'a str, output_key: &'a str) -> About<'a> {
        About {
            host: &self.address.0,
            port: self.address.1,
            input_key,
            output_key,
            function_getmtime: plugin.verified.modified,
            plugin_dir: &plugin.verified.folder,
        }
    }
}

/// Works on the keys of a pattern.
pub struct Fleet {
    job: Job,
    /// The output pattern as if it were a key: the host's status lies beside it.
    keys: Keys,
    board: Arc<Board>,
    supervision: Supervision,
    versions: Arc<Mutex<Versions<Arc<Loaded>>>>,
    stop: watch::Receiver<bool>,
    shards: Vec<(Arc<Due>, thread::JoinHandle<()>)>,
    watching: Watching,
    /// Looks for what is to be called once more.
    replays: JoinHandle<()>,
}

/// Whether the server tells of writes.
enum Watching {
    NotYet,
    Told(Watch),
    No,
}

impl Fleet {
    /// Starts the threads. `stop` turns true when they shall end.
    ///
    /// # Errors
    ///
    /// A thread can't be started, or what the supervisor gave can't be used.
    pub fn start(
        job: Job,
        plugin: Loaded,
        board: Arc<Board>,
        supervision: Supervision,
        stop: watch::Receiver<bool>,
    ) -> Result<Fleet> {
        let versions = Arc::new(Mutex::new(Versions::new(Arc::new(plugin), Arc::clone(&board))));
        let keys = Keys::of(&job.output.with("*"))?;
        let count = thread::available_parallelism().map_or(1, usize::from).min(MOST_SHARDS);
        let (told, mut asked): (Vec<_>, Vec<_>) = (0..count).map(|_| mpsc::channel(MOST_REPLAYS)).unzip();
        let shards = (0..count)
            .map(|number| {
                let due = Arc::new(Due::default());
                let (job, board, versions) = (job.clone(), Arc::clone(&board), Arc::clone(&versions));
                let (stop, keys) = (stop.clone(), Arc::clone(&due));
                let (slot, suspects) = (supervision.slot(number)?, supervision.suspects());
                let (keys, portion) = ((keys, asked.remove(0)), supervision.portion(ROUND));
                let guard = Guard(stop.clone());
                let start = move || {
                    let _guard = guard;
                    Shard::new(job, board, versions, keys, (slot, suspects), portion, stop).run();
                };
                let thread = thread::Builder::new().name(format!("shard-{number}")).spawn(start);
                Ok((due, thread.context("can't start a thread that calls the handler")?))
            })
            .collect::<Result<_>>()?;
        let watching = if job.push { Watching::NotYet } else { Watching::No };
        let (store, input, output) = (job.store.clone(), job.input.clone(), job.output.clone());
        let replays = tokio::spawn(Replays { store, input, output, shards: told }.look());
        Ok(Fleet { job, keys, board, supervision, versions, stop, shards, watching, replays })
    }

    /// Works until it is told to stop. New versions of the plugin come through `arrivals`.
    pub async fn run(mut self, mut arrivals: mpsc::Receiver<Arrival>) {
        let (mut stop, mut backoff) = (self.stop.clone(), Backoff::default());
        let mut period = interval(self.job.period);
        period.set_missed_tick_behavior(MissedTickBehavior::Delay);
        // The first look is not the period's.
        period.reset();
        let mut heartbeat = interval(HEARTBEAT);
        heartbeat.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut look = Look::new(&self.job.store, &self.job.input);
        look.begin();
        loop {
            self.board.triggered_by(if matches!(self.watching, Watching::No) { "poll" } else { "push" });
            if matches!(self.watching, Watching::NotYet) {
                tokio::select! {
                    biased;
                    _ = stop.wait_for(|stop| *stop) => break,
                    () = self.watch(&mut backoff) => continue,
                }
            }
            tokio::select! {
                biased;
                _ = stop.wait_for(|stop| *stop) => break,
                Some(arrival) = arrivals.recv() => self.arrive(arrival),
                _ = heartbeat.tick() => self.announce().await,
                step = look.step() => self.looked(step, &look),
                written = written(&mut self.watching) => match written {
                    Some(key) => self.route(&key, Why::Written),
                    None => look.begin(),
                },
                _ = period.tick(), if !look.is_under_way() => look.begin(),
            }
        }
        self.end().await;
    }

    /// Asks the server to tell of what is written from now on; tries it once, and pauses where that fails.
    async fn watch(&mut self, backoff: &mut Backoff) {
        match self.job.store.watch_prefix(&self.job.input.prefix).await {
            Ok(watch) => self.watching = Watching::Told(watch),
            Err(error) if matches!(error.cause, Cause::Unsupported(_)) => self.poll(&error),
            Err(error) => {
                self.board.unavailable(&error);
                sleep(backoff.next()).await;
            }
        }
    }

    /// Does without being told.
    fn poll(&mut self, error: &store::Error) {
        tracing::warn!("TRIGGER=push falls back to a look each period: {error}");
        self.watching = Watching::No;
    }

    /// Takes what a step of a look gave. The server may have stopped to tell of writes, which the connection was made for.
    fn looked(&mut self, step: Result<Vec<String>, store::Error>, look: &Look) {
        match step {
            Ok(keys) => {
                keys.iter().for_each(|key| self.route(key, Why::Found));
                if !look.is_under_way() {
                    self.available();
                }
            }
            Err(error)
                if matches!(error.cause, Cause::Unsupported(_)) && matches!(self.watching, Watching::Told(_)) =>
            {
                self.poll(&error);
            }
            Err(error) => self.board.unavailable(&error),
        }
    }

    /// Gives a key to the thread that it belongs to.
    fn route(&self, key: &str, why: Why) {
        if self.job.input.text_of(key).is_none() {
            return;
        }
        if let Some((due, _)) = self.shards.get(place_of(key, self.shards.len())) {
            due.add(key, why);
        }
    }

    /// Takes what a look for new versions gave. The handler is opened anew with each key's env, so this shows only key by
    /// key whether a new version can read them.
    fn arrive(&self, arrival: Arrival) {
        let mut versions = lock(&self.versions);
        match arrival {
            // Whatever became of it is told.
            Arrival::New(plugin) => drop(versions.reload(*plugin, |plugin| Ok(Arc::new(plugin)))),
            Arrival::Failed(not) => versions.not_loaded(&not),
            Arrival::Back => versions.readable_again(),
        }
    }

    fn available(&self) {
        if self.board.enter(State::Running, None) != State::Running {
            tracing::info!("ready");
        }
    }

    async fn announce(&self) {
        let snapshot = self.board.snapshot();
        let status = serde_json::to_vec(&snapshot.status).unwrap_or_default();
        self.supervision.report(&Report::Now(Box::new(snapshot)));
        if let Err(error) = self.job.store.announce(&self.keys, &status, STATUS_LIFE).await {
            self.board.unavailable(&error);
        }
    }

    /// Lets the threads commit what they have called.
    async fn end(self) {
        self.replays.abort();
        let ended = self.shards.into_iter().map(|(_, thread)| thread);
        let joined = tokio::task::spawn_blocking(move || {
            for thread in ended {
                if thread.join().is_err() {
                    tracing::error!("a thread that calls the handler has ended by a panic");
                }
            }
        });
        joined.await.ok();
        self.board.enter(State::Stopped, None);
        let status = serde_json::to_vec(&self.board.status()).unwrap_or_default();
        timeout(Duration::from_secs(1), self.job.store.announce(&self.keys, &status, STATUS_LIFE)).await.ok();
    }
}

/// Ends the process where a thread ends that was not told to stop: nobody would call its keys any more, and the supervisor
/// starts another process at once.
struct Guard(watch::Receiver<bool>);

impl Drop for Guard {
    fn drop(&mut self) {
        if !*self.0.borrow() {
            tracing::error!("a thread that calls the handler has ended");
            std::process::exit(1);
        }
    }
}

/// The next key that was written; none where the keys must be looked through, since something may not have been told.
async fn written(watching: &mut Watching) -> Option<String> {
    match watching {
        Watching::Told(watch) => match watch.next().await {
            store::Change::Written(key) => Some(key),
            store::Change::Lost | store::Change::Restored => None,
        },
        Watching::NotYet | Watching::No => std::future::pending().await,
    }
}

/// Which of so many threads a key belongs to.
fn place_of(key: &str, threads: usize) -> usize {
    key_number(key) as usize % threads.max(1)
}

/// A plain mutex: it is held for a few moves only, never across an await.
fn lock<V>(versions: &Mutex<Versions<V>>) -> MutexGuard<'_, Versions<V>> {
    versions.lock().unwrap_or_else(PoisonError::into_inner)
}
