//! Commits an outcome: once, whatever happens to the connection.
//!
//! The commit is sent by a task of its own, so that it is under way while the next batch is called.

use std::future::pending;
use std::sync::Arc;

use store::{Cause, Commit, Committed, Dead, Taken};
use tokio::task::JoinHandle;

use super::call::Outcome;
use super::version::Version;
use super::{Backoff, Job, News, Next, Progress, Worker};
use crate::control::Report;
use crate::flight::key_number;
use crate::status::now;
use crate::trigger::Event;

/// What a commit writes.
pub(super) struct Work {
    job: Arc<Job>,
    key: String,
    /// The identities of the events, in their order.
    ids: Vec<String>,
    outcome: Outcome,
    handler: String,
    plugin_version: String,
    saved_at: String,
    /// The only event, where it is set aside.
    dead: Option<Aside>,
}

struct Aside {
    data: Vec<u8>,
    reason: String,
    attempts: u32,
}

/// A commit that is under way.
pub(super) struct Sent {
    work: Arc<Work>,
    answer: Answer,
}

enum Answer {
    Awaited(JoinHandle<Result<Committed, store::Error>>),
    Here(Result<Committed, store::Error>),
}

impl Work {
    /// The commit of what the calls with these events gave.
    pub(super) fn of(job: &Arc<Job>, version: &Version, events: &[Event], outcome: Outcome) -> Work {
        Work {
            job: Arc::clone(job),
            key: events.first().map(|event| event.key.clone()).unwrap_or_default(),
            ids: events.iter().map(|event| event.id.clone()).collect(),
            outcome,
            handler: version.plugin.verified.symbol.clone(),
            plugin_version: version.plugin.verified.manifest.version.clone(),
            saved_at: now(),
            dead: None,
        }
    }

    /// The commit that sets an event aside: progress is made, env stays, and there is no result.
    pub(super) fn set_aside(
        job: &Arc<Job>,
        version: &Version,
        event: Event,
        env: &[u8],
        reason: &str,
        attempts: u32,
    ) -> Work {
        let outcome = Outcome { env: env.to_vec(), ..Outcome::default() };
        let mut work = Work::of(job, version, std::slice::from_ref(&event), outcome);
        work.dead = Some(Aside { data: event.bytes, reason: reason.to_owned(), attempts });
        work
    }

    /// The event's id under `{out}:replay`, where it was called out of turn: what was called in turn stays what it is.
    fn replayed(&self) -> Option<&str> {
        self.ids.last().and_then(|id| id.strip_prefix("replay:"))
    }

    fn last_event(&self) -> &str {
        self.ids.last().map_or("", String::as_str)
    }

    /// Whether entries that were counted come again, since it begins no later than the last one that was: its server has lost
    /// their acknowledgement, if not the entries themselves.
    fn comes_again(&self, last_event: Option<&str>) -> bool {
        let number = |id: &str| {
            let (milliseconds, number) = id.split_once('-')?;
            Some((milliseconds.parse::<u64>().ok()?, number.parse::<u64>().ok()?))
        };
        let [first, last] = [self.ids.first().map(String::as_str), last_event].map(|id| id.and_then(number));
        first.zip(last).is_some_and(|(first, last)| first <= last)
    }

    async fn commit(&self, sequence: u64) -> Result<Committed, store::Error> {
        let job = &self.job;
        let commit = Commit {
            keys: &job.output,
            sequence,
            outputs: self.outcome.outputs.iter().map(Vec::as_slice).collect(),
            env: &self.outcome.env,
            last_event: self.last_event(),
            handler: &self.handler,
            plugin_version: &self.plugin_version,
            saved_at: &self.saved_at,
            history_length: job.history_length,
            output_stream: job.output_stream.as_deref(),
            taken: job.group.as_ref().map(|group| Taken { group, ids: self.ids.iter().map(String::as_str).collect() }),
            dead: self.dead.as_ref().map(|dead| Dead {
                data: &dead.data,
                reason: &dead.reason,
                attempts: dead.attempts,
                at: &self.saved_at,
                most: job.retries.map_or(0, |retries| retries.dead_max),
            }),
            replayed: self.replayed(),
        };
        job.store.commit(&commit).await
    }
}

/// Waits for the answer of a commit that is under way; for ever where there is none. Nothing is lost if the future is
/// dropped.
pub(super) async fn answered(sent: &mut Option<Sent>) {
    match sent {
        Some(Sent { work, answer }) => {
            if let Answer::Awaited(task) = answer {
                let told = task.await;
                *answer = Answer::Here(told.unwrap_or_else(|error| {
                    Err(store::Error {
                        action: format!("commit to key {:?}", work.job.output.output),
                        store: work.job.store.address().to_string(),
                        cause: Cause::Other(error.to_string()),
                    })
                }));
            }
        }
        None => pending().await,
    }
}

impl Worker {
    /// Begins a commit. The one before must be settled.
    pub(super) fn send(&mut self, work: Work) {
        let (work, sequence) = (Arc::new(work), self.progress.sequence);
        let sent = Arc::clone(&work);
        let task = tokio::spawn(async move { sent.commit(sequence).await });
        self.sent = Some(Sent { work, answer: Answer::Awaited(task) });
    }

    /// Waits until the commit that is under way, if there is one, is in the store. The store may not answer, or answer
    /// without being heard: so after every error the worker reads before it tries again.
    pub(super) async fn settle(&mut self) -> Next {
        if self.sent.is_none() {
            return Next::GoOn;
        }
        answered(&mut self.sent).await;
        let Some(Sent { work, answer: Answer::Here(mut answer) }) = self.sent.take() else { return Next::GoOn };
        let mut backoff = Backoff::default();
        loop {
            let (mut uncertain, claimed) = match answer {
                Ok(Committed::Applied) => return self.advance(&work),
                Ok(Committed::Refused { .. }) => (None, false),
                Ok(Committed::Claimed) => (None, true),
                Err(error) => (Some(error), false),
            };
            loop {
                if let Some(error) = &uncertain {
                    self.unavailable(error);
                    if self.pause(&mut backoff).await == Next::Stop {
                        // The events are called again after the next start.
                        return Next::Stop;
                    }
                }
                match self.job.store.saved(&self.job.output).await {
                    Err(error) => uncertain = Some(error),
                    Ok(saved) => {
                        let saved = saved.map(Progress::from).unwrap_or_default();
                        let same_event =
                            work.replayed().is_some() || saved.last_event.as_deref() == Some(work.last_event());
                        if saved.sequence == self.progress.sequence + 1 && same_event && saved.env == work.outcome.env {
                            // The commit went through; only its answer was lost.
                            return self.advance(&work);
                        }
                        if saved.sequence > self.progress.sequence {
                            tracing::warn!(
                                sequence = saved.sequence,
                                "another host writes to {}: going on from its env",
                                self.job.output.output
                            );
                            return Next::Recover;
                        }
                        let comes_again = saved.sequence > 0 || work.comes_again(self.progress.last_event.as_deref());
                        if saved.sequence < self.progress.sequence && self.job.group.is_some() && comes_again {
                            tracing::warn!(
                                sequence = saved.sequence,
                                expected = self.progress.sequence,
                                "the store lost commits: their entries come again, so going on from its env"
                            );
                            return Next::Recover;
                        }
                        if saved.sequence < self.progress.sequence {
                            tracing::warn!(
                                sequence = saved.sequence,
                                expected = self.progress.sequence,
                                "the store lost commits: writing on from this host's env"
                            );
                            self.progress.sequence = saved.sequence;
                        }
                        break;
                    }
                }
            }
            if claimed {
                match work.replayed() {
                    Some(id) => tracing::warn!(id, "what was to be called once more is gone: somebody has removed it"),
                    None => tracing::warn!("other consumers have claimed entries of this batch: they count them"),
                }
                return Next::LookAgain;
            }
            answer = work.commit(self.progress.sequence).await;
        }
    }

    /// The commit is in the store.
    fn advance(&mut self, work: &Work) -> Next {
        self.announcement_failed = false;
        self.available();
        self.progress = Progress {
            sequence: self.progress.sequence + 1,
            last_event: match work.replayed() {
                Some(_) => self.progress.last_event.take(),
                None => Some(work.last_event().to_owned()),
            },
            saved_at: Some(work.saved_at.clone()),
            env: work.outcome.env.clone(),
        };
        self.slot.progressed();
        self.board.committed(work.outcome.env.len());
        if !self.suspects.is_empty() {
            let key = key_number(&work.key);
            work.ids.iter().for_each(|id| self.suspects.settled(key, id));
        }
        if work.dead.is_some() {
            self.board.set_aside();
            self.supervision.report(&Report::Now(Box::new(self.board.snapshot())));
            return Next::GoOn;
        }
        let us = work.outcome.took.as_micros() as u64;
        match work.outcome.calls {
            1 => {
                let (event, output_bytes) = (work.last_event(), work.outcome.outputs.first().map(Vec::len));
                tracing::info!(key = work.key, event, us, output_bytes, "called");
            }
            calls => tracing::debug!(key = work.key, last_event = work.last_event(), us, calls, "called"),
        }
        (self.tell)(News::Committed(&work.outcome));
        Next::GoOn
    }
}
