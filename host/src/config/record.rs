//! What `record` is told: where inputs come from, read as `run` reads it.

use std::time::Duration;

use clap::Args;
use store::{Address, Credentials};

use super::reader::Reader;
use super::settings::{self, Setting};
use super::values::choice;
use super::{Faults, TriggerKind};

/// The flags that say what is recorded.
#[derive(Debug, Default, Args)]
pub struct RecordFlags {
    #[arg(long, value_name = "URL", help = settings::STORE_URL.help())]
    store: Option<String>,
    #[arg(long, value_name = "KEY", help = KEY.help())]
    key: Option<String>,
    #[arg(long, value_name = "KIND", help = TRIGGER.help())]
    trigger: Option<String>,
    #[arg(long, value_name = "SECONDS", help = settings::MONITORING_PERIOD.help())]
    period: Option<String>,
}

/// The input key, which has another flag here.
const KEY: Setting = Setting { flag: "--key", meaning: "The key to read, or the stream", ..settings::REDIS_INPUT_KEY };

/// The trigger, which is about reading here.
const TRIGGER: Setting = Setting {
    default: Some("push"),
    meaning: "When to read it: `push` (as soon as it is written; a look each period where the store tells nobody), `poll` (a \
              look each period) or `stream` (each entry, from the oldest that is there)",
    ..settings::TRIGGER
};

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
        let key = reader.text_or_default(self.key, &KEY);
        if key.contains('*') {
            reader.fault(&KEY, "a pattern stands for many keys: name one of them");
        }
        let by = match reader.parse(self.trigger, &TRIGGER, choice) {
            TriggerKind::Push => Recording::Push,
            TriggerKind::Poll => Recording::Poll,
            TriggerKind::Stream => Recording::Stream,
            TriggerKind::Timer => {
                reader.fault(&TRIGGER, "a timer reads nothing: use push, poll or stream");
                Recording::Poll
            }
        };
        if by == Recording::Stream && store.as_ref().is_some_and(|store| store.file().is_some()) {
            reader.fault(&TRIGGER, "a SQLite file has no streams: use a Redis, or another trigger");
        }
        let period = reader.period(self.period);
        match store {
            Some(store) if reader.faults.0.is_empty() => Ok(Recorded { store, credentials, key, by, period }),
            _ => Err(reader.faults),
        }
    }
}
