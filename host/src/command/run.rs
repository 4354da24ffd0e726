//! `plugin-host run`: the operator's command.

use std::process::ExitCode;
use std::sync::Arc;

use anyhow::Result;
use clap::Args;
use store::Store;
use tokio::sync::mpsc;

use super::{load, runtime, stop_signal};
use crate::config::{Config, Flags, TriggerKind, VARIABLES_WITHOUT_FLAGS, variable};
use crate::plugin::PrivateFolder;
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

    let private = PrivateFolder::open(config.state_dir.as_deref())?;
    let plugin = load(&config.plugin, &config.handler, &private)?;
    // The library is mapped: a copy in the temporary folder has served, and goes now, however the host ends.
    drop(private);
    let board = Arc::new(Board::new(&plugin, config.period));
    if let Some(address) = &config.http {
        http::serve(address, Arc::clone(&board))?;
    }
    tracing::info!(
        plugin = plugin.name(),
        version = plugin.verified.manifest.version,
        sha256 = plugin.verified.sha256,
        handler = plugin.verified.symbol,
        store = %config.store,
        output_key = config.output.output,
        "starting"
    );
    let runtime = runtime()?;
    runtime.block_on(async {
        let stop = stop_signal()?;
        let trigger = trigger(&config);
        let job = Job {
            address: (config.store.host().to_owned(), config.store.port()),
            store: Store::new(config.store, config.credentials),
            input_key: config.input_key,
            output: config.output,
            history_length: config.history_length,
        };
        let (_, reloads) = mpsc::channel(1);
        Worker::new(job, plugin, board, stop, |_| {})?.run(trigger, reloads).await;
        anyhow::Ok(())
    })?;
    // What may still block (a password file that can't be read) is not waited for.
    runtime.shutdown_background();
    tracing::info!("stopped");
    Ok(ExitCode::SUCCESS)
}

fn trigger(config: &Config) -> Trigger {
    match config.trigger {
        TriggerKind::Poll => Trigger::Poll(Poll::new(&config.input_key, config.period)),
        TriggerKind::Timer => Trigger::Timer(Timer::new(&config.output.output, config.period)),
    }
}
