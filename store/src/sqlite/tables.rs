//! The two tables, and what Redis has as commands: bytes and hashes with a time to live, and capped streams.

use std::collections::HashMap;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rusqlite::{Connection, OptionalExtension, params};

use super::fault::cause_of;
use crate::commit::{Entry, Part};
use crate::dead::parts_of;
use crate::error::{Cause, Outcome};

/// Plain bytes are a key's field with the empty name; a hash has named fields only. `expires_at` is in milliseconds
/// since 1970. Only of events that were set aside it is known by what `reason`, after how many `attempts` and `at` what
/// time.
pub(super) const SCHEMA: &str = "
    CREATE TABLE keys (
        key TEXT NOT NULL,
        field TEXT NOT NULL,
        value BLOB NOT NULL,
        expires_at INTEGER,
        PRIMARY KEY (key, field)
    );
    CREATE TABLE streams (
        key TEXT NOT NULL,
        ms INTEGER NOT NULL,
        seq INTEGER NOT NULL,
        data BLOB NOT NULL,
        reason TEXT,
        attempts INTEGER,
        at TEXT,
        PRIMARY KEY (key, ms, seq)
    );
";

/// Adds the columns that a file of an earlier program lacks. Each program names the columns that it reads and writes, so an
/// earlier one goes on with the file: the schema's version stays.
pub(super) fn complete(connection: &Connection) -> Outcome<()> {
    if has_reasons(connection)? {
        return Ok(());
    }
    connection
        .execute_batch(
            "ALTER TABLE streams ADD COLUMN reason TEXT;
             ALTER TABLE streams ADD COLUMN attempts INTEGER;
             ALTER TABLE streams ADD COLUMN at TEXT;",
        )
        .map_err(|error| cause_of(&error))
}

/// Whether events can have been set aside in the file: whoever only looks adds no columns.
pub(super) fn has_reasons(connection: &Connection) -> Outcome<bool> {
    connection
        .prepare_cached("SELECT 1 FROM pragma_table_info('streams') WHERE name = 'reason'")
        .and_then(|mut found| found.exists([]))
        .map_err(|error| cause_of(&error))
}

/// What a key holds.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Bytes,
    Hash,
    Stream,
}

/// What `key` holds, `None` for nothing; an error if it is another kind than `wanted`.
pub(super) fn expect(connection: &Connection, key: &str, wanted: Kind) -> Outcome<Option<Kind>> {
    match kind(connection, key)? {
        Some(found) if found != wanted => Err(Cause::WrongType { key: key.to_owned() }),
        found => Ok(found),
    }
}

fn kind(connection: &Connection, key: &str) -> Outcome<Option<Kind>> {
    let field = connection
        .prepare_cached("SELECT field FROM keys WHERE key = ?1 AND (expires_at IS NULL OR expires_at > ?2) LIMIT 1")
        .and_then(|mut found| found.query_row(params![key, now()], |row| row.get::<_, String>(0)).optional())
        .map_err(|error| cause_of(&error))?;
    let streams = connection
        .prepare_cached("SELECT 1 FROM streams WHERE key = ?1 LIMIT 1")
        .and_then(|mut found| found.exists([key]))
        .map_err(|error| cause_of(&error))?;
    Ok(match field {
        Some(field) if field.is_empty() => Some(Kind::Bytes),
        Some(_) => Some(Kind::Hash),
        None => streams.then_some(Kind::Stream),
    })
}

pub(super) fn bytes(connection: &Connection, key: &str) -> Outcome<Option<Vec<u8>>> {
    Ok(fields(connection, key)?.remove(""))
}

pub(super) fn first_bytes(connection: &Connection, key: &str, most: usize) -> Outcome<Option<Part>> {
    let part = |row: &rusqlite::Row<'_>| {
        let length: i64 = row.get(0)?;
        Ok(Part { length: usize::try_from(length).unwrap_or(usize::MAX), bytes: row.get(1)? })
    };
    connection
        .prepare_cached(
            "SELECT length(value), ifnull(substr(value, 1, ?2), x'') FROM keys
             WHERE key = ?1 AND field = '' AND (expires_at IS NULL OR expires_at > ?3)",
        )
        .and_then(|mut found| found.query_row(params![key, rows(most), now()], part).optional())
        .map_err(|error| cause_of(&error))
}

/// When the key's time is over, in milliseconds from now; none where it has no end, or isn't there.
pub(super) fn time_left(connection: &Connection, key: &str) -> Outcome<Option<i64>> {
    let expires_at: Option<Option<i64>> = connection
        .prepare_cached("SELECT expires_at FROM keys WHERE key = ?1 LIMIT 1")
        .and_then(|mut found| found.query_row([key], |row| row.get(0)).optional())
        .map_err(|error| cause_of(&error))?;
    Ok(expires_at.flatten().map(|expires_at| expires_at.saturating_sub(now())))
}

pub(super) fn fields(connection: &Connection, key: &str) -> Outcome<HashMap<String, Vec<u8>>> {
    connection
        .prepare_cached("SELECT field, value FROM keys WHERE key = ?1 AND (expires_at IS NULL OR expires_at > ?2)")
        .and_then(|mut found| found.query_map(params![key, now()], |row| Ok((row.get(0)?, row.get(1)?)))?.collect())
        .map_err(|error| cause_of(&error))
}

/// Sets one field, without end or until `time_to_live` from now (whole milliseconds, at least one).
pub(super) fn put(
    connection: &Connection,
    key: &str,
    field: &str,
    value: &[u8],
    time_to_live: Option<Duration>,
) -> Outcome<()> {
    let expires_at = time_to_live.map(|time_to_live| {
        let milliseconds = i64::try_from(time_to_live.as_millis()).unwrap_or(i64::MAX);
        now().saturating_add(milliseconds.max(1))
    });
    connection
        .prepare_cached("INSERT OR REPLACE INTO keys (key, field, value, expires_at) VALUES (?1, ?2, ?3, ?4)")
        .and_then(|mut insert| insert.execute(params![key, field, value, expires_at]))
        .map_err(|error| cause_of(&error))?;
    Ok(())
}

/// Removes the key, whatever it holds.
pub(super) fn remove(connection: &Connection, key: &str) -> Outcome<()> {
    for statement in ["DELETE FROM keys WHERE key = ?1", "DELETE FROM streams WHERE key = ?1"] {
        connection
            .prepare_cached(statement)
            .and_then(|mut delete| delete.execute([key]))
            .map_err(|error| cause_of(&error))?;
    }
    Ok(())
}

/// Appends an entry to a stream, drops the oldest beyond `length`, and gives its id. As in Redis, ids only grow: while the
/// clock stands behind the last id, the counter goes on instead.
pub(super) fn append(connection: &Connection, key: &str, data: &[u8], length: usize) -> Outcome<(i64, i64)> {
    let last: Option<(i64, i64)> = connection
        .prepare_cached("SELECT ms, seq FROM streams WHERE key = ?1 ORDER BY ms DESC, seq DESC LIMIT 1")
        .and_then(|mut last| last.query_row([key], |row| Ok((row.get(0)?, row.get(1)?))).optional())
        .map_err(|error| cause_of(&error))?;
    let (ms, seq) = following(last, now())?;
    connection
        .prepare_cached("INSERT INTO streams (key, ms, seq, data) VALUES (?1, ?2, ?3, ?4)")
        .and_then(|mut insert| insert.execute(params![key, ms, seq, data]))
        .map_err(|error| cause_of(&error))?;
    connection
        .prepare_cached(
            "DELETE FROM streams WHERE key = ?1 AND (ms, seq) <= (
                SELECT ms, seq FROM streams WHERE key = ?1 ORDER BY ms DESC, seq DESC LIMIT 1 OFFSET ?2)",
        )
        .and_then(|mut trim| trim.execute(params![key, rows(length)]))
        .map_err(|error| cause_of(&error))?;
    Ok((ms, seq))
}

/// Removes an entry of a stream; false where there is none.
pub(super) fn remove_entry(connection: &Connection, key: &str, id: &str) -> Outcome<bool> {
    let Some((ms, seq)) = self::id(id) else { return Ok(false) };
    connection
        .prepare_cached("DELETE FROM streams WHERE key = ?1 AND ms = ?2 AND seq = ?3")
        .and_then(|mut delete| delete.execute(params![key, ms, seq]))
        .map(|removed| removed > 0)
        .map_err(|error| cause_of(&error))
}

/// How many entries a stream has.
pub(super) fn length(connection: &Connection, key: &str) -> Outcome<usize> {
    connection
        .prepare_cached("SELECT count(*) FROM streams WHERE key = ?1")
        .and_then(|mut count| count.query_row([key], |row| row.get::<_, i64>(0)))
        .map(|count| usize::try_from(count).unwrap_or(0))
        .map_err(|error| cause_of(&error))
}

/// The numbers of an id; none where the text is none, or none of this table's.
pub(super) fn id(text: &str) -> Option<(i64, i64)> {
    let (ms, seq) = parts_of(text)?;
    Some((ms.try_into().ok()?, seq.try_into().ok()?))
}

/// The id after `last`, with the clock at `now`.
fn following(last: Option<(i64, i64)>, now: i64) -> Outcome<(i64, i64)> {
    match last {
        Some((ms, seq)) if ms >= now => match seq.checked_add(1) {
            Some(seq) => Ok((ms, seq)),
            None => ms
                .checked_add(1)
                .map(|ms| (ms, 0))
                .ok_or_else(|| Cause::Corrupt("the history's last id is the greatest there is".to_owned())),
        },
        _ => Ok((now, 0)),
    }
}

/// The `count` last entries, as far as they have at most `most` bytes together, oldest first.
pub(super) fn newest(connection: &Connection, key: &str, count: usize, most: usize) -> Outcome<Vec<Entry>> {
    let mut bytes = 0;
    let mut fits = |entry: &Entry| {
        let first = bytes == 0;
        bytes += entry.id.len() + entry.data.len();
        first || bytes <= most
    };
    connection
        .prepare_cached("SELECT ms, seq, data FROM streams WHERE key = ?1 ORDER BY ms DESC, seq DESC LIMIT ?2")
        .and_then(|mut found| {
            let entry = |row: &rusqlite::Row<'_>| {
                let (ms, seq): (i64, i64) = (row.get(0)?, row.get(1)?);
                Ok(Entry { id: format!("{ms}-{seq}"), data: row.get(2)? })
            };
            let newest_first = found.query_map(params![key, rows(count)], entry)?;
            let fitting = newest_first.take_while(|entry| entry.as_ref().map_or(true, &mut fits));
            let mut entries = fitting.collect::<Result<Vec<_>, _>>()?;
            entries.reverse();
            Ok(entries)
        })
        .map_err(|error| cause_of(&error))
}

pub(super) fn rows(count: usize) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

/// Milliseconds since 1970.
fn now() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::following;

    #[test]
    fn ids_follow_the_clock() {
        assert_eq!(following(None, 7).unwrap(), (7, 0));
        assert_eq!(following(Some((7, 3)), 8).unwrap(), (8, 0));
    }

    #[test]
    fn ids_grow_while_the_clock_stands_or_goes_back() {
        assert_eq!(following(Some((7, 3)), 7).unwrap(), (7, 4));
        assert_eq!(following(Some((7, 3)), 2).unwrap(), (7, 4));
        assert_eq!(following(Some((7, i64::MAX)), 7).unwrap(), (8, 0));
    }

    #[test]
    fn the_greatest_id_has_no_successor() {
        assert!(following(Some((i64::MAX, i64::MAX)), 7).is_err());
    }
}
