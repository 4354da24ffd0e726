//! What the program can be asked to do: one module a command.

pub mod dead;
pub mod dev;
pub mod healthcheck;
pub mod inspect;
pub mod invoke;
pub mod new;
pub mod pack;
pub mod record;
pub mod run;

use anyhow::{Context, Result};
use tokio::runtime::Runtime;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;

/// The exit code of wrong usage or configuration.
pub const WRONG_USAGE: u8 = 2;

/// Kubernetes refuses a ConfigMap whose values come to more than this.
const CONFIG_MAP_MAX: usize = 1024 * 1024;

/// A runtime on this thread alone: handlers run on it too, and stay on the thread that opened them.
fn runtime() -> Result<Runtime> {
    tokio::runtime::Builder::new_current_thread().enable_all().build().context("can't start the event loop")
}

/// A runtime whose tasks run on a thread of their own: the store is read and written while this thread calls a handler.
fn runtime_beside() -> Result<Runtime> {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
        .context("can't start the event loop")
}

/// What ends a command.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Signals {
    TerminateOrInterrupt,
    /// A worker's supervisor passes on what a terminal sends to both.
    Terminate,
}

/// Turns true at SIGTERM, and at SIGINT where that is meant for this process.
fn stop_signal(signals: Signals) -> Result<watch::Receiver<bool>> {
    let (sender, receiver) = watch::channel(false);
    let mut terminate = signal(SignalKind::terminate()).context("can't listen for SIGTERM")?;
    let mut interrupt = signal(SignalKind::interrupt()).context("can't listen for SIGINT")?;
    tokio::spawn(async move {
        loop {
            tokio::select! {
                _ = terminate.recv() => break,
                _ = interrupt.recv() => if signals == Signals::TerminateOrInterrupt { break },
            }
        }
        sender.send_replace(true);
    });
    Ok(receiver)
}
