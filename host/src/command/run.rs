//! `plugin-host run`: the operator's command.

use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Result;
use clap::Args;
use store::Store;
use tokio::sync::mpsc;

use super::{runtime, stop_signal};
use crate::config::{Config, Flags, TriggerKind, VARIABLES_WITHOUT_FLAGS, variable};
use crate::plugin::{Loader, Source, Watch};
use crate::status::Board;
use crate::trigger::{Poll, Timer, Trigger};
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

    let runtime = runtime()?;
    let ended = runtime.block_on(until_stopped(config));
    // What may still block (a password file that can't be read) is not waited for.
    runtime.shutdown_background();
    ended?;
    tracing::info!("stopped");
    Ok(ExitCode::SUCCESS)
}

/// Loads the plugin, and works while another thread looks for new versions of it.
async fn until_stopped(config: Config) -> Result<()> {
    let mut stop = stop_signal()?;
    let board = Arc::new(Board::new(&config.handler.symbol, config.period));
    if let Some(address) = &config.http {
        http::serve(address, Arc::clone(&board))?;
    }
    let signatures = if config.loading.trust.public_key.is_some() { "checked" } else { "not checked" };
    let loader = Arc::new(Loader::new(config.loading, config.handler, logging::plugin_sink())?);
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
    let job = Job {
        address: (config.store.host().to_owned(), config.store.port()),
        store: Store::new(config.store, config.credentials),
        input_key: config.input_key,
        output: config.output,
        history_length: config.history_length,
    };
    let trigger = trigger(config.trigger, config.period, &job);
    let worker = Worker::new(job, plugin, board, stop, |_| {})?;
    let (sender, arrivals) = mpsc::channel(1);
    let watch =
        config.reload_period.map(|period| Watch::start(source, Arc::clone(&loader), period, sender)).transpose()?;
    worker.run(trigger, arrivals).await;
    if let Some(watch) = watch {
        watch.end();
    }
    Ok(())
}

fn trigger(kind: TriggerKind, period: Duration, job: &Job) -> Trigger {
    match kind {
        TriggerKind::Poll => Trigger::Poll(Poll::new(&job.input_key, period)),
        TriggerKind::Timer => Trigger::Timer(Timer::new(&job.output.output, period)),
    }
}
