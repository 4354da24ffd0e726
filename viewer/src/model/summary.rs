//! All CPUs in three figures.

use super::reading::Cpu;

/// Mean, maximum and 95th percentile over all CPUs, in percent.
#[derive(Debug, Clone, PartialEq)]
pub struct Summary {
    /// The arithmetic mean.
    pub mean: f64,
    /// The greatest value.
    pub max: f64,
    /// The id of the CPU that has it, the first of several.
    pub hottest: String,
    /// The 95th percentile, interpolated linearly between the closest ranks, as NumPy's `percentile` does by default.
    pub p95: f64,
}

impl Summary {
    /// `None` without CPUs.
    pub fn of(cpus: &[Cpu]) -> Option<Summary> {
        let first = cpus.first()?;
        let hottest = cpus.iter().fold(first, |most, cpu| if cpu.percent > most.percent { cpu } else { most });
        let mean = cpus.iter().map(|cpu| cpu.percent).sum::<f64>() / cpus.len() as f64;
        let mut sorted: Vec<f64> = cpus.iter().map(|cpu| cpu.percent).collect();
        sorted.sort_by(f64::total_cmp);
        Some(Summary { mean, max: hottest.percent, hottest: hottest.id.clone(), p95: percentile(&sorted, 0.95) })
    }
}

fn percentile(sorted: &[f64], share: f64) -> f64 {
    let rank = share * (sorted.len() - 1) as f64;
    let (below, above) = (sorted[rank.floor() as usize], sorted[rank.ceil() as usize]);
    below + (above - below) * rank.fract()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cpus(percents: &[f64]) -> Vec<Cpu> {
        percents.iter().enumerate().map(|(id, percent)| Cpu { id: id.to_string(), percent: *percent }).collect()
    }

    #[test]
    fn nothing_has_no_summary() {
        assert_eq!(Summary::of(&[]), None);
    }

    #[test]
    fn one_cpu_is_its_own_summary() {
        let summary = Summary::of(&cpus(&[45.5])).unwrap();
        assert_eq!((summary.mean, summary.max, summary.p95), (45.5, 45.5, 45.5));
    }

    #[test]
    fn the_percentile_is_numpys() {
        // numpy.percentile([1, 2, 3, 4, 10], 95) == 8.8
        let summary = Summary::of(&cpus(&[3.0, 10.0, 1.0, 4.0, 2.0])).unwrap();
        assert!((summary.p95 - 8.8).abs() < 1e-9, "{}", summary.p95);
        assert_eq!((summary.mean, summary.max, summary.hottest.as_str()), (4.0, 10.0, "1"));
    }
}
