//! Builds a plugin with cargo, and sees when its source changes.

use std::collections::BTreeMap;
use std::env;
use std::ffi::OsString;
use std::fs;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, SystemTime};

use anyhow::{Context, Result, bail};
use serde::Deserialize;

/// How often the source is looked at.
const LOOK: Duration = Duration::from_millis(250);

/// Files, and when each was changed.
type Source = BTreeMap<PathBuf, SystemTime>;

/// A crate that builds a plugin.
pub(super) struct Package {
    /// Its folder.
    pub(super) folder: PathBuf,
    manifest: PathBuf,
    /// Cargo's target folder.
    pub(super) target: PathBuf,
}

/// Builds a crate again and again.
pub(super) struct Builder {
    package: Package,
    /// The library that was built last.
    library: Option<PathBuf>,
    /// The source as the last build can have seen it.
    seen: Source,
}

#[derive(Deserialize)]
struct Metadata {
    packages: Vec<MetadataPackage>,
    target_directory: PathBuf,
}

#[derive(Deserialize)]
struct MetadataPackage {
    name: String,
    manifest_path: PathBuf,
    targets: Vec<Target>,
}

#[derive(Deserialize)]
struct Target {
    crate_types: Vec<String>,
}

/// The lines of cargo's `--message-format=json` that matter.
#[derive(Deserialize)]
#[serde(tag = "reason", rename_all = "kebab-case")]
enum Message {
    CompilerArtifact {
        manifest_path: PathBuf,
        target: Target,
        filenames: Vec<PathBuf>,
    },
    #[serde(other)]
    Other,
}

impl Package {
    /// The crate in a folder.
    pub(super) fn at(folder: &Path) -> Result<Package> {
        let manifest = folder.join("Cargo.toml");
        let manifest = manifest
            .canonicalize()
            .with_context(|| format!("no crate at {}: name the folder of the plugin's Cargo.toml", folder.display()))?;
        let output = cargo()
            .args(["metadata", "--no-deps", "--format-version", "1", "--manifest-path"])
            .arg(&manifest)
            .stderr(Stdio::inherit())
            .output()
            .context("can't start cargo: is Rust installed?")?;
        if !output.status.success() {
            bail!("cargo can't read {}", manifest.display());
        }
        let metadata: Metadata = serde_json::from_slice(&output.stdout).context("cargo metadata")?;
        let package = metadata.packages.iter().find(|package| package.manifest_path == manifest);
        let Some(package) = package else {
            bail!("{} is a workspace, not a crate: name the folder of the plugin's own crate", folder.display());
        };
        if !package.targets.iter().any(Target::is_plugin) {
            bail!("{} builds no shared library: set crate-type = [\"cdylib\"] under [lib]", package.name);
        }
        let folder = manifest.parent().map(Path::to_owned).unwrap_or_default();
        Ok(Package { folder, manifest, target: metadata.target_directory })
    }
}

impl Builder {
    pub(super) fn new(package: Package) -> Builder {
        Builder { package, library: None, seen: Source::new() }
    }

    /// Builds the plugin; gives the library. Cargo tells on standard error what it does and what is wrong.
    pub(super) fn build(&mut self) -> Result<PathBuf> {
        // A change during the build is seen after it.
        self.seen = self.source();
        let mut cargo = cargo()
            .args(["build", "--release", "--lib", "--message-format=json-render-diagnostics", "--manifest-path"])
            .arg(&self.package.manifest)
            .stdout(Stdio::piped())
            .spawn()
            .context("can't start cargo")?;
        let messages = BufReader::new(cargo.stdout.take().context("cargo has no output")?);
        let mut library = None;
        for line in messages.lines() {
            let line = line.context("can't read cargo's messages")?;
            if let Ok(Message::CompilerArtifact { manifest_path, target, filenames }) = serde_json::from_str(&line)
                && manifest_path == self.package.manifest
                && target.is_plugin()
            {
                library = filenames.into_iter().find(|path| path.to_string_lossy().ends_with(env::consts::DLL_SUFFIX));
            }
        }
        if !cargo.wait().context("cargo did not end")?.success() {
            bail!("not built; waiting for a change of the source");
        }
        let library = library.context("cargo built no shared library")?;
        self.library = Some(library.clone());
        // Now cargo says which other files went into it; what they were before the build nobody looked at.
        for (path, at) in self.source() {
            self.seen.entry(path).or_insert(at);
        }
        Ok(library)
    }

    /// Waits until the source is not what the last build saw, and no longer changes.
    pub(super) fn wait_for_change(&self) {
        let mut before = self.source();
        loop {
            thread::sleep(LOOK);
            let now = self.source();
            if now != self.seen && now == before {
                return;
            }
            before = now;
        }
    }

    /// The files of the source and when they were changed: the crate's own, and those that cargo says went into the
    /// library (those of the crates beside it).
    fn source(&self) -> Source {
        let mut files = vec![self.package.manifest.clone()];
        collect_sources(&self.package.folder.join("src"), &mut files);
        if let Some(library) = &self.library
            && let Ok(text) = fs::read_to_string(library.with_extension("d"))
        {
            files.extend(dependencies(&text));
        }
        let changed = |path: &PathBuf| fs::metadata(path).ok()?.modified().ok();
        files.into_iter().filter_map(|path| changed(&path).map(|at| (path, at))).collect()
    }
}

impl Target {
    fn is_plugin(&self) -> bool {
        self.crate_types.iter().any(|kind| kind == "cdylib")
    }
}

/// The cargo that runs this program, or the one on the path.
fn cargo() -> Command {
    Command::new(env::var_os("CARGO").unwrap_or_else(|| OsString::from("cargo")))
}

fn collect_sources(folder: &Path, files: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let path = entry.path();
        if path.is_dir() {
            collect_sources(&path, files);
        } else {
            files.push(path);
        }
    }
}

/// The files that a dependency file names: `library: file file`, with spaces in names escaped.
fn dependencies(text: &str) -> Vec<PathBuf> {
    let Some((_, files)) = text.lines().next().and_then(|line| line.split_once(": ")) else {
        return Vec::new();
    };
    files.replace("\\ ", "\0").split(' ').map(|file| PathBuf::from(file.replace('\0', " "))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_dependency_file_names_the_sources() {
        let text = "/t/libm.so: /a/src/lib.rs /with\\ space/x.rs\n\n/a/src/lib.rs:\n";
        assert_eq!(dependencies(text), [PathBuf::from("/a/src/lib.rs"), PathBuf::from("/with space/x.rs")]);
        assert!(dependencies("").is_empty());
    }
}
