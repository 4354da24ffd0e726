//! How the host is doing: written by the worker, read by HTTP and by `{out}:status`.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use plugin_api::abi::{ABI_VERSION, Failure};
use serde::Serialize;

use crate::plugin::Loaded;

/// What is told, as `{out}:status` and `/status` show it.
#[derive(Debug, Clone, Serialize)]
pub struct Status {
    /// What the host is doing.
    pub state: State,
    /// Why it is not running, in a sentence; absent while it is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// The handler's symbol.
    pub handler: String,
    /// The plugin that is loaded.
    pub plugin: PluginStatus,
    /// Seconds between looks.
    pub period: f64,
    /// Calls since the start, failed ones included.
    pub calls: u64,
    /// Failed calls since the start.
    pub failures: u64,
    /// The newest failure since the start.
    pub last_error: Option<LastError>,
    /// How long the last call took, in microseconds.
    pub last_call_us: Option<f64>,
    /// When this was written (ISO 8601, UTC).
    pub updated_at: String,
    /// The host's version.
    pub host_version: &'static str,
}

/// What the host is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum State {
    /// Reading the store for the first time.
    Starting,
    /// Calling the handler when the trigger says so.
    Running,
    /// Waiting for the store to answer.
    StoreUnavailable,
    /// Waiting for an env that the handler can read.
    EnvUnreadable,
    /// Stopped as asked.
    Stopped,
}

/// The plugin that is loaded.
#[derive(Debug, Clone, Serialize)]
pub struct PluginStatus {
    /// The package's name.
    pub name: String,
    /// The package's version.
    pub version: String,
    /// The library's SHA-256 in hexadecimal digits.
    pub sha256: String,
    /// The ABI that it is called by.
    pub abi: u32,
}

/// A failure.
#[derive(Debug, Clone, Serialize)]
pub struct LastError {
    /// When (ISO 8601, UTC).
    pub at: String,
    /// What failed: `input`, `error`, `panic`, `output`, `env`.
    pub kind: &'static str,
    /// The error with its chain.
    pub message: String,
}

/// The status that worker and HTTP share. A plain mutex: it is held for copies only, never across an await.
pub struct Board(Mutex<Status>);

impl Board {
    /// The status of a host that starts.
    pub fn new(plugin: &Loaded, period: Duration) -> Board {
        Board(Mutex::new(Status {
            state: State::Starting,
            reason: None,
            handler: plugin.verified.symbol.clone(),
            plugin: PluginStatus::of(plugin),
            period: period.as_secs_f64(),
            calls: 0,
            failures: 0,
            last_error: None,
            last_call_us: None,
            updated_at: now(),
            host_version: env!("CARGO_PKG_VERSION"),
        }))
    }

    /// What is told now.
    pub fn snapshot(&self) -> Status {
        Status { updated_at: now(), ..self.lock().clone() }
    }

    /// The host's state changed; gives the one before.
    pub(crate) fn enter(&self, state: State, reason: Option<String>) -> State {
        let mut status = self.lock();
        status.reason = reason;
        std::mem::replace(&mut status.state, state)
    }

    pub(crate) fn succeeded(&self, took: Duration) {
        self.lock().count_call(took);
    }

    pub(crate) fn failed(&self, key: &str, took: Duration, failure: &Failure) {
        let mut status = self.lock();
        status.count_call(took);
        status.failures += 1;
        let message = format!("key {key}: {failure}");
        status.last_error = Some(LastError { at: now(), kind: failure.kind.as_str(), message });
    }

    pub(crate) fn loaded(&self, plugin: &Loaded) {
        self.lock().plugin = PluginStatus::of(plugin);
    }

    fn lock(&self) -> MutexGuard<'_, Status> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Status {
    fn count_call(&mut self, took: Duration) {
        self.calls += 1;
        self.last_call_us = Some(took.as_nanos() as f64 / 1000.0);
    }
}

impl PluginStatus {
    fn of(plugin: &Loaded) -> PluginStatus {
        PluginStatus {
            name: plugin.verified.manifest.name.clone(),
            version: plugin.verified.manifest.version.clone(),
            sha256: plugin.verified.sha256.clone(),
            abi: ABI_VERSION,
        }
    }
}

/// The time as ISO 8601 in UTC, to the millisecond.
pub(crate) fn now() -> String {
    humantime::format_rfc3339_millis(SystemTime::now()).to_string()
}
