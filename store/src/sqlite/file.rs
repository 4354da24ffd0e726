//! The SQLite file: created, recognised and opened, and known again when another one has taken its place.

use std::fs;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use rusqlite::{Connection, OpenFlags, Transaction, TransactionBehavior, ffi};

use super::fault;
use super::tables::{self, SCHEMA};
use crate::error::{Cause, Outcome};
use crate::options::Access;

/// How long to wait for another process that writes. Transactions take milliseconds: whoever holds the lock longer is
/// stopped.
pub(super) const BUSY_TIMEOUT: Duration = Duration::from_secs(5);

/// How often to look again where SQLite answers "busy" at once, as it does while another process turns WAL on.
const BUSY_PAUSE: Duration = Duration::from_millis(10);

/// Marks a file as a store of this crate: "host" in ASCII.
const APPLICATION: i64 = 0x686f_7374;

/// The newest schema that this crate knows, in `user_version`.
const VERSION: i64 = 1;

pub(super) struct File {
    connection: Connection,
    path: PathBuf,
    identity: Identity,
}

/// What tells a file from another that is put at its path: device and inode.
#[cfg(unix)]
type Identity = (u64, u64);
/// An open file can't be replaced here, so all are the same.
#[cfg(not(unix))]
type Identity = ();

impl File {
    /// Opens the store at `path`; creates it and its folder if need be and that is allowed.
    pub fn open(path: &Path, access: Access) -> Outcome<File> {
        // Without URI: a path that starts with "file:" is a path.
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        if access == Access::Existing {
            let mut file = File::connect(path, flags)?;
            file.connection.busy_timeout(BUSY_TIMEOUT).map_err(|error| fault::cause_of(&error))?;
            file.transact(TransactionBehavior::Deferred, recognise)?;
            return Ok(file);
        }
        let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
        if let Some(folder) = folder {
            fs::create_dir_all(folder).map_err(|error| {
                Cause::Unreachable(format!("folder {} can't be created: {error}", folder.display()))
            })?;
        }
        let mut file = File::connect(path, flags | OpenFlags::SQLITE_OPEN_CREATE)?;
        file.prepare()?;
        Ok(file)
    }

    fn connect(path: &Path, flags: OpenFlags) -> Outcome<File> {
        let connection = Connection::open_with_flags(path, flags).map_err(|error| fault::cause_of(&error))?;
        let identity = identity(path)
            .ok_or_else(|| Cause::Unreachable("the file vanished while it was being opened".to_owned()))?;
        Ok(File { connection, path: path.to_owned(), identity })
    }

    /// Whether the file at the path is still this one. A file that was removed or replaced takes no more writes that
    /// others would see.
    pub fn is_in_place(&self) -> bool {
        identity(&self.path) == Some(self.identity)
    }

    /// Runs `operation` in one transaction, which an error undoes.
    pub fn transact<T>(
        &mut self,
        behavior: TransactionBehavior,
        operation: impl FnOnce(&Transaction<'_>) -> Outcome<T>,
    ) -> Outcome<T> {
        let transaction =
            self.connection.transaction_with_behavior(behavior).map_err(|error| fault::cause_of(&error))?;
        let value = operation(&transaction)?;
        transaction.commit().map_err(|error| fault::cause_of(&error))?;
        Ok(value)
    }

    fn prepare(&mut self) -> Outcome<()> {
        let told = |error: rusqlite::Error| fault::cause_of(&error);
        self.connection.busy_timeout(BUSY_TIMEOUT).map_err(told)?;
        // The schema first: a file of someone else's isn't even turned to WAL.
        self.transact(TransactionBehavior::Immediate, migrate)?;
        let mode = patiently(|| {
            self.connection.pragma_update_and_check(None, "journal_mode", "wal", |row| row.get::<_, String>(0))
        })
        .map_err(told)?;
        if mode != "wal" {
            return Err(Cause::Unreachable(format!(
                "its journal can't be a write-ahead log (it is {mode:?}): choose a folder on a local disk"
            )));
        }
        // WAL syncs at checkpoints only: the newest commits may be lost with the power, none is ever torn.
        self.connection.pragma_update(None, "synchronous", "normal").map_err(told)
    }
}

/// Creates the tables in an empty file, completes those of an earlier version, and refuses a file that isn't of this crate or is of a later version of it.
fn migrate(transaction: &Transaction<'_>) -> Outcome<()> {
    let told = |error: rusqlite::Error| fault::cause_of(&error);
    if !is_empty(transaction)? {
        recognise(transaction)?;
        return tables::complete(transaction);
    }
    transaction.execute_batch(SCHEMA).map_err(told)?;
    transaction.pragma_update(None, "application_id", APPLICATION).map_err(told)?;
    transaction.pragma_update(None, "user_version", VERSION).map_err(told)
}

/// Refuses a file that isn't of this crate or is of a later version of it.
fn recognise(transaction: &Transaction<'_>) -> Outcome<()> {
    let version = number(transaction, "PRAGMA user_version")?;
    match (number(transaction, "PRAGMA application_id")?, version) {
        (APPLICATION, VERSION) => Ok(()),
        (APPLICATION, _) => Err(Cause::Corrupt(format!(
            "the file has schema version {version}, and this program knows {VERSION}: use the newer program, or name \
             another file"
        ))),
        _ if is_empty(transaction)? => Err(Cause::Unavailable("the file is empty as yet".to_owned())),
        _ => Err(Cause::Corrupt("the file is another program's database: name another file".to_owned())),
    }
}

fn is_empty(transaction: &Transaction<'_>) -> Outcome<bool> {
    for query in ["PRAGMA application_id", "PRAGMA user_version", "SELECT count(*) FROM sqlite_schema"] {
        if number(transaction, query)? != 0 {
            return Ok(false);
        }
    }
    Ok(true)
}

fn number(transaction: &Transaction<'_>, query: &str) -> Outcome<i64> {
    transaction.query_row(query, [], |row| row.get(0)).map_err(|error| fault::cause_of(&error))
}

fn patiently<T>(mut attempt: impl FnMut() -> rusqlite::Result<T>) -> rusqlite::Result<T> {
    let deadline = Instant::now() + BUSY_TIMEOUT;
    loop {
        match attempt() {
            Err(error)
                if error.sqlite_error_code() == Some(ffi::ErrorCode::DatabaseBusy) && Instant::now() < deadline =>
            {
                thread::sleep(BUSY_PAUSE);
            }
            result => return result,
        }
    }
}

#[cfg(unix)]
fn identity(path: &Path) -> Option<Identity> {
    use std::os::unix::fs::MetadataExt;
    fs::metadata(path).ok().map(|metadata| (metadata.dev(), metadata.ino()))
}

#[cfg(not(unix))]
fn identity(path: &Path) -> Option<Identity> {
    path.exists().then_some(())
}
