//! Copies a library to a private place and checks the copy.

use std::fmt::Write;
use std::fs;
use std::io::Write as _;
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::time::UNIX_EPOCH;

use anyhow::{Context, Result};
use plugin_api::abi::Manifest;
use sha2::{Digest, Sha256};

use super::load::host_glibc;
use super::{Found, examine};

/// Where private copies of plugins lie: only this user reads and writes it.
pub struct PrivateFolder {
    path: PathBuf,
    /// Removes the folder at the end, where it is a temporary one.
    _temporary: Option<tempfile::TempDir>,
}

/// A private copy of a library whose manifest fits this host.
///
/// Hash, manifest and copy are made of the same bytes, read once, and only this user can write where the copy lies: so
/// nothing can be swapped between check and load.
#[derive(Debug)]
pub struct Verified {
    /// The copy, named by its content's hash: the system's loader hands back the old image for a path that it knows.
    pub(super) copy: PathBuf,
    /// The folder of the original.
    pub folder: PathBuf,
    /// The symbol of the handler.
    pub symbol: String,
    /// The manifest.
    pub manifest: Manifest,
    /// The content's SHA-256 in hexadecimal digits.
    pub sha256: String,
    /// When the original was changed, in seconds since 1970.
    pub modified: f64,
}

impl PrivateFolder {
    /// The folder at a path, made if need be; without a path a temporary one, removed at the end.
    ///
    /// # Errors
    ///
    /// The folder can't be made or closed to others.
    pub fn open(path: Option<&Path>) -> Result<PrivateFolder> {
        let Some(path) = path else {
            let temporary = tempfile::Builder::new()
                .prefix("plugin-host-")
                .tempdir()
                .context("can't make a folder in the temporary folder: set STATE_DIR to one that can be written")?;
            return Ok(PrivateFolder { path: temporary.path().to_owned(), _temporary: Some(temporary) });
        };
        let plugins = path.join("plugins");
        fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(&plugins)
            .and_then(|()| fs::set_permissions(&plugins, fs::Permissions::from_mode(0o700)))
            .with_context(|| format!("can't make the folder {}: set STATE_DIR to another one", plugins.display()))?;
        Ok(PrivateFolder { path: plugins, _temporary: None })
    }
}

impl Found {
    /// Copies the library and checks the copy.
    ///
    /// # Errors
    ///
    /// The file can't be read or copied, or this host refuses it.
    pub fn verify(&self, private: &PrivateFolder) -> Result<Verified> {
        let name = || format!("the plugin {}", self.path.display());
        let absolute = std::path::absolute(&self.path).with_context(|| format!("can't find {}", name()))?;
        let bytes = fs::read(&self.path).with_context(|| format!("can't read {}", name()))?;
        let examined = examine(&bytes).with_context(name)?;
        examined.accept(Some(&self.symbol), host_glibc()).with_context(name)?;
        let sha256 = sha256(&bytes);
        let copy = private.path.join(format!("{sha256}{}", std::env::consts::DLL_SUFFIX));
        write_whole(&private.path, &copy, &bytes)
            .with_context(|| format!("can't copy {} to {}", name(), copy.display()))?;
        Ok(Verified {
            copy,
            folder: absolute.parent().map(Path::to_owned).unwrap_or_default(),
            symbol: self.symbol.clone(),
            manifest: examined.manifest,
            sha256,
            modified: modified(&self.path).with_context(|| format!("can't read {}", name()))?,
        })
    }
}

/// Writes a file that is there as a whole or not at all; a file that is mapped already is never written to.
fn write_whole(folder: &Path, path: &Path, bytes: &[u8]) -> Result<()> {
    let mut file = tempfile::NamedTempFile::new_in(folder)?;
    file.write_all(bytes)?;
    file.persist(path)?;
    Ok(())
}

fn modified(path: &Path) -> Result<f64> {
    let modified = fs::metadata(path)?.modified()?;
    Ok(modified.duration_since(UNIX_EPOCH).map(|since| since.as_secs_f64()).unwrap_or_default())
}

/// The SHA-256 of some bytes in hexadecimal digits.
pub(crate) fn sha256(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().fold(String::with_capacity(64), |mut digits, byte| {
        // Writing to a string can't fail.
        write!(digits, "{byte:02x}").ok();
        digits
    })
}
