//! How what a result costs grows: with the number of keys, and with the sizes of env, input and history.

use std::time::Duration;

use anyhow::Result;

use crate::pattern;
use crate::rounds::{median, numbered, quantile, sample, server};
use crate::sides::{Programs, Side};
use crate::watcher::Watcher;

/// How often each point is measured.
const ROUNDS: usize = 3;

/// Results of a round at one key.
const PUSHES: usize = 300;

/// Changes a second of a pattern's keys: little enough that every server keeps up.
const RATE: usize = 2000;

/// Prints a table for each of the four.
pub fn measure(programs: &Programs) -> Result<()> {
    table("keys of a pattern, 2000 changed a second", &["memory a key, without its env"]);
    for keys in [10, 100, 1000, 10_000, 100_000] {
        let rounds: Vec<_> =
            (0..ROUNDS).map(|_| pattern::measure(programs, Side::Host, keys, RATE)).collect::<Result<_>>()?;
        let of = |number: &dyn Fn(&pattern::Measured) -> f64| median(rounds.iter().map(number).collect());
        let [p50, p99] = [0, 1].map(|place| of(&|one| one.latency[place] * 1e3));
        line(keys, p50, p99, of(&|one| one.processor), &[format!("{:.0} B", of(&|one| one.memory))]);
    }

    let library = programs.folder.join("libbench_plugin.so");
    let keep = [("HANDLER_PATH", library.to_str().unwrap_or_default()), ("HANDLER_FUNCTION", "keep")];
    table("bytes of the env (push, an input of 10 B)", &[]);
    for bytes in [100, 1000, 10_000, 100_000, 1_000_000] {
        let large = "e".repeat(bytes);
        point(
            programs,
            bytes,
            &keep,
            |watcher| watcher.latency("in", &large, "out").map(drop),
            |tick| format!("{tick:010}"),
        )?;
    }

    table("bytes of the input (push, the metrics handler)", &[]);
    for filling in [0, 1600, 18_000, 180_000, 1_800_000] {
        let input = sample(2, filling);
        point(programs, input.len(), &[], |_| Ok(()), |tick| input.replace("10:30:00", &format!("10:30:{tick:09}")))?;
    }

    table("results that the history keeps (push, the metrics handler)", &[]);
    for length in [0, 10, 100, 1000, 10_000] {
        let text = length.to_string();
        // The history is full from the beginning.
        let fill = |watcher: &mut Watcher| {
            let mut adds = redis::pipe();
            for _ in 0..length {
                adds.cmd("XADD").arg("{out}:history").arg("*").arg("data").arg(sample(1, 0)).ignore();
            }
            // None are no pipeline that the client sends.
            if length == 0 { Ok(()) } else { watcher.send(&adds) }
        };
        point(programs, length, &[("HISTORY_LENGTH", &text)], fill, numbered)?;
    }
    Ok(())
}

/// One point at one key: the server is prepared, and then so many inputs are written, each after the result of the one
/// before.
fn point(
    programs: &Programs,
    size: usize,
    variables: &[(&str, &str)],
    prepare: impl Fn(&mut Watcher) -> Result<()>,
    input: impl Fn(usize) -> String,
) -> Result<()> {
    let mut rounds = Vec::new();
    for _ in 0..ROUNDS {
        let (redis, mut watcher) = server("out")?;
        let host = programs.host(&redis.url(), &[&[("TRIGGER", "push")], variables].concat())?;
        watcher.latency("in", &input(0), "out")?;
        prepare(&mut watcher)?;
        for tick in 1..=20 {
            watcher.latency("in", &input(tick), "out")?;
        }
        let used = host.processor_time()?;
        let latencies: Vec<Duration> =
            (0..PUSHES).map(|tick| watcher.latency("in", &input(tick + 100), "out")).collect::<Result<_>>()?;
        let used = (host.processor_time()? - used).as_secs_f64() / PUSHES as f64;
        rounds.push([quantile(&latencies, 0.5), quantile(&latencies, 0.99), used]);
    }
    let [p50, p99, used] = [0, 1, 2].map(|place| median(rounds.iter().map(|round| round[place] * 1e6).collect()));
    line(size, p50, p99, used, &[]);
    Ok(())
}

fn table(what: &str, more: &[&str]) {
    let columns = [&[what, "SET to result, median", "p99", "processor time a result"], more].concat();
    println!("\n| {} |\n|{}", columns.join(" | "), "---|".repeat(columns.len()));
}

fn line(size: usize, p50: f64, p99: f64, processor: f64, more: &[String]) {
    let figures = [size.to_string(), format!("{p50:.0} µs"), format!("{p99:.0} µs"), format!("{processor:.0} µs")];
    println!("| {} |", [&figures[..], more].concat().join(" | "));
}
