//! The numbers of past results, by field, bounded in memory; lines that know where they break.

use std::collections::{BTreeMap, VecDeque};
use std::ops::Range;

mod overall;

use super::moment::Moment;
use super::order::natural;

pub use overall::Overall;

/// The most samples kept: two hours at one a second.
const MOST_SAMPLES: usize = 7_200;

/// The most numbers kept, 8 bytes each; with more fields there are fewer samples.
const MOST_NUMBERS: usize = 1_500_000;

/// The most fields kept; the others are in the tables only.
const MOST_FIELDS: usize = 1_024;

/// The most bytes of a field's name: what is longer is in the tables only, since no list of lines has room for it.
const LONGEST_NAME: usize = 200;

/// A line breaks where a sample came later than this many periods after the one before…
const GAP_PERIODS: f64 = 2.5;

/// …or than this many, if the connection was lost in between.
const INTERRUPTED_GAP_PERIODS: f64 = 1.5;

/// Numbers by time and field.
#[derive(Debug, Clone, Default)]
pub struct History {
    times: VecDeque<Time>,
    /// Each as long as `times`; NaN where a sample had no such number.
    columns: BTreeMap<String, VecDeque<f64>>,
}

#[derive(Debug, Clone, Copy)]
struct Time {
    at: f64,
    /// The connection was lost since the sample before.
    interrupted: bool,
}

/// A piece of a line: times in seconds (as in [`Moment`]) and numbers.
pub type Segment = Vec<[f64; 2]>;

impl History {
    /// Adds a sample. One that isn't later than the newest is left out.
    pub fn push<'a>(&mut self, at: Moment, interrupted: bool, numbers: impl Iterator<Item = (&'a str, f64)>) {
        if self.newest().is_some_and(|newest| at <= newest) || !at.0.is_finite() {
            return;
        }
        let before = self.times.len();
        self.times.push_back(Time { at: at.0, interrupted });
        for (name, number) in numbers {
            if !self.columns.contains_key(name) {
                if self.columns.len() >= MOST_FIELDS || name.len() > LONGEST_NAME {
                    continue;
                }
                self.columns.insert(name.to_owned(), std::iter::repeat_n(f64::NAN, before).collect());
            }
            if let Some(column) = self.columns.get_mut(name)
                && column.len() == before
            {
                column.push_back(number);
            }
        }
        for column in self.columns.values_mut().filter(|column| column.len() == before) {
            column.push_back(f64::NAN);
        }
        self.trim();
    }

    /// When the newest sample came.
    pub fn newest(&self) -> Option<Moment> {
        self.times.back().map(|time| Moment(time.at))
    }

    /// When the oldest one came that is still kept.
    pub fn oldest(&self) -> Option<Moment> {
        self.times.front().map(|time| Moment(time.at))
    }

    /// How many samples are kept.
    pub fn len(&self) -> usize {
        self.times.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.times.is_empty()
    }

    /// The fields, in natural order.
    pub fn names(&self) -> Vec<&str> {
        let mut names: Vec<&str> = self.columns.keys().map(String::as_str).collect();
        names.sort_by(|a, b| natural(a, b));
        names
    }

    /// The newest `count` numbers of a field until a time, oldest first; those that are absent are left out.
    pub fn tail(&self, name: &str, until: Moment, count: usize) -> Vec<f64> {
        let Some(column) = self.columns.get(name) else { return Vec::new() };
        let end = self.end(until);
        column.range(end.saturating_sub(count)..end).copied().filter(|number| !number.is_nan()).collect()
    }

    /// The least and the greatest number of a field until a time.
    pub fn extremes(&self, name: &str, until: Moment) -> Option<(f64, f64)> {
        let numbers = self.columns.get(name)?.range(..self.end(until)).filter(|number| !number.is_nan());
        numbers.fold(None, |seen, number| {
            let (least, most) = seen.unwrap_or((*number, *number));
            Some((least.min(*number), most.max(*number)))
        })
    }

    /// A field's line between two times, oldest first, with the samples next to them, in pieces that break where results are missing
    /// for longer than `period` explains. Where there are more than `most` samples, neighbours are drawn together: the
    /// first, the least, the greatest and the last of each group, so that no peak is lost.
    pub fn series(&self, name: &str, from: f64, to: f64, period: f64, most: usize) -> Vec<Segment> {
        let Some(column) = self.columns.get(name) else { return Vec::new() };
        let span = self.span(from, to);
        let numbers = self.times.range(span.clone()).zip(column.range(span.clone()).copied());
        pieces(numbers, period, span.len(), most)
    }

    /// How many samples there are until a time.
    fn end(&self, until: Moment) -> usize {
        self.times.partition_point(|time| time.at <= until.0)
    }

    /// The samples between two times, and those next to them.
    fn span(&self, from: f64, to: f64) -> Range<usize> {
        let start = self.times.partition_point(|time| time.at < from).saturating_sub(1);
        let end = (self.times.partition_point(|time| time.at <= to) + 1).min(self.times.len());
        start..end.max(start)
    }

    /// The number of a field at the newest sample not after `at`, unless that is in a gap.
    pub fn value_at(&self, name: &str, at: f64, period: f64) -> Option<f64> {
        let after = self.times.partition_point(|time| time.at <= at);
        let index = after.checked_sub(1)?;
        let time = self.times.get(index)?;
        let in_gap = at - time.at > period * GAP_PERIODS;
        self.columns.get(name)?.get(index).copied().filter(|number| !number.is_nan() && !in_gap)
    }

    /// When each sample came, oldest first.
    pub fn times(&self) -> impl Iterator<Item = Moment> {
        self.times.iter().map(|time| Moment(time.at))
    }

    /// Every sample with its numbers, in the order of [`History::names`]; NaN where one is absent.
    pub fn rows(&self) -> impl Iterator<Item = (Moment, Vec<f64>)> {
        let columns: Vec<&VecDeque<f64>> = self.names().into_iter().filter_map(|name| self.columns.get(name)).collect();
        self.times
            .iter()
            .enumerate()
            .map(move |(row, time)| (Moment(time.at), columns.iter().map(|column| column[row]).collect()))
    }

    fn trim(&mut self) {
        let most = (MOST_NUMBERS / self.columns.len().max(1)).clamp(2, MOST_SAMPLES);
        if self.times.len() <= most {
            return;
        }
        while self.times.len() > most {
            self.times.pop_front();
            for column in self.columns.values_mut() {
                column.pop_front();
            }
        }
        // Fields that have gone leave once nothing of them is left; looked for now and then, since it costs a pass.
        let length = self.times.len();
        if self.columns.values().any(|column| column.front().is_some_and(|number| number.is_nan())) {
            self.columns.retain(|_, column| column.iter().any(|number| !number.is_nan()));
        }
        debug_assert!(self.columns.values().all(|column| column.len() == length));
    }
}

/// A line of `points` samples in pieces, with at most about `most` points.
fn pieces<'a>(numbers: impl Iterator<Item = (&'a Time, f64)>, period: f64, points: usize, most: usize) -> Vec<Segment> {
    let mut segments: Vec<Segment> = Vec::new();
    let mut last: Option<f64> = None;
    for (time, number) in numbers {
        if number.is_nan() {
            last = None;
            continue;
        }
        match (last, segments.last_mut()) {
            (Some(before), Some(segment)) if !is_gap(time.at - before, time.interrupted, period) => {
                segment.push([time.at, number]);
            }
            _ => segments.push(vec![[time.at, number]]),
        }
        last = Some(time.at);
    }
    if points > most {
        let group = points.div_ceil((most / 4).max(1));
        for segment in &mut segments {
            *segment = thinned(segment, group);
        }
    }
    segments
}

fn is_gap(seconds: f64, interrupted: bool, period: f64) -> bool {
    let periods = if interrupted { INTERRUPTED_GAP_PERIODS } else { GAP_PERIODS };
    seconds > periods * period
}

fn thinned(segment: &[[f64; 2]], group: usize) -> Segment {
    let mut thin = Segment::new();
    for points in segment.chunks(group) {
        let by_number = |a: &usize, b: &usize| points[*a][1].total_cmp(&points[*b][1]);
        let least = (0..points.len()).min_by(by_number).unwrap_or(0);
        let most = (0..points.len()).max_by(by_number).unwrap_or(0);
        let mut kept = [0, least, most, points.len() - 1];
        kept.sort_unstable();
        for (place, index) in kept.iter().enumerate() {
            if place == 0 || kept[place - 1] != *index {
                thin.push(points[*index]);
            }
        }
    }
    thin
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn history(samples: &[(f64, f64)]) -> History {
        let mut history = History::default();
        for (at, number) in samples {
            history.push(Moment(*at), false, [("a", *number)].into_iter());
        }
        history
    }

    fn pieces(history: &History) -> Vec<Vec<f64>> {
        let segments = history.series("a", f64::NEG_INFINITY, f64::INFINITY, 1.0, 1_000_000);
        segments.iter().map(|segment| segment.iter().map(|[at, _]| *at).collect()).collect()
    }

    #[test]
    fn a_line_breaks_where_results_are_missing() {
        assert_eq!(
            pieces(&history(&[(0.0, 1.0), (1.0, 1.0), (3.5, 1.0), (6.1, 1.0)])),
            [vec![0.0, 1.0, 3.5], vec![6.1]]
        );
    }

    #[test]
    fn an_interruption_breaks_a_line_sooner() {
        let mut history = history(&[(0.0, 1.0)]);
        history.push(Moment(1.4), true, [("a", 1.0)].into_iter());
        history.push(Moment(3.0), true, [("a", 1.0)].into_iter());
        assert_eq!(pieces(&history), [vec![0.0, 1.4], vec![3.0]]);
    }

    #[test]
    fn a_field_that_is_absent_for_a_while_leaves_a_break() {
        let mut history = history(&[(0.0, 1.0)]);
        history.push(Moment(1.0), false, [("b", 5.0)].into_iter());
        history.push(Moment(2.0), false, [("a", 2.0), ("b", 6.0)].into_iter());
        assert_eq!(pieces(&history), [vec![0.0], vec![2.0]]);
        assert_eq!(history.tail("b", Moment(2.0), 9), [5.0, 6.0]);
        assert_eq!(history.extremes("a", Moment(2.0)), Some((1.0, 2.0)));
    }

    #[test]
    fn what_came_after_a_time_is_not_of_its_past() {
        let history = history(&[(0.0, 5.0), (1.0, 4.0), (2.0, 9.0), (3.0, 1.0)]);
        assert_eq!(history.tail("a", Moment(2.5), 2), [4.0, 9.0]);
        assert_eq!(history.extremes("a", Moment(2.5)), Some((4.0, 9.0)));
        assert_eq!((history.tail("a", Moment(-1.0), 2), history.extremes("a", Moment(-1.0))), (Vec::new(), None));
    }

    #[test]
    fn samples_that_come_twice_or_late_are_left_out() {
        assert_eq!(history(&[(1.0, 1.0), (1.0, 2.0), (0.5, 3.0)]).tail("a", Moment(9.0), 9), [1.0]);
    }

    #[test]
    fn a_peak_survives_thinning() {
        let mut history = History::default();
        for index in 0..5_000 {
            let number = if index == 1_234 { 99.0 } else { 1.0 };
            history.push(Moment(f64::from(index)), false, [("a", number)].into_iter());
        }
        let segments = history.series("a", 0.0, 5_000.0, 1.0, 400);
        let points: usize = segments.iter().map(Vec::len).sum();
        assert!(points <= 400, "{points}");
        assert!(segments[0].contains(&[1_234.0, 99.0]));
    }

    #[test]
    fn memory_is_bounded_whatever_comes() {
        let names: Vec<String> = (0..10_000).map(|index| format!("field{index}")).collect();
        let mut history = History::default();
        for at in 0..2_000 {
            history.push(Moment(f64::from(at)), false, names.iter().map(|name| (name.as_str(), 1.0)));
        }
        assert!(history.names().len() <= MOST_FIELDS);
        assert!(history.len() * history.names().len() <= MOST_NUMBERS);
        let mut long = History::default();
        for at in 0..10_000 {
            long.push(Moment(f64::from(at)), false, [("a", 1.0)].into_iter());
        }
        assert_eq!((long.len(), long.oldest()), (MOST_SAMPLES, Some(Moment(2_800.0))));
    }

    #[test]
    fn a_name_that_no_list_has_room_for_is_left_out() {
        let mut history = History::default();
        let (fits, long) = ("x".repeat(LONGEST_NAME), "x".repeat(LONGEST_NAME + 1));
        history.push(Moment(0.0), false, [(fits.as_str(), 1.0), (long.as_str(), 1.0)].into_iter());
        assert_eq!(history.names(), [fits]);
    }

    #[test]
    fn fields_that_are_gone_leave_once_their_numbers_have() {
        let mut history = History::default();
        history.push(Moment(-1.0), false, [("gone", 1.0)].into_iter());
        for at in 0..8_000 {
            history.push(Moment(f64::from(at)), false, [("a", 1.0)].into_iter());
        }
        assert_eq!(history.names(), ["a"]);
    }

    proptest! {
        #[test]
        fn columns_stay_as_long_as_the_times(samples in prop::collection::vec((0.0..100.0_f64, 0_usize..8), 0..60)) {
            let mut history = History::default();
            let names = ["a", "b", "c"];
            for (at, mask) in samples {
                let present = names.iter().enumerate().filter(|(bit, _)| mask & (1 << bit) != 0);
                history.push(Moment(at), false, present.map(|(_, name)| (*name, at)));
            }
            let width = history.names().len();
            prop_assert_eq!(history.rows().count(), history.len());
            for (at, row) in history.rows() {
                prop_assert_eq!(row.len(), width);
                prop_assert!(row.iter().all(|number| number.is_nan() || *number == at.0));
            }
        }
    }
}
