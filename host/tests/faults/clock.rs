//! A machine's clock that is set back, with libfaketime: what tells the time since the machine's start goes on.

use std::path::PathBuf;
use std::time::{Duration, SystemTime};

use serde_json::json;

use super::hosts::in_order;
use super::support::redis::Redis;
use super::support::{Host, wait_for};
use super::{consumer, host, signal, wait_for_dead, wait_for_sum};

/// A clock for some processes.
struct Clock {
    library: PathBuf,
    file: tempfile::NamedTempFile,
}

impl Clock {
    /// None where the library isn't installed.
    fn right() -> Option<Clock> {
        let library = libraries().find(|path| path.exists());
        if library.is_none() {
            println!("skipped: there is no libfaketime (on Debian: apt-get install faketime)");
        }
        let clock = Clock { library: library?, file: tempfile::NamedTempFile::new().unwrap() };
        clock.set("+0");
        Some(clock)
    }

    fn set(&self, offset: &str) {
        std::fs::write(self.file.path(), format!("{offset}\n")).unwrap();
    }

    /// What has a process go by it.
    fn variables(&self) -> [(&'static str, &str); 5] {
        [
            ("LD_PRELOAD", self.library.to_str().unwrap()),
            ("FAKETIME_TIMESTAMP_FILE", self.file.path().to_str().unwrap()),
            ("FAKETIME_NO_CACHE", "1"),
            ("FAKETIME_DONT_FAKE_MONOTONIC", "1"),
            // The files' times are what they are.
            ("NO_FAKE_STAT", "1"),
        ]
    }
}

fn libraries() -> impl Iterator<Item = PathBuf> {
    let folders = std::fs::read_dir("/usr/lib").into_iter().flatten().flatten();
    folders.map(|folder| folder.path().join("faketime").join("libfaketimeMT.so.1"))
}

/// Waits until a host's clock is an hour behind.
fn wait_until_set_back(host: &Host) {
    let hour = Duration::from_secs(3600);
    wait_for("a clock that is an hour behind", || {
        let told = humantime::parse_rfc3339(host.status()["updated_at"].as_str()?).ok()?;
        (told < SystemTime::now() - hour / 2).then_some(())
    });
}

#[test]
fn a_host_whose_clock_is_set_back_an_hour_goes_on() {
    for trigger in ["push", "poll", "stream"] {
        let Some(clock) = Clock::right() else { return };
        let redis = Redis::start();
        let variables = clock.variables();
        let start = |more: &[(&str, &str)]| match trigger {
            "stream" => consumer(&redis, &[&variables[..], more].concat()),
            _ => host(&redis, &[&variables[..], &[("TRIGGER", trigger)], more].concat()),
        };
        let give = |input: serde_json::Value| match trigger {
            "stream" => redis.append([input.to_string()]),
            _ => redis.write(&input.to_string()),
        };
        let host = start(&[]);
        give(json!({"add": 1}));
        wait_for_sum(&redis, 1.0);
        clock.set("-1h");
        wait_until_set_back(&host);
        give(json!({"add": 2}));
        wait_for_sum(&redis, 3.0);
        give(json!({"add": 100, "then": "segfault"}));
        assert_eq!(wait_for_dead(&redis, 1)[0].attempts, "3", "{trigger}");
        give(json!({"add": 3}));
        wait_for_sum(&redis, 6.0);
        host.wait_until_ready();
        assert!(host.stop().success());
        // One that is started meanwhile goes on from what was saved in its future.
        let _host = start(&[]);
        give(json!({"add": 4}));
        assert_eq!(wait_for_sum(&redis, 10.0)["calls"], 4, "{trigger}");
        assert_eq!(redis.sequence(), 5, "{trigger}: four results and what was set aside");
    }
}

/// It lasts an hour longer then, by the server's clock.
#[test]
fn a_lease_whose_server_has_its_clock_set_back_is_taken_all_the_same() {
    let redis = Redis::start();
    let [active, standby] = in_order([host(&redis, &[]), host(&redis, &[])]);
    redis.write(r#"{"add": 1}"#);
    wait_for_sum(&redis, 1.0);
    active.signal("STOP");
    redis.cli(&["pexpire", "{out}:lease", "3600500"]);
    let worker = active.worker();
    active.kill();
    signal("KILL", worker);
    redis.write(r#"{"add": 2}"#);
    assert_eq!(wait_for_sum(&redis, 3.0)["calls"], 2);
    assert_eq!(standby.status()["state"], "running");
    assert_eq!((redis.sequence(), redis.history().len()), (2, 2));
}
