//! The rounds, and the table that comes of them.

use std::path::{Path, PathBuf};
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use serde_json::{Map, Value, json};
use store::testing::RedisServer;

use crate::sides::{Programs, Running, Side};
use crate::watcher::Watcher;
use crate::{curves, pattern};

/// How often each measurement is made.
const ROUNDS: usize = 5;

/// Results of one push round.
const PUSHES: usize = 1000;

/// Entries of one stream round.
const ENTRIES: usize = 40_000;

/// The rounds.
pub struct Rounds {
    programs: Programs,
}

impl Rounds {
    pub fn new(folder: &str, python: &str) -> Result<Rounds> {
        let peer = Path::new(env!("CARGO_MANIFEST_DIR")).join("peer");
        Ok(Rounds { programs: Programs { folder: PathBuf::from(folder), python: python.into(), peer } })
    }

    /// The curves.
    pub fn curves(&self) -> Result<()> {
        curves::measure(&self.programs)
    }

    /// These rows, or all.
    pub fn measure(&self, rows: &[&str]) -> Result<()> {
        println!("| what | host | bare loop | peer |\n|---|---|---|---|");
        let wanted = |row: &str| rows.is_empty() || rows.contains(&row);
        if wanted("push") {
            self.push()?;
        }
        if wanted("poll") {
            self.looks()?;
        }
        if wanted("stream") {
            for (name, input) in [("283 B", sample(2, 0)), ("1.9 kB", sample(2, 1600)), ("16 CPUs", sample(16, 0))] {
                self.stream(name, &input)?;
            }
        }
        if wanted("supervisor") {
            self.supervisor()?;
        }
        if wanted("crash") {
            self.crash()?;
        }
        if wanted("idle") {
            self.idle()?;
        }
        if wanted("start") {
            self.start()?;
        }
        for keys in [10, 1000, 100_000] {
            if wanted("pattern") || wanted(&format!("pattern-{keys}")) {
                pattern::rows(&self.programs, keys, ROUNDS)?;
            }
        }
        Ok(())
    }

    fn push(&self) -> Result<()> {
        let mut found: [Vec<[f64; 3]>; 3] = Default::default();
        for _ in 0..ROUNDS {
            for (place, side) in [Side::Host, Side::Bare, Side::Peer].into_iter().enumerate() {
                let (redis, mut watcher) = server("out")?;
                let url = redis.url();
                let _running = match side {
                    Side::Host => self.programs.host(&url, &[("TRIGGER", "push")])?,
                    Side::Unsupervised => self.programs.unsupervised(&url, &[("TRIGGER", "push")])?,
                    Side::Bare => self.programs.bare(&["push", &url])?,
                    Side::Peer => self.programs.peer("runtime.py", redis.port(), &[("MONITORING_PERIOD", "0")])?,
                };
                let mut tick = 0;
                let mut next = |watcher: &mut Watcher| {
                    tick += 1;
                    watcher.latency("in", &numbered(tick), "out")
                };
                (0..20).try_for_each(|_| next(&mut watcher).map(drop))?;
                let latencies = (0..PUSHES).map(|_| next(&mut watcher)).collect::<Result<Vec<_>>>()?;
                found[place].push([0.5, 0.99, 0.999].map(|share| quantile(&latencies, share) * 1e6));
            }
        }
        for (place, name) in ["median", "p99", "p99.9"].into_iter().enumerate() {
            let cells = found.each_ref().map(|rounds| rounds.iter().map(|round| round[place]).collect::<Vec<_>>());
            let [host, bare, peer] = cells.map(median);
            row(
                &format!("SET to result, push (peer: polls without a pause), {name}"),
                [format!("{host:.0} µs ({:.2} × bare)", host / bare), format!("{bare:.0} µs"), format!("{peer:.0} µs")],
            );
        }
        Ok(())
    }

    /// Looks every 5 s, both at once, since neither is busy.
    fn looks(&self) -> Result<()> {
        let (redis, mut watcher) = server("out")?;
        let of = |name| [("MONITORING_PERIOD", "5"), ("REDIS_INPUT_KEY", name)];
        let host = [&of("in-host")[..], &[("REDIS_OUTPUT_KEY", "out-host")]].concat();
        let peer = [&of("in-peer")[..], &[("REDIS_OUTPUT_KEY", "out-peer")]].concat();
        let _host = self.programs.host(&redis.url(), &host)?;
        let _peer = self.programs.peer("runtime.py", redis.port(), &peer)?;
        let mut found: [Vec<Duration>; 2] = Default::default();
        for tick in 0..=ROUNDS {
            for (place, name) in ["host", "peer"].into_iter().enumerate() {
                // Anywhere within a period.
                sleep(Duration::from_millis(700 * tick as u64));
                let latency = watcher.latency(&format!("in-{name}"), &numbered(tick), &format!("out-{name}"))?;
                // The first one waits for the start.
                found[place].extend((tick > 0).then_some(latency));
            }
        }
        let [host, peer] = found.map(|latencies| quantile(&latencies, 0.5));
        let cells = [format!("{host:.2} s"), String::new(), format!("{peer:.2} s")];
        row("the same, looking every 5 s, median", cells);
        Ok(())
    }

    fn stream(&self, name: &str, input: &str) -> Result<()> {
        let mut found: [Vec<[f64; 2]>; 3] = Default::default();
        for _ in 0..ROUNDS {
            for (place, side) in [Side::Host, Side::Bare, Side::Peer].into_iter().enumerate() {
                found[place].push(self.stream_round(side, input)?);
            }
        }
        let [host, bare, peer] = found.each_ref().map(|rounds| median(rounds.iter().map(|round| round[0]).collect()));
        row(
            &format!("stream, inputs of {name}, batches of 100: entries a second"),
            [
                format!("{host:.0} ({:.0} % of bare, {:.1} × peer)", host / bare * 100.0, host / peer),
                format!("{bare:.0}"),
                format!("{peer:.0}"),
            ],
        );
        let [host, bare, peer] = found.map(|rounds| median(rounds.iter().map(|round| round[1]).collect()));
        row(
            "the same: processor seconds a million entries",
            [format!("{host:.1} (1/{:.1} of the peer's)", peer / host), format!("{bare:.1}"), format!("{peer:.1}")],
        );
        Ok(())
    }

    /// Entries a second and processor seconds a million entries, from a tenth of them to the end.
    fn stream_round(&self, side: Side, input: &str) -> Result<[f64; 2]> {
        let (redis, mut watcher) = server("none")?;
        let url = redis.url();
        for _ in 0..ENTRIES / 1000 {
            let mut adds = redis::pipe();
            for _ in 0..1000 {
                adds.cmd("XADD").arg("events").arg("*").arg("data").arg(input).ignore();
            }
            watcher.send(&adds)?;
        }
        let count = ENTRIES.to_string();
        let running = match side {
            Side::Host => self.programs.host(&url, &[("TRIGGER", "stream"), ("REDIS_INPUT_KEY", "events")])?,
            Side::Unsupervised => {
                self.programs.unsupervised(&url, &[("TRIGGER", "stream"), ("REDIS_INPUT_KEY", "events")])?
            }
            Side::Bare => self.programs.bare(&["stream", &url, "100"])?,
            Side::Peer => {
                let variables = [("REDIS_INPUT_KEY", "events"), ("COUNT", count.as_str())];
                self.programs.peer("stream_worker.py", redis.port(), &variables)?
            }
        };
        let group = if side == Side::Peer { "peer" } else { "plugin-host" };
        let (began, done, used) = done_at_least(&mut watcher, group, ENTRIES / 10, &running)?;
        let (ended, all, used_at_end) = done_at_least(&mut watcher, group, ENTRIES * 95 / 100, &running)?;
        let entries = (all - done) as f64;
        Ok([entries / (ended - began).as_secs_f64(), (used_at_end - used).as_secs_f64() / entries * 1e6])
    }

    /// What the supervisor costs: the same host in one process beside it.
    fn supervisor(&self) -> Result<()> {
        let mut found: [Vec<f64>; 2] = Default::default();
        for _ in 0..2 * ROUNDS {
            for (place, side) in [Side::Host, Side::Unsupervised].into_iter().enumerate() {
                found[place].push(self.stream_round(side, &sample(2, 1600))?[0]);
            }
        }
        let [with, without] = found.map(median);
        let cell = format!("{with:.0} ({:.1} % of {without:.0} in one process)", with / without * 100.0);
        row("stream, inputs of 1.9 kB: entries a second with a supervisor", [cell, String::new(), String::new()]);
        Ok(())
    }

    /// How soon there is a result of an event that has ended the process once.
    fn crash(&self) -> Result<()> {
        let mut latencies = Vec::new();
        for round in 0..4 * ROUNDS {
            let (redis, mut watcher) = server("out")?;
            let plugin = self.programs.folder.join("libfixture_faulty.so");
            let plugin = plugin.to_string_lossy().into_owned();
            let variables = [("TRIGGER", "push"), ("HANDLER_PATH", &plugin), ("HANDLER_FUNCTION", "fault")];
            let _running = self.programs.host(&redis.url(), &variables)?;
            watcher.latency("in", r#"{"add": 1}"#, "out")?;
            let fault = json!({"add": 1, "number": round, "then": "segfault", "until": 2});
            latencies.push(watcher.latency("in", &fault.to_string(), "out")?);
        }
        let cell = [0.5, 1.0].map(|share| format!("{:.0} ms", quantile(&latencies, share) * 1e3)).join(", at most ");
        row("a handler that ends its process: SET to result, median", [cell, String::new(), String::new()]);
        Ok(())
    }

    fn idle(&self) -> Result<()> {
        let (redis, mut watcher) = server("out")?;
        let host = self.programs.host(&redis.url(), &[("TRIGGER", "push")])?;
        let peer = self.programs.peer("runtime.py", redis.port(), &[("REDIS_OUTPUT_KEY", "out-peer")])?;
        watcher.latency("in", &numbered(0), "out-peer")?;
        let used = [host.processor_time()?, peer.processor_time()?];
        sleep(Duration::from_secs(20));
        let shares = [host.processor_time()? - used[0], peer.processor_time()? - used[1]];
        let [host_share, peer_share] = shares.map(|used| format!("{:.2} %", used.as_secs_f64() / 20.0 * 100.0));
        row("idle (host: push; peer: polls every 5 s): of a processor", [host_share, String::new(), peer_share]);
        let memory =
            |running: &Running| Ok::<_, anyhow::Error>(format!("{:.1} MiB", running.resident()? as f64 / 1048576.0));
        row("the same: memory", [memory(&host)?, String::new(), memory(&peer)?]);
        Ok(())
    }

    fn start(&self) -> Result<()> {
        let mut found: [Vec<f64>; 2] = Default::default();
        for _ in 0..ROUNDS {
            for (place, side) in [Side::Host, Side::Peer].into_iter().enumerate() {
                let (redis, mut watcher) = server("none")?;
                watcher.ask::<()>(&["SET", "in", &numbered(0)])?;
                let started = Instant::now();
                let _running = match side {
                    Side::Host => self.programs.host(&redis.url(), &[("TRIGGER", "push")])?,
                    _ => self.programs.peer("runtime.py", redis.port(), &[])?,
                };
                while !watcher.ask::<bool>(&["EXISTS", "out"])? {
                    ensure!(started.elapsed() < Duration::from_secs(20), "no first result");
                }
                found[place].push(started.elapsed().as_secs_f64() * 1e3);
            }
        }
        let [host, peer] = found.map(median);
        row("start to first result", [format!("{host:.0} ms"), String::new(), format!("{peer:.0} ms")]);
        Ok(())
    }
}

/// When so many entries were acknowledged, how many they are, and the processor time used until then.
fn done_at_least(
    watcher: &mut Watcher,
    group: &str,
    least: usize,
    running: &Running,
) -> Result<(Instant, usize, Duration)> {
    let started = Instant::now();
    loop {
        let groups: Vec<std::collections::HashMap<String, redis::Value>> =
            watcher.ask(&["XINFO", "GROUPS", "events"]).unwrap_or_default();
        let number = |group: &std::collections::HashMap<String, redis::Value>, field: &str| match group.get(field) {
            Some(redis::Value::Int(number)) => *number as usize,
            _ => 0,
        };
        let named = |found: &&std::collections::HashMap<String, redis::Value>| matches!(found.get("name"), Some(redis::Value::BulkString(name)) if name == group.as_bytes());
        if let Some(found) = groups.iter().find(named) {
            let done = number(found, "entries-read").saturating_sub(number(found, "pending"));
            if done >= least {
                return Ok((Instant::now(), done, running.processor_time()?));
            }
        }
        ensure!(started.elapsed() < Duration::from_secs(60), "the entries are not taken");
        sleep(Duration::from_millis(5));
    }
}

/// A server on the first processor, and who writes to it.
pub fn server(prefix: &str) -> Result<(RedisServer, Watcher)> {
    let redis = RedisServer::options().arg("--server_cpulist").arg("0").arg("--save").arg("").start();
    let watcher = Watcher::new(&redis.url(), prefix)?;
    Ok((redis, watcher))
}

pub fn sample(cpus: usize, filling: usize) -> String {
    let mut fields = Map::new();
    fields.insert("timestamp".to_owned(), json!("2025-11-30T10:30:00"));
    (0..cpus).for_each(|cpu| drop(fields.insert(format!("cpu_percent-{cpu}"), json!(45.5))));
    fields.insert("net_io_counters_eth0-bytes_sent1".to_owned(), json!(1_024_000));
    fields.insert("net_io_counters_eth0-bytes_recv1".to_owned(), json!(4_096_000));
    for (name, value) in [("total", 16_000_000_000_u64), ("cached", 2_000_000_000), ("buffers", 500_000_000)] {
        fields.insert(format!("virtual_memory-{name}"), json!(value));
    }
    (0..filling / 40)
        .for_each(|number| drop(fields.insert(format!("disk_io_counters-field_{number:04}"), json!(1_234_567))));
    Value::Object(fields).to_string()
}

pub fn numbered(number: usize) -> String {
    sample(2, 0).replace("2025-11-30T10:30:00", &format!("2025-11-30T10:30:{number:09}"))
}

pub fn quantile(latencies: &[Duration], share: f64) -> f64 {
    let mut sorted: Vec<_> = latencies.iter().map(Duration::as_secs_f64).collect();
    sorted.sort_by(f64::total_cmp);
    sorted
        .get(((sorted.len() as f64 * share) as usize).min(sorted.len().saturating_sub(1)))
        .copied()
        .unwrap_or(f64::NAN)
}

pub fn median(mut numbers: Vec<f64>) -> f64 {
    numbers.sort_by(f64::total_cmp);
    numbers.get(numbers.len() / 2).copied().unwrap_or(f64::NAN)
}

pub fn row(what: &str, [host, bare, peer]: [String; 3]) {
    println!("| {what} | {host} | {bare} | {peer} |");
}
