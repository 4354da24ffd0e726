//! Goes from one version of the plugin to the next, between two calls, and back if the new one fails at once.

use anyhow::{Error, Result, anyhow};
use plugin_api::abi::{About, Failure};
use tokio::time::Instant;

use super::{Job, News, Next, Worker};
use crate::plugin::{Arrival, Loaded, NotLoaded, Outcome, Running, Step};
use crate::trigger::Event;

/// A version of the plugin, open.
pub(super) struct Version {
    pub(super) plugin: Loaded,
    pub(super) running: Running,
}

impl Version {
    /// Opens the handler with an env.
    pub(super) fn open(job: &Job, plugin: Loaded, env: &[u8]) -> Result<Version> {
        let running = open(job, &plugin, env)?;
        Ok(Version { plugin, running })
    }

    /// Opens the handler anew with another env; it stays as it was if that fails.
    pub(super) fn reopen(&mut self, job: &Job, env: &[u8]) -> Result<()> {
        self.running = open(job, &self.plugin, env)?;
        Ok(())
    }
}

impl Worker {
    /// A new version of the plugin, or why there is none.
    pub(super) fn arrive(&mut self, arrival: Arrival) -> Next {
        match arrival {
            Ok(plugin) => self.reload(plugin),
            Err(not) => self.not_reloaded(&not),
        }
        Next::GoOn
    }

    /// Goes on with a new version of the plugin and the env of the old one, or stays with the old one.
    pub(super) fn reload(&mut self, plugin: Loaded) {
        let (name, identity) = (plugin.name().to_owned(), plugin.verified.identity().to_owned());
        let not = |step, error: Error| {
            let error = error.context(format!("the new version of {name}"));
            NotLoaded { step, identity: Some(identity.clone()), error }
        };
        if self.rejected.contains(&identity) {
            let error = anyhow!("its first call has failed before: change it to have it tried again");
            return self.not_reloaded(&not(Step::FirstCall, error));
        }
        match Version::open(&self.job, plugin, &self.progress.env) {
            Ok(version) => {
                let plugin = &version.plugin;
                tracing::info!(
                    plugin = plugin.name(),
                    version = plugin.verified.manifest.version,
                    sha256 = plugin.verified.sha256,
                    "reloaded"
                );
                self.board.reloaded(plugin);
                // Until a version has had a success, the last one that had is what can be gone back to.
                let replaced = std::mem::replace(&mut self.version, version);
                self.before.get_or_insert(replaced);
                (self.tell)(News::Reloaded(&self.version.plugin));
                self.announce_soon();
            }
            Err(error) => self.not_reloaded(&not(Step::Env, error.context("it can't go on with the env"))),
        }
    }

    /// Goes on with a new version of the plugin, and a fresh env; there is no way back.
    pub(super) fn replace(&mut self, plugin: Loaded) -> Result<()> {
        self.version = Version::open(&self.job, plugin, &[])?;
        self.before = None;
        self.board.reloaded(&self.version.plugin);
        (self.tell)(News::Reloaded(&self.version.plugin));
        Ok(())
    }

    pub(super) fn not_reloaded(&mut self, not: &NotLoaded) {
        tracing::error!(
            sha256 = not.identity,
            step = not.step.as_str(),
            "not reloaded, the old version goes on: {not}"
        );
        self.board.not_reloaded(not);
        (self.tell)(News::NotReloaded(not));
        self.announce_soon();
    }

    /// The first call of a new version failed: gives the same event to the version before, with the same env. If that
    /// succeeds it stays; if it fails as well, the event is what is wrong.
    pub(super) fn call_version_before(&mut self, event: &Event, failure: &Failure) -> Option<Outcome> {
        let before = self.before.take()?;
        let failed = std::mem::replace(&mut self.version, before);
        match self.call(event) {
            Ok(outcome) => {
                let identity = failed.plugin.verified.identity().to_owned();
                let error = anyhow!("its first call failed where the version before succeeded: {failure}")
                    .context(format!("the new version of {}", failed.plugin.name()));
                self.rejected.insert(identity.clone());
                self.board.loaded(&self.version.plugin);
                self.not_reloaded(&NotLoaded { step: Step::FirstCall, identity: Some(identity), error });
                Some(outcome)
            }
            Err(again) => {
                (self.tell)(News::Failed(&again));
                self.before = Some(std::mem::replace(&mut self.version, failed));
                None
            }
        }
    }

    pub(super) fn announce_soon(&mut self) {
        self.announcement = self.announcement.min(Instant::now());
    }
}

fn open(job: &Job, plugin: &Loaded, env: &[u8]) -> Result<Running> {
    let about = About {
        host: &job.address.0,
        port: job.address.1,
        input_key: &job.input_key,
        output_key: &job.output.output,
        function_getmtime: plugin.verified.modified,
        plugin_dir: &plugin.verified.folder,
    };
    plugin.run(&about, env)
}
