//! What a round reads: values, and what was committed of their keys.
//!
//! What the store fails at concerns the keys that it was asked for, which are due again; the round goes on with the others.

use std::sync::Arc;

use store::{Cause, Keys, KeysError, Part, Saved};
use tokio::time::Instant;

use super::due::Why;
use super::shard::{Changed, Known, Shard};
use crate::trigger::part_id;

impl Shard {
    /// Those of the keys that have new bytes; the ones that are gone are let go.
    pub(super) async fn changed(&mut self, keys: &[Arc<str>]) -> Vec<Changed> {
        let names: Vec<_> = keys.iter().map(|key| &**key).collect();
        let values = match self.job.store.read_up_to_each(&names, self.job.limits.input.saturating_add(1)).await {
            Ok(values) => values,
            Err(error) => {
                if matches!(error.cause, Cause::TimedOut(_)) {
                    self.portion.timed_out();
                }
                self.failed(keys.iter(), error);
                return Vec::new();
            }
        };
        let bytes = |value: &Result<Option<Part>, _>| Some(value.as_ref().ok()?.as_ref()?.bytes.len());
        self.portion.came(keys.len(), values.iter().filter_map(bytes).sum());
        let (mut changed, mut gone, seen) = (Vec::with_capacity(keys.len()), Vec::new(), Instant::now());
        for (key, value) in keys.iter().zip(values) {
            let value = match value {
                Ok(Some(value)) => value,
                Ok(None) => {
                    self.failing.remove(key);
                    gone.push(key);
                    continue;
                }
                Err(error) => {
                    self.failed([key], error);
                    continue;
                }
            };
            let event = part_id(&value);
            if let Some(known) = self.known.get_mut(key) {
                known.seen = seen;
                if *known.event == event {
                    continue;
                }
            }
            match self.output_of(key) {
                Ok(keys) => {
                    let (key, length) = (Arc::clone(key), value.length);
                    changed.push(Changed { key, bytes: value.bytes, length, event, keys });
                }
                Err(error) => self.unusable(key, event, "output", &format!("no result can be written: {error}")),
            }
        }
        self.let_go(gone).await;
        changed
    }

    pub(super) fn output_of(&self, key: &str) -> Result<Keys, KeysError> {
        Keys::of(&self.job.output.with(self.job.input.text_of(key).unwrap_or_default()))
    }

    /// Forgets keys that are gone, but for those whose envs the store has lost with them.
    async fn let_go(&mut self, gone: Vec<&Arc<str>>) {
        let (held, free): (Vec<_>, Vec<_>) = gone.into_iter().partition(|key| self.has_env(key));
        for key in free {
            self.known.remove(key);
        }
        let held: Vec<_> = held.into_iter().filter_map(|key| Some((key, self.output_of(key).ok()?))).collect();
        let envs: Vec<_> = held.iter().map(|(_, keys)| keys).collect();
        let saved = match self.job.store.saved_each(&envs).await {
            Ok(saved) => saved,
            Err(error) => return self.failed(held.iter().map(|(key, _)| *key), error),
        };
        for ((key, _), saved) in held.iter().zip(saved) {
            match saved {
                Ok(saved) => {
                    let sequence = saved.map_or(0, |saved| saved.sequence);
                    let progress = self.known.get_mut(*key).and_then(|known| known.progress.as_mut());
                    match progress.filter(|progress| sequence < progress.sequence) {
                        Some(progress) => (progress.sequence, progress.is_certain) = (sequence, true),
                        None => drop(self.known.remove(*key)),
                    }
                }
                Err(error) if is_of_the_key(&error) => drop(self.known.remove(*key)),
                Err(error) => self.failed([*key], error),
            }
        }
    }

    /// Reads what was committed of those keys of which it is not in memory, or not for certain, and drops those whose bytes
    /// were counted already.
    pub(super) async fn recall(&mut self, changed: Vec<Changed>) -> Vec<Changed> {
        let is_known = |changed: &Changed| self.is_certain(&changed.key);
        let (mut changed, unknown): (Vec<_>, Vec<_>) = changed.into_iter().partition(is_known);
        let envs: Vec<_> = unknown.iter().map(|changed| &changed.keys).collect();
        let saved = match self.job.store.saved_each(&envs).await {
            Ok(saved) => saved,
            Err(error) => {
                self.failed(unknown.iter().map(|unknown| &unknown.key), error);
                return changed;
            }
        };
        for (unknown, saved) in unknown.into_iter().zip(saved) {
            match saved {
                Ok(saved) => {
                    let was_counted = saved.as_ref().is_some_and(|saved| saved.last_event == unknown.event);
                    let known = self.remember(&unknown.key, saved);
                    match was_counted {
                        true => known.event = unknown.event.into(),
                        false => changed.push(unknown),
                    }
                }
                Err(error) if is_of_the_key(&error) => {
                    self.unusable(&unknown.key, unknown.event, "env", &error.to_string());
                }
                Err(error) => self.failed([&unknown.key], error),
            }
        }
        changed
    }

    /// Takes up what the store holds of a key. Where that is no more than what is in memory, the env in memory is written on
    /// to it.
    pub(super) fn remember(&mut self, key: &Arc<str>, saved: Option<Saved>) -> &mut Known {
        let found = Known::from(saved);
        let known = self.known.entry(Arc::clone(key)).or_default();
        match (&mut known.progress, found.progress) {
            (Some(progress), Some(found)) if found.sequence <= progress.sequence => {
                (progress.sequence, progress.is_certain) = (found.sequence, true);
            }
            (_, progress) => (known.event, known.progress) = (found.event, progress),
        }
        known.seen = found.seen;
        known
    }

    /// The store failed at these keys: they are due again.
    fn failed<'a>(&mut self, keys: impl IntoIterator<Item = &'a Arc<str>>, error: store::Error) {
        keys.into_iter().for_each(|key| self.due.add(key, Why::Written));
        self.trouble = Some(error);
    }

    fn has_env(&self, key: &str) -> bool {
        self.known.get(key).is_some_and(|known| known.progress.is_some())
    }

    pub(super) fn is_certain(&self, key: &str) -> bool {
        let progress = self.known.get(key).and_then(|known| known.progress.as_ref());
        progress.is_some_and(|progress| progress.is_certain)
    }
}

/// Whether it is what lies at the key that is wrong; else another try may do.
fn is_of_the_key(error: &store::Error) -> bool {
    matches!(error.cause, Cause::Corrupt(_) | Cause::WrongType { .. })
}
