//! What the machine under a host can lack.

use std::os::unix::fs::PermissionsExt;

use super::support::redis::Redis;
use super::support::{Host, plugin, plugin_host, text};
use super::{Disk, host, wait_for_sum};

#[test]
fn a_temporary_folder_that_is_missing_is_made() {
    let redis = Redis::start();
    let folder = tempfile::tempdir().unwrap();
    let missing = folder.path().join("a").join("b");
    let _host = host(&redis, &[("TMPDIR", missing.to_str().unwrap())]);
    redis.write(r#"{"add": 1}"#);
    wait_for_sum(&redis, 1.0);
}

#[test]
fn a_folder_that_cannot_be_written_to_is_named() {
    if rustix::process::geteuid().is_root() {
        println!("skipped: root may write everywhere");
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    std::fs::set_permissions(folder.path(), std::fs::Permissions::from_mode(0o500)).unwrap();
    let said = plugin_host()
        .args(["run", "--output-key", "out", "--http", "off", "--plugin"])
        .arg(plugin("fixture_faulty"))
        .arg("--state-dir")
        .arg(folder.path().join("x"))
        .output()
        .unwrap();
    assert_eq!(said.status.code(), Some(1));
    assert!(text(&said.stderr).contains("set STATE_DIR to another folder"), "{}", text(&said.stderr));
}

#[test]
fn a_file_system_that_is_read_only_is_named_and_another_one_is_enough() {
    let Some(disk) = Disk::mount() else {
        println!("skipped: this user may not mount a file system");
        return;
    };
    disk.remount("ro");
    let redis = Redis::start();
    redis.write(r#"{"add": 1}"#);
    let url = redis.server.url();
    let said = plugin_host()
        .args(["run", "--output-key", "out", "--http", "off", "--handler", "fault", "--store", &url, "--plugin"])
        .arg(plugin("fixture_faulty"))
        .env("TMPDIR", disk.path())
        .output()
        .unwrap();
    assert_eq!(said.status.code(), Some(1));
    let said = text(&said.stderr);
    assert!(said.contains("set STATE_DIR to another folder") && said.contains("Read-only file system"), "{said}");
    assert!(redis.output().is_none());

    let state = tempfile::tempdir().unwrap();
    let variables = [("TMPDIR", disk.path().to_str().unwrap()), ("STATE_DIR", state.path().to_str().unwrap())];
    let _host = host(&redis, &variables);
    assert_eq!(wait_for_sum(&redis, 1.0)["calls"], 1);
}

#[test]
fn no_password_is_told_anywhere() {
    let redis = Redis::start();
    let secret = "a-secret-that-nobody-may-see";
    redis.cli(&["acl", "setuser", "host", "on", &format!(">{secret}"), "~*", "&*", "+@all"]);
    let url = redis.server.url().replace("redis://", &format!("redis://host:{secret}@"));
    let variables = [("STORE_URL", url.as_str()), ("HANDLER_FUNCTION", "fault"), ("RUST_LOG", "trace")];
    let host = Host::start(&plugin("fixture_faulty"), &variables);
    redis.write(r#"{"add": 1, "then": "segfault"}"#);
    super::wait_for_dead(&redis, 1);
    let mut told = host.log();
    told.extend(["/status", "/metrics", "/readyz", "/livez"].map(|path| host.get(path).unwrap().1));
    told.push(redis.status().unwrap().to_string());
    for pid in [host.pid(), host.worker()] {
        told.push(text(&std::fs::read(format!("/proc/{pid}/cmdline")).unwrap()));
    }
    for name in ["run", "worker", "dead", "invoke", "healthcheck"] {
        told.push(text(&plugin_host().args([name, "--help"]).env("STORE_URL", &url).output().unwrap().stdout));
    }
    let leak = told.iter().find(|told| told.contains(secret));
    assert!(leak.is_none(), "{leak:?}");
}

#[test]
fn a_link_in_the_state_folder_leads_nowhere() {
    let redis = Redis::start();
    let folder = tempfile::tempdir().unwrap();
    let state = folder.path().to_str().unwrap();
    let host = host(&redis, &[("STATE_DIR", state)]);
    host.wait_until_ready();
    let mut paths = std::fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().path());
    let file = paths.find(|path| path.is_file()).unwrap();
    assert!(host.stop().success());
    let precious = folder.path().join("precious");
    std::fs::write(&precious, "nothing else has this").unwrap();
    std::os::unix::fs::symlink(&precious, &file).unwrap();
    let said = plugin_host()
        .args(["run", "--output-key", "out", "--http", "off", "--handler", "fault", "--state-dir", state, "--plugin"])
        .arg(plugin("fixture_faulty"))
        .output()
        .unwrap();
    assert_eq!(said.status.code(), Some(1));
    assert!(text(&said.stderr).contains("set STATE_DIR to another folder"), "{}", text(&said.stderr));
    assert_eq!(std::fs::read_to_string(&precious).unwrap(), "nothing else has this");
}
