//! What the images hold that the manifests name.

use std::path::PathBuf;

use super::node::program;
use crate::support::plugin;

/// Programs and libraries of this machine, and where the image has them.
pub struct Image {
    pub files: Vec<(PathBuf, &'static str)>,
    /// What the template's `args` are given to.
    pub entrypoint: &'static [&'static str],
}

/// The image of this repository: the program, and its plugins.
pub fn plugin_host() -> Image {
    Image {
        files: vec![
            (PathBuf::from(env!("CARGO_BIN_EXE_plugin-host")), "/usr/bin/plugin-host"),
            (plugin("metrics"), "/usr/lib/plugin-host/libmetrics.so"),
            (plugin("collector"), "/usr/lib/plugin-host/libcollector.so"),
        ],
        entrypoint: &["/usr/bin/plugin-host"],
    }
}

/// What of the image redis the component uses.
pub fn redis() -> Image {
    let files = [("sh", "/bin/sh"), ("cat", "/usr/bin/cat"), ("redis-server", "/usr/bin/redis-server")];
    Image { files: files.into_iter().map(|(name, target)| (program(name), target)).collect(), entrypoint: &[] }
}
