//! What went wrong, told so that one can act on it, and whether it makes sense to try again unasked.

use store::{Cause, Error};

use crate::model::printable;
use crate::state::{Progress, Step};

/// Why there is no connection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Fault {
    /// The step that failed.
    pub step: Step,
    /// What happened.
    pub why: String,
    /// What to do about it.
    pub advice: String,
    /// Whether to try again.
    pub then: Then,
}

/// What comes after a fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Then {
    /// It may go away by itself.
    Retry,
    /// It won't, or trying again could lock the user out.
    NeedsYou,
}

impl Fault {
    pub fn new(step: Step, then: Then, why: &str, advice: &str) -> Fault {
        Fault { step, why: printable(why), advice: advice.to_owned(), then }
    }

    /// What a store's error means.
    pub fn of_store(error: &Error) -> Fault {
        let mut why = error.cause.to_string();
        if why.contains("NOAUTH") {
            "the server asks for a password".clone_into(&mut why);
        }
        let reach = |advice| Fault::new(Step::Reach, Then::Retry, &why, advice);
        match &error.cause {
            Cause::Denied(_) => Fault::new(
                Step::Login,
                Then::NeedsYou,
                &why,
                "Give user and password in the form, or in REDIS_USERNAME and REDIS_PASSWORD. They are never saved.",
            ),
            Cause::Unavailable(_) => reach("It is there, but can't answer now."),
            Cause::TimedOut(_) => reach("The server, or the way to it, hangs."),
            Cause::Corrupt(_) => Fault::new(Step::Reach, Then::NeedsYou, &why, "Name another store."),
            // AUTH to a server that has no such user or wants no password comes like this.
            Cause::Other(_) if why.contains("AUTH") => Fault::new(
                Step::Login,
                Then::NeedsYou,
                &why,
                "Leave user and password away, or give those that the server knows.",
            ),
            _ => reach("See whether the address is right, and whether the server runs and may be reached from here."),
        }
    }

    pub fn progress(&self) -> Progress {
        Progress::Failed { why: self.why.clone(), advice: self.advice.clone() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_that_is_missing_is_told_in_few_words() {
        let cause = Cause::Denied("NOAUTH: HELLO must be called with … and so on".to_owned());
        let error = Error { action: "watch".to_owned(), store: "redis://db".to_owned(), cause };
        let fault = Fault::of_store(&error);
        assert_eq!((fault.step, fault.then), (Step::Login, Then::NeedsYou));
        assert_eq!(fault.why, "the server asks for a password");
    }
}
