//! What the program can be asked to do: one module a command.

mod anew;
pub mod dead;
pub mod dev;
pub mod healthcheck;
pub mod inspect;
pub mod invoke;
pub mod new;
pub mod pack;
pub mod record;
pub mod run;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

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

/// Ends what runs, as a signal does.
struct End {
    stop: watch::Sender<bool>,
    /// A signal came.
    asked: Arc<AtomicBool>,
    /// It was ended for the sake of something new.
    anew: AtomicBool,
}

impl End {
    /// Ends it for the sake of something new.
    fn now(&self) {
        self.anew.store(true, Ordering::Release);
        self.stop.send_replace(true);
    }

    /// Whether something new is to begin, and no signal came besides.
    fn is_for_something_new(&self) -> bool {
        self.anew.load(Ordering::Acquire) && !self.asked.load(Ordering::Acquire)
    }
}

/// Turns true at SIGTERM, at SIGINT where that is meant for this process, and by the other value.
fn stop_signal(signals: Signals) -> Result<(watch::Receiver<bool>, End)> {
    let (sender, receiver) = watch::channel(false);
    let end = End { stop: sender.clone(), asked: Arc::default(), anew: AtomicBool::new(false) };
    let asked = Arc::clone(&end.asked);
    let mut terminate = signal(SignalKind::terminate()).context("can't listen for SIGTERM")?;
    let mut interrupt = signal(SignalKind::interrupt()).context("can't listen for SIGINT")?;
    tokio::spawn(async move {
        loop {
            tokio::select! {
                _ = terminate.recv() => break,
                _ = interrupt.recv() => if signals == Signals::TerminateOrInterrupt { break },
            }
        }
        asked.store(true, Ordering::Release);
        sender.send_replace(true);
    });
    Ok((receiver, end))
}
