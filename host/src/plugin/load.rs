//! Maps a verified copy and looks up its handler: the one place of the host where plugins' code is entered.

#![allow(unsafe_code, reason = "the system's loader and the symbols of a library have no safe form")]

use std::collections::BTreeSet;
use std::ffi::CStr;
use std::fs;
use std::mem::ManuallyDrop;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use anyhow::{Context, Result};
use libloading::os::unix::{Library, RTLD_GLOBAL, RTLD_LOCAL, RTLD_NOW};
use plugin_api::abi::{About, Handler, HandlerV1, HostV1, Instance, LogSink, Source};

use super::{Glibc, Refusal, Verified};

/// A library that is mapped for the rest of the process, and its handler.
///
/// Libraries are never unloaded: destructors of thread locals would run code that is gone.
pub struct Loaded {
    /// What was loaded.
    pub verified: Verified,
    handler: Handler,
    host: &'static HostV1,
}

impl Verified {
    /// Maps the copy and checks the layout of its handler.
    ///
    /// # Errors
    ///
    /// The system's loader or the layout check refuses it.
    pub fn load(self, sink: LogSink) -> Result<Loaded, Refusal> {
        open_first(&self.manifest.libraries)?;
        // SAFETY: constructors of the library run here. They are the author's code, which is trusted as the handler
        // is; the file is a private copy whose format and segments were checked, and it stays as it is.
        let library = unsafe { Library::open(Some(&self.copy), RTLD_NOW | RTLD_LOCAL) }.map_err(|error| {
            // It is not mapped, and a host that is given many such must not fill its disk. What can't go stays.
            fs::remove_file(&self.copy).ok();
            Refusal::Loader(in_words(error))
        })?;
        let library = ManuallyDrop::new(library);
        mapped().insert(self.library_sha256.clone());
        // SAFETY: the manifest, written by `export!` beside the symbol, says that it is a handler of ABI version 1.
        let symbol = unsafe { library.get::<*const HandlerV1>(self.exported.as_bytes()) }
            .map_err(|error| Refusal::BadHandler(self.symbol.clone(), in_words(error)))?;
        // SAFETY: as above; `ManuallyDrop` keeps the library mapped for the rest of the process.
        let handler = unsafe { Handler::from_symbol(*symbol) }
            .map_err(|error| Refusal::BadHandler(self.symbol.clone(), error.to_string()))?;
        if self.manifest.loads.is_some() {
            MODULES_ARE_LOADED.store(true, Ordering::Relaxed);
        }
        let host = HostV1::for_handler(Source { plugin: &self.manifest.name, handler: &self.symbol }, sink);
        Ok(Loaded { verified: self, handler, host })
    }
}

impl Loaded {
    /// Opens the handler with a fresh env, on this thread.
    ///
    /// # Errors
    ///
    /// What the plugin gives as the reason.
    pub fn open(&self, about: &About<'_>) -> Result<Instance> {
        self.handler
            .open(about, Some(self.host))
            .with_context(|| format!("the plugin {}: its handler {} doesn't open", self.name(), self.verified.symbol))
    }

    /// The package's name.
    pub fn name(&self) -> &str {
        &self.verified.manifest.name
    }
}

/// Opens the first of some libraries that the system has, for all to see, as the manifest asks.
fn open_first(names: &[String]) -> Result<(), Refusal> {
    let mut said = None;
    for name in names {
        // SAFETY: constructors of the library run here. It is the system's own, found where the system looks for
        // libraries, and as trusted as the C library of this process; the plugin's manifest only chooses among them.
        match unsafe { Library::open(Some(name), RTLD_NOW | RTLD_GLOBAL) } {
            Ok(library) => {
                // Never unloaded, as the plugin that needs it.
                std::mem::forget(library);
                return Ok(());
            }
            Err(error) => said = Some(in_words(error)),
        }
    }
    said.map_or(Ok(()), |said| Err(Refusal::NoneOf { names: names.to_owned(), said }))
}

/// What the system's loader says, and what to do about it where that is known.
fn in_words(error: libloading::Error) -> String {
    let said = format!("{:#}", anyhow::Error::new(error));
    match said.contains("failed to map segment") {
        true => format!("{said}: set STATE_DIR to a folder that programs may be run from (mounted without noexec)"),
        false => said,
    }
}

/// How many different libraries are mapped, those of replaced versions included.
pub fn mapped_libraries() -> usize {
    mapped().len()
}

/// Whether a plugin is mapped that loads modules: another version of them needs another process.
pub(super) fn modules_are_loaded() -> bool {
    MODULES_ARE_LOADED.load(Ordering::Relaxed)
}

static MODULES_ARE_LOADED: AtomicBool = AtomicBool::new(false);

/// The hashes of the libraries that are mapped.
fn mapped() -> MutexGuard<'static, BTreeSet<String>> {
    static MAPPED: Mutex<BTreeSet<String>> = Mutex::new(BTreeSet::new());
    MAPPED.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The C library that this process runs with; none where it isn't the GNU one.
pub(crate) fn host_glibc() -> Option<Glibc> {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    {
        // SAFETY: the function takes nothing and returns a static C string.
        let version = unsafe { CStr::from_ptr(libc::gnu_get_libc_version()) };
        Glibc::parse(version.to_bytes())
    }
    #[cfg(not(all(target_os = "linux", target_env = "gnu")))]
    None
}
