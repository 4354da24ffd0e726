//! `plugin-host dev`: where inputs come from, what makes it call, and what it shows of each call.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use support::dev::{Crate, Dev, calls};
use support::redis::Redis;
use support::{plugin_host, text, wait_for};

/// A crate whose handler says what it got and how many calls there were.
fn telling(name: &str) -> Crate {
    let plugin = Crate::new(name);
    plugin.write("Ok(plugin_api::json!({\"got\": _input, \"calls\": context.env, \"same\": true}))");
    fs::write(plugin.folder.path().join("inputs.jsonl"), "1\n\"two\"\n{\"n\": [3]}\n").unwrap();
    plugin
}

/// What is said to flags that can't be.
fn refused(plugin: &Crate, arguments: &[&str]) -> String {
    let output = plugin_host().arg("dev").arg(plugin.folder.path()).args(arguments).output().unwrap();
    assert_eq!(output.status.code(), Some(2), "{arguments:?}: {}", text(&output.stderr));
    text(&output.stderr)
}

#[test]
fn each_result_is_shown_with_what_changed_and_what_the_call_took() {
    let plugin = telling("showing");
    let mut dev = plugin.dev(&["--period", "60", "--rate", "20"]);
    let first = dev.wait_for("  calls 1  got 1  same true  (");
    assert!(first.ends_with(", env 1 B)") && first.contains(" µs, env"), "{first}");
    dev.wait_for("  *calls 2  *got \"two\"  same true  (");
    dev.wait_for("  *calls 3  +got.n [3]  same true  -got  (");
    dev.wait_for("  *calls 4  +got 1  same true  -got.n  (");
    assert!(!dev.said().iter().any(|line| line.contains('\x1b')), "colours go to a terminal only");
    plugin.write("Err(\"no luck\")?");
    let failed = dev.wait_for("the handler returned an error: no luck");
    assert!(failed.ends_with(" µs)"), "{failed}");
    dev.stop();
}

#[test]
fn a_terminal_gets_colours_unless_they_are_not_wanted() {
    let plugin = telling("colouring");
    let store = format!("sqlite:{}", plugin.folder.path().join("dev.db").display());
    let on_a_terminal = |variables: &[(&str, &str)]| {
        let mut command = Command::new("script");
        let dev = format!("exec '{}' dev --period 0.05 --store {store}", env!("CARGO_BIN_EXE_plugin-host"));
        command.args(["--quiet", "--flush", "--command", &dev, "/dev/null"]).env_remove("NO_COLOR");
        command.env_remove("CARGO_TERM_COLOR");
        plugin.start({
            command.envs(variables.iter().copied());
            command
        })
    };
    let mut dev: Dev = on_a_terminal(&[]);
    dev.wait_for("\x1b[1;36m*got \"two\"\x1b[0m  same true  (");
    // cargo shows errors as it always does on a terminal.
    plugin.write("Ok(undefined)");
    let error = dev.wait_for("cannot find value");
    assert!(error.contains("\x1b["), "{error:?}");
    drop(dev);
    plugin.write("Ok(plugin_api::json!({\"got\": _input}))");
    let mut dev = on_a_terminal(&[("NO_COLOR", "1")]);
    dev.wait_for("  *got \"two\"  (");
}

#[test]
fn poll_and_timer_work_on_the_file() {
    let plugin = telling("polling");
    let input = plugin.folder.path().join("numbers");
    fs::write(&input, "1\n1\n2\n2\n").unwrap();
    let input = input.to_str().unwrap();
    let mut dev = plugin.dev(&["--trigger", "poll", "--period", "0.02", "--rate", "20", "--input", input]);
    dev.wait_for("calls 1  got 1");
    for _ in 0..3 {
        // Equal bytes are not called again.
        dev.wait_for("  *got 2  ");
        dev.wait_for("  *got 1  ");
    }
    assert!(!dev.said().iter().any(|line| line.contains("  *calls") && !line.contains("  *got")), "{:#?}", dev.said());
    dev.stop();

    let mut dev = plugin.dev(&["--trigger", "timer"]);
    let first = dev.wait_for("got null");
    assert_eq!(calls(&dev.wait_for("got null")), calls(&first) + 1);
    dev.stop();

    let stream = refused(&plugin, &["--trigger", "stream"]);
    assert!(stream.contains("--trigger: a SQLite file has no streams: name a Redis"), "{stream}");
    let timer = refused(&plugin, &["--trigger", "timer", "--rate", "2", "--input", "inputs.jsonl"]);
    assert!(timer.contains("2 faults") && timer.contains("--rate: a timer takes no inputs"), "{timer}");
    assert!(refused(&plugin, &["--rate", "0"]).contains("is no number of events a second"));
    assert!(refused(&plugin, &["--store", "redis://:secret@localhost"]).contains("a flag with a password"));
}

#[test]
fn push_and_stream_work_on_a_redis() {
    let plugin = telling("pushing");
    let redis = Redis::start();
    let url = redis.server.url();
    let mut dev = plugin.dev_at(&["--store", &url, "--trigger", "push", "--period", "60", "--rate", "10"]);
    dev.wait_for("calls 1");
    dev.wait_for("*calls 2");
    // Whoever writes the key makes it call.
    redis.write("\"from elsewhere\"");
    dev.wait_for("got \"from elsewhere\"");
    dev.stop();

    redis.cli(&["del", "{metrics-output}:env"]);
    let input = plugin.folder.path().join("numbers");
    fs::write(&input, "1\n2\n\"fail\"\n3\n").unwrap();
    plugin.write("if _input == \"fail\" { Err(\"on purpose\")? }\n Ok(plugin_api::json!({\"got\": _input, \"calls\": context.env}))");
    let input = input.to_str().unwrap();
    let mut dev = plugin.dev_at(&["--store", &url, "--trigger", "stream", "--rate", "50", "--input", input]);
    for line in ["calls 1  got 1  (", "*calls 2  *got 2  (", "an error: on purpose", "*calls 3  *got 3  (", "*got 1  ("]
    {
        dev.wait_for(line);
    }
    let entries: u64 = redis.cli(&["xlen", "{metrics-output}:inputs"]).parse().unwrap();
    assert!(entries >= 5, "{entries}");
    let aside: u64 = redis.cli(&["xlen", "{metrics-output}:dead"]).parse().unwrap();
    assert!(aside >= 1, "an entry whose call failed is set aside");
    dev.stop();
}

/// A folder with the program and, where it has a text, a viewer. (What this process itself writes can't be started while
/// a child that another test has just forked holds it open.)
fn installed(plugin: &Crate, viewer: Option<&str>) -> tempfile::TempDir {
    fs::create_dir_all(&plugin.target).unwrap();
    let folder = tempfile::tempdir_in(&plugin.target).unwrap();
    fs::hard_link(env!("CARGO_BIN_EXE_plugin-host"), folder.path().join("plugin-host")).unwrap();
    if let Some(script) = viewer {
        let write = "printf %s \"$1\" > plugin-viewer && chmod 755 plugin-viewer";
        let written = Command::new("sh").args(["-c", write, "sh", script]).current_dir(&folder).status().unwrap();
        assert!(written.success());
    }
    folder
}

/// The folders of the path without those that hold a viewer.
fn path_without_viewer() -> std::ffi::OsString {
    let path = std::env::var_os("PATH").unwrap();
    let folders = std::env::split_paths(&path).filter(|folder| !folder.join("plugin-viewer").exists());
    std::env::join_paths(folders).unwrap()
}

#[test]
fn the_viewer_is_opened_on_the_same_store_and_ends_with_dev() {
    let plugin = telling("viewing");
    let said = plugin.folder.path().join("viewer-was-given");
    let script = format!("#!/bin/sh\necho $$ \"$@\" > '{0}.new'\nmv '{0}.new' '{0}'\nexec sleep 600\n", said.display());
    let dev = |program: &Path, arguments: &[&str]| {
        let mut command = Command::new(program.join("plugin-host"));
        command.args(["dev", "--viewer", "--period", "0.05"]).args(arguments).env("PATH", path_without_viewer());
        plugin.start(command)
    };
    let folder = installed(&plugin, Some(&script));
    let mut running = dev(folder.path(), &["--store", "sqlite:dev.db"]);
    running.wait_for("calls 1");
    let given = wait_for("the viewer", || fs::read_to_string(&said).ok());
    let (pid, given) = given.trim().split_once(' ').unwrap();
    assert_eq!(given, "--store sqlite:dev.db --output-key metrics-output --input-key metrics --period 0.05");
    running.stop();
    let started = Instant::now();
    while Path::new("/proc").join(pid).exists() {
        assert!(started.elapsed() < Duration::from_secs(20), "the viewer stays");
        std::thread::sleep(Duration::from_millis(10));
    }

    let folder = installed(&plugin, None);
    let mut running = dev(folder.path(), &["--store", "sqlite:dev.db"]);
    running.wait_for("plugin-viewer is neither beside this program nor on the PATH");
    running.wait_for("calls ");
    running.stop();
}
