//! Looks for new versions of a plugin on a thread of its own, and loads them there, while the old one runs.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result};
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep_until};

use crate::flight::Slot;

use super::{Found, Loaded, Loader, NotLoaded, Renewed, Source, Step};

/// How long the end waits for what may be going on: a library's constructors, for example.
const END_MAX: Duration = Duration::from_secs(2);

/// What a look gave.
pub enum Arrival {
    /// A new version.
    New(Box<Loaded>),
    /// Why there is none.
    Failed(NotLoaded),
    /// What could not be read for a while is there again, and is what it was.
    Back,
}

/// A thread that looks for new versions, until nobody wants them any more.
pub struct Watch {
    ended: Receiver<()>,
}

impl Watch {
    /// Looks every period. What comes of it goes to `arrivals`, until its receiver is dropped; a failure that goes on is
    /// told once. A version that needs a new process calls `renew_process`, and nothing is looked for any more.
    ///
    /// # Errors
    ///
    /// The thread can't be started.
    pub fn start(
        source: Source,
        loader: Arc<Loader>,
        period: Duration,
        slot: Slot,
        arrivals: mpsc::Sender<Arrival>,
        renew_process: impl FnOnce() + Send + 'static,
    ) -> Result<Watch> {
        let (end, ended) = channel();
        let runtime =
            tokio::runtime::Builder::new_current_thread().enable_all().build().context("can't start to look")?;
        let look = Look { source, loader, period, slot, told: None };
        thread::Builder::new()
            .name("reload".to_owned())
            .spawn(move || {
                match catch_unwind(AssertUnwindSafe(|| runtime.block_on(look.run(arrivals)))) {
                    Ok(Ended::Unwanted) => {}
                    Ok(Ended::ByANewProcess) => renew_process(),
                    Err(_) => {
                        tracing::error!("no new versions of the plugin are taken up any more: start the host anew");
                    }
                }
                // Whoever waits has gone if this fails.
                end.send(()).ok();
            })
            .context("can't start a thread that looks for new versions")?;
        Ok(Watch { ended })
    }

    /// Waits, but not for long, for the end of the thread, whose receiver has been dropped.
    pub fn end(self) {
        if self.ended.recv_timeout(END_MAX) == Err(RecvTimeoutError::Timeout) {
            tracing::warn!("a new version of the plugin is still being loaded: not waiting for it");
        }
    }
}

/// Why no more looks are made.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Ended {
    Unwanted,
    ByANewProcess,
}

/// What the thread works with.
struct Look {
    source: Source,
    loader: Arc<Loader>,
    period: Duration,
    /// Where it stands that a library is being loaded.
    slot: Slot,
    /// The failure that was told last and goes on.
    told: Option<(Step, Option<String>, String)>,
}

impl Look {
    async fn run(mut self, arrivals: mpsc::Sender<Arrival>) -> Ended {
        let mut next = Instant::now();
        loop {
            // A look that took long is not made up for.
            next = (next + self.period).max(Instant::now());
            let look = async {
                sleep_until(next).await;
                self.source.look().await
            };
            let looked = tokio::select! {
                () = arrivals.closed() => return Ended::Unwanted,
                looked = look => looked,
            };
            match self.told(looked) {
                Told::Nothing => {}
                Told::Arrival(arrival) => {
                    if arrivals.send(arrival).await.is_err() {
                        return Ended::Unwanted;
                    }
                }
                Told::ByANewProcess => return Ended::ByANewProcess,
            }
        }
    }

    /// What is to be told of a look.
    fn told(&mut self, looked: Result<Option<Found>>) -> Told {
        let renewed = match looked {
            Ok(None) => {
                let was_away = self.told.take_if(|(step, ..)| *step == Step::Read).is_some();
                return if was_away { Told::Arrival(Arrival::Back) } else { Told::Nothing };
            }
            Ok(Some(found)) => self.loader.renew(found, &mut self.slot).inspect_err(|not| self.source.failed(not)),
            Err(error) => Err(NotLoaded::unread(error)),
        };
        match renewed {
            Ok(Renewed::Here(plugin)) => {
                self.told = None;
                Told::Arrival(Arrival::New(plugin))
            }
            Ok(Renewed::InANewProcess) => Told::ByANewProcess,
            Err(not) => {
                let failure = Some((not.step, not.identity.clone(), not.to_string()));
                let news = self.told != failure;
                self.told = failure;
                if news { Told::Arrival(Arrival::Failed(not)) } else { Told::Nothing }
            }
        }
    }
}

/// What a look gave to tell.
enum Told {
    Nothing,
    Arrival(Arrival),
    ByANewProcess,
}
