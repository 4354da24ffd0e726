//! Reads a library, ZIP or module, once: hash, signature, manifest and load all use these bytes.

use std::fmt::Write;
use std::fs::{File, OpenOptions};
use std::io::{self, Read};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result, bail};
use sha2::{Digest, Sha256};

use super::HandlerName;
use super::module::{Imported, Module, is_module_name};

/// The default of the largest ZIP that is taken, in bytes.
pub const ZIP_MAX_BYTES: u64 = 64 << 20;

/// The largest library that is taken, in bytes: far more than any plugin has, debug information included.
const LIBRARY_MAX_BYTES: u64 = 512 << 20;

/// More than any minisign signature has.
pub(super) const SIGNATURE_MAX_BYTES: u64 = 16 << 10;

/// How every ZIP with an entry begins.
const ZIP_MAGIC: &[u8] = b"PK\x03\x04";

/// What a file is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A shared library, or what shall be one.
    Library,
    /// A ZIP, or what shall be one.
    Zip,
    /// A module in Python.
    Module,
}

/// A library, ZIP or module that was read, and may be a plugin.
pub struct Found {
    /// What messages call it: its path or address.
    pub name: String,
    /// What it is.
    pub kind: Kind,
    /// Its content.
    pub bytes: Vec<u8>,
    /// The content's SHA-256 in hexadecimal digits; with the files that a module imports, if there are any.
    pub sha256: String,
    /// The content of the signature beside it.
    pub signature: Option<Vec<u8>>,
    /// What a module imports from its own folder.
    pub(super) imports: Vec<Imported>,
    /// Where it lies; none where it was downloaded.
    pub path: Option<PathBuf>,
    /// When it was changed or downloaded, in seconds since 1970.
    pub modified: f64,
}

impl Found {
    /// Reads a file, without the signature beside it.
    ///
    /// # Errors
    ///
    /// It can't be read, or is larger than a library or ZIP may be.
    pub fn read(path: &Path, zip_max_bytes: u64) -> Result<Found> {
        let name = path.display().to_string();
        let context = || format!("can't read the plugin {name}");
        let mut file = open_file(path).with_context(context)?;
        let metadata = file.metadata().with_context(context)?;
        let modified = metadata.modified().with_context(context)?;
        let mut bytes = Vec::new();
        file.by_ref().take(ZIP_MAGIC.len() as u64).read_to_end(&mut bytes).with_context(context)?;
        let kind = Kind::of(path, &bytes);
        let (most, advice) = match kind {
            Kind::Zip => (zip_max_bytes, "raise ZIP_MAX_BYTES"),
            Kind::Library => (LIBRARY_MAX_BYTES, "strip it (strip = true in the release profile)"),
            Kind::Module => (zip_max_bytes, "raise ZIP_MAX_BYTES"),
        };
        // The file may have grown since, so what is read is bounded too.
        if metadata.len() <= most {
            file.take(most + 1 - bytes.len() as u64).read_to_end(&mut bytes).with_context(context)?;
        }
        if metadata.len().max(bytes.len() as u64) > most {
            bail!("the plugin {name} has more than {most} bytes: {advice}");
        }
        let sha256 = sha256(&bytes);
        let path = Some(std::path::absolute(path).with_context(context)?);
        let modified = seconds_since_1970(modified);
        Ok(Found { name, kind, bytes, sha256, signature: None, imports: Vec::new(), path, modified })
    }

    /// Reads what a module imports from its own folder too.
    ///
    /// # Errors
    ///
    /// It can't be read, or is more than a ZIP may be.
    pub fn with_imports(mut self, handler: &HandlerName, zip_max_bytes: u64) -> Result<Found> {
        if let (Kind::Module, Some(path)) = (self.kind, &self.path) {
            self.imports = Module::of(path, handler).imports(path, &self.bytes, zip_max_bytes)?;
            if !self.imports.is_empty() {
                self.sha256 = sha256_of_all(&self.bytes, &self.imports);
            }
        }
        Ok(self)
    }

    /// Reads the signature beside the file too, if there is one.
    ///
    /// # Errors
    ///
    /// What lies there can't be read, or can't be a signature.
    pub fn with_signature(mut self) -> Result<Found> {
        for file in &mut self.imports {
            file.signature = read_signature(&signature_of(&file.path))?;
        }
        let signature = self.path.as_deref().map(|path| read_signature(&signature_of(path))).transpose()?.flatten();
        Ok(Found { signature, ..self })
    }

    /// The files that a module imports from its folder.
    pub fn imported(&self) -> impl Iterator<Item = &Path> {
        self.imports.iter().map(|file| file.path.as_path())
    }

    /// A ZIP that came from elsewhere, just now.
    pub(super) fn downloaded(name: String, bytes: Vec<u8>, signature: Option<Vec<u8>>) -> Found {
        let sha256 = sha256(&bytes);
        let modified = seconds_since_1970(SystemTime::now());
        Found { name, kind: Kind::Zip, bytes, sha256, signature, imports: Vec::new(), path: None, modified }
    }
}

impl Kind {
    /// What a file is by its name, or else by how it begins.
    fn of(path: &Path, bytes: &[u8]) -> Kind {
        match is_zip_name(path) || bytes.starts_with(ZIP_MAGIC) {
            true => Kind::Zip,
            false if is_module_name(path) => Kind::Module,
            false => Kind::Library,
        }
    }
}

/// Whether a file's name says that it is a ZIP.
pub(crate) fn is_zip_name(path: &Path) -> bool {
    path.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("zip"))
}

/// Where the signature of a file lies.
pub(crate) fn signature_of(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".minisig");
    name.into()
}

/// Reads a signature, if there is one.
fn read_signature(path: &Path) -> Result<Option<Vec<u8>>> {
    let context = || format!("can't read the signature {}", path.display());
    let file = match open_file(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error).with_context(context),
    };
    let mut bytes = Vec::new();
    file.take(SIGNATURE_MAX_BYTES + 1).read_to_end(&mut bytes).with_context(context)?;
    if bytes.len() as u64 > SIGNATURE_MAX_BYTES {
        bail!("{}: it has more than {SIGNATURE_MAX_BYTES} bytes, so it is none: sign the plugin anew", context());
    }
    Ok(Some(bytes))
}

/// Opens a file, and nothing else: a pipe would be waited for until somebody writes to it.
fn open_file(path: &Path) -> io::Result<File> {
    let file = OpenOptions::new().read(true).custom_flags(libc::O_NONBLOCK).open(path)?;
    match file.metadata()?.is_file() {
        true => Ok(file),
        false => Err(io::Error::new(io::ErrorKind::InvalidInput, "it is not a file")),
    }
}

fn seconds_since_1970(time: SystemTime) -> f64 {
    time.duration_since(UNIX_EPOCH).map(|since| since.as_secs_f64()).unwrap_or_default()
}

/// The SHA-256 of some bytes in hexadecimal digits.
pub(crate) fn sha256(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().fold(String::with_capacity(64), |mut digits, byte| {
        // Writing to a string can't fail.
        write!(digits, "{byte:02x}").ok();
        digits
    })
}

/// What names a module together with what it imports.
fn sha256_of_all(module: &[u8], imports: &[Imported]) -> String {
    let parts = [module]
        .into_iter()
        .chain(imports.iter().flat_map(|file| [file.name.as_os_str().as_encoded_bytes(), &file.bytes]));
    // Hashes have one length, so the parts can't run into one another.
    sha256(parts.map(sha256).collect::<String>().as_bytes())
}
