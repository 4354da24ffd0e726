//! Makes a plugin that can be opened of what was found: trusted, verified, loaded.

use std::fmt;
use std::path::{Path, PathBuf};

use anyhow::Error;
use plugin_api::abi::LogSink;
use serde::{Deserialize, Serialize};

use super::trust::writable_by_others;
use super::{Found, HandlerName, Loaded, PrivateFolder, Trust, Unpacked, ZIP_MAX_BYTES, find};

/// How plugins are loaded.
#[derive(Debug, Clone)]
pub struct Loading {
    /// Where the private folder is made; none for the temporary folder.
    pub state_dir: Option<PathBuf>,
    /// What must be true of a plugin.
    pub trust: Trust,
    /// The largest ZIP that is taken, in bytes.
    pub zip_max_bytes: u64,
}

/// What it takes to load whatever is found.
pub struct Loader {
    pub(super) trust: Trust,
    pub(super) handler: HandlerName,
    pub(super) zip_max_bytes: u64,
    /// Where copies and unpacked ZIPs lie.
    private: PrivateFolder,
    /// Where the plugin's log records go.
    sink: LogSink,
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
        let Loading { state_dir, trust, zip_max_bytes } = loading;
        Ok(Loader { trust, handler, zip_max_bytes, private: PrivateFolder::open(state_dir.as_deref())?, sink })
    }

    /// Finds and reads what lies at a path, with its signature where one is asked for.
    ///
    /// # Errors
    ///
    /// Nothing is there, or it can't be read.
    pub fn find(&self, path: &Path) -> anyhow::Result<Found> {
        let found = Found::read(&find(path, &self.handler)?, self.zip_max_bytes)?;
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
        trusted.unpack(&self.handler, &self.private, self.zip_max_bytes).map_err(|error| failed(Step::Verify, error))
    }

    /// Loads what was found.
    ///
    /// # Errors
    ///
    /// It is not trusted, refused, or can't be copied; which one, and why.
    pub fn load(&self, found: Found) -> Result<Loaded, NotLoaded> {
        for path in found.path.iter().flat_map(|path| writable_by_others(path)) {
            tracing::warn!(
                "others than this user can write to {}: whoever does runs code in this process; take away their right \
                 (chmod go-w, chown)",
                path.display()
            );
        }
        let (identity, name) = (found.sha256.clone(), format!("the plugin {}", found.name));
        let failed = |step, error: Error| NotLoaded { step, identity: Some(identity.clone()), error };
        let loaded = self.unpack(found).and_then(|unpacked| {
            let verified =
                unpacked.verify(&self.handler, &self.private).map_err(|error| failed(Step::Verify, error))?;
            verified.load(self.sink).map_err(|refusal| failed(Step::Load, refusal.into()))
        });
        loaded.map_err(|not| NotLoaded { error: not.error.context(name), ..not })
    }
}

impl Default for Loading {
    /// Whatever is found is trusted, ZIPs may have the usual size, and the temporary folder is used.
    fn default() -> Loading {
        Loading { state_dir: None, trust: Trust::default(), zip_max_bytes: ZIP_MAX_BYTES }
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
