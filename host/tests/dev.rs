//! `plugin-host dev`: builds a crate, prints its results, and takes up changes of its source while it runs.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use std::fs;
use std::path::Path;

use store::{Address, Credentials, Keys, Store};
use support::dev::{Crate, calls};
use support::{plugin_host, root, text};

#[test]
fn a_change_of_the_source_changes_the_results_without_a_restart() {
    let plugin = Crate::new("changing");
    plugin.write("Ok(plugin_api::json!({\"total\": _input[\"virtual_memory-total\"], \"calls\": context.env}))");
    let mut dev = plugin.dev(&[]);
    dev.wait_for("writes to metrics-output in sqlite:");
    assert_eq!(calls(&dev.wait_for("calls ")), 1);
    let line = dev.wait_for("calls ");
    let before = calls(&line);
    let total = line.split_once("total ").and_then(|(_, rest)| rest.split_whitespace().next()?.parse::<u64>().ok());
    assert!(total.unwrap() > 1 << 20, "these are not this machine's figures: {line}");

    plugin.write("Ok(plugin_api::json!({\"new\": true, \"calls\": context.env}))");
    dev.wait_for("goes on with the new build of changing");
    let after = dev.wait_for("new true");
    assert!(calls(&after) > before, "env did not go on: {after}");

    plugin.write("Ok(undefined)");
    dev.wait_for("error[E0425]: cannot find value `undefined` in this scope");
    dev.wait_for(" --> src/lib.rs:4:5");
    dev.wait_for("4 |  Ok(undefined)");
    dev.wait_for("  |     ^^^^^^^^^ not found in this scope");
    dev.wait_for("not built; waiting for a change of the source");
    dev.wait_for("new true");

    plugin.write("panic!(\"at {}\", context.env)");
    dev.wait_for("goes on with the new build");
    let panicked = dev.wait_for("the handler panicked at src/lib.rs:4:2: at ");
    assert!(panicked.ends_with(" µs)"), "{panicked}");

    plugin.write("Ok(plugin_api::json!({\"mended\": context.env}))");
    dev.wait_for("mended ");
    let panics = dev.said().iter().filter(|line| **line == panicked).count();
    assert_eq!(panics, 1, "a failure is told once");
    dev.stop();
}

#[test]
fn the_results_lie_in_the_sqlite_file_and_each_start_begins_anew() {
    let plugin = Crate::new("starting");
    fs::write(plugin.folder.path().join("inputs.jsonl"), "{\"n\": 1}\n\n{\"n\": 2}\n").unwrap();
    plugin.write("Ok(plugin_api::json!({\"got\": _input[\"n\"], \"calls\": context.env}))");
    let mut dev = plugin.dev_at(&[]);
    for got in ["got 1", "got 2", "got 1"] {
        dev.wait_for(got);
    }
    dev.stop();

    let file = plugin.target.join("plugin-host/dev.db");
    let store = Store::new(Address::sqlite(file), Credentials::default());
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let input = runtime.block_on(store.read("metrics")).unwrap().unwrap();
    assert!(text(&input).starts_with("{\"n\": "), "{}", text(&input));
    let saved = runtime.block_on(store.saved(&Keys::of("metrics-output").unwrap())).unwrap().unwrap();
    assert!(saved.sequence >= 3);

    let input = plugin.folder.path().join("other.jsonl");
    fs::write(&input, "{\"n\": 9}").unwrap();
    let mut dev = plugin.dev_at(&["--input", input.to_str().unwrap()]);
    assert_eq!(calls(&dev.wait_for("got 9")), 1);
    dev.stop();
}

#[test]
fn what_is_no_plugin_crate_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let dev = |folder: &Path| plugin_host().arg("dev").arg(folder).output().unwrap();
    for (folder, said) in [
        (folder.path().to_owned(), "name the folder of the plugin's Cargo.toml"),
        (root(), "is a workspace, not a crate"),
        (root().join("store"), "set crate-type = [\"cdylib\"]"),
    ] {
        let output = dev(&folder);
        assert_eq!(output.status.code(), Some(1));
        assert!(text(&output.stderr).contains(said), "{}", text(&output.stderr));
    }
}
