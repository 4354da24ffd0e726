//! Calls out of turn what was set aside and is to be called once more (`plugin-host dead replay`).
//!
//! Each key has its own `{out}:replay`. Whoever fills it knows a key and no pattern, so a look through the store finds it.

use std::sync::Arc;
use std::time::Duration;

use store::{Keys, Pattern, Store};
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep};

use super::shard::{Changed, Shard, Tried};
use super::{STEP, place_of};
use crate::trigger::Event;

/// The time between two looks.
const PAUSE: Duration = Duration::from_secs(5);

/// A look through very many keys takes long: so many times as long passes until the next one.
const PAUSE_TIMES: u32 = 10;

/// How many events of a key are called out of turn between two looks.
const REPLAYS: usize = 4;

/// Finds the keys.
pub(super) struct Replays {
    pub(super) store: Store,
    pub(super) input: Pattern,
    pub(super) output: Pattern,
    /// The threads that the keys belong to.
    pub(super) shards: Vec<mpsc::Sender<Arc<str>>>,
}

impl Replays {
    /// Looks as long as it may.
    pub(super) async fn look(self) {
        let mut refused = false;
        loop {
            let started = Instant::now();
            match self.look_once().await {
                Ok(()) => refused = false,
                // A store that is away says so elsewhere.
                Err(error) if !std::mem::replace(&mut refused, true) => {
                    tracing::warn!("nothing is called out of turn: {error}");
                }
                Err(_) => {}
            }
            sleep(PAUSE.max(started.elapsed() * PAUSE_TIMES)).await;
        }
    }

    async fn look_once(&self) -> Result<(), store::Error> {
        // The name of an output may have braces or get some.
        let Pattern { prefix, suffix } = &self.output;
        let glob = [prefix, suffix].map(|part| Pattern { prefix: part.clone(), suffix: String::new() }.glob());
        let (glob, mut cursor) = (format!("*{}{}:replay", glob[0], glob[1]), 0);
        loop {
            let (found, next) = self.store.streams_like(&glob, cursor, STEP).await?;
            for key in found.iter().filter_map(|key| self.input_of(key)) {
                if let Some(shard) = self.shards.get(place_of(&key, self.shards.len())) {
                    // A thread that has ended calls nothing any more.
                    shard.send(key).await.ok();
                }
            }
            if next == 0 {
                return Ok(());
            }
            cursor = next;
        }
    }

    /// The input key of whose output this is the companion; none where it is another's.
    fn input_of(&self, replay: &str) -> Option<Arc<str>> {
        let stem = replay.strip_suffix(":replay")?;
        let in_braces = stem.strip_prefix('{').and_then(|stem| stem.strip_suffix('}'));
        let outputs = [in_braces, Some(stem)].into_iter().flatten();
        let mut texts = outputs.filter(|output| Keys::of(output).is_ok_and(|keys| keys.replay == replay));
        texts.find_map(|output| Some(self.input.with(self.output.text_of(output)?).into()))
    }
}

impl Shard {
    /// Calls the handler with what waits at a key, and commits each result.
    pub(super) async fn replay(&mut self, key: &Arc<str>) {
        match self.replay_each(key).await {
            Ok(()) => self.replays_refused = false,
            // The next look finds it again.
            Err(error) if !std::mem::replace(&mut self.replays_refused, true) => {
                tracing::warn!(key = &**key, "nothing is called out of turn: {error}");
            }
            Err(_) => {}
        }
    }

    async fn replay_each(&mut self, key: &Arc<str>) -> Result<(), store::Error> {
        let Ok(keys) = self.output_of(key) else { return Ok(()) };
        for entry in self.job.store.replays(&keys, REPLAYS).await? {
            if !self.is_certain(key) {
                // What was called last in turn stays what it is, though the env has left memory.
                let without_env = self.known.get(key).filter(|known| known.progress.is_none());
                let event = without_env.map(|known| known.event.clone());
                let saved = self.job.store.saved(&keys).await?;
                let known = self.remember(key, saved);
                known.event = event.unwrap_or_else(|| known.event.clone());
            }
            let Event { bytes, id: event, .. } = Event::of_replay(key, entry);
            let (key, length, keys) = (Arc::clone(key), bytes.len(), keys.clone());
            let (mut changed, mut failed) = (Changed { key, bytes, length, event, keys }, None);
            let called = loop {
                match self.attempt(changed, failed) {
                    Tried::Called(called) => break called,
                    Tried::Failed(again, attempts) => (changed, failed) = (again, Some(attempts)),
                    Tried::Anew(again) => changed = again,
                    Tried::EnvUnread(_) => return Ok(()),
                }
            };
            self.commit(vec![called]).await;
            if let Some(error) = self.trouble.take() {
                return Err(error);
            }
        }
        Ok(())
    }
}
