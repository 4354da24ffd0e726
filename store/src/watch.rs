//! Who is told of writes to keys, and what.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use redis::{PushInfo, PushKind, Value};
use tokio::sync::Notify;

use crate::keys::{slot, tag};

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
    watching: Watching,
    /// Each server that has to tell, by a number.
    links: BTreeMap<u64, Link>,
}

/// Whether all writes are told.
#[derive(Debug, Default, PartialEq, Eq)]
enum Watching {
    /// Not yet: the first connections are none that were restored.
    #[default]
    Awaited,
    Live,
    Lost,
}

/// Whether a server tells of writes.
#[derive(Debug, Default)]
struct Link {
    live: bool,
    /// The number of the connection that tells: what an older one still says doesn't count.
    generation: u64,
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

    /// The slots of a cluster that the keys are in; none where they may be in any.
    pub fn slots(&self) -> Option<BTreeSet<u16>> {
        match &self.watched {
            Watched::Keys(keys) => Some(keys.iter().map(|key| slot(key)).collect()),
            Watched::Prefix(prefix) => tag(prefix).map(|_| BTreeSet::from([slot(prefix)])),
        }
    }

    /// From now on the servers of these numbers are those that have to tell.
    pub fn rely_on(&self, links: &[u64]) {
        self.mark(|pending| {
            pending.links.retain(|link, _| links.contains(link));
            for link in links {
                pending.links.entry(*link).or_default();
            }
            pending.settle();
        });
    }

    /// From now on the server's connection of this number is the one that tells.
    pub fn expect(&self, link: u64, generation: u64) {
        self.mark(|pending| {
            pending.links.insert(link, Link { live: false, generation });
            pending.settle();
        });
    }

    /// Takes in what the server's connection of this number, or the client for it, says unasked.
    pub fn take_in(&self, link: u64, generation: u64, push: &PushInfo) {
        if self.pending().links.get(&link).is_none_or(|link| link.generation != generation) {
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
            PushKind::Disconnection => self.lost(link),
            _ => {}
        }
    }

    /// The server's connection is gone; told once, however often it is found out.
    pub fn lost(&self, link: u64) {
        self.set(link, false);
    }

    /// There is a connection to the server that tells.
    pub fn restored(&self, link: u64) {
        self.set(link, true);
    }

    fn set(&self, link: u64, live: bool) {
        self.mark(|pending| {
            if let Some(link) = pending.links.get_mut(&link) {
                link.live = live;
            }
            pending.settle();
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

impl Pending {
    /// Sees whether all servers tell that have to.
    fn settle(&mut self) {
        let live = !self.links.is_empty() && self.links.values().all(|link| link.live);
        match (&self.watching, live) {
            (Watching::Live, false) => (self.watching, self.lost, self.restored) = (Watching::Lost, true, false),
            (Watching::Awaited, true) => self.watching = Watching::Live,
            (Watching::Lost, true) => (self.watching, self.restored) = (Watching::Live, true),
            _ => {}
        }
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
        watch.board.expect(0, 1);
        watch.board.take_in(0, 1, &written(&["outer", "in"]));
        watch.board.take_in(0, 1, &written(&["in"]));
        assert_eq!(watch.board.take(), Some(Change::Written("in".to_owned())));
        assert_eq!(watch.board.take(), None);
    }

    #[test]
    fn a_loss_comes_before_what_came_after_it() {
        let watch = Watch::new(&["out"]);
        watch.board.expect(0, 1);
        watch.board.restored(0);
        assert_eq!(watch.board.take(), None, "the first connection is none that was restored");
        watch.board.take_in(0, 1, &ended());
        watch.board.expect(0, 2);
        watch.board.restored(0);
        watch.board.take_in(0, 2, &written(&["out"]));
        let told: Vec<_> = std::iter::from_fn(|| watch.board.take()).collect();
        assert_eq!(told, [Change::Lost, Change::Restored, Change::Written("out".to_owned())]);
    }

    #[test]
    fn a_loss_is_told_once_and_an_older_connections_end_not_at_all() {
        let watch = Watch::new(&["out"]);
        watch.board.expect(0, 1);
        watch.board.restored(0);
        watch.board.lost(0);
        watch.board.take_in(0, 1, &ended());
        assert_eq!((watch.board.take(), watch.board.take()), (Some(Change::Lost), None));
        watch.board.take_in(0, 1, &ended());
        watch.board.expect(0, 2);
        watch.board.restored(0);
        watch.board.take_in(0, 1, &ended());
        assert_eq!((watch.board.take(), watch.board.take()), (Some(Change::Restored), None));
    }

    #[test]
    fn of_several_servers_all_have_to_tell() {
        let watch = Watch::new(&["out"]);
        let board = &watch.board;
        let told = || std::iter::from_fn(|| board.take()).collect::<Vec<_>>();
        board.rely_on(&[1, 2]);
        board.expect(1, 7);
        board.expect(2, 7);
        board.restored(1);
        board.restored(2);
        assert_eq!(told(), []);
        board.take_in(1, 7, &ended());
        board.lost(2);
        assert_eq!(told(), [Change::Lost]);
        board.restored(1);
        assert_eq!(told(), []);
        board.restored(2);
        assert_eq!(told(), [Change::Restored]);
        board.rely_on(&[2, 3]);
        assert_eq!(told(), [Change::Lost], "what the third server has to tell is not told yet");
        board.take_in(1, 7, &written(&["out"]));
        board.expect(3, 1);
        board.restored(3);
        assert_eq!(told(), [Change::Restored]);
        board.rely_on(&[2]);
        assert_eq!(told(), [], "a server that has nothing more to tell is no loss");
        board.rely_on(&[]);
        assert_eq!(told(), [Change::Lost]);
    }
}
