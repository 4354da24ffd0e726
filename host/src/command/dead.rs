//! `plugin-host dead`: shows the events that were set aside, and has them called once more.

use std::borrow::Cow;
use std::fmt::Write as _;
use std::io::{self, Write};
use std::process::ExitCode;

use anyhow::{Result, bail};
use clap::{Args, Subcommand, ValueEnum};
use serde::Serialize;
use store::{Access, DeadEntry, Keys, Options, Replayed, Store};

use super::inspect::printable;
use super::runtime;
use crate::config::{Asides, DataFlags, variable};

/// How many events are read at once: each may have as many bytes as an input may.
const PAGE: usize = 16;

/// The variables that have no flag, for `--help`.
const VARIABLES: &str = "\
Variables without flags, as of run: REDIS_HOST, REDIS_PORT, REDIS_USERNAME, REDIS_PASSWORD, REDIS_PASSWORD_FILE, \
REDIS_CA_FILE, REDIS_CERT_FILE, REDIS_KEY_FILE, DEAD_MAX.";

/// Shows the events that a host has set aside, and has them called once more
#[derive(Args)]
pub struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    List(ListArguments),
    Replay(ReplayArguments),
}

/// Lists the events that were set aside, the newest first
#[derive(Args)]
#[command(after_help = VARIABLES)]
struct ListArguments {
    #[command(flatten)]
    data: DataFlags,
    /// How many events to list at most
    #[arg(long, value_name = "N", default_value_t = 100)]
    count: usize,
    /// How to print them: as text, or as one JSON object a line, with all of an event's bytes
    #[arg(long, value_enum, default_value_t = Format::Text)]
    format: Format,
}

/// Has events that were set aside called once more: those of a stream are appended to it again; those of a key wait until
/// a running host calls them out of turn
#[derive(Args)]
#[command(after_help = VARIABLES)]
struct ReplayArguments {
    #[command(flatten)]
    which: Which,
    #[command(flatten)]
    data: DataFlags,
}

#[derive(Args)]
#[group(required = true, multiple = false)]
struct Which {
    /// The events, by the ids that list prints
    #[arg(value_name = "ID")]
    ids: Vec<String>,
    /// All that are set aside now, the oldest first
    #[arg(long)]
    all: bool,
}

#[derive(Clone, Copy, ValueEnum)]
enum Format {
    Text,
    Json,
}

/// An event as it is printed.
#[derive(Serialize)]
struct Line<'a> {
    id: &'a str,
    at: &'a str,
    attempts: u32,
    reason: &'a str,
    bytes: usize,
    /// As text: what isn't is replaced.
    data: Cow<'a, str>,
}

/// Lists or replays.
///
/// # Errors
///
/// The configuration is wrong, or the store fails.
pub fn dead(arguments: Arguments) -> Result<ExitCode> {
    match arguments.command {
        Command::List(arguments) => {
            let asides = arguments.data.resolve(variable)?;
            runtime()?.block_on(list(&asides, arguments.count, arguments.format))
        }
        Command::Replay(arguments) => {
            let asides = arguments.data.resolve(variable)?;
            runtime()?.block_on(replay(&asides, arguments.which))
        }
    }
}

/// The store, which is not created where it isn't there.
fn store(asides: &Asides) -> Store {
    let credentials = asides.credentials.clone();
    Store::with(asides.store.clone(), Options { credentials, access: Access::Existing, ..Options::default() })
}

async fn list(asides: &Asides, count: usize, format: Format) -> Result<ExitCode> {
    let mut pages = Pages::of(store(asides), &asides.output, count);
    let mut lines = match format {
        Format::Text => format!("{:<21} {:<27} {:>8} {:>9}  REASON\n", "ID", "AT", "ATTEMPTS", "BYTES"),
        Format::Json => String::new(),
    };
    let mut page = pages.next().await?;
    if page.is_none() {
        eprintln!("nothing is set aside in {:?}", asides.output.dead);
    }
    while let Some(entries) = page {
        for entry in &entries {
            match format {
                Format::Text => describe(entry, &mut lines)?,
                Format::Json => {
                    lines += &serde_json::to_string(&Line::of(entry))?;
                    lines.push('\n');
                }
            }
        }
        // Who reads may have seen enough.
        if io::stdout().write_all(lines.as_bytes()).is_err() {
            break;
        }
        lines.clear();
        page = pages.next().await?;
    }
    Ok(ExitCode::SUCCESS)
}

async fn replay(asides: &Asides, which: Which) -> Result<ExitCode> {
    let store = store(asides);
    let ids = if which.all { oldest_first(&store, &asides.output).await? } else { which.ids };
    let mut exit = ExitCode::SUCCESS;
    for id in ids {
        let replayed = match &asides.stream {
            Some(stream) => store.replay_to_stream(&asides.output, &id, stream).await?,
            None => store.replay(&asides.output, &id, asides.most_waiting).await?,
        };
        let said = match (replayed, &asides.stream) {
            (Replayed::Moved { id: entry }, Some(stream)) => format!("{id}: appended to {stream:?} as {entry}"),
            (Replayed::Moved { id: entry }, None) => format!("{id}: waits as {entry} for the host to call it"),
            (Replayed::Gone, _) if which.all => format!("{id}: is gone meanwhile"),
            (Replayed::Gone, _) => {
                exit = ExitCode::FAILURE;
                eprintln!("{id:?}: no such event is set aside in {:?}: see plugin-host dead list", asides.output.dead);
                continue;
            }
            (Replayed::Full, _) => bail!(
                "{} events wait already in {:?}, as many as may (DEAD_MAX): see whether a host runs that calls them",
                asides.most_waiting,
                asides.output.replay
            ),
        };
        // What has happened goes on happening, whoever reads.
        writeln!(io::stdout(), "{said}").ok();
    }
    Ok(exit)
}

/// The ids of all events that are set aside now.
async fn oldest_first(store: &Store, keys: &Keys) -> Result<Vec<String>> {
    let mut ids = Vec::new();
    let mut pages = Pages::of(store.clone(), keys, usize::MAX);
    while let Some(page) = pages.next().await? {
        ids.extend(page.into_iter().map(|entry| entry.id));
    }
    ids.reverse();
    Ok(ids)
}

/// Events that were set aside, newest first, some at a time.
struct Pages<'a> {
    store: Store,
    keys: &'a Keys,
    /// How many are still wanted.
    wanted: usize,
    /// The id of the last one that was read.
    before: Option<String>,
}

impl Pages<'_> {
    fn of(store: Store, keys: &Keys, wanted: usize) -> Pages<'_> {
        Pages { store, keys, wanted, before: None }
    }

    async fn next(&mut self) -> Result<Option<Vec<DeadEntry>>> {
        let page = self.store.dead(self.keys, self.before.as_deref(), PAGE.min(self.wanted)).await?;
        self.wanted -= page.len().min(self.wanted);
        self.before = page.last().map(|last| last.id.clone());
        Ok((!page.is_empty()).then_some(page))
    }
}

fn describe(entry: &DeadEntry, lines: &mut String) -> Result<()> {
    let DeadEntry { id, data, reason, attempts, at } = entry;
    let (at, bytes, reason) = (printable(at), data.len(), printable(reason));
    Ok(writeln!(lines, "{id:<21} {at:<27} {attempts:>8} {bytes:>9}  {reason}")?)
}

impl Line<'_> {
    fn of(entry: &DeadEntry) -> Line<'_> {
        let DeadEntry { id, data, reason, attempts, at } = entry;
        Line { id, at, attempts: *attempts, reason, bytes: data.len(), data: String::from_utf8_lossy(data) }
    }
}
