//! `plugin-host run`: the operator's command.

use anyhow::Result;
use clap::Args;
use std::process::ExitCode;
use std::sync::Arc;
use store::Store;
use tokio::sync::{mpsc, watch};

use super::{runtime, runtime_beside, stop_signal};
use crate::config::{Config, Flags, Triggers, VARIABLES_WITHOUT_FLAGS, variable};
use crate::fleet::{self, Fleet};
use crate::pattern::Pattern;
use crate::plugin::{Loaded, Loader, Source, Watch};
use crate::status::Board;
use crate::trigger::{Poll, Push, Stream, Timer, Trigger};
use crate::worker::{Job, Worker};
use crate::{http, logging};

/// Calls a handler when its input changes, and commits what it returns, until SIGTERM or SIGINT
#[derive(Args)]
#[command(after_help = VARIABLES_WITHOUT_FLAGS)]
pub struct Arguments {
    #[command(flatten)]
    flags: Flags,
}

/// Runs until it is told to stop.
///
/// # Errors
///
/// The configuration is wrong, the plugin is refused, or the HTTP address is taken.
pub fn run(arguments: Arguments) -> Result<ExitCode> {
    let config = arguments.flags.resolve(variable)?;
    logging::start(config.log_format, variable("RUST_LOG").as_deref());

    let runtime = match config.trigger {
        Triggers::Stream(_) => runtime_beside()?,
        _ => runtime()?,
    };
    let ended = runtime.block_on(until_stopped(config));
    // What may still block (a password file that can't be read) is not waited for.
    runtime.shutdown_background();
    ended?;
    tracing::info!("stopped");
    Ok(ExitCode::SUCCESS)
}

/// Loads the plugin, and works while another thread looks for new versions of it.
async fn until_stopped(mut config: Config) -> Result<()> {
    let mut stop = stop_signal()?;
    let board = Arc::new(Board::new(&config.handler.symbol, config.period));
    if let Some(address) = &config.http {
        http::serve(address, Arc::clone(&board))?;
    }
    let signatures = if config.loading.trust.public_key.is_some() { "checked" } else { "not checked" };
    let loader = Arc::new(Loader::new(config.loading.clone(), config.handler.clone(), logging::plugin_sink())?);
    let mut source = Source::new(config.plugin.clone(), &loader);
    let found = tokio::select! {
        _ = stop.wait_for(|stop| *stop) => return Ok(()),
        found = source.first() => found?,
    };
    let plugin = loader.load(found)?;
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
    let watch =
        config.reload_period.map(|period| Watch::start(source, Arc::clone(&loader), period, sender)).transpose()?;
    match config.pattern.take() {
        Some((input, output)) => fleet(config, input, output, plugin, board, stop)?.run(arrivals).await,
        None => {
            let (worker, trigger) = worker(config, plugin, board, stop)?;
            worker.run(trigger, arrivals).await;
        }
    }
    if let Some(watch) = watch {
        watch.end();
    }
    Ok(())
}

/// The handler on one key or stream.
fn worker(config: Config, plugin: Loaded, board: Arc<Board>, stop: watch::Receiver<bool>) -> Result<(Worker, Trigger)> {
    let store = Store::new(config.store, config.credentials);
    let (input, output) = (config.input_key.as_str(), config.output);
    let (trigger, streams) = match config.trigger {
        Triggers::Poll => (Trigger::Poll(Poll::new(input, config.period)), None),
        Triggers::Push => (Trigger::Push(Push::new(input, config.period)), None),
        Triggers::Timer => (Trigger::Timer(Timer::new(&output.output, config.period)), None),
        Triggers::Stream(streams) => {
            let stream = Stream::new(&store, streams.group.clone(), streams.batch, streams.claim_idle);
            (Trigger::Stream(stream), Some(streams))
        }
    };
    let job = Job {
        address: (store.address().host().to_owned(), store.address().port()),
        store,
        input_key: config.input_key,
        output,
        history_length: config.history_length,
        output_stream: config.output_stream,
        max_attempts: streams.as_ref().map_or(1, |streams| streams.max_attempts),
        dead_max: streams.as_ref().map_or(0, |streams| streams.dead_max),
        group: streams.map(|streams| streams.group),
    };
    Ok((Worker::new(job, plugin, board, stop, |_| {})?, trigger))
}

/// The handler on all keys of a pattern.
fn fleet(
    config: Config,
    input: Pattern,
    output: Pattern,
    plugin: Loaded,
    board: Arc<Board>,
    stop: watch::Receiver<bool>,
) -> Result<Fleet> {
    let store = Store::new(config.store, config.credentials);
    let job = fleet::Job {
        address: (store.address().host().to_owned(), store.address().port()),
        store,
        input,
        output,
        history_length: config.history_length,
        period: config.period,
        push: config.trigger == Triggers::Push,
        env_idle: config.env_idle,
    };
    Fleet::start(job, plugin, board, stop)
}
