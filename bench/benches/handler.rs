//! What a call of the metrics handler costs, beside serde_json's skipping of the same bytes in the same run, and how long a
//! plugin takes from file to handler.

mod support;

use std::fs;
use std::hint::black_box;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::Result;
use criterion::{Criterion, Throughput};
use host::plugin::Loaded;
use plugin_api::abi::Instance;
use serde::de::IgnoredAny;

use support::{about, build, call, data, load};

fn main() -> Result<()> {
    let libraries = build(&["metrics"])?;
    let mut criterion = Criterion::default().configure_from_args();
    metrics(&mut criterion, &load(&libraries.join("libmetrics.so"), "handler")?)?;
    loading(&mut criterion, &libraries.join("libmetrics.so"))?;
    criterion.final_summary();
    Ok(())
}

/// The metrics handler on real inputs, env save apart, beside serde_json skipping the same bytes.
fn metrics(criterion: &mut Criterion, plugin: &Loaded) -> Result<()> {
    for (name, file) in [("283 B", "sample.json"), ("1.9 kB", "recorded.jsonl"), ("16 CPUs", "cpus-16.jsonl")] {
        let text = fs::read(data(file))?;
        let inputs: Vec<_> = text.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()).collect();
        let mut group = criterion.benchmark_group(format!("metrics, {name}"));
        group.throughput(Throughput::Bytes(inputs[0].len() as u64));
        let mut next = inputs.iter().cycle();
        group.bench_function("IgnoredAny", |bencher| {
            bencher.iter(|| next.next().map(|input| serde_json::from_slice::<IgnoredAny>(black_box(input)).is_ok()));
        });
        let mut instance = plugin.open(&about())?;
        let mut next = inputs.iter().cycle();
        group.bench_function("handler", |bencher| {
            bencher.iter(|| {
                next.next().map(|input| instance.call(&call(black_box(input))).map(|output| output.map(<[u8]>::len)))
            });
        });
        group.bench_function("env save", |bencher| bencher.iter(|| saved(&mut instance)));
        group.finish();
    }
    Ok(())
}

fn saved(instance: &mut Instance) -> usize {
    instance.save_env().map_or(0, <[u8]>::len)
}

/// From a file that the host has never seen to a handler that can be called: found, copied, checked, mapped, opened.
fn loading(criterion: &mut Criterion, library: &Path) -> Result<()> {
    let folder = tempfile::tempdir()?;
    let mut bytes = fs::read(library)?;
    let end = bytes.len();
    let mut number = 0_u64;
    let mut group = criterion.benchmark_group("loading");
    group.sample_size(20).warm_up_time(Duration::from_millis(200)).measurement_time(Duration::from_secs(1));
    group.bench_function("libmetrics.so", |bencher| {
        bencher.iter_custom(|times| {
            let mut took = Duration::ZERO;
            for _ in 0..times {
                // Bytes after the end change the hash and nothing else.
                number += 1;
                bytes.truncate(end);
                bytes.extend_from_slice(&number.to_le_bytes());
                let path = folder.path().join(format!("lib{number}.so"));
                let written = fs::write(&path, &bytes);
                let started = Instant::now();
                let opened = load(&path, "handler").and_then(|plugin| plugin.open(&about()));
                took += started.elapsed();
                assert!(written.is_ok() && opened.is_ok(), "the plugin does not load");
            }
            took
        });
    });
    group.finish();
    Ok(())
}
