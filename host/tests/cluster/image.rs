//! What the images hold that the manifests name.

use std::path::PathBuf;

use super::node::program;
use crate::support::{plugin, python};

/// Programs and libraries of this machine, and where the image has them.
pub struct Image {
    pub files: Vec<(PathBuf, String)>,
    /// Folders of this machine, likewise.
    pub folders: Vec<(PathBuf, String)>,
    /// What the image sets.
    pub variables: &'static [(&'static str, &'static str)],
    /// What the template's `args` are given to.
    pub entrypoint: &'static [&'static str],
}

/// The image of this repository: the program, and its plugins.
pub fn plugin_host() -> Image {
    Image {
        files: vec![
            (PathBuf::from(env!("CARGO_BIN_EXE_plugin-host")), "/usr/bin/plugin-host".to_owned()),
            (plugin("metrics"), "/usr/lib/plugin-host/libmetrics.so".to_owned()),
            (plugin("collector"), "/usr/lib/plugin-host/libcollector.so".to_owned()),
        ],
        folders: Vec::new(),
        variables: &[],
        entrypoint: &["/usr/bin/plugin-host"],
    }
}

/// Its target `python`: the same, with the system's Python; none where there is none.
pub fn with_python() -> Option<Image> {
    let Image { mut files, entrypoint, .. } = plugin_host();
    let libpython = python::library()?;
    let name = libpython.file_name()?.to_str()?.strip_prefix("lib")?.strip_suffix(".so.1.0")?;
    let library = format!("/usr/lib/{name}");
    files.push((plugin("python_handler"), "/usr/lib/plugin-host/libpython_handler.so".to_owned()));
    files.push((libpython.clone(), libpython.display().to_string()));
    let variables = &[("PYTHON_PLUGIN", "/usr/lib/plugin-host/libpython_handler.so"), ("LANG", "C.UTF-8")];
    Some(Image { files, folders: vec![(PathBuf::from(&library), library)], variables, entrypoint })
}

/// What of the image redis the component uses.
pub fn redis() -> Image {
    let files = [("sh", "/bin/sh"), ("cat", "/usr/bin/cat"), ("redis-server", "/usr/bin/redis-server")];
    let files = files.into_iter().map(|(name, target)| (program(name), target.to_owned())).collect();
    Image { files, folders: Vec::new(), variables: &[], entrypoint: &[] }
}
