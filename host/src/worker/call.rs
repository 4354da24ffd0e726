//! Calls the handler: with a batch at once, and with one event alone where the batch fails.

use std::time::Duration;

use plugin_api::abi::{Call, Failure, FailureKind};
use tokio::time::Instant;

use super::commit::Work;
use super::{News, Next, STATUS_DELAY, Worker};
use crate::config::Retries;
use crate::control::Suspect;
use crate::flight::key_number;
use crate::trigger::Event;

/// How many events are called out of turn between two that are in turn.
const REPLAYS: usize = 4;

/// What the calls of a batch gave.
#[derive(Debug, Default)]
pub struct Outcome {
    /// How many there were.
    pub calls: usize,
    /// The results, in the order of the events. A call may give none.
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
    /// Calls the handler with what came at once, and commits the outcome. An event that was being called when a worker
    /// ended, of this host or perhaps of another one, is called alone, so that it costs the others nothing if it ends this
    /// one too.
    pub(super) async fn handle(&mut self, mut events: Vec<Event>, pace: Pace) -> Next {
        while let Some(place) = events.iter().position(|event| self.is_suspect(event)) {
            let mut rest = events.split_off(place);
            let after = rest.split_off(1);
            for part in [events, rest] {
                let next = if part.is_empty() { Next::GoOn } else { self.handle_batch(part, Pace::Settled).await };
                if next != Next::GoOn {
                    return next;
                }
                if *self.stop.borrow() {
                    return Next::Stop;
                }
            }
            events = after;
        }
        if events.is_empty() { Next::GoOn } else { self.handle_batch(events, pace).await }
    }

    /// Calls the handler with a batch. One in which a call fails is called again event by event, from the env of the last
    /// commit: so whatever fails costs the others nothing.
    async fn handle_batch(&mut self, mut events: Vec<Event>, pace: Pace) -> Next {
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
        events.truncate(outcome.calls);
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
            if *self.stop.borrow() {
                return Next::Stop;
            }
            let next = self.handle_alone(event).await;
            if next != Next::GoOn {
                return next;
            }
        }
        Next::GoOn
    }

    /// Calls the handler with one event until it succeeds or is set aside; with a key's value only as long as there is no
    /// newer one.
    async fn handle_alone(&mut self, event: Event) -> Next {
        let retries = self.job.retries;
        let suspect = self.suspects.of(key_number(&event.key), &event.id).cloned();
        let own = suspect.as_ref().map_or(0, |suspect| suspect.attempts);
        // Others may have been given it in a batch that something else has ended: here it is called once at least.
        let others = retries.map_or(0, |retries| event.attempts.min(retries.max_attempts.saturating_sub(1)));
        let mut attempt = own.max(others).saturating_add(1);
        if let (Some(Suspect { attempts, reason, .. }), Some(Retries { max_attempts, .. })) = (&suspect, retries)
            && attempts >= &max_attempts
        {
            return self.set_aside(event, reason, *attempts).await;
        }
        loop {
            let failure = match self.call_alone(&event, attempt) {
                Ok(outcome) => return self.commit(event, outcome).await,
                Err(failure) => failure,
            };
            if let Some(outcome) = self.call_version_before(&event, &failure) {
                return self.commit(event, outcome).await;
            }
            let Some(Retries { max_attempts, .. }) = retries else { return Next::GoOn };
            // What the handler's types can't read they can't read another time either.
            if failure.kind == FailureKind::Input || attempt >= max_attempts {
                return self.set_aside(event, &failure.to_string(), attempt).await;
            }
            if *self.stop.borrow() {
                return Next::Stop;
            }
            if self.has_newer(&event).await {
                // The value may be back by then, and has not had all its attempts.
                return Next::LookAgain;
            }
            attempt = attempt.saturating_add(1);
        }
    }

    /// Calls the handler out of turn with what was set aside and is to be called once more.
    pub(super) async fn replay(&mut self) -> Next {
        if self.job.retries.is_none() || self.job.group.is_some() {
            return Next::GoOn;
        }
        let mut stop = self.stop.clone();
        let replays = tokio::select! {
            _ = stop.wait_for(|stop| *stop) => return Next::Stop,
            replays = self.job.store.replays(&self.job.output, REPLAYS) => replays,
        };
        let replays = match replays {
            Ok(replays) => replays,
            Err(error) => {
                // It is asked again; a store that is away says so elsewhere.
                if !std::mem::replace(&mut self.replays_refused, true) {
                    tracing::warn!("nothing is called out of turn: {error}");
                }
                return Next::GoOn;
            }
        };
        self.replays_refused = false;
        for entry in replays {
            let next = self.handle_alone(Event::of_replay(&self.job.input_key, entry)).await;
            if next != Next::GoOn {
                return next;
            }
        }
        Next::GoOn
    }

    fn is_suspect(&self, event: &Event) -> bool {
        let is_own = || !self.suspects.is_empty() && self.suspects.of(key_number(&event.key), &event.id).is_some();
        event.attempts > 0 || is_own()
    }

    /// Whether the key that an event was read from holds other bytes by now. A store that doesn't answer has none.
    async fn has_newer(&self, event: &Event) -> bool {
        if !event.is_known_by_content() {
            return false;
        }
        let read = self.job.store.read_up_to(&event.key, self.job.limits.input.saturating_add(1)).await;
        read.is_ok_and(|part| part.is_some_and(|part| part.length != event.length || part.bytes != event.bytes))
    }

    async fn commit(&mut self, event: Event, outcome: Outcome) -> Next {
        self.versions.proven();
        self.send(Work::of(&self.job, self.versions.current(), &[event], outcome));
        self.settle().await
    }

    async fn set_aside(&mut self, event: Event, reason: &str, attempts: u32) -> Next {
        tracing::error!(key = event.key, event = event.id, attempts, "set aside: {reason}");
        let work = Work::set_aside(&self.job, self.versions.current(), event, &self.progress.env, reason, attempts);
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
                let took = started.elapsed();
                self.board.failed(&event.key, took, failure);
                let (us, kind) = (took.as_micros() as u64, failure.kind.as_str());
                tracing::error!(key = event.key, event = event.id, us, kind, "{failure}");
                (self.tell)(News::Failed(failure, took));
                self.announcement = self.announcement.min(Instant::now() + STATUS_DELAY);
            }
        }
        called
    }

    /// Calls the handler with one event after another; the first failure ends it. Told to stop, it leaves those that it has
    /// not called.
    fn call(&mut self, events: &[Event], attempt: u32) -> Result<Outcome, Failure> {
        let key = events.first().map_or("", |event| event.key.as_str());
        let span = tracing::info_span!("call", handler = self.versions.current().plugin.verified.symbol, key);
        let _entered = span.enter();
        let called = self.call_each(key_number(key), events, attempt);
        self.slot.leave();
        called
    }

    fn call_each(&mut self, key: u64, events: &[Event], attempt: u32) -> Result<Outcome, Failure> {
        let limits = self.job.limits;
        let started = Instant::now();
        let mut outputs = Vec::with_capacity(events.len());
        let mut calls = 0;
        for event in events {
            if calls > 0 && *self.stop.borrow() {
                break;
            }
            bounded(FailureKind::Input, "INPUT_MAX_BYTES", event.length, limits.input)?;
            let call = Call {
                input: &event.bytes,
                event_id: &event.id,
                last_execution: self.progress.saved_at.as_deref(),
                attempt,
            };
            self.slot.enter(key, &event.id, attempt);
            let output = self.versions.current_mut().running.call(&call, &self.progress.env)?;
            let length = output.as_ref().map_or(0, Vec::len);
            bounded(FailureKind::Output, "OUTPUT_MAX_BYTES", length, limits.output)
                .inspect_err(|_| self.versions.current_mut().running.forget_env())?;
            outputs.extend(output);
            calls += 1;
        }
        let env = self.versions.current_mut().running.save_env()?;
        bounded(FailureKind::Env, "ENV_MAX_BYTES", env.len(), limits.env)
            .inspect_err(|_| self.versions.current_mut().running.forget_env())?;
        Ok(Outcome { calls, outputs, env, took: started.elapsed() })
    }

    fn counted(&mut self, outcome: &Outcome) {
        self.board.succeeded(outcome.calls, outcome.took);
        self.announcement = self.announcement.min(Instant::now() + STATUS_DELAY);
    }
}

/// Fails where there are more bytes than may be.
pub(crate) fn bounded(kind: FailureKind, variable: &str, bytes: usize, most: usize) -> Result<(), Failure> {
    match bytes > most {
        true => Err(Failure { kind, message: format!("{bytes} bytes are more than {variable}, {most}") }),
        false => Ok(()),
    }
}
