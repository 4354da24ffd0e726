//! Keys of a pattern, some of which change each second: how long a change takes to its result, and what a key holds in
//! memory.

use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};

use crate::rounds::{median, numbered, quantile, row, server};
use crate::sides::{Programs, Side};
use crate::watcher::Watcher;

/// How long keys are changed.
const CHANGES: Duration = Duration::from_secs(5);

/// The host works on the keys so.
const VARIABLES: [(&str, &str); 5] = [
    ("TRIGGER", "push"),
    ("REDIS_INPUT_KEY", "in:*"),
    ("REDIS_OUTPUT_KEY", "out:*"),
    ("MONITORING_PERIOD", "3600"),
    ("HISTORY_LENGTH", "12"),
];

/// What one round gives.
pub struct Measured {
    /// From the start until each key had a result, in seconds.
    pub first: f64,
    /// From SET to result, in milliseconds: median and p99.
    pub latency: [f64; 2],
    /// The processor time of a result, in microseconds.
    pub processor: f64,
    /// Resident memory beyond that of the same program with one key, less the keys' envs as JSON, by key in bytes.
    pub memory: f64,
}

/// The row of so many keys.
pub fn rows(programs: &Programs, keys: usize, rounds: usize) -> Result<()> {
    let rate = if keys < 1000 { 1000 } else { 10_000 };
    let mut found: [Vec<Measured>; 2] = Default::default();
    for _ in 0..rounds {
        for (found, side) in found.iter_mut().zip([Side::Host, Side::Bare]) {
            found.push(measure(programs, side, keys, rate)?);
        }
    }
    let medians =
        |number: fn(&Measured) -> f64| found.each_ref().map(|rounds| median(rounds.iter().map(number).collect()));
    let [p50, p99] = [medians(|one| one.latency[0]), medians(|one| one.latency[1])];
    let [processor, first, memory] =
        [medians(|one| one.processor), medians(|one| one.first), medians(|one| one.memory)];
    let cells = |cell: &dyn Fn(usize) -> String| [cell(0), cell(1), String::new()];
    row(
        &format!("{keys} keys, {rate} changed a second: SET to result, median and p99"),
        cells(&|side| format!("{:.1} ms, {:.1} ms", p50[side], p99[side])),
    );
    row("the same: processor time a change", cells(&|side| format!("{:.0} µs", processor[side])));
    row("the same: all called after the start within", cells(&|side| format!("{:.2} s", first[side])));
    row("the same: memory a key, without its env", [format!("{:.0} B", memory[0]), String::new(), String::new()]);
    Ok(())
}

/// One round: so many keys, of which `rate` are changed a second.
pub fn measure(programs: &Programs, side: Side, keys: usize, rate: usize) -> Result<Measured> {
    let start = |url: &str| match side {
        Side::Host => programs.host(url, &VARIABLES),
        _ => programs.bare(&["pattern", url]),
    };
    let one = {
        let (redis, mut watcher) = server("out:")?;
        let running = start(&redis.url())?;
        watcher.latency("in:first", &numbered(0), "out:first")?;
        running.resident()?
    };
    let (redis, mut watcher) = server("out:")?;
    let names: Vec<_> = (0..keys).map(|key| format!("machine-{key}")).collect();
    for names in names.chunks(1000) {
        let mut sets = redis::pipe();
        for name in names {
            sets.set(format!("in:{name}"), numbered(0)).ignore();
        }
        watcher.send(&sets)?;
    }
    let started = Instant::now();
    let running = start(&redis.url())?;
    // An input, an output, an env and a history each.
    while watcher.ask::<usize>(&["DBSIZE"])? < keys * 4 {
        ensure!(started.elapsed() < Duration::from_secs(120), "not all keys were called");
        sleep(Duration::from_millis(20));
    }
    let first = started.elapsed().as_secs_f64();
    let used = running.processor_time()?;
    let latencies = watcher.latencies_at(rate, CHANGES, |number| {
        let name = &names[number % keys];
        (format!("in:{name}"), numbered(number + 1), format!("out:{name}"))
    })?;
    let used = (running.processor_time()? - used).as_secs_f64();
    Ok(Measured {
        first,
        latency: [0.5, 0.99].map(|share| quantile(&latencies, share) * 1e3),
        processor: used / latencies.len() as f64 * 1e6,
        memory: (running.resident()?.saturating_sub(one)) as f64 / keys as f64 - env_bytes(&mut watcher, &names)?,
    })
}

/// How long the envs are as JSON, in the mean of up to a thousand keys all over.
fn env_bytes(watcher: &mut Watcher, names: &[String]) -> Result<f64> {
    let some: Vec<_> = names.iter().step_by((names.len() / 1000).max(1)).collect();
    let mut bytes = 0;
    for name in &some {
        bytes +=
            watcher.ask::<Option<String>>(&["HGET", &format!("{{out:{name}}}:env"), "env"])?.map_or(0, |env| env.len());
    }
    Ok(bytes as f64 / some.len() as f64)
}
