//! The machines behind a pattern of keys: of each the newest figures, their age and a short past. Bounded, however many
//! keys there are and however often they are written.

use std::collections::hash_map::DefaultHasher;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::hash::{Hash, Hasher};

use super::document::Document;
use super::freshness::Freshness;
use super::level::{Level, Thresholds};
use super::moment::Moment;
use super::order::natural;
use super::reading::Reading;
use super::summary::Summary;

/// The most machines that are kept.
pub const MOST_MACHINES: usize = 10_000;

/// The machines by their names: what the pattern's `*` stands for.
#[derive(Debug, Clone, Default)]
pub struct Fleet {
    machines: BTreeMap<String, Machine>,
    /// Counts the changes, and those of the names.
    changes: u64,
    renewals: u64,
}

/// What is known of a machine.
#[derive(Debug, Clone, PartialEq)]
pub struct Machine {
    /// The newest figures that could be read.
    pub figures: Figures,
    /// Why the newest value can't be read.
    pub fault: Option<String>,
    past: VecDeque<f32>,
    /// When the payload's timestamp last changed, and whether that was seen; none where nothing could be read yet.
    since: Option<(Moment, bool)>,
}

/// As much of a result as a list shows.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Figures {
    /// How many CPUs it has.
    pub cpus: usize,
    /// The mean over all CPUs, in percent.
    pub mean: Option<f64>,
    /// The greatest of them.
    pub hottest: Option<f64>,
    /// Sent bytes of all bytes, in percent.
    pub egress: Option<f64>,
    /// Cached memory of all memory, in percent.
    pub cache: Option<f64>,
    /// The payload's timestamp, as a hash: it only ever gets compared.
    stamp: u64,
}

/// What a look at a machine's key gives.
#[derive(Debug, Clone, PartialEq)]
pub enum Sight {
    /// It has just been written: these figures, or why they can't be read.
    Written(Result<Figures, String>),
    /// It was there already.
    Found(Result<Figures, String>),
    /// The key isn't there any more.
    Gone,
}

/// What machines are listed by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Column {
    /// Their names.
    #[default]
    Name,
    /// The mean over all CPUs.
    Mean,
    /// The hottest CPU.
    Hottest,
    /// The network's egress.
    Egress,
    /// The memory's cache.
    Cache,
    /// The age of the newest result.
    Age,
}

/// An order of the list. Names begin with the first, figures with the greatest, ages with the oldest; reversed the other
/// way round. What has no such figure comes last.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Sorting {
    /// By what.
    pub column: Column,
    /// The other way round.
    pub reversed: bool,
}

/// How many machines there are of each kind. What is stale may not be taken for what is now, so its level doesn't count.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Tally {
    /// With a CPU at the second threshold or above.
    pub critical: usize,
    /// With a CPU at the first.
    pub warning: usize,
    /// Without a new result for two periods.
    pub late: usize,
    /// Without a new result for five.
    pub stale: usize,
    /// Whose newest value can't be read.
    pub unreadable: usize,
}

impl Figures {
    /// Picks them out of a result.
    pub fn of(document: &Document) -> Figures {
        let reading = Reading::of(document);
        let summary = Summary::of(&reading.cpus);
        let mut stamp = DefaultHasher::new();
        match &reading.timestamp {
            Some(timestamp) => timestamp.hash(&mut stamp),
            None => document.bytes().hash(&mut stamp),
        }
        Figures {
            cpus: reading.cpus.len(),
            mean: summary.as_ref().map(|summary| summary.mean),
            hottest: summary.map(|summary| summary.max),
            egress: reading.egress,
            cache: reading.cache,
            stamp: stamp.finish(),
        }
    }
}

impl Machine {
    /// How many past means are kept.
    pub const MOST_PAST: usize = 60;

    /// Seconds since the payload's timestamp changed.
    pub fn age(&self, now: Moment) -> Option<f64> {
        self.since.map(|(at, _)| (now - at).max(0.0))
    }

    /// Whether its figures may be taken for what is now.
    pub fn freshness(&self, now: Moment, period: f64) -> Option<Freshness> {
        let (_, seen) = self.since?;
        Some(match Freshness::of(self.age(now)?, period) {
            Freshness::Fresh if !seen => Freshness::Unconfirmed,
            freshness => freshness,
        })
    }

    /// How bad the hottest CPU is.
    pub fn level(&self, limits: Thresholds) -> Option<Level> {
        self.figures.hottest.map(|percent| limits.level(percent))
    }

    /// Past means over all CPUs in percent, oldest first.
    pub fn past(&self) -> impl ExactSizeIterator<Item = f32> {
        self.past.iter().copied()
    }

    fn take(&mut self, read: Result<Figures, String>, at: Moment, seen: bool) {
        match read {
            Err(why) => self.fault = Some(why),
            Ok(figures) => {
                self.fault = None;
                if self.since.is_none() || figures.stamp != self.figures.stamp {
                    self.since = Some((at, seen));
                    self.past.extend(figures.mean.map(|mean| mean as f32));
                    if self.past.len() > Machine::MOST_PAST {
                        self.past.pop_front();
                    }
                }
                self.figures = figures;
            }
        }
    }
}

impl Fleet {
    /// Takes in what a look has given. A machine beyond the [most](MOST_MACHINES) is left out.
    pub fn take(&mut self, name: &str, sight: Sight, at: Moment) {
        self.changes += 1;
        let (read, seen) = match sight {
            Sight::Gone => {
                self.machines.remove(name);
                self.renewals += 1;
                return;
            }
            Sight::Written(read) => (read, true),
            Sight::Found(read) => (read, false),
        };
        if !self.machines.contains_key(name) {
            if self.machines.len() >= MOST_MACHINES {
                return;
            }
            let new = Machine { figures: Figures::default(), fault: None, past: VecDeque::new(), since: None };
            self.machines.insert(name.to_owned(), new);
            self.renewals += 1;
        }
        if let Some(machine) = self.machines.get_mut(name) {
            machine.take(read, at, seen);
        }
    }

    /// Forgets all others.
    pub fn retain(&mut self, names: &BTreeSet<String>) {
        let before = self.machines.len();
        self.machines.retain(|name, _| names.contains(name));
        if self.machines.len() < before {
            self.changes += 1;
            self.renewals += 1;
        }
    }

    /// A machine by its name.
    pub fn get(&self, name: &str) -> Option<&Machine> {
        self.machines.get(name)
    }

    /// All of them with their names.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Machine)> {
        self.machines.iter().map(|(name, machine)| (name.as_str(), machine))
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.machines.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.machines.is_empty()
    }

    /// A number that is another one once [`listed`](Fleet::listed) may give something else for this order.
    pub fn revision(&self, sorting: Sorting) -> u64 {
        if sorting.column == Column::Name { self.renewals } else { self.changes }
    }

    /// The names that contain `search`, whatever the case, in this order.
    pub fn listed(&self, search: &str, sorting: Sorting) -> Vec<String> {
        let wanted = search.trim().to_lowercase();
        let contains = |name: &str| wanted.is_empty() || name.to_lowercase().contains(&wanted);
        let mut found: Vec<(&str, &Machine)> = self.iter().filter(|(name, _)| contains(name)).collect();
        let figure = |machine: &Machine| match sorting.column {
            Column::Name => None,
            Column::Mean => machine.figures.mean,
            Column::Hottest => machine.figures.hottest,
            Column::Egress => machine.figures.egress,
            Column::Cache => machine.figures.cache,
            Column::Age => machine.since.map(|(at, _)| -at.0),
        };
        found.sort_by(|(name, a), (other, b)| {
            let by_figure = match (figure(a), figure(b)) {
                (Some(a), Some(b)) if sorting.reversed => a.total_cmp(&b),
                (Some(a), Some(b)) => b.total_cmp(&a),
                (a, b) => b.is_some().cmp(&a.is_some()),
            };
            by_figure.then_with(|| natural(name, other))
        });
        if sorting.column == Column::Name && sorting.reversed {
            found.reverse();
        }
        found.into_iter().map(|(name, _)| name.to_owned()).collect()
    }

    /// Counts them by what is to be looked at.
    pub fn tally(&self, now: Moment, period: f64, limits: Thresholds) -> Tally {
        let mut tally = Tally::default();
        for (_, machine) in self.iter() {
            let freshness = machine.freshness(now, period);
            tally.late += usize::from(freshness == Some(Freshness::Late));
            tally.stale += usize::from(freshness == Some(Freshness::Stale));
            let level = machine.level(limits).filter(|_| freshness != Some(Freshness::Stale));
            tally.warning += usize::from(level == Some(Level::Warning));
            tally.critical += usize::from(level == Some(Level::Critical));
            tally.unreadable += usize::from(machine.fault.is_some());
        }
        tally
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn figures(percent: f64, tick: u32) -> Result<Figures, String> {
        let json = format!(r#"{{"avg-util-cpu0-60sec": {percent}, "avg-util-cpu1-60sec": 0, "timestamp": {tick}}}"#);
        Ok(Figures::of(&Document::read(json.as_bytes()).unwrap()))
    }

    #[test]
    fn an_age_counts_from_when_the_timestamp_changed() {
        let mut fleet = Fleet::default();
        fleet.take("web", Sight::Found(figures(10.0, 1)), Moment(0.0));
        assert_eq!(fleet.get("web").unwrap().freshness(Moment(1.0), 5.0), Some(Freshness::Unconfirmed));
        fleet.take("web", Sight::Written(figures(10.0, 1)), Moment(4.0));
        assert_eq!(fleet.get("web").unwrap().age(Moment(5.0)), Some(5.0), "it is the same result");
        fleet.take("web", Sight::Written(figures(10.0, 2)), Moment(5.0));
        let web = fleet.get("web").unwrap();
        assert_eq!((web.age(Moment(7.0)), web.freshness(Moment(7.0), 5.0)), (Some(2.0), Some(Freshness::Fresh)));
        fleet.take("web", Sight::Written(Err("no JSON".to_owned())), Moment(8.0));
        let web = fleet.get("web").unwrap();
        assert_eq!((web.age(Moment(8.0)), web.fault.as_deref()), (Some(3.0), Some("no JSON")));
        fleet.take("web", Sight::Gone, Moment(9.0));
        assert!(fleet.is_empty());
    }

    #[test]
    fn those_that_went_unseen_are_forgotten_and_the_list_is_made_anew() {
        let mut fleet = Fleet::default();
        for name in ["web", "db"] {
            fleet.take(name, Sight::Found(figures(10.0, 1)), Moment(0.0));
        }
        let before = fleet.revision(Sorting::default());
        fleet.retain(&["web".to_owned(), "new".to_owned()].into());
        assert_eq!(fleet.listed("", Sorting::default()), ["web"]);
        assert_ne!(fleet.revision(Sorting::default()), before);
    }

    #[test]
    fn neither_machines_nor_their_past_grow_without_end() {
        let mut fleet = Fleet::default();
        for tick in 0..200 {
            fleet.take("web", Sight::Written(figures(f64::from(tick), tick)), Moment(f64::from(tick)));
        }
        let past: Vec<f32> = fleet.get("web").unwrap().past().collect();
        assert_eq!((past.len(), past.last()), (Machine::MOST_PAST, Some(&99.5)));
        for number in 0..MOST_MACHINES + 5 {
            fleet.take(&format!("more-{number}"), Sight::Found(figures(1.0, 1)), Moment(0.0));
        }
        assert_eq!(fleet.len(), MOST_MACHINES);
    }

    #[test]
    fn they_are_sought_and_sorted() {
        let mut fleet = Fleet::default();
        for (name, percent, at) in [("web-10", 5.0, 3.0), ("web-2", 90.0, 1.0), ("db", 70.0, 2.0)] {
            fleet.take(name, Sight::Found(figures(percent, 1)), Moment(at));
        }
        fleet.take("odd", Sight::Found(Err("no JSON".to_owned())), Moment(0.0));
        let sorted = |column, reversed| fleet.listed("", Sorting { column, reversed }).join(" ");
        assert_eq!(sorted(Column::Name, false), "db odd web-2 web-10");
        assert_eq!(sorted(Column::Name, true), "web-10 web-2 odd db");
        assert_eq!(sorted(Column::Hottest, false), "web-2 db web-10 odd");
        assert_eq!(sorted(Column::Mean, true), "web-10 db web-2 odd");
        assert_eq!(sorted(Column::Age, false), "web-2 db web-10 odd");
        assert_eq!(fleet.listed(" WEB-1", Sorting::default()), ["web-10"]);
        let tally = fleet.tally(Moment(12.5), 5.0, Thresholds::default());
        assert_eq!((tally.critical, tally.warning, tally.late, tally.unreadable), (1, 1, 2, 1));
        let tally = fleet.tally(Moment(26.5), 5.0, Thresholds::default());
        assert_eq!(
            (tally.critical, tally.warning, tally.late, tally.stale),
            (0, 1, 2, 1),
            "what is stale is neither now"
        );
    }
}
