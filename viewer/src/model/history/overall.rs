//! Many fields in two lines, and the times from which there is nothing.

use super::{History, Segment, is_gap, pieces};

/// The mean and the greatest of several fields at each sample.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Overall {
    /// The mean's line.
    pub mean: Vec<Segment>,
    /// The line of the greatest.
    pub max: Vec<Segment>,
}

impl History {
    /// Mean and greatest over the fields that a sample has, as lines like those of [`History::series`].
    pub fn overall(&self, names: &[String], from: f64, to: f64, period: f64, most: usize) -> Overall {
        let span = self.span(from, to);
        let mut sums = vec![(0.0, 0_u32); span.len()];
        let mut greatest = vec![f64::NAN; span.len()];
        for column in names.iter().filter_map(|name| self.columns.get(name)) {
            for ((number, sum), max) in column.range(span.clone()).zip(&mut sums).zip(&mut greatest) {
                if !number.is_nan() {
                    *sum = (sum.0 + number, sum.1 + 1);
                    *max = max.max(*number);
                }
            }
        }
        let times = || self.times.range(span.clone());
        // Without any number this is 0 / 0, which is none.
        let means = sums.iter().map(|(sum, count)| sum / f64::from(*count));
        Overall {
            mean: pieces(times().zip(means), period, span.len(), most),
            max: pieces(times().zip(greatest.iter().copied()), period, span.len(), most),
        }
    }

    /// The times between `from` and `to` from which results are missing: from the last before until the next after,
    /// and what lies after the newest if that is long ago at `to`.
    pub fn gaps(&self, from: f64, to: f64, period: f64) -> Vec<[f64; 2]> {
        let span = self.span(from, to);
        let times: Vec<_> = self.times.range(span).collect();
        let between =
            times.array_windows().filter(|[before, after]| is_gap(after.at - before.at, after.interrupted, period));
        let mut gaps: Vec<[f64; 2]> = between.map(|[before, after]| [before.at, after.at]).collect();
        if let Some(last) = times.last()
            && is_gap(to - last.at, false, period)
        {
            gaps.push([last.at, to]);
        }
        gaps
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Moment;

    fn history() -> (History, Vec<String>) {
        let mut history = History::default();
        history.push(Moment(0.0), false, [("a", 1.0), ("b", 3.0)].into_iter());
        history.push(Moment(1.0), false, [("b", 5.0)].into_iter());
        history.push(Moment(9.0), false, [("c", 7.0)].into_iter());
        (history, vec!["a".to_owned(), "b".to_owned()])
    }

    #[test]
    fn a_field_that_is_absent_does_not_count() {
        let (history, names) = history();
        let overall = history.overall(&names, 0.0, 9.0, 1.0, 1_000);
        assert_eq!(overall.mean, [vec![[0.0, 2.0], [1.0, 5.0]]]);
        assert_eq!(overall.max, [vec![[0.0, 3.0], [1.0, 5.0]]]);
    }

    #[test]
    fn gaps_are_where_results_are_missing_also_until_now() {
        let (history, _) = history();
        assert_eq!(history.gaps(0.0, 10.0, 1.0), [[1.0, 9.0]]);
        assert_eq!(history.gaps(0.0, 20.0, 1.0), [[1.0, 9.0], [9.0, 20.0]]);
        assert_eq!(History::default().gaps(0.0, 20.0, 1.0), Vec::<[f64; 2]>::new());
    }
}
