//! Results as they are expected, a line each: what of a result differs, and where in it.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result};
use serde_json::Value;

/// What is expected, line by line.
pub(super) struct Expected {
    lines: std::vec::IntoIter<Vec<u8>>,
    tolerance: f64,
}

impl Expected {
    /// Reads a file of results. Numbers may differ by `tolerance` times the larger one.
    pub(super) fn read(path: &Path, tolerance: f64) -> Result<Expected> {
        let text = fs::read(path).with_context(|| format!("can't read what is expected, {}", path.display()))?;
        let lines = text.split(|byte| *byte == b'\n').map(<[u8]>::trim_ascii).filter(|line| !line.is_empty());
        Ok(Expected { lines: lines.map(<[u8]>::to_vec).collect::<Vec<_>>().into_iter(), tolerance })
    }

    /// What differs between the next line and a result.
    pub(super) fn compare(&mut self, result: &[u8]) -> Vec<String> {
        let Some(line) = self.lines.next() else { return vec!["there is a result where none was expected".to_owned()] };
        let mut differences = Vec::new();
        match (serde_json::from_slice(&line), serde_json::from_slice(result)) {
            (Ok(expected), Ok(result)) => compare(&expected, &result, self.tolerance, "", &mut differences),
            _ if line == result => {}
            _ => differences.push(format!("{} where {} was expected", shown(result), shown(&line))),
        }
        differences
    }

    /// Passes over the result that an input would have given that failed.
    pub(super) fn pass(&mut self) {
        self.lines.next();
    }

    /// How many results are expected besides.
    pub(super) fn missing(&self) -> usize {
        self.lines.len()
    }
}

fn compare(expected: &Value, result: &Value, tolerance: f64, path: &str, differences: &mut Vec<String>) {
    let place = || if path.is_empty() { String::new() } else { format!("{path}: ") };
    match (expected, result) {
        (Value::Object(expected), Value::Object(result)) => {
            let field = |name: &str| if path.is_empty() { name.to_owned() } else { format!("{path}.{name}") };
            for (name, expected) in expected {
                match result.get(name) {
                    Some(result) => compare(expected, result, tolerance, &field(name), differences),
                    None => differences.push(format!("{}: nothing where {expected} was expected", field(name))),
                }
            }
            for (name, result) in result.iter().filter(|(name, _)| !expected.contains_key(*name)) {
                differences.push(format!("{}: {result} where nothing was expected", field(name)));
            }
        }
        (Value::Array(expected), Value::Array(result)) => {
            for (index, (expected, result)) in expected.iter().zip(result).enumerate() {
                compare(expected, result, tolerance, &format!("{path}[{index}]"), differences);
            }
            if expected.len() != result.len() {
                let (are, were) = (result.len(), expected.len());
                differences.push(format!("{}{are} elements where {were} were expected", place()));
            }
        }
        _ if expected == result || is_close(expected, result, tolerance) => {}
        _ => differences.push(format!("{}{result} where {expected} was expected", place())),
    }
}

/// Whether two numbers differ by no more than the tolerance times the larger one.
fn is_close(expected: &Value, result: &Value, tolerance: f64) -> bool {
    let (Some(expected), Some(result)) = (expected.as_f64(), result.as_f64()) else { return false };
    (expected - result).abs() <= tolerance * expected.abs().max(result.abs())
}

fn shown(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}
