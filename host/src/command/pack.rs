//! `plugin-host pack`: makes of plugins, and of what lies beside them, a ZIP or a ConfigMap.

mod collect;
mod configmap;
mod zip;

use std::io::{self, ErrorKind, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::{env, fs};

use anyhow::{Context, Result, bail};
use clap::Args;

use self::collect::{File, collect, is_same};
use crate::plugin::{Refusal, ZIP_MAX_BYTES, check, examine, host_glibc};

/// Makes a ZIP or a ConfigMap of plugins and what lies beside them; the same input gives the same bytes
#[derive(Args)]
#[group(skip)]
pub struct Arguments {
    /// Plugins, and other files that they need; of a folder all that it holds
    #[arg(value_name = "PLUGIN", required = true)]
    plugins: Vec<PathBuf>,
    #[command(flatten)]
    target: Target,
}

#[derive(Args)]
#[group(required = true, multiple = false)]
struct Target {
    /// The ZIP to write
    #[arg(long, value_name = "FILE")]
    zip: Option<PathBuf>,
    /// The name of the ConfigMap whose manifest is printed
    #[arg(long, value_name = "NAME")]
    configmap: Option<String>,
}

/// Packs, and says on standard error how to go on.
///
/// # Errors
///
/// A file can't be read or written, is no plugin that a host would take, or all of them are too large.
pub fn pack(arguments: Arguments) -> Result<ExitCode> {
    let mut files = collect(&arguments.plugins)?;
    if let Some(zip) = &arguments.target.zip {
        if arguments.plugins.iter().any(|path| is_same(path, zip)) {
            bail!("{} can't be packed into itself", zip.display());
        }
        // What was packed into a folder before is no part of the folder.
        files.retain(|file| !is_same(&file.source, zip));
    }
    match (&arguments.target.zip, &arguments.target.configmap) {
        (Some(path), _) => write_zip(&files, path)?,
        (None, name) => print_configmap(&files, name.as_deref().unwrap_or_default(), &arguments.plugins)?,
    }
    Ok(ExitCode::SUCCESS)
}

/// Looks at what a host will look at; what only another machine can take is no fault.
fn examine_all<'a>(plugins: impl Iterator<Item = &'a File>) -> Result<()> {
    let mut plugins = plugins.peekable();
    if plugins.peek().is_none() {
        bail!("no plugin among the files: name a shared library or a module (.py), or a folder with one at its top");
    }
    for file in plugins {
        let name = || format!("the plugin {}", file.source.display());
        // Whether a module is one, Python alone can say.
        if file.is_module() {
            continue;
        }
        if !file.is_library() {
            check(&file.bytes, ZIP_MAX_BYTES).with_context(name)?;
            continue;
        }
        match examine(&file.bytes).and_then(|examined| examined.accept(None, host_glibc())) {
            Ok(()) => {}
            Err(refusal @ (Refusal::Foreign { .. } | Refusal::GlibcTooNew { .. })) => {
                eprintln!("plugin-host: this host would not take {}: {refusal}", file.source.display());
            }
            Err(refusal) => return Err(refusal).with_context(name),
        }
    }
    Ok(())
}

fn write_zip(files: &[File], path: &Path) -> Result<()> {
    examine_all(files.iter().filter(|file| file.is_library() || file.is_module()))?;
    let bytes = zip::pack(files)?;
    if bytes.len() as u64 > ZIP_MAX_BYTES {
        eprintln!("plugin-host: it has {} bytes: a host takes it with a larger ZIP_MAX_BYTES only", bytes.len());
    }
    check(&bytes, ZIP_MAX_BYTES.max(bytes.len() as u64)).context("a host would refuse this ZIP")?;
    write_whole(path, &bytes).with_context(|| format!("can't write {}", path.display()))?;
    eprintln!("ZIP_SHA256={}", crate::plugin::sha256(&bytes));
    Ok(())
}

/// Puts a file in place in one step, since a host may look at it.
fn write_whole(path: &Path, bytes: &[u8]) -> io::Result<()> {
    // A link stays a link; a device or pipe is not replaced by a file.
    let path = &path.canonicalize().unwrap_or_else(|_| path.to_owned());
    if fs::metadata(path).is_ok_and(|there| !there.is_file()) {
        return Err(io::Error::new(ErrorKind::InvalidInput, "there is something that is not a file"));
    }
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let rights = fs::Permissions::from_mode(0o666);
    let mut file = tempfile::Builder::new().prefix(".").permissions(rights).tempfile_in(folder)?;
    file.write_all(bytes)?;
    file.persist(path)?;
    Ok(())
}

fn print_configmap(files: &[File], name: &str, plugins: &[PathBuf]) -> Result<()> {
    examine_all(files.iter().filter(|file| file.is_plugin()))?;
    let manifest = configmap::manifest(files, name)?;
    match io::stdout().write_all(manifest.as_bytes()) {
        Err(error) if error.kind() == ErrorKind::BrokenPipe => return Ok(()),
        written => written.context("can't print the manifest")?,
    }
    let program = env::args_os().next().map_or_else(|| "plugin-host".into(), PathBuf::from);
    let plugins: Vec<_> = plugins.iter().map(|path| quoted(&path.to_string_lossy())).collect();
    eprintln!(
        "Apply it on the server's side, as the client's side stops at 256 KiB:\n  {} pack {} --configmap {name} | \
         kubectl apply --server-side -f -",
        quoted(&program.to_string_lossy()),
        plugins.join(" ")
    );
    Ok(())
}

/// A path as a word of a shell's command that no program takes for a flag.
fn quoted(path: &str) -> String {
    let word = if path.starts_with('-') { format!("./{path}") } else { path.to_owned() };
    let plain = |letter: char| letter.is_ascii_alphanumeric() || "/._-+=:@%,".contains(letter);
    match !word.is_empty() && word.chars().all(plain) {
        true => word,
        false => format!("'{}'", word.replace('\'', r"'\''")),
    }
}
