//! What one commit writes, and what is read back of it.

use std::collections::HashMap;

use crate::error::Cause;
use crate::group::Taken;
use crate::keys::Keys;

/// Output, env, progress and history of one or more calls, written together or not at all.
#[derive(Debug, Clone)]
pub struct Commit<'a> {
    /// Where it goes.
    pub keys: &'a Keys,
    /// The sequence that the caller last read or wrote; 0 where there was none.
    pub sequence: u64,
    /// The results, oldest first; the last one is the new output. None leaves the output as it is.
    pub outputs: Vec<&'a [u8]>,
    /// The handler's env after the calls.
    pub env: &'a [u8],
    /// The identity of the last event that is part of this commit. One that replays an event leaves the store's as it is.
    pub last_event: &'a str,
    /// The handler's name.
    pub handler: &'a str,
    /// The version of the plugin that the handler came from.
    pub plugin_version: &'a str,
    /// When the commit was made, as text (ISO 8601).
    pub saved_at: &'a str,
    /// How many entries the history keeps, these included. 0: the history isn't touched.
    pub history_length: usize,
    /// A stream that each result is appended to as well.
    pub output_stream: Option<&'a str>,
    /// The stream's entries that the results are of.
    pub taken: Option<Taken<'a>>,
    /// An event that is set aside.
    pub dead: Option<Dead<'a>>,
    /// The event that the results are of, by its id under `{out}:replay`, from where the commit removes it.
    pub replayed: Option<&'a str>,
}

/// An event that the handler can't do anything with.
#[derive(Debug, Clone)]
pub struct Dead<'a> {
    /// Its bytes.
    pub data: &'a [u8],
    /// Why it is set aside.
    pub reason: &'a str,
    /// How often the handler was called with it.
    pub attempts: u32,
    /// When (ISO 8601).
    pub at: &'a str,
    /// How many such events are kept.
    pub most: usize,
}

/// What became of a commit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Committed {
    /// All of it is in the store, whose sequence is now one more than the commit's.
    Applied,
    /// Nothing was written: someone else has committed since, and the store's sequence is this one (0: none).
    Refused {
        /// The store's sequence.
        sequence: u64,
    },
    /// Nothing was written: entries that it takes are not this consumer's any more, or the event that it replays is gone.
    /// Others have claimed them, and count them or have done so.
    Claimed,
}

/// What the last commit left under `{out}:env`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Saved {
    /// How many commits there were.
    pub sequence: u64,
    /// The identity of the last event that was committed.
    pub last_event: String,
    /// The handler's name.
    pub handler: String,
    /// The version of the plugin that the handler came from.
    pub plugin_version: String,
    /// When the commit was made, as text (ISO 8601).
    pub saved_at: String,
    /// The handler's env.
    pub env: Vec<u8>,
}

/// One result of the history.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// `ms-seq`, as Redis names a stream's entries: milliseconds since 1970 and a counter within them.
    pub id: String,
    /// The result.
    pub data: Vec<u8>,
}

/// The beginning of a value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Part {
    /// The first bytes, or all of them.
    pub bytes: Vec<u8>,
    /// How many bytes the whole value has.
    pub length: usize,
}

impl Commit<'_> {
    /// The sequence that the store has once this is applied.
    pub(crate) fn next_sequence(&self) -> Result<u64, Cause> {
        self.sequence.checked_add(1).ok_or_else(|| Cause::Corrupt(format!("sequence {} can't grow", self.sequence)))
    }

    /// The fields of the hash `{out}:env` that it writes, but for `sequence`.
    pub(crate) fn fields(&self) -> Vec<(&'static str, &[u8])> {
        let last_event: Option<&[u8]> = match (self.replayed, self.sequence) {
            (None, _) => Some(self.last_event.as_bytes()),
            // No event came before, and this one is none of those that come.
            (Some(_), 0) => Some(b""),
            (Some(_), _) => None,
        };
        let mut fields = vec![
            ("handler", self.handler.as_bytes()),
            ("plugin_version", self.plugin_version.as_bytes()),
            ("saved_at", self.saved_at.as_bytes()),
            ("env", self.env),
        ];
        fields.extend(last_event.map(|id| ("last_event", id)));
        fields
    }
}

impl Saved {
    /// Reads the hash `{out}:env`. `None` where nothing was committed: no hash, or one whose sequence is 0.
    pub(crate) fn from_fields(mut fields: HashMap<String, Vec<u8>>) -> Result<Option<Saved>, Cause> {
        if fields.is_empty() {
            return Ok(None);
        }
        let mut take = |name: &str| {
            fields.remove(name).ok_or_else(|| Cause::Corrupt(format!("the env's hash has no field {name}")))
        };
        let sequence = parse_sequence(&take("sequence")?)?;
        if sequence == 0 {
            return Ok(None);
        }
        let mut text = |name: &str| {
            String::from_utf8(take(name)?)
                .map_err(|error| Cause::Corrupt(format!("the env's field {name} isn't text: {error}")))
        };
        Ok(Some(Saved {
            sequence,
            last_event: text("last_event")?,
            handler: text("handler")?,
            plugin_version: text("plugin_version")?,
            saved_at: text("saved_at")?,
            env: take("env")?,
        }))
    }
}

/// A sequence as it stands in the store: decimal digits without sign or leading zero, so that two equal numbers are
/// equal texts. (The script on Redis compares texts, since a number in Lua has only 53 bits.)
pub(crate) fn parse_sequence(text: &[u8]) -> Result<u64, Cause> {
    std::str::from_utf8(text)
        .ok()
        .and_then(|digits| digits.parse::<u64>().ok())
        .filter(|number| number.to_string().as_bytes() == text)
        .ok_or_else(|| {
            let shown = String::from_utf8_lossy(text);
            Cause::Corrupt(format!("the env's sequence is {shown:?}, which isn't a number"))
        })
}
