//! What `record` is told: where inputs come from, read as `run` reads it.

use std::time::Duration;

use clap::Args;
use store::{Address, Credentials};

use super::reader::Reader;
use super::values::choice;
use super::{Faults, TriggerKind};

/// The flags that say what is recorded.
#[derive(Debug, Default, Args)]
pub struct RecordFlags {
    /// Where data lies: redis://HOST:PORT, redis+sentinel://HOST:PORT,…/MASTER, redis+cluster://HOST:PORT,… (each with
    /// rediss for TLS), unix:PATH or sqlite:PATH [env: STORE_URL] [default: made of REDIS_HOST, REDIS_PORT]
    #[arg(long, value_name = "URL")]
    store: Option<String>,
    /// The key to read, or the stream [env: REDIS_INPUT_KEY] [default: metrics]
    #[arg(long, value_name = "KEY")]
    key: Option<String>,
    /// When to read it: push (as soon as it is written; a look each period where the store tells nobody), poll (a look each
    /// period) or stream (each entry, from the oldest that is there) [env: TRIGGER] [default: push]
    #[arg(long, value_name = "KIND")]
    trigger: Option<String>,
    /// Seconds between looks, fractions allowed [env: MONITORING_PERIOD or INTERVAL] [default: 5]
    #[arg(long, value_name = "SECONDS")]
    period: Option<String>,
}

/// What is recorded.
#[derive(Debug)]
pub struct Recorded {
    /// Where data lies.
    pub store: Address,
    /// How to sign in there.
    pub credentials: Credentials,
    /// The key, or the stream.
    pub key: String,
    /// How it is read.
    pub by: Recording,
    /// The time between looks.
    pub period: Duration,
}

/// How inputs are read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Recording {
    /// As soon as the key is written.
    Push,
    /// Every period.
    Poll,
    /// Entry by entry of a stream.
    Stream,
}

impl RecordFlags {
    /// Checks flags and variables together.
    ///
    /// # Errors
    ///
    /// Every fault, each with its variable and flag.
    pub fn resolve(self, variable: impl Fn(&str) -> Option<String>) -> Result<Recorded, Faults> {
        let mut reader = Reader { variable, faults: Faults::default() };
        let store = reader.reached(self.store);
        let credentials = reader.credentials();
        let key = reader.text(self.key, "REDIS_INPUT_KEY").unwrap_or_else(|| "metrics".to_owned());
        if key.contains('*') {
            reader.fault("REDIS_INPUT_KEY", "--key", "a pattern stands for many keys: name one of them");
        }
        let by = match reader.parse(self.trigger, "TRIGGER", "--trigger", TriggerKind::Push, choice) {
            TriggerKind::Push => Recording::Push,
            TriggerKind::Poll => Recording::Poll,
            TriggerKind::Stream => Recording::Stream,
            TriggerKind::Timer => {
                reader.fault("TRIGGER", "--trigger", "a timer reads nothing: use push, poll or stream");
                Recording::Poll
            }
        };
        if by == Recording::Stream && store.as_ref().is_some_and(|store| store.file().is_some()) {
            reader.fault("TRIGGER", "--trigger", "a SQLite file has no streams: use a Redis, or another trigger");
        }
        let period = reader.period(self.period);
        match store {
            Some(store) if reader.faults.0.is_empty() => Ok(Recorded { store, credentials, key, by, period }),
            _ => Err(reader.faults),
        }
    }
}
