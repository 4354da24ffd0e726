//! A cluster of one node, as far as a test can be one: the manifests as they are built, and pods made of them.

#![allow(dead_code, reason = "each test file uses its own part of it")]

pub mod course;
pub mod image;
pub mod manifest;
pub mod node;
pub mod pod;
pub mod redis;

/// The value at a path of names and numbers, such as `spec/template`; null where there is none.
pub fn at<'v>(value: &'v serde_json::Value, path: &str) -> &'v serde_json::Value {
    value.pointer(&format!("/{path}")).unwrap_or(&serde_json::Value::Null)
}

/// The values of a list; none where there is no list.
pub fn list<'v>(value: &'v serde_json::Value, path: &str) -> impl Iterator<Item = &'v serde_json::Value> {
    at(value, path).as_array().into_iter().flatten()
}

/// A text that has to be there.
pub fn text_at<'v>(value: &'v serde_json::Value, path: &str) -> &'v str {
    at(value, path).as_str().unwrap_or_else(|| panic!("no {path} in {value:#}"))
}
