//! Commits what the calls of a round gave, in one pipeline.
//!
//! Where nobody knows what became of a commit, the next round reads what the store holds.

use std::sync::Arc;

use store::{Cause, Commit, Committed, Dead};
use tokio::time::Instant;

use super::due::Why;
use super::shard::{Called, Changed, Gave, Progress, Shard};
use crate::control::Report;
use crate::flight::key_number;
use crate::status::now;

impl Changed {
    /// The event's id under `{out}:replay`, where it was called out of turn: what was called in turn stays what it is.
    fn replayed(&self) -> Option<&str> {
        self.event.strip_prefix("replay:")
    }
}

impl Shard {
    pub(super) async fn commit(&mut self, called: Vec<Called>) {
        let (saved_at, mut rest): (Arc<str>, _) = (now().into(), called);
        // Twice at most: the second time for keys of which the store lost commits.
        for _ in 0..2 {
            let commits: Vec<_> = rest.iter().map(|called| self.commit_of(called, &saved_at)).collect();
            let settled = match self.job.store.commit_each(&commits).await {
                Ok(settled) => settled,
                Err(error) => return rest.iter().for_each(|called| self.not_committed(called, error.clone())),
            };
            let mut lost = Vec::new();
            for (called, settled) in rest.into_iter().zip(settled) {
                match settled {
                    Ok(Committed::Applied) => self.committed(called, &saved_at),
                    Ok(Committed::Refused { sequence }) => {
                        let progress =
                            self.known.get_mut(&called.changed.key).and_then(|known| known.progress.as_mut());
                        match progress.filter(|progress| progress.sequence > sequence) {
                            Some(progress) => {
                                progress.sequence = sequence;
                                lost.push(called);
                            }
                            None => self.overtaken(&called),
                        }
                    }
                    Ok(Committed::Claimed) => self.overtaken(&called),
                    Err(error) => self.not_committed(&called, error),
                }
            }
            rest = lost;
            if rest.is_empty() {
                break;
            }
            tracing::warn!(keys = rest.len(), "the store lost commits: writing on from this host's envs");
        }
        rest.iter().for_each(|called| self.overtaken(called));
    }

    /// What can't be written at a key is told, and left until the key has other bytes. Of any other commit nobody knows
    /// whether it arrived: what the store holds will tell.
    fn not_committed(&mut self, Called { changed, .. }: &Called, error: store::Error) {
        let is_lasting = matches!(error.cause, Cause::WrongType { .. } | Cause::Corrupt(_) | Cause::Other(_));
        if is_lasting && changed.replayed().is_none() {
            return self.unusable(&changed.key, changed.event.clone(), "output", &error.to_string());
        }
        if let Some(progress) = self.known.get_mut(&changed.key).and_then(|known| known.progress.as_mut()) {
            progress.is_certain = false;
        }
        if changed.replayed().is_none() {
            self.due.add(&changed.key, Why::Written);
        }
        self.trouble = Some(error);
    }

    fn commit_of<'a>(&'a self, called: &'a Called, saved_at: &'a str) -> Commit<'a> {
        let progress = self.known.get(&called.changed.key).and_then(|known| known.progress.as_ref());
        let verified = &called.plugin.verified;
        let (outputs, env, dead) = match &called.gave {
            Gave::Result { output, env } => (output.as_deref().into_iter().collect(), env.as_slice(), None),
            Gave::Nothing { reason, attempts } => {
                let (data, most) = (called.changed.bytes.as_slice(), self.job.retries.dead_max);
                let dead = Dead { data, reason, attempts: *attempts, at: saved_at, most };
                (Vec::new(), progress.map_or(&[][..], |progress| &progress.env), Some(dead))
            }
        };
        Commit {
            keys: &called.changed.keys,
            sequence: progress.map_or(0, |progress| progress.sequence),
            outputs,
            env,
            last_event: &called.changed.event,
            handler: &verified.symbol,
            plugin_version: &verified.manifest.version,
            saved_at,
            history_length: self.job.history_length,
            output_stream: None,
            taken: None,
            dead,
            replayed: called.changed.replayed(),
        }
    }

    fn committed(&mut self, called: Called, saved_at: &Arc<str>) {
        let Called { changed, gave, .. } = called;
        self.slot.progressed();
        self.suspects.settled(key_number(&changed.key), &changed.event);
        let env = match gave {
            Gave::Result { env, .. } => {
                tracing::debug!(key = &*changed.key, event = changed.event, "called");
                self.board.committed(env.len());
                Some(env.into())
            }
            Gave::Nothing { reason, attempts } => {
                tracing::error!(key = &*changed.key, event = changed.event, attempts, "set aside: {reason}");
                self.board.set_aside();
                self.suspects.report(&Report::Now(Box::new(self.board.snapshot())));
                None
            }
        };
        if let Some(known) = self.known.get_mut(&changed.key) {
            let before = known.progress.take();
            let sequence = before.as_ref().map_or(0, |progress| progress.sequence) + 1;
            let env = env.or(before.map(|progress| progress.env)).unwrap_or_default();
            let (saved_at, touched) = (Some(Arc::clone(saved_at)), Instant::now());
            known.progress = Some(Progress { sequence, saved_at, env, is_certain: true, touched });
            if changed.replayed().is_none() {
                known.event = changed.event.into();
                self.failing.remove(&changed.key);
            }
        }
    }

    /// Another host has committed meanwhile: its env is what the next call begins with.
    fn overtaken(&mut self, called: &Called) {
        tracing::warn!(key = &*called.changed.key, "another host writes its output: going on from its env");
        self.known.remove(&called.changed.key);
        self.due.add(&called.changed.key, Why::Written);
    }
}
