//! A thread that works for its part of the keys: reads what is due, calls the handler, and commits, in pipelines.
//!
//! The store is what is true. Of a key the thread keeps only what spares it a look there: what was committed last, with
//! the env. The handler is opened with it for each call: that costs little beside the commit, and an open handler holds
//! many times the memory of its env. If nobody knows what became of a commit, the next round reads what the store holds: more
//! than was known is taken up; where it is less the store has lost commits, and is written on to from what is in memory.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use plugin_api::abi::{Call, Failure, FailureKind};
use store::{Keys, Saved};
use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, MissedTickBehavior, interval, sleep};

use super::due::{Due, Why};
use super::{Job, lock};
use crate::control::Suspects;
use crate::flight::{Slot, key_number};
use crate::plugin::Loaded;
use crate::portion::Portion;
use crate::status::{Board, State};
use crate::versions::Versions;
use crate::worker::{Backoff, bounded};

/// How many keys a round works on: enough to fill a pipeline, few enough that the next keys don't wait long.
pub(super) const ROUND: usize = 256;

/// How often what is not needed any more is let go, at most.
const SWEEP: Duration = Duration::from_secs(10);

/// How often keys and envs are counted while there is work: to count them takes a walk over all.
const COUNT: Duration = Duration::from_millis(500);

pub(super) struct Shard {
    pub(super) job: Job,
    pub(super) board: Arc<Board>,
    versions: Arc<Mutex<Versions<Arc<Loaded>>>>,
    pub(super) due: Arc<Due>,
    /// Keys with something that is to be called once more.
    replays: mpsc::Receiver<Arc<str>>,
    /// What is to be called once more could not be called, and that was told.
    pub(super) replays_refused: bool,
    pub(super) known: HashMap<Arc<str>, Known>,
    /// The keys whose newest bytes failed, and how often.
    pub(super) failing: HashMap<Arc<str>, (String, u32)>,
    /// Where the event that is being called stands.
    pub(super) slot: Slot,
    /// The events that ended workers before this one.
    pub(super) suspects: Suspects,
    /// What the board was told of this thread's keys and envs.
    told: [usize; 2],
    /// There may be others since.
    count_due: bool,
    swept: Instant,
    /// How many keys a round works on.
    pub(super) portion: Portion,
    /// What the store failed at in this round; the keys concerned are due again.
    pub(super) trouble: Option<store::Error>,
    stop: watch::Receiver<bool>,
}

/// What is known of a key: as little as will do, since there may be very many.
pub(super) struct Known {
    /// The bytes that were called last, with success or not: equal ones are not called again. Empty: none.
    pub(super) event: Box<str>,
    /// None where it left memory, or can't be read.
    pub(super) progress: Option<Progress>,
    /// When it was last found due.
    pub(super) seen: Instant,
}

/// What was committed last.
pub(super) struct Progress {
    pub(super) sequence: u64,
    /// Shared with the keys that were committed at once. None where nothing was.
    pub(super) saved_at: Option<Arc<str>>,
    /// Empty where nothing was committed: a fresh env.
    pub(super) env: Box<[u8]>,
    /// Whether it is the last commit that was sent; else the store is to be read before another one.
    pub(super) is_certain: bool,
    /// When it was committed or read.
    pub(super) touched: Instant,
}

/// A key with new bytes, or with some that were set aside and are called once more.
pub(super) struct Changed {
    pub(super) key: Arc<str>,
    /// All of them; of too many the first ones.
    pub(super) bytes: Vec<u8>,
    /// How many there are.
    pub(super) length: usize,
    /// `sha256:HEX` of new bytes; `replay:ID` of others.
    pub(super) event: String,
    pub(super) keys: Keys,
}

/// What a call gave, still to be committed.
pub(super) struct Called {
    pub(super) changed: Changed,
    pub(super) plugin: Arc<Loaded>,
    pub(super) gave: Gave,
}

/// What came of an attempt.
pub(super) enum Tried {
    /// There is something to commit.
    Called(Called),
    /// Nothing, after so many attempts; there may be more.
    Failed(Changed, u32),
    /// The handler can't go on with the key's env.
    EnvUnread(Changed),
    /// It says nothing, as the plugin has another version by now.
    Anew(Changed),
}

pub(super) enum Gave {
    Result {
        /// None where the handler gave nothing to write.
        output: Option<Vec<u8>>,
        env: Vec<u8>,
    },
    /// Nothing, as often as it may be tried: the event is set aside, and the env stays.
    Nothing { reason: String, attempts: u32 },
}

/// Why there is no result.
enum Failed {
    /// The handler can't go on with the key's env.
    Env(String),
    Call(Failure),
}

impl Shard {
    pub(super) fn new(
        job: Job,
        board: Arc<Board>,
        versions: Arc<Mutex<Versions<Arc<Loaded>>>>,
        (due, replays): (Arc<Due>, mpsc::Receiver<Arc<str>>),
        (slot, suspects): (Slot, Suspects),
        portion: Portion,
        stop: watch::Receiver<bool>,
    ) -> Shard {
        // A connection of its own, so that the threads don't wait for each other.
        let job = Job { store: job.store.another(), ..job };
        let (known, failing, swept) = (HashMap::new(), HashMap::new(), Instant::now());
        let (told, count_due, replays_refused) = ([0, 0], true, false);
        Shard {
            job,
            board,
            versions,
            due,
            replays,
            replays_refused,
            known,
            failing,
            slot,
            suspects,
            told,
            count_due,
            swept,
            portion,
            trouble: None,
            stop,
        }
    }

    /// Works until it is told to stop.
    pub(super) fn run(mut self) {
        match tokio::runtime::Builder::new_current_thread().enable_all().build() {
            Ok(runtime) => runtime.block_on(self.work()),
            Err(error) => tracing::error!("a thread can't start to work: {error}"),
        }
    }

    async fn work(&mut self) {
        let mut stop = self.stop.clone();
        let mut backoff = Backoff::default();
        let sweep_after = SWEEP.min(self.job.env_idle);
        let mut tick = interval(COUNT.min(sweep_after.max(Duration::from_millis(10))));
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let due = Arc::clone(&self.due);
        loop {
            let keys = tokio::select! {
                biased;
                _ = stop.wait_for(|stop| *stop) => return,
                _ = tick.tick() => {
                    if self.swept.elapsed() >= sweep_after {
                        self.sweep();
                    }
                    if self.count_due {
                        self.tell_counts();
                    }
                    continue;
                }
                Some(key) = self.replays.recv() => {
                    self.replay(&key).await;
                    self.count_due = true;
                    continue;
                }
                keys = due.take(self.portion.count()) => keys,
            };
            self.rounds(&keys).await;
            match self.trouble.take() {
                None => {
                    backoff = Backoff::default();
                    self.board.enter(State::Running, None);
                }
                Some(error) => {
                    self.board.unavailable(&error);
                    tokio::select! {
                        _ = stop.wait_for(|stop| *stop) => return,
                        () = sleep(backoff.next()) => {}
                    }
                }
            }
            self.count_due = true;
        }
    }

    /// Works on these keys: on all together, but on one whose event ended a worker alone, so that it costs the others
    /// nothing if it ends this one too.
    async fn rounds(&mut self, keys: &[Arc<str>]) {
        if self.suspects.is_empty() {
            return self.round(keys).await;
        }
        let is_suspect = |key: &&Arc<str>| self.suspects.has_key(key_number(key));
        let (alone, together): (Vec<_>, Vec<_>) = keys.iter().partition(is_suspect);
        let together: Vec<_> = together.into_iter().cloned().collect();
        let alone: Vec<_> = alone.into_iter().cloned().collect();
        if !together.is_empty() {
            self.round(&together).await;
        }
        for key in alone {
            self.round(&[key]).await;
        }
    }

    /// Reads these keys, calls the handler with those that have new bytes, and commits. Told to stop, it commits what it has
    /// called; what it has not is found at the next start.
    async fn round(&mut self, keys: &[Arc<str>]) {
        let changed = self.changed(keys).await;
        let changed = self.recall(changed).await;
        let mut called = Vec::with_capacity(changed.len());
        for changed in changed {
            if *self.stop.borrow() {
                break;
            }
            called.extend(self.call(changed));
        }
        self.commit(called).await;
    }

    /// A key that can't be worked on stays as it is until it has other bytes.
    pub(super) fn unusable(&mut self, key: &Arc<str>, event: String, kind: &'static str, why: &str) {
        tracing::error!(key = &**key, kind, "{why}");
        self.board.failed_at(key, kind, why);
        self.failing.remove(key);
        let known = self.known.entry(Arc::clone(key)).or_default();
        (known.event, known.seen) = (event.into(), Instant::now());
        if let Some(progress) = &mut known.progress {
            progress.is_certain = false;
        }
    }

    /// Calls the handler. A value that fails is due again, when its key may have a newer one. One whose env can't be read
    /// is left until its key has other bytes: an env is never overwritten.
    fn call(&mut self, changed: Changed) -> Option<Called> {
        let failed = self.failing.get(&changed.key).filter(|(event, _)| *event == changed.event);
        match self.attempt(changed, failed.map(|(_, attempts)| *attempts)) {
            Tried::Called(called) => return Some(called),
            Tried::Failed(changed, attempts) => {
                self.due.add(&changed.key, Why::Written);
                self.failing.insert(changed.key, (changed.event, attempts));
            }
            Tried::EnvUnread(changed) => self.known.get_mut(&changed.key)?.event = changed.event.into(),
            Tried::Anew(changed) => self.due.add(&changed.key, Why::Written),
        }
        None
    }

    /// Calls the handler with an event that has failed so often; none where only the worker before may know.
    pub(super) fn attempt(&mut self, changed: Changed, failed: Option<u32>) -> Tried {
        let plugin = Arc::clone(lock(&self.versions).current());
        let suspect = self.suspects.of(key_number(&changed.key), &changed.event);
        let attempts = failed.unwrap_or_else(|| suspect.map_or(0, |suspect| suspect.attempts));
        if let Some(suspect) = suspect
            && attempts >= self.job.retries.max_attempts
        {
            let gave = Gave::Nothing { reason: suspect.reason.clone(), attempts };
            return Tried::Called(Called { changed, plugin, gave });
        }
        match self.call_version(&changed, &plugin, attempts + 1) {
            Ok(gave) => {
                let mut versions = lock(&self.versions);
                if Arc::ptr_eq(versions.current(), &plugin) {
                    versions.proven();
                }
                Tried::Called(Called { changed, plugin, gave })
            }
            Err(failed) => self.call_version_before(changed, plugin, failed, attempts + 1),
        }
    }

    /// What fails in a version that has had no success yet goes to the version before. What fails in both, or in one that
    /// stays, is tried again, or set aside.
    fn call_version_before(&mut self, changed: Changed, plugin: Arc<Loaded>, failed: Failed, attempts: u32) -> Tried {
        let (current, before) = {
            let versions = lock(&self.versions);
            (Arc::clone(versions.current()), versions.before().cloned())
        };
        if Arc::ptr_eq(&current, &plugin) {
            let called = before.and_then(|before| Some((self.call_version(&changed, &before, attempts).ok()?, before)));
            let Some((gave, before)) = called else { return self.not_called(changed, plugin, failed, attempts) };
            let mut versions = lock(&self.versions);
            if Arc::ptr_eq(versions.current(), &plugin) && versions.go_back(&failed.to_string()).is_some() {
                return Tried::Called(Called { changed, plugin: before, gave });
            }
        }
        // Another thread has gone back already, or has had a success with this version, or there is a newer one.
        Tried::Anew(changed)
    }

    fn not_called(&self, changed: Changed, plugin: Arc<Loaded>, failed: Failed, attempts: u32) -> Tried {
        match failed {
            Failed::Env(_) => Tried::EnvUnread(changed),
            Failed::Call(failure)
                if failure.kind == FailureKind::Input || attempts >= self.job.retries.max_attempts =>
            {
                let gave = Gave::Nothing { reason: failure.to_string(), attempts };
                Tried::Called(Called { changed, plugin, gave })
            }
            Failed::Call(_) => Tried::Failed(changed, attempts),
        }
    }

    /// Calls the handler of this version with the env of the last commit.
    fn call_version(&mut self, changed: &Changed, plugin: &Loaded, attempt: u32) -> Result<Gave, Failed> {
        let span = tracing::info_span!("call", handler = plugin.verified.symbol, key = &*changed.key);
        let _entered = span.enter();
        let started = Instant::now();
        self.slot.enter(key_number(&changed.key), &changed.event, attempt);
        let called = self.call_open(changed, plugin, attempt);
        self.slot.leave();
        match &called {
            Ok(_) => self.board.succeeded(1, started.elapsed()),
            Err(Failed::Env(why)) => {
                tracing::error!(key = &*changed.key, event = changed.event, kind = "env", "{why}");
                self.board.failed_at(&changed.key, "env", why);
            }
            Err(Failed::Call(failure)) => {
                let kind = failure.kind.as_str();
                tracing::error!(key = &*changed.key, event = changed.event, attempt, kind, "{failure}");
                self.board.failed(&changed.key, started.elapsed(), failure);
            }
        }
        called
    }

    fn call_open(&self, changed: &Changed, plugin: &Loaded, attempt: u32) -> Result<Gave, Failed> {
        let progress = self.known.get(&changed.key).and_then(|known| known.progress.as_ref());
        let Some(progress) = progress else { return Err(Failed::Env("its env is not known".to_owned())) };
        let about = self.job.about(plugin, &changed.key, &changed.keys.output);
        let call = Call {
            input: &changed.bytes,
            event_id: &changed.event,
            last_execution: progress.saved_at.as_deref(),
            attempt,
        };
        let limits = self.job.limits;
        bounded(FailureKind::Input, "INPUT_MAX_BYTES", changed.length, limits.input)?;
        let mut running = plugin.run(&about, &progress.env).map_err(|error| Failed::Env(format!("{error:#}")))?;
        let output = running.call(&call, &[])?;
        bounded(FailureKind::Output, "OUTPUT_MAX_BYTES", output.as_ref().map_or(0, Vec::len), limits.output)?;
        let env = running.save_env()?;
        bounded(FailureKind::Env, "ENV_MAX_BYTES", env.len(), limits.env)?;
        Ok(Gave::Result { output, env })
    }

    /// Lets envs that were not touched for long leave memory, and keys that were not found for long.
    fn sweep(&mut self) {
        let gone = (self.job.period * 3).max(self.job.env_idle).max(SWEEP);
        self.known.retain(|_, known| known.seen.elapsed() < gone);
        for known in self.known.values_mut() {
            known.progress.take_if(|progress| progress.touched.elapsed() >= self.job.env_idle);
        }
        self.swept = Instant::now();
        self.count_due = true;
    }

    fn tell_counts(&mut self) {
        let envs = self.known.values().filter(|known| known.progress.is_some()).count();
        let now = [self.known.len(), envs];
        self.board.holds(self.told, now);
        self.told = now;
        self.count_due = false;
    }
}

impl From<Option<Saved>> for Known {
    fn from(saved: Option<Saved>) -> Known {
        let (now, event) = (Instant::now(), saved.as_ref().map_or("", |saved| &saved.last_event).into());
        let progress = Progress {
            sequence: saved.as_ref().map_or(0, |saved| saved.sequence),
            saved_at: saved.as_ref().map(|saved| saved.saved_at.as_str().into()),
            env: saved.map(|saved| saved.env.into()).unwrap_or_default(),
            is_certain: true,
            touched: now,
        };
        Known { event, progress: Some(progress), seen: now }
    }
}

impl Default for Known {
    fn default() -> Known {
        Known { event: Box::default(), progress: None, seen: Instant::now() }
    }
}

impl From<Failure> for Failed {
    fn from(failure: Failure) -> Failed {
        Failed::Call(failure)
    }
}

impl fmt::Display for Failed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Failed::Env(why) => f.write_str(why),
            Failed::Call(failure) => failure.fmt(f),
        }
    }
}
