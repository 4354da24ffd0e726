//! The one type that callers see: every operation, told to the backend that the address names.

mod dead;
mod lease;

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use crate::address::{Address, Place};
use crate::commit::{Commit, Committed, Entry, Part, Saved};
use crate::credentials::Credentials;
use crate::error::{Cause, Error, Outcome};
use crate::group::{Group, StreamEntry};
use crate::keys::Keys;
use crate::options::Options;
use crate::redis::Redis;
use crate::sqlite::Sqlite;
use crate::watch::Watch;

/// A store, in Redis or in a SQLite file. Cheap to clone; clones share one connection.
///
/// Nothing is opened until first use. A connection that broke is made anew by the next operation, with credentials
/// read afresh. No operation tries again by itself: how long to wait is the caller's to decide. All of them need a
/// tokio runtime with I/O and time enabled, and end with an error rather than wait for ever: after 5 s on Redis where
/// there is a connection, after 10 s where one must be made (both unless [`Options`] say otherwise); on SQLite 5 s
/// after another process took the lock.
#[derive(Clone)]
pub struct Store {
    address: Arc<Address>,
    options: Arc<Options>,
    backend: Arc<Backend>,
}

enum Backend {
    Redis(Box<Redis>),
    Sqlite(Sqlite),
}

impl Backend {
    fn new(address: &Address, options: &Options) -> Backend {
        match address.place() {
            Place::Redis(server) => Backend::Redis(Box::new(Redis::new(server.clone(), options.clone()))),
            Place::Sqlite(path) => Backend::Sqlite(Sqlite::new(path.clone(), options.access)),
        }
    }
}

impl Store {
    /// The store at `address`, whose credentials give way to `credentials` where these are set.
    pub fn new(address: Address, credentials: Credentials) -> Store {
        Store::with(address, Options { credentials, ..Options::default() })
    }

    /// The store at `address`, reached and used as the options say.
    pub fn with(address: Address, options: Options) -> Store {
        let backend = Backend::new(&address, &options);
        Store { address: Arc::new(address), options: Arc::new(options), backend: Arc::new(backend) }
    }

    /// The same store over a connection of its own, for reads that wait: on a Redis connection whatever is asked after
    /// such a read waits for it.
    #[must_use]
    pub fn another(&self) -> Store {
        Store { backend: Arc::new(Backend::new(&self.address, &self.options)), ..self.clone() }
    }

    /// Where it is.
    pub fn address(&self) -> &Address {
        &self.address
    }

    /// Asks whether the store answers.
    ///
    /// # Errors
    ///
    /// It can't be reached or opened, or asks for other credentials.
    pub async fn ping(&self) -> Result<(), Error> {
        let outcome = match self.backend.as_ref() {
            Backend::Redis(redis) => redis.ping().await,
            Backend::Sqlite(sqlite) => sqlite.ping().await,
        };
        self.told(outcome, || "ping".to_owned())
    }

    /// The store's clock: that of the Redis server, which names the entries of histories; on SQLite this machine's.
    ///
    /// # Errors
    ///
    /// The store fails.
    pub async fn now(&self) -> Result<SystemTime, Error> {
        let outcome = match self.backend.as_ref() {
            Backend::Redis(redis) => redis.now().await,
            Backend::Sqlite(_) => Ok(SystemTime::now()),
        };
        self.told(outcome, || "ask for the time".to_owned())
    }

    /// Asks to be told of each write to one of `keys` by others. The store's one connection is made anew for it, and
    /// carries both: what is asked and what is told. At most one watch is told at a time; a second takes its place, which
    /// the first is told as [`Change::Lost`](crate::Change::Lost). Read the keys afterwards: only what is written then is
    /// told.
    ///
    /// It uses RESP3 and `CLIENT TRACKING ON BCAST NOLOOP`
    /// (<https://redis.io/docs/latest/develop/reference/client-side-caching/>), which need no setting on the server.
    ///
    /// # Errors
    ///
    /// [`Unsupported`](crate::Cause::Unsupported) on SQLite, before Redis 6, and where the user has no right to
    /// `CLIENT TRACKING`: the keys can still be read every now and then. Otherwise the store fails. As long as the watch
    /// lives, an operation that has to make the connection anew fails likewise where the server has stopped to do it.
    pub async fn watch(&self, keys: &[&str]) -> Result<Watch, Error> {
        let outcome = match self.backend.as_ref() {
            Backend::Redis(redis) => redis.watch(Watch::new(keys)).await,
            Backend::Sqlite(_) => Err(Cause::Unsupported("a SQLite file tells nobody of writes".to_owned())),
        };
        self.told(outcome, || format!("watch keys {keys:?}"))
    }

    /// Asks to be told of each write to keys that begin with `prefix`, as [`watch`](Store::watch) does for some keys. What
    /// is not asked for is kept, each key once.
    ///
    /// # Errors
    ///
    /// As [`watch`](Store::watch).
    pub async fn watch_prefix(&self, prefix: &str) -> Result<Watch, Error> {
        let outcome = async { self.redis()?.watch(Watch::of_prefix(prefix)).await }.await;
        self.told(outcome, || format!("watch keys that begin with {prefix:?}"))
    }

    /// Some of the keys that hold plain bytes and match a pattern of Redis
    /// (<https://redis.io/docs/latest/commands/keys/>), and the cursor to go on from, which begins and ends with 0. Looks
    /// at about so many keys. A key may come twice; one that is there from beginning to end comes at least once.
    ///
    /// # Errors
    ///
    /// [`Unsupported`](crate::Cause::Unsupported) on SQLite; the store fails.
    pub async fn keys_like(&self, pattern: &str, cursor: u64, about: usize) -> Result<(Vec<String>, u64), Error> {
        let outcome = async { self.redis()?.keys_like(pattern, cursor, about).await }.await;
        self.told(outcome, || format!("look for keys {pattern:?}"))
    }

    /// The same of keys that hold streams.
    ///
    /// # Errors
    ///
    /// As [`keys_like`](Store::keys_like).
    pub async fn streams_like(&self, pattern: &str, cursor: u64, about: usize) -> Result<(Vec<String>, u64), Error> {
        let outcome = async { self.redis()?.streams_like(pattern, cursor, about).await }.await;
        self.told(outcome, || format!("look for streams {pattern:?}"))
    }

    /// What the last commit left, of each output by itself; see [`saved`](Store::saved).
    ///
    /// # Errors
    ///
    /// As [`keys_like`](Store::keys_like), where nothing is known of any of them.
    pub async fn saved_each(&self, keys: &[&Keys]) -> Result<Vec<Result<Option<Saved>, Error>>, Error> {
        let outcome = async { self.redis()?.saved_each(keys).await }.await;
        let each = self.told(outcome, || format!("read {} envs", keys.len()))?;
        let told = |(outcome, keys): (_, &&Keys)| self.told(outcome, || format!("read env {:?}", keys.env));
        Ok(each.into_iter().zip(keys).map(told).collect())
    }

    /// Commits of several outputs, each by itself all or nothing; see [`commit`](Store::commit).
    ///
    /// # Errors
    ///
    /// As [`keys_like`](Store::keys_like), where nothing is known of any of them.
    pub async fn commit_each(&self, commits: &[Commit<'_>]) -> Result<Vec<Result<Committed, Error>>, Error> {
        let outcome = async { self.redis()?.commit_each(commits).await }.await;
        let each = self.told(outcome, || format!("commit to {} keys", commits.len()))?;
        let told = |(outcome, commit): (_, &Commit<'_>)| {
            self.told(outcome, || format!("commit to key {:?}", commit.keys.output))
        };
        Ok(each.into_iter().zip(commits).map(told).collect())
    }

    /// The bytes under `key`, or `None` where there are none.
    ///
    /// # Errors
    ///
    /// The store fails, or the key holds something other than plain bytes.
    pub async fn read(&self, key: &str) -> Result<Option<Vec<u8>>, Error> {
        let outcome = match self.backend.as_ref() {
            Backend::Redis(redis) => redis.read(key).await,
            Backend::Sqlite(sqlite) => sqlite.read(key).await,
        };
        self.told(outcome, || format!("read key {key:?}"))
    }

    /// The first `most` bytes under `key`, or all of them, with how many there are; `None` where there are none.
    ///
    /// # Errors
    ///
    /// As [`read`](Store::read).
    pub async fn read_up_to(&self, key: &str, most: usize) -> Result<Option<Part>, Error> {
        let outcome = match self.backend.as_ref() {
            Backend::Redis(redis) => redis.read_up_to(key, most).await,
            Backend::Sqlite(sqlite) => sqlite.read_up_to(key, most).await,
        };
        self.told(outcome, || format!("read key {key:?}"))
    }

    /// The first `most` bytes under each of the keys, or all of them, of each by itself; none where there are none, also
    /// where a key holds something else.
    ///
    /// # Errors
    ///
    /// As [`keys_like`](Store::keys_like), where nothing is known of any of them.
    pub async fn read_up_to_each(&self, keys: &[&str], most: usize) -> Result<Vec<Result<Option<Part>, Error>>, Error> {
        let outcome = async { self.redis()?.read_up_to_each(keys, most).await }.await;
        let from = keys.first().unwrap_or(&"");
        let each = self.told(outcome, || format!("read {} keys from {from:?} on", keys.len()))?;
        let told = |(outcome, key): (_, &&str)| self.told(outcome, || format!("read key {key:?}"));
        Ok(each.into_iter().zip(keys).map(told).collect())
    }

    /// Writes an input: puts `bytes` under `key`, whatever was there before. (Results go through [`Store::commit`].)
    ///
    /// # Errors
    ///
    /// The store fails.
    pub async fn write(&self, key: &str, bytes: &[u8]) -> Result<(), Error> {
        let outcome = match self.backend.as_ref() {
            Backend::Redis(redis) => redis.write(key, bytes, None).await,
            Backend::Sqlite(sqlite) => sqlite.write(key, bytes, None).await,
        };
        self.told(outcome, || format!("write key {key:?}"))
    }

    /// Writes an input as an entry of a stream, in the field `data`; about as many entries stay as `most` says.
    ///
    /// # Errors
    ///
    /// [`Unsupported`](crate::Cause::Unsupported) on SQLite; the store fails; the key holds something other than a
    /// stream.
    pub async fn append(&self, stream: &str, bytes: &[u8], most: usize) -> Result<(), Error> {
        let outcome = async { self.redis()?.append(stream, bytes, most).await }.await;
        self.told(outcome, || format!("append to stream {stream:?}"))
    }

    /// What the last commit left, or `None` where there was none.
    ///
    /// # Errors
    ///
    /// The store fails, or what is there is no env: another kind of value, a field missing, a sequence that isn't a
    /// number.
    pub async fn saved(&self, keys: &Keys) -> Result<Option<Saved>, Error> {
        let outcome = match self.backend.as_ref() {
            Backend::Redis(redis) => redis.saved(keys).await,
            Backend::Sqlite(sqlite) => sqlite.saved(keys).await,
        };
        self.told(outcome, || format!("read env {:?}", keys.env))
    }

    /// Creates the group at the stream's beginning, and the stream where there is none; a group that is there stays as it
    /// is. Where the stream goes as far as the id `after`, the group begins after that one. Gives the id that it begins
    /// after, `0` for the beginning; none where it was there.
    ///
    /// # Errors
    ///
    /// [`Unsupported`](crate::Cause::Unsupported) on SQLite; the store fails; the key holds something other than a
    /// stream.
    pub async fn create_group(&self, group: &Group, after: Option<&str>) -> Result<Option<String>, Error> {
        let outcome = async { self.redis()?.create_group(group, after).await }.await;
        self.told(outcome, || format!("create group {:?} of stream {:?}", group.name, group.stream))
    }

    /// Up to `most` entries of a stream after the id `after` (`0`: from the first), oldest first, for whoever belongs to no
    /// group: nothing changes by it. Waits for the first of them as [`new_entries`](Store::new_entries) does; none came
    /// where the list is empty.
    ///
    /// # Errors
    ///
    /// As [`keys_like`](Store::keys_like), or the key holds something other than a stream.
    pub async fn entries_after(
        &self,
        stream: &str,
        after: &str,
        most: usize,
        wait: Duration,
    ) -> Result<Vec<StreamEntry>, Error> {
        let outcome =
            async { self.redis()?.entries_after(stream, after, most, wait.min(self.options.answer_within / 2)).await }
                .await;
        self.told(outcome, || format!("read stream {stream:?}"))
    }

    /// Up to `most` entries that nobody in the group was given yet, oldest first; they are pending in this consumer's
    /// name from now on, also where the answer is lost. Waits for the first of them, at most as long as `wait` and half
    /// of what an answer may take; none came where the list is empty.
    ///
    /// # Errors
    ///
    /// As [`create_group`](Store::create_group), and there is no such group.
    pub async fn new_entries(&self, group: &Group, most: usize, wait: Duration) -> Result<Vec<StreamEntry>, Error> {
        let outcome =
            async { self.redis()?.new_entries(group, most, wait.min(self.options.answer_within / 2)).await }.await;
        self.told(outcome, || format!("read stream {:?}", group.stream))
    }

    /// Up to `most` entries that are pending in this consumer's name, oldest first, from the one after the id `after`
    /// (`0`: from the first).
    ///
    /// # Errors
    ///
    /// As [`new_entries`](Store::new_entries).
    pub async fn pending_entries(&self, group: &Group, after: &str, most: usize) -> Result<Vec<StreamEntry>, Error> {
        let outcome = async { self.redis()?.pending_entries(group, after, most).await }.await;
        self.told(outcome, || format!("read what is pending of stream {:?}", group.stream))
    }

    /// Up to `most` entries that anyone in the group was given longer than `idle` ago and has not acknowledged, this
    /// consumer included; they are pending in its name from now on, and each tells how often it was given to somebody. Looks from the id `from` on (`0-0`: from the first),
    /// and gives the one to go on from, `0-0` at the end.
    ///
    /// # Errors
    ///
    /// As [`new_entries`](Store::new_entries); the server is older than Redis 6.2.
    pub async fn claim_entries(
        &self,
        group: &Group,
        idle: Duration,
        from: &str,
        most: usize,
    ) -> Result<(Vec<StreamEntry>, String), Error> {
        let outcome = async { self.redis()?.claim_entries(group, idle, from, most).await }.await;
        self.told(outcome, || format!("claim what is pending of stream {:?}", group.stream))
    }

    /// Says that these entries are done with; those of results are acknowledged by their [commit](Store::commit).
    ///
    /// # Errors
    ///
    /// As [`new_entries`](Store::new_entries).
    pub async fn acknowledge(&self, group: &Group, ids: &[&str]) -> Result<(), Error> {
        let outcome = async { self.redis()?.acknowledge(group, ids).await }.await;
        self.told(outcome, || format!("acknowledge entries of stream {:?}", group.stream))
    }

    /// Writes results, env, progress and history as one, and acknowledges what they are of, if the store's sequence is
    /// still the commit's (0 where there is none yet), the entries that it takes are still pending in their consumer's
    /// name, and the event that it replays is still there: all of it, or nothing. Of a stream's group that is gone nothing
    /// is acknowledged.
    ///
    /// In Redis this is one script. In SQLite it is one transaction; after a power cut the newest commits may be gone,
    /// each as a whole, never half of one.
    ///
    /// After an error other than [`WrongType`](crate::Cause::WrongType) the commit may or may not have been applied,
    /// now or in a moment, when a server that hung goes on; the same holds if this future is dropped before it ends.
    /// The caller must read [`Store::saved`] before it tries again, and look whether the sequence has grown and
    /// `last_event` is its own. A commit that arrives late can't do harm: its sequence is refused then. The store
    /// itself never sends a commit twice.
    ///
    /// # Errors
    ///
    /// The store fails; the output, env or history key (unless `history_length` is 0) holds another kind of value; the
    /// env is there but has no sequence that is a number. Nothing is written in the last two cases.
    pub async fn commit(&self, commit: &Commit<'_>) -> Result<Committed, Error> {
        let outcome = match self.backend.as_ref() {
            Backend::Redis(redis) => redis.commit(commit).await,
            Backend::Sqlite(sqlite) => sqlite.commit(commit).await,
        };
        self.told(outcome, || match commit.output_stream {
            Some(stream) => format!("commit to key {:?} and stream {stream:?}", commit.keys.output),
            None => format!("commit to key {:?}", commit.keys.output),
        })
    }

    /// Puts `status` under the status key, where it stays for `time_to_live` (whole milliseconds, at least one).
    ///
    /// # Errors
    ///
    /// The store fails.
    pub async fn announce(&self, keys: &Keys, status: &[u8], time_to_live: Duration) -> Result<(), Error> {
        let outcome = match self.backend.as_ref() {
            Backend::Redis(redis) => redis.write(&keys.status, status, Some(time_to_live)).await,
            Backend::Sqlite(sqlite) => sqlite.write(&keys.status, status, Some(time_to_live)).await,
        };
        self.told(outcome, || format!("write status {:?}", keys.status))
    }

    /// What was last announced, or `None` where its time is over.
    ///
    /// # Errors
    ///
    /// The store fails, or the key holds something other than plain bytes.
    pub async fn status(&self, keys: &Keys) -> Result<Option<Vec<u8>>, Error> {
        self.read(&keys.status).await
    }

    /// The `newest` results at most, oldest first. Entries that others have added, without a field `data`, are left out.
    ///
    /// # Errors
    ///
    /// The store fails, or the history key holds something other than a stream.
    pub async fn history(&self, keys: &Keys, newest: usize) -> Result<Vec<Entry>, Error> {
        self.history_up_to(keys, newest, usize::MAX).await
    }

    /// The same, as far as they have at most `most` bytes together; the newest one comes whatever its size. They are read
    /// in parts, so that little more is read than that.
    ///
    /// # Errors
    ///
    /// As [`history`](Store::history).
    pub async fn history_up_to(&self, keys: &Keys, newest: usize, most: usize) -> Result<Vec<Entry>, Error> {
        let outcome = match self.backend.as_ref() {
            Backend::Redis(redis) => redis.history(keys, newest, most).await,
            Backend::Sqlite(sqlite) => sqlite.history(keys, newest, most).await,
        };
        self.told(outcome, || format!("read history {:?}", keys.history))
    }

    /// Removes the output and its companion keys, so that the next commit starts from sequence 0. A lease stays its
    /// holder's.
    ///
    /// # Errors
    ///
    /// The store fails.
    pub async fn forget(&self, keys: &Keys) -> Result<(), Error> {
        let outcome = match self.backend.as_ref() {
            Backend::Redis(redis) => redis.forget(keys).await,
            Backend::Sqlite(sqlite) => sqlite.forget(keys).await,
        };
        self.told(outcome, || format!("remove key {:?} and its companions", keys.output))
    }

    fn redis(&self) -> Outcome<&Redis> {
        match self.backend.as_ref() {
            Backend::Redis(redis) => Ok(redis),
            Backend::Sqlite(_) => {
                Err(Cause::Unsupported("a SQLite file has neither consumer groups nor patterns of keys".to_owned()))
            }
        }
    }

    fn told<T>(&self, outcome: Outcome<T>, action: impl FnOnce() -> String) -> Result<T, Error> {
        outcome.map_err(|cause| Error { action: action(), store: self.address.to_string(), cause })
    }
}

impl fmt::Debug for Store {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Store({})", self.address)
    }
}
