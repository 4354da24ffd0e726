//! Takes a library or module out of its ZIP, checks it, and copies it to a private place.

use std::fs;
use std::io;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use plugin_api::abi::Manifest;
use tempfile::TempDir;

use super::find::find_unpacked;
use super::found::sha256;
use super::load::host_glibc;
use super::module::{Imported, Module, is_module_name, is_passed_over};
use super::{Examined, Found, HandlerName, Kind, PrivateFolder, Refusal, Signer, Trusted, examine, unpack};

/// A library or module, out of its ZIP if it came in one.
#[derive(Debug)]
pub struct Unpacked {
    /// Where it lies: the library, or the module's file.
    pub file: PathBuf,
    /// The library's content: where it is a module, that of the library that loads it.
    pub bytes: Vec<u8>,
    /// The SHA-256 of what was found, a library or module, in hexadecimal digits.
    pub sha256: String,
    /// The module, in a folder named as the library wants it.
    pub(crate) module: Option<Module>,
    /// The SHA-256 of the ZIP that it came in.
    pub zip_sha256: Option<String>,
    /// Removes the ZIP's folder at the end.
    folder: Option<TempDir>,
    signer: Option<Signer>,
    modified: f64,
}

/// A private copy of a library whose manifest fits this host.
///
/// Hash, signature, manifest and copy are made of the same bytes, read once, and only this user can write where the
/// copy lies: so nothing can be swapped between check and load.
#[derive(Debug)]
pub struct Verified {
    /// The copy, named by its content's hash: the system's loader hands back the old image for a path that it knows.
    pub(super) copy: PathBuf,
    /// Where the plugin's other files lie: the folder of the original, or that of the unpacked ZIP.
    pub folder: PathBuf,
    /// Removes that folder at the end, where it is a ZIP's or a module's.
    unpacked: Option<TempDir>,
    /// The module, where it is one.
    pub(super) module: Option<Module>,
    /// The handler's name: its symbol, or the function of a module.
    pub symbol: String,
    /// The symbol that is looked up.
    pub(super) exported: String,
    /// The manifest.
    pub manifest: Manifest,
    /// The SHA-256 of the library or module in hexadecimal digits.
    pub sha256: String,
    /// The SHA-256 of what is mapped.
    pub(super) library_sha256: String,
    /// The SHA-256 of the ZIP that it came in.
    pub zip_sha256: Option<String>,
    /// Who signed it, where that was asked for.
    pub signer: Option<Signer>,
    /// When the original was changed, in seconds since 1970.
    pub modified: f64,
}

impl Trusted {
    /// Unpacks it if it is a ZIP, and picks the library or module that the handler's name means. `python` is the library
    /// that loads modules.
    ///
    /// # Errors
    ///
    /// The ZIP is refused, it holds nothing such, or the private folder can't be written to.
    pub fn unpack(
        self,
        handler: &HandlerName,
        private: &PrivateFolder,
        zip_max_bytes: u64,
        python: &Path,
    ) -> Result<Unpacked> {
        let Trusted { found, signer } = self;
        let modified = found.modified;
        if found.kind == Kind::Library {
            let file = found.path.unwrap_or_default();
            let (bytes, sha256) = (found.bytes, found.sha256);
            return Ok(Unpacked {
                file,
                bytes,
                sha256,
                module: None,
                zip_sha256: None,
                folder: None,
                signer,
                modified,
            });
        }
        let folder = private.subfolder()?;
        if found.kind == Kind::Module {
            let bytes = library_for_modules(python)?;
            let links = if signer.is_none() { Links::ToTheRest } else { Links::None };
            let module = lay_out(&found, handler, folder.path(), links).context("can't write to the private folder")?;
            let (file, module) = (found.path.unwrap_or_default(), Some(module));
            let (sha256, folder) = (found.sha256, Some(folder));
            return Ok(Unpacked { file, bytes, sha256, module, zip_sha256: None, folder, signer, modified });
        }
        unpack(&found.bytes, folder.path(), zip_max_bytes)?;
        let file = find_unpacked(folder.path(), handler)?;
        let content = fs::read(&file).with_context(|| format!("can't read {}", file.display()))?;
        let (sha256, zip_sha256) = (sha256(&content), Some(found.sha256));
        if !is_module_name(&file) {
            let folder = Some(folder);
            return Ok(Unpacked { file, bytes: content, sha256, module: None, zip_sha256, folder, signer, modified });
        }
        let bytes = library_for_modules(python)?;
        let module = Module::of(&file, handler);
        // The folder takes the handler's name.
        let named = private.subfolder()?;
        let place = named.path().join(handler.within(&module));
        fs::rename(folder.keep(), &place).context("can't write to the private folder")?;
        let module = Some(Module { folder: place, ..module });
        Ok(Unpacked { file, bytes, sha256, module, zip_sha256, folder: Some(named), signer, modified })
    }
}

/// Whether what else lies in a module's folder can be reached beside its copy.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Links {
    ToTheRest,
    /// Nobody has signed it.
    None,
}

/// Copies a module and what it imports to a folder that has the handler's name.
fn lay_out(found: &Found, handler: &HandlerName, folder: &Path, links: Links) -> io::Result<Module> {
    let path = found.path.as_deref().unwrap_or(Path::new(""));
    let module = Module::of(path, handler);
    let place = folder.join(handler.within(&module));
    let main = path.strip_prefix(&module.folder).unwrap_or(path);
    let imports = found.imports.iter().map(|Imported { name, bytes, .. }| (name.as_path(), bytes));
    for (name, bytes) in imports.chain([(main, &found.bytes)]) {
        let copy = place.join(name);
        fs::create_dir_all(copy.parent().unwrap_or(&place))?;
        fs::write(copy, bytes)?;
    }
    if links == Links::ToTheRest {
        for entry in fs::read_dir(&module.folder)?.flatten().filter(|entry| !is_passed_over(&entry.path())) {
            let link = place.join(entry.file_name());
            if !link.exists() {
                symlink(entry.path(), link)?;
            }
        }
    }
    Ok(Module { folder: place, ..module })
}

/// Reads the library that loads modules. It is trusted as this program is.
fn library_for_modules(python: &Path) -> Result<Vec<u8>> {
    fs::read(python).with_context(|| {
        format!(
            "this is a module in Python, and the plugin that loads such is not at {}: put libpython_handler.so there, \
             or set PYTHON_PLUGIN",
            python.display()
        )
    })
}

impl Unpacked {
    /// Whether this host takes it, as far as that can be told without running code.
    ///
    /// # Errors
    ///
    /// The reason why not.
    pub fn accept(&self, examined: &Examined, symbol: Option<&str>) -> Result<(), Refusal> {
        let suffix = examined.manifest.loads.as_deref();
        match (&self.module, suffix) {
            (Some(_), Some(super::module::SUFFIX)) => examined.accept(None, host_glibc()),
            (Some(_), _) => Err(Refusal::LoadsNone(super::module::SUFFIX)),
            (None, Some(suffix)) => Err(Refusal::LoadsFiles(suffix.to_owned())),
            (None, None) => examined.accept(symbol, host_glibc()),
        }
    }

    /// Checks the library and copies it.
    ///
    /// # Errors
    ///
    /// This host refuses the library, or the private folder can't be written to.
    pub fn verify(self, handler: &HandlerName, private: &PrivateFolder) -> Result<Verified> {
        let examined = examine(&self.bytes)?;
        self.accept(&examined, Some(&handler.symbol))?;
        let passed_over = match &self.module {
            Some(module) => handler.library.as_deref().filter(|wanted| *wanted != module.name),
            None => handler.passed_over(&self.file),
        };
        if let Some(wanted) = passed_over {
            tracing::warn!(
                "the handler's name asks for {wanted:?}, but the only one is {}: taking that",
                self.file.display()
            );
        }
        // What a plugin is told is where it lies, not how this process gets there.
        let folder = match &self.module {
            Some(module) => module.folder.clone(),
            None => self.file.parent().map(Path::to_owned).unwrap_or_default(),
        };
        let folder = if self.folder.is_some() { folder.canonicalize().unwrap_or(folder) } else { folder };
        let exported = match (&examined.manifest.loads, examined.manifest.handlers.first()) {
            (Some(_), Some(symbol)) => symbol.clone(),
            _ => handler.symbol.clone(),
        };
        let library_sha256 = sha256(&self.bytes);
        Ok(Verified {
            copy: private.copy(&library_sha256, &self.bytes)?,
            module: self.module.map(|module| Module { folder: folder.clone(), ..module }),
            folder,
            unpacked: self.folder,
            symbol: handler.symbol.clone(),
            exported,
            manifest: examined.manifest,
            sha256: self.sha256,
            library_sha256,
            zip_sha256: self.zip_sha256,
            signer: self.signer,
            modified: self.modified,
        })
    }
}

impl Verified {
    /// What names this version: the hash of the ZIP, or else of the library.
    pub fn identity(&self) -> &str {
        self.zip_sha256.as_deref().unwrap_or(&self.sha256)
    }

    /// Whether the plugin's other files, or the module, lie in the private folder.
    pub fn is_unpacked(&self) -> bool {
        self.unpacked.is_some()
    }
}
