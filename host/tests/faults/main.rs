//! The host survives its handlers, its store and its node: each case asserts on what the store holds in the end.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod clock;
mod cuts;
mod handlers;
mod hosts;
mod kills;
mod node;
mod patterns;
mod signals;
mod stores;
#[path = "../support/mod.rs"]
mod support;

use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::{Value, json};
use support::redis::Redis;
use support::{Host, plugin, signal, wait_for};

/// How an entry of `{out}:dead` reads.
#[derive(Debug, PartialEq)]
struct Dead {
    data: String,
    reason: String,
    attempts: String,
}

/// A host that calls the faulty handler on the key `metrics`, told of each write.
fn host(redis: &Redis, variables: &[(&str, &str)]) -> Host {
    let url = redis.server.url();
    let mut all = vec![("STORE_URL", url.as_str()), ("HANDLER_FUNCTION", "fault"), ("TRIGGER", "push")];
    all.extend_from_slice(variables);
    Host::start(&plugin("fixture_faulty"), &all)
}

/// The same on the stream `events`.
fn consumer(redis: &Redis, variables: &[(&str, &str)]) -> Host {
    let mut all = vec![("TRIGGER", "stream"), ("REDIS_INPUT_KEY", "events")];
    all.extend_from_slice(variables);
    host(redis, &all)
}

fn wait_for_sum(redis: &Redis, sum: f64) -> Value {
    wait_for(&format!("the sum {sum}"), || redis.output().filter(|output| output["sum"] == json!(sum)))
}

fn dead(redis: &Redis) -> Vec<Dead> {
    let told = redis.cli(&["xrange", "{out}:dead", "-", "+"]);
    let lines: Vec<_> = told.lines().map(str::to_owned).collect();
    let of = |entry: &[String]| Dead { data: entry[2].clone(), reason: entry[4].clone(), attempts: entry[6].clone() };
    lines.chunks(9).map(of).collect()
}

fn wait_for_dead(redis: &Redis, count: usize) -> Vec<Dead> {
    wait_for(&format!("{count} events that were set aside"), || Some(dead(redis)).filter(|dead| dead.len() >= count))
}

/// The faulty plugin with panics that end the process at once.
fn aborting_plugin() -> PathBuf {
    let target = support::root().join("target").join("never");
    let target = std::env::var_os("CARGO_TARGET_DIR").map_or(target, |folder| PathBuf::from(folder).join("abort"));
    let built = Command::new(env!("CARGO"))
        .args(["rustc", "--quiet", "-p", "fixture-faulty", "--", "-C", "panic=abort"])
        .env("CARGO_TARGET_DIR", &target)
        .current_dir(support::root())
        .status()
        .unwrap();
    assert!(built.success());
    target.join("debug").join("libfixture_faulty.so")
}

/// A small file system of its own, unmounted with the value.
struct Disk(tempfile::TempDir);

impl Disk {
    /// None where this user may not mount one.
    fn mount() -> Option<Disk> {
        let folder = tempfile::tempdir().unwrap();
        let mounted = Command::new("mount").args(["-t", "tmpfs", "-o", "size=1m", "none"]).arg(folder.path()).output();
        mounted.is_ok_and(|mounted| mounted.status.success()).then(|| Disk(folder))
    }

    /// `ro` or `rw`, once no file is written to any more.
    fn remount(&self, how: &str) {
        let how = format!("remount,{how}");
        let remount = || Command::new("mount").args(["-o", &how]).arg(self.path()).output().unwrap();
        wait_for(&how, || remount().status.success().then_some(()));
    }

    fn path(&self) -> &Path {
        self.0.path()
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        Command::new("umount").arg("--lazy").arg(self.0.path()).status().unwrap();
    }
}
