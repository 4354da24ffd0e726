//! What the measurements share: plugins as they are shipped, and calls of them.

#![allow(dead_code, reason = "each measurement uses its own part of it")]

use std::env;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};
use host::plugin::{HandlerName, Loaded, Loader, Loading};
use plugin_api::abi::{About, Call, LogSink};

/// The repository.
pub fn root() -> Result<&'static Path> {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().context("the repository's folder")
}

/// Builds packages as they are shipped; gives the folder.
pub fn build(packages: &[&str]) -> Result<PathBuf> {
    let root = root()?;
    let built = Command::new(env!("CARGO"))
        .args(["build", "--release"])
        .args(packages.iter().flat_map(|package| ["-p", package]))
        .current_dir(root)
        .status()?;
    ensure!(built.success(), "the plugins don't build");
    let target = env::var_os("CARGO_TARGET_DIR").map_or_else(|| root.join("target"), PathBuf::from);
    Ok(target.join("release"))
}

/// Loads a handler.
pub fn load(library: &Path, symbol: &str) -> Result<Loaded> {
    load_with(Loading::default(), library, symbol).map(|(_, plugin)| plugin)
}

/// Loads a handler with what it takes to load it; what it reads later lies where the loader has put it.
pub fn load_with(loading: Loading, library: &Path, symbol: &str) -> Result<(Loader, Loaded)> {
    let sink = LogSink { level: plugin_api::log::LevelFilter::Off, write: |_, _, _, _| {} };
    let handler = HandlerName { library: None, symbol: symbol.to_owned() };
    let loader = Loader::new(loading, handler, sink)?;
    let plugin = loader.load(loader.find(library)?)?;
    Ok((loader, plugin))
}

/// What the handler is told when it is opened.
pub fn about() -> About<'static> {
    About {
        host: "localhost",
        port: 6379,
        input_key: "metrics",
        output_key: "out",
        function_getmtime: 0.0,
        plugin_dir: Path::new("/"),
    }
}

/// A call with an input.
pub fn call(input: &[u8]) -> Call<'_> {
    Call {
        input,
        event_id: "sha256:f89438aeff97bc1153f32d3a0bc0fc1be529dedb8d83e36a74b4f6543cc4aab0",
        last_execution: Some("2025-11-30T10:30:00.000Z"),
        attempt: 1,
    }
}

/// A file of the metrics plugin's inputs.
pub fn data(file: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../plugins/metrics/data").join(file)
}
