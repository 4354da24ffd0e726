//! The ConfigMaps of the course, as the specification deploys them, with the Python runtime's own handler.

use std::fs;

use super::manifest::Manifest;
use crate::support::root;

/// Of task 1.
pub const OUTPUT_KEY: &str = "\
apiVersion: v1
kind: ConfigMap
metadata:
  name: outputkey
data:
  REDIS_OUTPUT_KEY: 2025720437-proj3-output
";

/// Of task 3, without the ZIP that it may name instead of the module.
pub const RUNTIME: &str = r#"
apiVersion: v1
kind: ConfigMap
metadata:
  name: runtime-config
data:
  REDIS_INPUT_KEY: "metrics"           # Chave de entrada
  MONITORING_PERIOD: "5"               # Segundos
  HANDLER_FUNCTION: "handler_module.handler"  # Função
"#;

/// The source of the handler, of task 1.
pub fn handler() -> String {
    fs::read_to_string(root().join("bench/peer/handler_module.py")).unwrap()
}

/// `pyfile` with this source.
pub fn pyfile(source: &str) -> String {
    let lines: String = source.lines().map(|line| format!("    {line}\n")).collect();
    format!("apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: pyfile\ndata:\n  pyfile: |\n{lines}")
}

/// The overlay with the ConfigMaps of task 1, and those besides, as they lie in the cluster then; none, with a word why,
/// where there is no kubectl.
pub fn deployed(besides: &[&str]) -> Option<Manifest> {
    let pyfile = pyfile(&handler());
    let config_maps = [pyfile.as_str(), OUTPUT_KEY].into_iter().chain(besides.iter().copied());
    Some(config_maps.fold(Manifest::build("course-python")?, Manifest::with))
}
