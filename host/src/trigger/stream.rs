//! `stream`: every entry of a stream, in batches, as a consumer of a group.
//!
//! While one batch is worked on the next one is read. What is pending in this consumer's name comes first: after a
//! start, and after anything went wrong, since an answer may have been lost. Then new entries come, and every now and
//! then those that nobody has acknowledged for long. Reading ahead is for new entries only: an entry that is worked on
//! is still pending, so before anything that is pending is read, all that was given must be committed.

use std::time::Duration;

use serde_json::{Map, Value};
use store::{Cause, Group, Store, StreamEntry};
use tokio::task::JoinHandle;
use tokio::time::Instant;

use super::Event;
use crate::portion::Portion;

/// How long a read waits for new entries.
const WAIT: Duration = Duration::from_secs(2);

/// How long after a start, or after anything went wrong, what is pending is read a second time: until then a host that was
/// stopped or cut off, and whose place this one has taken, may be given entries in the same consumer's name, or this one by a
/// server whose answer never comes.
const SECOND_LOOK: Duration = Duration::from_secs(5);

/// Reads a stream in batches.
pub struct Stream {
    /// Over a connection of its own, since a read that waits keeps it busy.
    store: Store,
    group: Group,
    portion: Portion,
    claim_idle: Option<Duration>,
    claim_due: Instant,
    second_look: Option<Instant>,
    from: From,
    reading: Option<Reading>,
}

/// What is read next.
#[derive(Debug, Clone, PartialEq, Eq)]
enum From {
    /// What is pending in this consumer's name, after the group was created if need be, where this entry was the last one.
    Beginning(Option<String>),
    /// The same, after this id.
    Pending(String),
    /// What nobody was given yet.
    New,
    /// What was given long ago, from this id on.
    Claimed(String),
}

/// A read under way: what it gives, and what is read after it. Ended with the value.
struct Reading(JoinHandle<Result<(Vec<StreamEntry>, From), store::Error>>);

impl Drop for Reading {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl Stream {
    /// Reads a portion at a time, and claims what was not acknowledged for `claim_idle`.
    pub fn new(store: &Store, group: Group, portion: Portion, claim_idle: Option<Duration>) -> Stream {
        let (claim_due, second_look) = (Instant::now(), Some(Instant::now() + SECOND_LOOK));
        Stream {
            store: store.another(),
            group,
            portion,
            claim_idle,
            claim_due,
            second_look,
            from: From::Beginning(None),
            reading: None,
        }
    }

    /// Whether the next batch is none of what was given before: it may be taken before that is committed.
    pub(super) fn reads_ahead(&self) -> bool {
        self.reading.is_some() && self.from == From::New
    }

    /// Begins with what is pending, as after a start. Nothing that was given may still be worked on.
    pub(super) fn look_again(&mut self) {
        self.reading = None;
        self.from = From::Beginning(None);
        self.second_look = Some(Instant::now() + SECOND_LOOK);
    }

    /// `last_event` is the entry that was counted last: a group that is gone is made anew there.
    pub(super) async fn next(&mut self, last_event: Option<&str>) -> Result<Vec<Event>, store::Error> {
        if let From::Beginning(after) = &mut self.from {
            *after = last_event.map(str::to_owned);
        }
        let read = match &mut self.reading {
            Some(reading) => reading,
            none => none.insert(start(&self.store, &self.group, &self.portion, self.claim_idle, self.from.clone())),
        };
        let read = (&mut read.0).await;
        self.reading = None;
        let read = read.map_err(|error| store::Error {
            action: format!("read stream {:?}", self.group.stream),
            store: self.store.address().to_string(),
            cause: Cause::Other(error.to_string()),
        });
        let (entries, next) = match read.flatten() {
            Ok(read) => read,
            Err(error) => {
                if matches!(error.cause, Cause::TimedOut(_)) {
                    self.portion.timed_out();
                }
                self.look_again();
                return Err(error);
            }
        };
        let events: Vec<_> = entries.into_iter().map(|entry| self.event(entry)).collect();
        self.portion.came(events.len(), events.iter().map(|event| event.length).sum());
        let was_new = self.from == From::New;
        self.from = next;
        let now = Instant::now();
        if self.from == From::New && self.second_look.take_if(|due| *due <= now).is_some() {
            self.from = From::Pending("0".to_owned());
        } else if self.from == From::New
            && let Some(idle) = self.claim_idle
            && now >= self.claim_due
        {
            self.claim_due = now + idle / 2;
            self.from = From::Claimed("0-0".to_owned());
        } else if was_new && !events.is_empty() {
            self.reading = Some(start(&self.store, &self.group, &self.portion, self.claim_idle, From::New));
        }
        Ok(events)
    }

    fn event(&self, entry: StreamEntry) -> Event {
        let StreamEntry { id, fields, deliveries } = entry;
        let (key, bytes) = (self.group.stream.clone(), bytes(fields.unwrap_or_default()));
        Event { key, length: bytes.len(), bytes, id, attempts: deliveries }
    }
}

fn start(store: &Store, group: &Group, portion: &Portion, idle: Option<Duration>, from: From) -> Reading {
    let (store, group, batch) = (store.clone(), group.clone(), portion.count());
    Reading(tokio::spawn(async move {
        let (entries, next) = read(&store, &group, batch, idle, from).await?;
        let (found, gone): (Vec<_>, Vec<_>) = entries.into_iter().partition(|entry| entry.fields.is_some());
        if !gone.is_empty() {
            tracing::warn!(stream = group.stream, entries = gone.len(), "removed before they were read");
            let ids: Vec<_> = gone.iter().map(|entry| entry.id.as_str()).collect();
            store.acknowledge(&group, &ids).await?;
        }
        Ok((found, next))
    }))
}

async fn read(
    store: &Store,
    group: &Group,
    batch: usize,
    idle: Option<Duration>,
    from: From,
) -> Result<(Vec<StreamEntry>, From), store::Error> {
    let after = match from {
        From::New => return Ok((store.new_entries(group, batch, WAIT).await?, From::New)),
        From::Claimed(from) => {
            let (entries, next) = store.claim_entries(group, idle.unwrap_or(Duration::MAX), &from, batch).await?;
            return Ok((entries, if next == "0-0" { From::New } else { From::Claimed(next) }));
        }
        From::Beginning(last) => {
            let created = store.create_group(group, last.as_deref()).await?;
            if let (Some(last), Some(begins_after)) = (last, created) {
                let Group { stream, name, .. } = group;
                match begins_after == last {
                    true => {
                        tracing::warn!(stream, group = name, "the group was gone: made anew, it goes on after {last}")
                    }
                    false => tracing::warn!(stream, group = name, "the group was gone: made anew, it begins anew"),
                }
            }
            "0".to_owned()
        }
        From::Pending(after) => after,
    };
    let entries = store.pending_entries(group, &after, batch).await?;
    let next = entries.last().map_or(From::New, |last| From::Pending(last.id.clone()));
    Ok((entries, next))
}

/// An entry's field `data`, or all its fields as a JSON object of texts.
pub(crate) fn bytes(mut fields: Vec<(Vec<u8>, Vec<u8>)>) -> Vec<u8> {
    if let Some(data) = fields.iter().position(|(name, _)| name == b"data") {
        return fields.swap_remove(data).1;
    }
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap_or_else(|error| lossy(&error.into_bytes()));
    let object: Map<_, _> = fields.into_iter().map(|(name, value)| (text(name), Value::String(text(value)))).collect();
    Value::Object(object).to_string().into_bytes()
}

fn lossy(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use super::bytes;

    fn fields(pairs: &[(&str, &str)]) -> Vec<(Vec<u8>, Vec<u8>)> {
        pairs.iter().map(|(name, value)| (name.as_bytes().to_vec(), value.as_bytes().to_vec())).collect()
    }

    #[test]
    fn the_field_data_is_the_input() {
        assert_eq!(bytes(fields(&[("source", "a"), ("data", "{\"add\": 1}")])), b"{\"add\": 1}");
    }

    #[test]
    fn an_entry_without_data_is_an_object_of_its_fields() {
        assert_eq!(bytes(fields(&[("add", "1"), ("source", "a\"b")])), br#"{"add":"1","source":"a\"b"}"#);
        assert_eq!(bytes(Vec::new()), b"{}");
    }
}
