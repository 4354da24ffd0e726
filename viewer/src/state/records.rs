//! The newest results as they came, for export: bounded by bytes.

use std::collections::VecDeque;

use crate::model::{Document, Moment};

/// The most bytes kept; the newest result is kept whatever its size.
const MOST_BYTES: usize = 16 << 20;

/// Results with the time at which they came.
#[derive(Debug, Clone, Default)]
pub struct Records {
    kept: VecDeque<(Moment, Box<[u8]>)>,
    bytes: usize,
}

impl Records {
    /// Keeps a result. Only its bytes: a parsed document takes many times as much.
    pub(super) fn push(&mut self, at: Moment, document: &Document) {
        self.bytes += document.bytes().len();
        self.kept.push_back((at, document.bytes().into()));
        while self.bytes > MOST_BYTES && self.kept.len() > 1 {
            if let Some((_, dropped)) = self.kept.pop_front() {
                self.bytes -= dropped.len();
            }
        }
    }

    /// The results, oldest first.
    pub fn iter(&self) -> impl Iterator<Item = (Moment, &[u8])> {
        self.kept.iter().map(|(at, bytes)| (*at, &**bytes))
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.kept.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.kept.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn old_results_go_when_there_are_too_many_bytes() {
        let document = Document::read(format!("{{\"a\":\"{}\"}}", "x".repeat(1 << 20)).as_bytes()).unwrap();
        let mut records = Records::default();
        for at in 0..40 {
            records.push(Moment(f64::from(at)), &document);
        }
        assert!(records.len() >= 15 && records.bytes <= MOST_BYTES, "{}", records.len());
        assert_eq!(records.iter().last().unwrap().0, Moment(39.0));
    }
}
