//! What a call costs, side by side in one run: the boundary against the same function linked statically, the metrics
//! handler against serde_json's skipping of the same bytes, and how long a plugin takes from file to handler.

use std::hint::black_box;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};
use std::{env, fs};

use anyhow::{Context, Result, ensure};
use criterion::{Criterion, Throughput};
use host::plugin::{HandlerName, Loaded, Loader, Loading};
use plugin_api::abi::{About, Call, Instance, LogSink};
use plugin_api::{Output, Raw};
use serde::de::IgnoredAny;

#[path = "../plugin/src/lib.rs"]
mod linked;

fn main() -> Result<()> {
    let libraries = build()?;
    let mut criterion = Criterion::default().configure_from_args();
    boundary(&mut criterion, &load(&libraries.join("libbench_plugin.so"), "pass")?)?;
    metrics(&mut criterion, &load(&libraries.join("libmetrics.so"), "handler")?)?;
    loading(&mut criterion, &libraries.join("libmetrics.so"))?;
    criterion.final_summary();
    Ok(())
}

/// Builds the plugins as they are shipped; gives the folder.
fn build() -> Result<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().context("the repository's folder")?;
    let built = Command::new(env!("CARGO"))
        .args(["build", "--release", "-p", "bench-plugin", "-p", "metrics"])
        .current_dir(root)
        .status()?;
    ensure!(built.success(), "the plugins don't build");
    let target = env::var_os("CARGO_TARGET_DIR").map_or_else(|| root.join("target"), PathBuf::from);
    Ok(target.join("release"))
}

fn load(library: &Path, symbol: &str) -> Result<Loaded> {
    let sink = LogSink { level: plugin_api::log::LevelFilter::Off, write: |_, _, _, _| {} };
    let handler = HandlerName { library: None, symbol: symbol.to_owned() };
    let loader = Loader::new(Loading::default(), handler, sink)?;
    Ok(loader.load(loader.find(library)?)?)
}

fn about() -> About<'static> {
    About {
        host: "localhost",
        port: 6379,
        input_key: "metrics",
        output_key: "out",
        function_getmtime: 0.0,
        plugin_dir: Path::new("/"),
    }
}

fn call(input: &[u8]) -> Call<'_> {
    Call {
        input,
        event_id: "sha256:f89438aeff97bc1153f32d3a0bc0fc1be529dedb8d83e36a74b4f6543cc4aab0",
        last_execution: Some("2025-11-30T10:30:00.000Z"),
        attempt: 1,
    }
}

/// The same function on 283 bytes: called directly, and through the ABI in a shared library.
fn boundary(criterion: &mut Criterion, plugin: &Loaded) -> Result<()> {
    let input = fs::read(data("sample.json"))?;
    let mut group = criterion.benchmark_group("boundary");
    let mut context = plugin_api::testing::context::<u64>();
    let mut output = Vec::new();
    group.bench_function("linked statically", |bencher| {
        bencher.iter(|| {
            let result = linked::pass(Raw(black_box(&input).clone()), &mut context);
            output.clear();
            result.map(|raw| raw.write(&mut output).is_ok()).is_ok_and(|written| written && !output.is_empty())
        });
    });
    let mut instance = plugin.open(&about())?;
    group.bench_function("shared library", |bencher| {
        bencher.iter(|| instance.call(&call(black_box(&input))).map(|output| output.map(<[u8]>::len)));
    });
    group.finish();
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

fn data(file: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../plugins/metrics/data").join(file)
}
