//! What a connection does while it is live: it tells what was, then each new value, and notices when it hangs.

use std::convert::Infallible;
use std::future::Future;
use std::time::Duration;

use store::{Cause, Change, Store, Watch};
use tokio::time::Instant;

use super::fault::{Fault, Then};
use super::session::Session;
use crate::model::{Document, HostStatus, Moment, USUAL_PERIOD, printable};
use crate::profile::Target;
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

/// How many bytes of a value are read before it is known how many there are.
const AT_ONCE: usize = 64 << 10;

/// What is being followed.
pub(super) struct Live {
    pub store: Store,
    pub watch: Option<Watch>,
    /// With a pattern: the machine whose keys are read, and which one is to be.
    pub machine: Option<Box<Target>>,
    pub opened: Opened,
    /// What was told last of output, input and status.
    pub told: [Option<Raw>; 3],
    /// Seconds between results, as the host says.
    pub host_period: Option<f64>,
    /// Seconds that the machine had slept when the connection was made.
    pub slept: f64,
}

/// The machine that the user wants opened.
pub(super) type Opened = tokio::sync::watch::Receiver<Option<Box<Target>>>;

/// What stands under a key, unread: the bytes, nothing, or why not.
pub(super) type Raw = Result<Option<Vec<u8>>, String>;

/// What comes next of a connection that holds.
pub(super) enum News {
    /// A key was written.
    Written(String),
    /// Something was written that was not told.
    Missed,
    /// It is time to look.
    Due,
    /// Another machine is to be opened, or none.
    Opened,
}

impl Session<'_> {
    /// Reads what was, then tells of each new value, until something breaks.
    pub async fn follow(&self, live: &mut Live) -> Result<Infallible, Fault> {
        self.past(live).await?;
        self.look(live, &[Key::Output, Key::Input, Key::Status]).await?;
        let mut looked = Instant::now();
        loop {
            match self.news(live, looked + Duration::from_secs_f64(self.period(live))).await? {
                News::Written(key) => {
                    let keys = self.keys(live, &key);
                    self.look(live, &keys).await?;
                    tokio::time::sleep(BREATH).await;
                }
                News::Due | News::Missed => {
                    self.look(live, &[Key::Output, Key::Input, Key::Status]).await?;
                    looked = Instant::now();
                }
                News::Opened => {}
            }
        }
    }

    /// Waits for what comes next, until `due` at most, and meanwhile sees that the connection holds.
    pub async fn news(&self, live: &mut Live, due: Instant) -> Result<News, Fault> {
        loop {
            // Before the watch is asked: where keys are written without pause, that always has something to tell.
            if Instant::now() >= due {
                return Ok(News::Due);
            }
            let pause = HEARTBEAT.min(due.saturating_duration_since(Instant::now()));
            let (watch, opened) = (&mut live.watch, &mut live.opened);
            let told = async {
                match watch {
                    Some(watch) => tokio::time::timeout(pause, watch.next()).await.ok(),
                    None => {
                        tokio::time::sleep(pause).await;
                        None
                    }
                }
            };
            let change = tokio::select! {
                change = told => change,
                Ok(()) = opened.changed() => return Ok(News::Opened),
            };
            if self.clock.slept() > live.slept {
                return Err(asleep());
            }
            match change {
                Some(Change::Written(key)) => return Ok(News::Written(key)),
                Some(Change::Restored) => return Ok(News::Missed),
                Some(Change::Lost) => return Err(ended()),
                None if Instant::now() >= due => return Ok(News::Due),
                None => {
                    let answer = in_time(ANSWER_WITHIN, live.store.ping()).await?;
                    answer.map_err(|error| Fault::of_store(&error))?;
                }
            }
        }
    }

    /// What a key's name stands for; one name may be both output and input.
    fn keys(&self, live: &Live, name: &str) -> Vec<Key> {
        [Key::Output, Key::Input, Key::Status].into_iter().filter(|key| self.name(live, *key) == name).collect()
    }

    fn name<'a>(&'a self, live: &'a Live, key: Key) -> &'a str {
        let opened = live.machine.as_deref().unwrap_or(self.target);
        match key {
            Key::Output => &opened.keys.output,
            Key::Input => &opened.input_key,
            // A host that works on a pattern has one.
            Key::Status => &self.target.keys.status,
        }
    }

    pub(super) fn period(&self, live: &Live) -> f64 {
        let longest = match (&live.watch, self.target.address.file()) {
            (Some(_), _) => LONGEST_PERIOD,
            (None, Some(_)) => FILE_PERIOD,
            // Something is asked that often anyway.
            (None, None) => HEARTBEAT.as_secs_f64(),
        };
        self.period_between_results(live).clamp(SHORTEST_PERIOD, longest)
    }

    /// Seconds between results: the user's word, else the host's, else 5.
    pub(super) fn period_between_results(&self, live: &Live) -> f64 {
        self.target.period.or(live.host_period).unwrap_or(USUAL_PERIOD)
    }

    /// Tells the results from before. Only the output key is needed: where there is no history, it starts now.
    pub(super) async fn past(&self, live: &Live) -> Result<(), Fault> {
        let keys = &live.machine.as_deref().unwrap_or(self.target).keys;
        let history = live.store.history_up_to(keys, PAST, PAST_BYTES);
        let asked = async { tokio::join!(history, live.store.now()) };
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
    pub(super) async fn look(&self, live: &mut Live, keys: &[Key]) -> Result<(), Fault> {
        let read = async |key: Key| if keys.contains(&key) { self.read(live, key).await.map(Some) } else { Ok(None) };
        let (output, input, status) = tokio::try_join!(read(Key::Output), read(Key::Input), read(Key::Status))?;
        for (key, raw) in [(Key::Output, output), (Key::Input, input), (Key::Status, status)] {
            let Some(raw) = raw else { continue };
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

    /// Reads a key. How long a large value is, is known before all of it is asked for.
    async fn read(&self, live: &Live, key: Key) -> Result<Raw, Fault> {
        let (mut most, mut patience) = (AT_ONCE, live.patience());
        loop {
            let part = match in_time(patience, live.store.read_up_to(self.name(live, key), most)).await? {
                Ok(part) => part,
                Err(error) if breaks(&error.cause) => return Err(Fault::of_store(&error)),
                Err(error) => return Ok(Err(printable(&error.cause.to_string()))),
            };
            match part {
                Some(part) if part.length > MOST_BYTES => {
                    return Ok(Err(format!("the value has {} bytes, and at most {MOST_BYTES} are taken", part.length)));
                }
                Some(part) if part.length > most => {
                    most = part.length;
                    patience = time_for(most);
                }
                part => return Ok(Ok(part.map(|part| part.bytes))),
            }
        }
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
            Some(bytes) => time_for(bytes),
            None => FIRST_ANSWER_WITHIN,
        }
    }
}

/// How long an answer of so many bytes may take.
pub(super) fn time_for(bytes: usize) -> Duration {
    ANSWER_WITHIN + Duration::from_secs((bytes / SLOWEST) as u64)
}

/// The answer, unless it takes too long.
pub(super) async fn in_time<T>(limit: Duration, answer: impl Future<Output = T>) -> Result<T, Fault> {
    tokio::time::timeout(limit, answer).await.map_err(|_elapsed| {
        let why = format!("no answer within {} s", limit.as_secs());
        Fault::new(Step::Reach, Then::Retry, &why, "The server, or the way to it, hangs.")
    })
}

pub(super) fn ended() -> Fault {
    Fault::new(Step::Reach, Then::Retry, "the connection has ended", "It connects anew by itself.")
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
