//! New versions of a plugin, while the host works: taken up between two calls, or not at all.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use std::fs;
use std::io::Write;
use std::path::PathBuf;

use serde_json::{Value, json};
use support::redis::Redis;
use support::{Host, build, plugin, replace, switches, wait_for, zipped};

/// A host that runs a copy of the fixture, looked at every 20 ms.
struct Changing {
    redis: Redis,
    host: Host,
    path: PathBuf,
    _folder: tempfile::TempDir,
}

impl Changing {
    fn start(handler: &str, variables: &[(&str, &str)]) -> Changing {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("libfixture.so");
        replace(&path, &build(0));
        let redis = Redis::start();
        let url = redis.server.url();
        let mut all = vec![("STORE_URL", url.as_str()), ("HANDLER_FUNCTION", handler), ("RELOAD_PERIOD", "0.02")];
        all.extend_from_slice(variables);
        let host = Host::start(&path, &all);
        host.wait_until_ready();
        Changing { redis, host, path, _folder: folder }
    }

    fn take(&self, library: &[u8]) {
        let before = self.host.status()["reloads"].as_u64().unwrap();
        replace(&self.path, library);
        wait_for("the new version", || (self.host.status()["reloads"].as_u64().unwrap() > before).then_some(()));
    }

    /// Waits until a version was not taken, and says why `/status` says so; the old one is still the plugin.
    fn wait_for_refusal(&self, step: &str) -> String {
        let status = wait_for("a version that is not taken", || {
            Some(self.host.status()).filter(|status| status["last_reload"]["failed"] == step)
        });
        assert_eq!((&status["plugin"]["name"], &status["state"]), (&json!("fixture"), &json!("running")));
        status["last_reload"]["message"].as_str().unwrap().to_owned()
    }
}

fn next() -> Vec<u8> {
    fs::read(plugin("fixture_next")).unwrap()
}

#[test]
fn a_newer_version_reads_the_env_of_the_older_one_through_serdes_defaults() {
    let changing = Changing::start("versioned", &[]);
    changing.redis.write("1");
    changing.redis.wait_for_sequence(1);
    changing.take(&next());
    changing.redis.write("2");
    changing.redis.wait_for_sequence(2);
    assert_eq!(changing.redis.output().unwrap(), json!({"calls": 2, "since_the_update": 1}));
    assert_eq!(changing.redis.saved().unwrap().plugin_version, "0.2.0");
    let status = changing.host.status();
    assert_eq!((&status["plugin"]["name"], &status["mapped_libraries"]), (&json!("fixture-next"), &json!(2)));
    assert_eq!((&status["last_reload"]["failed"], &status["reloads"]), (&Value::Null, &json!(1)));
    wait_for("the new version in the status key", || {
        changing.redis.status().filter(|status| status["plugin"]["version"] == "0.2.0")
    });
    changing.host.wait_for_log("reloaded plugin=\"fixture-next\" version=\"0.2.0\"");
}

#[test]
fn an_env_that_the_new_version_cannot_read_stops_the_reload() {
    let changing = Changing::start("count", &[]);
    changing.redis.write("1");
    changing.redis.wait_for_sequence(1);
    replace(&changing.path, &next());
    let message = changing.wait_for_refusal("env");
    assert!(message.contains("fixture-next") && message.contains("expected a sequence"), "{message}");
    changing.redis.write("2");
    changing.redis.wait_for_sequence(2);
    assert_eq!(changing.redis.output().unwrap(), json!(2));
}

#[test]
fn a_version_that_can_read_an_env_which_the_old_one_cannot_takes_its_place() {
    let redis = Redis::start();
    redis.set_env("5", "[1]");
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("libfixture.so");
    replace(&path, &build(0));
    let url = redis.server.url();
    let host = Host::start(&path, &[("STORE_URL", &url), ("HANDLER_FUNCTION", "count"), ("RELOAD_PERIOD", "0.02")]);
    host.wait_for_log("can't be taken up");
    // One that can't read it either is no help, and one that can is.
    replace(&path, &build(1));
    host.wait_for_log("can't be taken up");
    replace(&path, &next());
    host.wait_until_ready();
    redis.write("1");
    redis.wait_for_sequence(6);
    assert_eq!(redis.output().unwrap(), json!(2));
    assert_eq!(host.status()["plugin"]["name"], "fixture-next");
}

#[test]
fn a_version_that_fails_is_gone_back_from_with_the_env_that_another_host_has_committed() {
    let changing = Changing::start("sum", &[]);
    changing.redis.write(r#"{"add": 1}"#);
    changing.redis.wait_for_sequence(1);
    changing.take(&next());
    // The new version's failure comes first, then the commit of the old one is refused and done anew.
    changing.redis.set_env("7", r#"{"calls": 100, "sum": 0.5}"#);
    changing.redis.write(r#"{"add": 2}"#);
    changing.redis.wait_for_sequence(8);
    assert_eq!(changing.redis.output().unwrap(), json!({"calls": 101, "sum": 2.5}));
}

#[test]
fn a_zip_that_is_gone_back_from_is_known_by_its_own_hash() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("fixture.zip");
    replace(&path, &zipped(&build(0)));
    let redis = Redis::start();
    let url = redis.server.url();
    let variables = [("STORE_URL", url.as_str()), ("HANDLER_FUNCTION", "sum"), ("RELOAD_PERIOD", "0.02")];
    let host = Host::start(&path, &variables);
    host.wait_until_ready();
    let before = host.status()["plugin"].clone();
    replace(&path, &zipped(&next()));
    wait_for("the new version", || Some(()).filter(|()| host.status()["reloads"] == 1));
    let newer = host.status()["plugin"]["zip_sha256"].clone();
    redis.write(r#"{"add": 1}"#);
    redis.wait_for_sequence(1);
    let status = host.status();
    assert_eq!((&status["plugin"], &status["last_reload"]["sha256"]), (&before, &newer));
    assert_eq!(status["last_reload"]["failed"], "first-call");
}

#[test]
fn a_version_whose_first_call_fails_gives_the_same_event_back_to_the_old_one() {
    let changing = Changing::start("sum", &[]);
    changing.redis.write(r#"{"add": 1}"#);
    changing.redis.wait_for_sequence(1);
    changing.take(&next());
    changing.redis.write(r#"{"add": 2}"#);
    changing.redis.wait_for_sequence(2);
    assert_eq!(changing.redis.output().unwrap(), json!({"calls": 2, "sum": 3.0}));
    let message = changing.wait_for_refusal("first-call");
    assert!(message.contains("its first call failed") && message.contains("this version is broken"), "{message}");
    let status = changing.host.status();
    assert_eq!((&status["failures"], &status["calls"]), (&json!(1), &json!(3)));
    changing.host.wait_for_log("the old version stays: the new version of fixture-next: its first call failed");
    wait_for("the reason in the status key", || {
        changing.redis.status().filter(|status| status["last_reload"]["failed"] == "first-call")
    });

    // It is not tried again, even after another version.
    changing.take(&build(1));
    replace(&changing.path, &next());
    changing.host.wait_for_log("its first call has failed before");
    changing.redis.write(r#"{"add": 3}"#);
    changing.redis.wait_for_sequence(3);
    assert_eq!(changing.redis.output().unwrap(), json!({"calls": 3, "sum": 6.0}));
    assert_eq!(changing.host.status()["failures"], 1);
}

#[test]
fn an_event_that_fails_in_both_versions_says_nothing_against_the_new_one() {
    let changing = Changing::start("sum", &[]);
    changing.redis.write(r#"{"add": 1}"#);
    changing.redis.wait_for_sequence(1);
    changing.take(&build(1));
    let sha256 = changing.host.status()["plugin"]["sha256"].clone();
    changing.redis.write(r#"{"add": "nonsense"}"#);
    wait_for("both failures", || Some(()).filter(|()| changing.host.status()["failures"] == 2));
    assert_eq!(changing.host.status()["plugin"]["sha256"], sha256);
    changing.redis.write(r#"{"add": 2}"#);
    changing.redis.wait_for_sequence(3);
    assert_eq!(changing.redis.output().unwrap(), json!({"calls": 2, "sum": 3.0}));
    assert_eq!(changing.host.status()["plugin"]["sha256"], sha256);
}

#[test]
fn what_is_no_plugin_is_refused_and_the_old_version_goes_on() {
    let changing = Changing::start("count", &[]);
    replace(&changing.path, b"no library");
    let message = changing.wait_for_refusal("verify");
    assert!(message.contains("libfixture.so") && message.contains("not a shared library"), "{message}");
    changing.host.wait_for_log("not reloaded, the old version stays");
    let (_, metrics) = changing.host.get("/metrics").unwrap();
    assert!(metrics.contains("plugin_host_failed_reloads_total{step=\"verify\"} 1\n"), "{metrics}");
    assert!(metrics.contains("plugin_host_mapped_libraries 1\n") && metrics.ends_with("# EOF\n"), "{metrics}");
    wait_for("the reason in the status key", || {
        changing.redis.status().filter(|status| status["last_reload"]["failed"] == "verify")
    });
    changing.redis.write("1");
    changing.redis.wait_for_sequence(1);

    // A library without the handler.
    replace(&changing.path, &fs::read(plugin("metrics")).unwrap());
    wait_for("another reason", || changing.wait_for_refusal("verify").contains("no handler \"count\"").then_some(()));
    changing.redis.write("2");
    changing.redis.wait_for_sequence(2);
    changing.take(&build(2));
}

#[test]
fn a_file_that_goes_is_told_once_each_time_and_forgotten_when_it_is_back() {
    let changing = Changing::start("count", &[]);
    let told = || changing.host.log().iter().filter(|line| line.contains("no plugin at")).count();
    let away = changing.path.with_extension("away");
    for times in 1..=2 {
        fs::rename(&changing.path, &away).unwrap();
        let message = changing.wait_for_refusal("read");
        assert!(message.contains("no plugin at"), "{message}");
        let now = changing.redis.sequence();
        changing.redis.write(&now.to_string());
        changing.redis.wait_for_sequence(now + 1);
        fs::rename(&away, &changing.path).unwrap();
        wait_for("the file", || Some(()).filter(|()| changing.host.status()["last_reload"].is_null()));
        assert_eq!(told(), times);
    }
    assert_eq!(changing.host.status()["reloads"], 0);

    // What was wrong before is wrong again.
    replace(&changing.path, b"no library");
    changing.wait_for_refusal("verify");
    fs::rename(&changing.path, &away).unwrap();
    changing.wait_for_refusal("read");
    fs::rename(&away, &changing.path).unwrap();
    changing.wait_for_refusal("verify");
}

#[test]
fn a_library_that_the_system_cannot_load_leaves_no_copy() {
    use std::os::unix::ffi::OsStrExt;
    let state = tempfile::tempdir().unwrap();
    let changing = Changing::start("count", &[("STATE_DIR", state.path().to_str().unwrap())]);
    let mut library = build(1);
    // A library that it needs gets a name that nothing has.
    let at = library.windows(9).position(|window| window == b"libgcc_s.").unwrap();
    library[at + 7] = b'x';
    replace(&changing.path, &library);
    let message = changing.wait_for_refusal("load");
    assert!(message.contains("libgcc_x"), "{message}");
    let mut folders = fs::read_dir(&state).unwrap().map(|entry| entry.unwrap().path());
    let private = folders.find(|path| path.is_dir()).unwrap();
    let copies = fs::read_dir(private).unwrap().map(Result::unwrap);
    assert_eq!(copies.filter(|copy| copy.file_name().as_bytes().ends_with(b".so")).count(), 1);
}

#[test]
fn a_half_written_file_is_left_until_it_is_whole() {
    let changing = Changing::start("versioned", &[("TRIGGER", "timer")]);
    let library = build(1);
    let beside = changing.path.with_extension("part");
    let mut file = fs::File::create(&beside).unwrap();
    file.write_all(&library[..library.len() / 2]).unwrap();
    fs::rename(&beside, &changing.path).unwrap();
    let message = changing.wait_for_refusal("verify");
    assert!(message.contains("damaged or cut off"), "{message}");
    file.write_all(&library[library.len() / 2..]).unwrap();
    wait_for("the whole version", || changing.redis.output().filter(|output| output["build"] == "build-0000000001"));
    assert_eq!(changing.host.status()["reloads"], 1);
}

#[test]
fn a_file_that_is_overwritten_in_place_is_taken_once_it_stays_as_it_is() {
    let changing = Changing::start("versioned", &[("TRIGGER", "timer")]);
    fs::write(&changing.path, build(7)).unwrap();
    wait_for("the new version", || changing.redis.output().filter(|output| output["build"] == "build-0000000007"));
    assert_eq!(changing.host.status()["failed_reloads"], json!({}));
}

#[test]
fn a_period_of_zero_never_looks() {
    let changing = Changing::start("versioned", &[("TRIGGER", "timer"), ("RELOAD_PERIOD", "0")]);
    replace(&changing.path, &build(1));
    let now = changing.redis.sequence();
    changing.redis.wait_for_sequence(now + 50);
    assert_eq!(changing.redis.output().unwrap()["build"], "build-0000000000");
    let threads = fs::read_dir(format!("/proc/{}/task", changing.host.worker())).unwrap().flatten();
    let names: Vec<_> = threads.filter_map(|thread| fs::read_to_string(thread.path().join("comm")).ok()).collect();
    assert!(!names.iter().any(|name| name == "reload\n"), "{names:?}");
}

/// Bytes of memory that a process uses, and of its mappings of private copies.
fn memory(pid: u32) -> (u64, u64) {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let resident = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    let resident: u64 = resident.trim().trim_end_matches(" kB").parse().unwrap();
    let maps = fs::read_to_string(format!("/proc/{pid}/maps")).unwrap();
    let mapped = maps.lines().filter(|line| line.contains("plugin-host-private-")).map(|line| {
        let (from, to) = line.split(' ').next().unwrap().split_once('-').unwrap();
        u64::from_str_radix(to, 16).unwrap() - u64::from_str_radix(from, 16).unwrap()
    });
    (resident * 1024, mapped.sum())
}

#[test]
fn a_thousand_reloads_lose_no_call_and_count_none_twice() {
    const RELOADS: usize = 1000;
    let changing = Changing::start(
        "versioned",
        &[
            ("TRIGGER", "timer"),
            ("MONITORING_PERIOD", "0.001"),
            ("RELOAD_PERIOD", "0.005"),
            ("HISTORY_LENGTH", "10000000"),
            ("RUST_LOG", "warn"),
        ],
    );
    changing.redis.wait_for_sequence(1);
    let before = memory(changing.host.worker());
    for number in 1..=RELOADS {
        replace(&changing.path, &build(number));
        let build = format!("build-{number:010}");
        wait_for(&build, || changing.redis.output().filter(|output| output["build"] == build.as_str()));
    }
    let after = memory(changing.host.worker());
    let status = changing.host.status();
    assert_eq!(status["failures"], 0);
    let (mapped, restarts) = (&status["mapped_libraries"], &status["restarts"]);
    assert!(mapped.as_u64() < Some(200), "{mapped} libraries stay mapped: the worker was not replaced in time");
    assert!(restarts["libraries"].as_u64() > Some(4), "{restarts}");
    assert!(changing.host.stop().success());

    let results = changing.redis.whole_history();
    assert_eq!((switches(&results), &results.last().unwrap()["build"]), (RELOADS, &json!("build-0000001000")));

    let (grown, mapped) = (after.0.saturating_sub(before.0), after.1.saturating_sub(before.1));
    println!("{} calls; resident memory grew by {grown} bytes, {mapped} are mapped", results.len());
    assert!(grown <= mapped + (4 << 20), "resident memory grew by {grown} bytes, but only {mapped} are mapped");
}
