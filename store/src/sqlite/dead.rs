//! Events that were set aside: entries of a stream whose rows say why.

use rusqlite::{Connection, Row, params};

use super::Sqlite;
use super::fault::cause_of;
use super::tables::{self, Kind};
use crate::commit::Dead;
use crate::dead::{DeadEntry, Replayed};
use crate::error::Outcome;
use crate::keys::Keys;

/// An event to set aside.
pub(super) struct Aside {
    data: Vec<u8>,
    reason: String,
    attempts: u32,
    at: String,
    most: usize,
}

impl Aside {
    pub fn of(dead: &Dead<'_>) -> Aside {
        Aside {
            data: dead.data.to_owned(),
            reason: dead.reason.to_owned(),
            attempts: dead.attempts,
            at: dead.at.to_owned(),
            most: dead.most,
        }
    }

    /// Appends it to a stream, and gives its id there.
    pub fn append(&self, connection: &Connection, key: &str) -> Outcome<String> {
        let (ms, seq) = tables::append(connection, key, &self.data, self.most)?;
        connection
            .prepare_cached(
                "UPDATE streams SET reason = ?4, attempts = ?5, at = ?6 WHERE key = ?1 AND ms = ?2 AND seq = ?3",
            )
            .and_then(|mut update| update.execute(params![key, ms, seq, self.reason, self.attempts, self.at]))
            .map_err(|error| cause_of(&error))?;
        Ok(format!("{ms}-{seq}"))
    }
}

impl Sqlite {
    pub async fn dead(&self, key: &str, before: Option<&str>, most: usize) -> Outcome<Vec<DeadEntry>> {
        let before = before.map(|id| tables::id(id).unwrap_or_default());
        let (key, (ms, seq)) = (key.to_owned(), before.unwrap_or((i64::MAX, i64::MAX)));
        self.reading(move |transaction| {
            let newest_first = "(ms, seq) < (?2, ?3) ORDER BY ms DESC, seq DESC LIMIT ?4";
            read(transaction, &key, (ms, seq), newest_first, most)
        })
        .await
    }

    pub async fn replays(&self, key: &str, most: usize) -> Outcome<Vec<DeadEntry>> {
        let key = key.to_owned();
        self.reading(move |transaction| {
            let oldest_first = "(ms, seq) >= (?2, ?3) ORDER BY ms, seq LIMIT ?4";
            read(transaction, &key, (0, 0), oldest_first, most)
        })
        .await
    }

    pub async fn replay(&self, keys: &Keys, id: &str, most: usize) -> Outcome<Replayed> {
        let (keys, id) = (keys.clone(), id.to_owned());
        self.writing(move |transaction| {
            for key in [&keys.dead, &keys.replay] {
                tables::expect(transaction, key, Kind::Stream)?;
            }
            let Some(place) = tables::id(&id) else { return Ok(Replayed::Gone) };
            let only = "(ms, seq) = (?2, ?3) LIMIT ?4";
            let Some(found) = read(transaction, &keys.dead, place, only, 1)?.pop() else { return Ok(Replayed::Gone) };
            if tables::length(transaction, &keys.replay)? >= most {
                return Ok(Replayed::Full);
            }
            tables::remove_entry(transaction, &keys.dead, &id)?;
            let DeadEntry { data, reason, attempts, at, .. } = found;
            let moved = Aside { data, reason, attempts, at, most }.append(transaction, &keys.replay)?;
            Ok(Replayed::Moved { id: moved })
        })
        .await
    }
}

/// The events of a stream that a condition names, which begins at a place.
fn read(
    connection: &Connection,
    key: &str,
    (ms, seq): (i64, i64),
    condition: &str,
    most: usize,
) -> Outcome<Vec<DeadEntry>> {
    tables::expect(connection, key, Kind::Stream)?;
    if !tables::has_reasons(connection)? {
        return Ok(Vec::new());
    }
    let entry = |row: &Row<'_>| {
        let (ms, seq): (i64, i64) = (row.get(0)?, row.get(1)?);
        let (reason, at): (Option<String>, Option<String>) = (row.get(3)?, row.get(5)?);
        Ok(DeadEntry {
            id: format!("{ms}-{seq}"),
            data: row.get(2)?,
            reason: reason.unwrap_or_default(),
            attempts: row.get::<_, Option<u32>>(4)?.unwrap_or_default(),
            at: at.unwrap_or_default(),
        })
    };
    connection
        .prepare_cached(&format!(
            "SELECT ms, seq, data, reason, attempts, at FROM streams WHERE key = ?1 AND {condition}"
        ))
        .and_then(|mut found| found.query_map(params![key, ms, seq, tables::rows(most)], entry)?.collect())
        .map_err(|error| cause_of(&error))
}
