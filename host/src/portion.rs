//! How many values are read at once: few enough that their bytes don't fill the memory.

/// What is read at once should have about so many bytes at most. Each thread that calls has as much in its hands, and
/// once more what it is about to commit.
const BYTES: usize = 4 << 20;

/// A number of values that follows the size of those that came before.
pub struct Portion {
    count: usize,
    most: usize,
}

impl Portion {
    /// Up to so many values.
    pub fn new(most: usize) -> Portion {
        Portion { count: most.max(1), most: most.max(1) }
    }

    /// The same, but one at first, and then at most twice as many as the time before.
    pub fn growing(most: usize) -> Portion {
        Portion { count: 1, ..Portion::new(most) }
    }

    /// How many to read.
    pub fn count(&self) -> usize {
        self.count
    }

    /// So many values came, with so many bytes together.
    pub fn came(&mut self, values: usize, bytes: usize) {
        if let Some(each) = bytes.checked_div(values) {
            let fitting = BYTES / each.max(1);
            self.count = fitting.clamp(1, self.most.min(2 * self.count));
        }
    }

    /// There was no answer in time: it may have been too long.
    pub fn timed_out(&mut self) {
        self.count = (self.count / 2).max(1);
    }
}

#[cfg(test)]
mod tests {
    use super::{BYTES, Portion};

    #[test]
    fn it_shrinks_at_once_and_grows_again_step_by_step() {
        let mut portion = Portion::new(100);
        portion.came(0, 0);
        assert_eq!(portion.count(), 100);
        portion.came(100, 100 * BYTES);
        assert_eq!(portion.count(), 1);
        let counts: Vec<_> = (0..8)
            .map(|_| {
                portion.came(1, 10);
                portion.count()
            })
            .collect();
        assert_eq!(counts, [2, 4, 8, 16, 32, 64, 100, 100]);
        portion.timed_out();
        assert_eq!(portion.count(), 50);
        assert_eq!(Portion::growing(100).count(), 1);
    }
}
