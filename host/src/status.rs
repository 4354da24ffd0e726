//! How the host is doing: written by the worker, read by HTTP and by `{out}:status`.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use plugin_api::abi::{ABI_VERSION, Failure};
use serde::{Deserialize, Serialize};

use crate::plugin::{Loaded, NotLoaded, Signer, Step, mapped_libraries};

/// What is told, as `{out}:status` and `/status` show it.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Status {
    /// What the host is doing: `starting`, `running`, `store-unavailable`, `env-unreadable`, `standby`, `restarting` or `stopped`.
    pub state: State,
    /// Why it is not running, in a sentence; absent while it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// The handler's symbol.
    pub handler: String,
    /// The plugin that is loaded; none before the first one is.
    pub plugin: Option<PluginStatus>,
    /// What makes the host call: `push` is `poll` where the store tells nobody of writes; empty until the host works.
    pub trigger: Cow<'static, str>,
    /// Seconds between looks.
    pub period: f64,
    /// Keys that match the pattern, where the host works on one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub keys: Option<usize>,
    /// How many of them have their env in memory.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub envs: Option<usize>,
    /// Calls since the start, failed ones included.
    pub calls: u64,
    /// Failed calls since the start.
    pub failures: u64,
    /// The newest failure since the start.
    pub last_error: Option<LastError>,
    /// Events that were set aside since the start.
    pub dead: u64,
    /// How often the process that calls was started again, by the reason: how it ended, or why it was ended.
    pub restarts: BTreeMap<String, u64>,
    /// How many new versions of the plugin were put in place since the start, those that were gone back from included.
    pub reloads: u64,
    /// How many were not, by what failed.
    pub failed_reloads: BTreeMap<Step, u64>,
    /// What became of the newest version.
    pub last_reload: Option<LastReload>,
    /// Libraries that are mapped, those of replaced versions included: none is ever unloaded.
    pub mapped_libraries: usize,
    /// How long the last call took, in microseconds; of a batch the mean.
    pub last_call_us: Option<f64>,
    /// When this was written (ISO 8601, UTC).
    pub updated_at: String,
    /// The host's version.
    pub host_version: Cow<'static, str>,
}

/// What the host is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum State {
    /// Loading the plugin, and reading the store for the first time.
    Starting,
    /// Calling the handler when the trigger says so.
    Running,
    /// Waiting for the store to answer.
    StoreUnavailable,
    /// Waiting for an env that the handler can read.
    EnvUnreadable,
    /// Another host with the same output key is at work; this one takes its place when it is gone.
    Standby,
    /// The process that calls has ended, and is started again.
    Restarting,
    /// Stopped as asked.
    Stopped,
}

impl State {
    /// Whether the host does what it is there for, or would at once.
    pub fn is_ready(self) -> bool {
        matches!(self, State::Running | State::Standby)
    }
}

/// The plugin that is loaded.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct PluginStatus {
    /// The package's name.
    pub name: String,
    /// The package's version.
    pub version: String,
    /// The library's SHA-256 in hexadecimal digits.
    pub sha256: String,
    /// The SHA-256 of the ZIP that it came in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub zip_sha256: Option<String>,
    /// Who signed it, where that was asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub signer: Option<Signer>,
    /// The ABI that it is called by.
    pub abi: u32,
}

/// What became of a new version of the plugin.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct LastReload {
    /// When (ISO 8601, UTC).
    pub at: String,
    /// What failed; none where it was taken.
    pub failed: Option<Step>,
    /// The SHA-256 of its ZIP or library; none where nothing could be read.
    pub sha256: Option<String>,
    /// Why it was not taken.
    pub message: Option<String>,
}

/// A failure.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct LastError {
    /// When (ISO 8601, UTC).
    pub at: String,
    /// What failed: `input`, `error`, `panic`, `output`, `env`; `crash` and `timeout` where the process ended with it.
    pub kind: Cow<'static, str>,
    /// The error with its chain.
    pub message: String,
}

/// All that is told: the status, and what only `/metrics` shows.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Snapshot {
    /// The status.
    pub status: Status,
    /// What is counted besides.
    pub figures: Figures,
}

/// What is counted besides the status.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Figures {
    /// Calls by what they gave: `success`, or the kind of the failure.
    pub outcomes: BTreeMap<Cow<'static, str>, u64>,
    /// How many calls took at most as long as each of [`DURATIONS`], and longer.
    pub durations: [u64; DURATIONS.len() + 1],
    /// How long all calls took together, in seconds.
    pub duration_sum: f64,
    /// When the newest event was taken, in seconds since 1970.
    pub input_at: Option<f64>,
    /// How often an operation of the store failed.
    pub store_errors: u64,
    /// The size of the env that was committed last.
    pub env_bytes: u64,
}

/// The bounds of the histogram of calls' durations, in seconds.
pub const DURATIONS: [f64; 12] = [1e-6, 5e-6, 2e-5, 1e-4, 5e-4, 2e-3, 1e-2, 5e-2, 0.2, 1.0, 5.0, 30.0];

/// The status that worker and HTTP share. A plain mutex: it is held for copies only, never across an await.
pub struct Board(Mutex<Told>);

struct Told {
    status: Status,
    figures: Figures,
    /// What became of the newest version that could be read, while none can be.
    before_unread: Option<LastReload>,
}

impl Board {
    /// The status of a host that starts.
    pub fn new(handler: &str, period: Duration) -> Board {
        let status = Status {
            state: State::Starting,
            reason: Some("the plugin is not loaded yet".to_owned()),
            handler: handler.to_owned(),
            plugin: None,
            trigger: Cow::Borrowed(""),
            period: period.as_secs_f64(),
            keys: None,
            envs: None,
            calls: 0,
            failures: 0,
            last_error: None,
            dead: 0,
            restarts: BTreeMap::new(),
            reloads: 0,
            failed_reloads: BTreeMap::new(),
            last_reload: None,
            mapped_libraries: 0,
            last_call_us: None,
            updated_at: now(),
            host_version: Cow::Borrowed(env!("CARGO_PKG_VERSION")),
        };
        Board(Mutex::new(Told { status, figures: Figures::default(), before_unread: None }))
    }

    /// Goes on counting from what the process before has counted.
    pub(crate) fn carry_on(&self, before: Snapshot) {
        let mut told = self.lock();
        told.figures = before.figures;
        let Status { calls, failures, last_error, dead, restarts, .. } = before.status;
        let Status { reloads, failed_reloads, last_reload, .. } = before.status;
        let status = &mut told.status;
        (status.calls, status.failures, status.last_error, status.dead) = (calls, failures, last_error, dead);
        (status.reloads, status.failed_reloads, status.last_reload) = (reloads, failed_reloads, last_reload);
        status.restarts = restarts;
    }

    /// What is told now.
    pub fn status(&self) -> Status {
        self.snapshot().status
    }

    /// All that is told now.
    pub fn snapshot(&self) -> Snapshot {
        let told = self.lock();
        let status = Status { updated_at: now(), mapped_libraries: mapped_libraries(), ..told.status.clone() };
        Snapshot { status, figures: told.figures.clone() }
    }

    /// The host's state changed; gives the one before.
    pub(crate) fn enter(&self, state: State, reason: Option<String>) -> State {
        let status = &mut self.lock().status;
        status.reason = reason;
        std::mem::replace(&mut status.state, state)
    }

    /// What makes the host call, from now on.
    pub(crate) fn triggered_by(&self, kind: &'static str) {
        self.lock().status.trigger = Cow::Borrowed(kind);
    }

    /// So many calls succeeded, which took so long together.
    pub(crate) fn succeeded(&self, calls: usize, took: Duration) {
        self.lock().count_calls(calls, took, "success");
    }

    pub(crate) fn failed(&self, key: &str, took: Duration, failure: &Failure) {
        self.lock().count_calls(1, took, failure.kind.as_str());
        self.failed_at(key, failure.kind.as_str(), &failure.to_string());
    }

    /// An event was set aside.
    pub(crate) fn set_aside(&self) {
        self.lock().status.dead += 1;
    }

    /// An env of this size was committed.
    pub(crate) fn committed(&self, env_bytes: usize) {
        self.lock().figures.env_bytes = env_bytes as u64;
    }

    /// Something failed at a key, a call or what comes before it.
    pub(crate) fn failed_at(&self, key: &str, kind: &'static str, why: &str) {
        let status = &mut self.lock().status;
        status.failures += 1;
        status.last_error =
            Some(LastError { at: now(), kind: Cow::Borrowed(kind), message: format!("key {key}: {why}") });
    }

    /// The store can't be used now; told to whoever asks, and to the log where it is news.
    pub(crate) fn unavailable(&self, error: &store::Error) {
        self.store_failed();
        if self.enter(State::StoreUnavailable, Some(error.to_string())) != State::StoreUnavailable {
            tracing::warn!("not ready: {error}");
        }
    }

    /// An operation of the store has failed.
    pub(crate) fn store_failed(&self) {
        self.lock().figures.store_errors += 1;
    }

    /// A thread holds so many keys and envs now, and held so many `before`.
    pub(crate) fn holds(&self, before: [usize; 2], now: [usize; 2]) {
        let status = &mut self.lock().status;
        for ((total, before), now) in [&mut status.keys, &mut status.envs].into_iter().zip(before).zip(now) {
            *total = Some(total.unwrap_or_default() - before + now);
        }
    }

    /// This version of the plugin is the one that is called.
    pub(crate) fn loaded(&self, plugin: &Loaded) {
        self.lock().status.plugin = Some(PluginStatus::of(plugin));
    }

    pub(crate) fn reloaded(&self, plugin: &Loaded) {
        self.loaded(plugin);
        let status = &mut self.lock().status;
        status.reloads += 1;
        let sha256 = Some(plugin.verified.identity().to_owned());
        status.last_reload = Some(LastReload { at: now(), failed: None, sha256, message: None });
    }

    pub(crate) fn not_reloaded(&self, not: &NotLoaded) {
        let mut told = self.lock();
        *told.status.failed_reloads.entry(not.step).or_default() += 1;
        let (sha256, message) = (not.identity.clone(), Some(not.to_string()));
        let last = LastReload { at: now(), failed: Some(not.step), sha256, message };
        let before = told.status.last_reload.replace(last);
        if not.step == Step::Read && before.as_ref().is_none_or(|before| before.failed != Some(Step::Read)) {
            told.before_unread = before;
        }
    }

    /// What could not be read can be, and is what was there before.
    pub(crate) fn readable_again(&self) {
        let mut told = self.lock();
        if told.status.last_reload.as_ref().is_some_and(|last| last.failed == Some(Step::Read)) {
            told.status.last_reload = told.before_unread.take();
        }
    }

    fn lock(&self) -> MutexGuard<'_, Told> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Snapshot {
    /// A call ended its process.
    pub(crate) fn count_failure(&mut self, kind: &'static str, why: &str) {
        self.status.calls += 1;
        self.status.failures += 1;
        self.status.last_error = Some(LastError { at: now(), kind: Cow::Borrowed(kind), message: why.to_owned() });
        *self.figures.outcomes.entry(Cow::Borrowed(kind)).or_default() += 1;
    }
}

impl Told {
    fn count_calls(&mut self, calls: usize, took: Duration, outcome: &'static str) {
        let (count, seconds) = (calls as u64, took.as_secs_f64());
        let each = seconds / calls.max(1) as f64;
        self.status.calls += count;
        self.status.last_call_us = Some(each * 1e6);
        self.figures.input_at = SystemTime::now().duration_since(UNIX_EPOCH).ok().map(|since| since.as_secs_f64());
        *self.figures.outcomes.entry(Cow::Borrowed(outcome)).or_default() += count;
        self.figures.duration_sum += seconds;
        let place = DURATIONS.partition_point(|bound| *bound < each);
        if let Some(bucket) = self.figures.durations.get_mut(place) {
            *bucket += count;
        }
    }
}

impl PluginStatus {
    fn of(plugin: &Loaded) -> PluginStatus {
        PluginStatus {
            name: plugin.verified.manifest.name.clone(),
            version: plugin.verified.manifest.version.clone(),
            sha256: plugin.verified.sha256.clone(),
            zip_sha256: plugin.verified.zip_sha256.clone(),
            signer: plugin.verified.signer.clone(),
            abi: ABI_VERSION,
        }
    }
}

/// The time as ISO 8601 in UTC, to the millisecond.
pub(crate) fn now() -> String {
    humantime::format_rfc3339_millis(SystemTime::now()).to_string()
}
