//! Reads what a library says about itself, without running any of its code.

use std::fmt;

use object::elf::{ELFOSABI_GNU, ELFOSABI_SYSV, PT_INTERP};
use object::read::elf::{ElfFile64, FileHeader, ProgramHeader};
use object::{Endianness, FileKind, Object, ObjectSection};
use plugin_api::abi::{ABI_VERSION, Manifest, SECTION};
use thiserror::Error;

/// What a library says about itself.
#[derive(Debug, Clone)]
pub struct Examined {
    /// Its manifest.
    pub manifest: Manifest,
    /// The newest glibc whose symbols it needs, if any.
    pub glibc: Option<Glibc>,
}

/// A version of the GNU C library.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Glibc {
    /// 2 in 2.36.
    pub major: u32,
    /// 36 in 2.36.
    pub minor: u32,
}

/// Why this host won't load a library.
#[derive(Debug, Error, PartialEq, Eq)]
pub enum Refusal {
    /// Neither a library nor anything like one.
    #[error("it is not a shared library: build it with crate-type = [\"cdylib\"]")]
    NotALibrary,
    /// An executable program.
    #[error("it is a program, not a shared library: build it with crate-type = [\"cdylib\"]")]
    Program,
    /// Cut off, or overwritten in part.
    #[error("it is damaged or cut off ({0}): copy it anew")]
    Damaged(String),
    /// For another processor or operating system.
    #[error("it was built for {built}, this host runs on {host}: build it with --target {host_triple}")]
    Foreign {
        /// What it was built for.
        built: String,
        /// What the host runs on.
        host: String,
        /// What to ask of cargo.
        host_triple: &'static str,
    },
    /// A library that isn't a plugin.
    #[error("it is a library without a plugin's manifest (section {SECTION}): does it call plugin_api::export!?")]
    NoManifest,
    /// A manifest that can't be read.
    #[error("its manifest can't be read ({0}): build it with a plugin-api that this host knows")]
    BadManifest(String),
    /// An ABI that this host no longer speaks.
    #[error("it speaks ABI version {0}, older than this host's {ABI_VERSION}: build it with a newer plugin-api")]
    AbiTooOld(u32),
    /// An ABI that this host doesn't speak yet.
    #[error(
        "it speaks ABI version {0}, newer than this host's {ABI_VERSION}: update the host, or build it with an older \
         plugin-api"
    )]
    AbiTooNew(u32),
    /// No handler of that name.
    #[error("it has no handler {wanted:?}: name one of those that it has: {}", .there_are.join(", "))]
    NoSuchHandler {
        /// The name that was asked for.
        wanted: String,
        /// The names that there are.
        there_are: Vec<String>,
    },
    /// Built on a newer system.
    #[error("it needs glibc {needed}, this host has {host}: build it on a system as old as the host's")]
    GlibcTooNew {
        /// The newest version among its symbols.
        needed: Glibc,
        /// The host's.
        host: Glibc,
    },
    /// The manifest and the library disagree.
    #[error("its handler {0:?} can't be used: {1}; build it anew with this host's plugin-api")]
    BadHandler(String, String),
    /// A library that loads files of another language, named itself.
    #[error("it loads files that end in {0}: name such a file, not the library")]
    LoadsFiles(String),
    /// A library that loads none, where one that does was asked for.
    #[error("it loads no files that end in {0}: set PYTHON_PLUGIN to libpython_handler.so")]
    LoadsNone(&'static str),
    /// None of the libraries of which it needs one.
    #[error(
        "it needs one of {}, and the system has none ({said}): install it (on Debian the package is called \
         libpython3.N, with the N that python3 --version says), or put its folder into LD_LIBRARY_PATH", .names.join(", ")
    )]
    NoneOf {
        /// Their names.
        names: Vec<String>,
        /// What the system's loader says of the last one.
        said: String,
    },
    /// The system's loader refused it.
    #[error("the system can't load it: {0}")]
    Loader(String),
}

impl Examined {
    /// What keeps this host from calling a handler of it, as far as that can be told without running its code.
    ///
    /// # Errors
    ///
    /// The reason.
    pub fn accept(&self, handler: Option<&str>, host: Option<Glibc>) -> Result<(), Refusal> {
        if self.manifest.abi < ABI_VERSION {
            return Err(Refusal::AbiTooOld(self.manifest.abi));
        }
        if self.manifest.abi > ABI_VERSION {
            return Err(Refusal::AbiTooNew(self.manifest.abi));
        }
        if let (Some(needed), Some(host)) = (self.glibc, host)
            && needed > host
        {
            return Err(Refusal::GlibcTooNew { needed, host });
        }
        match handler {
            Some(wanted) if !self.manifest.handlers.iter().any(|there_is| there_is == wanted) => {
                Err(Refusal::NoSuchHandler { wanted: wanted.to_owned(), there_are: self.manifest.handlers.clone() })
            }
            _ => Ok(()),
        }
    }
}

/// Reads what a library says about itself.
///
/// # Errors
///
/// It isn't a library for this system, or not a plugin.
pub fn examine(bytes: &[u8]) -> Result<Examined, Refusal> {
    let built = match FileKind::parse(bytes) {
        Ok(FileKind::Elf64) => "64-bit ELF",
        Ok(FileKind::Elf32) => return Err(foreign("a 32-bit system (ELF)")),
        Ok(FileKind::MachO64 | FileKind::MachOFat32 | FileKind::MachOFat64) => "macOS (Mach-O)",
        Ok(FileKind::Pe32 | FileKind::Pe64) => return Err(foreign("Windows (PE)")),
        _ => return Err(Refusal::NotALibrary),
    };
    if built.starts_with("macOS") != cfg!(target_vendor = "apple") {
        return Err(foreign(built));
    }
    let glibc = if cfg!(target_vendor = "apple") { None } else { examine_elf(bytes)? };
    let file = object::File::parse(bytes).map_err(damaged)?;
    let section = file.section_by_name(SECTION).ok_or(Refusal::NoManifest)?;
    let data = section.data().map_err(damaged)?;
    // A text in C ends with a zero.
    let text = data.strip_suffix(&[0]).unwrap_or(data);
    let manifest = serde_json::from_slice(text).map_err(|error| Refusal::BadManifest(error.to_string()))?;
    Ok(Examined { manifest, glibc })
}

/// Checks what only ELF has; gives the newest glibc that it needs.
fn examine_elf(bytes: &[u8]) -> Result<Option<Glibc>, Refusal> {
    let header = object::elf::FileHeader64::<Endianness>::parse(bytes).map_err(damaged)?;
    let endian = header.endian().map_err(damaged)?;
    let built = match header.e_machine(endian) {
        object::elf::EM_X86_64 => "x86_64",
        object::elf::EM_AARCH64 => "aarch64",
        object::elf::EM_RISCV => "riscv64",
        object::elf::EM_PPC64 => "powerpc64",
        object::elf::EM_S390 => "s390x",
        object::elf::EM_LOONGARCH => "loongarch64",
        _ => "another processor",
    };
    if built != std::env::consts::ARCH {
        return Err(foreign(built));
    }
    if ![ELFOSABI_SYSV, ELFOSABI_GNU].contains(&header.e_ident().os_abi) {
        return Err(foreign("another operating system"));
    }
    let segments = header.program_headers(endian, bytes).map_err(damaged)?;
    for segment in segments {
        // The loader maps segments without looking at the file's size; touching what isn't there ends the process.
        let (offset, size) = segment.file_range(endian);
        if offset.checked_add(size).is_none_or(|end| end > bytes.len() as u64) {
            return Err(Refusal::Damaged("a segment lies beyond the end of the file".to_owned()));
        }
    }
    match header.e_type(endian) {
        object::elf::ET_DYN if segments.iter().any(|segment| segment.p_type(endian) == PT_INTERP) => {
            return Err(Refusal::Program);
        }
        object::elf::ET_DYN => {}
        object::elf::ET_EXEC => return Err(Refusal::Program),
        _ => return Err(Refusal::NotALibrary),
    }
    needed_glibc(&ElfFile64::<Endianness>::parse(bytes).map_err(damaged)?, bytes).map_err(damaged)
}

/// More versions than any library needs.
const VERSIONS_MAX: usize = 4096;

fn needed_glibc(file: &ElfFile64<'_, Endianness>, bytes: &[u8]) -> object::read::Result<Option<Glibc>> {
    let sections = file.elf_section_table();
    let Some((mut libraries, link)) = sections.gnu_verneed(file.endian(), bytes)? else {
        return Ok(None);
    };
    let strings = sections.strings(file.endian(), bytes, link)?;
    let mut newest = None;
    let mut walked = 0;
    while let Some((_, mut versions)) = libraries.next()? {
        while let Some(version) = versions.next()? {
            // The records name their successors, so a crafted file could lead in circles.
            walked += 1;
            if walked > VERSIONS_MAX {
                return Ok(newest);
            }
            newest = newest.max(Glibc::parse(version.name(file.endian(), strings)?));
        }
    }
    Ok(newest)
}

impl Glibc {
    /// Reads `GLIBC_2.36` or `2.36`; a patch level is left out.
    pub fn parse(version: &[u8]) -> Option<Glibc> {
        let version = std::str::from_utf8(version).ok()?;
        let mut parts = version.strip_prefix("GLIBC_").unwrap_or(version).split('.');
        Some(Glibc { major: parts.next()?.parse().ok()?, minor: parts.next()?.parse().ok()? })
    }
}

impl fmt::Display for Glibc {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.major, self.minor)
    }
}

fn damaged(error: impl fmt::Display) -> Refusal {
    Refusal::Damaged(error.to_string())
}

fn foreign(built: &str) -> Refusal {
    Refusal::Foreign {
        built: built.to_owned(),
        host: format!("{} ({})", std::env::consts::ARCH, std::env::consts::OS),
        host_triple: plugin_api::TARGET,
    }
}
