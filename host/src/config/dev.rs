//! What `dev` is told: where data lies and what makes it call. It reads no variable but those that a Redis takes to be
//! reached.

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use store::{Address, Credentials};

use super::reader::Reader;
use super::values::{events_a_second, seconds};
use super::{Faults, TriggerKind};

/// The flags that say what is called, and when.
#[derive(Debug, Args)]
pub struct DevFlags {
    /// Where data lies: redis://HOST:PORT or sqlite:PATH [default: plugin-host/dev.db in cargo's target folder, or
    /// .plugin-host/dev.db beside a module, begun anew at each start]
    #[arg(long, value_name = "URL")]
    store: Option<String>,
    /// What makes it call, as of run: the inputs are written to the store, where poll looks each period, push is told at
    /// once, and stream reads each entry (of a Redis); timer has the input null each period [default: each input is
    /// called as soon as it is written]
    #[arg(long, value_name = "KIND", value_enum, hide_possible_values = true)]
    trigger: Option<TriggerKind>,
    /// Seconds between inputs and between looks, fractions allowed
    #[arg(long, value_name = "SECONDS", default_value = "1", value_parser = seconds)]
    period: Duration,
    /// Inputs a second, fractions allowed [default: one a period]
    #[arg(long, value_name = "N", value_parser = events_a_second)]
    rate: Option<Duration>,
    /// A file of JSON lines to take as input, one after another, over and over [default: inputs.jsonl of the crate if
    /// there is one, else this machine's figures]
    #[arg(long, value_name = "FILE")]
    input: Option<PathBuf>,
}

/// What is called, and when.
#[derive(Debug)]
pub struct Developed {
    /// Where data lies; none for a file of its own.
    pub store: Option<Address>,
    /// How to sign in there.
    pub credentials: Credentials,
    /// What makes it call.
    pub trigger: DevTrigger,
    /// The time between looks.
    pub period: Duration,
    /// The time between inputs.
    pub pace: Duration,
    /// The file of inputs.
    pub input: Option<PathBuf>,
}

/// What makes `dev` call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DevTrigger {
    /// Each input, as soon as it is written.
    Each,
    /// A look each period.
    Poll,
    /// Whoever writes the key.
    Push,
    /// Each entry of a stream.
    Stream,
    /// Every period, with the input `null`.
    Timer,
}

impl DevFlags {
    /// Checks flags and variables together.
    ///
    /// # Errors
    ///
    /// Every fault, each with its variable or flag.
    pub fn resolve(self, variable: impl Fn(&str) -> Option<String>) -> Result<Developed, Faults> {
        let mut reader = Reader { variable, faults: Faults::default() };
        let url = self.store.filter(|url| !url.is_empty());
        let named = url.is_some();
        let (store, credentials) = match url {
            Some(url) => (reader.reached(Some(url)), reader.credentials()),
            None => (None, Credentials::default()),
        };
        let is_file = store.as_ref().is_none_or(|store| store.file().is_some());
        let trigger = match self.trigger {
            None => DevTrigger::Each,
            Some(TriggerKind::Poll) => DevTrigger::Poll,
            Some(TriggerKind::Push) => DevTrigger::Push,
            Some(TriggerKind::Stream) => DevTrigger::Stream,
            Some(TriggerKind::Timer) => DevTrigger::Timer,
        };
        if trigger == DevTrigger::Stream && is_file && (!named || store.is_some()) {
            let fault = "a SQLite file has no streams: name a Redis (--store redis://HOST:PORT), or another trigger";
            reader.faults.0.push(format!("--trigger: {fault}"));
        }
        for (flag, given) in [("--input", self.input.is_some()), ("--rate", self.rate.is_some())] {
            if given && trigger == DevTrigger::Timer {
                reader.faults.0.push(format!("{flag}: a timer takes no inputs: its input is null, every period"));
            }
        }
        if !reader.faults.0.is_empty() {
            return Err(reader.faults);
        }
        let (period, pace) = (self.period, self.rate.unwrap_or(self.period));
        Ok(Developed { store, credentials, trigger, period, pace, input: self.input })
    }
}
