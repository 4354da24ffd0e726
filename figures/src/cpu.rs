//! CPU times, percentages, counts and frequency, out of /proc/stat, /proc/cpuinfo and sysfs.
//!
//! The crate `procfs` reads /proc/stat without the CPUs' numbers and without interrupts, so it is parsed here.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::{Error, Sources, percent};

/// The time that each CPU spent in each state since boot: what percentages are calculated from.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct CpuTimes(
    /// By the kernel's number of the CPU.
    pub BTreeMap<u32, Ticks>,
);

/// One CPU's times in clock ticks, in the order of /proc/stat: user, nice, system, idle, iowait, irq, softirq,
/// steal, guest, guest_nice. A kernel that has fewer leaves zeros.
pub type Ticks = [u64; 10];

const IDLE: usize = 3;
const IOWAIT: usize = 4;
const GUEST: usize = 8;

/// What the kernel counted since boot.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CpuStats {
    /// Context switches.
    pub ctx_switches: u64,
    /// Interrupts.
    pub interrupts: u64,
    /// Soft interrupts.
    pub soft_interrupts: u64,
}

impl CpuTimes {
    pub(crate) fn parse(stat: &str) -> Result<Self, Error> {
        let mut times = BTreeMap::new();
        for line in stat.lines() {
            let Some((number, ticks)) = line.strip_prefix("cpu").and_then(|rest| rest.split_once(' ')) else {
                continue;
            };
            if number.is_empty() {
                continue; // the line of all CPUs together
            }
            let parsed = number.parse().ok().zip(parse_ticks(ticks));
            let (number, ticks) = parsed.ok_or_else(|| unexpected(&format!("cpu{number}")))?;
            times.insert(number, ticks);
        }
        Ok(Self(times))
    }

    /// Each CPU's share of busy time since `previous` in %, as psutil's `cpu_percent(interval=None, percpu=True)`
    /// gives it; 0 for a CPU that was not there before.
    pub(crate) fn busy_since(&self, previous: &Self) -> Vec<(u32, f64)> {
        self.0
            .iter()
            .map(|(number, now)| {
                let before = previous.0.get(number).unwrap_or(now);
                (*number, busy_percent(before, now))
            })
            .collect()
    }
}

impl CpuStats {
    pub(crate) fn parse(stat: &str) -> Result<Self, Error> {
        let count = |name: &str| {
            stat.lines()
                .filter_map(|line| line.strip_prefix(name)?.strip_prefix(' '))
                .find_map(|rest| rest.split_whitespace().next()?.parse().ok())
                .ok_or_else(|| unexpected(name))
        };
        Ok(Self { ctx_switches: count("ctxt")?, interrupts: count("intr")?, soft_interrupts: count("softirq")? })
    }
}

/// The mean of the CPUs' frequencies in MHz. As in psutil, /proc/cpuinfo wins over sysfs where both name the same
/// CPUs: it is the cheaper one to ask, and the same figure.
pub(crate) fn mean_frequency(sources: &Sources) -> Option<f64> {
    let from_cpuinfo: Vec<f64> = sources
        .cpuinfo
        .lines()
        .filter(|line| line.to_ascii_lowercase().starts_with("cpu mhz"))
        .filter_map(|line| line.split_once(':')?.1.trim().parse().ok())
        .collect();
    let from_sysfs: Vec<f64> =
        sources.scaling_cur_freq.iter().filter_map(|khz| Some(khz.trim().parse::<f64>().ok()? / 1000.0)).collect();
    let chosen =
        if from_sysfs.is_empty() || from_sysfs.len() == from_cpuinfo.len() { from_cpuinfo } else { from_sysfs };
    (!chosen.is_empty()).then(|| chosen.iter().sum::<f64>() / chosen.len() as f64)
}

fn parse_ticks(text: &str) -> Option<Ticks> {
    let mut ticks = Ticks::default();
    for (tick, word) in ticks.iter_mut().zip(text.split_whitespace()) {
        *tick = word.parse().ok()?;
    }
    Some(ticks)
}

/// Time waiting for I/O counts as idle. Time spent for guests is within user and nice already. A time that went
/// back (kernels do that) counts as standing still.
fn busy_percent(before: &Ticks, now: &Ticks) -> f64 {
    let mut passed = Ticks::default();
    for (passed, (now, before)) in passed.iter_mut().zip(now.iter().zip(before)) {
        *passed = now.saturating_sub(*before);
    }
    let total = passed[..GUEST].iter().sum::<u64>();
    percent(total - passed[IDLE] - passed[IOWAIT], total)
}

fn unexpected(expected: &str) -> Error {
    Error::Unexpected { path: "/proc/stat", expected: expected.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    const STAT: &str = "\
cpu  30 0 30 240 0 0 0 0 0 0
cpu0 10 0 10 80 0 0 0 0 0 0
cpu2 20 0 20 160 0 0 0 0 0 0
intr 182420 0 0 7
ctxt 7082047
btime 1700000000
processes 4242
procs_running 1
procs_blocked 0
softirq 6170469 0 1 2
";

    fn times(cpus: &[(u32, Ticks)]) -> CpuTimes {
        CpuTimes(cpus.iter().copied().collect())
    }

    #[test]
    fn a_cpu_keeps_its_number_while_another_is_offline() {
        let parsed = CpuTimes::parse(STAT).unwrap();
        assert_eq!(parsed.0.keys().copied().collect::<Vec<_>>(), [0, 2]);
        assert_eq!(parsed.0[&2], [20, 0, 20, 160, 0, 0, 0, 0, 0, 0]);
    }

    #[test]
    fn counts_are_the_totals_of_their_lines() {
        let expected = CpuStats { ctx_switches: 7_082_047, interrupts: 182_420, soft_interrupts: 6_170_469 };
        assert_eq!(CpuStats::parse(STAT).unwrap(), expected);
    }

    #[test]
    fn an_older_kernel_has_fewer_times() {
        let parsed = CpuTimes::parse("cpu0 1 2 3 4\n").unwrap();
        assert_eq!(parsed.0[&0], [1, 2, 3, 4, 0, 0, 0, 0, 0, 0]);
    }

    #[test]
    fn what_is_not_linux_is_named() {
        let error = CpuTimes::parse("cpu0 much\n").unwrap_err();
        assert_eq!(error.to_string(), "/proc/stat has no cpu0 that can be read");
        let error = CpuStats::parse("ctxt 1\nintr 2\n").unwrap_err();
        assert_eq!(error.to_string(), "/proc/stat has no softirq that can be read");
    }

    #[test]
    fn the_first_call_and_a_new_cpu_give_zero() {
        let now = times(&[(0, [9; 10]), (1, [9; 10])]);
        assert_eq!(now.busy_since(&CpuTimes::default()), [(0, 0.0), (1, 0.0)]);
        let before = times(&[(0, [0; 10]), (7, [0; 10])]);
        assert_eq!(now.busy_since(&before), [(0, 75.0), (1, 0.0)]);
    }

    #[test]
    fn waiting_for_io_is_idle_and_guests_count_once() {
        let before = [0; 10];
        assert_eq!(busy_percent(&before, &[10, 0, 0, 30, 60, 0, 0, 0, 0, 0]), 10.0);
        assert_eq!(busy_percent(&before, &[50, 0, 0, 50, 0, 0, 0, 0, 50, 0]), 50.0);
    }

    #[test]
    fn a_time_that_went_back_stands_still() {
        let before = [100, 0, 0, 100, 50, 0, 0, 0, 0, 0];
        assert_eq!(busy_percent(&before, &[101, 0, 0, 103, 20, 0, 0, 0, 0, 0]), 25.0);
        assert_eq!(busy_percent(&before, &before), 0.0);
    }

    fn frequencies(cpuinfo: &str, scaling_cur_freq: &[&str]) -> Option<f64> {
        mean_frequency(&Sources {
            taken: std::time::UNIX_EPOCH,
            stat: String::new(),
            meminfo: String::new(),
            net_dev: String::new(),
            cpuinfo: cpuinfo.to_owned(),
            scaling_cur_freq: scaling_cur_freq.iter().map(|&khz| khz.to_owned()).collect(),
            processes: 0,
        })
    }

    #[test]
    fn frequency_is_the_mean_and_may_be_missing() {
        let cpuinfo = "processor\t: 0\ncpu MHz\t\t: 2000.5\nprocessor\t: 1\ncpu MHz\t\t: 1000.5\n";
        assert_eq!(frequencies(cpuinfo, &[]), Some(1500.5));
        assert_eq!(frequencies(cpuinfo, &["1\n", "2\n"]), Some(1500.5));
        assert_eq!(frequencies(cpuinfo, &["800000\n"]), Some(800.0));
        assert_eq!(frequencies("", &["800000\n", "900000\n"]), Some(850.0));
        assert_eq!(frequencies("processor: 0\n", &[]), None);
    }

    #[test]
    fn times_come_back_from_json() {
        let before = times(&[(0, [1; 10]), (12, [2; 10])]);
        let json = serde_json::to_string(&before).unwrap();
        assert_eq!(json, r#"{"0":[1,1,1,1,1,1,1,1,1,1],"12":[2,2,2,2,2,2,2,2,2,2]}"#);
        assert_eq!(serde_json::from_str::<CpuTimes>(&json).unwrap(), before);
    }
}
