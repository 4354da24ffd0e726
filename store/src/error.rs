//! What can go wrong with a store, told so that an operator can act on it.

use std::time::Duration;

/// An operation on a store that failed: what was tried, where, and why. Its message is whole: it has no source.
#[derive(Debug, Clone, thiserror::Error)]
#[error("cannot {action} in store {store}: {cause}")]
pub struct Error {
    /// What was tried, with the key: `read key "metrics"`.
    pub action: String,
    /// The store's address, without its password.
    pub store: String,
    /// Why it failed.
    pub cause: Cause,
}

/// Why an operation failed.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum Cause {
    /// There is no way to it now: no connection, a connection lost, a file that can't be opened. Worth another try
    /// after a pause.
    #[error("{0}")]
    Unreachable(String),
    /// No answer in time. Worth another try after a pause.
    #[error("no answer within {} s: see whether it is stopped or overloaded", .0.as_secs_f64())]
    TimedOut(Duration),
    /// The store asks for other credentials or rights. Worth another try after a pause, since secrets get rotated.
    #[error("{0}")]
    Denied(String),
    /// The store answers, but can't do it now: it is loading, a replica, full. Worth another try after a pause.
    #[error("{0}")]
    Unavailable(String),
    /// A key holds another kind of value than the operation works on.
    #[error("key {key:?} holds another kind of value: choose another key, or remove that one")]
    WrongType {
        /// The key.
        key: String,
    },
    /// What is there can't be read: no sequence in an env, a file that isn't a database or is of a newer version.
    /// It is never overwritten.
    #[error("{0}")]
    Corrupt(String),
    /// The store can't do this at all: others can.
    #[error("{0}")]
    Unsupported(String),
    /// Anything else, in the store's own words.
    #[error("{0}")]
    Other(String),
}

/// Why a value that was asked for can't be had: a `Cause` still to be told with action and address.
pub(crate) type Outcome<T> = Result<T, Cause>;

impl Cause {
    /// The same, with the server named where there are several.
    pub(crate) fn at(self, server: &dyn std::fmt::Display) -> Cause {
        match self {
            Cause::Unreachable(why) => Cause::Unreachable(format!("{server}: {why}")),
            Cause::Unavailable(why) => Cause::Unavailable(format!("{server}: {why}")),
            Cause::Denied(why) => Cause::Denied(format!("{server}: {why}")),
            cause => cause,
        }
    }
}
