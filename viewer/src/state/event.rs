//! What the connection tells.

use std::collections::{BTreeMap, BTreeSet};

use crate::model::{Document, Moment, Sight, Unreadable};

/// One thing that happened, with the time where that matters.
#[derive(Debug, Clone, PartialEq)]
pub enum Event {
    /// The connection is in another phase now.
    Phase(Phase),
    /// A step of connecting began, was done or failed.
    Step(Step, Progress),
    /// What stands under a key.
    Look {
        /// Which key.
        key: Key,
        /// What was found.
        found: Found,
        /// When.
        at: Moment,
    },
    /// Results from before, oldest first, from the store's history.
    Past(Vec<(Moment, Document)>),
    /// What was seen of machines, by their names, and when.
    Machines(BTreeMap<String, (Sight, Moment)>),
    /// These machines are there, and no others: what was seen before of others is past.
    Present(BTreeSet<String>),
    /// So many keys match the pattern.
    Matching(usize),
    /// With a pattern: looks at output and input are from now on those of the machine with this output key.
    Opened(Option<String>),
}

/// A key that is watched.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Key {
    /// The newest result.
    Output,
    /// The raw input.
    Input,
    /// What the host says of itself.
    Status,
}

/// What stands under a key.
#[derive(Debug, Clone, PartialEq)]
pub enum Found {
    /// Nothing.
    Nothing,
    /// A JSON object.
    Document(Document),
    /// Bytes that are no JSON object.
    Unreadable(Unreadable),
    /// It can't be read: another kind of value, no right to it. In a sentence.
    Refused(String),
}

/// How the connection is doing.
#[derive(Debug, Clone, PartialEq)]
pub enum Phase {
    /// There is none, and none is wanted.
    Idle,
    /// Finding out what the name stands for.
    Resolving,
    /// Connecting and logging in.
    Authenticating,
    /// Reading.
    Live(Follow),
    /// It broke; the next attempt begins at this time.
    Retrying {
        /// When.
        at: Moment,
    },
    /// It can't go on without the user.
    NeedsYou,
}

/// How new values are found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Follow {
    /// The store tells of each write.
    Push,
    /// The keys are read every period.
    Poll,
    /// A recorded file is played.
    Replay,
}

/// What must hold before values can be shown, in this order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Step {
    /// `ssh` leads to the host.
    Ssh,
    /// The server answers on its port, or the file is there.
    Reach,
    /// The server takes the login.
    Login,
    /// The output key holds something.
    Key,
    /// It is a JSON object.
    Json,
    /// It has the fields that are shown.
    Fields,
}

/// How far a step is.
#[derive(Debug, Clone, PartialEq, Default)]
pub enum Progress {
    /// Not begun.
    #[default]
    Waiting,
    /// Under way, with what is being done.
    Running(String),
    /// Done, with what was found.
    Done(String),
    /// Not needed here.
    Skipped,
    /// Failed.
    Failed {
        /// What happened.
        why: String,
        /// What to do about it.
        advice: String,
    },
}

impl Step {
    /// All of them, in order.
    pub const ALL: [Step; 6] = [Step::Ssh, Step::Reach, Step::Login, Step::Key, Step::Json, Step::Fields];
}
