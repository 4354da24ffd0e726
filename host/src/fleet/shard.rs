//! A thread that works for its part of the keys: reads what is due, calls the handler, and commits, in pipelines.
//!
//! The store is what is true. Of a key the thread keeps only what spares it a look there: what was committed last, with
//! the env. The handler is opened with it for each call: that costs little beside the commit, and an open handler holds
//! many times the memory of its env. If a commit goes wrong, its key is forgotten, and read anew at the next round.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use plugin_api::abi::{Call, Failure, FailureKind};
use store::{Commit, Committed, Dead, Keys, Saved};
use tokio::sync::watch;
use tokio::time::{Instant, MissedTickBehavior, interval, sleep};

use super::due::{Due, Why};
use super::{Job, lock, since};
use crate::control::{Report, Suspects};
use crate::flight::{Slot, key_number};
use crate::plugin::Loaded;
use crate::status::{Board, State, now};
use crate::trigger::content_id;
use crate::versions::Versions;
use crate::worker::{Backoff, bounded};

/// How many keys a round works on: enough to fill a pipeline, few enough that the next keys don't wait long.
const ROUND: usize = 256;

/// How often what is not needed any more is let go, at most.
const SWEEP: Duration = Duration::from_secs(10);

/// How often keys and envs are counted while there is work: to count them takes a walk over all.
const COUNT: Duration = Duration::from_millis(500);

pub(super) struct Shard {
    job: Job,
    board: Arc<Board>,
    versions: Arc<Mutex<Versions<Arc<Loaded>>>>,
    due: Arc<Due>,
    known: HashMap<Arc<str>, Known>,
    /// The keys whose newest bytes failed, and how often.
    failing: HashMap<Arc<str>, (String, u32)>,
    /// Where the event that is being called stands.
    slot: Slot,
    /// The events that ended workers before this one.
    suspects: Suspects,
    /// What the board was told of this thread's keys and envs.
    told: [usize; 2],
    /// There may be others since.
    count_due: bool,
    swept: Instant,
}

/// What is known of a key: as little as will do, since there may be very many.
struct Known {
    /// The bytes that were called last, with success or not: equal ones are not called again. Empty: none.
    event: Box<str>,
    /// None where it left memory, or can't be read.
    progress: Option<Progress>,
    /// When it was last found due.
    seen: Instant,
}

/// What was committed last.
struct Progress {
    sequence: u64,
    /// Shared with the keys that were committed at once. None where nothing was.
    saved_at: Option<Arc<str>>,
    /// Empty where nothing was committed: a fresh env.
    env: Box<[u8]>,
    /// When it was committed or read.
    touched: Instant,
}

/// A key with new bytes.
struct Changed {
    key: Arc<str>,
    bytes: Vec<u8>,
    event: String,
    keys: Keys,
}

/// What a call gave, still to be committed.
struct Called {
    changed: Changed,
    plugin: Arc<Loaded>,
    gave: Gave,
}

enum Gave {
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
        due: Arc<Due>,
        slot: Slot,
        suspects: Suspects,
    ) -> Shard {
        // A connection of its own, so that the threads don't wait for each other.
        let job = Job { store: job.store.another(), ..job };
        let (known, failing, swept) = (HashMap::new(), HashMap::new(), Instant::now());
        Shard { job, board, versions, due, known, failing, slot, suspects, told: [0, 0], count_due: true, swept }
    }

    /// Works until it is told to stop.
    pub(super) fn run(mut self, stop: watch::Receiver<bool>) {
        match tokio::runtime::Builder::new_current_thread().enable_all().build() {
            Ok(runtime) => runtime.block_on(self.work(stop)),
            Err(error) => tracing::error!("a thread can't start to work: {error}"),
        }
    }

    async fn work(&mut self, mut stop: watch::Receiver<bool>) {
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
                    if since(self.swept) >= sweep_after {
                        self.sweep();
                    }
                    if self.count_due {
                        self.tell_counts();
                    }
                    continue;
                }
                keys = due.take(ROUND) => keys,
            };
            match self.rounds(&keys).await {
                Ok(()) => {
                    backoff = Backoff::default();
                    self.board.enter(State::Running, None);
                }
                Err(error) => {
                    self.board.unavailable(&error);
                    keys.iter().for_each(|key| due.add(key, Why::Written));
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
    async fn rounds(&mut self, keys: &[Arc<str>]) -> Result<(), store::Error> {
        if self.suspects.is_empty() {
            return self.round(keys).await;
        }
        let is_suspect = |key: &&Arc<str>| self.suspects.has_key(key_number(key));
        let (alone, together): (Vec<_>, Vec<_>) = keys.iter().partition(is_suspect);
        let together: Vec<_> = together.into_iter().cloned().collect();
        let alone: Vec<_> = alone.into_iter().cloned().collect();
        self.round(&together).await?;
        for key in alone {
            self.round(&[key]).await?;
        }
        Ok(())
    }

    /// Reads these keys, calls the handler with those that have new bytes, and commits.
    async fn round(&mut self, keys: &[Arc<str>]) -> Result<(), store::Error> {
        let mut changed = self.changed(keys).await?;
        self.recall(&mut changed).await?;
        let called: Vec<_> = changed.into_iter().filter_map(|changed| self.call(changed)).collect();
        self.commit(called).await
    }

    /// Those of the keys that have new bytes; the ones that are gone are let go.
    async fn changed(&mut self, keys: &[Arc<str>]) -> Result<Vec<Changed>, store::Error> {
        let names: Vec<_> = keys.iter().map(|key| &**key).collect();
        let values = self.job.store.read_each(&names).await?;
        let (mut changed, seen) = (Vec::with_capacity(keys.len()), Instant::now());
        for (key, value) in keys.iter().zip(values) {
            let Some(bytes) = value else {
                self.known.remove(key);
                self.failing.remove(key);
                continue;
            };
            let event = content_id(&bytes);
            if let Some(known) = self.known.get_mut(key) {
                known.seen = seen;
                if *known.event == event {
                    continue;
                }
            }
            let text = self.job.input.text_of(key).unwrap_or_default();
            match Keys::of(&self.job.output.with(text)) {
                Ok(keys) => changed.push(Changed { key: Arc::clone(key), bytes, event, keys }),
                Err(error) => self.unusable(key, event, "output", &format!("no result can be written: {error}")),
            }
        }
        Ok(changed)
    }

    /// Reads what was committed of those keys of which it is not in memory, and drops those whose bytes were counted
    /// already.
    async fn recall(&mut self, changed: &mut Vec<Changed>) -> Result<(), store::Error> {
        let is_known = |changed: &Changed| self.known.get(&changed.key).is_some_and(|known| known.progress.is_some());
        let (known, unknown): (Vec<_>, Vec<_>) = std::mem::take(changed).into_iter().partition(is_known);
        *changed = known;
        let envs: Vec<_> = unknown.iter().map(|changed| &changed.keys).collect();
        let saved = self.job.store.saved_each(&envs).await?;
        for (unknown, saved) in unknown.into_iter().zip(saved) {
            match saved {
                Ok(saved) => {
                    let known = Known::from(saved);
                    let was_counted = *known.event == unknown.event;
                    self.known.insert(Arc::clone(&unknown.key), known);
                    if !was_counted {
                        changed.push(unknown);
                    }
                }
                Err(error) => self.unusable(&unknown.key, unknown.event, "env", &error.to_string()),
            }
        }
        Ok(())
    }

    /// A key that can't be worked on stays as it is until it has other bytes.
    fn unusable(&mut self, key: &Arc<str>, event: String, kind: &'static str, why: &str) {
        tracing::error!(key = &**key, kind, "{why}");
        self.board.failed_at(key, kind, why);
        let known = Known { event: event.into(), progress: None, seen: Instant::now() };
        self.known.insert(Arc::clone(key), known);
    }

    /// Calls the handler. Of a call that fails nothing is to be committed, unless it was the last attempt.
    fn call(&mut self, changed: Changed) -> Option<Called> {
        let plugin = Arc::clone(lock(&self.versions).current());
        let suspect = self.suspects.of(key_number(&changed.key), &changed.event);
        let failed = self.failing.get(&changed.key).filter(|(event, _)| *event == changed.event);
        let attempts = failed.map_or_else(|| suspect.map_or(0, |suspect| suspect.attempts), |(_, attempts)| *attempts);
        if let Some(suspect) = suspect
            && attempts >= self.job.retries.max_attempts
        {
            let gave = Gave::Nothing { reason: suspect.reason.clone(), attempts };
            return Some(Called { changed, plugin, gave });
        }
        match self.call_version(&changed, &plugin, attempts + 1) {
            Ok(gave) => {
                let mut versions = lock(&self.versions);
                if Arc::ptr_eq(versions.current(), &plugin) {
                    versions.proven();
                }
                Some(Called { changed, plugin, gave })
            }
            Err(failed) => self.call_version_before(changed, plugin, failed, attempts + 1),
        }
    }

    /// What fails in a version that has had no success yet goes to the version before. What fails in both, or in one that
    /// stays, is tried again, or set aside.
    fn call_version_before(
        &mut self,
        changed: Changed,
        plugin: Arc<Loaded>,
        failed: Failed,
        attempts: u32,
    ) -> Option<Called> {
        let (current, before) = {
            let versions = lock(&self.versions);
            (Arc::clone(versions.current()), versions.before().cloned())
        };
        if Arc::ptr_eq(&current, &plugin) {
            let called = before.and_then(|before| Some((self.call_version(&changed, &before, attempts).ok()?, before)));
            let Some((gave, before)) = called else {
                return self.not_called(changed, plugin, failed, attempts);
            };
            let mut versions = lock(&self.versions);
            if Arc::ptr_eq(versions.current(), &plugin) && versions.go_back(&failed.to_string()).is_some() {
                return Some(Called { changed, plugin: before, gave });
            }
        }
        // Another thread has gone back already, or has had a success with this version, or there is a newer one.
        self.due.add(&changed.key, Why::Written);
        None
    }

    /// The key is due again, when it may have a newer value; or its value is set aside. One whose env can't be read is
    /// left until it has other bytes: an env is never overwritten.
    fn not_called(&mut self, changed: Changed, plugin: Arc<Loaded>, failed: Failed, attempts: u32) -> Option<Called> {
        match failed {
            Failed::Env(_) => {
                self.known.get_mut(&changed.key)?.event = changed.event.into();
                None
            }
            Failed::Call(failure) => {
                if failure.kind == FailureKind::Input || attempts >= self.job.retries.max_attempts {
                    let gave = Gave::Nothing { reason: failure.to_string(), attempts };
                    return Some(Called { changed, plugin, gave });
                }
                self.due.add(&changed.key, Why::Written);
                self.failing.insert(changed.key, (changed.event, attempts));
                None
            }
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
            Ok(_) => self.board.succeeded(1, since(started)),
            Err(Failed::Env(why)) => {
                tracing::error!(key = &*changed.key, event = changed.event, kind = "env", "{why}");
                self.board.failed_at(&changed.key, "env", why);
            }
            Err(Failed::Call(failure)) => {
                let kind = failure.kind.as_str();
                tracing::error!(key = &*changed.key, event = changed.event, attempt, kind, "{failure}");
                self.board.failed(&changed.key, since(started), failure);
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
        bounded(FailureKind::Input, "INPUT_MAX_BYTES", changed.bytes.len(), limits.input)?;
        let mut running = plugin.run(&about, &progress.env).map_err(|error| Failed::Env(format!("{error:#}")))?;
        let output = running.call(&call, &[])?;
        bounded(FailureKind::Output, "OUTPUT_MAX_BYTES", output.as_ref().map_or(0, Vec::len), limits.output)?;
        let env = running.save_env()?;
        bounded(FailureKind::Env, "ENV_MAX_BYTES", env.len(), limits.env)?;
        Ok(Gave::Result { output, env })
    }

    async fn commit(&mut self, called: Vec<Called>) -> Result<(), store::Error> {
        let saved_at: Arc<str> = now().into();
        let (mut rest, mut failed) = (called, None);
        // Twice at most: the second time for keys of which the store lost commits.
        for _ in 0..2 {
            let commits: Vec<_> = rest.iter().map(|called| self.commit_of(called, &saved_at)).collect();
            let settled = match self.job.store.commit_each(&commits).await {
                Ok(settled) => settled,
                Err(error) => {
                    // Nobody knows which ones arrived: what the store holds will tell.
                    for called in &rest {
                        self.known.remove(&called.changed.key);
                    }
                    return Err(error);
                }
            };
            let mut lost = Vec::new();
            for (called, settled) in rest.into_iter().zip(settled) {
                match settled {
                    Ok(Committed::Applied) => self.committed(called, &saved_at),
                    Ok(Committed::Refused { sequence }) => {
                        let progress =
                            self.known.get_mut(&called.changed.key).and_then(|known| known.progress.as_mut());
                        match progress.filter(|progress| progress.sequence > sequence) {
                            Some(progress) => {
                                progress.sequence = sequence;
                                lost.push(called);
                            }
                            None => self.overtaken(&called),
                        }
                    }
                    Ok(Committed::Claimed) => self.overtaken(&called),
                    Err(error) => {
                        self.known.remove(&called.changed.key);
                        failed = Some(error);
                    }
                }
            }
            rest = lost;
            if rest.is_empty() {
                break;
            }
            tracing::warn!(keys = rest.len(), "the store lost commits: writing on from this host's envs");
        }
        rest.iter().for_each(|called| self.overtaken(called));
        failed.map_or(Ok(()), Err)
    }

    fn commit_of<'a>(&'a self, called: &'a Called, saved_at: &'a str) -> Commit<'a> {
        let progress = self.known.get(&called.changed.key).and_then(|known| known.progress.as_ref());
        let verified = &called.plugin.verified;
        let (outputs, env, dead) = match &called.gave {
            Gave::Result { output, env } => (output.as_deref().into_iter().collect(), env.as_slice(), None),
            Gave::Nothing { reason, attempts } => {
                let (data, most) = (called.changed.bytes.as_slice(), self.job.retries.dead_max);
                let dead = Dead { data, reason, attempts: *attempts, at: saved_at, most };
                (Vec::new(), progress.map_or(&[][..], |progress| &progress.env), Some(dead))
            }
        };
        Commit {
            keys: &called.changed.keys,
            sequence: progress.map_or(0, |progress| progress.sequence),
            outputs,
            env,
            last_event: &called.changed.event,
            handler: &verified.symbol,
            plugin_version: &verified.manifest.version,
            saved_at,
            history_length: self.job.history_length,
            output_stream: None,
            taken: None,
            dead,
            replayed: None,
        }
    }

    fn committed(&mut self, called: Called, saved_at: &Arc<str>) {
        let Called { changed, gave, .. } = called;
        self.slot.progressed();
        self.suspects.settled(key_number(&changed.key), &changed.event);
        self.failing.remove(&changed.key);
        let env = match gave {
            Gave::Result { env, .. } => {
                tracing::debug!(key = &*changed.key, event = changed.event, "called");
                self.board.committed(env.len());
                Some(env.into())
            }
            Gave::Nothing { reason, attempts } => {
                tracing::error!(key = &*changed.key, event = changed.event, attempts, "set aside: {reason}");
                self.board.set_aside();
                self.suspects.report(&Report::Now(Box::new(self.board.snapshot())));
                None
            }
        };
        if let Some(known) = self.known.get_mut(&changed.key) {
            let before = known.progress.take();
            let sequence = before.as_ref().map_or(0, |progress| progress.sequence) + 1;
            let env = env.or(before.map(|progress| progress.env)).unwrap_or_default();
            let (saved_at, touched) = (Some(Arc::clone(saved_at)), Instant::now());
            known.progress = Some(Progress { sequence, saved_at, env, touched });
            known.event = changed.event.into();
        }
    }

    /// Another host has committed meanwhile: its env is what the next call begins with.
    fn overtaken(&mut self, called: &Called) {
        tracing::warn!(key = &*called.changed.key, "another host writes its output: going on from its env");
        self.known.remove(&called.changed.key);
        self.due.add(&called.changed.key, Why::Written);
    }

    /// Lets envs that were not touched for long leave memory, and keys that were not found for long.
    fn sweep(&mut self) {
        let gone = (self.job.period * 3).max(self.job.env_idle).max(SWEEP);
        self.known.retain(|_, known| since(known.seen) < gone);
        for known in self.known.values_mut() {
            known.progress.take_if(|progress| since(progress.touched) >= self.job.env_idle);
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
            touched: now,
        };
        Known { event, progress: Some(progress), seen: now }
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
