//! The loop that joins trigger, handler and commit.
//!
//! An event becomes an outcome by a call, and an outcome becomes part of the store by a commit. The worker keeps the
//! env of the last commit; whatever fails, the next call begins with that env.

mod backoff;
mod call;
mod commit;
mod version;

use std::sync::Arc;
use std::time::Duration;

use anyhow::Result;
use plugin_api::abi::Failure;
use store::{Cause, Group, Keys, Saved, Store};
use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, sleep, sleep_until, timeout};

use self::call::Pace;
use self::commit::{Sent, answered};
use self::version::{Version, open};
use crate::config::{Limits, Retries};
use crate::control::{Report, Supervision, Suspects};
use crate::flight::Slot;
use crate::plugin::{Arrival, Loaded, NotLoaded};
use crate::status::{Board, State};
use crate::trigger::Trigger;
use crate::versions::Versions;

pub(crate) use self::backoff::Backoff;
pub use self::call::Outcome;
pub(crate) use self::call::bounded;

/// How often `{out}:status` is written where nothing else causes it.
pub(crate) const HEARTBEAT: Duration = Duration::from_secs(5);

/// How long after a call `{out}:status` is written, so that many calls cause one writing.
const STATUS_DELAY: Duration = Duration::from_secs(1);

/// How long `{out}:status` outlives a host that is gone, or is busy with a long call.
pub(crate) const STATUS_LIFE: Duration = Duration::from_secs(60);

/// What a worker works on.
pub struct Job {
    /// Where data lies.
    pub store: Store,
    /// The store's host name and port, for the handler's context.
    pub address: (String, u16),
    /// The key that is read.
    pub input_key: String,
    /// The key that is written, and its companions.
    pub output: Keys,
    /// How many results the history keeps.
    pub history_length: usize,
    /// The consumer that this host is, where it reads a stream.
    pub group: Option<Group>,
    /// A stream that each result is appended to as well.
    pub output_stream: Option<String>,
    /// What becomes of an event whose call fails; none where it is called once and kept nowhere.
    pub retries: Option<Retries>,
    /// How large inputs, results and envs may be.
    pub limits: Limits,
}

/// What a worker tells whoever started it.
pub enum News<'a> {
    /// A call's outcome was committed.
    Committed(&'a Outcome),
    /// A call failed, after this long.
    Failed(&'a Failure, Duration),
    /// A new version of the plugin goes on with the env of the old one.
    Reloaded(&'a Loaded),
    /// A new version of the plugin can't be taken; the old one stays.
    NotReloaded(&'a NotLoaded),
}

/// What was committed last, as far as this host knows.
#[derive(Default)]
struct Progress {
    sequence: u64,
    last_event: Option<String>,
    saved_at: Option<String>,
    /// Empty where nothing was committed: a fresh env.
    env: Vec<u8>,
}

/// Runs a handler on the events of a trigger.
pub struct Worker {
    job: Arc<Job>,
    versions: Versions<Version>,
    progress: Progress,
    /// The commit that is under way.
    sent: Option<Sent>,
    board: Arc<Board>,
    supervision: Supervision,
    /// Where the event that is being called stands.
    slot: Slot,
    /// The events that ended workers before this one.
    suspects: Suspects,
    tell: Box<dyn FnMut(News<'_>)>,
    /// When `{out}:status` is due.
    announcement: Instant,
    /// The store did not take the last `{out}:status`; only a status or a commit that it takes shows that it is back.
    announcement_failed: bool,
    /// The store did not say what is to be called out of turn, and that was told.
    replays_refused: bool,
    stop: watch::Receiver<bool>,
}

/// Whether to go on.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Next {
    GoOn,
    /// Env and progress are another host's: take them up from the store.
    Recover,
    /// Others have claimed entries that were given to this consumer, or a key's value was given up for a newer one: ask what
    /// there is now.
    LookAgain,
    Stop,
}

impl Worker {
    /// Opens the handler. `stop` turns true when the worker shall end; `tell` hears what happens.
    ///
    /// # Errors
    ///
    /// The handler doesn't open, or what the supervisor gave can't be used.
    pub fn new(
        job: Job,
        plugin: Loaded,
        board: Arc<Board>,
        supervision: Supervision,
        stop: watch::Receiver<bool>,
        tell: impl FnMut(News<'_>) + 'static,
    ) -> Result<Worker> {
        let mut slot = supervision.slot(0)?;
        slot.enter_opening();
        let first = Version::open(&job, plugin, &[])?;
        slot.leave();
        Ok(Worker {
            versions: Versions::new(first, Arc::clone(&board)),
            job: Arc::new(job),
            progress: Progress::default(),
            sent: None,
            board,
            slot,
            suspects: supervision.suspects(),
            supervision,
            tell: Box::new(tell),
            announcement: Instant::now(),
            announcement_failed: false,
            replays_refused: false,
            stop,
        })
    }

    /// Works until it is told to stop. New versions of the plugin come through `arrivals`.
    pub async fn run(mut self, mut trigger: Trigger, mut arrivals: mpsc::Receiver<Arrival>) {
        if self.recover(&mut arrivals).await == Next::Stop {
            return self.announce_end().await;
        }
        let mut backoff = Backoff::default();
        let mut stop = self.stop.clone();
        loop {
            self.board.triggered_by(trigger.kind());
            let next = match trigger.reads_ahead() {
                true => Next::GoOn,
                false => self.settle().await,
            };
            let next = match next {
                Next::GoOn => tokio::select! {
                    biased;
                    _ = stop.wait_for(|stop| *stop) => Next::Stop,
                    () = answered(&mut self.sent) => self.settle().await,
                    Some(arrival) = arrivals.recv() => {
                        let next = self.settle().await;
                        self.arrive(arrival);
                        next
                    }
                    () = sleep_until(self.announcement) => match self.announce_unless_stopped().await {
                        Next::GoOn if !self.announcement_failed => self.replay().await,
                        next => next,
                    },
                    events = trigger.next(&self.job.store, self.progress.last_event.as_deref()) => match events {
                        Ok(events) => {
                            backoff = Backoff::default();
                            if !self.announcement_failed {
                                self.available();
                            }
                            let pace = if trigger.reads_ahead() { Pace::Ahead } else { Pace::Settled };
                            match events.is_empty() {
                                true => Next::GoOn,
                                false => self.handle(events, pace).await,
                            }
                        }
                        Err(error) => {
                            self.unavailable(&error);
                            match self.settle().await {
                                Next::GoOn => self.pause(&mut backoff).await,
                                next => next,
                            }
                        }
                    },
                },
                next => next,
            };
            let next = match next {
                Next::Recover => {
                    trigger.look_again();
                    self.recover(&mut arrivals).await
                }
                Next::LookAgain => {
                    trigger.look_again();
                    self.forget_env();
                    Next::GoOn
                }
                next => next,
            };
            if next == Next::Stop {
                break;
            }
        }
        self.settle().await;
        self.announce_end().await;
    }

    /// Takes up env and progress from the store, however long the store takes to answer. A new version of the plugin
    /// may be what can read the env.
    async fn recover(&mut self, arrivals: &mut mpsc::Receiver<Arrival>) -> Next {
        let mut backoff = Backoff::default();
        let mut stop = self.stop.clone();
        let mut newer = None;
        loop {
            let saved = tokio::select! {
                _ = stop.wait_for(|stop| *stop) => return Next::Stop,
                saved = self.job.store.saved(&self.job.output) => saved,
            };
            match saved {
                Ok(saved) => match self.take_up(saved, &mut newer) {
                    Ok(()) => {
                        self.available();
                        return Next::GoOn;
                    }
                    Err(error) => {
                        let reason = format!(
                            "the env in {} can't be taken up: {error:#}; load a plugin that can read it, or delete \
                             the key to start anew",
                            self.job.output.env
                        );
                        self.enter(State::EnvUnreadable, Some(reason));
                    }
                },
                Err(error) if matches!(error.cause, Cause::Corrupt(_) | Cause::WrongType { .. }) => {
                    self.enter(State::EnvUnreadable, Some(error.to_string()));
                }
                Err(error) => self.unavailable(&error),
            }
            tokio::select! {
                next = self.pause(&mut backoff) => if next == Next::Stop { return Next::Stop },
                Some(arrival) = arrivals.recv() => match arrival {
                    Arrival::New(plugin) => newer = Some(*plugin),
                    other => self.arrive(other),
                },
            }
        }
    }

    /// Goes on from what the store holds, with a newer version of the plugin if there is one.
    fn take_up(&mut self, saved: Option<Saved>, newer: &mut Option<Loaded>) -> Result<()> {
        let progress = saved.map(Progress::from).unwrap_or_default();
        self.forget_env();
        self.slot.enter_opening();
        let reopened = self.versions.current_mut().reopen(&self.job, &progress.env);
        self.slot.leave();
        match (reopened, newer.take()) {
            (Ok(()), newer) => {
                self.progress = progress;
                if let Some(newer) = newer {
                    self.reload(newer);
                }
                Ok(())
            }
            (Err(error), None) => Err(error),
            // The version so far can't go on, so the newer one need not prove itself.
            (Err(_), Some(plugin)) => match open(&self.job, &plugin, &progress.env) {
                Ok(running) => {
                    self.progress = progress;
                    self.versions.put_in_place(Version { plugin, running });
                    self.versions.proven();
                    self.tell_reloaded();
                    Ok(())
                }
                Err(error) => {
                    *newer = Some(plugin);
                    Err(error)
                }
            },
        }
    }

    /// The next call begins with the env of the last commit.
    fn forget_env(&mut self) {
        self.versions.current_mut().running.forget_env();
        if let Some(before) = self.versions.before_mut() {
            before.running.forget_env();
        }
    }

    fn enter(&mut self, state: State, reason: Option<String>) {
        let text = reason.clone();
        if self.board.enter(state, reason) != state {
            self.announcement = Instant::now();
            match text {
                Some(reason) => tracing::warn!("not ready: {reason}"),
                None => tracing::info!("ready"),
            }
        }
    }

    fn available(&mut self) {
        self.enter(State::Running, None);
    }

    fn unavailable(&mut self, error: &store::Error) {
        self.board.store_failed();
        self.enter(State::StoreUnavailable, Some(error.to_string()));
    }

    /// Waits a little longer than the last time, and writes `{out}:status` meanwhile if it is due.
    async fn pause(&mut self, backoff: &mut Backoff) -> Next {
        let mut stop = self.stop.clone();
        let wait = async {
            if Instant::now() >= self.announcement {
                // Whoever waits knows why; a status that is taken doesn't show that a commit would be.
                self.announce_state().await.ok();
            }
            sleep(backoff.next()).await;
        };
        tokio::select! {
            _ = stop.wait_for(|stop| *stop) => Next::Stop,
            () = wait => Next::GoOn,
        }
    }

    /// Writes `{out}:status`, and learns from it how the store is.
    async fn announce_unless_stopped(&mut self) -> Next {
        let mut stop = self.stop.clone();
        let announced = tokio::select! {
            _ = stop.wait_for(|stop| *stop) => return Next::Stop,
            announced = self.announce_state() => announced,
        };
        let failed_before = std::mem::replace(&mut self.announcement_failed, announced.is_err());
        match announced {
            Ok(()) if failed_before => self.available(),
            Ok(()) => {}
            Err(error) => self.unavailable(&error),
        }
        Next::GoOn
    }

    /// Says that the host has stopped, to a store that answers soon.
    async fn announce_end(&mut self) {
        self.board.enter(State::Stopped, None);
        timeout(Duration::from_secs(1), self.announce_state()).await.ok();
    }

    async fn announce_state(&mut self) -> Result<(), store::Error> {
        let snapshot = self.board.snapshot();
        let status = serde_json::to_vec(&snapshot.status).unwrap_or_default();
        self.supervision.report(&Report::Now(Box::new(snapshot)));
        let announced = self.job.store.announce(&self.job.output, &status, STATUS_LIFE).await;
        self.announcement = Instant::now() + HEARTBEAT;
        announced
    }
}

impl From<Saved> for Progress {
    fn from(saved: Saved) -> Progress {
        Progress {
            sequence: saved.sequence,
            last_event: Some(saved.last_event),
            saved_at: Some(saved.saved_at),
            env: saved.env,
        }
    }
}
