//! Figures as one flat map, under psutil's names.

use serde::{
    Serialize, Serializer,
    ser::{Error as _, SerializeMap},
};

use crate::{Counters, CpuStats, Figures, VirtualMemory};

impl Serialize for Figures {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        self.entries(&mut map)?;
        map.end()
    }
}

impl Figures {
    fn entries<M: SerializeMap>(&self, map: &mut M) -> Result<(), M::Error> {
        if self.timestamp < std::time::UNIX_EPOCH {
            return Err(M::Error::custom("the clock stands before 1970"));
        }
        map.serialize_entry("timestamp", &format_args!("{}", humantime::format_rfc3339_micros(self.timestamp)))?;
        for (number, percent) in &self.cpu_percent {
            map.serialize_entry(&format_args!("cpu_percent-{number}"), percent)?;
        }
        if let Some(mhz) = self.cpu_freq_current {
            map.serialize_entry("cpu_freq_current", &mhz)?;
        }
        map.serialize_entry("n_pids", &self.n_pids)?;
        self.cpu_stats.entries(map)?;
        self.virtual_memory.entries(map)?;
        for (name, counters) in &self.net_io_counters {
            counters.entries(name, map)?;
        }
        Ok(())
    }
}

impl CpuStats {
    fn entries<M: SerializeMap>(&self, map: &mut M) -> Result<(), M::Error> {
        map.serialize_entry("cpu_stats-ctx_switches", &self.ctx_switches)?;
        map.serialize_entry("cpu_stats-interrupts", &self.interrupts)?;
        map.serialize_entry("cpu_stats-soft_interrupts", &self.soft_interrupts)?;
        map.serialize_entry("cpu_stats-syscalls", &0)
    }
}

impl VirtualMemory {
    fn entries<M: SerializeMap>(&self, map: &mut M) -> Result<(), M::Error> {
        map.serialize_entry("virtual_memory-total", &self.total)?;
        map.serialize_entry("virtual_memory-available", &self.available)?;
        map.serialize_entry("virtual_memory-percent", &self.percent)?;
        map.serialize_entry("virtual_memory-used", &self.used)?;
        map.serialize_entry("virtual_memory-free", &self.free)?;
        map.serialize_entry("virtual_memory-active", &self.active)?;
        map.serialize_entry("virtual_memory-inactive", &self.inactive)?;
        map.serialize_entry("virtual_memory-buffers", &self.buffers)?;
        map.serialize_entry("virtual_memory-cached", &self.cached)?;
        map.serialize_entry("virtual_memory-shared", &self.shared)?;
        map.serialize_entry("virtual_memory-slab", &self.slab)
    }
}

impl Counters {
    /// The byte counters twice: current inputs spell them with, older ones without a 1 at the end.
    fn entries<M: SerializeMap>(&self, interface: &str, map: &mut M) -> Result<(), M::Error> {
        let counters = [
            ("bytes_sent", self.bytes_sent),
            ("bytes_sent1", self.bytes_sent),
            ("bytes_recv", self.bytes_recv),
            ("bytes_recv1", self.bytes_recv),
            ("packets_sent", self.packets_sent),
            ("packets_recv", self.packets_recv),
            ("errin", self.errin),
            ("errout", self.errout),
            ("dropin", self.dropin),
            ("dropout", self.dropout),
        ];
        for (name, count) in counters {
            map.serialize_entry(&format_args!("net_io_counters_{interface}-{name}"), &count)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, UNIX_EPOCH};

    use super::*;

    #[test]
    fn figures_are_one_flat_object() {
        let figures = Figures {
            timestamp: UNIX_EPOCH + Duration::from_millis(1_500),
            cpu_percent: vec![(0, 12.5), (2, 0.0)],
            cpu_freq_current: None,
            n_pids: 7,
            cpu_stats: CpuStats { ctx_switches: 1, interrupts: 2, soft_interrupts: 3 },
            virtual_memory: VirtualMemory {
                total: 10,
                available: 9,
                percent: 10.0,
                used: 1,
                free: 8,
                active: 2,
                inactive: 3,
                buffers: 4,
                cached: 5,
                shared: 6,
                slab: 7,
            },
            net_io_counters: vec![(
                "eth0".to_owned(),
                Counters {
                    bytes_sent: 1,
                    bytes_recv: 2,
                    packets_sent: 3,
                    packets_recv: 4,
                    errin: 5,
                    errout: 6,
                    dropin: 7,
                    dropout: 8,
                },
            )],
        };
        let expected = concat!(
            r#"{"timestamp":"1970-01-01T00:00:01.500000Z","cpu_percent-0":12.5,"cpu_percent-2":0.0,"#,
            r#""n_pids":7,"cpu_stats-ctx_switches":1,"cpu_stats-interrupts":2,"#,
            r#""cpu_stats-soft_interrupts":3,"cpu_stats-syscalls":0,"#,
            r#""virtual_memory-total":10,"virtual_memory-available":9,"virtual_memory-percent":10.0,"#,
            r#""virtual_memory-used":1,"virtual_memory-free":8,"virtual_memory-active":2,"#,
            r#""virtual_memory-inactive":3,"virtual_memory-buffers":4,"virtual_memory-cached":5,"#,
            r#""virtual_memory-shared":6,"virtual_memory-slab":7,"#,
            r#""net_io_counters_eth0-bytes_sent":1,"net_io_counters_eth0-bytes_sent1":1,"#,
            r#""net_io_counters_eth0-bytes_recv":2,"net_io_counters_eth0-bytes_recv1":2,"#,
            r#""net_io_counters_eth0-packets_sent":3,"net_io_counters_eth0-packets_recv":4,"#,
            r#""net_io_counters_eth0-errin":5,"net_io_counters_eth0-errout":6,"#,
            r#""net_io_counters_eth0-dropin":7,"net_io_counters_eth0-dropout":8}"#,
        );
        assert_eq!(serde_json::to_string(&figures).unwrap(), expected);
    }
}
