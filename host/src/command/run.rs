//! `plugin-host run`: the operator's command.

use std::io::BufReader;
use std::os::unix::net::UnixStream;
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::Result;
use clap::Args;
use store::Store;
use tokio::sync::{mpsc, watch};

use super::anew::start_anew;
use super::{Signals, runtime, runtime_beside, stop_signal};
use crate::config::{Config, Flags, Triggers, settings, variable};
use crate::control::{Beginning, Link, Report, Supervision, end_with_parent};
use crate::fleet::{self, Fleet};
use crate::flight::LOADING;
use crate::http::Telling;
use crate::pattern::Pattern;
use crate::plugin::{Loaded, Loader, Source, Watch};
use crate::status::Board;
use crate::trigger::{Poll, Push, Stream, Timer, Trigger};
use crate::worker::{Job, Worker};
use crate::{http, limits, logging, supervisor};

/// Calls a handler when its input changes, and commits what it returns, until SIGTERM or SIGINT
#[derive(Args)]
#[command(after_help = settings::without_flags())]
pub struct Arguments {
    #[command(flatten)]
    flags: Flags,
    /// Calls the handler in this very process, for debuggers: a handler that ends it ends the host, none is too slow, and
    /// no lease is held
    #[arg(long, help_heading = "Failures")]
    no_supervisor: bool,
}

/// What a worker has of its supervisor.
struct Supervised {
    link: Link,
    beginning: Beginning,
    lines: BufReader<UnixStream>,
}

/// Runs until it is told to stop.
///
/// # Errors
///
/// The configuration is wrong, the plugin is refused, or the HTTP address is taken.
pub fn run(arguments: Arguments) -> Result<ExitCode> {
    let config = arguments.flags.resolve(variable)?;
    logging::start(config.log_format, variable("RUST_LOG").as_deref());
    if arguments.no_supervisor {
        return begin(config, None);
    }
    let runtime = runtime()?;
    let ended = runtime.block_on(supervisor::run(config));
    runtime.shutdown_background();
    ended
}

/// The worker's part of [`run`].
///
/// # Errors
///
/// As [`run`]'s.
pub fn work(arguments: Arguments) -> Result<ExitCode> {
    end_with_parent();
    let (link, beginning, lines) = Link::take()?;
    let told = link.clone();
    let begun = arguments.flags.resolve(variable).map_err(anyhow::Error::from).and_then(|config| {
        logging::start(config.log_format, variable("RUST_LOG").as_deref());
        if let Some(bytes) = beginning.memory_limit {
            limits::limit_memory(bytes);
        }
        begin(config, Some(Supervised { link, beginning, lines }))
    });
    begun.inspect_err(|error| told.report(&Report::Refused(format!("{error:#}"))))
}

fn begin(config: Config, supervised: Option<Supervised>) -> Result<ExitCode> {
    let runtime = match config.trigger {
        Triggers::Stream(_) => runtime_beside()?,
        _ => runtime()?,
    };
    let ended = runtime.block_on(until_stopped(config, supervised));
    // What may still block (a password file that can't be read) is not waited for.
    runtime.shutdown_background();
    match ended? {
        Ended::AsAsked => {
            tracing::info!("stopped");
            Ok(ExitCode::SUCCESS)
        }
        Ended::ForANewVersion => {
            tracing::info!("a new version of the module is there: starting anew");
            match start_anew(&[])? {}
        }
    }
}

/// Why it has ended.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Ended {
    AsAsked,
    /// What it has loaded can't be unloaded: the new version runs in a new process, with the env of the last commit.
    ForANewVersion,
}

/// Loads the plugin, and works while another thread looks for new versions of it.
async fn until_stopped(mut config: Config, supervised: Option<Supervised>) -> Result<Ended> {
    let signals = if supervised.is_some() { Signals::Terminate } else { Signals::TerminateOrInterrupt };
    let (mut stop, end) = stop_signal(signals)?;
    let stopping = stop.clone();
    let supervisor = supervised.as_ref().map(|supervised| supervised.link.clone());
    let board = Arc::new(Board::new(&config.handler.symbol, config.period));
    let (go, mut gone) = watch::channel(supervised.is_none());
    let mut supervision = Supervision::default();
    match supervised {
        Some(Supervised { link, beginning, lines }) => {
            link.obey(lines, Arc::clone(&board), go)?;
            if let Some(counted) = beginning.counted {
                board.carry_on(counted);
            }
            supervision = Supervision::new(link, beginning.flights, beginning.suspects, beginning.cautious);
        }
        None => {
            if let Some(address) = &config.http {
                http::serve(address, Telling::Board(Arc::clone(&board)))?;
            }
        }
    }
    let signatures = if config.loading.trust.public_key.is_some() { "checked" } else { "not checked" };
    let loader = Arc::new(Loader::new(config.loading.clone(), config.handler.clone(), logging::plugin_sink())?);
    let mut source = Source::new(config.plugin.clone(), &loader);
    let found = tokio::select! {
        _ = stop.wait_for(|stop| *stop) => return Ok(Ended::AsAsked),
        found = source.first() => found?,
    };
    let mut slot = supervision.slot(LOADING)?;
    slot.enter_opening();
    let plugin = loader.load(found)?;
    slot.leave();
    board.loaded(&plugin);
    tracing::info!(
        plugin = plugin.name(),
        version = plugin.verified.manifest.version,
        sha256 = plugin.verified.sha256,
        handler = plugin.verified.symbol,
        from = %config.plugin,
        signatures,
        signer = plugin.verified.signer.as_ref().map(|signer| &signer.key_id),
        store = %config.store,
        output_key = config.output.output,
        "starting"
    );
    let (sender, arrivals) = mpsc::channel(1);
    let end = Arc::new(end);
    let renew_process = {
        let end = Arc::clone(&end);
        move || match supervisor {
            Some(supervisor) => supervisor.report(&Report::NewVersion),
            None => end.now(),
        }
    };
    let watch = config
        .reload_period
        .map(|period| Watch::start(source, Arc::clone(&loader), period, slot, sender, renew_process))
        .transpose()?;
    let mut allowed = async |supervision: &Supervision| {
        supervision.report(&Report::Loaded);
        tokio::select! {
            _ = stop.wait_for(|stop| *stop) => false,
            allowed = gone.wait_for(|gone| *gone) => allowed.is_ok(),
        }
    };
    match config.pattern.take() {
        Some((input, output)) => {
            let job = fleet_job(config, input, output);
            fleet::try_open(&job, &plugin, &supervision)?;
            if allowed(&supervision).await {
                Fleet::start(job, plugin, board, supervision, stopping)?.run(arrivals).await;
            } else {
                drop(arrivals);
            }
        }
        None => {
            let (worker, trigger) = worker(config, plugin, board, supervision.clone(), stopping)?;
            if allowed(&supervision).await {
                worker.run(trigger, arrivals).await;
            } else {
                drop(arrivals);
            }
        }
    }
    if let Some(watch) = watch {
        watch.end();
    }
    Ok(if end.is_for_something_new() { Ended::ForANewVersion } else { Ended::AsAsked })
}

/// The handler on one key or stream.
fn worker(
    config: Config,
    plugin: Loaded,
    board: Arc<Board>,
    supervision: Supervision,
    stop: watch::Receiver<bool>,
) -> Result<(Worker, Trigger)> {
    let store = Store::new(config.store, config.credentials);
    let (input, output) = (config.input_key.as_str(), config.output);
    let (trigger, group) = match config.trigger {
        Triggers::Poll => (Trigger::Poll(Poll::new(input, config.period, config.limits.input)), None),
        Triggers::Push => (Trigger::Push(Push::new(input, config.period, config.limits.input)), None),
        Triggers::Timer => (Trigger::Timer(Timer::new(&output.output, config.period)), None),
        Triggers::Stream(streams) => {
            let portion = supervision.portion(streams.batch);
            let stream = Stream::new(&store, streams.group.clone(), portion, streams.claim_idle);
            (Trigger::Stream(stream), Some(streams.group))
        }
    };
    let job = Job {
        address: (store.address().host().to_owned(), store.address().port()),
        store,
        input_key: config.input_key,
        output,
        history_length: config.history_length,
        output_stream: config.output_stream,
        retries: Some(config.retries),
        limits: config.limits,
        group,
    };
    Ok((Worker::new(job, plugin, board, supervision, stop, |_| {})?, trigger))
}

/// What is done with all keys of a pattern.
fn fleet_job(config: Config, input: Pattern, output: Pattern) -> fleet::Job {
    let store = Store::new(config.store, config.credentials);
    fleet::Job {
        address: (store.address().host().to_owned(), store.address().port()),
        store,
        input,
        output,
        history_length: config.history_length,
        period: config.period,
        push: config.trigger == Triggers::Push,
        env_idle: config.env_idle,
        retries: config.retries,
        limits: config.limits,
    }
}
