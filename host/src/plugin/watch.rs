//! Looks for new versions of a plugin on a thread of its own, and loads them there, while the old one runs.

use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result};
use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, sleep_until};

use super::{Loaded, Loader, NotLoaded, Source, Verdict};

/// How long the end waits for what may be going on: a library's constructors, for example.
const END_MAX: Duration = Duration::from_secs(2);

/// What a look gave: a new version, or why there is none.
pub type Arrival = Result<Loaded, NotLoaded>;

/// A thread that looks for new versions; ended with [`end`](Self::end).
pub struct Watch {
    stop: watch::Sender<bool>,
    ended: Receiver<()>,
}

impl Watch {
    /// Looks every period. What comes of it goes to `arrivals`; a failure that goes on is told once.
    ///
    /// # Errors
    ///
    /// The thread can't be started.
    pub fn start(
        source: Source,
        loader: Arc<Loader>,
        period: Duration,
        arrivals: mpsc::Sender<Arrival>,
    ) -> Result<Watch> {
        let (stop, stopped) = watch::channel(false);
        let (end, ended) = channel();
        let runtime =
            tokio::runtime::Builder::new_current_thread().enable_all().build().context("can't start to look")?;
        let look = Look { source, loader, period, arrivals, told: None };
        thread::Builder::new()
            .name("reload".to_owned())
            .spawn(move || {
                runtime.block_on(look.until(stopped));
                // Whoever waits has gone if this fails.
                end.send(()).ok();
            })
            .context("can't start a thread that looks for new versions")?;
        Ok(Watch { stop, ended })
    }

    /// Ends the thread and waits for it, but not for long.
    pub fn end(self) {
        self.stop.send_replace(true);
        if self.ended.recv_timeout(END_MAX) == Err(RecvTimeoutError::Timeout) {
            tracing::warn!("a new version of the plugin is still being loaded: not waiting for it");
        }
    }
}

/// What the thread works with.
struct Look {
    source: Source,
    loader: Arc<Loader>,
    period: Duration,
    arrivals: mpsc::Sender<Arrival>,
    /// The failure that was told last.
    told: Option<String>,
}

impl Look {
    async fn until(mut self, mut stopped: watch::Receiver<bool>) {
        let mut next = Instant::now();
        loop {
            // A look that took long is not made up for.
            next = (next + self.period).max(Instant::now());
            let looked = async {
                sleep_until(next).await;
                self.source.look().await
            };
            let looked = tokio::select! {
                _ = stopped.wait_for(|stop| *stop) => return,
                looked = looked => looked,
            };
            let arrival = match looked {
                Ok(None) => continue,
                Ok(Some(found)) => self.load(found),
                Err(error) => Err(NotLoaded::unread(error)),
            };
            if self.is_news(&arrival) {
                tokio::select! {
                    _ = stopped.wait_for(|stop| *stop) => return,
                    sent = self.arrivals.send(arrival) => if sent.is_err() { return },
                }
            }
        }
    }

    fn load(&mut self, found: super::Found) -> Arrival {
        let arrival = self.loader.load(found);
        self.source.settle(match &arrival {
            Ok(_) => Verdict::Taken,
            Err(not) if not.is_passing() => Verdict::NotTried,
            Err(_) => Verdict::Refused,
        });
        arrival
    }

    fn is_news(&mut self, arrival: &Arrival) -> bool {
        let text = arrival.as_ref().err().map(|not| not.to_string());
        let news = text.is_none() || text != self.told;
        self.told = text;
        news
    }
}
