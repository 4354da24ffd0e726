//! The store in a SQLite file: a table of keys and one of streams, one transaction per operation.

mod dead;
mod lease;

mod fault;
mod file;
mod tables;

use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use rusqlite::{Transaction, TransactionBehavior};

use crate::commit::{Commit, Committed, Entry, Part, Saved, parse_sequence};
use crate::error::{Cause, Outcome};
use crate::keys::Keys;
use crate::options::Access;
use dead::Aside;
use file::File;
use tables::Kind;

#[derive(Clone)]
pub(crate) struct Sqlite {
    path: PathBuf,
    access: Access,
    /// A plain mutex: it is only taken on threads that may block. SQLite lets one writer in at a time anyway.
    file: Arc<Mutex<Option<File>>>,
}

impl Sqlite {
    pub fn new(path: PathBuf, access: Access) -> Sqlite {
        Sqlite { path, access, file: Arc::default() }
    }

    pub async fn ping(&self) -> Outcome<()> {
        self.reading(|_| Ok(())).await
    }

    pub async fn read(&self, key: &str) -> Outcome<Option<Vec<u8>>> {
        let key = key.to_owned();
        self.reading(move |transaction| {
            tables::expect(transaction, &key, Kind::Bytes)?;
            tables::bytes(transaction, &key)
        })
        .await
    }

    pub async fn read_up_to(&self, key: &str, most: usize) -> Outcome<Option<Part>> {
        let key = key.to_owned();
        self.reading(move |transaction| {
            tables::expect(transaction, &key, Kind::Bytes)?;
            tables::first_bytes(transaction, &key, most)
        })
        .await
    }

    pub async fn write(&self, key: &str, bytes: &[u8], time_to_live: Option<Duration>) -> Outcome<()> {
        let (key, bytes) = (key.to_owned(), bytes.to_owned());
        self.writing(move |transaction| {
            tables::remove(transaction, &key)?;
            tables::put(transaction, &key, "", &bytes, time_to_live)
        })
        .await
    }

    pub async fn saved(&self, keys: &Keys) -> Outcome<Option<Saved>> {
        let key = keys.env.clone();
        self.reading(move |transaction| {
            tables::expect(transaction, &key, Kind::Hash)?;
            Saved::from_fields(tables::fields(transaction, &key)?)
        })
        .await
    }

    pub async fn commit(&self, commit: &Commit<'_>) -> Outcome<Committed> {
        let keys = commit.keys.clone();
        let (expected, next) = (commit.sequence, commit.next_sequence()?);
        let fields: Vec<_> = commit.fields().into_iter().map(|(name, value)| (name, value.to_owned())).collect();
        if commit.taken.is_some() || commit.output_stream.is_some() {
            return Err(Cause::Unsupported("a SQLite file has no streams of one's own".to_owned()));
        }
        let dead = commit.dead.as_ref().map(Aside::of);
        let replayed = commit.replayed.map(str::to_owned);
        let outputs: Vec<_> = commit.outputs.iter().map(|output| output.to_vec()).collect();
        let history_length = commit.history_length;
        self.writing(move |transaction| {
            tables::expect(transaction, &keys.output, Kind::Bytes)?;
            let sequence = match tables::expect(transaction, &keys.env, Kind::Hash)? {
                None => 0,
                Some(_) => {
                    let text = tables::fields(transaction, &keys.env)?.remove("sequence");
                    let missing = || Cause::Corrupt("the env's hash has no field sequence".to_owned());
                    parse_sequence(&text.ok_or_else(missing)?)?
                }
            };
            if sequence != expected {
                return Ok(Committed::Refused { sequence });
            }
            if let Some(id) = &replayed {
                tables::expect(transaction, &keys.replay, Kind::Stream)?;
                if !tables::remove_entry(transaction, &keys.replay, id)? {
                    return Ok(Committed::Claimed);
                }
            }
            if let Some(dead) = &dead {
                tables::expect(transaction, &keys.dead, Kind::Stream)?;
                dead.append(transaction, &keys.dead)?;
            }
            if history_length > 0 && !outputs.is_empty() {
                tables::expect(transaction, &keys.history, Kind::Stream)?;
                for output in &outputs[outputs.len().saturating_sub(history_length)..] {
                    tables::append(transaction, &keys.history, output, history_length)?;
                }
            }
            tables::put(transaction, &keys.env, "sequence", next.to_string().as_bytes(), None)?;
            for (name, value) in &fields {
                tables::put(transaction, &keys.env, name, value, None)?;
            }
            if let Some(output) = outputs.last() {
                tables::put(transaction, &keys.output, "", output, None)?;
            }
            Ok(Committed::Applied)
        })
        .await
    }

    pub async fn history(&self, keys: &Keys, newest: usize, most: usize) -> Outcome<Vec<Entry>> {
        let key = keys.history.clone();
        self.reading(move |transaction| {
            tables::expect(transaction, &key, Kind::Stream)?;
            tables::newest(transaction, &key, newest, most)
        })
        .await
    }

    pub async fn forget(&self, keys: &Keys) -> Outcome<()> {
        let keys = keys.clone();
        self.writing(move |transaction| {
            for key in keys.contents() {
                tables::remove(transaction, key)?;
            }
            Ok(())
        })
        .await
    }

    /// One snapshot of the file: what other processes write meanwhile isn't seen.
    async fn reading<T: Send + 'static>(
        &self,
        operation: impl FnOnce(&Transaction<'_>) -> Outcome<T> + Send + 'static,
    ) -> Outcome<T> {
        self.transact(TransactionBehavior::Deferred, operation).await
    }

    /// The write lock is taken at once: a transaction that reads first and then wants to write would fail, without
    /// waiting, if another process wrote in between.
    async fn writing<T: Send + 'static>(
        &self,
        operation: impl FnOnce(&Transaction<'_>) -> Outcome<T> + Send + 'static,
    ) -> Outcome<T> {
        self.transact(TransactionBehavior::Immediate, operation).await
    }

    /// Runs `operation` in one transaction on a thread that may block; an error undoes all of it. Opens the file if it
    /// isn't open, or not the one at the path any more.
    async fn transact<T: Send + 'static>(
        &self,
        behavior: TransactionBehavior,
        operation: impl FnOnce(&Transaction<'_>) -> Outcome<T> + Send + 'static,
    ) -> Outcome<T> {
        let this = self.clone();
        let work = move || {
            // A panic in here leaves at worst a transaction that was undone as it unwound.
            let mut slot = this.file.lock().unwrap_or_else(PoisonError::into_inner);
            let file = match slot.take().filter(File::is_in_place) {
                Some(file) => slot.insert(file),
                None => slot.insert(File::open(&this.path, this.access)?),
            };
            let outcome = file.transact(behavior, operation);
            // A file that broke is opened anew by the next operation, as a connection would be.
            if matches!(outcome, Err(Cause::Unreachable(_) | Cause::Corrupt(_))) {
                *slot = None;
            }
            outcome
        };
        tokio::task::spawn_blocking(work).await.map_err(|error| Cause::Other(error.to_string()))?
    }
}
