//! The manifests of `k8s/`, built by kustomize and read.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;

use serde_json::Value;

use super::{at, list, text_at};
use crate::support::{root, text};

/// The node that pods of a test are on.
pub const NODE: &str = "node-1";

/// The exit code of `ci/kubectl` where no kubectl can be had.
const UNAVAILABLE: i32 = 69;

/// All objects of an overlay.
pub struct Manifest(Vec<Value>);

impl Manifest {
    /// Builds an overlay of this repository; none, with a word why, where there is no kubectl.
    pub fn build(overlay: &str) -> Option<Manifest> {
        let built = kubectl(&["kustomize"], &root().join("k8s/overlays").join(overlay))?;
        Some(Manifest::read(&built))
    }

    pub fn read(yaml: &str) -> Manifest {
        Manifest(serde_saphyr::from_multiple(yaml).unwrap())
    }

    pub fn objects(&self, kind: &str) -> impl Iterator<Item = &Value> {
        self.0.iter().filter(move |object| object["kind"] == kind)
    }

    pub fn object(&self, kind: &str, name: &str) -> &Value {
        let found = self.objects(kind).find(|object| at(object, "metadata/name") == name);
        found.unwrap_or_else(|| panic!("there is no {kind} {name}"))
    }

    /// The pod templates, by the name of what makes pods of them.
    pub fn pods(&self) -> BTreeMap<&str, &Value> {
        let makers = ["Deployment", "DaemonSet"].into_iter().flat_map(|kind| self.objects(kind));
        makers.map(|maker| (text_at(maker, "metadata/name"), at(maker, "spec/template"))).collect()
    }

    /// What a container of a pod finds in its environment, as the kubelet makes it.
    pub fn variables(&self, container: &Value) -> Vec<(String, String)> {
        let mut variables: Vec<(String, String)> = Vec::new();
        let mut set = |name: &str, value: String| {
            variables.retain(|(before, _)| before != name);
            variables.push((name.to_owned(), value));
        };
        for source in list(container, "envFrom") {
            let config_map = self.object("ConfigMap", text_at(source, "configMapRef/name"));
            for (name, value) in config_map["data"].as_object().unwrap() {
                set(name, value.as_str().unwrap().to_owned());
            }
        }
        let mut node = None;
        for variable in list(container, "env") {
            let name = text_at(variable, "name");
            let value = match variable["value"].as_str() {
                Some(value) => match node {
                    Some(node) => value.replace(&format!("$({node})"), NODE),
                    None => value.to_owned(),
                },
                None => {
                    assert_eq!(text_at(variable, "valueFrom/fieldRef/fieldPath"), "spec.nodeName");
                    node = Some(name);
                    NODE.to_owned()
                }
            };
            assert!(!value.contains("$("), "{name}={value} names what is not set before");
            set(name, value);
        }
        variables
    }
}

/// Runs kubectl on a folder and gives what it prints; none, with a word why, where there is no kubectl.
pub fn kubectl(arguments: &[&str], folder: &Path) -> Option<String> {
    let said = Command::new(root().join("ci/kubectl")).args(arguments).arg(folder).output().unwrap();
    if said.status.code() == Some(UNAVAILABLE) {
        eprintln!("skipped: {}", text(&said.stderr).lines().last().unwrap_or_default());
        return None;
    }
    assert!(said.status.success(), "{}", text(&said.stderr));
    Some(text(&said.stdout))
}
