//! Checks what was read against what the operator asks for, before anything of it is unpacked or loaded.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::str::FromStr;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use minisign_verify::Signature;
use rustix::fs::StatVfsMountFlags;
use serde::{Deserialize, Serialize};
use thiserror::Error;

use super::{Found, Kind};

/// What must be true of a plugin before anything of it is unpacked or loaded.
#[derive(Debug, Clone, Default)]
pub struct Trust {
    /// Who must have signed it.
    pub public_key: Option<PublicKey>,
    /// The SHA-256 that the ZIP must have, in hexadecimal digits.
    pub zip_sha256: Option<String>,
}

/// A minisign public key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PublicKey {
    key: minisign_verify::PublicKey,
    id: String,
}

/// Who signed a plugin.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Signer {
    /// The key's number, as minisign prints it.
    pub key_id: String,
    /// The comment that was signed with it.
    pub comment: String,
}

/// A library or ZIP that is what the operator asks for.
pub struct Trusted {
    /// What was read.
    pub found: Found,
    /// Who signed it, where that was asked for.
    pub signer: Option<Signer>,
}

/// Why a plugin is not trusted.
#[derive(Debug, Error, PartialEq, Eq)]
pub enum Distrust {
    /// A pin, and nothing that it could be compared with.
    #[error("ZIP_SHA256 is set, but this is a {0}, not a ZIP: unset it, or load a ZIP")]
    PinWithoutZip(&'static str),
    /// Another archive than the pinned one.
    #[error("its SHA-256 is {found}, but ZIP_SHA256 asks for {wanted}: it was changed, or the pin is out of date")]
    Pin {
        /// What was read.
        found: String,
        /// What the operator asks for.
        wanted: String,
    },
    /// Something that a module imports.
    #[error("the file {file}, which it imports: {why}; or pack all of it in a ZIP, and sign that")]
    Import {
        /// The file.
        file: String,
        /// What is wrong with it.
        why: Box<Distrust>,
    },
    /// No signature beside it.
    #[error(
        "it is not signed (no .minisig beside it), but PLUGIN_PUBLIC_KEY asks for the key {wanted}: sign it with \
             minisign -S -m FILE"
    )]
    Unsigned {
        /// The key that is asked for.
        wanted: String,
    },
    /// Something else beside it.
    #[error("its signature is no minisign signature ({0}): sign it anew with minisign -S -m FILE")]
    Malformed(String),
    /// Another key.
    #[error("it is signed with the key {by}, but PLUGIN_PUBLIC_KEY asks for the key {wanted}")]
    OtherKey {
        /// The key of the signature.
        by: String,
        /// The key that is asked for.
        wanted: String,
    },
    /// The key is right, the content isn't.
    #[error("its signature does not fit: it was changed after it was signed, or the signature is another file's")]
    Forged,
}

impl Found {
    /// Checks pin and signature.
    ///
    /// # Errors
    ///
    /// What the operator asks for and this isn't.
    pub fn trust(self, trust: &Trust) -> Result<Trusted, Distrust> {
        if let Some(wanted) = &trust.zip_sha256 {
            match self.kind {
                Kind::Library => return Err(Distrust::PinWithoutZip("library")),
                Kind::Module => return Err(Distrust::PinWithoutZip("module")),
                Kind::Zip if self.sha256 != *wanted => {
                    return Err(Distrust::Pin { found: self.sha256, wanted: wanted.clone() });
                }
                Kind::Zip => {}
            }
        }
        let check = |key: &PublicKey| {
            for file in &self.imports {
                key.check(&file.bytes, file.signature.as_deref())
                    .map_err(|why| Distrust::Import { file: file.name.display().to_string(), why: Box::new(why) })?;
            }
            key.check(&self.bytes, self.signature.as_deref())
        };
        let signer = trust.public_key.as_ref().map(check).transpose()?;
        Ok(Trusted { found: self, signer })
    }
}

impl PublicKey {
    fn check(&self, content: &[u8], signature: Option<&[u8]>) -> Result<Signer, Distrust> {
        let Some(bytes) = signature else {
            return Err(Distrust::Unsigned { wanted: self.id.clone() });
        };
        let (signature, signer) = parse(bytes)?;
        match self.key.verify(content, &signature, true) {
            Ok(()) => Ok(signer),
            Err(minisign_verify::Error::UnexpectedKeyId) => {
                Err(Distrust::OtherKey { by: signer.key_id, wanted: self.id.clone() })
            }
            Err(_) => Err(Distrust::Forged),
        }
    }
}

impl FromStr for PublicKey {
    type Err = String;

    /// Reads the key itself (`RW…`), or what the file minisign.pub holds.
    fn from_str(text: &str) -> Result<PublicKey, String> {
        let mut lines = text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.contains("comment:"));
        let line = lines.next().unwrap_or_default();
        if lines.next().is_some() {
            return Err("there is more than one key: give one".to_owned());
        }
        let key = minisign_verify::PublicKey::from_base64(line)
            .map_err(|error| format!("{line:?} is no minisign public key, which begins with RW: {error}"))?;
        Ok(PublicKey { key, id: key_id(line) })
    }
}

impl Signer {
    /// Who a signature says that it comes from; nothing is checked.
    pub fn claimed(signature: &[u8]) -> Result<Signer, Distrust> {
        parse(signature).map(|(_, signer)| signer)
    }
}

fn parse(bytes: &[u8]) -> Result<(Signature, Signer), Distrust> {
    let text = std::str::from_utf8(bytes).map_err(|error| Distrust::Malformed(error.to_string()))?;
    let signature = Signature::decode(text).map_err(|error| Distrust::Malformed(error.to_string()))?;
    let key_id = key_id(text.lines().nth(1).unwrap_or_default());
    let comment = signature.trusted_comment().to_owned();
    Ok((signature, Signer { key_id, comment }))
}

/// The number of a key: in key and signature alike, the eight bytes after the algorithm's two, least byte first. Written
/// as minisign does, without leading zeros.
fn key_id(base64: &str) -> String {
    let bytes = STANDARD.decode(base64).unwrap_or_default();
    let id = bytes.get(2..10).and_then(|id| id.try_into().ok()).map(u64::from_le_bytes).unwrap_or_default();
    format!("{id:X}")
}

/// The file, the folder that names it and the one that it really lies in, as far as others than this user and root may
/// write there.
pub fn writable_by_others(file: &Path) -> Vec<PathBuf> {
    let Ok(real) = file.canonicalize() else { return Vec::new() };
    let folders = [file.parent(), real.parent()].into_iter().flatten().filter_map(|path| path.canonicalize().ok());
    let mut paths: Vec<_> = folders.chain([real.clone()]).filter(|path| others_may_write(path)).collect();
    paths.sort();
    paths.dedup();
    paths
}

fn others_may_write(path: &Path) -> bool {
    let Ok(metadata) = fs::metadata(path) else { return false };
    let mode = metadata.permissions().mode();
    // In a sticky folder, such as /tmp, nobody can replace files of another user.
    let sticky = metadata.is_dir() && mode & 0o1000 != 0;
    // A group of this user's own is common (umask 002), and whoever is in it was put there.
    let group = mode & 0o020 != 0 && metadata.gid() != rustix::process::getegid().as_raw();
    let owner = ![0, rustix::process::geteuid().as_raw()].contains(&metadata.uid());
    // The volumes of Kubernetes have wide modes and are mounted read-only.
    let read_only = || rustix::fs::statvfs(path).is_ok_and(|fs| fs.f_flag.contains(StatVfsMountFlags::RDONLY));
    (owner || ((mode & 0o002 != 0 || group) && !sticky)) && !read_only()
}
