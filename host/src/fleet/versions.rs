//! The version of the plugin that all threads call, and the one to go back to.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use anyhow::anyhow;

use crate::plugin::{Arrival, Loaded, NotLoaded, Step};
use crate::status::Board;

/// The versions of the plugin.
pub(super) struct Versions {
    state: Mutex<Inner>,
    board: Arc<Board>,
}

struct Inner {
    current: Version,
    /// The one to go back to, until the current one has had a success.
    before: Option<Version>,
    /// Versions whose first call failed.
    rejected: HashSet<String>,
}

/// A version, with a number that no other one has.
#[derive(Clone)]
pub(super) struct Version {
    pub(super) number: u64,
    pub(super) plugin: Arc<Loaded>,
}

impl Versions {
    pub(super) fn new(plugin: Loaded, board: Arc<Board>) -> Versions {
        let current = Version { number: 0, plugin: Arc::new(plugin) };
        Versions { state: Mutex::new(Inner { current, before: None, rejected: HashSet::new() }), board }
    }

    pub(super) fn current(&self) -> Version {
        self.state().current.clone()
    }

    /// The version to go back to if this one fails.
    pub(super) fn before(&self, failed: &Version) -> Option<Version> {
        let state = self.state();
        state.before.clone().filter(|_| state.current.number == failed.number)
    }

    /// This version has had a success: it stays.
    pub(super) fn proven(&self, version: &Version) {
        let mut state = self.state();
        if state.current.number == version.number {
            state.before = None;
        }
    }

    /// Takes what a look for new versions gave.
    pub(super) fn arrive(&self, arrival: Arrival) {
        match arrival {
            Arrival::New(plugin) => self.reload(*plugin),
            Arrival::Failed(not) => self.not_reloaded(&not),
            Arrival::Back => {
                tracing::info!("the plugin can be read again, and has not changed");
                self.board.readable_again();
            }
        }
    }

    fn reload(&self, plugin: Loaded) {
        let identity = plugin.verified.identity().to_owned();
        let mut state = self.state();
        if state.rejected.contains(&identity) {
            drop(state);
            let error = anyhow!("its first call has failed before: change it to have it tried again")
                .context(format!("the new version of {}", plugin.name()));
            return self.not_reloaded(&NotLoaded { step: Step::FirstCall, identity: Some(identity), error });
        }
        let (version, sha256) = (&plugin.verified.manifest.version, &plugin.verified.sha256);
        tracing::info!(plugin = plugin.name(), version, sha256, "reloaded");
        self.board.reloaded(&plugin);
        let number = state.current.number + 1;
        let replaced = std::mem::replace(&mut state.current, Version { number, plugin: Arc::new(plugin) });
        state.before.get_or_insert(replaced);
    }

    /// `failed` has failed before it had any success: all go back to `before`.
    pub(super) fn go_back(&self, failed: &Version, before: &Version, failure: &str) {
        let mut state = self.state();
        if state.current.number != failed.number {
            return;
        }
        let identity = failed.plugin.verified.identity().to_owned();
        state.rejected.insert(identity.clone());
        state.current = Version { number: failed.number + 1, plugin: Arc::clone(&before.plugin) };
        state.before = None;
        drop(state);
        self.board.loaded(&before.plugin);
        let error =
            anyhow!("its first call failed: {failure}").context(format!("the new version of {}", failed.plugin.name()));
        self.not_reloaded(&NotLoaded { step: Step::FirstCall, identity: Some(identity), error });
    }

    fn not_reloaded(&self, not: &NotLoaded) {
        tracing::error!(sha256 = not.identity, step = not.step.as_str(), "not reloaded, the old version stays: {not}");
        self.board.not_reloaded(not);
    }

    /// A plain mutex: it is held for a few moves only, never across an await.
    fn state(&self) -> MutexGuard<'_, Inner> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
