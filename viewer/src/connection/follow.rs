//! What a connection does while it is live: it tells what was, then each new value, and notices when it hangs.

use std::convert::Infallible;
use std::future::Future;
use std::time::Duration;

use store::{Cause, Change, Store, Watch};
use tokio::time::Instant;

use super::fault::{Fault, Then};
use super::session::Session;
use crate::model::{Document, HostStatus, Moment, USUAL_PERIOD, printable};
use crate::state::{Event, Found, Key, Step};

/// How long an answer may take, where it is short.
const ANSWER_WITHIN: Duration = Duration::from_secs(3);

/// How long the first answers may take, whose size nobody knows yet.
pub(super) const FIRST_ANSWER_WITHIN: Duration = Duration::from_secs(30);

/// The slowest network on which a value of known size is waited for, in bytes a second.
const SLOWEST: usize = 32 << 10;

/// Something is asked at least this often, so that a connection that hangs is noticed.
pub(super) const HEARTBEAT: Duration = Duration::from_secs(2);

/// A file tells nobody of writes: it is looked at this often, at least.
const FILE_PERIOD: f64 = 1.0;

/// Seconds between looks at least and at most, whatever user and host say.
const SHORTEST_PERIOD: f64 = 0.1;
const LONGEST_PERIOD: f64 = 30.0;

/// After a look that the store has asked for, the next one waits this long: who writes without pause is followed at
/// twenty looks a second.
const BREATH: Duration = Duration::from_millis(50);

/// How many past results are read at the start: what a host keeps unless told otherwise.
const PAST: usize = 720;

/// The most bytes of them, so that a slow network isn't blocked by them for long.
const PAST_BYTES: usize = 4 << 20;

/// The most bytes of a value that are taken: what a host takes unless told otherwise.
const MOST_BYTES: usize = 16 << 20;

/// What is being followed.
pub(super) struct Live {
    pub store: Store,
    pub watch: Option<Watch>,
    /// What was told last of output, input and status.
    pub told: [Option<Raw>; 3],
    /// Seconds between results, as the host says.
    pub host_period: Option<f64>,
}

/// What stands under a key, unread: the bytes, nothing, or why not.
pub(super) type Raw = Result<Option<Vec<u8>>, String>;

impl Session<'_> {
    /// Reads what was, then tells of each new value, until something breaks.
    pub async fn follow(&self, live: &mut Live) -> Result<Infallible, Fault> {
        let slept = self.clock.slept();
        self.past(live).await?;
        self.look(live, &[Key::Output, Key::Input, Key::Status]).await?;
        let mut looked = Instant::now();
        loop {
            let period = Duration::from_secs_f64(self.period(live));
            let pause = HEARTBEAT.min((looked + period).saturating_duration_since(Instant::now()));
            let change = match &mut live.watch {
                Some(watch) => tokio::time::timeout(pause, watch.next()).await.ok(),
                None => {
                    tokio::time::sleep(pause).await;
                    None
                }
            };
            if self.clock.slept() > slept {
                return Err(asleep());
            }
            match change {
                Some(Change::Written(key)) => {
                    let keys = self.keys(&key);
                    self.look(live, &keys).await?;
                    tokio::time::sleep(BREATH).await;
                }
                Some(Change::Lost) => {
                    let advice = "It connects anew by itself.";
                    return Err(Fault::new(Step::Reach, Then::Retry, "the connection has ended", advice));
                }
                None if looked.elapsed() < period => {
                    let answer = in_time(ANSWER_WITHIN, live.store.ping()).await?;
                    answer.map_err(|error| Fault::of_store(&error))?;
                }
                None | Some(Change::Restored) => {
                    self.look(live, &[Key::Output, Key::Input, Key::Status]).await?;
                    looked = Instant::now();
                }
            }
        }
    }

    /// What a key's name stands for; one name may be both output and input.
    fn keys(&self, name: &str) -> Vec<Key> {
        [Key::Output, Key::Input, Key::Status].into_iter().filter(|key| self.name(*key) == name).collect()
    }

    fn name(&self, key: Key) -> &str {
        match key {
            Key::Output => &self.target.keys.output,
            Key::Input => &self.target.input_key,
            Key::Status => &self.target.keys.status,
        }
    }

    fn period(&self, live: &Live) -> f64 {
        let period = self.target.period.or(live.host_period).unwrap_or(USUAL_PERIOD);
        let longest = match (&live.watch, self.target.address.file()) {
            (Some(_), _) => LONGEST_PERIOD,
            (None, Some(_)) => FILE_PERIOD,
            // Something is asked that often anyway.
            (None, None) => HEARTBEAT.as_secs_f64(),
        };
        period.clamp(SHORTEST_PERIOD, longest)
    }

    /// Tells the results from before. Only the output key is needed: where there is no history, it starts now.
    async fn past(&self, live: &Live) -> Result<(), Fault> {
        let newest = in_time(FIRST_ANSWER_WITHIN, live.store.read(&self.target.keys.output)).await?;
        let size = newest.ok().flatten().map_or(1, |bytes| bytes.len().max(1));
        let count = (PAST_BYTES / size).clamp(1, PAST);
        let asked = async { tokio::join!(live.store.history(&self.target.keys, count), live.store.now()) };
        let (entries, store_now) = in_time(FIRST_ANSWER_WITHIN, asked).await?;
        let (entries, store_now) = match (entries, store_now) {
            (Ok(entries), Ok(now)) => (entries, now),
            (Err(error), _) | (_, Err(error)) if breaks(&error.cause) => return Err(Fault::of_store(&error)),
            _ => return Ok(()),
        };
        let since = store_now.duration_since(std::time::UNIX_EPOCH).unwrap_or_default().as_secs_f64();
        let now = self.clock.now();
        let moment = |id: &str| -> Option<Moment> {
            let milliseconds: f64 = id.split('-').next()?.parse().ok()?;
            Some(now + (milliseconds / 1000.0 - since).min(0.0))
        };
        let past: Vec<_> =
            entries.iter().filter_map(|entry| Some((moment(&entry.id)?, Document::read(&entry.data).ok()?))).collect();
        if !past.is_empty() {
            self.feed.tell(Event::Past(past));
        }
        Ok(())
    }

    /// Reads the keys, all at once, and tells what is new.
    async fn look(&self, live: &mut Live, keys: &[Key]) -> Result<(), Fault> {
        let read = async |key: Key| {
            if keys.contains(&key) { Some(live.store.read(self.name(key)).await) } else { None }
        };
        let asked = async { tokio::join!(read(Key::Output), read(Key::Input), read(Key::Status)) };
        let (output, input, status) = in_time(live.patience(), asked).await?;
        for (key, outcome) in [(Key::Output, output), (Key::Input, input), (Key::Status, status)] {
            let Some(outcome) = outcome else { continue };
            let raw = match outcome {
                Ok(Some(bytes)) if bytes.len() > MOST_BYTES => {
                    Err(format!("the value has {} bytes, and at most {MOST_BYTES} are taken", bytes.len()))
                }
                Ok(bytes) => Ok(bytes),
                Err(error) if breaks(&error.cause) => return Err(Fault::of_store(&error)),
                Err(error) => Err(printable(&error.cause.to_string())),
            };
            let told = &mut live.told[key as usize];
            if told.as_ref() == Some(&raw) {
                continue;
            }
            let found = found(&raw);
            if let (Key::Status, Found::Document(document)) = (key, &found) {
                live.host_period = HostStatus::read(document.bytes()).and_then(|status| status.usable_period());
            }
            *told = Some(raw);
            self.feed.tell(Event::Look { key, found, at: self.clock.now() });
        }
        Ok(())
    }
}

impl Live {
    /// How long a look may take: values of about the size of the last ones are waited for on a slow network, too.
    fn patience(&self) -> Duration {
        let sizes = self.told.iter().map(|told| match told {
            Some(Ok(Some(bytes))) => Some(bytes.len()),
            Some(_) => Some(0),
            None => None,
        });
        match sizes.sum::<Option<usize>>() {
            Some(bytes) => ANSWER_WITHIN + Duration::from_secs((bytes / SLOWEST) as u64),
            None => FIRST_ANSWER_WITHIN,
        }
    }
}

/// The answer, unless it takes too long.
async fn in_time<T>(limit: Duration, answer: impl Future<Output = T>) -> Result<T, Fault> {
    tokio::time::timeout(limit, answer).await.map_err(|_elapsed| {
        let why = format!("no answer within {} s", limit.as_secs());
        Fault::new(Step::Reach, Then::Retry, &why, "The server, or the way to it, hangs.")
    })
}

pub(super) fn asleep() -> Fault {
    Fault::new(Step::Reach, Then::Retry, "this machine has slept", "It connects anew by itself.")
}

/// Whether an error means the connection, not the key.
fn breaks(cause: &Cause) -> bool {
    !matches!(cause, Cause::WrongType { .. } | Cause::Denied(_) | Cause::Corrupt(_) | Cause::Other(_))
}

fn found(raw: &Raw) -> Found {
    match raw {
        Ok(None) => Found::Nothing,
        Ok(Some(bytes)) => match Document::read(bytes) {
            Ok(document) => Found::Document(document),
            Err(unreadable) => Found::Unreadable(unreadable),
        },
        Err(why) => Found::Refused(why.clone()),
    }
}
