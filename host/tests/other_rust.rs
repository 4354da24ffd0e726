//! Plugins and hosts that different Rust compilers have built work together. The other compiler is Debian's `rustc-web`,
//! which `ci/other-rust` unpacks beside the one that builds this.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::json;
use support::{build, invoke, plugin, results_of_versions, root, text};

/// Another Rust.
struct OtherRust {
    folder: PathBuf,
    /// What it is, as `rustc --version` says.
    version: String,
}

impl OtherRust {
    /// The one in `OTHER_RUST`, a folder, or in `/opt/rust-web`; none, with the reason told, where there is none.
    fn find() -> Option<OtherRust> {
        let folder = env::var_os("OTHER_RUST").map_or_else(|| PathBuf::from("/opt/rust-web"), PathBuf::from);
        let version = |command: &mut Command| {
            let output = command.arg("--version").output().ok().filter(|output| output.status.success())?;
            Some(text(&output.stdout).trim().to_owned())
        };
        let own = version(&mut Command::new(env::var_os("RUSTC").unwrap_or_else(|| "rustc".into())));
        let mut rust = OtherRust { folder, version: String::new() };
        let Some(other) = version(rust.reached(&mut Command::new(rust.rustc()))) else {
            eprintln!("skipped: there is no other Rust in {}: ci/other-rust unpacks one", rust.folder.display());
            return None;
        };
        if own.as_ref() == Some(&other) {
            eprintln!("skipped: the other Rust is {other} as well");
            return None;
        }
        rust.version = other;
        Some(rust)
    }

    fn rustc(&self) -> PathBuf {
        self.folder.join("usr/bin/rustc")
    }

    /// Lets a command find its libraries.
    fn reached<'a>(&self, command: &'a mut Command) -> &'a mut Command {
        let libraries = self.folder.join(format!("usr/lib/{}-linux-gnu", env::consts::ARCH));
        command.env("LD_LIBRARY_PATH", libraries)
    }

    /// Builds a package with it; gives the folder of what was built.
    fn build(&self, package: &str) -> PathBuf {
        let target = Path::new(env!("CARGO_BIN_EXE_plugin-host")).parent().unwrap().join("../tests/other-rust");
        let output = self
            .reached(&mut Command::new(env!("CARGO")))
            .args(["build", "--quiet", "-p", package])
            .current_dir(root())
            .env("RUSTC", self.rustc())
            .env_remove("RUSTC_WRAPPER")
            .env_remove("RUSTFLAGS")
            .env("CARGO_TARGET_DIR", &target)
            .env("CARGO_PROFILE_DEV_DEBUG", "0")
            .output()
            .unwrap();
        assert!(output.status.success(), "{} does not build {package}: {}", self.version, text(&output.stderr));
        target.join("debug")
    }
}

const LINES: &[u8] =
    b"{\"add\": 1}\n{\"add\": 10, \"then\": \"fail\"}\n{\"add\": 10, \"then\": \"panic\"}\n{\"add\": 2}\n";

fn check(output: &std::process::Output) {
    let told = text(&output.stderr);
    assert_eq!(text(&output.stdout), "{\"calls\":1,\"sum\":1.0}\n{\"calls\":2,\"sum\":3.0}\n", "{told}");
    assert!(
        told.contains("line 2: the handler returned an error: the machine is broken: the disk is on fire"),
        "{told}"
    );
    assert!(told.contains("line 3: the handler panicked at host/tests/fixture/src/lib.rs:"), "{told}");
}

#[test]
fn a_plugin_of_another_rust_works_in_this_host_and_env_goes_on() {
    let Some(rust) = OtherRust::find() else { return };
    let library = rust.build("fixture").join("libfixture.so");
    let inspected = support::plugin_host().arg("inspect").arg(&library).args(["--handler", "sum"]).output().unwrap();
    let release = rust.version.split(' ').nth(1).unwrap();
    assert!(text(&inspected.stdout).contains(release), "{}", text(&inspected.stdout));
    check(&invoke(&library, "sum", LINES));

    let results = results_of_versions(&[build(1), fs::read(library).unwrap(), build(2)]);
    let calls: Vec<_> = results.iter().map(|result| &result["calls"]).collect();
    assert_eq!(json!(calls), json!([1, 2, 3]));
}

/// It builds a whole host, so `make test-other-rust` runs it.
#[test]
#[ignore = "it builds the host once more: make test-other-rust"]
fn a_host_of_another_rust_takes_this_plugin() {
    let Some(rust) = OtherRust::find() else { return };
    let host = rust.build("host").join("plugin-host");
    let folder = tempfile::tempdir().unwrap();
    let input = folder.path().join("input");
    fs::write(&input, LINES).unwrap();
    let mut command = Command::new(host);
    command.arg("invoke").arg(plugin("fixture")).args(["--handler", "sum", "--input"]).arg(input);
    check(&command.output().unwrap());
}
