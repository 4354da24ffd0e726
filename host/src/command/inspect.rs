//! `plugin-host inspect`: says what a plugin is, without running any of its code.

use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, Result};
use clap::{Args, ValueEnum};
use plugin_api::abi::Manifest;
use serde::Serialize;

use crate::plugin::{Examined, HandlerName, Refusal, examine, find, host_glibc, sha256};

/// Says what a plugin is, and whether this host takes it: exit code 1 if not
#[derive(Args)]
pub struct Arguments {
    /// The plugin: a shared library, or a folder that holds one
    plugin: PathBuf,
    /// The handler that is wanted: its symbol, or library.symbol [default: any]
    #[arg(long, value_name = "NAME")]
    handler: Option<HandlerName>,
    /// How to print it
    #[arg(long, value_enum, default_value_t = Format::Text)]
    format: Format,
}

#[derive(Clone, Copy, ValueEnum)]
enum Format {
    Text,
    Json,
}

/// Kubernetes refuses a ConfigMap whose values come to more than this.
const CONFIG_MAP_MAX: usize = 1024 * 1024;

#[derive(Serialize)]
struct Report {
    path: PathBuf,
    size: usize,
    sha256: String,
    fits_configmap: bool,
    #[serde(flatten)]
    manifest: Option<Manifest>,
    needed_glibc: Option<String>,
    refused: Option<String>,
}

/// Prints what a plugin is.
///
/// # Errors
///
/// There is no such file, or it can't be read.
pub fn inspect(arguments: Arguments) -> Result<ExitCode> {
    let any = HandlerName { library: None, symbol: "HANDLER".to_owned() };
    let path = find(&arguments.plugin, arguments.handler.as_ref().unwrap_or(&any))?.path;
    let bytes = fs::read(&path).with_context(|| format!("can't read {}", path.display()))?;
    let wanted = arguments.handler.as_ref().map(|name| name.symbol.as_str());
    let report = report(&path, &bytes, examine(&bytes), wanted);
    let text = match arguments.format {
        Format::Json => serde_json::to_string_pretty(&report)? + "\n",
        Format::Text => described(&report),
    };
    // Who reads may have seen enough.
    io::stdout().write_all(text.as_bytes()).ok();
    Ok(if report.refused.is_none() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn report(path: &Path, bytes: &[u8], examined: Result<Examined, Refusal>, wanted: Option<&str>) -> Report {
    let refused = match &examined {
        Ok(examined) => examined.accept(wanted, host_glibc()).err().map(|refusal| refusal.to_string()),
        Err(refusal) => Some(refusal.to_string()),
    };
    let examined = examined.ok();
    Report {
        path: path.to_owned(),
        size: bytes.len(),
        sha256: sha256(bytes),
        fits_configmap: bytes.len() <= CONFIG_MAP_MAX,
        needed_glibc: examined.as_ref().and_then(|examined| examined.glibc).map(|glibc| glibc.to_string()),
        manifest: examined.map(|examined| examined.manifest),
        refused,
    }
}

fn described(report: &Report) -> String {
    let mut rows = String::new();
    let mut row = |name: &str, value: &str| rows.push_str(&format!("{name:<12} {value}\n"));
    row("file", &report.path.display().to_string());
    if let Some(manifest) = &report.manifest {
        row("plugin", &format!("{} {}", manifest.name, manifest.version));
        row("handlers", &manifest.handlers.join(", "));
        let api = manifest.plugin_api.as_ref().map(|version| format!(" (plugin-api {version})")).unwrap_or_default();
        row("abi", &format!("{}{api}", manifest.abi));
        row("target", &manifest.target);
        row("built by", manifest.rustc.as_deref().unwrap_or("unknown"));
    }
    if let Some(glibc) = &report.needed_glibc {
        row("needs", &format!("glibc {glibc} or newer"));
    }
    row("size", &format!("{:.1} KiB", report.size as f64 / 1024.0));
    row("sha256", &report.sha256);
    let fits = if report.fits_configmap {
        "fits"
    } else {
        "is too large (1 MiB is the most); opt-level = \"s\" makes it smaller"
    };
    row("configmap", fits);
    match &report.refused {
        None => row("this host", "takes it"),
        Some(refusal) => row("this host", &format!("refuses it: {refusal}")),
    }
    rows
}
