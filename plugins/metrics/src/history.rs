//! The handler's env: each CPU's last values.

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::{calculate, ordered::Ordered};

/// How many values a mean is made of.
const WINDOW: usize = 12;

/// `{"cpu_history": {"0": [45.5, …], …}}`, as the Python handler keeps it.
#[derive(Default, Serialize, Deserialize)]
pub struct History {
    cpu_history: Ordered<Window>,
}

/// A CPU's last values, the oldest first.
#[derive(Default)]
struct Window {
    values: [f64; WINDOW],
    filled: usize,
}

impl History {
    /// Takes a value of a CPU in, and gives the mean of its last ones.
    pub fn mean_with(&mut self, cpu: &str, value: f64) -> f64 {
        let place = self.cpu_history.place(cpu);
        let window = self.cpu_history.at(place);
        window.push(value);
        calculate::mean(window.values())
    }
}

impl Window {
    fn push(&mut self, value: f64) {
        if self.filled == WINDOW {
            self.values.copy_within(1.., 0);
            self.filled -= 1;
        }
        self.values[self.filled] = value;
        self.filled += 1;
    }

    fn values(&self) -> &[f64] {
        &self.values[..self.filled]
    }
}

impl Serialize for Window {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.values().serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Window {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let mut window = Self::default();
        for value in Vec::deserialize(deserializer)? {
            window.push(value);
        }
        Ok(window)
    }
}
