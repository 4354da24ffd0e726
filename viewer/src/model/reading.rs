//! The figures that the metrics handlers write, picked out of a result; what else is in it stays visible as it is.

use serde_json::Value;

use super::document::{Document, kind};
use super::order::natural;

/// The name of the egress figure.
pub const EGRESS: &str = "percent-network-egress";

/// The names of the cache figure: the one that the metrics plugin writes, and the one that some handlers write.
pub const CACHE: [&str; 2] = ["percent-memory-cache", "percent-memory-caching"];

/// The most bytes of a CPU's name: what is longer is none, and stands in the tables.
const LONGEST_ID: usize = 40;

/// The field that changes with each result.
pub const TIMESTAMP: &str = "timestamp";

/// A result as the viewer shows it.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Reading {
    /// Sent bytes of all bytes, in percent.
    pub egress: Option<f64>,
    /// Cached memory of all memory, in percent.
    pub cache: Option<f64>,
    /// The name under which the cache came.
    pub cache_name: &'static str,
    /// The averages of the CPUs, by their names in natural order.
    pub cpus: Vec<Cpu>,
    /// The payload's own time, as text; it only ever gets compared with the one before.
    pub timestamp: Option<String>,
    /// Fields that should hold a number and don't, each in a sentence.
    pub faults: Vec<String>,
}

/// A CPU's moving average.
#[derive(Debug, Clone, PartialEq)]
pub struct Cpu {
    /// `3` of `avg-util-cpu3-60sec`.
    pub id: String,
    /// Utilisation in percent.
    pub percent: f64,
}

impl Cpu {
    /// The field that it comes from.
    pub fn field(&self) -> String {
        format!("avg-util-cpu{}-60sec", self.id)
    }

    /// How it is called on the screen.
    pub fn name(&self) -> String {
        format!("CPU {}", self.id)
    }
}

impl Reading {
    /// Picks the figures out of a result.
    pub fn of(document: &Document) -> Reading {
        let fields = document.fields();
        let mut reading = Reading { cache_name: CACHE[0], ..Reading::default() };
        let mut number = |name: &str| match fields.get(name) {
            None => None,
            Some(value) => value.as_f64().or_else(|| {
                reading.faults.push(format!("{name} is {}, not a number", shown(value)));
                None
            }),
        };
        let egress = number(EGRESS);
        let cache_name = CACHE.into_iter().find(|name| fields.contains_key(*name)).unwrap_or(CACHE[0]);
        let cache = number(cache_name);
        let mut cpus: Vec<Cpu> = fields
            .keys()
            .filter_map(|name| Some((name, cpu_id(name)?)))
            .filter_map(|(name, id)| Some(Cpu { id: id.to_owned(), percent: number(name)? }))
            .collect();
        cpus.sort_by(|a, b| natural(&a.id, &b.id));
        let timestamp = fields.get(TIMESTAMP).map(|value| match value {
            Value::String(text) => text.clone(),
            other => other.to_string(),
        });
        Reading { egress, cache, cache_name, cpus, timestamp, ..reading }
    }

    /// Whether a field of this name is one that the viewer knows.
    pub fn knows(name: &str) -> bool {
        name == EGRESS || CACHE.contains(&name) || name == TIMESTAMP || cpu_id(name).is_some()
    }

    /// Whether a field of this name belongs to the specification's result: one that the viewer knows, or the number of CPUs,
    /// which it counts itself.
    pub fn is_expected(name: &str) -> bool {
        Self::knows(name) || name == "num_cpus_monitored"
    }
}

/// `3` of `avg-util-cpu3-60sec`.
pub fn cpu_id(name: &str) -> Option<&str> {
    name.strip_prefix("avg-util-cpu")?.strip_suffix("-60sec").filter(|id| (1..=LONGEST_ID).contains(&id.len()))
}

fn shown(value: &Value) -> String {
    match value {
        Value::String(text) => {
            let short: String = text.chars().take(20).collect();
            format!("the text {short:?}")
        }
        other => kind(other).to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(json: &str) -> Reading {
        Reading::of(&Document::read(json.as_bytes()).unwrap())
    }

    #[test]
    fn both_names_of_the_cache_count() {
        assert_eq!(read(r#"{"percent-memory-cache": 15.62}"#).cache, Some(15.62));
        let other = read(r#"{"percent-memory-caching": 7}"#);
        assert_eq!((other.cache, other.cache_name), (Some(7.0), "percent-memory-caching"));
    }

    #[test]
    fn cpus_stand_in_the_order_of_their_numbers() {
        let reading = read(
            r#"{"avg-util-cpu10-60sec": 1, "avg-util-cpu9-60sec": 2, "avg-util-cpuX-60sec": 3,
                "avg-util-cpu-60sec": 4, "avg-util-cpu1-5sec": 5}"#,
        );
        let ids: Vec<&str> = reading.cpus.iter().map(|cpu| cpu.id.as_str()).collect();
        assert_eq!(ids, ["9", "10", "X"]);
    }

    #[test]
    fn a_name_as_long_as_a_book_is_no_cpu() {
        let name = format!("avg-util-cpu{}-60sec", "1".repeat(LONGEST_ID + 1));
        assert!(read(&format!("{{\"{name}\": 1}}")).cpus.is_empty());
        assert!(!Reading::knows(&name), "it is shown as a field that nobody knows");
    }

    #[test]
    fn what_is_no_number_is_a_fault_and_not_a_value() {
        let reading = read(
            r#"{"percent-network-egress": "NaN", "percent-memory-cache": null, "avg-util-cpu0-60sec": [1],
                "avg-util-cpu1-60sec": 2}"#,
        );
        assert_eq!((reading.egress, reading.cache, reading.cpus.len()), (None, None, 1));
        assert_eq!(
            reading.faults,
            [
                "percent-network-egress is the text \"NaN\", not a number",
                "percent-memory-cache is null, not a number",
                "avg-util-cpu0-60sec is a list, not a number"
            ]
        );
    }

    #[test]
    fn a_timestamp_of_any_kind_can_be_compared() {
        assert_eq!(read(r#"{"timestamp": "2025-11-30T10:30:00"}"#).timestamp.unwrap(), "2025-11-30T10:30:00");
        assert_eq!(read(r#"{"timestamp": 1732.5}"#).timestamp.unwrap(), "1732.5");
        assert_eq!(read("{}").timestamp, None);
    }
}
