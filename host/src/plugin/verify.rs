//! Takes a library out of its ZIP, checks it, and copies it to a private place.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use plugin_api::abi::Manifest;
use tempfile::TempDir;

use super::find::find_library;
use super::found::sha256;
use super::load::host_glibc;
use super::{HandlerName, Kind, PrivateFolder, Signer, Trusted, examine, unpack};

/// A library, out of its ZIP if it came in one.
#[derive(Debug)]
pub struct Unpacked {
    /// Where it lies.
    pub library: PathBuf,
    /// Its content.
    pub bytes: Vec<u8>,
    /// The content's SHA-256 in hexadecimal digits.
    pub sha256: String,
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
    /// Removes that folder at the end, where it is a ZIP's.
    unpacked: Option<TempDir>,
    /// The symbol of the handler.
    pub symbol: String,
    /// The manifest.
    pub manifest: Manifest,
    /// The library's SHA-256 in hexadecimal digits.
    pub sha256: String,
    /// The SHA-256 of the ZIP that it came in.
    pub zip_sha256: Option<String>,
    /// Who signed it, where that was asked for.
    pub signer: Option<Signer>,
    /// When the original was changed, in seconds since 1970.
    pub modified: f64,
}

impl Trusted {
    /// Unpacks it if it is a ZIP, and picks the library that the handler's name means.
    ///
    /// # Errors
    ///
    /// The ZIP is refused, it holds no such library, or the private folder can't be written to.
    pub fn unpack(self, handler: &HandlerName, private: &PrivateFolder, zip_max_bytes: u64) -> Result<Unpacked> {
        let Trusted { found, signer } = self;
        let modified = found.modified;
        if found.kind == Kind::Library {
            let library = found.path.unwrap_or_default();
            let (bytes, sha256) = (found.bytes, found.sha256);
            return Ok(Unpacked { library, bytes, sha256, zip_sha256: None, folder: None, signer, modified });
        }
        let folder = private.subfolder()?;
        unpack(&found.bytes, folder.path(), zip_max_bytes)?;
        let library = find_library(folder.path(), handler)?;
        let bytes = fs::read(&library).with_context(|| format!("can't read {}", library.display()))?;
        let (sha256, zip_sha256) = (sha256(&bytes), Some(found.sha256));
        Ok(Unpacked { library, bytes, sha256, zip_sha256, folder: Some(folder), signer, modified })
    }
}

impl Unpacked {
    /// Checks the library and copies it.
    ///
    /// # Errors
    ///
    /// This host refuses the library, or the private folder can't be written to.
    pub fn verify(self, handler: &HandlerName, private: &PrivateFolder) -> Result<Verified> {
        let examined = examine(&self.bytes)?;
        examined.accept(Some(&handler.symbol), host_glibc())?;
        if let Some(wanted) = handler.passed_over(&self.library) {
            tracing::warn!(
                "the handler's name asks for the library {wanted:?}, but the only one is {}: taking that",
                self.library.display()
            );
        }
        // What a plugin is told is where it lies, not how this process gets there.
        let folder = self.library.parent().map(Path::to_owned).unwrap_or_default();
        Ok(Verified {
            copy: private.copy(&self.sha256, &self.bytes)?,
            folder: if self.folder.is_some() { folder.canonicalize().unwrap_or(folder) } else { folder },
            unpacked: self.folder,
            symbol: handler.symbol.clone(),
            manifest: examined.manifest,
            sha256: self.sha256,
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

    /// Whether the plugin's other files lie in the private folder.
    pub fn is_unpacked(&self) -> bool {
        self.unpacked.is_some()
    }
}
