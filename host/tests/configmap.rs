//! A plugin in a ConfigMap volume, written step by step as the kubelet does it.
//!
//! The steps are those of Kubernetes' `AtomicWriter`: a folder with the time in its name is filled, a link to it is made
//! beside `..data` and renamed over it, links to new files are made and those to old ones removed, and the folder before
//! goes. Older kubelets made the links before their files.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use std::fs;
use std::os::unix::fs::symlink;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use serde_json::json;
use support::redis::Redis;
use support::{Host, build, switches, wait_for};

/// When the links to new files are made.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Links {
    BeforeTheSwap,
    AfterIt,
}

/// A ConfigMap volume, and the kubelet that writes it.
struct Volume {
    folder: tempfile::TempDir,
    /// The name of the newest folder of files.
    newest: Option<String>,
    written: usize,
}

impl Volume {
    fn new() -> Volume {
        Volume { folder: tempfile::tempdir().unwrap(), newest: None, written: 0 }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn write(&mut self, files: &[(&str, &[u8])], links: Links) {
        self.written += 1;
        let name = format!("..2026_11_25_03_20_15.{:09}", self.written);
        fs::create_dir(self.path(&name)).unwrap();
        for (file, bytes) in files {
            fs::write(self.path(&name).join(file), bytes).unwrap();
        }
        if links == Links::BeforeTheSwap {
            self.link(files);
        }
        symlink(&name, self.path("..data_tmp")).unwrap();
        fs::rename(self.path("..data_tmp"), self.path("..data")).unwrap();
        self.link(files);
        for entry in fs::read_dir(self.folder.path()).unwrap().map(Result::unwrap) {
            let visible = entry.file_name().to_string_lossy().into_owned();
            if !visible.starts_with("..") && !files.iter().any(|(file, _)| *file == visible) {
                fs::remove_file(entry.path()).unwrap();
            }
        }
        if let Some(before) = self.newest.replace(name) {
            fs::remove_dir_all(self.path(&before)).unwrap();
        }
    }

    fn link(&self, files: &[(&str, &[u8])]) {
        for (file, _) in files {
            if fs::symlink_metadata(self.path(file)).is_err() {
                symlink(format!("..data/{file}"), self.path(file)).unwrap();
            }
        }
    }
}

#[test]
fn a_volume_that_is_swapped_a_thousand_times_under_load_costs_no_call() {
    const SWAPS: usize = 1000;
    let builds: Vec<_> = (0..=SWAPS).step_by(10).map(build).collect();
    let mut volume = Volume::new();
    volume.write(&[("liba.so", &builds[0]), ("notes.txt", b"0")], Links::AfterIt);
    let redis = Redis::start();
    let url = redis.server.url();
    let host = Host::start(
        volume.folder.path(),
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
