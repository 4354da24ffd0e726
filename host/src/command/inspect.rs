//! `plugin-host inspect`: says what a plugin is, without running any of its code.

use std::io::{self, Write};
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Error, Result};
use clap::{Args, ValueEnum};
use plugin_api::abi::Manifest;
use serde::Serialize;

use crate::config::public_key;
use crate::plugin::{
    Found, HandlerName, PrivateFolder, PublicKey, Refusal, Signer, Trust, Unpacked, ZIP_MAX_BYTES, examine, find,
    host_glibc, writable_by_others,
};

/// Says what a plugin is, and whether this host takes it: exit code 1 if not
#[derive(Args)]
pub struct Arguments {
    /// The plugin: a shared library, a ZIP, or a folder that holds one of them
    plugin: PathBuf,
    /// The handler that is wanted: its symbol, or library.symbol [default: any]
    #[arg(long, value_name = "NAME")]
    handler: Option<HandlerName>,
    /// A minisign public key: what has no matching signature beside it is refused [env: PLUGIN_PUBLIC_KEY]
    #[arg(long, value_name = "KEY")]
    plugin_public_key: Option<PublicKey>,
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
pub(super) const CONFIG_MAP_MAX: usize = 1024 * 1024;

#[derive(Serialize)]
struct Report {
    path: PathBuf,
    size: usize,
    sha256: String,
    fits_configmap: bool,
    /// The library in a ZIP.
    library: Option<String>,
    #[serde(flatten)]
    manifest: Option<Manifest>,
    needed_glibc: Option<String>,
    /// Who the signature beside it names.
    signer: Option<Signer>,
    signature: Signature,
    writable_by_others: Vec<PathBuf>,
    refused: Option<String>,
}

/// What is known of the signature.
#[derive(Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
enum Signature {
    /// It was made with the key that was given.
    Good,
    /// There is one that doesn't fit, or none where a key was given.
    Bad,
    /// No key was given to check it with.
    Unchecked,
    None,
}

/// Prints what a plugin is.
///
/// # Errors
///
/// There is no such file, or it can't be read.
pub fn inspect(arguments: Arguments) -> Result<ExitCode> {
    let any = HandlerName { library: None, symbol: "HANDLER".to_owned() };
    let name = arguments.handler.as_ref().unwrap_or(&any);
    let found = Found::read(&find(&arguments.plugin, name)?, ZIP_MAX_BYTES)?;
    let trust = Trust { public_key: public_key(arguments.plugin_public_key)?, zip_sha256: None };
    let report = report(found, &trust, arguments.handler.as_ref(), name)?;
    let text = match arguments.format {
        Format::Json => serde_json::to_string_pretty(&report)? + "\n",
        Format::Text => described(&report),
    };
    // Who reads may have seen enough.
    io::stdout().write_all(text.as_bytes()).ok();
    Ok(if report.refused.is_none() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn report(found: Found, trust: &Trust, wanted: Option<&HandlerName>, name: &HandlerName) -> Result<Report> {
    let path = found.path.clone().unwrap_or_default();
    let mut report = Report {
        size: found.bytes.len(),
        sha256: found.sha256.clone(),
        fits_configmap: found.bytes.len() <= CONFIG_MAP_MAX,
        library: None,
        manifest: None,
        needed_glibc: None,
        signer: found.signature.as_deref().and_then(|signature| Signer::claimed(signature).ok()),
        signature: if found.signature.is_some() { Signature::Unchecked } else { Signature::None },
        writable_by_others: writable_by_others(&path),
        refused: None,
        path,
    };
    let checked = found.trust(trust);
    if trust.public_key.is_some() {
        report.signature = if checked.is_ok() { Signature::Good } else { Signature::Bad };
    }
    let private = PrivateFolder::open(None)?;
    let unpacked = checked.map_err(Error::from).and_then(|trusted| trusted.unpack(name, &private, ZIP_MAX_BYTES));
    report.refused = match unpacked {
        Ok(unpacked) => report.examine(&unpacked, wanted).err().map(|refusal| refusal.to_string()),
        Err(error) => Some(format!("{error:#}")),
    };
    Ok(report)
}

impl Report {
    /// What the library says of itself.
    fn examine(&mut self, unpacked: &Unpacked, wanted: Option<&HandlerName>) -> Result<(), Refusal> {
        let name = unpacked.library.file_name().map(|name| name.to_string_lossy().into_owned());
        self.library = name.filter(|_| unpacked.zip_sha256.is_some());
        let examined = examine(&unpacked.bytes)?;
        let accepted = examined.accept(wanted.map(|name| name.symbol.as_str()), host_glibc());
        self.needed_glibc = examined.glibc.map(|glibc| glibc.to_string());
        self.manifest = Some(examined.manifest);
        accepted
    }
}

fn described(report: &Report) -> String {
    let mut rows = String::new();
    let mut row = |name: &str, value: &str| rows.push_str(&format!("{name:<12} {value}\n"));
    row("file", &report.path.display().to_string());
    if let Some(library) = &report.library {
        row("library", library);
    }
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
    row("signed", &signed(report));
    for path in &report.writable_by_others {
        row("warning", &format!("others than this user can write to {}", path.display()));
    }
    match &report.refused {
        None => row("this host", "takes it"),
        Some(refusal) => row("this host", &format!("refuses it: {refusal}")),
    }
    rows
}

fn signed(report: &Report) -> String {
    let by = match &report.signer {
        Some(Signer { key_id, comment }) => format!("by the key {key_id} ({comment})"),
        None => "by nobody".to_owned(),
    };
    match report.signature {
        Signature::Good => format!("{by}: checked"),
        Signature::Bad => format!("{by}: NOT as asked for"),
        Signature::Unchecked => format!("{by}, it says: not checked, give --plugin-public-key"),
        Signature::None => "by nobody".to_owned(),
    }
}
