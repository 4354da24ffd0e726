//! The results as they are written, in the order of the Python handler.

use serde::{Serialize, Serializer, ser::SerializeMap};
use serde_json::value::RawValue;

use crate::ordered::Ordered;

/// One input's results.
pub struct Report {
    /// In %.
    pub network_egress: f64,
    /// In %.
    pub memory_cache: f64,
    /// Means in %, by the CPU's name.
    pub cpu_utilization: Ordered<f64>,
    /// As it came.
    pub timestamp: Box<RawValue>,
}

impl Serialize for Report {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("percent-network-egress", &self.network_egress)?;
        map.serialize_entry("percent-memory-cache", &self.memory_cache)?;
        let mut key = String::with_capacity("avg-util-cpu000-60sec".len());
        for (name, mean) in self.cpu_utilization.iter() {
            key.clear();
            key.push_str("avg-util-cpu");
            key.push_str(name);
            key.push_str("-60sec");
            map.serialize_entry(&key, mean)?;
        }
        map.serialize_entry("timestamp", &self.timestamp)?;
        map.serialize_entry("num_cpus_monitored", &self.cpu_utilization.len())?;
        map.end()
    }
}
