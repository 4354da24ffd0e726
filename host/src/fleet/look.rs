//! A look through the keys of a pattern, a step at a time: what is told meanwhile is not held up, however many there are.

use std::future::pending;
use std::pin::Pin;

use store::{Pattern, Store};
use tokio::time::{Instant, sleep_until};

use super::STEP;
use crate::worker::Backoff;

/// A look, or a pause between two.
pub(super) struct Look {
    store: Store,
    glob: String,
    /// Where it goes on; none where none is under way.
    cursor: Option<u64>,
    step: Option<Step>,
    not_before: Instant,
    backoff: Backoff,
}

type Step = Pin<Box<dyn Future<Output = Result<(Vec<String>, u64), store::Error>>>>;

impl Look {
    pub(super) fn new(store: &Store, input: &Pattern) -> Look {
        let (not_before, backoff) = (Instant::now(), Backoff::default());
        Look { store: store.clone(), glob: input.glob(), cursor: None, step: None, not_before, backoff }
    }

    /// Begins with the first key.
    pub(super) fn begin(&mut self) {
        (self.cursor, self.step) = (Some(0), None);
    }

    pub(super) fn is_under_way(&self) -> bool {
        self.cursor.is_some()
    }

    /// The keys of the next step; never where no look is under way. Nothing is lost if the future is dropped. After an error
    /// the look begins anew, a while later.
    pub(super) async fn step(&mut self) -> Result<Vec<String>, store::Error> {
        let Some(cursor) = self.cursor else { return pending().await };
        sleep_until(self.not_before).await;
        let step = self.step.get_or_insert_with(|| {
            let (store, glob) = (self.store.clone(), self.glob.clone());
            Box::pin(async move { store.keys_like(&glob, cursor, STEP).await })
        });
        let stepped = step.await;
        self.step = None;
        match stepped {
            Ok((keys, next)) => {
                self.backoff = Backoff::default();
                self.cursor = Some(next).filter(|next| *next != 0);
                Ok(keys)
            }
            Err(error) => {
                self.not_before = Instant::now() + self.backoff.next();
                self.begin();
                Err(error)
            }
        }
    }
}
