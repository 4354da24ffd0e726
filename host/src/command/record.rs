//! `plugin-host record`: writes what a key holds, value after value, as JSON lines that `invoke` and `dev` take as input.

use std::io::{self, ErrorKind, Write};
use std::num::NonZeroU64;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, Result};
use clap::Args;
use serde::de::IgnoredAny;
use store::{Access, Options, Store};

use super::{Signals, runtime, stop_signal};
use crate::config::{LogFormat, RecordFlags, Recorded, Recording, variable};
use crate::logging;
use crate::trigger::{Event, Poll, Push, Trigger, stream_input};

/// How many entries of a stream are read at once.
const BATCH: usize = 100;
/// How long a read waits for new entries.
const WAIT: Duration = Duration::from_secs(2);

/// The variables that have no flag, for `--help`.
const VARIABLES: &str = "\
Variables without flags, as of run: REDIS_HOST, REDIS_PORT, REDIS_USERNAME, REDIS_PASSWORD, REDIS_PASSWORD_FILE, \
REDIS_CA_FILE, REDIS_CERT_FILE, REDIS_KEY_FILE.";

/// Writes what a key holds now, and each other value that follows, to standard output, a line each; nothing in the store
/// changes by it
#[derive(Args)]
#[command(after_help = VARIABLES)]
pub struct Arguments {
    #[command(flatten)]
    recorded: RecordFlags,
    /// How many values to write [default: until it is stopped]
    #[arg(long, value_name = "N")]
    count: Option<NonZeroU64>,
}

/// Writes values until there are as many as were asked for, it is stopped, or nobody reads any more.
///
/// # Errors
///
/// The configuration is wrong, the store fails, or the lines can't be written.
pub fn record(arguments: Arguments) -> Result<ExitCode> {
    logging::start(LogFormat::Text, Some(&variable("RUST_LOG").unwrap_or_else(|| "warn".to_owned())));
    let recorded = arguments.recorded.resolve(variable)?;
    let lines = Lines { wanted: arguments.count.map(NonZeroU64::get) };
    runtime()?.block_on(async {
        let (mut stop, _end) = stop_signal(Signals::TerminateOrInterrupt)?;
        tokio::select! {
            _ = stop.wait_for(|stop| *stop) => Ok(ExitCode::SUCCESS),
            written = write(&recorded, lines) => written.map(|()| ExitCode::SUCCESS),
        }
    })
}

async fn write(recorded: &Recorded, mut lines: Lines) -> Result<()> {
    let options = Options { credentials: recorded.credentials.clone(), access: Access::Existing, ..Options::default() };
    let store = Store::with(recorded.store.clone(), options);
    let key = &recorded.key;
    let mut trigger = match recorded.by {
        Recording::Stream => return write_stream(&store, key, lines).await,
        Recording::Poll => Trigger::Poll(Poll::new(key, recorded.period, usize::MAX)),
        Recording::Push => Trigger::Push(Push::new(key, recorded.period, usize::MAX)),
    };
    loop {
        for Event { bytes, id, .. } in trigger.next(&store, None).await? {
            if lines.write(bytes, &id)? == Wanted::NoMore {
                return Ok(());
            }
        }
    }
}

async fn write_stream(store: &Store, stream: &str, mut lines: Lines) -> Result<()> {
    let mut after = "0".to_owned();
    loop {
        for entry in store.entries_after(stream, &after, BATCH, WAIT).await? {
            if lines.write(stream_input(entry.fields.unwrap_or_default()), &entry.id)? == Wanted::NoMore {
                return Ok(());
            }
            after = entry.id;
        }
    }
}

/// Whether more lines are to be written.
#[derive(PartialEq, Eq)]
enum Wanted {
    More,
    NoMore,
}

/// What is written.
struct Lines {
    /// How many more; none for as many as come.
    wanted: Option<u64>,
}

impl Lines {
    /// Writes a value as one line. Each is shown at once: whoever stops it has them all.
    fn write(&mut self, bytes: Vec<u8>, id: &str) -> Result<Wanted> {
        let Some(mut line) = in_one_line(bytes) else {
            eprintln!("left out {id}: it has no form as one line, being empty, or of several lines and no JSON");
            return Ok(Wanted::More);
        };
        line.push(b'\n');
        match io::stdout().write_all(&line).and_then(|()| io::stdout().flush()) {
            Err(error) if error.kind() == ErrorKind::BrokenPipe => return Ok(Wanted::NoMore),
            written => written.context("can't write the line")?,
        }
        if let Some(wanted) = &mut self.wanted {
            *wanted -= 1;
        }
        Ok(if self.wanted == Some(0) { Wanted::NoMore } else { Wanted::More })
    }
}

/// Ends of lines within JSON mean as much as blanks: its texts have them escaped.
fn in_one_line(mut bytes: Vec<u8>) -> Option<Vec<u8>> {
    let is_end = |byte: &u8| matches!(byte, b'\n' | b'\r');
    if bytes.iter().any(is_end) {
        serde_json::from_slice::<IgnoredAny>(&bytes).ok()?;
        bytes.iter_mut().filter(|byte| is_end(byte)).for_each(|byte| *byte = b' ');
    }
    Some(bytes.trim_ascii().to_owned()).filter(|line| !line.is_empty())
}
