//! What the dashboard and the rules of `k8s/components/monitoring` ask for, and what docs/reference.md lists, is what a
//! running host tells at `/metrics`.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod cluster;
mod support;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;

use cluster::manifest::Manifest;
use cluster::{at, list, text_at};
use serde_json::{Value, json};
use support::redis::Redis;
use support::{root, wait_for};

/// The base and the component, and nothing else.
const OVERLAY: &str = "resources: [../../base]\ncomponents: [../../components/monitoring]\n";

/// Each metric that a host tells, as it is asked for, with its kind.
fn told() -> BTreeMap<String, String> {
    let redis = Redis::start();
    let host = redis.host("sum", &[("REDIS_INPUT_KEY", "in:*"), ("REDIS_OUTPUT_KEY", "out:*")]);
    redis.pipeline([["SET", "in:a", r#"{"add": 1}"#].map(str::to_owned).to_vec()]);
    let metrics = wait_for("metrics of a call", || {
        let (code, text) = host.get("/metrics")?;
        (code == 200 && text.contains("plugin_host_calls_total 1\n") && text.contains("\nplugin_host_envs 1\n"))
            .then_some(text)
    });
    let families = metrics.lines().filter_map(|line| line.strip_prefix("# TYPE ")?.split_once(' '));
    let asked_for = |(name, kind): (&str, &str)| {
        let name = match kind {
            "counter" => format!("{name}_total"),
            "info" => format!("{name}_info"),
            _ => name.to_owned(),
        };
        (name, kind.to_owned())
    };
    families.map(asked_for).collect()
}

/// The metrics that a text names, those of a histogram's parts as the histogram.
fn named(text: &str) -> BTreeSet<String> {
    let words = text.split(|letter: char| !(letter.is_ascii_alphanumeric() || letter == '_'));
    let metrics = words.filter(|word| word.starts_with("plugin_host_"));
    let whole = |metric: &str| {
        let of_histogram = ["_seconds_bucket", "_seconds_sum", "_seconds_count"];
        match of_histogram.into_iter().find_map(|end| metric.strip_suffix(end)) {
            Some(name) => format!("{name}_seconds"),
            None => metric.to_owned(),
        }
    };
    metrics.map(whole).collect()
}

#[test]
fn dashboard_rules_and_page_name_the_metrics_that_a_host_tells() {
    let told = told();
    let names: BTreeSet<_> = told.keys().cloned().collect();
    assert!(names.len() > 10, "{names:?}");

    let page = fs::read_to_string(root().join("docs/reference.md")).unwrap();
    let rows = page.lines().filter_map(|line| line.strip_prefix("| `plugin_host_")?.split_once("` | "));
    let listed = rows.map(|(name, rest)| (format!("plugin_host_{name}"), rest.split(' ').next().unwrap().to_owned()));
    assert_eq!(listed.collect::<BTreeMap<_, _>>(), told, "the page's table");

    let Some(monitoring) = Manifest::build_of(OVERLAY) else { return };
    let dashboard = text_at(monitoring.object("ConfigMap", "plugin-host-dashboard"), "data/plugin-host.json");
    assert_eq!(named(dashboard), names, "the dashboard");
    let rules = monitoring.object("PrometheusRule", "plugin-host").to_string();
    assert!(named(&rules).is_subset(&names) && named(&rules).len() > 3, "{:?}", named(&rules));
}

#[test]
fn the_dashboard_is_one_that_grafanas_sidecar_finds_and_its_panels_lie_side_by_side() {
    let Some(monitoring) = Manifest::build_of(OVERLAY) else { return };
    let config_map = monitoring.object("ConfigMap", "plugin-host-dashboard");
    assert_eq!(config_map["metadata"]["labels"]["grafana_dashboard"], "1");
    let dashboard: Value = serde_json::from_str(text_at(config_map, "data/plugin-host.json")).unwrap();
    let (mut ids, mut covered) = (BTreeSet::new(), BTreeSet::new());
    for panel in list(&dashboard, "panels") {
        assert!(ids.insert(panel["id"].as_u64().unwrap()), "{}: its number is another one's", panel["title"]);
        assert!(list(panel, "targets").all(|target| target["datasource"]["uid"] == "${datasource}"));
        let [x, y, w, h] = ["x", "y", "w", "h"].map(|part| at(panel, &format!("gridPos/{part}")).as_u64().unwrap());
        assert!(x + w <= 24);
        for place in (x..x + w).flat_map(|x| (y..y + h).map(move |y| (x, y))) {
            assert!(covered.insert(place), "{} lies on another one", panel["title"]);
        }
    }
}

#[test]
fn prometheus_finds_each_host_and_may_ask_it() {
    let Some(monitoring) = Manifest::build_of(OVERLAY) else { return };
    let monitor = monitoring.object("ServiceMonitor", "plugin-host");
    let service = monitoring.object("Service", "plugin-host");
    let wanted = at(monitor, "spec/selector/matchLabels").as_object().unwrap();
    assert!(!wanted.is_empty() && wanted.iter().all(|(name, value)| service["metadata"]["labels"][name] == *value));
    let endpoint = at(monitor, "spec/endpoints/0");
    assert_eq!(endpoint["path"], "/metrics");
    let port = list(service, "spec/ports").find(|port| port["name"] == endpoint["port"]).unwrap();
    let container = at(monitoring.object("Deployment", "plugin-host"), "spec/template/spec/containers/0");
    let port = list(container, "ports").find(|named| named["name"] == port["targetPort"]).unwrap();
    let policy = monitoring.object("NetworkPolicy", "plugin-host");
    let expected = json!({
        "from": [{"namespaceSelector": {}}],
        "ports": [{"port": port["containerPort"], "protocol": "TCP"}],
    });
    assert!(list(policy, "spec/ingress").any(|rule| *rule == expected), "{policy:#}");
    // What the rules call the job.
    let job = at(service, "metadata/labels")[text_at(monitor, "spec/jobLabel")].as_str().unwrap();
    assert!(monitoring.object("PrometheusRule", "plugin-host").to_string().contains(&format!(r#"job=\"{job}\""#)));
}
