//! How it stands with the connection, in one word: of the program's own doing, and of how old the result is.

use super::{Phase, State};
use crate::model::{Freshness, Moment};

/// How it stands with the connection, in one word.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// None is wanted.
    Idle,
    /// Finding out where to go.
    Resolving,
    /// Connecting and logging in.
    Authenticating,
    /// Connected, with new values coming.
    Live,
    /// Connected, and no new value for two periods.
    Late,
    /// Broken, to be tried again.
    Retrying,
    /// It can't go on without the user.
    NeedsYou,
}

impl State {
    /// How it stands with the connection.
    pub fn standing(&self, now: Moment) -> Standing {
        match self.phase {
            Phase::Idle => Standing::Idle,
            Phase::Resolving => Standing::Resolving,
            Phase::Authenticating => Standing::Authenticating,
            Phase::Retrying { .. } => Standing::Retrying,
            Phase::NeedsYou => Standing::NeedsYou,
            Phase::Live(_) if self.lists_machines() => self.standing_of_fleet(now),
            Phase::Live(_) => match self.current.output.freshness(now, self.period()) {
                Some(Freshness::Fresh | Freshness::Unconfirmed) => Standing::Live,
                Some(Freshness::Late | Freshness::Stale) | None => Standing::Late,
            },
        }
    }
}

impl Standing {
    /// The word that stands beside the colour.
    pub fn word(self) -> &'static str {
        match self {
            Standing::Idle => "idle",
            Standing::Resolving => "resolving",
            Standing::Authenticating => "authenticating",
            Standing::Live => "live",
            Standing::Late => "late",
            Standing::Retrying => "retrying",
            Standing::NeedsYou => "needs you",
        }
    }
}
