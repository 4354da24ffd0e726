//! Makes a plugin that can be opened of what was found: trusted, verified, loaded.

use std::fmt;
use std::path::{Path, PathBuf};

use anyhow::Error;
use plugin_api::abi::LogSink;
use serde::{Deserialize, Serialize};

use crate::flight::Slot;

use super::load::modules_are_loaded;
use super::trial::{try_library, try_module};
use super::trust::writable_by_others;
use super::{Found, HandlerName, Loaded, PrivateFolder, Trust, Unpacked, Verified, ZIP_MAX_BYTES, find};

/// How plugins are loaded.
#[derive(Debug, Clone)]
pub struct Loading {
    /// Where the private folder is made; none for the temporary folder.
    pub state_dir: Option<PathBuf>,
    /// What must be true of a plugin.
    pub trust: Trust,
    /// The largest ZIP that is taken, in bytes.
    pub zip_max_bytes: u64,
    /// The library that loads modules in Python; none for the one beside this program.
    pub python_plugin: Option<PathBuf>,
}

/// What it takes to load whatever is found.
pub struct Loader {
    pub(super) trust: Trust,
    pub(super) handler: HandlerName,
    pub(super) zip_max_bytes: u64,
    /// The library that loads modules in Python.
    pub(super) python: PathBuf,
    /// Where copies and unpacked ZIPs lie.
    private: PrivateFolder,
    /// Where the plugin's log records go.
    sink: LogSink,
}

/// What becomes of a new version.
pub enum Renewed {
    /// It can be called here, beside the one before.
    Here(Box<Loaded>),
    /// It is a module, as the one before was: it needs a process of its own, and one in which it was tried has taken it.
    InANewProcess,
}

/// Why something that was found doesn't run.
#[derive(Debug)]
pub struct NotLoaded {
    /// What failed.
    pub step: Step,
    /// What was found: the hash of the ZIP or library; none where nothing could be read.
    pub identity: Option<String>,
    /// Why.
    pub error: Error,
}

/// The steps to a new version of a plugin; each can fail.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Step {
    /// Finding and reading it.
    Read,
    /// Its pin or signature.
    Trust,
    /// Unpacking it and reading its manifest.
    Verify,
    /// The system's loader, and the handler's layout.
    Load,
    /// Its reading the env.
    Env,
    /// Its first call, where the version before did better.
    FirstCall,
}

impl Loader {
    /// Makes the private folder.
    ///
    /// # Errors
    ///
    /// It can't be made.
    pub fn new(loading: Loading, handler: HandlerName, sink: LogSink) -> anyhow::Result<Loader> {
        let Loading { state_dir, trust, zip_max_bytes, python_plugin } = loading;
        let python = python_plugin.unwrap_or_else(beside_this_program);
        Ok(Loader { trust, handler, zip_max_bytes, python, private: PrivateFolder::open(state_dir.as_deref())?, sink })
    }

    /// Finds and reads what lies at a path, with its signature where one is asked for.
    ///
    /// # Errors
    ///
    /// Nothing is there, or it can't be read.
    pub fn find(&self, path: &Path) -> anyhow::Result<Found> {
        let found = Found::read(&find(path, &self.handler)?, self.zip_max_bytes)?;
        let found = found.with_imports(&self.handler, self.zip_max_bytes)?;
        if self.trust.public_key.is_some() { found.with_signature() } else { Ok(found) }
    }

    /// Checks and unpacks what was found.
    ///
    /// # Errors
    ///
    /// It is not trusted, or can't be unpacked.
    pub fn unpack(&self, found: Found) -> Result<Unpacked, NotLoaded> {
        let identity = found.sha256.clone();
        let failed = |step, error| NotLoaded { step, identity: Some(identity.clone()), error };
        let trusted = found.trust(&self.trust).map_err(|error| failed(Step::Trust, error.into()))?;
        trusted
            .unpack(&self.handler, &self.private, self.zip_max_bytes, &self.python)
            .map_err(|error| failed(Step::Verify, error))
    }

    /// Loads what was found.
    ///
    /// # Errors
    ///
    /// It is not trusted, refused, or can't be copied; which one, and why.
    pub fn load(&self, found: Found) -> Result<Loaded, NotLoaded> {
        self.step(found, |verified| verified.load(self.sink).map_err(|refusal| (Step::Load, refusal.into())))
    }

    /// Loads a new version of what runs already, once it was tried in a process of its own, or has it run in a new process
    /// where it can't in this one. While it is loaded, that stands in `slot`; a trial has a bound of its own.
    ///
    /// # Errors
    ///
    /// As for [`load`](Loader::load).
    pub fn renew(&self, found: Found, slot: &mut Slot) -> Result<Renewed, NotLoaded> {
        self.step(found, |verified| match &verified.module {
            Some(module) if modules_are_loaded() => match try_module(&verified, module) {
                Ok(()) => Ok(Renewed::InANewProcess),
                Err(error) => Err((Step::Load, error)),
            },
            _ => {
                try_library(&verified).map_err(|error| (Step::Load, error))?;
                slot.enter_opening();
                let loaded = verified.load(self.sink);
                slot.leave();
                match loaded {
                    Ok(plugin) => Ok(Renewed::Here(Box::new(plugin))),
                    Err(refusal) => Err((Step::Load, refusal.into())),
                }
            }
        })
    }

    /// Verifies what was found, and goes on from there.
    fn step<T>(&self, found: Found, go_on: impl FnOnce(Verified) -> Result<T, (Step, Error)>) -> Result<T, NotLoaded> {
        for path in found.path.iter().flat_map(|path| writable_by_others(path)) {
            tracing::warn!(
                "others than this user can write to {}: whoever does runs code in this process; take away their right \
                 (chmod go-w, chown)",
                path.display()
            );
        }
        let (identity, name) = (found.sha256.clone(), format!("the plugin {}", found.name));
        let failed = |(step, error): (Step, Error)| NotLoaded { step, identity: Some(identity.clone()), error };
        let stepped = self.unpack(found).and_then(|unpacked| {
            let verified =
                unpacked.verify(&self.handler, &self.private).map_err(|error| failed((Step::Verify, error)))?;
            go_on(verified).map_err(failed)
        });
        stepped.map_err(|not| NotLoaded { error: not.error.context(name), ..not })
    }
}

/// Where the library for modules in Python lies, unless another place is named.
fn beside_this_program() -> PathBuf {
    let name = format!("libpython_handler{}", std::env::consts::DLL_SUFFIX);
    std::env::current_exe().map(|program| program.with_file_name(&name)).unwrap_or_else(|_| name.into())
}

impl Default for Loading {
    /// Whatever is found is trusted, ZIPs may have the usual size, and the temporary folder is used.
    fn default() -> Loading {
        Loading { state_dir: None, trust: Trust::default(), zip_max_bytes: ZIP_MAX_BYTES, python_plugin: None }
    }
}

impl NotLoaded {
    /// Nothing was found.
    pub(super) fn unread(error: Error) -> NotLoaded {
        NotLoaded { step: Step::Read, identity: None, error }
    }

    /// Whether this machine failed, not what was found: a full disk, for example. Trying again may help.
    pub(super) fn is_passing(&self) -> bool {
        self.error.root_cause().is::<std::io::Error>()
    }
}

impl Step {
    /// All of them, in order.
    pub const ALL: [Step; 6] = [Step::Read, Step::Trust, Step::Verify, Step::Load, Step::Env, Step::FirstCall];

    /// Its name in status and metrics.
    pub fn as_str(self) -> &'static str {
        match self {
            Step::Read => "read",
            Step::Trust => "trust",
            Step::Verify => "verify",
            Step::Load => "load",
            Step::Env => "env",
            Step::FirstCall => "first-call",
        }
    }
}

impl fmt::Display for NotLoaded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:#}", self.error)
    }
}

impl From<NotLoaded> for Error {
    fn from(not: NotLoaded) -> Error {
        not.error
    }
}
