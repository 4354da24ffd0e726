//! What a connection to the keys of a pattern does while it is live: it looks through all keys at the start and now and
//! then, and at each that is written; of a machine that is opened it tells everything.

use std::collections::hash_map::DefaultHasher;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::convert::Infallible;
use std::hash::{Hash, Hasher};
use std::time::Duration;

use store::{Change, Keys, Part, Pattern};
use tokio::time::{Instant, timeout_at};

use super::fault::Fault;
use super::follow::{FIRST_ANSWER_WITHIN, Live, News, ended, in_time, time_for};
use super::session::Session;
use crate::model::{Document, Figures, MOST_MACHINES, Sight};
use crate::state::{Event, Key};

/// About how many of the store's keys a step of a look through them goes over.
const STEP: usize = 2_000;

/// How many values are asked for at once.
const TOGETHER: usize = 128;

/// The most bytes of a value that the list takes: a result of 256 CPUs has 8 KiB. An opened machine may have more.
const MOST_BYTES: usize = 64 << 10;

/// How long written keys are gathered before they are read: a list that changes more often can't be read anyway.
const GATHER: Duration = Duration::from_millis(250);

/// Seconds between looks through all keys where the store tells of writes.
const LOOK_THROUGH: Duration = Duration::from_secs(60);

/// What is known of the keys' values: a hash and the length, by the text that the `*` stands for.
type Known = HashMap<String, (u64, usize)>;

impl Session<'_> {
    /// Tells of each machine that is written, and of all that is told of the opened one, until something breaks.
    pub async fn follow_fleet(&self, live: &mut Live, pattern: &Pattern) -> Result<Infallible, Fault> {
        let mut known = Known::new();
        self.open_machine(live).await?;
        self.look_through(live, pattern, &mut known).await?;
        // Machines of before a break may have gone with it; from now on each that goes is told by itself.
        self.feed.tell(Event::Present(known.keys().cloned().collect()));
        let (mut looked, mut looked_through) = (Instant::now(), Instant::now());
        loop {
            let due = looked + Duration::from_secs_f64(self.period(live));
            match self.news(live, due).await? {
                News::Opened => self.open_machine(live).await?,
                News::Written(key) => {
                    let written = gather(live, key).await?;
                    let names = written.keys.iter().filter_map(|key| machine(pattern, key)).map(str::to_owned);
                    self.glance(live, pattern, &names.collect::<Vec<_>>(), &mut known, written_now).await?;
                    let opened = live.machine.as_ref().is_some_and(|opened| written.keys.contains(&opened.keys.output));
                    if opened {
                        self.look(live, &[Key::Output, Key::Input]).await?;
                    }
                    if written.incomplete {
                        self.look_through(live, pattern, &mut known).await?;
                    }
                }
                News::Due => {
                    self.look(live, opened_keys(live)).await?;
                    if looked_through.elapsed() >= self.period_of_all(live) {
                        self.look_through(live, pattern, &mut known).await?;
                        looked_through = Instant::now();
                    }
                    looked = Instant::now();
                }
                News::Missed => {
                    self.look(live, opened_keys(live)).await?;
                    self.look_through(live, pattern, &mut known).await?;
                    (looked, looked_through) = (Instant::now(), Instant::now());
                }
            }
        }
    }

    /// How long it is until all keys are looked through again.
    fn period_of_all(&self, live: &Live) -> Duration {
        match live.watch {
            Some(_) => LOOK_THROUGH,
            None => {
                Duration::try_from_secs_f64(self.period_between_results(live)).unwrap_or(LOOK_THROUGH).min(LOOK_THROUGH)
            }
        }
    }

    /// Begins with the machine that is open now, or with none.
    async fn open_machine(&self, live: &mut Live) -> Result<(), Fault> {
        live.machine = live.opened.borrow_and_update().clone();
        live.told = Default::default();
        let name = live.machine.as_ref().map(|opened| opened.keys.output.clone());
        self.feed.tell(Event::Opened(name));
        if live.machine.is_some() {
            self.past(live).await?;
        }
        self.look(live, opened_keys(live)).await
    }

    /// Looks through all keys of the pattern; tells those that are new or have other values, and those that are gone.
    async fn look_through(&self, live: &Live, pattern: &Pattern, known: &mut Known) -> Result<(), Fault> {
        let (glob, mut cursor) = (pattern.glob(), 0);
        let mut found = BTreeSet::new();
        let mut left_out = 0;
        loop {
            let step = in_time(FIRST_ANSWER_WITHIN, live.store.keys_like(&glob, cursor, STEP)).await?;
            let (keys, next) = step.map_err(|error| Fault::of_store(&error))?;
            let mut names: Vec<String> = Vec::new();
            for name in keys.iter().filter_map(|key| machine(pattern, key)) {
                if found.contains(name) {
                    continue;
                }
                if found.len() >= MOST_MACHINES {
                    left_out += 1;
                    continue;
                }
                found.insert(name.to_owned());
                names.push(name.to_owned());
            }
            self.glance(live, pattern, &names, known, found_there).await?;
            if next == 0 {
                break;
            }
            cursor = next;
        }
        let gone: Vec<String> = known.keys().filter(|name| !found.contains(*name)).cloned().collect();
        known.retain(|name, _| found.contains(name));
        let at = self.clock.now();
        if !gone.is_empty() {
            self.feed.tell(Event::Machines(gone.into_iter().map(|name| (name, (Sight::Gone, at))).collect()));
        }
        self.feed.tell(Event::Matching(found.len() + left_out));
        Ok(())
    }

    /// Reads these machines' values and tells those that are others than before.
    async fn glance(
        &self,
        live: &Live,
        pattern: &Pattern,
        names: &[String],
        known: &mut Known,
        sight: fn(bool, Result<Figures, String>) -> Sight,
    ) -> Result<(), Fault> {
        for names in names.chunks(TOGETHER) {
            let keys: Vec<String> = names.iter().map(|name| pattern.with(name)).collect();
            let keys: Vec<&str> = keys.iter().map(String::as_str).collect();
            let sizes = names.iter().map(|name| known.get(name).map(|(_, length)| *length));
            let patience = sizes.sum::<Option<usize>>().map_or(FIRST_ANSWER_WITHIN, time_for);
            let read = in_time(patience, live.store.read_up_to_each(&keys, MOST_BYTES)).await?;
            let parts = read.map_err(|error| Fault::of_store(&error))?;
            let at = self.clock.now();
            let mut seen = BTreeMap::new();
            for (name, part) in names.iter().zip(parts) {
                let Some(part) = part.map_err(|error| Fault::of_store(&error))? else {
                    if known.remove(name).is_some() {
                        seen.insert(name.clone(), (Sight::Gone, at));
                    }
                    continue;
                };
                if known.len() >= MOST_MACHINES && !known.contains_key(name) {
                    continue;
                }
                let new = (hash(&part), part.length.min(MOST_BYTES));
                let before = known.insert(name.clone(), new);
                if before != Some(new) {
                    seen.insert(name.clone(), (sight(before.is_some(), figures(&part)), at));
                }
            }
            if !seen.is_empty() {
                self.feed.tell(Event::Machines(seen));
            }
        }
        Ok(())
    }
}

/// What was told within a moment.
struct Gathered {
    keys: BTreeSet<String>,
    /// More was written than was told.
    incomplete: bool,
}

/// Waits a moment for more keys to be told; each is read once then, however often it is written meanwhile.
async fn gather(live: &mut Live, first: String) -> Result<Gathered, Fault> {
    let mut gathered = Gathered { keys: BTreeSet::from([first]), incomplete: false };
    let until = Instant::now() + GATHER;
    let Some(watch) = &mut live.watch else { return Ok(gathered) };
    while let Ok(change) = timeout_at(until, watch.next()).await {
        match change {
            Change::Written(key) => {
                gathered.keys.insert(key);
            }
            Change::Restored => gathered.incomplete = true,
            Change::Lost => return Err(ended()),
        }
    }
    Ok(gathered)
}

/// What is read anew every period besides the machines.
fn opened_keys(live: &Live) -> &'static [Key] {
    if live.machine.is_some() { &[Key::Output, Key::Input, Key::Status] } else { &[Key::Status] }
}

fn written_now(_known: bool, read: Result<Figures, String>) -> Sight {
    Sight::Written(read)
}

/// Of a value that was another one at the last look it is known that it has been written since.
fn found_there(known: bool, read: Result<Figures, String>) -> Sight {
    if known { Sight::Written(read) } else { Sight::Found(read) }
}

/// The machine that a key is of. The status beside an output key that has a hash tag matches the pattern, too.
fn machine<'a>(pattern: &Pattern, key: &'a str) -> Option<&'a str> {
    let name = pattern.text_of(key)?;
    let is_status = name
        .strip_suffix(":status")
        .is_some_and(|name| Keys::of(&pattern.with(name)).is_ok_and(|keys| keys.status == key));
    (!is_status).then_some(name)
}

fn figures(part: &Part) -> Result<Figures, String> {
    if part.length > MOST_BYTES {
        return Err(format!("the value has {} bytes: open the machine to see it", part.length));
    }
    Document::read(&part.bytes).map(|document| Figures::of(&document)).map_err(|unreadable| unreadable.to_string())
}

fn hash(part: &Part) -> u64 {
    let mut hasher = DefaultHasher::new();
    (part.length, &part.bytes).hash(&mut hasher);
    hasher.finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_stands_beside_a_result_is_no_machine() {
        let plain: Pattern = "report:*".parse().unwrap();
        assert_eq!(machine(&plain, "report:web"), Some("web"));
        assert_eq!(machine(&plain, "report:web:status"), Some("web:status"), "its status lies elsewhere");
        let tagged: Pattern = "{report}:*".parse().unwrap();
        assert_eq!((machine(&tagged, "{report}:web"), machine(&tagged, "{report}:web:status")), (Some("web"), None));
    }
}
