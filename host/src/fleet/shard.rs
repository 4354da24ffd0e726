//! A thread that works for its part of the keys: reads what is due, calls the handler, and commits, in pipelines.
//!
//! The store is what is true. Of a key the thread keeps only what spares it a look there: what was committed last, with
//! the env. The handler is opened with it for each call: that costs little beside the commit, and an open handler holds
//! many times the memory of its env. If a commit goes wrong, its key is forgotten, and read anew at the next round.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use plugin_api::abi::{About, Call};
use store::{Commit, Committed, Keys, Saved};
use tokio::sync::watch;
use tokio::time::{Instant, MissedTickBehavior, interval, sleep};

use super::due::Due;
use super::{Job, lock, since};
use crate::plugin::Loaded;
use crate::status::{Board, State, now};
use crate::trigger::content_id;
use crate::versions::Versions;
use crate::worker::Backoff;

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
    output: Vec<u8>,
    env: Vec<u8>,
}

impl Shard {
    pub(super) fn new(
        job: Job,
        board: Arc<Board>,
        versions: Arc<Mutex<Versions<Arc<Loaded>>>>,
        due: Arc<Due>,
    ) -> Shard {
        // A connection of its own, so that the threads don't wait for each other.
        let job = Job { store: job.store.another(), ..job };
        Shard { job, board, versions, due, known: HashMap::new(), told: [0, 0], count_due: true, swept: Instant::now() }
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
            match self.round(&keys).await {
                Ok(()) => {
                    backoff = Backoff::default();
                    self.board.enter(State::Running, None);
                }
                Err(error) => {
                    self.board.unavailable(&error);
                    keys.iter().for_each(|key| due.add(key));
                    tokio::select! {
                        _ = stop.wait_for(|stop| *stop) => return,
                        () = sleep(backoff.next()) => {}
                    }
                }
            }
            self.count_due = true;
        }
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

    /// Calls the handler; nothing is to be committed of a call that fails.
    fn call(&mut self, changed: Changed) -> Option<Called> {
        let plugin = Arc::clone(lock(&self.versions).current());
        match self.call_version(&changed, &plugin) {
            Ok((output, env)) => {
                let mut versions = lock(&self.versions);
                if Arc::ptr_eq(versions.current(), &plugin) {
                    versions.proven();
                }
                Some(Called { changed, plugin, output, env })
            }
            Err(why) => self.call_version_before(changed, &plugin, &why),
        }
    }

    /// What fails in a version that has had no success yet goes to the version before. What fails in both, or in one that
    /// stays, is left until it has other bytes.
    fn call_version_before(&mut self, changed: Changed, plugin: &Arc<Loaded>, why: &str) -> Option<Called> {
        let (current, before) = {
            let versions = lock(&self.versions);
            (Arc::clone(versions.current()), versions.before().cloned())
        };
        if Arc::ptr_eq(&current, plugin) {
            let called = before.and_then(|before| Some((self.call_version(&changed, &before).ok()?, before)));
            let Some(((output, env), before)) = called else {
                self.known.get_mut(&changed.key)?.event = changed.event.into();
                return None;
            };
            let mut versions = lock(&self.versions);
            if Arc::ptr_eq(versions.current(), plugin) && versions.go_back(&why).is_some() {
                return Some(Called { changed, plugin: before, output, env });
            }
        }
        // Another thread has gone back already, or has had a success with this version, or there is a newer one.
        self.due.add(&changed.key);
        None
    }

    /// Calls the handler of this version with the env of the last commit. Gives output and env, or why there are none.
    fn call_version(&self, changed: &Changed, plugin: &Loaded) -> Result<(Vec<u8>, Vec<u8>), String> {
        let progress = self.known.get(&changed.key).and_then(|known| known.progress.as_ref());
        let Some(progress) = progress else { return Err("its env is not known".to_owned()) };
        let span = tracing::info_span!("call", handler = plugin.verified.symbol, key = &*changed.key);
        let _entered = span.enter();
        let about = About {
            host: &self.job.address.0,
            port: self.job.address.1,
            input_key: &changed.key,
            output_key: &changed.keys.output,
            function_getmtime: plugin.verified.modified,
            plugin_dir: &plugin.verified.folder,
        };
        let call = Call {
            input: &changed.bytes,
            event_id: &changed.event,
            last_execution: progress.saved_at.as_deref(),
            attempt: 1,
        };
        let started = Instant::now();
        let mut running = plugin.run(&about, &progress.env).map_err(|error| {
            let why = format!("{error:#}");
            tracing::error!(key = &*changed.key, event = changed.event, kind = "env", "{why}");
            self.board.failed_at(&changed.key, "env", &why);
            why
        })?;
        let called = running.call(&call, &[]).and_then(|output| Ok((output, running.save_env()?)));
        match &called {
            Ok(_) => self.board.succeeded(1, since(started)),
            Err(failure) => {
                tracing::error!(key = &*changed.key, event = changed.event, kind = failure.kind.as_str(), "{failure}");
                self.board.failed(&changed.key, since(started), failure);
            }
        }
        called.map_err(|failure| failure.to_string())
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

    fn commit_of<'a>(&self, called: &'a Called, saved_at: &'a str) -> Commit<'a> {
        let progress = self.known.get(&called.changed.key).and_then(|known| known.progress.as_ref());
        let verified = &called.plugin.verified;
        Commit {
            keys: &called.changed.keys,
            sequence: progress.map_or(0, |progress| progress.sequence),
            outputs: vec![&called.output],
            env: &called.env,
            last_event: &called.changed.event,
            handler: &verified.symbol,
            plugin_version: &verified.manifest.version,
            saved_at,
            history_length: self.job.history_length,
            output_stream: None,
            taken: None,
            dead: None,
            replayed: None,
        }
    }

    fn committed(&mut self, called: Called, saved_at: &Arc<str>) {
        let Called { changed, env, .. } = called;
        tracing::debug!(key = &*changed.key, event = changed.event, "called");
        if let Some(known) = self.known.get_mut(&changed.key) {
            let sequence = known.progress.take().map_or(0, |progress| progress.sequence) + 1;
            let (saved_at, env, touched) = (Some(Arc::clone(saved_at)), env.into(), Instant::now());
            known.progress = Some(Progress { sequence, saved_at, env, touched });
            known.event = changed.event.into();
        }
    }

    /// Another host has committed meanwhile: its env is what the next call begins with.
    fn overtaken(&mut self, called: &Called) {
        tracing::warn!(key = &*called.changed.key, "another host writes its output: going on from its env");
        self.known.remove(&called.changed.key);
        self.due.add(&called.changed.key);
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
