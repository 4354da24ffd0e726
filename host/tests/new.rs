//! `plugin-host new`: a crate that builds, passes clippy and its tests, and is called, without an edit.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use support::{plugin_host, root, text};

fn new(here: &Path, arguments: &[&str]) -> Output {
    plugin_host().arg("new").args(arguments).current_dir(here).output().unwrap()
}

#[test]
fn a_new_crate_builds_passes_clippy_and_its_tests_and_is_called() {
    let folder = tempfile::tempdir().unwrap();
    let output = new(folder.path(), &["mean-of-values", "--plugin-api", root().to_str().unwrap()]);
    assert!(output.status.success(), "{}", text(&output.stderr));
    assert!(text(&output.stdout).contains("\n$ cd mean-of-values\n$ plugin-host dev "), "{}", text(&output.stdout));
    let made = folder.path().join("mean-of-values");
    fs::copy(root().join("Cargo.lock"), made.join("Cargo.lock")).unwrap();
    let target = Path::new(env!("CARGO_BIN_EXE_plugin-host")).parent().unwrap().parent().unwrap();
    let cargo = |arguments: &[&str]| {
        let output = Command::new(env!("CARGO"))
            .args(arguments)
            .current_dir(&made)
            .env("CARGO_TARGET_DIR", target)
            .env("CARGO_NET_OFFLINE", "true")
            .output()
            .unwrap();
        assert!(output.status.success(), "{arguments:?}: {}", text(&output.stderr));
        text(&output.stdout)
    };
    cargo(&["build"]);
    cargo(&["clippy", "--all-targets", "--", "-D", "warnings"]);
    assert!(cargo(&["test"]).contains("2 passed"));
    cargo(&["fmt", "--check"]);

    let library = target.join("debug/libmean_of_values.so");
    let output =
        plugin_host().arg("invoke").arg(library).arg("--input").arg(made.join("inputs.jsonl")).output().unwrap();
    let readme = fs::read_to_string(made.join("README.md")).unwrap();
    assert!(
        readme.contains("\n$ plugin-host pack target/release/libmean_of_values.so --zip mean-of-values.zip "),
        "{readme}"
    );
    let results = "{\"count\":1,\"mean\":1.0}\n{\"count\":2,\"mean\":2.5}\n{\"count\":3,\"mean\":1.5}\n";
    assert_eq!(text(&output.stdout), results, "{}", text(&output.stderr));
}

#[test]
fn the_nearest_plugin_api_above_is_taken_and_named_from_the_new_crate() {
    let folder = tempfile::tempdir().unwrap();
    let here = folder.path().join("plugins/own");
    fs::create_dir_all(&here).unwrap();
    fs::create_dir(folder.path().join("plugin-api")).unwrap();
    fs::write(folder.path().join("plugin-api/Cargo.toml"), "[package]\nname = \"plugin-api\"\n").unwrap();
    let output = new(&here, &["first"]);
    assert!(output.status.success(), "{}", text(&output.stderr));
    let manifest = fs::read_to_string(here.join("first/Cargo.toml")).unwrap();
    assert!(manifest.contains("plugin-api = { path = \"../../../plugin-api\" }\n"), "{manifest}");
    assert!(here.join("first/../../../plugin-api/Cargo.toml").is_file());

    let named = |name: &str, place: &str, said: &str| {
        assert!(new(&here, &[name, "--plugin-api", place]).status.success());
        let manifest = fs::read_to_string(here.join(name).join("Cargo.toml")).unwrap();
        assert!(manifest.contains(&format!("plugin-api = {{ {said} }}\n")), "{manifest}");
    };
    named("second", "../../plugin-api", "path = \"../../../plugin-api\"");
    named("third", "https://example.org/plugin-host.git", "git = \"https://example.org/plugin-host.git\"");
}

#[test]
fn what_cannot_be_is_told_with_what_to_give_and_nothing_is_written() {
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir(folder.path().join("there")).unwrap();
    let api = root().join("plugin-api");
    let api = api.to_str().unwrap();
    for (arguments, said) in [
        (vec!["memory"], "say where it is, with --plugin-api"),
        (vec!["memory", "--plugin-api", "there"], "no crate plugin-api is there"),
        (vec!["there", "--plugin-api", api], "there is there already"),
        (vec!["../memory", "--plugin-api", api], "can't name a crate"),
        (vec!["Memory", "--plugin-api", api], "can't name a crate"),
        (vec!["serde", "--plugin-api", api], "take another one"),
        (vec!["fn", "--plugin-api", api], "take another one"),
    ] {
        let output = new(folder.path(), &arguments);
        assert_eq!(output.status.code(), Some(2), "{arguments:?}");
        assert!(text(&output.stderr).contains(said), "{said:?} is missing in {}", text(&output.stderr));
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1, "{arguments:?}");
    }
}
