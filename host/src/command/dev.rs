//! `plugin-host dev`: builds a plugin, runs it on real input, prints each result, and goes on with each change.

mod build;
mod print;
mod project;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use clap::Args;
use figures::CpuTimes;
use store::{Address, Credentials, Keys, Store};
use tokio::sync::mpsc;

use self::project::Project;
use super::anew::start_anew;
use super::{End, Signals, runtime, stop_signal};
use crate::config::{Limits, LogFormat, seconds, settings, store_without_password, variable};
use crate::control::Supervision;
use crate::logging;
use crate::plugin::{Arrival, HandlerName, Loader, Loading};
use crate::status::Board;
use crate::trigger::{Feed, Source, Trigger};
use crate::worker::{Job, Worker};

/// Builds a plugin, or takes a module in Python, runs it on this machine's figures and prints each result; a change of
/// the source is built and taken up while it runs
#[derive(Args)]
pub struct Arguments {
    /// The plugin's crate; or a module in Python (.py), or the folder that holds it
    #[arg(value_name = "CRATE", default_value = ".")]
    package: PathBuf,
    /// Where data lies: redis://HOST:PORT or sqlite:PATH [default: plugin-host/dev.db in cargo's target folder, or
    /// .plugin-host/dev.db beside a module, begun anew at each start]
    #[arg(long, value_name = "URL", value_parser = store_without_password)]
    store: Option<Address>,
    /// Seconds between inputs, fractions allowed
    #[arg(long, value_name = "SECONDS", default_value = "1", value_parser = seconds)]
    period: Duration,
    /// A file of JSON lines to take as input, one line a period, over and over [default: inputs.jsonl of the crate if
    /// there is one, else this machine's figures]
    #[arg(long, value_name = "FILE")]
    input: Option<PathBuf>,
    /// The handler: its symbol, or library.symbol; in Python function, or module.function
    #[arg(long, value_name = "NAME", default_value = "handler")]
    handler: HandlerName,
    #[arg(long, value_name = "PATH", help = settings::PYTHON_PLUGIN.help())]
    python_plugin: Option<PathBuf>,
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
    let project = Project::at(&arguments.package)?;
    let source = source(arguments.input.as_deref(), project.folder())?;
    let (store, begin) = store(arguments.store, &project);
    let python_plugin = arguments.python_plugin.or_else(|| variable("PYTHON_PLUGIN").map(PathBuf::from));
    let loading = Loading { python_plugin, ..Loading::default() };
    let loader = Arc::new(Loader::new(loading, arguments.handler, logging::plugin_sink())?);
    let (sender, mut arrivals) = mpsc::channel(1);
    let runtime = runtime()?;
    let shown = store.address().to_string();

    let ended = runtime.block_on(async {
        let (mut stop, end) = stop_signal(Signals::TerminateOrInterrupt)?;
        let end = Arc::new(end);
        project.watch(Arc::downgrade(&loader), sender, {
            let end = Arc::clone(&end);
            move || end.now()
        })?;
        let plugin = tokio::select! {
            _ = stop.wait_for(|stop| *stop) => return Ok(Ended::of(&end)),
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
        println!("A change of its source is taken up; Ctrl-C ends.");
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
        Ok(Ended::of(&end))
    });
    drop(loader);
    if ended? == Ended::ForANewVersion {
        println!("The source has changed: starting anew.");
        let go_on = begin == Begin::Anew;
        match start_anew(&if go_on { vec!["--store".into(), shown.into()] } else { Vec::new() })? {}
    }
    Ok(ExitCode::SUCCESS)
}

/// Why it has ended.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Ended {
    AsAsked,
    /// A module has changed, and can't be loaded anew in this process.
    ForANewVersion,
}

impl Ended {
    fn of(end: &End) -> Ended {
        if end.is_for_something_new() { Ended::ForANewVersion } else { Ended::AsAsked }
    }
}

/// Whether what an earlier `dev` left is taken up.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Begin {
    Anew,
    WhereItEnded,
}

fn store(address: Option<Address>, project: &Project) -> (Store, Begin) {
    let (address, begin) = match address {
        Some(address) => (address, Begin::WhereItEnded),
        None => (Address::sqlite(project.database()), Begin::Anew),
    };
    (Store::new(address, Credentials::default()), begin)
}

/// Where inputs come from: a file, or this machine.
fn source(input: Option<&Path>, folder: &Path) -> Result<Source> {
    let of_the_crate = folder.join("inputs.jsonl");
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
