//! A thread that works for its part of the keys: reads what is due, calls the handler, and commits, in pipelines.
//!
//! The store is what is true. Of a key the thread keeps only what spares it a look there: what was committed last, and
//! the handler opened with that env. Whatever goes wrong with a key, that is forgotten, and read anew at the next round.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use plugin_api::abi::{About, Call, Failure};
use store::{Commit, Committed, Keys, Saved};
use tokio::sync::watch;
use tokio::time::{Instant, MissedTickBehavior, interval, sleep};

use super::due::Due;
use super::versions::{Version, Versions};
use super::{Job, since};
use crate::plugin::Running;
use crate::status::{Board, State, now};
use crate::trigger::content_id;
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
    versions: Arc<Versions>,
    due: Arc<Due>,
    known: HashMap<Arc<str>, Known>,
    /// What the board was told of this thread's keys and envs.
    told: [usize; 2],
    /// There may be others since.
    count_due: bool,
    swept: Instant,
}

/// What is known of a key.
struct Known {
    /// The bytes that were called last, with success or not: equal ones are not called again.
    event: String,
    sequence: u64,
    /// The handler with the key's env, opened by the version of this number; none where the env left memory.
    open: Option<Box<Open>>,
    /// When it was last found due.
    seen: Instant,
}

struct Open {
    running: Running,
    version: u64,
    saved_at: Option<String>,
    called: Instant,
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
    output: Vec<u8>,
    env: Vec<u8>,
    symbol: String,
    version: String,
    saved_at: String,
}

impl Shard {
    pub(super) fn new(job: Job, board: Arc<Board>, versions: Arc<Versions>, due: Arc<Due>) -> Shard {
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
        let mut changed = Vec::new();
        for (key, value) in keys.iter().zip(values) {
            let Some(bytes) = value else {
                self.known.remove(key);
                continue;
            };
            let event = content_id(&bytes);
            if let Some(known) = self.known.get_mut(key) {
                known.seen = Instant::now();
                if known.event == event {
                    continue;
                }
            }
            let text = self.job.input.text_of(key).unwrap_or_default();
            match Keys::of(&self.job.output.with(text)) {
                Ok(keys) => changed.push(Changed { key: Arc::clone(key), bytes, event, keys }),
                Err(error) => self.failed(key, event, "output", &format!("no result can be written: {error}")),
            }
        }
        Ok(changed)
    }

    /// Reads what was committed of those keys whose env is not in memory, opens the handler with it, and drops those
    /// whose bytes were counted already.
    async fn recall(&mut self, changed: &mut Vec<Changed>) -> Result<(), store::Error> {
        let version = self.versions.current();
        let is_open = |known: &HashMap<Arc<str>, Known>, key: &Arc<str>| {
            let open = known.get(key).and_then(|known| known.open.as_ref());
            open.is_some_and(|open| open.version == version.number)
        };
        let unknown: Vec<_> = changed.iter().filter(|changed| !is_open(&self.known, &changed.key)).collect();
        let envs: Vec<_> = unknown.iter().map(|changed| &changed.keys).collect();
        let saved = self.job.store.saved_each(&envs).await?;
        let saved: HashMap<_, _> = unknown.into_iter().map(|changed| Arc::clone(&changed.key)).zip(saved).collect();
        changed.retain(|changed| match saved.get(&changed.key) {
            None => true,
            Some(Err(error)) => {
                self.failed(&changed.key, changed.event.clone(), "env", &error.to_string());
                false
            }
            Some(Ok(saved)) => self.open(changed, saved.as_ref(), &version),
        });
        Ok(())
    }

    /// Opens the handler with a key's env; false where there is nothing to call.
    fn open(&mut self, changed: &Changed, saved: Option<&Saved>, version: &Version) -> bool {
        let sequence = saved.map_or(0, |saved| saved.sequence);
        let counted = saved.is_some_and(|saved| saved.last_event == changed.event);
        let mut known = Known {
            event: saved.map(|saved| saved.last_event.clone()).unwrap_or_default(),
            sequence,
            open: None,
            seen: Instant::now(),
        };
        if !counted {
            let env = saved.map_or(&[][..], |saved| &saved.env);
            match self.running(changed, version, env) {
                Ok(running) => {
                    let (version, saved_at) = (version.number, saved.map(|saved| saved.saved_at.clone()));
                    known.open = Some(Box::new(Open { running, version, saved_at, called: Instant::now() }));
                }
                Err(error) => {
                    self.failed(&changed.key, changed.event.clone(), "env", &format!("{error:#}"));
                    return false;
                }
            }
        }
        self.known.insert(Arc::clone(&changed.key), known);
        !counted
    }

    fn running(&self, changed: &Changed, version: &Version, env: &[u8]) -> anyhow::Result<Running> {
        let plugin = &version.plugin;
        let about = About {
            host: &self.job.address.0,
            port: self.job.address.1,
            input_key: &changed.key,
            output_key: &changed.keys.output,
            function_getmtime: plugin.verified.modified,
            plugin_dir: &plugin.verified.folder,
        };
        plugin.run(&about, env)
    }

    /// Calls the handler; nothing is to be committed of a call that fails.
    fn call(&mut self, changed: Changed) -> Option<Called> {
        let version = self.versions.current();
        let open = self.known.get_mut(&changed.key)?.open.as_mut()?;
        let span = tracing::info_span!("call", handler = version.plugin.verified.symbol, key = &*changed.key);
        let _entered = span.enter();
        let call = Call {
            input: &changed.bytes,
            event_id: &changed.event,
            last_execution: open.saved_at.as_deref(),
            attempt: 1,
        };
        let started = Instant::now();
        let called = open.running.call(&call, &[]).and_then(|output| Ok((output, open.running.save_env()?)));
        match called {
            Ok((output, env)) => {
                self.board.succeeded(1, since(started));
                self.versions.proven(&version);
                open.called = Instant::now();
                let verified = &version.plugin.verified;
                let (symbol, version) = (verified.symbol.clone(), verified.manifest.version.clone());
                Some(Called { changed, output, env, symbol, version, saved_at: now() })
            }
            Err(failure) => {
                self.call_failed(&changed, &version, &failure, since(started));
                None
            }
        }
    }

    /// From a version that fails before it had any success all go back to the one before, which gets the key at the next
    /// round.
    fn call_failed(&mut self, changed: &Changed, version: &Version, failure: &Failure, took: Duration) {
        self.board.failed(&changed.key, took, failure);
        tracing::error!(key = &*changed.key, event = changed.event, kind = failure.kind.as_str(), "{failure}");
        let known = self.known.remove(&changed.key);
        if let Some(before) = self.versions.before(version) {
            self.versions.go_back(version, &before, &failure.to_string());
            self.due.add(&changed.key);
        } else if let Some(known) = known {
            // The env is read again from the store before the next call.
            let known = Known { event: changed.event.clone(), open: None, ..known };
            self.known.insert(Arc::clone(&changed.key), known);
        }
    }

    /// A key that can't be worked on stays as it is until it has other bytes.
    fn failed(&mut self, key: &Arc<str>, event: String, kind: &'static str, why: &str) {
        tracing::error!(key = &**key, kind, "{why}");
        self.board.failed_at(key, kind, why);
        self.known.insert(Arc::clone(key), Known { event, sequence: 0, open: None, seen: Instant::now() });
    }

    async fn commit(&mut self, called: Vec<Called>) -> Result<(), store::Error> {
        let mut rest = called;
        // Twice at most: the second time for keys of which the store lost commits.
        for _ in 0..2 {
            let commits: Vec<_> = rest.iter().map(|called| self.commit_of(called)).collect();
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
            let mut failed = None;
            for (called, settled) in rest.into_iter().zip(settled) {
                match settled {
                    Ok(Committed::Applied) => self.committed(called),
                    Ok(Committed::Refused { sequence }) => {
                        let own = self.known.get_mut(&called.changed.key).filter(|known| known.sequence > sequence);
                        match own {
                            Some(known) => {
                                known.sequence = sequence;
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
            if let Some(error) = failed {
                return Err(error);
            }
            if lost.is_empty() {
                return Ok(());
            }
            tracing::warn!(keys = lost.len(), "the store lost commits: writing on from this host's envs");
            rest = lost;
        }
        rest.iter().for_each(|called| self.overtaken(called));
        Ok(())
    }

    fn commit_of<'a>(&self, called: &'a Called) -> Commit<'a> {
        Commit {
            keys: &called.changed.keys,
            sequence: self.known.get(&called.changed.key).map_or(0, |known| known.sequence),
            outputs: vec![&called.output],
            env: &called.env,
            last_event: &called.changed.event,
            handler: &called.symbol,
            plugin_version: &called.version,
            saved_at: &called.saved_at,
            history_length: self.job.history_length,
            output_stream: None,
            taken: None,
            dead: None,
        }
    }

    fn committed(&mut self, called: Called) {
        tracing::debug!(key = &*called.changed.key, event = called.changed.event, "called");
        if let Some(known) = self.known.get_mut(&called.changed.key) {
            known.sequence += 1;
            known.event = called.changed.event;
            if let Some(open) = &mut known.open {
                open.saved_at = Some(called.saved_at);
            }
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
            known.open.take_if(|open| since(open.called) >= self.job.env_idle);
        }
        self.swept = Instant::now();
        self.count_due = true;
    }

    fn tell_counts(&mut self) {
        let open = self.known.values().filter(|known| known.open.is_some()).count();
        let now = [self.known.len(), open];
        self.board.holds(self.told, now);
        self.told = now;
        self.count_due = false;
    }
}
