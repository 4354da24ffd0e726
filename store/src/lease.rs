//! Who may write to an output: one holder at a time, until it gives the lease up or falls silent.

use std::time::Duration;

/// Whose a lease is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Lease {
    /// The asker's, from now on for the time that it asked for.
    Held,
    /// Another one's.
    Of {
        /// The token of who holds it.
        token: String,
        /// How soon it is free, unless its holder extends it.
        expires_in: Duration,
    },
}

/// How many times as long as its holder takes it for a lease may last. Longer ones come of a clock that was set back, or of
/// no holder at all, and nobody may ever end them; a little more may come of a server with another clock that has taken
/// over.
pub(crate) const BELIEVED_TIMES: i64 = 2;

/// What stands under the key: who holds the lease, and for how many milliseconds it takes it each time.
pub(crate) fn value_of(token: &str, milliseconds: i64) -> String {
    format!("{token} {milliseconds}")
}

/// The two parts; none where an earlier program, which wrote the token alone, or somebody else has written it.
pub(crate) fn holder_of(value: &str) -> Option<(&str, i64)> {
    let (token, milliseconds) = value.rsplit_once(' ')?;
    let is_number = milliseconds.bytes().all(|digit| digit.is_ascii_digit());
    Some((token, milliseconds.parse().ok().filter(|_| is_number)?))
}
