//! A stream of a thousand events a second and a fault a second, for as long as `SOAK_SECONDS` says: `make soak`.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use std::time::{Duration, Instant};

use proptest::prelude::Rng;
use proptest::test_runner::TestRng;
use serde_json::{Value, json};
use support::redis::Redis;
use support::{Host, plugin, signal, wait_at_most};

/// How often events are appended.
const TICK: Duration = Duration::from_millis(100);

/// What both processes of a host hold.
#[derive(Clone, Copy, Debug)]
struct Held {
    resident_kb: u64,
    open_files: u64,
}

fn held(host: &Host) -> Option<Held> {
    let mut all = Held { resident_kb: 0, open_files: 0 };
    for pid in [host.pid(), host.worker()] {
        let status = std::fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
        let resident = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
        all.resident_kb += resident.trim().trim_end_matches(" kB").parse::<u64>().ok()?;
        all.open_files += std::fs::read_dir(format!("/proc/{pid}/fd")).ok()?.count() as u64;
    }
    Some(all)
}

fn median(mut values: Vec<u64>) -> f64 {
    values.sort_unstable();
    values[values.len() / 2] as f64
}

/// A fault; what it appends besides is counted by the caller.
fn fault(number: u32, redis: &Redis, host: &Host) -> Option<Value> {
    match number % 7 {
        0 => signal("KILL", host.worker()),
        1 => return Some(json!({"add": 1, "then": "segfault", "until": 2})),
        2 => return Some(json!({"add": 1, "then": "loop", "until": 2})),
        3 => return Some(json!({"add": 1, "then": "panic", "until": 3})),
        4 => return Some(json!({"add": 1, "then": "exit", "until": 2})),
        5 => {
            redis.cli(&["client", "kill", "type", "normal", "skipme", "yes"]);
        }
        _ => {
            redis.server.pause();
            std::thread::sleep(Duration::from_millis(200));
            redis.server.resume();
        }
    }
    None
}

#[test]
#[ignore = "takes as long as SOAK_SECONDS says, ten minutes by default: make soak"]
fn no_event_is_lost_or_counted_twice_and_nothing_grows() {
    let seconds: u64 = std::env::var("SOAK_SECONDS").map_or(600, |seconds| seconds.parse().unwrap());
    let redis = Redis::start();
    let url = redis.server.url();
    let variables = [
        ("STORE_URL", url.as_str()),
        ("HANDLER_FUNCTION", "fault"),
        ("TRIGGER", "stream"),
        ("REDIS_INPUT_KEY", "events"),
        ("HANDLER_TIMEOUT", "0.5"),
        ("MAX_ATTEMPTS", "50"),
        ("RUST_LOG", "off"),
    ];
    let host = Host::start(&plugin("fixture_faulty"), &variables);
    let mut random = TestRng::from_seed(proptest::test_runner::RngAlgorithm::ChaCha, &[7; 32]);
    let (mut added, mut faults, mut samples) = (0_u64, 0_u32, Vec::new());
    let begun = Instant::now();
    let mut next = begun;
    while begun.elapsed() < Duration::from_secs(seconds) {
        redis.append((0..100).map(|_| json!({"add": 1}).to_string()));
        added += 100;
        if u64::from(faults) < begun.elapsed().as_secs() {
            faults += 1;
            if let Some(event) = fault(random.next_u32(), &redis, &host) {
                redis.append([event.to_string()]);
                added += 1;
            }
            samples.extend(held(&host).map(|held| (begun.elapsed(), held)));
        }
        next += TICK;
        std::thread::sleep(next.saturating_duration_since(Instant::now()));
    }
    let whole = || redis.output().filter(|output| output["calls"] == added);
    let output = wait_at_most(Duration::from_secs(120), "the rest", whole);
    assert_eq!(output["sum"], added as f64);
    assert_eq!(redis.cli(&["xlen", "{out}:dead"]), "0");

    let status = host.status();
    println!("{added} events and {faults} faults in {seconds} s; restarts: {}", status["restarts"]);
    let part = |from: u64, to: u64, of: fn(&Held) -> u64| {
        let within = |at: &Duration| (from..to).contains(&at.as_secs());
        median(samples.iter().filter(|(at, _)| within(at)).map(|(_, held)| of(held)).collect())
    };
    let (early, late) = ((seconds / 10, seconds / 5), (seconds - seconds / 10, seconds + 1));
    for (what, of) in
        [("KiB resident", (|held| held.resident_kb) as fn(&Held) -> u64), ("open files", |held| held.open_files)]
    {
        let (before, after) = (part(early.0, early.1, of), part(late.0, late.1, of));
        println!("{what}: {before} after the first minute, {after} at the end");
        assert!(after <= before * 1.05, "{what}: {before} became {after}");
    }
}
