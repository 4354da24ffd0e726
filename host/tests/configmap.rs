//! A plugin in a ConfigMap volume that the kubelet writes.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use std::time::{Duration, Instant};

use serde_json::json;
use support::redis::Redis;
use support::volume::{Links, Volume};
use support::{Host, build, switches, wait_for};

#[test]
fn a_volume_that_is_swapped_a_thousand_times_under_load_costs_no_call() {
    const SWAPS: usize = 1000;
    let builds: Vec<_> = (0..=SWAPS).step_by(10).map(build).collect();
    let mut volume = Volume::new();
    volume.write(&[("liba.so", &builds[0]), ("notes.txt", b"0")], Links::AfterIt);
    let redis = Redis::start();
    let url = redis.server.url();
    let host = Host::start(
        volume.folder(),
        &[
            ("STORE_URL", &url),
            ("HANDLER_FUNCTION", "versioned"),
            ("TRIGGER", "timer"),
            ("MONITORING_PERIOD", "0.001"),
            ("RELOAD_PERIOD", "0.005"),
            ("HISTORY_LENGTH", "10000000"),
            ("RUST_LOG", "warn"),
        ],
    );
    redis.wait_for_sequence(1);
    for swap in 1..=SWAPS {
        // Every tenth version stays until it is taken; the others come and go as fast as they can be written. The
        // library's name changes as well, so that for a moment there are links to both or to none.
        let (library, rest) = (&builds[swap.div_ceil(10)], swap % 10);
        let name = if swap / 10 % 2 == 0 { "liba.so" } else { "libb.so" };
        let links = if swap % 3 == 0 { Links::BeforeTheSwap } else { Links::AfterIt };
        if rest == 0 {
            volume.write(&[(name, library), ("notes.txt", b"same")], links);
            let build = format!("build-{swap:010}");
            wait_for(&build, || redis.output().filter(|output| output["build"] == build.as_str()));
        } else {
            volume.write(&[(name, &library[..library.len() / 10 * rest]), ("notes.txt", b"part")], links);
        }
    }
    assert_eq!(host.status()["failures"], 0);
    assert!(host.stop().success());
    let results = redis.whole_history();
    assert_eq!(switches(&results), SWAPS / 10);
}

#[test]
fn a_swap_is_seen_though_nothing_but_the_link_in_the_middle_of_the_path_changes() {
    let mut volume = Volume::new();
    volume.write(&[("libfixture.so", &build(1))], Links::AfterIt);
    let redis = Redis::start();
    let url = redis.server.url();
    let host = Host::start(
        &volume.path("libfixture.so"),
        &[("STORE_URL", &url), ("HANDLER_FUNCTION", "versioned"), ("TRIGGER", "timer")],
    );
    host.wait_until_ready();
    let mut latencies = Vec::new();
    for number in 2..=6 {
        volume.write(&[("libfixture.so", &build(number))], Links::BeforeTheSwap);
        let swapped = Instant::now();
        wait_for("the new version", || Some(()).filter(|()| host.status()["reloads"] == number - 1));
        latencies.push(swapped.elapsed());
    }
    println!("seen after {latencies:?}; the longest after {:?}", latencies.iter().max().unwrap_or(&Duration::ZERO));
    assert_eq!(host.status()["failed_reloads"], json!({}));
    wait_for("a call of the newest", || redis.output().filter(|output| output["build"] == "build-0000000006"));
}
