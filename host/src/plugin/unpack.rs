//! Unpacks a ZIP into a private folder, and refuses what an honest archive of a plugin never has.
//!
//! Everything that an archive says of itself is checked before the first file is written, and again by what really
//! comes out of it: so memory and disk stay bounded whatever it says.

use std::collections::HashSet;
use std::fs::{DirBuilder, OpenOptions};
use std::io::{self, Cursor, Read, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Component, Path};

use thiserror::Error;
use zip::extra_fields::ExtraField;
use zip::read::ZipFile;
use zip::result::ZipError;
use zip::{CompressionMethod, ZipArchive};

/// The most files and folders that an archive may hold.
const ENTRIES_MAX: usize = 10_000;

/// How many times its packed size a file may have. Libraries come to 4, JSON to 30; a file of zeros to 1000.
const RATIO_MAX: u64 = 100;

/// Up to this size any ratio is harmless.
const RATIO_FREE: u64 = 1 << 20;

/// The longest name of an entry, in bytes.
const NAME_MAX: usize = 1024;

/// Why an archive is not unpacked.
#[derive(Debug, Error)]
pub enum BadArchive {
    /// Not a ZIP at all, or only a part of one.
    #[error("it is no ZIP, or one that is cut off ({0}): copy it anew")]
    NotAZip(String),
    /// Damaged, or made to mislead.
    #[error("it is damaged or contradicts itself ({0}): pack it anew")]
    Damaged(String),
    /// Too many entries.
    #[error("it holds {0} entries, and {ENTRIES_MAX} is the most: pack fewer")]
    TooManyEntries(usize),
    /// Too much in it.
    #[error("unpacked it would have more than {0} bytes, four times ZIP_MAX_BYTES: raise that, or pack less")]
    TooLarge(u64),
    /// A bomb.
    #[error(
        "its file {name:?} unpacks to more than {RATIO_MAX} times its packed size, as archives made to fill disks do: \
         store it without compression"
    )]
    Ratio {
        /// The file.
        name: String,
    },
    /// A path with `..` in it.
    #[error("its entry {0:?} climbs out of its folder with ..: pack it with relative names only")]
    Climbs(String),
    /// A path from the root.
    #[error("its entry {0:?} has an absolute path: pack it with relative names only")]
    Absolute(String),
    /// A name that is none.
    #[error("its entry {0:?} has a name that can't be a file's here: rename it")]
    BadName(String),
    /// A symbolic link.
    #[error("its entry {0:?} is a symbolic link: pack the file itself")]
    SymbolicLink(String),
    /// A hard link.
    #[error("its entry {0:?} is a hard link: pack the file itself")]
    HardLink(String),
    /// A device, a pipe, a socket.
    #[error("its entry {0:?} is a device, pipe or socket: pack files and folders only")]
    Special(String),
    /// The same name twice.
    #[error("it has two entries of the same name: pack each once")]
    Duplicate,
    /// A file that is a folder too.
    #[error("it has {0:?} both as a file and as a folder: rename one of them")]
    FileAndFolder(String),
    /// A password is needed.
    #[error("its file {0:?} is encrypted: pack it without a password")]
    Encrypted(String),
    /// Packed in a way that this host can't unpack.
    #[error("its file {name:?} is packed with the method {method}: pack it with deflate")]
    Method {
        /// The file.
        name: String,
        /// The method.
        method: CompressionMethod,
    },
    /// A file whose content isn't what was packed.
    #[error("its file {0:?} has another checksum than the archive says: it is damaged; copy it anew")]
    Checksum(String),
    /// A file with other bytes than it says.
    #[error("its file {0:?} has another size than the archive says: it is damaged, or made to mislead")]
    Size(String),
    /// The disk is full, or the like.
    #[error("can't write {name:?} to the private folder")]
    Write {
        /// The file.
        name: String,
        /// What the system says.
        source: io::Error,
    },
}

/// Reads all that an archive says of itself; unpacks nothing.
///
/// # Errors
///
/// The archive is refused.
pub fn check(bytes: &[u8], zip_max_bytes: u64) -> Result<(), BadArchive> {
    Archive::open(bytes, zip_max_bytes).map(drop)
}

/// Unpacks an archive into an empty folder, which is all that it touches. What it made before an error stays there.
///
/// # Errors
///
/// The archive is refused, or the folder can't be written to.
pub fn unpack(bytes: &[u8], folder: &Path, zip_max_bytes: u64) -> Result<(), BadArchive> {
    Archive::open(bytes, zip_max_bytes)?.unpack(folder)
}

/// An archive whose own words were found good.
struct Archive<'a> {
    entries: ZipArchive<Cursor<&'a [u8]>>,
    /// The most bytes that may come out of it.
    most: u64,
}

impl<'a> Archive<'a> {
    fn open(bytes: &'a [u8], zip_max_bytes: u64) -> Result<Archive<'a>, BadArchive> {
        // The reader keeps a record of each entry, so what it will find is bounded first.
        let headers = bytes.windows(4).filter(|window| window == b"PK\x01\x02").count();
        if headers > ENTRIES_MAX {
            return Err(BadArchive::TooManyEntries(headers));
        }
        let archive = ZipArchive::new(Cursor::new(bytes)).map_err(|error| BadArchive::NotAZip(reason(&error)))?;
        // Readers don't agree on where an archive begins that has something before it.
        if archive.offset() != 0 || !bytes.starts_with(b"PK") {
            return Err(BadArchive::Damaged("something stands before its first entry".to_owned()));
        }
        let mut archive = Archive { entries: archive, most: zip_max_bytes.saturating_mul(4) };
        archive.check_entries()?;
        if archive.entries.has_duplicate_names() {
            return Err(BadArchive::Duplicate);
        }
        archive.check_headers().map_err(|error| BadArchive::Damaged(reason(&error)))?;
        Ok(archive)
    }

    /// Checks each entry of the directory at the archive's end.
    fn check_entries(&mut self) -> Result<(), BadArchive> {
        let mut total = 0_u64;
        let (mut files, mut folders) = (HashSet::new(), HashSet::new());
        for index in 0..self.entries.len() {
            let entry = self.entries.by_index_raw(index).map_err(|error| BadArchive::Damaged(reason(&error)))?;
            let name = checked_name(&entry)?;
            check_kind(&entry, &name)?;
            total = total.saturating_add(entry.size());
            if total > self.most {
                return Err(BadArchive::TooLarge(self.most));
            }
            folders.extend(name.match_indices('/').map(|(end, _)| name[..end].to_owned()));
            if entry.is_dir() { &mut folders } else { &mut files }.insert(name);
            // A name may stand for hundreds of folders.
            if files.len() + folders.len() > ENTRIES_MAX {
                return Err(BadArchive::TooManyEntries(files.len() + folders.len()));
            }
        }
        match files.intersection(&folders).next() {
            Some(name) => Err(BadArchive::FileAndFolder(name.clone())),
            None => Ok(()),
        }
    }

    /// What stands before each file must be what the directory says of it, and no file may be a part of another.
    fn check_headers(&mut self) -> Result<(), ZipError> {
        self.entries.validate_header_consistency()?;
        match self.entries.has_overlapping_entries()? {
            true => Err(ZipError::InvalidArchive("its files overlap".into())),
            false => Ok(()),
        }
    }

    fn unpack(mut self, folder: &Path) -> Result<(), BadArchive> {
        for index in 0..self.entries.len() {
            let file = self.entries.by_index(index).map_err(|error| BadArchive::Damaged(reason(&error)))?;
            let name = checked_name(&file)?;
            let path = folder.join(&name);
            let parent = if file.is_dir() { path.as_path() } else { path.parent().unwrap_or(folder) };
            DirBuilder::new()
                .recursive(true)
                .mode(0o700)
                .create(parent)
                .map_err(|source| BadArchive::Write { name: name.clone(), source })?;
            if file.is_file() {
                unpack_file(file, &name, &path)?;
            }
        }
        Ok(())
    }
}

type Entry<'a, 'b> = ZipFile<'a, Cursor<&'b [u8]>>;

/// Unpacks a file of exactly the size that was checked.
fn unpack_file(mut file: Entry<'_, '_>, name: &str, path: &Path) -> Result<(), BadArchive> {
    let write = |source| BadArchive::Write { name: name.to_owned(), source };
    let size = file.size();
    let mut target = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path).map_err(write)?;
    let mut buffer = vec![0; 64 << 10];
    let mut written = 0;
    loop {
        let read = match file.read(&mut buffer) {
            Ok(0) => break,
            Ok(read) => read,
            // The crate has no kinds for these.
            Err(error) if error.to_string().contains("checksum") => return Err(BadArchive::Checksum(name.to_owned())),
            Err(error) if error.to_string().contains("declared uncompressed size") => {
                return Err(BadArchive::Size(name.to_owned()));
            }
            Err(error) => return Err(BadArchive::Damaged(format!("{name:?}: {error}"))),
        };
        written += read as u64;
        if written > size {
            break;
        }
        target.write_all(&buffer[..read]).map_err(write)?;
    }
    match written == size {
        true => Ok(()),
        false => Err(BadArchive::Size(name.to_owned())),
    }
}

/// The name of an entry, if it names a place below the folder, and in one way only.
fn checked_name(entry: &Entry<'_, '_>) -> Result<String, BadArchive> {
    let raw = entry.name_raw();
    let name = match std::str::from_utf8(raw) {
        Ok(name) => name,
        Err(_) => return Err(BadArchive::BadName(String::from_utf8_lossy(raw).into_owned())),
    };
    let path = name.strip_suffix('/').unwrap_or(name);
    if path.starts_with(['/', '\\']) || path.get(1..3).is_some_and(|drive| [":/", ":\\"].contains(&drive)) {
        return Err(BadArchive::Absolute(name.to_owned()));
    }
    let parts = || path.split(['/', '\\']);
    if parts().any(|part| part == "..") {
        return Err(BadArchive::Climbs(name.to_owned()));
    }
    let only_normal = Path::new(path).components().all(|component| matches!(component, Component::Normal(_)));
    let plain = !path.contains(['\\', '\0']) && parts().all(|part| !part.is_empty() && part != "." && part.len() < 256);
    // A reader that takes the name from an extra field sees another one: that can only mislead.
    let one_name = entry.name().is_ok_and(|decoded| decoded == name) || !name.is_ascii();
    if !only_normal || !plain || !one_name || name.len() > NAME_MAX {
        return Err(BadArchive::BadName(name.to_owned()));
    }
    Ok(path.to_owned())
}

/// Files and folders only, packed so that they can be unpacked, with sizes that an honest archive has.
fn check_kind(entry: &Entry<'_, '_>, name: &str) -> Result<(), BadArchive> {
    const KIND: u32 = 0o170_000;
    match entry.unix_mode().map(|mode| mode & KIND) {
        None | Some(0 | 0o100_000 | 0o040_000) => {}
        Some(0o120_000) => return Err(BadArchive::SymbolicLink(name.to_owned())),
        Some(_) => return Err(BadArchive::Special(name.to_owned())),
    }
    if entry.extra_data_fields().any(is_hard_link) {
        return Err(BadArchive::HardLink(name.to_owned()));
    }
    if entry.encrypted() {
        return Err(BadArchive::Encrypted(name.to_owned()));
    }
    let method = entry.compression();
    if ![CompressionMethod::Stored, CompressionMethod::Deflated].contains(&method) {
        return Err(BadArchive::Method { name: name.to_owned(), method });
    }
    if is_suspicious(entry.size(), entry.compressed_size()) {
        return Err(BadArchive::Ratio { name: name.to_owned() });
    }
    Ok(())
}

/// Whether PKWARE's Unix field names a file that a hard link leads to: behind twelve bytes of times and owners (APPNOTE
/// 4.5.7).
fn is_hard_link(field: &ExtraField) -> bool {
    const PKWARE_UNIX: u16 = 0x000d;
    matches!(field, ExtraField::Custom(field) if field.header_id == PKWARE_UNIX && field.data.len() > 12)
}

/// Whether a file of this size, packed to that one, is taken for a part of a bomb.
pub(crate) fn is_suspicious(size: u64, packed: u64) -> bool {
    size > RATIO_FREE && size / RATIO_MAX > packed
}

fn reason(error: &ZipError) -> String {
    match error {
        ZipError::Io(error) => error.to_string(),
        ZipError::InvalidArchive(reason) => reason.to_string(),
        other => other.to_string(),
    }
}
