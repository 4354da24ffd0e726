//! The folder where private copies and unpacked archives lie: made at the start, locked while the host runs, removed at
//! its end. What a host that was killed left there, the next one removes.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{ErrorKind, Write as _};
use std::os::fd::AsRawFd;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use tempfile::TempDir;

/// How the names of the folders begin.
const PREFIX: &str = "plugin-host-private-";

/// The file whose lock says that a host uses the folder.
const LOCK: &str = ".plugin-host.lock";

/// A host that starts at the same moment may take a new folder for an abandoned one and remove it: then another is made.
const TRIES: usize = 10;

/// A folder that only this user reads and writes, and this process removes.
///
/// It is reached through an open handle: where others may write to the folder that it lies in, they can put another one
/// in its place, and nothing is written to that or loaded from it.
pub struct PrivateFolder {
    /// Where it lies; removed at the end.
    folder: TempDir,
    /// The folder itself, whatever becomes of its name.
    handle: File,
    /// Held until the end; the system drops it with the process.
    _lock: File,
}

impl PrivateFolder {
    /// Makes a folder in `base`, or in the temporary folder, and removes those there that no host holds any more.
    ///
    /// # Errors
    ///
    /// A folder can't be made or locked there.
    pub fn open(base: Option<&Path>) -> Result<PrivateFolder> {
        let base = base.map_or_else(std::env::temp_dir, Path::to_owned);
        let advice = || format!("can't make a private folder in {}: set STATE_DIR to another place", base.display());
        DirBuilder::new().recursive(true).mode(0o700).create(&base).with_context(advice)?;
        for _ in 0..TRIES {
            let folder = make(PREFIX, &base).with_context(advice)?;
            let Some(handle) = open_folder(folder.path()).with_context(advice)? else { continue };
            if let Some(lock) = lock(&path_of(&handle, folder.path()).join(LOCK), true).with_context(advice)? {
                remove_abandoned(&base);
                return Ok(PrivateFolder { folder, handle, _lock: lock });
            }
        }
        bail!("{}: new folders vanish at once", advice())
    }

    /// A new empty folder in here, removed when the value is dropped.
    ///
    /// # Errors
    ///
    /// It can't be made.
    pub(super) fn subfolder(&self) -> Result<TempDir> {
        make("zip-", &self.path()).with_context(|| self.trouble())
    }

    /// Writes a library under its hash: the system's loader hands back the old image for a path that it knows. The file
    /// is there as a whole or not at all, and one that is there already, and may be mapped, is never written to.
    ///
    /// # Errors
    ///
    /// It can't be written.
    pub(super) fn copy(&self, sha256: &str, bytes: &[u8]) -> Result<PathBuf> {
        let copy = self.path().join(format!("{sha256}{}", std::env::consts::DLL_SUFFIX));
        if !copy.exists() {
            let write = || -> std::io::Result<()> {
                let mut file = tempfile::NamedTempFile::new_in(self.path())?;
                file.write_all(bytes)?;
                file.persist(&copy)?;
                Ok(())
            };
            write().with_context(|| self.trouble())?;
        }
        Ok(copy)
    }

    fn path(&self) -> PathBuf {
        path_of(&self.handle, self.folder.path())
    }

    fn trouble(&self) -> String {
        format!("can't write to the private folder {}", self.folder.path().display())
    }
}

impl Drop for PrivateFolder {
    fn drop(&mut self) {
        // The rest goes with the temporary folder.
        empty(&self.path());
    }
}

/// Opens a private folder; none where it has gone, is another user's, or open to others.
pub(crate) fn open_folder(path: &Path) -> std::io::Result<Option<File>> {
    let opened = OpenOptions::new().read(true).custom_flags(libc::O_DIRECTORY | libc::O_NOFOLLOW).open(path);
    let handle = match opened {
        Ok(handle) => handle,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    let metadata = handle.metadata()?;
    let mine = metadata.uid() == rustix::process::geteuid().as_raw() && metadata.mode() & 0o077 == 0;
    Ok((metadata.is_dir() && mine).then_some(handle))
}

/// A path that leads to an open folder, and to no other; its own path where the system has none.
fn path_of(handle: &File, path: &Path) -> PathBuf {
    let through = PathBuf::from(format!("/proc/self/fd/{}", handle.as_raw_fd()));
    if through.exists() { through } else { path.to_owned() }
}

/// Removes all but the lock from a folder. A host that is killed in the middle leaves what the next one knows for an
/// abandoned folder.
fn empty(folder: &Path) {
    for entry in fs::read_dir(folder).into_iter().flatten().flatten().filter(|entry| entry.file_name() != LOCK) {
        let is_folder = entry.file_type().is_ok_and(|kind| kind.is_dir());
        // What can't be removed stays.
        if is_folder { fs::remove_dir_all(entry.path()) } else { fs::remove_file(entry.path()) }.ok();
    }
}

/// Makes a folder that only this user reads and writes.
fn make(prefix: &str, base: &Path) -> std::io::Result<TempDir> {
    tempfile::Builder::new().prefix(prefix).permissions(fs::Permissions::from_mode(0o700)).tempdir_in(base)
}

/// Locks a file; none where somebody else holds it, or removed it meanwhile.
pub(crate) fn lock(path: &Path, create: bool) -> std::io::Result<Option<File>> {
    let mut options = OpenOptions::new();
    // What a link leads to is nobody's lock.
    options.read(true).write(true).create(create).mode(0o600).custom_flags(libc::O_NOFOLLOW);
    let opened = options.open(path);
    let file = match opened {
        Ok(file) => file,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    match file.try_lock() {
        Ok(()) => {}
        Err(fs::TryLockError::WouldBlock) => return Ok(None),
        Err(fs::TryLockError::Error(error)) => return Err(error),
    }
    let same = fs::metadata(path).is_ok_and(|there| file.metadata().is_ok_and(|mine| there.ino() == mine.ino()));
    Ok(same.then_some(file))
}

/// Removes the folders in `base` that this user's hosts left and that no host holds. What can't be removed stays.
fn remove_abandoned(base: &Path) {
    for entry in fs::read_dir(base).into_iter().flatten().flatten() {
        if !entry.file_name().to_string_lossy().starts_with(PREFIX) {
            continue;
        }
        let folder = entry.path();
        match remove_if_abandoned(&folder) {
            Ok(true) => tracing::info!("removed {}, which a host that was killed left", folder.display()),
            Ok(false) => {}
            Err(error) => tracing::debug!("{} stays: {error}", folder.display()),
        }
    }
}

fn remove_if_abandoned(folder: &Path) -> std::io::Result<bool> {
    let Some(handle) = open_folder(folder)? else { return Ok(false) };
    let through = path_of(&handle, folder);
    if let Some(_lock) = lock(&through.join(LOCK), false)? {
        empty(&through);
        fs::remove_dir_all(folder)?;
        return Ok(true);
    }
    // A host that ended before it could lock, or while it removed its folder, left an empty one; anything else stays.
    fs::remove_dir(folder).map(|()| true)
}
