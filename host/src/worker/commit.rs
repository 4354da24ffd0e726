//! Commits an outcome: once, whatever happens to the connection.

use store::{Commit, Committed};

use super::{Backoff, Next, Progress, Worker};
use crate::plugin::Outcome;
use crate::status::now;
use crate::trigger::Event;

/// What became of an outcome.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Settled {
    /// It is in the store.
    Committed,
    /// Another host has committed meanwhile: this very event, or others.
    Overtaken,
    /// The worker was told to stop while the store did not answer. The event is called again after the next start.
    Stopped,
}

impl Worker {
    /// Commits an outcome. The store may not answer, or answer without being heard: so after every error the worker
    /// reads before it tries again.
    pub(super) async fn commit(&mut self, event: &Event, outcome: &Outcome) -> Settled {
        let saved_at = now();
        let mut backoff = Backoff::default();
        loop {
            let commit = Commit {
                keys: &self.job.output,
                sequence: self.progress.sequence,
                output: &outcome.output,
                env: &outcome.env,
                last_event: &event.id,
                handler: &self.version.plugin.verified.symbol,
                plugin_version: &self.version.plugin.verified.manifest.version,
                saved_at: &saved_at,
                history_length: self.job.history_length,
            };
            let mut uncertain = match self.job.store.commit(&commit).await {
                Ok(Committed::Applied) => return self.advance(event, outcome, saved_at),
                Ok(Committed::Refused { .. }) => None,
                Err(error) => Some(error),
            };
            loop {
                if let Some(error) = &uncertain {
                    self.unavailable(error);
                    if self.pause(&mut backoff).await == Next::Stop {
                        return Settled::Stopped;
                    }
                }
                match self.job.store.saved(&self.job.output).await {
                    Err(error) => uncertain = Some(error),
                    Ok(saved) => {
                        let saved = saved.map(Progress::from).unwrap_or_default();
                        let same_event = saved.last_event.as_deref() == Some(event.id.as_str());
                        if saved.sequence == self.progress.sequence + 1 && same_event && saved.env == outcome.env {
                            // The commit went through; only its answer was lost.
                            return self.advance(event, outcome, saved_at);
                        }
                        if saved.sequence > self.progress.sequence {
                            tracing::warn!(
                                sequence = saved.sequence,
                                "another host writes to {}: going on from its env",
                                self.job.output.output
                            );
                            return Settled::Overtaken;
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
        }
    }

    fn advance(&mut self, event: &Event, outcome: &Outcome, saved_at: String) -> Settled {
        self.announcement_failed = false;
        self.available();
        self.progress = Progress {
            sequence: self.progress.sequence + 1,
            last_event: Some(event.id.clone()),
            saved_at: Some(saved_at),
            env: outcome.env.clone(),
        };
        Settled::Committed
    }
}
