//! The version of the plugin that is called, and the one before, until the new one has had a success.
//!
//! A new version that fails before that is compared with the one before: whoever calls gives that one the same event
//! with the same env. If it succeeds, all go back to it; if it fails as well, the event is what is wrong.

use std::collections::HashSet;
use std::sync::Arc;

use anyhow::{Error, Result, anyhow};

use crate::plugin::{Loaded, NotLoaded, Step};
use crate::status::Board;

/// The versions of the plugin; `V` is what a caller needs to call one.
pub(crate) struct Versions<V> {
    current: V,
    /// The last one that has had a success, or the first of all; none where that is the current one.
    before: Option<V>,
    /// Those that failed at once where the one before succeeded: they are not tried again.
    rejected: HashSet<String>,
    board: Arc<Board>,
}

impl<V: AsRef<Loaded>> Versions<V> {
    pub fn new(first: V, board: Arc<Board>) -> Versions<V> {
        Versions { current: first, before: None, rejected: HashSet::new(), board }
    }

    pub fn current(&self) -> &V {
        &self.current
    }

    pub fn current_mut(&mut self) -> &mut V {
        &mut self.current
    }

    /// The version to go back to, until the current one has had a success.
    pub fn before(&self) -> Option<&V> {
        self.before.as_ref()
    }

    pub fn before_mut(&mut self) -> Option<&mut V> {
        self.before.as_mut()
    }

    /// Puts a new version in place, made by `open`; the one so far stays where that fails or it was gone back from.
    ///
    /// # Errors
    ///
    /// Why it was not taken, already told to board and log.
    pub fn reload(&mut self, plugin: Loaded, open: impl FnOnce(Loaded) -> Result<V>) -> Result<(), NotLoaded> {
        let (name, identity) = (plugin.name().to_owned(), plugin.verified.identity().to_owned());
        let opened = match self.rejected.contains(&identity) {
            true => {
                Err((Step::FirstCall, anyhow!("its first call has failed before: change it to have it tried again")))
            }
            false => open(plugin).map_err(|error| (Step::Env, error.context("it can't go on with the env"))),
        };
        match opened {
            Ok(version) => {
                self.put_in_place(version);
                Ok(())
            }
            Err((step, error)) => Err(self.refused(&name, identity, step, error)),
        }
    }

    /// Calls this version from now on, and keeps the one to go back to.
    pub fn put_in_place(&mut self, version: V) {
        let replaced = std::mem::replace(&mut self.current, version);
        self.before.get_or_insert(replaced);
        let plugin = self.current.as_ref();
        let (version, sha256) = (&plugin.verified.manifest.version, &plugin.verified.sha256);
        tracing::info!(plugin = plugin.name(), version, sha256, "reloaded");
        self.board.reloaded(plugin);
    }

    /// The current version has had a success, or is the only one that can go on: it stays.
    pub fn proven(&mut self) {
        self.before = None;
    }

    /// Lets the version before be the current one for a call, and after it the other way round again; false where there
    /// is none.
    pub fn exchange(&mut self) -> bool {
        let before = self.before.as_mut().map(|before| std::mem::swap(before, &mut self.current));
        before.is_some()
    }

    /// The current version has failed where the one before succeeded: goes back to that one, if there is one still. Tells
    /// board and log, and gives what they were told.
    pub fn go_back(&mut self, failure: &impl std::fmt::Display) -> Option<NotLoaded> {
        let failed = std::mem::replace(&mut self.current, self.before.take()?);
        let (failed, identity) = (failed.as_ref(), failed.as_ref().verified.identity().to_owned());
        self.rejected.insert(identity.clone());
        self.board.loaded(self.current.as_ref());
        let error = anyhow!("its first call failed where the version before succeeded: {failure}");
        Some(self.refused(failed.name(), identity, Step::FirstCall, error))
    }

    fn refused(&self, name: &str, identity: String, step: Step, error: Error) -> NotLoaded {
        let error = error.context(format!("the new version of {name}"));
        let not = NotLoaded { step, identity: Some(identity), error };
        self.not_loaded(&not);
        not
    }

    /// A look for new versions found none that can be taken.
    pub fn not_loaded(&self, not: &NotLoaded) {
        tracing::error!(sha256 = not.identity, step = not.step.as_str(), "not reloaded, the old version stays: {not}");
        self.board.not_reloaded(not);
    }

    /// What could not be read can be, and has not changed.
    pub fn readable_again(&self) {
        tracing::info!("the plugin can be read again, and has not changed");
        self.board.readable_again();
    }
}
