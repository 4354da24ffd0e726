//! `plugin-host dev`: builds a plugin, runs it on real input, prints each result, and goes on with each change.

mod build;
mod print;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::{Arc, Weak};
use std::thread;
use std::time::Duration;

use anyhow::{Context, Error, Result, bail};
use clap::Args;
use figures::CpuTimes;
use store::{Address, Credentials, Keys, Store};
use tokio::sync::mpsc;

use self::build::{Builder, Package};
use super::{Signals, runtime, stop_signal};
use crate::config::{Limits, LogFormat, seconds, store_without_password, variable};
use crate::control::Supervision;
use crate::logging;
use crate::plugin::{Arrival, HandlerName, Loader, Loading};
use crate::status::Board;
use crate::trigger::{Feed, Source, Trigger};
use crate::worker::{Job, Worker};

/// Builds a plugin, runs it on this machine's figures and prints each result; a change of the source is built and
/// taken up while it runs
#[derive(Args)]
pub struct Arguments {
    /// The plugin's crate
    #[arg(value_name = "CRATE", default_value = ".")]
    package: PathBuf,
    /// Where data lies: redis://HOST:PORT or sqlite:PATH [default: plugin-host/dev.db in cargo's target folder, begun
    /// anew at each start]
    #[arg(long, value_name = "URL", value_parser = store_without_password)]
    store: Option<Address>,
    /// Seconds between inputs, fractions allowed
    #[arg(long, value_name = "SECONDS", default_value = "1", value_parser = seconds)]
    period: Duration,
    /// A file of JSON lines to take as input, one line a period, over and over [default: inputs.jsonl of the crate if
    /// there is one, else this machine's figures]
    #[arg(long, value_name = "FILE")]
    input: Option<PathBuf>,
    /// The handler: its symbol, or library.symbol
    #[arg(long, value_name = "NAME", default_value = "handler")]
    handler: HandlerName,
}

/// The key of the inputs.
const INPUT_KEY: &str = "metrics";
/// The key of the results.
const OUTPUT_KEY: &str = "metrics-output";
/// How many results the history keeps.
const HISTORY_LENGTH: usize = 720;

/// Builds, runs and watches until it is told to stop.
///
/// # Errors
///
/// There is no such crate or input, or the plugin is refused.
pub fn dev(arguments: Arguments) -> Result<ExitCode> {
    logging::start(LogFormat::Text, Some(&variable("RUST_LOG").unwrap_or_else(|| "warn".to_owned())));
    let package = Package::at(&arguments.package)?;
    let source = source(arguments.input.as_deref(), &package)?;
    let (store, begin) = store(arguments.store, &package);
    let loader = Arc::new(Loader::new(Loading::default(), arguments.handler, logging::plugin_sink())?);
    let (sender, mut arrivals) = mpsc::channel(1);
    let runtime = runtime()?;
    let shown = store.address().to_string();

    build_and_watch(Builder::new(package), Arc::downgrade(&loader), sender)?;
    runtime
        .block_on(async {
            let mut stop = stop_signal(Signals::TerminateOrInterrupt)?;
            let plugin = tokio::select! {
                _ = stop.wait_for(|stop| *stop) => return Ok(()),
                arrival = arrivals.recv() => match arrival {
                    Some(Arrival::New(plugin)) => *plugin,
                    _ => bail!("the build's thread ended"),
                },
            };
            let output = Keys::of(OUTPUT_KEY)?;
            if begin == Begin::Anew {
                store.forget(&output).await?;
            }
            println!("{} {} writes to {OUTPUT_KEY} in {shown}", plugin.name(), plugin.verified.manifest.version);
            println!("A change of its source is built and taken up; Ctrl-C ends.");
            let board = Arc::new(Board::new(&plugin.verified.symbol, arguments.period));
            board.loaded(&plugin);
            let job = Job {
                address: (store.address().host().to_owned(), store.address().port()),
                store,
                input_key: INPUT_KEY.to_owned(),
                output,
                history_length: HISTORY_LENGTH,
                group: None,
                output_stream: None,
                retries: None,
                limits: Limits::default(),
            };
            let trigger = Trigger::Feed(Feed::new(INPUT_KEY, arguments.period, source));
            Worker::new(job, plugin, board, Supervision::default(), stop, print::news)?.run(trigger, arrivals).await;
            Ok(())
        })
        .map(|()| ExitCode::SUCCESS)
}

/// Whether what an earlier `dev` left is taken up.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Begin {
    Anew,
    WhereItEnded,
}

fn store(address: Option<Address>, package: &Package) -> (Store, Begin) {
    let (address, begin) = match address {
        Some(address) => (address, Begin::WhereItEnded),
        None => (Address::sqlite(package.target.join("plugin-host").join("dev.db")), Begin::Anew),
    };
    (Store::new(address, Credentials::default()), begin)
}

/// Where inputs come from: a file, or this machine.
fn source(input: Option<&Path>, package: &Package) -> Result<Source> {
    let of_the_crate = package.folder.join("inputs.jsonl");
    let file = input.map(Path::to_owned).or_else(|| of_the_crate.is_file().then_some(of_the_crate));
    let Some(path) = file else {
        // CPU percentages are those since the last reading, so the first reading is made before the build.
        let (_, mut before) = figures::read(&CpuTimes::default()).context("can't read this machine's figures")?;
        return Ok(Box::new(move || {
            let (figures, now) = figures::read(&before).context("can't read this machine's figures")?;
            before = now;
            Ok(serde_json::to_vec(&figures)?)
        }));
    };
    let text = fs::read(&path).with_context(|| format!("can't read the input {}", path.display()))?;
    let lines: Vec<_> = text
        .split(|byte| *byte == b'\n')
        .map(<[u8]>::trim_ascii)
        .filter(|line| !line.is_empty())
        .map(<[u8]>::to_vec)
        .collect();
    if lines.is_empty() {
        bail!("the input {} holds no line", path.display());
    }
    let mut lines = lines.into_iter().cycle();
    Ok(Box::new(move || lines.next().context("the input has ended")))
}

/// Builds and loads on a thread of its own, now and at each change of the source. What fails is told, and whatever
/// runs goes on.
fn build_and_watch(mut builder: Builder, loader: Weak<Loader>, arrivals: mpsc::Sender<Arrival>) -> Result<()> {
    let build = move || {
        let mut last = None;
        while !arrivals.is_closed() {
            let built = builder.build();
            // The folder goes when `dev` ends, though this thread may still wait.
            let Some(loader) = loader.upgrade() else { return };
            let loaded = built
                .and_then(|library| loader.find(&library))
                .and_then(|found| loader.load(found).map_err(Error::from));
            drop(loader);
            match loaded {
                Ok(plugin) if last.as_ref() == Some(&plugin.verified.sha256) => {}
                Ok(plugin) => {
                    last = Some(plugin.verified.sha256.clone());
                    if arrivals.blocking_send(Arrival::New(Box::new(plugin))).is_err() {
                        return;
                    }
                }
                Err(error) => eprintln!("{error:#}"),
            }
            builder.wait_for_change();
        }
    };
    thread::Builder::new().name("build".to_owned()).spawn(build).context("can't start a thread")?;
    Ok(())
}
