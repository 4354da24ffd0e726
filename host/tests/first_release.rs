//! A plugin as it was built when plugin-api 0.1.0 was new loads for ever: `first-release/make` says how the library came to
//! be, and nothing builds it again.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use std::fs;
use std::path::PathBuf;

use serde_json::json;
use support::{build, invoke, plugin_host, results_of_versions, root, text};

/// The library; none where it can't run.
fn library() -> Option<PathBuf> {
    if cfg!(all(target_os = "linux", target_arch = "x86_64", target_env = "gnu")) {
        return Some(root().join("host/tests/first-release/libfixture-x86_64.so"));
    }
    eprintln!("skipped: the library of the first release is for Linux with glibc on x86_64");
    None
}

#[test]
fn a_plugin_of_the_first_release_is_called_and_its_failures_are_told() {
    let Some(library) = library() else { return };
    let inspected = plugin_host().arg("inspect").arg(&library).args(["--handler", "sum"]).output().unwrap();
    let told = text(&inspected.stdout);
    assert!(inspected.status.success() && told.contains("0.1.0"), "{told}{}", text(&inspected.stderr));

    let lines = [
        r#"{"add": 1, "then": "log"}"#,
        r#"{"add": 10, "then": "fail"}"#,
        r#"{"add": 10, "then": "panic"}"#,
        r#"{"add": 10, "then": "spoilenv"}"#,
        r#"{"add": "ten"}"#,
        r#"{"add": 2}"#,
    ];
    let output = invoke(&library, "sum", lines.join("\n").as_bytes());
    assert_eq!(text(&output.stdout), "{\"calls\":1,\"sum\":1.0}\n{\"calls\":2,\"sum\":3.0}\n");
    let told = text(&output.stderr);
    for said in [
        "WARN adding 1 plugin=\"fixture\" handler=\"sum\" module=\"fixture\"",
        "line 2: the handler returned an error: the machine is broken: the disk is on fire",
        "line 3: the handler panicked at host/tests/fixture/src/lib.rs:",
        "line 4: the env can't be kept: sum: JSON has no form for the number NaN",
        "line 5: the input can't be read: add: invalid type: string \"ten\", expected f64",
    ] {
        assert!(told.contains(said), "{said:?} is missing in {told}");
    }
    assert_eq!(invoke(&library, "echo", b"\xff\x00 raw").stdout, b"\xff\x00 raw\n");
}

#[test]
fn env_goes_from_todays_build_to_the_first_release_and_back() {
    let Some(library) = library() else { return };
    let results = results_of_versions(&[build(1), fs::read(library).unwrap(), build(2)]);
    for (turn, build) in ["build-0000000001", "build-0000000000", "build-0000000002"].into_iter().enumerate() {
        assert_eq!(results[turn], json!({"build": build, "calls": turn + 1}));
    }
}
