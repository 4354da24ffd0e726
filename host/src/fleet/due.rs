//! The keys that are to be read: each once, in the order in which they were first named.

use std::collections::{HashSet, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

/// The keys of one thread that are to be read. It can't grow beyond the keys that there are.
#[derive(Debug, Default)]
pub(super) struct Due {
    keys: Mutex<Keys>,
    news: Notify,
}

#[derive(Debug, Default)]
struct Keys {
    order: VecDeque<Arc<str>>,
    there: HashSet<Arc<str>>,
}

impl Due {
    pub(super) fn add(&self, key: &str) {
        let mut keys = self.keys();
        if !keys.there.contains(key) {
            let key: Arc<str> = key.into();
            keys.there.insert(Arc::clone(&key));
            keys.order.push_back(key);
            drop(keys);
            self.news.notify_one();
        }
    }

    /// Waits for keys, and takes up to `most`. Nothing is lost if the future is dropped before it ends.
    pub(super) async fn take(&self, most: usize) -> Vec<Arc<str>> {
        loop {
            let taken = self.take_now(most);
            if !taken.is_empty() {
                return taken;
            }
            self.news.notified().await;
        }
    }

    fn take_now(&self, most: usize) -> Vec<Arc<str>> {
        let mut keys = self.keys();
        let count = most.min(keys.order.len());
        let taken: Vec<_> = keys.order.drain(..count).collect();
        for key in &taken {
            keys.there.remove(key);
        }
        taken
    }

    /// A plain mutex: it is held for a few moves only, never across an await.
    fn keys(&self) -> MutexGuard<'_, Keys> {
        self.keys.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::Due;

    #[tokio::test]
    async fn a_key_is_due_once_however_often_it_is_named() {
        let due = Due::default();
        ["a", "b", "a"].into_iter().for_each(|key| due.add(key));
        assert_eq!(due.take(9).await.iter().map(|key| &**key).collect::<Vec<_>>(), ["a", "b"]);
        due.add("a");
        assert_eq!(due.take(9).await.len(), 1);
    }
}
