//! The manifests of `k8s/`, built by kustomize and read.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::Command;

use serde_json::Value;

use super::node::run;
use super::{at, list, text_at};
use crate::support::{root, text};

/// Who a pod is, as the downward API tells it.
#[derive(Clone, Copy)]
pub struct Identity {
    pub node: &'static str,
    pub pod: &'static str,
}

/// A pod whose name says nothing, on the first node.
pub const SOME_POD: Identity = Identity { node: "node-1", pod: "some-pod" };

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

    /// Builds an overlay that is not in the repository, out of what is.
    pub fn build_of(kustomization: &str) -> Option<Manifest> {
        let folder = tempfile::tempdir().unwrap();
        run(Command::new("cp").arg("-r").arg(root().join("k8s")).arg(folder.path()));
        let mine = folder.path().join("k8s/overlays/mine");
        fs::create_dir(&mine).unwrap();
        fs::write(mine.join("kustomization.yaml"), kustomization).unwrap();
        Some(Manifest::read(&kubectl(&["kustomize"], &mine)?))
    }

    pub fn read(yaml: &str) -> Manifest {
        Manifest(serde_saphyr::from_multiple(yaml).unwrap())
    }

    /// These objects and those of another file.
    pub fn with(mut self, yaml: &str) -> Manifest {
        self.0.append(&mut Manifest::read(yaml).0);
        self
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
        let makers = ["Deployment", "DaemonSet", "StatefulSet"].into_iter().flat_map(|kind| self.objects(kind));
        makers.map(|maker| (text_at(maker, "metadata/name"), at(maker, "spec/template"))).collect()
    }

    /// What a container of a pod finds in its environment, as the kubelet makes it.
    pub fn variables(&self, container: &Value, of: Identity) -> Vec<(String, String)> {
        let mut variables: Vec<(String, String)> = Vec::new();
        let set = |variables: &mut Vec<(String, String)>, name: &str, value: String| {
            variables.retain(|(before, _)| before != name);
            variables.push((name.to_owned(), value));
        };
        for source in list(container, "envFrom") {
            let name = text_at(source, "configMapRef/name");
            let is_there = self.objects("ConfigMap").any(|object| at(object, "metadata/name") == name);
            if !is_there && at(source, "configMapRef/optional") == true {
                continue;
            }
            let config_map = self.object("ConfigMap", name);
            for (name, value) in config_map["data"].as_object().unwrap() {
                set(&mut variables, name, value.as_str().unwrap().to_owned());
            }
        }
        for variable in list(container, "env") {
            let name = text_at(variable, "name");
            let value = match variable["value"].as_str() {
                Some(value) => {
                    let named =
                        |value: String, (name, text): &(String, String)| value.replace(&format!("$({name})"), text);
                    let value = variables.iter().fold(value.to_owned(), named);
                    assert!(!value.contains("$("), "{name}={value} names what is not set before");
                    value
                }
                None => match self.told(&variable["valueFrom"], of) {
                    Some(value) => value,
                    None => continue,
                },
            };
            set(&mut variables, name, value);
        }
        variables
    }

    /// What a variable has from somewhere else; none where that need not be there, and is not.
    fn told(&self, source: &Value, of: Identity) -> Option<String> {
        if let Some(field) = at(source, "fieldRef/fieldPath").as_str() {
            return Some(match field {
                "spec.nodeName" => of.node.to_owned(),
                "metadata.name" => of.pod.to_owned(),
                _ => panic!("{field} is a field that pods here don't have"),
            });
        }
        let source = &source["configMapKeyRef"];
        let value = &self.object("ConfigMap", text_at(source, "name"))["data"][text_at(source, "key")];
        assert!(value.is_string() || source["optional"] == true, "there is no {source}");
        value.as_str().map(str::to_owned)
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
