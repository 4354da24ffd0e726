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

/// How much longer than a lease is asked for another one's may last. Longer ones come of a clock that was set back, or of
/// no holder at all, and nobody may ever end them; a little more may come of a server with another clock that has taken
/// over.
pub(crate) const BELIEVED_TIMES: i64 = 2;
