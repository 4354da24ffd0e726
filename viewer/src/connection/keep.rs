//! Keeps a connection: one session after the other, with pauses in between, until something needs the user.

use std::cell::Cell;
use std::convert::Infallible;
use std::time::Duration;

use tokio::time::sleep;

use super::backoff::Backoff;
use super::follow::Opened;
use super::queue::Feed;
use super::session::{Ending, Session};
use super::ssh::Variables;
use crate::clock::Clock;
use crate::profile::Target;
use crate::state::{Event, Phase};

/// How often a pause looks at the clock: it is over, too, when the machine has slept through it.
const LOOK_AT_CLOCK: Duration = Duration::from_millis(500);

/// Connects and stays connected. It ends by being dropped, which ends everything that it started.
pub(super) async fn keep(
    target: &Target,
    machine: Opened,
    clock: &Clock,
    feed: &Feed,
    variables: &Variables,
) -> Infallible {
    let mut backoff = Backoff::new();
    let push = Cell::new(true);
    loop {
        match (Session { target, machine: &machine, feed, clock, variables, push: &push }).run().await {
            Ending::Broken { lived } => pause(backoff.pause(lived), clock, feed).await,
            Ending::NeedsYou => {
                feed.tell(Event::Phase(Phase::NeedsYou));
                std::future::pending::<()>().await;
            }
        }
    }
}

async fn pause(pause: Duration, clock: &Clock, feed: &Feed) {
    let at = clock.now() + pause.as_secs_f64();
    feed.tell(Event::Phase(Phase::Retrying { at }));
    while clock.now() < at {
        sleep(clock.until(at).min(LOOK_AT_CLOCK)).await;
    }
}
