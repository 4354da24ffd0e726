//! The keys that are to be read: each once, those that were written before those that a look has found.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

/// Of the keys that are taken at once, the part that a look has found, where there are others: looks come to an end
/// though keys are written all the time.
const FOUND_PART: usize = 8;

/// The keys of one thread that are to be read. It can't grow much beyond the keys that there are.
#[derive(Debug, Default)]
pub(super) struct Due {
    keys: Mutex<Keys>,
    news: Notify,
}

/// Why a key is to be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Why {
    /// It was written, or what came of its value is to be done again: soon.
    Written,
    /// A look has found it; most such keys have not changed.
    Found,
}

#[derive(Debug, Default)]
struct Keys {
    written: VecDeque<Arc<str>>,
    /// A key that was written meanwhile stays here too, and is passed over.
    found: VecDeque<Arc<str>>,
    there: HashMap<Arc<str>, Why>,
}

impl Due {
    pub(super) fn add(&self, key: &str, why: Why) {
        let mut keys = self.keys();
        if keys.there.get(key).is_some_and(|before| *before == Why::Written || why == Why::Found) {
            return;
        }
        let key: Arc<str> = key.into();
        keys.there.insert(Arc::clone(&key), why);
        match why {
            Why::Written => keys.written.push_back(key),
            Why::Found => keys.found.push_back(key),
        }
        drop(keys);
        self.news.notify_one();
    }

    /// Waits for keys, and takes up to `most`. Nothing is lost if the future is dropped before it ends.
    pub(super) async fn take(&self, most: usize) -> Vec<Arc<str>> {
        loop {
            let taken = self.keys().take(most);
            if !taken.is_empty() {
                return taken;
            }
            self.news.notified().await;
        }
    }

    /// A plain mutex: it is held for a few moves only, never across an await.
    fn keys(&self) -> MutexGuard<'_, Keys> {
        self.keys.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Keys {
    fn take(&mut self, most: usize) -> Vec<Arc<str>> {
        let written = self.written.len().min(most);
        let mut taken: Vec<_> = self.written.drain(..written).collect();
        let most_found = if written == 0 { most } else { most / FOUND_PART };
        let most = written + most_found;
        while taken.len() < most
            && let Some(key) = self.found.pop_front()
        {
            if self.there.get(&key) == Some(&Why::Found) {
                self.there.remove(&key);
                taken.push(key);
            }
        }
        for key in &taken[..written] {
            self.there.remove(key);
        }
        taken
    }
}

#[cfg(test)]
mod tests {
    use super::{Due, Why};

    async fn take(due: &Due, most: usize) -> Vec<String> {
        due.take(most).await.iter().map(|key| key.to_string()).collect()
    }

    #[tokio::test]
    async fn a_key_is_due_once_however_often_it_is_named() {
        let due = Due::default();
        for (key, why) in [("a", Why::Found), ("b", Why::Written), ("a", Why::Found), ("b", Why::Found)] {
            due.add(key, why);
        }
        assert_eq!(take(&due, 9).await, ["b", "a"]);
        due.add("a", Why::Found);
        due.add("a", Why::Written);
        assert_eq!(take(&due, 9).await, ["a"]);
        due.add("c", Why::Found);
        assert_eq!(take(&due, 9).await, ["c"], "what was passed over is not taken again");
    }

    #[tokio::test]
    async fn keys_that_were_written_come_first_and_those_that_were_found_come_all_the_same() {
        let due = Due::default();
        (0..100).for_each(|number| due.add(&format!("found-{number}"), Why::Found));
        (0..20).for_each(|number| due.add(&format!("written-{number}"), Why::Written));
        let taken = take(&due, 16).await;
        assert_eq!(taken.iter().filter(|key| key.starts_with("written")).count(), 16);
        assert_eq!(taken.iter().filter(|key| key.starts_with("found")).count(), 2);
        assert_eq!(take(&due, 16).await.iter().filter(|key| key.starts_with("written")).count(), 4);
        assert_eq!(take(&due, 200).await.len(), 96);
    }
}
