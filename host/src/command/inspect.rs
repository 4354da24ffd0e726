//! `plugin-host inspect`: says what a plugin is, without running any of its code.

use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Result;
use clap::{Args, ValueEnum};
use plugin_api::abi::Manifest;
use serde::Serialize;

use super::CONFIG_MAP_MAX;
use crate::config::{LoadingFlags, variable};
use crate::logging;
use crate::plugin::{Found, HandlerName, Loader, Refusal, Signer, Step, Unpacked, examine, writable_by_others};

/// Says what a plugin is, and whether this host takes it: exit code 1 if not
#[derive(Args)]
pub struct Arguments {
    /// The plugin: a shared library, a ZIP, a module in Python (.py), or a folder that holds one of them
    plugin: PathBuf,
    /// The handler that is wanted: its symbol, or library.symbol [default: any]
    #[arg(long, value_name = "NAME")]
    handler: Option<HandlerName>,
    #[command(flatten)]
    loading: LoadingFlags,
    /// How to print it
    #[arg(long, value_enum, default_value_t = Format::Text)]
    format: Format,
}

#[derive(Clone, Copy, ValueEnum)]
enum Format {
    Text,
    Json,
}

#[derive(Serialize)]
struct Report {
    path: PathBuf,
    size: usize,
    sha256: String,
    fits_configmap: bool,
    /// The library in a ZIP.
    library: Option<String>,
    /// The module in Python; the manifest is that of the plugin that loads it.
    module: Option<String>,
    /// What it imports from its own folder.
    imports: Vec<PathBuf>,
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
    /// There is none.
    None,
    /// There is something that is none.
    Malformed,
    /// No key was given to check it with.
    Unchecked,
    /// It was made with the key that was given.
    Good,
    /// It wasn't, or for something else.
    Bad,
}

/// Prints what a plugin is.
///
/// # Errors
///
/// There is no such file, or it can't be read.
pub fn inspect(arguments: Arguments) -> Result<ExitCode> {
    let any = || HandlerName { library: None, symbol: "HANDLER".to_owned() };
    let wanted = arguments.handler.as_ref().map(|name| name.symbol.clone());
    let loading = arguments.loading.resolve(variable)?;
    let checks = loading.trust.public_key.is_some();
    let loader = Loader::new(loading, arguments.handler.unwrap_or_else(any), logging::plugin_sink())?;
    let found = loader.find(&arguments.plugin)?.with_signature()?;
    let mut report = Report::of(&found);
    let unpacked = loader.unpack(found);
    if checks && report.signature == Signature::Unchecked {
        let distrusted = unpacked.as_ref().is_err_and(|not| not.step == Step::Trust);
        report.signature = if distrusted { Signature::Bad } else { Signature::Good };
    }
    report.refused = match unpacked {
        Ok(unpacked) => report.examine(&unpacked, wanted.as_deref()).err().map(|refusal| refusal.to_string()),
        Err(not) => Some(not.to_string()),
    };
    let text = match arguments.format {
        Format::Json => serde_json::to_string_pretty(&report)? + "\n",
        Format::Text => described(&report),
    };
    // Who reads may have seen enough.
    io::stdout().write_all(text.as_bytes()).ok();
    Ok(if report.refused.is_none() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

impl Report {
    /// What is known before anything of it is checked or unpacked.
    fn of(found: &Found) -> Report {
        let path = found.path.clone().unwrap_or_default();
        let claimed = found.signature.as_deref().map(Signer::claimed);
        Report {
            size: found.bytes.len(),
            sha256: found.sha256.clone(),
            fits_configmap: found.bytes.len() <= CONFIG_MAP_MAX,
            library: None,
            module: None,
            imports: found.imported().map(Path::to_owned).collect(),
            manifest: None,
            needed_glibc: None,
            signature: match &claimed {
                None => Signature::None,
                Some(Err(_)) => Signature::Malformed,
                Some(Ok(_)) => Signature::Unchecked,
            },
            signer: claimed.and_then(Result::ok),
            writable_by_others: writable_by_others(&path),
            refused: None,
            path,
        }
    }

    /// What the library says of itself.
    fn examine(&mut self, unpacked: &Unpacked, wanted: Option<&str>) -> Result<(), Refusal> {
        let name = unpacked.file.file_name().map(|name| name.to_string_lossy().into_owned());
        match &unpacked.module {
            Some(module) => self.module = Some(module.name.clone()),
            None => self.library = name.filter(|_| unpacked.zip_sha256.is_some()),
        }
        let examined = examine(&unpacked.bytes)?;
        let accepted = unpacked.accept(&examined, wanted);
        self.needed_glibc = examined.glibc.map(|glibc| glibc.to_string());
        self.manifest = Some(examined.manifest);
        accepted
    }
}

fn described(report: &Report) -> String {
    let mut rows = String::new();
    // A plugin may say of itself what it likes, but in its own row.
    let mut row = |name: &str, value: &str| rows.push_str(&format!("{name:<12} {}\n", printable(value)));
    row("file", &report.path.display().to_string());
    if let Some(library) = &report.library {
        row("library", library);
    }
    if let Some(module) = &report.module {
        row("module", module);
    }
    for import in &report.imports {
        row("imports", &import.display().to_string());
    }
    if let Some(manifest) = &report.manifest {
        row("plugin", &format!("{} {}", manifest.name, manifest.version));
        match &manifest.loads {
            Some(_) => row("handlers", "the functions of the module"),
            None => row("handlers", &manifest.handlers.join(", ")),
        }
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

/// A text with its control characters written out.
pub(super) fn printable(text: &str) -> String {
    let mut printable = String::new();
    for letter in text.chars() {
        match letter.is_control() {
            true => printable.extend(letter.escape_default()),
            false => printable.push(letter),
        }
    }
    printable
}

fn signed(report: &Report) -> String {
    let by = match &report.signer {
        Some(Signer { key_id, comment }) => format!("by the key {key_id} ({comment})"),
        None => "by nobody".to_owned(),
    };
    match report.signature {
        Signature::None => by,
        Signature::Malformed => format!("{by}: what lies beside it is no minisign signature"),
        Signature::Unchecked => format!("{by}, it says: not checked, give --plugin-public-key"),
        Signature::Good => format!("{by}: checked"),
        Signature::Bad => format!("{by}, it says: NOT as asked for"),
    }
}
