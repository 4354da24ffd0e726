//! Writes the manifest of a ConfigMap.

use std::fmt::Write;

use anyhow::{Result, bail};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::File;
use crate::command::CONFIG_MAP_MAX;

/// The manifest, with each file as binary data.
///
/// # Errors
///
/// A name that Kubernetes refuses, or more than a ConfigMap may hold.
pub(super) fn manifest(files: &[File], name: &str) -> Result<String> {
    if !is_object_name(name) {
        bail!("{name:?} can't be a ConfigMap's name: small letters, digits, - and . only, at most 253");
    }
    if let Some(file) = files.iter().find(|file| !is_key(&file.name)) {
        bail!(
            "{} can't be in a ConfigMap as {:?}: it holds no folders, and names of letters, digits, -, _ and . only; \
             make a ZIP instead (--zip)",
            file.source.display(),
            file.name
        );
    }
    let size: usize = files.iter().map(|file| file.bytes.len()).sum();
    if size > CONFIG_MAP_MAX {
        bail!(
            "{size} bytes are more than a ConfigMap holds ({CONFIG_MAP_MAX}): make a ZIP (--zip FILE) and put that in \
             the ConfigMap or on a server (ZIP_URL), or build the plugin smaller: opt-level = \"s\", lto = true and \
             strip = true in the release profile"
        );
    }
    let mut manifest = format!("apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: {name:?}\nbinaryData:\n");
    for file in files {
        // Writing to a string can't fail.
        writeln!(manifest, "  {:?}: {:?}", file.name, STANDARD.encode(&file.bytes)).ok();
    }
    Ok(manifest)
}

/// What Kubernetes takes for an object's name: a DNS subdomain (RFC 1123).
fn is_object_name(name: &str) -> bool {
    let small = |letter: u8| letter.is_ascii_lowercase() || letter.is_ascii_digit();
    let label = |label: &str| {
        label.bytes().all(|letter| small(letter) || letter == b'-')
            && label.bytes().next().is_some_and(small)
            && label.bytes().last().is_some_and(small)
    };
    name.len() <= 253 && name.split('.').all(label)
}

/// What Kubernetes takes for a key of a ConfigMap.
fn is_key(key: &str) -> bool {
    let taken = |letter: u8| letter.is_ascii_alphanumeric() || b"-_.".contains(&letter);
    !key.is_empty() && key.len() <= 253 && key.bytes().all(taken) && !key.starts_with("..") && key != "."
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(name: &str, size: usize) -> File {
        File { name: name.to_owned(), source: name.into(), bytes: vec![b'x'; size] }
    }

    #[test]
    fn the_limit_is_kubernetes_own() {
        assert!(manifest(&[file("a", CONFIG_MAP_MAX - 1), file("b", 1)], "m").is_ok());
        let error = manifest(&[file("a", CONFIG_MAP_MAX), file("b", 1)], "m").unwrap_err().to_string();
        assert!(error.contains("--zip") && error.contains("opt-level = \"s\""), "{error}");
    }

    #[test]
    fn names_that_kubernetes_refuses_are_refused() {
        for name in ["", "Upper", "under_score", "-a", "a-", "a..b", &"a".repeat(254)] {
            assert!(manifest(&[file("a", 1)], name).is_err(), "{name}");
        }
        assert!(manifest(&[file("a", 1)], "my-plugin.v2").is_ok());
        for key in ["folder/a", "..a", "ä"] {
            assert!(manifest(&[file(key, 1)], "m").is_err(), "{key}");
        }
        assert!(manifest(&[file("libA_b-1.so.minisig", 1)], "m").is_ok());
    }
}
