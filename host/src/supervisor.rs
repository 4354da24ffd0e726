//! The parent of the process that calls handlers.
//!
//! A handler is native code: it can end its process, or never return. So `run` is two processes. The supervisor runs no
//! code of plugins: it starts the worker, ends it where a call takes too long, starts it again, passes signals on, holds
//! the lease and answers HTTP. Env and progress are in the store, where the next worker takes them up; what it must know
//! besides, the supervisor tells it: which events were in flight when others before it ended, and what was counted.

mod lease;
mod process;
mod restarts;

use std::collections::VecDeque;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, Result};
use rustix::process::{WaitOptions, wait};
use store::{Keys, Store};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep_until, timeout};

use self::lease::Holding;
use self::process::{Ending, Process, end_in_words};
use self::restarts::Restarts;
use crate::config::Config;
use crate::control::{Beginning, Report, Suspect, identity};
use crate::flight::{Flights, InFlight, monotonic};
use crate::http::{self, Telling};
use crate::status::{Board, Snapshot, State, Status, now};
use crate::worker::STATUS_LIFE;

/// A worker that maps so many libraries is replaced: none is ever unloaded.
const MOST_LIBRARIES: usize = 64;

/// How long a worker may take to say how it is going; then what it said last is told.
const ANSWER_WITHIN: Duration = Duration::from_millis(300);

/// How long what a worker said last is waited for.
const LAST_WORDS_WITHIN: Duration = Duration::from_millis(50);

/// The most events that are remembered because a worker ended with them.
const MOST_SUSPECTS: usize = 64;

/// A worker that is started again sooner says itself how it is going.
const ANNOUNCED_FROM: Duration = Duration::from_millis(500);

/// How long a worker may take to end besides its call.
const END_WITHIN: Duration = Duration::from_secs(5);

/// The supervisor.
struct Supervisor {
    flights: Flights,
    timeout: Duration,
    memory_limit: Option<u64>,
    process: Option<Process>,
    /// How many processes there were.
    started: u64,
    reports: mpsc::Sender<(u64, Report)>,
    heard: mpsc::Receiver<(u64, Report)>,
    /// What was told last.
    snapshot: Snapshot,
    /// Who waits for what is told next, and until when.
    asked: VecDeque<(Instant, oneshot::Sender<Snapshot>)>,
    suspects: Vec<Suspect>,
    restarts: Restarts,
    /// The last worker's end was not planned.
    cautious: bool,
    holding: watch::Receiver<Holding>,
    /// Where `{out}:status` lies, which no worker writes while there is none.
    store: Store,
    keys: Keys,
    /// Writes it.
    announcing: Option<JoinHandle<()>>,
    /// A worker could begin once: from then on nothing but a signal ends the host.
    has_begun: bool,
    /// When calls that take too long are looked for.
    look: Instant,
    /// When the next worker is started.
    restart: Option<Instant>,
    /// When a worker that was told to end is killed.
    kill: Option<Instant>,
    stopping: bool,
    ended: Option<ExitCode>,
}

/// Supervises until it is told to stop.
///
/// # Errors
///
/// The state folder can't be written to, or the HTTP address is taken.
pub async fn run(config: Config) -> Result<ExitCode> {
    let mut terminate = signal(SignalKind::terminate()).context("can't listen for SIGTERM")?;
    let mut interrupt = signal(SignalKind::interrupt()).context("can't listen for SIGINT")?;
    let mut child = signal(SignalKind::child()).context("can't listen for SIGCHLD")?;
    let keys = match &config.pattern {
        Some((_, output)) => Keys::of(&output.with("*"))?,
        None => config.output.clone(),
    };
    let flights = Flights::open(config.loading.state_dir.as_deref(), &keys.lease)?;
    let (ask, mut asks) = mpsc::channel(64);
    if let Some(address) = &config.http {
        http::serve(address, Telling::Supervisor(ask))?;
    }
    let store = Store::new(config.store, config.credentials);
    let (lease, mut holding) =
        lease::keep(store.clone(), keys.clone(), flights.token().to_owned(), config.lease_period);
    let (reports, heard) = mpsc::channel(64);
    let mut supervisor = Supervisor {
        timeout: config.handler_timeout,
        memory_limit: config.memory_limit.or_else(crate::limits::of_cgroup),
        process: None,
        started: 0,
        reports,
        heard,
        snapshot: Board::new(&config.handler.symbol, config.period).snapshot(),
        asked: VecDeque::new(),
        suspects: Vec::new(),
        restarts: Restarts::default(),
        cautious: false,
        holding: holding.clone(),
        store,
        keys,
        announcing: None,
        has_begun: false,
        look: Instant::now(),
        restart: None,
        kill: None,
        stopping: false,
        ended: None,
        flights,
    };
    supervisor.suspect(supervisor.flights.take(), "the host ended in the middle of the call");
    supervisor.start();
    let exit = loop {
        if let Some(exit) = supervisor.ended {
            break exit;
        }
        let wake = supervisor.wake();
        tokio::select! {
            _ = terminate.recv() => supervisor.stop(),
            _ = interrupt.recv() => supervisor.stop(),
            _ = child.recv() => supervisor.reap().await,
            Some((number, report)) = supervisor.heard.recv() => supervisor.hear(number, report),
            Some(asked) = asks.recv() => supervisor.ask(asked),
            changed = holding.changed() => {
                changed.context("nobody keeps the lease any more: see the panic above")?;
                supervisor.lease_changed();
            }
            () = sleep_until(wake) => supervisor.awake(),
        }
    };
    lease.release().await;
    supervisor.leave_behind();
    Ok(exit)
}

impl Supervisor {
    /// Starts a worker; again later if that fails.
    fn start(&mut self) {
        self.restart = None;
        if let Some(announcing) = self.announcing.take() {
            // The worker says what comes next.
            announcing.abort();
        }
        self.started += 1;
        let started = self.flights.place().and_then(|flights| {
            let beginning = Beginning {
                flights,
                suspects: self.suspects.clone(),
                counted: Some(self.snapshot.clone()),
                cautious: self.cautious,
                memory_limit: self.memory_limit,
            };
            Process::start(self.started, beginning, self.reports.clone())
        });
        match started {
            Ok(process) => self.process = Some(process),
            Err(error) => {
                tracing::error!("the worker can't be started: {error:#}");
                self.restart = Some(Instant::now() + self.restarts.next(false));
            }
        }
    }

    /// The first time: lets the call end and be committed. The second time: ends now.
    fn stop(&mut self) {
        let again = std::mem::replace(&mut self.stopping, true);
        match &self.process {
            None => self.ended = Some(ExitCode::SUCCESS),
            Some(process) if again => {
                tracing::warn!("told to stop once more: the call that is under way is given up");
                process.kill();
                self.ended = Some(ExitCode::FAILURE);
            }
            Some(_) => {
                tracing::info!("stopping: a call that is under way ends first");
                self.end_worker(None);
            }
        }
    }

    fn end_worker(&mut self, why: Option<Ending>) {
        if let Some(process) = &mut self.process {
            process.ending = process.ending.or(why);
            process.end();
            self.kill = self.kill.or(Some(Instant::now() + self.timeout + END_WITHIN));
        }
    }

    /// Buries whatever has ended: as process 1 also those whose parents are gone.
    async fn reap(&mut self) {
        while let Ok(Some((pid, status))) = wait(WaitOptions::NOHANG) {
            let Some(process) = self.process.as_mut().filter(|process| process.pid == pid) else { continue };
            process.is_over = true;
            // What it has said last counts; a child of its own may keep its socket open.
            timeout(LAST_WORDS_WITHIN, &mut process.reader).await.ok();
            while let Ok((number, report)) = self.heard.try_recv() {
                self.hear(number, report);
            }
            if let Some(process) = self.process.take() {
                self.worker_ended(&process, status);
            }
        }
    }

    fn worker_ended(&mut self, process: &Process, status: rustix::process::WaitStatus) {
        self.kill = None;
        self.cautious = process.ending.is_none();
        let has_committed = self.flights.progress() > 0;
        let (word, words) = end_in_words(status);
        let mut left = self.flights.take();
        if process.given_up {
            left.retain(|call| self.is_overdue(call));
        }
        if process.ending == Some(Ending::Refused) && !self.has_begun {
            self.ended = Some(ExitCode::FAILURE);
            return;
        }
        let (word, reason) = match process.ending {
            Some(Ending::Timeout) => {
                let seconds = self.timeout.as_secs_f64();
                let reason = format!("the call took longer than HANDLER_TIMEOUT, {seconds} s");
                let overdue = left.into_iter().filter(|call| self.is_overdue(call)).collect();
                self.failed(overdue, "timeout", &reason);
                ("timeout", reason)
            }
            Some(Ending::Refused) => {
                let refusal = self.snapshot.status.reason.take().unwrap_or_default();
                (Ending::Refused.as_str(), refusal)
            }
            Some(planned) => {
                // Nothing is under way after an end in order: a call may have ended the process all the same.
                self.failed(left, "crash", &format!("the call ended the process: {words}"));
                (planned.as_str(), format!("it was replaced ({})", planned.as_str()))
            }
            None => {
                let what = if left.is_empty() { "the process ended" } else { "the call ended the process" };
                let reason = format!("{what}: {words}");
                self.failed(left, "crash", &reason);
                (word.as_str(), reason)
            }
        };
        if self.stopping {
            self.ended = Some(ExitCode::SUCCESS);
            return;
        }
        *self.snapshot.status.restarts.entry(word.to_owned()).or_default() += 1;
        let wait = match process.ending {
            Some(Ending::Lease | Ending::Libraries | Ending::NewVersion) => Duration::ZERO,
            _ => self.restarts.next(has_committed),
        };
        if process.ending.is_none_or(|ending| matches!(ending, Ending::Timeout | Ending::Refused)) {
            tracing::error!(reason = word, again_in_ms = wait.as_millis() as u64, "the worker has ended: {words}");
        }
        self.snapshot.status.state = State::Restarting;
        self.snapshot.status.reason = Some(format!("the worker has ended and is started again: {reason}"));
        self.restart = Some(Instant::now() + wait);
        if wait >= ANNOUNCED_FROM && *self.holding.borrow() == Holding::Held {
            self.announce();
        }
    }

    /// Writes `{out}:status` in the worker's place.
    fn announce(&mut self) {
        let status = Status { updated_at: now(), ..self.snapshot.status.clone() };
        let (store, keys) = (self.store.clone(), self.keys.clone());
        let status = serde_json::to_vec(&status).unwrap_or_default();
        self.announcing = Some(tokio::spawn(async move {
            // A store that is away is told of by the lease's keeper.
            store.announce(&keys, &status, STATUS_LIFE).await.ok();
        }));
    }

    /// Counts calls that ended the worker, and remembers their events.
    fn failed(&mut self, calls: Vec<InFlight>, kind: &'static str, reason: &str) {
        for call in &calls {
            let what = if call.id.is_empty() { "opening the handler".to_owned() } else { format!("event {}", call.id) };
            tracing::error!(event = call.id, attempt = call.attempt, kind, "{what}: {reason}");
            self.snapshot.count_failure(kind, &format!("{what}: {reason}"));
        }
        self.suspect(calls, reason);
    }

    fn suspect(&mut self, calls: Vec<InFlight>, reason: &str) {
        // While a handler is opened there is no event.
        for InFlight { key, id, attempt, .. } in calls.into_iter().filter(|call| !call.id.is_empty()) {
            let id = identity(&id).to_owned();
            self.suspects.retain(|known| (known.key, &known.id) != (key, &id));
            self.suspects.push(Suspect { key, id, attempts: attempt, reason: reason.to_owned() });
        }
        let too_many = self.suspects.len().saturating_sub(MOST_SUSPECTS);
        self.suspects.drain(..too_many);
    }

    fn hear(&mut self, number: u64, report: Report) {
        if self.process.as_ref().is_none_or(|process| process.number != number) {
            return;
        }
        match report {
            Report::Loaded => {
                self.has_begun = true;
                if let Some(process) = &mut self.process {
                    process.loaded = true;
                }
                self.lease_changed();
            }
            Report::Refused(reason) => {
                self.snapshot.status.reason = Some(reason);
                self.end_worker(Some(Ending::Refused));
            }
            Report::Now(snapshot) => {
                self.snapshot = *snapshot;
                if let Some(process) = &mut self.process {
                    process.answered();
                }
                while let Some((_, asked)) = self.asked.pop_front() {
                    // Whoever asked may have gone.
                    asked.send(self.told()).ok();
                }
                if self.snapshot.status.mapped_libraries > MOST_LIBRARIES {
                    let mapped = self.snapshot.status.mapped_libraries;
                    tracing::info!("the worker is replaced: {mapped} libraries are mapped");
                    self.end_worker(Some(Ending::Libraries));
                }
            }
            Report::NewVersion => {
                tracing::info!("a new version of the plugin is there: the worker is replaced");
                self.end_worker(Some(Ending::NewVersion));
            }
            Report::Settled { key, id } => self.suspects.retain(|known| (known.key, &known.id) != (key, &id)),
        }
    }

    /// Asks the worker how it is going.
    fn ask(&mut self, asked: oneshot::Sender<Snapshot>) {
        match &mut self.process {
            Some(process) => {
                process.ask();
                self.asked.push_back((Instant::now() + ANSWER_WITHIN, asked));
            }
            None => {
                asked.send(self.told()).ok();
            }
        }
    }

    /// What is told: what the worker said last, unless it waits for the lease.
    fn told(&self) -> Snapshot {
        let mut snapshot = self.snapshot.clone();
        if self.stopping {
            (snapshot.status.state, snapshot.status.reason) = (State::Stopped, Some("it is stopping".to_owned()));
        } else if self.process.as_ref().is_some_and(|process| process.loaded && !process.gone) {
            let (state, reason) = match &*self.holding.borrow() {
                Holding::Unknown(None) | Holding::Held => return snapshot,
                Holding::Unknown(Some(error)) => (State::StoreUnavailable, error.clone()),
                Holding::Other(holder) => (State::Standby, format!("{holder} is at work")),
            };
            (snapshot.status.state, snapshot.status.reason) = (state, Some(reason));
        }
        snapshot
    }

    /// Has a worker that is ready begin where the lease is held, and one that works end where another host has it.
    fn lease_changed(&mut self) {
        let holding = self.holding.borrow().clone();
        if let Holding::Unknown(Some(error)) = &holding {
            tracing::warn!("not ready: {error}");
        }
        let Some(process) = &mut self.process else { return };
        match holding {
            Holding::Held if process.loaded && !process.gone && process.ending.is_none() => {
                process.go();
            }
            Holding::Other(holder) if process.gone && process.ending.is_none() => {
                tracing::warn!("{holder} has taken this host's place: standing by");
                self.end_worker(Some(Ending::Lease));
            }
            _ => {}
        }
    }

    /// When something is to be done though nothing is heard.
    fn wake(&self) -> Instant {
        let asked = self.asked.front().map(|(until, _)| *until);
        [asked, self.restart, self.kill].into_iter().flatten().fold(self.look, Instant::min)
    }

    fn awake(&mut self) {
        let now = Instant::now();
        while self.asked.front().is_some_and(|(until, _)| *until <= now) {
            if let Some((_, asked)) = self.asked.pop_front() {
                asked.send(self.told()).ok();
            }
        }
        if self.restart.is_some_and(|restart| restart <= now) {
            self.start();
        }
        if self.kill.take_if(|kill| *kill <= now).is_some()
            && let Some(process) = &mut self.process
        {
            process.given_up = true;
            tracing::error!("the worker doesn't end: killed");
            process.kill();
        }
        if self.look <= now {
            self.look_at_calls(now);
        }
    }

    /// Ends a worker whose call takes too long, since a thread can't be ended. A call that begins later can't take too
    /// long before another time-out has passed, so that is when the next look is due.
    fn look_at_calls(&mut self, now: Instant) {
        let calls = self.flights.in_flight();
        if calls.iter().any(|call| self.is_overdue(call))
            && let Some(process) = &mut self.process
        {
            process.ending.get_or_insert(Ending::Timeout);
            process.kill();
        }
        let passed = monotonic();
        let left = calls.iter().map(|call| (call.since + self.timeout).saturating_sub(passed));
        let next = left.filter(|left| !left.is_zero()).fold(self.timeout, Duration::min);
        self.look = now + next + Duration::from_millis(1);
    }

    fn is_overdue(&self, call: &InFlight) -> bool {
        monotonic().saturating_sub(call.since) >= self.timeout
    }

    /// What the next host should know stays in the file.
    fn leave_behind(self) {
        match self.suspects.is_empty() {
            true => self.flights.end(),
            false => self.flights.leave(&self.suspects),
        }
    }
}
