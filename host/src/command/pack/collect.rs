//! Reads what is packed.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

use crate::plugin::{HandlerName, Module, ZIP_MAX_BYTES, is_module_name, is_zip_name, signature_of};

/// A file to pack.
pub(super) struct File {
    /// Its name in there, with `/` between folders.
    pub(super) name: String,
    /// Where it lies.
    pub(super) source: PathBuf,
    pub(super) bytes: Vec<u8>,
}

impl File {
    /// Whether it is something that a host looks for.
    pub(super) fn is_plugin(&self) -> bool {
        self.is_library() || self.is_module() || (!self.name.contains('/') && is_zip_name(Path::new(&self.name)))
    }

    pub(super) fn is_module(&self) -> bool {
        !self.name.contains('/') && is_module_name(Path::new(&self.name))
    }

    pub(super) fn is_library(&self) -> bool {
        !self.name.contains('/') && [".so", ".dylib"].iter().any(|suffix| self.name.ends_with(suffix))
    }
}

/// The files that the paths mean, by name: of a folder all that it holds, of a file also the signature beside it, of a
/// module what it imports from its folder.
///
/// # Errors
///
/// A path leads nowhere, or two files have the same name.
pub(super) fn collect(paths: &[PathBuf]) -> Result<Vec<File>> {
    let mut files = BTreeMap::new();
    for path in paths {
        if path.is_dir() {
            add_folder(&mut files, path, "")?;
        } else {
            let name = path.file_name().with_context(|| format!("{} names no file", path.display()))?;
            let name = text(path, name.to_str())?;
            add_file(&mut files, path, name.to_owned())?;
            let signature = signature_of(path);
            if signature.is_file() && !paths.iter().any(|path| is_same(path, &signature)) {
                add_file(&mut files, &signature, format!("{name}.minisig"))?;
            }
            if is_module_name(path) {
                add_imports(&mut files, path, paths)?;
            }
        }
    }
    Ok(files.into_values().collect())
}

/// What a module imports is packed once, whoever else imports or names it.
fn add_imports(files: &mut BTreeMap<String, File>, module: &Path, paths: &[PathBuf]) -> Result<()> {
    let bytes = fs::read(module).with_context(|| format!("can't read {}", module.display()))?;
    let handler = HandlerName { library: None, symbol: "handler".to_owned() };
    for import in Module::of(module, &handler).imports(module, &bytes, ZIP_MAX_BYTES)? {
        let name = text(&import.path, import.name.to_str())?;
        let is_there = files.get(name).is_some_and(|file| is_same(&file.source, &import.path));
        if !is_there && !paths.iter().any(|path| is_same(path, &import.path)) {
            add_file(files, &import.path, name.to_owned())?;
        }
    }
    Ok(())
}

/// Whether two paths lead to the same file.
pub(super) fn is_same(one: &Path, other: &Path) -> bool {
    one.canonicalize().is_ok_and(|one| other.canonicalize().is_ok_and(|other| one == other))
}

fn add_folder(files: &mut BTreeMap<String, File>, folder: &Path, prefix: &str) -> Result<()> {
    for entry in fs::read_dir(folder).with_context(|| format!("can't list the folder {}", folder.display()))? {
        let path = entry.with_context(|| format!("can't list the folder {}", folder.display()))?.path();
        let name = text(&path, path.file_name().and_then(|name| name.to_str()))?;
        let is_link = path.is_symlink();
        match name {
            // What a ConfigMap volume keeps beside its files.
            hidden if hidden.starts_with("..") => {}
            // What Python leaves there.
            "__pycache__" => {}
            name if path.is_dir() && !is_link => add_folder(files, &path, &format!("{prefix}{name}/"))?,
            _ if path.is_dir() => bail!("{} is a link to a folder: name the folder itself", path.display()),
            name => add_file(files, &path, format!("{prefix}{name}"))?,
        }
    }
    Ok(())
}

fn add_file(files: &mut BTreeMap<String, File>, path: &Path, name: String) -> Result<()> {
    let metadata = fs::metadata(path).with_context(|| format!("can't read {}", path.display()))?;
    if !metadata.is_file() {
        bail!("{} is neither a file nor a folder", path.display());
    }
    let bytes = fs::read(path).with_context(|| format!("can't read {}", path.display()))?;
    match files.insert(name.clone(), File { name, source: path.to_owned(), bytes }) {
        None => Ok(()),
        Some(other) => bail!("{} and {} have the same name", other.source.display(), path.display()),
    }
}

fn text<'a>(path: &Path, name: Option<&'a str>) -> Result<&'a str> {
    name.with_context(|| format!("the name of {} is not UTF-8", path.display()))
}
