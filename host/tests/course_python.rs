//! The course's own ConfigMaps, as they are, make a pod of the overlay `course-python` that gives the specification's result.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod cluster;
mod support;

use std::path::Path;

use cluster::course::{RUNTIME, deployed};
use cluster::manifest::Manifest;
use cluster::node::on_a_node;
use cluster::pod::{Files, Pod};
use cluster::redis::{Outside, ask, result};
use cluster::{image, text_at};
use serde_json::{Value, json};
use support::{plugin, wait_for};

/// The input that the specification shows.
const INPUT: &str = include_str!("../../plugins/metrics/data/sample.json");

const OUTPUT_KEY: &str = "2025720437-proj3-output";

/// The result that it shows for it.
fn shown() -> Value {
    json!({
        "percent-network-egress": 20.0,
        "percent-memory-cache": 15.62,
        "avg-util-cpu0-60sec": 45.5,
        "avg-util-cpu1-60sec": 32.1,
        "timestamp": "2025-11-30T10:30:00",
        "num_cpus_monitored": 2
    })
}

/// A pod that works, with the files of its ConfigMap, and a result of it.
fn gives_what_is_shown(course: &Manifest) -> (Outside, Pod) {
    let redis = Outside::start();
    let pyfile = text_at(course.object("ConfigMap", "pyfile"), "data/pyfile").to_owned();
    let files = Files::from([("pyfile", vec![("pyfile".to_owned(), pyfile.into_bytes())])]);
    let image = image::with_python().unwrap();
    let host = Pod::start(course, "plugin-host", &image, &files, "127.0.0.1 localhost\n");
    host.wait_until_ready();
    host.assert_confined();
    ask(&redis.url, &["SET", "metrics", INPUT]);
    assert_eq!(wait_for("a result", || result(&redis.url, OUTPUT_KEY)), shown());
    (redis, host)
}

#[test]
fn the_default_runtimes_config_maps_give_the_specifications_result() {
    let Some(course) = deployed(&[]) else { return };
    let test = "the_default_runtimes_config_maps_give_the_specifications_result";
    if image::with_python().is_none() {
        return;
    }
    on_a_node(test, &["192.168.121.48"], build, |_| {
        let (redis, mut host) = gives_what_is_shown(&course);
        let status = host.status();
        assert_eq!((&status["trigger"], &status["period"]), (&json!("poll"), &json!(5.0)));

        // A new version of the module goes on with the old one's state, in the same pod.
        let newer = format!("{}\n# Newer.\n", cluster::course::handler());
        host.update("pyfile", &[("usermodule.py", newer.as_bytes())]);
        wait_for("the new version", || (host.status()["restarts"] == json!({"new-version": 1})).then_some(()));
        ask(&redis.url, &["SET", "metrics", &INPUT.replace("45.5", "46.5")]);
        wait_for("its result", || {
            result(&redis.url, OUTPUT_KEY).filter(|output| output["avg-util-cpu0-60sec"] == 46.0)
        });
        let (most, limit) = host.memory();
        println!("course-python: {most} KiB at most, of {limit} KiB");
        assert!(most < limit);
        assert_eq!(host.stop().code(), Some(0));
    });
}

#[test]
fn the_customised_runtimes_config_maps_give_it_too() {
    let Some(course) = deployed(&[RUNTIME]) else { return };
    let test = "the_customised_runtimes_config_maps_give_it_too";
    if image::with_python().is_none() {
        return;
    }
    on_a_node(test, &["192.168.121.48"], build, |_| {
        let (_redis, host) = gives_what_is_shown(&course);
        assert!(host.log().contains("asks for \"handler_module\", but the only one is"), "{}", host.log());
        assert_eq!(host.stop().code(), Some(0));
    });
}

/// Cargo wants more than a node has.
fn build(_: &Path) {
    plugin("python_handler");
}
