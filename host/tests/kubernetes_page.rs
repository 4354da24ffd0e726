//! What docs/kubernetes.md says is done here, command by command, and what comes of it is run as a pod.
//!
//! There is no cluster: of what kubectl is given, what it would send is made and read (`apply`, `create secret`); what
//! can only be asked of a cluster is not run, and neither is what needs a Docker engine (ci/test-image does that).

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod cluster;
mod support;

use std::ffi::OsString;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use cluster::manifest::{Manifest, SOME_POD, kubectl};
use cluster::node::on_a_node;
use cluster::pod::{Files, Pod};
use cluster::redis::{Outside, ask, result};
use cluster::{at, image};
use serde_json::Value;
use support::{plugin, root, text, wait_for};

/// Stands before kubectl: keeps what would be sent to a cluster, and says what it does not run.
const KUBECTL: &str = r#"#!/usr/bin/env bash
set -euo pipefail
case "$*" in
"create secret generic "*) "$REPOSITORY/ci/kubectl" "$@" --dry-run=client --output yaml >"$APPLIED/secret.yaml" ;;
"apply --server-side -f -") cat >"$APPLIED/plugin.yaml" ;;
"apply --server-side -k "*) "$REPOSITORY/ci/kubectl" kustomize "$4" >"$APPLIED/$(basename "$4").yaml" ;;
"create namespace "* | "label namespace "* | "config set-context "* | "rollout status "* | "exec "* | "logs "* | \
    "get pods "* | "get scaledobject "* | "get hpa "* | "delete scaledobject "* | "port-forward "*) echo "not run, as it needs a cluster: kubectl $*" >&2 ;;
*) echo "kubectl $*: not a command that this test knows" >&2; exit 1 ;;
esac
"#;

/// The most bytes that a ConfigMap holds.
const CONFIG_MAP_MAX: usize = 1 << 20;

/// The blocks of a language on the page.
fn blocks(language: &str) -> Vec<String> {
    let page = fs::read_to_string(root().join("docs/kubernetes.md")).unwrap();
    let start = format!("```{language}\n");
    page.split(&start).skip(1).map(|part| part.split("```").next().unwrap().to_owned()).collect()
}

/// Runs every command of the page in the repository; what would be applied lies in the folder then.
fn run_the_page(applied: &Path) {
    let programs = tempfile::tempdir().unwrap();
    let shim = programs.path().join("kubectl");
    fs::write(&shim, KUBECTL).unwrap();
    fs::set_permissions(&shim, fs::Permissions::from_mode(0o755)).unwrap();
    let built = PathBuf::from(env!("CARGO_BIN_EXE_plugin-host"));
    let target = built.ancestors().nth(2).unwrap();
    let path = [programs.path(), built.parent().unwrap()].map(Path::as_os_str).join(&OsString::from(":"));
    let path = [path, std::env::var_os("PATH").unwrap()].join(&OsString::from(":"));
    let mut count = 0;
    for block in blocks("console") {
        for command in block.lines() {
            let command = command.strip_prefix("$ ").unwrap_or_else(|| panic!("no command: {command}"));
            if command.starts_with("make image") || command.starts_with("kind ") {
                eprintln!("not run, as it needs a Docker engine: {command}");
                continue;
            }
            let command = command.replace("target/release", &format!("{}/release", target.display()));
            let said = Command::new("bash")
                .args(["-euo", "pipefail", "-c", &command])
                .current_dir(root())
                .env("PATH", &path)
                .env("CARGO_TARGET_DIR", target)
                .env("REPOSITORY", root())
                .env("APPLIED", applied)
                .output()
                .unwrap();
            assert!(said.status.success(), "{command}: {}", text(&said.stderr));
            eprint!("{}", text(&said.stderr));
            count += 1;
        }
    }
    assert!(count > 10, "the page has no commands");
}

/// The object that was applied.
fn read(path: &Path, kind: &str) -> Value {
    let manifest = Manifest::read(&fs::read_to_string(path).unwrap());
    manifest.objects(kind).next().unwrap().clone()
}

/// The files that a ConfigMap or Secret gives a volume.
fn files(object: &Value) -> Vec<(String, Vec<u8>)> {
    let data = ["data", "binaryData"].into_iter().filter_map(|data| object[data].as_object()).flatten();
    data.map(|(name, value)| (name.clone(), STANDARD.decode(value.as_str().unwrap()).unwrap())).collect()
}

#[test]
fn the_pages_commands_bring_a_plugin_into_a_pod_that_gives_results() {
    // Whether there is a kubectl.
    if kubectl(&["kustomize"], &root().join("k8s/base")).is_none() {
        return;
    }
    let test = "the_pages_commands_bring_a_plugin_into_a_pod_that_gives_results";
    let prepare = |applied: &Path| {
        plugin("metrics");
        run_the_page(applied);
    };
    on_a_node(test, &["192.168.121.48"], prepare, |applied| {
        let course = Manifest::read(&fs::read_to_string(applied.join("course.yaml")).unwrap());
        let config_map = read(&applied.join("plugin.yaml"), "ConfigMap");
        assert_eq!(at(&config_map, "metadata/name"), "plugin");
        let packed = files(&config_map);
        assert!(packed.iter().map(|(_, bytes)| bytes.len()).sum::<usize>() <= CONFIG_MAP_MAX);

        let redis = Outside::start();
        let hosts = "127.0.0.1 localhost\n";
        let host = Pod::start(&course, "plugin-host", &image::plugin_host(), &Files::from([("plugin", packed)]), hosts);
        host.wait_until_ready();
        ask(&redis.url, &["SET", "metrics", include_str!("../../plugins/metrics/data/sample.json")]);
        let output = wait_for("a result", || result(&redis.url, "2025720437-proj3-output"));
        assert_eq!(output["percent-memory-cache"], 15.62);

        let secret = read(&applied.join("secret.yaml"), "Secret");
        assert_eq!(at(&secret, "metadata/name"), "redis");
        assert!(matches!(files(&secret).as_slice(), [(name, password)] if name == "password" && password.len() == 48));
    });
}

#[test]
fn the_pages_overlay_builds_and_says_what_the_page_says() {
    let [overlay] = blocks("yaml").try_into().unwrap();
    let Some(manifest) = Manifest::build_of(&overlay) else { return };
    let host = manifest.object("Deployment", "plugin-host");
    assert_eq!(at(host, "metadata/namespace"), "functions");
    let container = at(host, "spec/template/spec/containers/0");
    assert_eq!(container["image"], "registry.example/plugin-host:0.1.0");
    let variables = manifest.variables(container, SOME_POD);
    for (name, value) in [("REDIS_INPUT_KEY", "orders"), ("REDIS_OUTPUT_KEY", "order-totals"), ("TRIGGER", "push")] {
        assert!(variables.contains(&(name.to_owned(), value.to_owned())), "{variables:?}");
    }
    let policy = manifest.object("NetworkPolicy", "plugin-host");
    assert_eq!(at(policy, "spec/egress/0/to/0/podSelector/matchLabels/app"), "redis");
    manifest.object("NetworkPolicy", "plugin-host-download");
}
