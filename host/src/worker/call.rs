//! Calls the handler: with a batch at once, and with one event alone where the batch fails.

use std::time::Duration;

use plugin_api::abi::{Call, Failure, FailureKind};
use tokio::time::Instant;

use super::commit::Work;
use super::{News, Next, STATUS_DELAY, Worker};
use crate::trigger::Event;

/// What the calls of a batch gave.
#[derive(Debug, Default)]
pub struct Outcome {
    /// The results, in the order of the events.
    pub outputs: Vec<Vec<u8>>,
    /// The env after the last call, as JSON.
    pub env: Vec<u8>,
    /// How long the calls took, reading inputs and env and writing outputs and env included.
    pub took: Duration,
}

/// Whether an outcome's commit is waited for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Pace {
    /// The next events are not taken before.
    Settled,
    /// They are: their calls go on from the env that is being committed.
    Ahead,
}

impl Worker {
    /// Calls the handler with what came at once, and commits the outcome. A batch in which a call fails is called again
    /// event by event, from the env of the last commit: so whatever fails costs the others nothing.
    pub(super) async fn handle(&mut self, events: Vec<Event>, pace: Pace) -> Next {
        let called = match events.len() {
            1 => None,
            _ => self.call(&events, 1).ok(),
        };
        // The events so far, on which these calls rest, come first.
        let next = self.settle().await;
        if next != Next::GoOn {
            self.versions.current_mut().running.forget_env();
            return next;
        }
        let Some(outcome) = called else { return self.handle_each(events).await };
        self.counted(&outcome);
        self.versions.proven();
        self.send(Work::of(&self.job, self.versions.current(), &events, outcome));
        match pace {
            Pace::Settled => self.settle().await,
            Pace::Ahead => Next::GoOn,
        }
    }

    async fn handle_each(&mut self, events: Vec<Event>) -> Next {
        if events.len() > 1 {
            self.versions.current_mut().running.forget_env();
        }
        for event in events {
            let next = self.handle_alone(event).await;
            if next != Next::GoOn {
                return next;
            }
        }
        Next::GoOn
    }

    /// Calls the handler with one event: with an entry of a stream until it succeeds or is set aside, with a key's value
    /// once.
    async fn handle_alone(&mut self, event: Event) -> Next {
        for attempt in 1.. {
            let failure = match self.call_alone(&event, attempt) {
                Ok(outcome) => return self.commit(event, outcome).await,
                Err(failure) => failure,
            };
            (self.tell)(News::Failed(&failure));
            if let Some(outcome) = self.call_version_before(&event, &failure) {
                return self.commit(event, outcome).await;
            }
            if self.job.group.is_none() {
                break;
            }
            // What the handler's types can't read they can't read another time either.
            if failure.kind == FailureKind::Input || attempt >= self.job.max_attempts {
                return self.set_aside(event, &failure, attempt).await;
            }
            if *self.stop.borrow() {
                return Next::Stop;
            }
        }
        Next::GoOn
    }

    async fn commit(&mut self, event: Event, outcome: Outcome) -> Next {
        self.versions.proven();
        self.send(Work::of(&self.job, self.versions.current(), &[event], outcome));
        self.settle().await
    }

    async fn set_aside(&mut self, event: Event, failure: &Failure, attempts: u32) -> Next {
        tracing::error!(key = event.key, event = event.id, attempts, "set aside: {failure}");
        let work = Work::set_aside(&self.job, self.versions.current(), event, &self.progress.env, failure, attempts);
        self.send(work);
        self.settle().await
    }

    /// Calls the handler with one event, and tells how it went.
    pub(super) fn call_alone(&mut self, event: &Event, attempt: u32) -> Result<Outcome, Failure> {
        let started = Instant::now();
        let called = self.call(std::slice::from_ref(event), attempt);
        match &called {
            Ok(outcome) => self.counted(outcome),
            Err(failure) => {
                self.board.failed(&event.key, started.elapsed(), failure);
                let (us, kind) = (started.elapsed().as_micros() as u64, failure.kind.as_str());
                tracing::error!(key = event.key, event = event.id, us, kind, "{failure}");
                self.announcement = self.announcement.min(Instant::now() + STATUS_DELAY);
            }
        }
        called
    }

    /// Calls the handler with one event after another; the first failure ends it.
    fn call(&mut self, events: &[Event], attempt: u32) -> Result<Outcome, Failure> {
        let key = events.first().map_or("", |event| event.key.as_str());
        let span = tracing::info_span!("call", handler = self.versions.current().plugin.verified.symbol, key);
        let _entered = span.enter();
        let started = Instant::now();
        let mut outputs = Vec::with_capacity(events.len());
        for event in events {
            let call = Call {
                input: &event.bytes,
                event_id: &event.id,
                last_execution: self.progress.saved_at.as_deref(),
                attempt,
            };
            outputs.push(self.versions.current_mut().running.call(&call, &self.progress.env)?);
        }
        let env = self.versions.current_mut().running.save_env()?;
        Ok(Outcome { outputs, env, took: started.elapsed() })
    }

    fn counted(&mut self, outcome: &Outcome) {
        self.board.succeeded(outcome.outputs.len(), outcome.took);
        self.announcement = self.announcement.min(Instant::now() + STATUS_DELAY);
    }
}
