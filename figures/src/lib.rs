//! This machine's raw figures, with the field names that psutil users know.
//!
//! [`read`] takes the CPU times of the last call and gives the figures and the CPU times of this one: percentages
//! are of the time in between, and the caller keeps the state. Reading files ([`Sources`]) and calculating
//! ([`calculate`]) are apart, so that the calculations can be tested with fixed texts.
//!
//! [`Figures`] serializes as one flat JSON object:
//!
//! | field | unit | from |
//! |---|---|---|
//! | `timestamp` | ISO 8601, UTC | the clock |
//! | `cpu_percent-N` | %, one decimal, of the time since the last call; 0.0 at a CPU's first | `/proc/stat` |
//! | `cpu_freq_current` | MHz, mean of the CPUs; left out where the machine doesn't tell | sysfs, `/proc/cpuinfo` |
//! | `n_pids` | processes | `/proc` |
//! | `cpu_stats-{ctx_switches,interrupts,soft_interrupts,syscalls}` | since boot; `syscalls` is 0 on Linux | `/proc/stat` |
//! | `virtual_memory-{total,available,used,free,…}` | bytes; `percent` in %, one decimal | `/proc/meminfo` |
//! | `net_io_counters_IFACE-{bytes,packets}_{sent,recv}` and `-{err,drop}{in,out}` | bytes, packets, since boot | `/proc/net/dev` |
//!
//! The byte counters are there in both spellings, `…-bytes_sent` and `…-bytes_sent1`: the older runtime's inputs
//! have the second. `N` is the kernel's number of the CPU, also while another one is offline.
#![forbid(unsafe_code)]

mod cpu;
mod memory;
mod network;
mod serialize;
mod sources;

use std::time::SystemTime;

pub use cpu::{CpuStats, CpuTimes, Ticks};
pub use memory::VirtualMemory;
pub use network::Counters;
pub use sources::Sources;

/// What was seen of this machine at one instant.
#[derive(Debug, Clone, PartialEq)]
pub struct Figures {
    /// When it was seen.
    pub timestamp: SystemTime,
    /// Each CPU's number, and the share of time it was busy since the last call, in %.
    pub cpu_percent: Vec<(u32, f64)>,
    /// Mean frequency of the CPUs in MHz; none where the machine doesn't tell.
    pub cpu_freq_current: Option<f64>,
    /// How many processes there are.
    pub n_pids: usize,
    /// What the kernel counted since boot.
    pub cpu_stats: CpuStats,
    /// How the memory is used.
    pub virtual_memory: VirtualMemory,
    /// Each network interface's name and counters, by name.
    pub net_io_counters: Vec<(String, Counters)>,
}

/// Why there are no figures.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A file of /proc can't be read.
    #[error("can't read {path}")]
    Read {
        /// The file.
        path: &'static str,
        /// What the system says.
        source: std::io::Error,
    },
    /// A file of /proc doesn't hold what Linux writes there.
    #[error("{path} has no {expected} that can be read")]
    Unexpected {
        /// The file.
        path: &'static str,
        /// What was looked for in it.
        expected: String,
    },
}

/// Reads this machine's figures; `previous` are the times that the last call gave, or the default at the first call.
///
/// # Errors
///
/// When a file of /proc can't be read, or is not as Linux writes it.
pub fn read(previous: &CpuTimes) -> Result<(Figures, CpuTimes), Error> {
    calculate(&Sources::read()?, previous)
}

/// The figures that the texts in `sources` amount to, and their CPU times.
///
/// # Errors
///
/// When a text is not as Linux writes it.
pub fn calculate(sources: &Sources, previous: &CpuTimes) -> Result<(Figures, CpuTimes), Error> {
    let times = CpuTimes::parse(&sources.stat)?;
    let figures = Figures {
        timestamp: sources.taken,
        cpu_percent: times.busy_since(previous),
        cpu_freq_current: cpu::mean_frequency(sources),
        n_pids: sources.processes,
        cpu_stats: CpuStats::parse(&sources.stat)?,
        virtual_memory: VirtualMemory::parse(&sources.meminfo)?,
        net_io_counters: network::parse(&sources.net_dev)?,
    };
    Ok((figures, times))
}

/// `part` / `whole` in %, rounded to one decimal from the exact binary value, as Python's `round` does; 0 where
/// `whole` is 0.
fn percent(part: u64, whole: u64) -> f64 {
    if whole == 0 {
        return 0.0;
    }
    let exact = part as f64 / whole as f64 * 100.0;
    format!("{exact:.1}").parse().unwrap_or(exact)
}
