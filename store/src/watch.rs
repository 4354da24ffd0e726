//! Who is told of writes to keys, and what.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use redis::{PushInfo, PushKind, Value};
use tokio::sync::Notify;

/// What happened to a watched key, or to the watching.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    /// The key was written, removed, or ran out of time. Several writes between two calls of [`Watch::next`] are told
    /// once.
    Written(String),
    /// The connection is gone: nothing is told until an operation has made a new one.
    Lost,
    /// There is a new connection, and writes are told again. Those in between were not: read the keys. (Of a prefix also
    /// told where the database was emptied.)
    Restored,
}

/// Tells of writes to keys by others. Of the store's own only commits are told: Redis doesn't see whose a script's
/// writes are. Ends when it is dropped.
#[derive(Debug)]
pub struct Watch {
    board: Arc<Board>,
}

/// What has not been told yet: each key once, so that it can't grow beyond the keys while nobody asks.
#[derive(Debug)]
pub(crate) struct Board {
    watched: Watched,
    pending: Mutex<Pending>,
    news: Notify,
}

/// Which writes count.
#[derive(Debug)]
enum Watched {
    /// Those to these keys.
    Keys(Vec<String>),
    /// Those to all keys that begin so.
    Prefix(String),
}

#[derive(Debug, Default)]
struct Pending {
    written: BTreeSet<String>,

    lost: bool,
    restored: bool,
    link: Link,
    /// The number of the connection that tells: what an older one still says doesn't count.
    generation: u64,
}

/// Whether there is a connection that tells of writes.
#[derive(Debug, Default, PartialEq, Eq)]
enum Link {
    /// Not yet: the first one is none that was restored.
    #[default]
    Awaited,
    Live,
    Lost,
}

impl Watch {
    pub(crate) fn new(keys: &[&str]) -> Watch {
        Watch::of(Watched::Keys(keys.iter().map(|key| (*key).to_owned()).collect()))
    }

    pub(crate) fn of_prefix(prefix: &str) -> Watch {
        Watch::of(Watched::Prefix(prefix.to_owned()))
    }

    fn of(watched: Watched) -> Watch {
        Watch { board: Arc::new(Board { watched, pending: Mutex::default(), news: Notify::new() }) }
    }

    pub(crate) fn board(&self) -> Weak<Board> {
        Arc::downgrade(&self.board)
    }

    /// Waits for the next change. Nothing is lost if the future is dropped before it ends.
    pub async fn next(&mut self) -> Change {
        loop {
            if let Some(change) = self.board.take() {
                return change;
            }
            self.board.news.notified().await;
        }
    }
}

impl Board {
    /// What the server has to tell of: the shortest of the keys that begin alike, since it refuses prefixes that
    /// overlap.
    pub fn prefixes(&self) -> Vec<&str> {
        let mut sorted: Vec<&str> = match &self.watched {
            Watched::Keys(keys) => keys.iter().map(String::as_str).collect(),
            Watched::Prefix(prefix) => vec![prefix],
        };
        sorted.sort_unstable();
        let mut prefixes: Vec<&str> = Vec::new();
        for key in sorted {
            if !prefixes.last().is_some_and(|shorter| key.starts_with(shorter)) {
                prefixes.push(key);
            }
        }
        prefixes
    }

    /// From now on the connection of this number is the one that tells.
    pub fn expect(&self, generation: u64) {
        self.pending().generation = generation;
    }

    /// Takes in what the connection of this number, or the client for it, says unasked.
    pub fn take_in(&self, generation: u64, push: &PushInfo) {
        if self.pending().generation != generation {
            return;
        }
        match push.kind {
            PushKind::Invalidate => self.mark(|pending| match push.data.first() {
                Some(Value::Array(written)) => {
                    pending.written.extend(written.iter().filter_map(|key| self.watched(key)))
                }
                // All keys at once: the database was flushed.
                _ => match &self.watched {
                    Watched::Keys(keys) => pending.written.extend(keys.iter().cloned()),
                    Watched::Prefix(_) => pending.restored = true,
                },
            }),
            PushKind::Disconnection => self.lost(),
            _ => {}
        }
    }

    /// The connection is gone; told once, however often it is found out.
    pub fn lost(&self) {
        self.mark(|pending| {
            if pending.link == Link::Live {
                (pending.link, pending.lost, pending.restored) = (Link::Lost, true, false);
            }
        });
    }

    /// There is a connection that tells.
    pub fn restored(&self) {
        self.mark(|pending| {
            pending.restored |= pending.link == Link::Lost;
            pending.link = Link::Live;
        });
    }

    fn watched(&self, key: &Value) -> Option<String> {
        let Value::BulkString(bytes) = key else { return None };
        let key = std::str::from_utf8(bytes).ok()?;
        let counts = match &self.watched {
            Watched::Keys(keys) => keys.iter().any(|watched| watched == key),
            Watched::Prefix(prefix) => key.starts_with(prefix),
        };
        counts.then(|| key.to_owned())
    }

    fn mark(&self, mark: impl FnOnce(&mut Pending)) {
        mark(&mut self.pending());
        self.news.notify_one();
    }

    fn take(&self) -> Option<Change> {
        let mut pending = self.pending();
        if std::mem::take(&mut pending.lost) {
            return Some(Change::Lost);
        }
        if std::mem::take(&mut pending.restored) {
            return Some(Change::Restored);
        }
        pending.written.pop_first().map(Change::Written)
    }

    /// A plain mutex: it is held for a few marks only, never across an await.
    fn pending(&self) -> MutexGuard<'_, Pending> {
        self.pending.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(keys: &[&str]) -> PushInfo {
        let keys = keys.iter().map(|key| Value::BulkString(key.as_bytes().to_vec())).collect();
        PushInfo { kind: PushKind::Invalidate, data: vec![Value::Array(keys)] }
    }

    fn ended() -> PushInfo {
        PushInfo { kind: PushKind::Disconnection, data: Vec::new() }
    }

    #[test]
    fn prefixes_never_overlap() {
        let watch = Watch::new(&["metrics-output", "metrics", "{metrics-output}:status", "metrics", "m2"]);
        assert_eq!(watch.board.prefixes(), ["m2", "metrics", "{metrics-output}:status"]);
    }

    #[test]
    fn only_the_keys_themselves_count_and_each_once() {
        let watch = Watch::new(&["out", "in"]);
        watch.board.take_in(0, &written(&["outer", "in"]));
        watch.board.take_in(0, &written(&["in"]));
        assert_eq!(watch.board.take(), Some(Change::Written("in".to_owned())));
        assert_eq!(watch.board.take(), None);
    }

    #[test]
    fn a_loss_comes_before_what_came_after_it() {
        let watch = Watch::new(&["out"]);
        watch.board.expect(1);
        watch.board.restored();
        assert_eq!(watch.board.take(), None, "the first connection is none that was restored");
        watch.board.take_in(1, &ended());
        watch.board.expect(2);
        watch.board.restored();
        watch.board.take_in(2, &written(&["out"]));
        let told: Vec<_> = std::iter::from_fn(|| watch.board.take()).collect();
        assert_eq!(told, [Change::Lost, Change::Restored, Change::Written("out".to_owned())]);
    }

    #[test]
    fn a_loss_is_told_once_and_an_older_connections_end_not_at_all() {
        let watch = Watch::new(&["out"]);
        watch.board.expect(1);
        watch.board.restored();
        watch.board.lost();
        watch.board.take_in(1, &ended());
        assert_eq!((watch.board.take(), watch.board.take()), (Some(Change::Lost), None));
        watch.board.take_in(1, &ended());
        watch.board.expect(2);
        watch.board.restored();
        watch.board.take_in(1, &ended());
        assert_eq!((watch.board.take(), watch.board.take()), (Some(Change::Restored), None));
    }
}
