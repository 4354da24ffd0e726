//! Events that were set aside, and how they come to be called once more.

/// An event that was set aside.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeadEntry {
    /// Its id where it was read, `ms-seq`: milliseconds since 1970 and a counter within them.
    pub id: String,
    /// Its bytes.
    pub data: Vec<u8>,
    /// Why it was set aside.
    pub reason: String,
    /// How often the handler had been called with it.
    pub attempts: u32,
    /// When it was set aside (ISO 8601).
    pub at: String,
}

/// What became of an event that is to be called once more.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Replayed {
    /// It has left `{out}:dead`, and waits under this id.
    Moved {
        /// The id where it waits.
        id: String,
    },
    /// `{out}:dead` has no such event: somebody has replayed it, or newer ones have taken its place.
    Gone,
    /// It stays in `{out}:dead`, as enough events wait already.
    Full,
}

/// The two numbers of an id; none where the text is none.
pub(crate) fn parts_of(id: &str) -> Option<(u64, u64)> {
    let number = |digits: &str| digits.parse::<u64>().ok().filter(|number| number.to_string() == digits);
    let (ms, seq) = id.split_once('-')?;
    Some((number(ms)?, number(seq)?))
}
