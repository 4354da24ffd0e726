//! Makes a plugin that can be opened of what was found: trusted, verified, loaded.

use std::fmt;

use anyhow::Error;
use plugin_api::abi::LogSink;
use serde::Serialize;

use super::trust::writable_by_others;
use super::{Found, HandlerName, Loaded, PrivateFolder, Trust, ZIP_MAX_BYTES};

/// What it takes to load whatever is found.
pub struct Loader {
    /// What must be true of it.
    pub trust: Trust,
    /// The handler that is wanted.
    pub handler: HandlerName,
    /// The largest ZIP that is taken, in bytes.
    pub zip_max_bytes: u64,
    /// Where copies and unpacked ZIPs lie.
    pub private: PrivateFolder,
    /// Where the plugin's log records go.
    pub sink: LogSink,
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
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
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
    /// Its first call.
    FirstCall,
}

impl Loader {
    /// Trusts whatever is found, and takes ZIPs of the usual size.
    pub fn new(private: PrivateFolder, handler: HandlerName, sink: LogSink) -> Loader {
        Loader { trust: Trust::default(), handler, zip_max_bytes: ZIP_MAX_BYTES, private, sink }
    }

    /// Loads what was found.
    ///
    /// # Errors
    ///
    /// It is not trusted, refused, or can't be copied; which one, and why.
    pub fn load(&self, found: Found) -> Result<Loaded, NotLoaded> {
        let (identity, name) = (found.sha256.clone(), format!("the plugin {}", found.name));
        let failed = |step, error: Error| NotLoaded {
            step,
            identity: Some(identity.clone()),
            error: error.context(name.clone()),
        };
        for path in found.path.iter().flat_map(|path| writable_by_others(path)) {
            tracing::warn!(
                "others than this user can write to {}: whoever does runs code in this process; take away their right \
                 (chmod go-w)",
                path.display()
            );
        }
        let trusted = found.trust(&self.trust).map_err(|error| failed(Step::Trust, error.into()))?;
        let verified = trusted
            .unpack(&self.handler, &self.private, self.zip_max_bytes)
            .and_then(|unpacked| unpacked.verify(&self.handler, &self.private))
            .map_err(|error| failed(Step::Verify, error))?;
        verified.load(self.sink).map_err(|refusal| failed(Step::Load, refusal.into()))
    }
}

impl NotLoaded {
    /// Nothing was found.
    pub(super) fn unread(error: Error) -> NotLoaded {
        NotLoaded { step: Step::Read, identity: None, error }
    }

    /// Whether this machine failed, not what was found: a full disk, for example. Trying again may help.
    pub(super) fn is_passing(&self) -> bool {
        self.step == Step::Read || self.error.root_cause().is::<std::io::Error>()
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
