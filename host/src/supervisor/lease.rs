//! The lease: who of several hosts with one output key works.
//!
//! It is taken where it is free, and extended three times a period. Another host's is waited for: the server tells when
//! it is given up, and where it can't, or the other one falls silent, a look every third of a period finds out. A store
//! that doesn't answer takes nothing away: who holds the lease then can't commit either, and once the store answers it
//! says whose the lease is.

use std::time::Duration;

use store::{Change, Keys, Lease, Store, Watch};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout};

/// How long a host that ends waits for the store.
const RELEASE_WITHIN: Duration = Duration::from_secs(1);

/// Whose the lease is, as far as this host knows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Holding {
    /// The store has not said; with what it said instead.
    Unknown(Option<String>),
    /// This host's.
    Held,
    /// Another one's, with its token.
    Other(String),
}

/// Takes and keeps the lease, until it is released.
pub(super) struct Keeper {
    store: Store,
    keys: Keys,
    token: String,
    task: JoinHandle<()>,
    holding: watch::Receiver<Holding>,
}

/// Takes the lease as soon as it is free, and tells whose it is.
pub(super) fn keep(store: Store, keys: Keys, token: String, period: Duration) -> (Keeper, watch::Receiver<Holding>) {
    let (tell, holding) = watch::channel(Holding::Unknown(None));
    let task = tokio::spawn(take(store.clone(), keys.clone(), token.clone(), period, tell));
    (Keeper { store, keys, token, task, holding: holding.clone() }, holding)
}

impl Keeper {
    /// Gives the lease up, so that another host need not wait.
    pub(super) async fn release(self) {
        self.task.abort();
        if *self.holding.borrow() == Holding::Held {
            let released = timeout(RELEASE_WITHIN, self.store.release(&self.keys, &self.token)).await;
            if let Ok(Err(error)) = released {
                tracing::warn!("another host has to wait until the lease ends: {error}");
            }
        }
    }
}

async fn take(store: Store, keys: Keys, token: String, period: Duration, tell: watch::Sender<Holding>) {
    let (mut watching, mut not_extended) = (None, false);
    loop {
        let pause = match store.take_lease(&keys, &token, period).await {
            Ok(Lease::Held) => {
                (watching, not_extended) = (None, false);
                tell.send_if_modified(|holding| std::mem::replace(holding, Holding::Held) != Holding::Held);
                period / 3
            }
            Ok(Lease::Of { token, expires_in }) => {
                let other = Holding::Other(token);
                tell.send_if_modified(|holding| {
                    let is_news = *holding != other;
                    *holding = other;
                    is_news
                });
                if watching.is_none() {
                    // Where the store can't tell, looking must do. What was given up meanwhile is found by the next look,
                    // which follows at once.
                    watching = store.watch(&[&keys.lease]).await.ok();
                    if watching.is_some() {
                        continue;
                    }
                }
                expires_in.min(period / 3) + Duration::from_millis(1)
            }
            Err(error) => {
                if *tell.borrow() == Holding::Held && !std::mem::replace(&mut not_extended, true) {
                    tracing::warn!("the lease is not extended: {error}");
                }
                let unknown = Holding::Unknown(Some(error.to_string()));
                tell.send_if_modified(|holding| {
                    let is_news = *holding != Holding::Held && *holding != unknown;
                    if is_news {
                        *holding = unknown;
                    }
                    is_news
                });
                watching = None;
                (period / 3).min(Duration::from_secs(1))
            }
        };
        tokio::select! {
            () = sleep(pause) => {}
            () = told(&mut watching) => {}
        }
    }
}

/// Waits until the store tells that the lease was written or is gone.
async fn told(watching: &mut Option<Watch>) {
    match watching {
        Some(watch) => match watch.next().await {
            Change::Written(_) | Change::Restored => {}
            Change::Lost => *watching = None,
        },
        None => std::future::pending().await,
    }
}
