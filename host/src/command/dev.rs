//! `plugin-host dev`: builds a plugin, runs it on real input, prints each result, and goes on with each change.

mod build;
mod inputs;
mod print;
mod project;
mod viewer;

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::{Result, bail};
use clap::Args;
use store::{Address, Credentials, Group, Keys, Store};
use tokio::sync::mpsc;

use self::inputs::inputs;
use self::print::Printer;
use self::project::Project;
use self::viewer::Viewer;
use super::anew::start_anew;
use super::{End, Signals, runtime, stop_signal};
use crate::config::{DevFlags, DevTrigger, Developed, Limits, LogFormat, Retries, settings, variable};
use crate::control::Supervision;
use crate::logging;
use crate::plugin::{Arrival, HandlerName, Loader, Loading};
use crate::portion::Portion;
use crate::status::Board;
use crate::trigger::{Feed, Place, Poll, Push, Stream, Timer, Trigger};
use crate::worker::{Job, Worker};

/// Builds a plugin, or takes a module in Python, runs it on this machine's figures and prints each result, with what has
/// changed since the last one; a change of the source is built and taken up while it runs
#[derive(Args)]
pub struct Arguments {
    /// The plugin's crate; or a module in Python (.py), or the folder that holds it
    #[arg(value_name = "CRATE", default_value = ".")]
    package: PathBuf,
    #[command(flatten)]
    developed: DevFlags,
    /// Opens plugin-viewer on the results, if it is installed
    #[arg(long)]
    viewer: bool,
    /// The process that this one takes the place of has opened it.
    #[arg(long, hide = true)]
    viewer_is_open: bool,
    /// The handler: its symbol, or library.symbol; in Python function, or module.function
    #[arg(long, value_name = "NAME", default_value = "handler")]
    handler: HandlerName,
    #[arg(long, value_name = "PATH", help = settings::PYTHON_PLUGIN.help())]
    python_plugin: Option<PathBuf>,
}

/// The key of the inputs.
const INPUT_KEY: &str = "metrics";
/// The stream of the inputs. It is no key of the other triggers, and in the slot of the results.
const INPUT_STREAM: &str = "{metrics-output}:inputs";
/// The key of the results.
const OUTPUT_KEY: &str = "metrics-output";
/// How many results the history keeps.
const HISTORY_LENGTH: usize = 720;
/// What is logged: not what is printed as well.
const LOGGED: &str = "warn,host::worker::call=off,host::versions=off";

/// Builds, runs and watches until it is told to stop.
///
/// # Errors
///
/// The flags are wrong, there is no such crate or input, or the plugin is refused.
pub fn dev(arguments: Arguments) -> Result<ExitCode> {
    logging::start(LogFormat::Text, Some(&variable("RUST_LOG").unwrap_or_else(|| LOGGED.to_owned())));
    let Arguments { package, developed, viewer, viewer_is_open, handler, python_plugin } = arguments;
    let Developed { store, credentials, trigger, period, pace, input } = developed.resolve(variable)?;
    let project = Project::at(&package)?;
    let feed = match trigger {
        DevTrigger::Timer => None,
        DevTrigger::Stream => Some(Place::Stream(INPUT_STREAM.to_owned())),
        DevTrigger::Each | DevTrigger::Poll | DevTrigger::Push => Some(Place::Key(INPUT_KEY.to_owned())),
    };
    let inputs = feed.map(|place| Ok::<_, anyhow::Error>((place, inputs(input.as_deref(), project.folder())?)));
    let inputs = inputs.transpose()?;
    let (store, begin) = store_of(store, credentials, &project);
    let python_plugin = python_plugin.or_else(|| variable("PYTHON_PLUGIN").map(PathBuf::from));
    let loading = Loading { python_plugin, ..Loading::default() };
    let loader = Arc::new(Loader::new(loading, handler, logging::plugin_sink())?);
    let (sender, mut arrivals) = mpsc::channel(1);
    let runtime = runtime()?;
    let shown = store.address().to_string();
    let mut window = None;

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
        if viewer && !viewer_is_open {
            let opened = Viewer::open(&store, OUTPUT_KEY, INPUT_KEY, period);
            window = opened.inspect_err(|error| eprintln!("{error:#}")).ok();
        }
        let (trigger, written) = match (trigger, inputs) {
            (DevTrigger::Each, Some((place, source))) => (Trigger::Feed(Feed::new(place, pace, source)), None),
            (DevTrigger::Poll, inputs) => (Trigger::Poll(Poll::new(INPUT_KEY, period, usize::MAX)), inputs),
            (DevTrigger::Push, inputs) => (Trigger::Push(Push::new(INPUT_KEY, period, usize::MAX)), inputs),
            (DevTrigger::Stream, inputs) => {
                (Trigger::Stream(Stream::new(&store, group(), Portion::new(1), None)), inputs)
            }
            (_, _) => (Trigger::Timer(Timer::new(OUTPUT_KEY, period)), None),
        };
        // What is told of writes is told of those over other connections.
        let writing = store.another();
        let board = Arc::new(Board::new(&plugin.verified.symbol, period));
        board.loaded(&plugin);
        let mut printer = Printer::new();
        let worker =
            Worker::new(job(store, output, &trigger), plugin, board, Supervision::default(), stop, move |news| {
                printer.news(news);
            })?;
        let worked = worker.run(trigger, arrivals);
        match written {
            Some((place, source)) => tokio::select! {
                () = worked => {}
                () = Feed::new(place, pace, source).write_on(&writing) => {}
            },
            None => worked.await,
        }
        Ok(Ended::of(&end))
    });
    drop(loader);
    if ended? == Ended::ForANewVersion {
        println!("The source has changed: starting anew.");
        let mut more = Vec::new();
        if begin == Begin::Anew {
            more.extend(["--store".into(), shown.into()]);
        }
        if let Some(window) = window.take() {
            window.leave_open();
            more.push("--viewer-is-open".into());
        }
        match start_anew(&more)? {}
    }
    Ok(ExitCode::SUCCESS)
}

/// What the worker works on.
fn job(store: Store, output: Keys, trigger: &Trigger) -> Job {
    let is_stream = matches!(trigger, Trigger::Stream(_));
    Job {
        address: (store.address().host().to_owned(), store.address().port()),
        store,
        input_key: if is_stream { INPUT_STREAM } else { INPUT_KEY }.to_owned(),
        output,
        history_length: HISTORY_LENGTH,
        group: is_stream.then(group),
        output_stream: None,
        // An entry that nobody acknowledges would come again at the next start.
        retries: is_stream.then_some(Retries { max_attempts: 1, dead_max: HISTORY_LENGTH }),
        limits: Limits::default(),
    }
}

fn group() -> Group {
    Group { stream: INPUT_STREAM.to_owned(), name: "plugin-host-dev".to_owned(), consumer: "main".to_owned() }
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

fn store_of(address: Option<Address>, credentials: Credentials, project: &Project) -> (Store, Begin) {
    let (address, begin) = match address {
        Some(address) => (address, Begin::WhereItEnded),
        None => (Address::sqlite(project.database()), Begin::Anew),
    };
    (Store::new(address, credentials), begin)
}
