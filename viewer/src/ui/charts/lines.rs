//! Which lines a plot has, and their points: as few as the eye can tell apart, kept until there is something new.

use std::collections::BTreeSet;
use std::sync::Arc;

use eframe::egui;

use super::span::Span;
use crate::model::{CACHE, EGRESS, History, Overall, Reading, Segment, cpu_id};
use crate::ui::memo::kept;

/// The field under which the mean over all CPUs is hidden and shown.
pub const MEAN: &str = "mean of all CPUs";

/// The same for the hottest CPU.
pub const HOTTEST: &str = "hottest CPU";

/// With more CPUs than these, their lines stand back behind mean and maximum.
const MOST_COLOURED: usize = 32;

/// The most points of all lines of a plot together. A pass has 8 ms; where lines go up and down steeply, egui takes
/// about 4 for these.
const MOST_POINTS: usize = 10_000;

/// The least points of a line, so that it still has a form.
const LEAST_POINTS: usize = 24;

/// The most points of a line: more than these can't be seen on a screen.
const LINE_POINTS: usize = 2_000;

/// The fields of a history, by what they are.
#[derive(Debug, Default)]
pub struct Fields {
    /// The epoch of the history that they are of.
    pub epoch: u64,
    /// Egress and cache, as far as they are there.
    pub shares: Vec<String>,
    /// The CPUs' averages, by number.
    pub cpus: Vec<String>,
    /// The others.
    pub others: Vec<String>,
}

/// The lines of a plot.
#[derive(Debug, Clone, PartialEq)]
pub enum Group {
    /// Egress, cache, and all CPUs in two lines.
    Overview,
    /// Egress and cache.
    Shares,
    /// The CPUs.
    Cpus,
    /// One other field.
    Other(String),
}

/// A line.
#[derive(Debug)]
pub struct Line {
    /// The field, or [`MEAN`] or [`HOTTEST`].
    pub field: String,
    /// What it is called.
    pub name: String,
    /// Its place in the order of colours.
    pub place: usize,
    /// How much it is in front.
    pub weight: Weight,
    /// Its points, in pieces; none while it is hidden.
    pub segments: Vec<Segment>,
}

/// How much a line is in front.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Weight {
    /// One of many.
    Faint,
    /// One of few.
    Usual,
    /// What is said of many.
    Bold,
}

/// What the lines were made of; with the same, they are the same to the eye.
#[derive(Debug, Clone, PartialEq)]
struct Made {
    epoch: u64,
    /// The oldest and the newest sample, in widths of what the eye can tell apart.
    history: [Option<f64>; 2],
    from: f64,
    to: f64,
    period: f64,
    hidden: BTreeSet<String>,
}

/// Tells one state of a history from another.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Version([Option<f64>; 2], usize);

impl Version {
    fn of(history: &History) -> Version {
        Version([history.oldest(), history.newest()].map(|moment| moment.map(|moment| moment.0)), history.len())
    }
}

impl Fields {
    /// The fields of this history; another history has another `epoch`.
    pub fn of(ctx: &egui::Context, epoch: u64, history: &History) -> Arc<Fields> {
        kept(ctx, egui::Id::unique("fields of the history"), (epoch, Version::of(history)), || {
            let mut fields = Fields { epoch, ..Fields::default() };
            for name in history.names() {
                if name == EGRESS || CACHE.contains(&name) {
                    fields.shares.push(name.to_owned());
                } else if cpu_id(name).is_some() {
                    fields.cpus.push(name.to_owned());
                } else if !Reading::knows(name) {
                    fields.others.push(name.to_owned());
                }
            }
            // Egress first, as everywhere.
            fields.shares.sort_by_key(|name| name != EGRESS);
            fields
        })
    }
}

impl Group {
    /// Its lines over `span`; the fields are this history's.
    pub fn lines(
        &self,
        ctx: &egui::Context,
        history: &History,
        fields: &Fields,
        span: Span,
        period: f64,
        hidden: &BTreeSet<String>,
    ) -> Arc<Vec<Line>> {
        // A little more than is in sight, so that the same points do for a while as time goes on. The grid is a power
        // of two, since a stretch that holds all that is kept becomes longer with each frame.
        let grid = (span.length() / 32.0).max(f64::MIN_POSITIVE).log2().ceil().exp2();
        let (from, to) = ((span.from / grid).floor() * grid, (span.to / grid).ceil() * grid);
        // Over hours, a result more moves the lines by less than a point of the screen.
        let least = grid / 64.0;
        let history_seen = [history.oldest(), history.newest()].map(|seen| seen.map(|at| (at.0 / least).floor()));
        let made = Made { epoch: fields.epoch, history: history_seen, from, to, period, hidden: hidden.clone() };
        kept(ctx, egui::Id::unique(("lines of", format!("{self:?}"))), made.clone(), || {
            let mut lines = self.without_points(fields);
            fill(&mut lines, history, fields, &made);
            lines
        })
    }

    fn without_points(&self, fields: &Fields) -> Vec<Line> {
        let line = |place, field: &str, weight| {
            let segments = Vec::new();
            Line { field: field.to_owned(), name: name(field), place, weight, segments }
        };
        let named = |fields: &[String], weight| -> Vec<Line> {
            fields.iter().enumerate().map(|(place, field)| line(place, field, weight)).collect()
        };
        match self {
            Group::Shares => named(&fields.shares, Weight::Usual),
            Group::Other(field) => vec![line(0, field, Weight::Usual)],
            Group::Cpus if fields.cpus.len() <= MOST_COLOURED => named(&fields.cpus, Weight::Usual),
            Group::Cpus => {
                let overall = [line(0, MEAN, Weight::Bold), line(5, HOTTEST, Weight::Bold)];
                overall.into_iter().chain(named(&fields.cpus, Weight::Faint)).collect()
            }
            Group::Overview => {
                let mut lines = named(&fields.shares, Weight::Usual);
                match fields.cpus.as_slice() {
                    [] => {}
                    [one] => lines.push(line(2, one, Weight::Usual)),
                    _ => lines.extend([line(2, MEAN, Weight::Usual), line(5, HOTTEST, Weight::Usual)]),
                }
                lines
            }
        }
    }
}

fn fill(lines: &mut [Line], history: &History, fields: &Fields, made: &Made) {
    let (from, to, period) = (made.from, made.to, made.period);
    let is_shown = |line: &&mut Line| !made.hidden.contains(&line.field);
    let needs_all = lines.iter().any(|line| [MEAN, HOTTEST].contains(&line.field.as_str()));
    let overall =
        if needs_all { history.overall(&fields.cpus, from, to, period, LINE_POINTS) } else { Overall::default() };
    let most = budget(lines.iter_mut().filter(is_shown).count());
    for line in lines.iter_mut().filter(is_shown) {
        line.segments = match line.field.as_str() {
            MEAN => overall.mean.clone(),
            HOTTEST => overall.max.clone(),
            field => history.series(field, from, to, period, most),
        };
    }
}

/// The most points of each of so many lines.
pub fn budget(lines: usize) -> usize {
    (MOST_POINTS / lines.max(1)).clamp(LEAST_POINTS, LINE_POINTS)
}

/// What a field is called on the screen.
pub fn name(field: &str) -> String {
    match field {
        EGRESS => "Network egress".to_owned(),
        MEAN => "Mean of CPUs".to_owned(),
        HOTTEST => "Hottest CPU".to_owned(),
        field if CACHE.contains(&field) => "Memory cache".to_owned(),
        field => cpu_id(field).map_or_else(|| field.to_owned(), |id| format!("CPU {id}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Moment;

    fn history(cpus: usize, samples: usize) -> History {
        let names: Vec<String> = (0..cpus).map(|cpu| format!("avg-util-cpu{cpu}-60sec")).collect();
        let mut history = History::default();
        for at in 0..samples {
            let numbers = names.iter().enumerate().map(|(cpu, name)| (name.as_str(), ((cpu + at) % 100) as f64));
            history.push(Moment(at as f64), false, numbers);
        }
        history
    }

    fn points(history: &History, group: &Group, hidden: &BTreeSet<String>) -> usize {
        let ctx = egui::Context::default();
        let fields = Fields::of(&ctx, 0, history);
        let span = Span { from: 0.0, to: history.len() as f64 };
        let lines = group.lines(&ctx, history, &fields, span, 1.0, hidden);
        lines.iter().flat_map(|line| &line.segments).map(Vec::len).sum()
    }

    #[test]
    fn all_lines_together_keep_to_the_budget() {
        let none = BTreeSet::new();
        for cpus in [1, 32, 256] {
            let count = points(&history(cpus, 3_000), &Group::Cpus, &none);
            assert!(count <= MOST_POINTS + 2 * LINE_POINTS, "{cpus} CPUs: {count}");
            assert!(count > 500, "{cpus} CPUs: {count}");
        }
        assert_eq!(budget(1_000_000), LEAST_POINTS);
    }

    #[test]
    fn hidden_lines_cost_nothing() {
        let history = history(40, 100);
        let hidden: BTreeSet<String> = history.names().into_iter().chain([MEAN, HOTTEST]).map(str::to_owned).collect();
        assert_eq!(points(&history, &Group::Cpus, &hidden), 0);
    }

    #[test]
    fn over_hours_a_result_more_is_nothing_new() {
        let ctx = egui::Context::default();
        let mut history = history(2, 7_200);
        let lines = |history: &History, to: f64| {
            let fields = Fields::of(&ctx, 0, history);
            Group::Cpus.lines(&ctx, history, &fields, Span { from: 0.0, to }, 1.0, &BTreeSet::new())
        };
        let mut seen = vec![lines(&history, 7_200.0)];
        for at in 7_200..7_232 {
            history.push(Moment(f64::from(at)), false, [("avg-util-cpu0-60sec", 1.0)].into_iter());
            seen.push(lines(&history, f64::from(at) + 0.5));
        }
        let anew = seen.array_windows().filter(|[before, after]| !Arc::ptr_eq(before, after)).count();
        assert!((4..=16).contains(&anew), "{anew}");
    }

    #[test]
    fn another_history_of_the_same_times_has_lines_of_its_own() {
        let ctx = egui::Context::default();
        let line = |epoch: u64, field: &str, number: f64| {
            let mut history = History::default();
            for at in 0..10 {
                history.push(Moment(f64::from(at)), false, [(field, number)].into_iter());
            }
            let fields = Fields::of(&ctx, epoch, &history);
            let lines = Group::Cpus.lines(&ctx, &history, &fields, Span { from: 0.0, to: 9.0 }, 1.0, &BTreeSet::new());
            (lines[0].field.clone(), lines[0].segments[0][0][1])
        };
        let (one, other) = ("avg-util-cpu0-60sec", "avg-util-cpu1-60sec");
        assert_eq!(line(1, one, 5.0), (one.to_owned(), 5.0));
        assert_eq!(line(2, one, 95.0), (one.to_owned(), 95.0));
        assert_eq!(line(3, other, 95.0), (other.to_owned(), 95.0));
    }

    #[test]
    fn lines_are_made_anew_only_for_something_new() {
        let ctx = egui::Context::default();
        let mut history = history(4, 100);
        let lines = |history: &History, to: f64| {
            let fields = Fields::of(&ctx, 0, history);
            let span = Span { from: to - 64.0, to };
            Group::Cpus.lines(&ctx, history, &fields, span, 1.0, &BTreeSet::new())
        };
        let first = lines(&history, 99.0);
        assert!(Arc::ptr_eq(&first, &lines(&history, 99.9)), "time alone is nothing new");
        history.push(Moment(100.0), false, [("avg-util-cpu0-60sec", 1.0)].into_iter());
        assert!(!Arc::ptr_eq(&first, &lines(&history, 99.9)));
    }
}
