//! `plugin-host run`: the operator's command.

use anyhow::Result;
use clap::Args;
use std::process::ExitCode;
use std::sync::Arc;
use store::Store;
use tokio::sync::mpsc;

use super::{runtime, runtime_beside, stop_signal};
use crate::config::{Config, Flags, Triggers, VARIABLES_WITHOUT_FLAGS, variable};
use crate::plugin::{Loader, Source, Watch};
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
        Triggers::Stream { .. } => runtime_beside()?,
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
    let store = Store::new(config.store, config.credentials);
    let (input, output) = (config.input_key.as_str(), config.output);
    let (trigger, group) = match config.trigger {
        Triggers::Poll => (Trigger::Poll(Poll::new(input, config.period)), None),
        Triggers::Push => (Trigger::Push(Push::new(input, config.period)), None),
        Triggers::Timer => (Trigger::Timer(Timer::new(&output.output, config.period)), None),
        Triggers::Stream { group, batch, claim_idle } => {
            (Trigger::Stream(Stream::new(&store, group.clone(), batch, claim_idle)), Some(group))
        }
    };
    let job = Job {
        address: (store.address().host().to_owned(), store.address().port()),
        store,
        input_key: config.input_key,
        output,
        history_length: config.history_length,
        group,
        output_stream: config.output_stream,
        max_attempts: config.max_attempts,
        dead_max: config.dead_max,
    };
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
