//! The manifests of `k8s/` and the program can't drift apart: pods made of them run here and give results, and what they
//! say is what the program knows.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod cluster;
mod support;

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use cluster::manifest::{Identity, Manifest, SOME_POD};
use cluster::node::on_a_node;
use cluster::pod::{Files, Pod, only_container};
use cluster::redis::{Outside, ask, result, try_ask};
use cluster::{at, image, list, text_at};
use serde_json::{Value, json};
use support::{plugin, plugin_host, root, text, wait_for};

const OVERLAYS: [&str; 6] = ["course", "course-python", "fleet", "stream", "stream-hpa", "trial"];

/// An overlay, with what has to be in the cluster besides.
fn deployed(overlay: &str) -> Option<Manifest> {
    match overlay {
        "course-python" => cluster::course::deployed(&[cluster::course::RUNTIME]),
        _ => Manifest::build(overlay),
    }
}

/// The input and the result that the specification shows.
const INPUT: &str = include_str!("../../plugins/metrics/data/sample.json");

#[test]
fn a_host_of_the_course_overlay_gives_the_specifications_result_under_its_names() {
    let Some(course) = Manifest::build("course") else { return };
    let address = "192.168.121.48";
    let test = "a_host_of_the_course_overlay_gives_the_specifications_result_under_its_names";
    on_a_node(test, &[address], build_plugins, |_| {
        assert_eq!(course.object("ConfigMap", "runtime-config")["data"]["REDIS_HOST"], address);
        let redis = Outside::start();
        let library = std::fs::read(plugin("metrics")).unwrap();
        let files = Files::from([("plugin", vec![("libmetrics.so".to_owned(), library.clone())])]);
        let mut host = Pod::start(&course, "plugin-host", &image::plugin_host(), &files, "127.0.0.1 localhost\n");
        wait_for("a host that lives", || host.probe("startupProbe").filter(|code| *code == 200));
        wait_for("a host that lives", || host.probe("livenessProbe").filter(|code| *code == 200));
        host.wait_until_ready();
        host.assert_confined();

        ask(&redis.url, &["SET", "metrics", INPUT]);
        let output = wait_for("a result", || result(&redis.url, "2025720437-proj3-output"));
        assert_eq!(output["percent-network-egress"], 20.0);
        assert_eq!(output["avg-util-cpu0-60sec"], 45.5);

        // A new version, with the old one's state: whatever follows a library in its file is another content.
        let newer = [library.as_slice(), b"newer"].concat();
        host.update("plugin", &[("libmetrics.so", &newer)]);
        wait_for("the new version", || Some(()).filter(|()| host.status()["reloads"] == 1));
        ask(&redis.url, &["SET", "metrics", &INPUT.replace("45.5", "46.5")]);
        wait_for("its result", || {
            result(&redis.url, "2025720437-proj3-output").filter(|output| output["avg-util-cpu0-60sec"] == 46.0)
        });

        let (most, limit) = host.memory();
        println!("course: {most} KiB at most, of {limit} KiB");
        assert!(most < limit);
        assert_eq!(host.stop().code(), Some(0));
    });
}

#[test]
fn the_trial_overlay_makes_percentages_of_its_node_and_goes_on_with_a_new_password() {
    let Some(trial) = Manifest::build("trial") else { return };
    let test = "the_trial_overlay_makes_percentages_of_its_node_and_goes_on_with_a_new_password";
    on_a_node(test, &[], build_plugins, |_| {
        let files = Files::from([("redis", vec![("password".to_owned(), b"first".to_vec())])]);
        let redis = Pod::start(&trial, "redis", &image::redis(), &files, "127.0.0.1 localhost\n");
        let hosts = &format!("127.0.0.1 localhost\n{} redis\n", redis.address());
        let url = |password: &str| format!("redis://:{password}@{}:6379", redis.address());
        wait_for("a Redis with the Secret's password", || try_ask(&url("first"), &["PING"]));
        assert!(
            try_ask(&format!("redis://{}:6379", redis.address()), &["PING"]).is_none(),
            "a Redis without a password"
        );
        redis.assert_confined();

        let (plugin_host, report) = (image::plugin_host(), format!("report:{}", SOME_POD.node));
        let mut pods =
            ["plugin-host-collector", "plugin-host"].map(|name| Pod::start(&trial, name, &plugin_host, &files, hosts));
        for pod in &pods {
            pod.wait_until_ready();
            pod.assert_confined();
        }
        let output = wait_for("a result", || result(&url("first"), &report));
        assert!(output["num_cpus_monitored"].as_u64().unwrap() > 0, "{output}");
        let figures = result(&url("first"), &format!("metrics:{}", SOME_POD.node)).unwrap();
        assert!(figures["virtual_memory-total"].as_u64().unwrap() > 0);

        // A Secret changes, and with it the server's password; no pod is made anew.
        pods.iter_mut().for_each(|pod| pod.update("redis", &[("password", b"second")]));
        ask(&url("first"), &["CONFIG", "SET", "requirepass", "second"]);
        ask(&url("second"), &["CLIENT", "KILL", "TYPE", "normal"]);
        let before = output["timestamp"].clone();
        wait_for("a result after it", || {
            result(&url("second"), &report).filter(|output| output["timestamp"] != before)
        });

        for pod in pods {
            let (most, limit) = pod.memory();
            println!("trial: {most} KiB at most, of {limit} KiB");
            assert!(most < limit);
            assert_eq!(pod.stop().code(), Some(0));
        }
    });
}

/// Where a Redis outside of the cluster is for the pods.
const OUTSIDE: &str = "10.87.0.1";

#[test]
fn the_fleet_overlay_reports_on_each_node_as_its_figures_come() {
    let Some(fleet) = Manifest::build("fleet") else { return };
    let test = "the_fleet_overlay_reports_on_each_node_as_its_figures_come";
    on_a_node(test, &[OUTSIDE], build_plugins, |_| {
        let redis = Outside::with_password("secret");
        let files = Files::from([("redis", vec![("password".to_owned(), b"secret".to_vec())])]);
        let (image, hosts) = (image::plugin_host(), &format!("127.0.0.1 localhost\n{OUTSIDE} redis\n"));
        let host = Pod::start(&fleet, "plugin-host", &image, &files, hosts);
        host.wait_until_ready();
        // One after another, since both have the node's network, and here that is the same one.
        for node in ["node-1", "node-2"] {
            let identity = Identity { node, ..SOME_POD };
            let collector = Pod::start_as(identity, &fleet, "plugin-host-collector", &image, &files, hosts);
            let report = wait_for("a report", || result(&redis.url, &format!("report:{node}")));
            assert!(report["num_cpus_monitored"].as_u64().unwrap() > 0, "{report}");
            assert_eq!(collector.stop().code(), Some(0));
        }
        let status = wait_for("two keys", || Some(host.status()).filter(|status| status["keys"] == 2));
        assert_eq!(status["trigger"], "push", "sooner than its period of a minute");
        assert_eq!(host.stop().code(), Some(0));
    });
}

#[test]
fn of_two_pods_of_the_fleet_one_works_and_the_other_stands_by_ready_until_the_first_has_ended() {
    let Some(fleet) = Manifest::build("fleet") else { return };
    let test = "of_two_pods_of_the_fleet_one_works_and_the_other_stands_by_ready_until_the_first_has_ended";
    on_a_node(test, &[OUTSIDE], build_plugins, |_| {
        let redis = Outside::with_password("secret");
        let files = Files::from([("redis", vec![("password".to_owned(), b"secret".to_vec())])]);
        let (image, hosts) = (image::plugin_host(), &format!("127.0.0.1 localhost\n{OUTSIDE} redis\n"));
        let start = |pod| {
            let pod = Pod::start_as(Identity { pod, ..SOME_POD }, &fleet, "plugin-host", &image, &files, hosts);
            pod.wait_until_ready();
            pod
        };
        let state = |pod: &Pod, state| wait_for(state, || (pod.status()["state"] == state).then_some(()));
        let first = start("plugin-host-1");
        state(&first, "running");
        let second = start("plugin-host-2");
        state(&second, "standby");
        second.assert_confined();
        ask(&redis.url, &["SET", "metrics:web", INPUT]);
        wait_for("a result", || result(&redis.url, "report:web"));
        assert_eq!((&first.status()["calls"], &second.status()["calls"]), (&1.into(), &0.into()));
        assert_eq!(second.probe("readinessProbe"), Some(200));

        assert_eq!(first.stop().code(), Some(0));
        ask(&redis.url, &["SET", "metrics:web", &INPUT.replace("45.5", "46.5")]);
        wait_for("a result with the env of the first", || {
            result(&redis.url, "report:web").filter(|output| output["avg-util-cpu0-60sec"] == 46.0)
        });
        state(&second, "running");
        assert_eq!(second.stop().code(), Some(0));
    });
}

#[test]
fn the_stream_overlays_consumers_share_a_group_and_go_on_with_their_envs() {
    let Some(stream) = Manifest::build("stream") else { return };
    let test = "the_stream_overlays_consumers_share_a_group_and_go_on_with_their_envs";
    on_a_node(test, &[OUTSIDE], build_plugins, |_| {
        let redis = Outside::with_password("secret");
        let library = std::fs::read(plugin("metrics")).unwrap();
        let files = Files::from([
            ("redis", vec![("password".to_owned(), b"secret".to_vec())]),
            ("plugin", vec![("libmetrics.so".to_owned(), library)]),
        ]);
        let (image, hosts) = (image::plugin_host(), &format!("127.0.0.1 localhost\n{OUTSIDE} redis\n"));
        let start = |pod| {
            let pod = Pod::start_as(Identity { pod, ..SOME_POD }, &stream, "plugin-host", &image, &files, hosts);
            pod.wait_until_ready();
            pod.assert_confined();
            pod
        };
        let number = |words: &[&str]| -> u64 { redis::from_redis_value(ask(&redis.url, words)).unwrap() };
        let commits = |pod: &str| -> u64 {
            let sequence = ask(&redis.url, &["HGET", &format!("{{metrics-output}}:env:{pod}"), "sequence"]);
            redis::from_redis_value::<Option<u64>>(sequence).unwrap().unwrap_or(0)
        };
        let results = || number(&["XLEN", "{metrics-output}:history"]);
        let append = || drop(ask(&redis.url, &["XADD", "events", "*", "data", INPUT]));

        let first = start("plugin-host-0");
        let second = start("plugin-host-1");
        let mut entries = 0;
        wait_for("work for both", || {
            append();
            entries += 1;
            (commits("plugin-host-0") > 0 && commits("plugin-host-1") > 0).then_some(())
        });
        wait_for("a result of each entry", || (results() == entries).then_some(()));

        // The one that a smaller number takes away ends in order; back again, it is who it was.
        assert_eq!(second.stop().code(), Some(0));
        assert_eq!(first.stop().code(), Some(0));
        let before = commits("plugin-host-1");
        append();
        let second = start("plugin-host-1");
        wait_for("the next result", || (results() == entries + 1).then_some(()));
        assert_eq!(commits("plugin-host-1"), before + 1);
        assert_eq!(second.stop().code(), Some(0));
    });
}

#[test]
fn each_scaler_scales_what_there_is_by_what_it_reads() {
    let Some(stream) = Manifest::build("stream") else { return };
    let [scaled] = stream.objects("ScaledObject").collect::<Vec<_>>().try_into().unwrap();
    let target = at(scaled, "spec/scaleTargetRef");
    let consumers = stream.object(text_at(target, "kind"), text_at(target, "name"));
    let container = only_container(at(consumers, "spec/template"));
    let variables: BTreeMap<_, _> = stream.variables(container, SOME_POD).into_iter().collect();
    let trigger = at(scaled, "spec/triggers/0/metadata");
    assert_eq!(trigger["stream"], variables["REDIS_INPUT_KEY"]);
    assert!(text_at(trigger, "address").starts_with(&format!("{}.", variables["REDIS_HOST"])));
    let group = variables.get("STREAM_GROUP").map_or("plugin-host", String::as_str);
    assert_eq!(trigger["consumerGroup"], group, "the group that the pods read by");
    let help = text(&plugin_host().args(["run", "--help"]).output().unwrap().stdout);
    let (_, of_group) = help.split_once("STREAM_GROUP").unwrap();
    assert!(of_group.starts_with("=]") || of_group.contains("[default: plugin-host]"), "{of_group}");
    let login = stream.object("TriggerAuthentication", text_at(scaled, "spec/triggers/0/authenticationRef/name"));
    assert_eq!(
        at(login, "spec/secretTargetRef/0/name"),
        at(consumers, "spec/template/spec/volumes/1/secret/secretName")
    );

    let hpa = Manifest::build("stream-hpa").unwrap();
    let scaler = hpa.object("HorizontalPodAutoscaler", "plugin-host");
    assert_eq!(at(scaler, "spec/scaleTargetRef"), target);
    for (overlay, scalers) in [(&stream, 1), (&hpa, 1)] {
        let kinds = ["ScaledObject", "HorizontalPodAutoscaler"];
        assert_eq!(kinds.iter().flat_map(|kind| overlay.objects(kind)).count(), scalers, "two would fight");
        // Who scales them says how many there are: applied again, a number would undo its work.
        assert!(at(overlay.object("StatefulSet", "plugin-host"), "spec/replicas").is_null());
    }
}

#[test]
fn each_variable_of_manifests_and_pages_is_one_that_the_program_knows() {
    let help = plugin_host().args(["run", "--help"]).output().unwrap();
    let known = capitals(&text(&help.stdout));
    assert!(known.contains("REDIS_PASSWORD_FILE") && !known.contains("HANDLER"));
    for overlay in OVERLAYS {
        let Some(manifest) = deployed(overlay) else { return };
        for template in pods_of_plugin_host(&manifest) {
            let container = only_container(template);
            let written = format!("{container}");
            for (name, _) in manifest.variables(container, SOME_POD) {
                let for_others = written.contains(&format!("$({name})"));
                assert!(known.contains(&name) || for_others, "{overlay}: the program has no {name}");
            }
        }
    }
    for page in ["kubernetes.md", "move-from-python.md", "survival.md"] {
        let text = std::fs::read_to_string(root().join("docs").join(page)).unwrap();
        let mut named = capitals(&text);
        named.retain(|word| word.contains('_'));
        assert!(named.len() > 3);
        let unknown: Vec<_> = named.difference(&known).collect();
        assert!(unknown.is_empty(), "{page}: the program has no {unknown:?}");
    }
}

#[test]
fn pods_are_of_the_restricted_profile_and_the_collector_differs_by_its_network_only() {
    for overlay in OVERLAYS {
        let Some(manifest) = deployed(overlay) else { return };
        for (name, template) in manifest.pods() {
            let expected: &[&str] = match name {
                "plugin-host-collector" => &["the node's namespaces", "a probe of another host"],
                _ => &[],
            };
            assert_eq!(against_the_restricted_profile(template), expected, "{overlay}: {name}");
        }
    }
}

#[test]
fn pods_have_no_token_no_more_than_they_need_and_time_to_end() {
    for overlay in OVERLAYS {
        let Some(manifest) = deployed(overlay) else { return };
        for (name, template) in manifest.pods() {
            let (spec, container) = (&template["spec"], only_container(template));
            assert_eq!(spec["automountServiceAccountToken"], false, "{name}");
            assert_eq!(spec["enableServiceLinks"], false, "{name}");
            let account = manifest.object("ServiceAccount", text_at(spec, "serviceAccountName"));
            assert_eq!(account["automountServiceAccountToken"], false, "{name}");
            for kind in ["limits", "requests"] {
                assert!(at(container, &format!("resources/{kind}/memory")).is_string(), "{name}: {kind}");
                assert!(at(container, &format!("resources/{kind}/cpu")).is_string(), "{name}: {kind}");
            }
            let mounts: Vec<_> = list(container, "volumeMounts").collect();
            assert!(mounts.iter().all(|mount| mount["subPath"].is_null()), "{name}: a subPath is never renewed");
        }
        for template in pods_of_plugin_host(&manifest) {
            let container = only_container(template);
            // A call, the worker's end and the lease's.
            let variables: BTreeMap<_, _> = manifest.variables(container, SOME_POD).into_iter().collect();
            let a_call = variables.get("HANDLER_TIMEOUT").map_or(30, |seconds| seconds.parse().unwrap());
            assert!(at(template, "spec/terminationGracePeriodSeconds").as_u64().unwrap() > a_call + 6);
            let image = text_at(container, "image");
            let target = if overlay == "course-python" { "-python" } else { "" };
            assert_eq!(image, format!("plugin-host:{}{target}", env!("CARGO_PKG_VERSION")));
        }
    }
}

#[test]
fn a_new_pod_is_ready_before_the_old_one_goes_and_a_drain_leaves_a_host() {
    for (overlay, hosts) in [("course", 1), ("course-python", 1), ("fleet", 2), ("trial", 2)] {
        let Some(manifest) = deployed(overlay) else { return };
        let host = manifest.object("Deployment", "plugin-host");
        let rolling = json!({"type": "RollingUpdate", "rollingUpdate": {"maxUnavailable": 0, "maxSurge": 1}});
        assert_eq!((at(host, "spec/replicas"), at(host, "spec/strategy")), (&hosts.into(), &rolling), "{overlay}");
        // Where one host is all there is, a budget would only block the drain.
        let budgets: Vec<_> = manifest.objects("PodDisruptionBudget").collect();
        assert_eq!(budgets.len(), hosts - 1, "{overlay}");
        let apart = at(host, "spec/template/spec/topologySpreadConstraints/0");
        for budget in budgets {
            assert_eq!(at(budget, "spec/minAvailable"), 1);
            assert_eq!(at(budget, "spec/selector"), at(host, "spec/selector"));
            assert_eq!(at(apart, "labelSelector"), at(host, "spec/selector"));
            assert_eq!(apart["topologyKey"], "kubernetes.io/hostname");
        }
    }
    let Some(stream) = Manifest::build("stream") else { return };
    let consumers = stream.object("StatefulSet", "plugin-host");
    assert_eq!(at(consumers, "spec/podManagementPolicy"), "Parallel");
    assert_eq!(at(stream.object("PodDisruptionBudget", "plugin-host"), "spec/maxUnavailable"), 1);
}

#[test]
fn services_and_policies_find_their_pods() {
    for overlay in OVERLAYS {
        let Some(manifest) = deployed(overlay) else { return };
        let chosen = |selector: &Value| {
            let selector = selector.as_object().unwrap();
            let fits = |labels: &Value| selector.iter().all(|(name, value)| labels[name] == *value);
            let pods = manifest.pods().into_values();
            let pods: Vec<_> = pods.filter(|template| fits(at(template, "metadata/labels"))).collect();
            assert_eq!(pods.len(), 1, "{overlay}: {selector:?}");
            pods[0]
        };
        for service in manifest.objects("Service") {
            let port = at(service, "spec/ports/0/targetPort");
            let container = only_container(chosen(at(service, "spec/selector")));
            assert!(list(container, "ports").any(|named| named["name"] == *port), "{overlay}: {service}");
        }
        for policy in manifest.objects("NetworkPolicy") {
            chosen(at(policy, "spec/podSelector/matchLabels"));
        }
        // To Redis and to names, and nowhere else.
        let policy = manifest.object("NetworkPolicy", "plugin-host");
        let ports: Vec<_> = list(policy, "spec/egress").flat_map(|rule| list(rule, "ports")).collect();
        assert_eq!(ports.iter().map(|port| port["port"].as_u64().unwrap()).collect::<Vec<_>>(), [6379, 53, 53]);
        assert!(list(policy, "spec/egress").all(|rule| rule["to"].is_array()));
    }
}

#[test]
fn the_redis_for_trying_out_is_the_one_that_compose_starts() {
    let Some(trial) = Manifest::build("trial") else { return };
    let image = text_at(only_container(trial.pods()["redis"]), "image").to_owned();
    let compose = std::fs::read_to_string(root().join("compose.yaml")).unwrap();
    assert!(compose.contains(&image), "compose.yaml has no {image}");
}

/// The words of a text that are written as variables are.
fn capitals(text: &str) -> BTreeSet<String> {
    let words = text.split(|letter: char| !(letter.is_ascii_uppercase() || letter.is_ascii_digit() || letter == '_'));
    words.filter(|word| word.len() > 4).map(str::to_owned).collect()
}

/// The pods whose image is the program's.
fn pods_of_plugin_host(manifest: &Manifest) -> Vec<&Value> {
    let all = manifest.pods().into_values();
    all.filter(|template| text_at(only_container(template), "image").starts_with("plugin-host:")).collect()
}

/// What of a pod is not of the restricted profile of the Pod Security Standards.
fn against_the_restricted_profile(template: &Value) -> Vec<&'static str> {
    let (spec, container) = (&template["spec"], only_container(template));
    let pod = &spec["securityContext"];
    let own = &container["securityContext"];
    let set = |value: &Value| !value.is_null() && *value != false;
    let volumes = ["configMap", "secret", "emptyDir", "projected", "downwardAPI", "csi", "persistentVolumeClaim"];
    let of_kind = |volume: &Value| volumes.iter().any(|kind| volume.get(kind).is_some());
    let probes = ["startupProbe", "livenessProbe", "readinessProbe"];
    let faults = [
        ("the node's namespaces", ["hostNetwork", "hostPID", "hostIPC"].iter().any(|name| set(&spec[*name]))),
        ("privileged", set(&own["privileged"])),
        ("more privileges than its parent", own["allowPrivilegeEscalation"] != false),
        ("capabilities", own["capabilities"] != json!({"drop": ["ALL"]})),
        ("root", pod["runAsNonRoot"] != true || pod["runAsUser"] == 0 || set(&own["runAsUser"])),
        (
            "a seccomp profile of its own",
            at(pod, "seccompProfile/type") != "RuntimeDefault" || set(&own["seccompProfile"]),
        ),
        ("volumes of the node", !list(spec, "volumes").all(of_kind)),
        ("a port of the node", list(container, "ports").any(|port| set(&port["hostPort"]))),
        ("a probe of another host", probes.iter().any(|probe| set(&container[*probe]["httpGet"]["host"]))),
        ("a root that is written to", own["readOnlyRootFilesystem"] != true),
        ("init containers", set(&spec["initContainers"])),
    ];
    faults.into_iter().filter(|(_, is_there)| *is_there).map(|(fault, _)| fault).collect()
}

/// Cargo wants more than a node has.
fn build_plugins(_: &Path) {
    plugin("metrics");
}
