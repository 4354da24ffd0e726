//! The names of the keys that belong to one output.

/// How many slots a Redis Cluster has.
const SLOTS: u16 = 16384;

/// An output key and its companion keys, all in the same Redis Cluster slot.
///
/// For the output key `out` they are `{out}:env`, `{out}:history`, `{out}:status`, `{out}:dead`, `{out}:replay` and
/// `{out}:lease`. An output key that has a hash tag of its own, such as `a{b}`, gets `a{b}:env` and so on.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Keys {
    /// The newest result.
    pub output: String,
    /// The handler's env and the progress made: a hash.
    pub env: String,
    /// The latest results: a stream.
    pub history: String,
    /// What the host says of itself, with a time to live.
    pub status: String,
    /// The events that were set aside: a stream.
    pub dead: String,
    /// Those of them that are to be called once more: a stream.
    pub replay: String,
    /// Who may write, with a time to live.
    pub lease: String,
}

/// What a key beside an output key is.
#[derive(Debug)]
pub struct Companion {
    /// What its name ends in.
    pub ending: &'static str,
    /// Its type in Redis, and for how long it is there.
    pub kind: &'static str,
    /// What it holds: in Markdown, on one line.
    pub meaning: &'static str,
}

const ENV: Companion = Companion {
    ending: "env",
    kind: "hash",
    meaning: "state and progress: `sequence` (one more at each commit), `last_event` (`sha256:HEX` of the input's bytes, or \
              what the trigger gives), `handler`, `plugin_version`, `saved_at`, `env` (JSON). A stream's consumer `NAME` \
              other than `main` has `:env:NAME`",
};
const HISTORY: Companion = Companion {
    ending: "history",
    kind: "stream",
    meaning: "an entry for each result, field `data`; the newest `HISTORY_LENGTH` of them",
};
const STATUS: Companion = Companion {
    ending: "status",
    kind: "string, for 60 s",
    meaning: "how the host is doing, as JSON with the fields below",
};
const DEAD: Companion = Companion {
    ending: "dead",
    kind: "stream",
    meaning: "events that were set aside: `data`, `reason`, `attempts`, `at`; the newest `DEAD_MAX` of them",
};
const REPLAY: Companion = Companion {
    ending: "replay",
    kind: "stream",
    meaning: "those of them that wait to be called once more (`plugin-host dead replay`)",
};
const LEASE: Companion = Companion {
    ending: "lease",
    kind: "string, for `LEASE_PERIOD`",
    meaning: "which of several hosts works, and its period in ms. A stream's consumer `NAME` other than `main` has \
              `:lease:NAME`",
};

/// All of them.
pub const COMPANIONS: [&Companion; 6] = [&ENV, &HISTORY, &STATUS, &DEAD, &REPLAY, &LEASE];

/// Why an output key can't have companion keys.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum KeysError {
    /// The output key is empty.
    #[error("an output key can't be empty: name one")]
    Empty,
    /// No other key can be made to share the output key's slot.
    #[error(
        "output key {0:?} has a '}}' that closes no hash tag, so no companion key can share its Redis Cluster slot: \
         leave the '}}' out, or put braces around a part of the key, as in a{{b}}"
    )]
    UntaggedBrace(String),
}

impl Keys {
    /// The keys of `output`.
    ///
    /// Redis Cluster hashes what stands between a key's first `{` and the first `}` after it, if that is not empty,
    /// and else the whole key
    /// (<https://redis.io/docs/latest/operate/oss_and_stack/reference/cluster-spec/#hash-tags>). So an output key with
    /// a tag is extended, and one without is put in braces, which makes all of it the tag.
    ///
    /// # Errors
    ///
    /// The empty key, and a key without a tag that holds a `}` (`a}b`, `a{}b`): the braces put around it would end
    /// there, and its companions would lie in another slot.
    pub fn of(output: &str) -> Result<Keys, KeysError> {
        if output.is_empty() {
            return Err(KeysError::Empty);
        }
        let stem = if tag(output).is_some() {
            output.to_owned()
        } else if output.contains('}') {
            return Err(KeysError::UntaggedBrace(output.to_owned()));
        } else {
            format!("{{{output}}}")
        };
        Ok(Keys {
            output: output.to_owned(),
            env: format!("{stem}:{}", ENV.ending),
            history: format!("{stem}:{}", HISTORY.ending),
            status: format!("{stem}:{}", STATUS.ending),
            dead: format!("{stem}:{}", DEAD.ending),
            replay: format!("{stem}:{}", REPLAY.ending),
            lease: format!("{stem}:{}", LEASE.ending),
        })
    }

    /// The same keys for one of several consumers that write the same output: each has an env and a lease of its own.
    #[must_use]
    pub fn of_consumer(mut self, name: &str) -> Keys {
        self.env = format!("{}:{name}", self.env);
        self.lease = format!("{}:{name}", self.lease);
        self
    }

    /// All of them.
    pub fn all(&self) -> [&str; 7] {
        [&self.output, &self.env, &self.history, &self.status, &self.dead, &self.replay, &self.lease]
    }

    /// Those that hold what was committed or said: all but the lease, which is its holder's to give up.
    pub(crate) fn contents(&self) -> [&str; 6] {
        [&self.output, &self.env, &self.history, &self.status, &self.dead, &self.replay]
    }
}

/// The slot of a key in a Redis Cluster, below 16384: the CRC16 of its hash tag, or of the whole key where it has none
/// (<https://redis.io/docs/latest/operate/oss_and_stack/reference/cluster-spec/#key-distribution-model>). The keys of one
/// operation must be in the same slot there.
pub fn slot(key: &str) -> u16 {
    // The polynomial of CRC-16/XMODEM, without reflection, from 0.
    let crc = tag(key).unwrap_or(key).bytes().fold(0_u16, |crc, byte| {
        (0..8).fold(crc ^ (u16::from(byte) << 8), |crc, _| (crc << 1) ^ if crc & 0x8000 == 0 { 0 } else { 0x1021 })
    });
    crc % SLOTS
}

/// The part of a key, or of all keys that begin so, that makes their slot; none where all of the key does.
pub(crate) fn tag(key: &str) -> Option<&str> {
    let (_, rest) = key.split_once('{')?;
    rest.split_once('}').map(|(tag, _)| tag).filter(|tag| !tag.is_empty())
}
