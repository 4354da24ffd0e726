//! Goes from one version of the plugin to the next, between two calls, and back if the new one fails at once.

use anyhow::{Error, Result, anyhow};
use plugin_api::abi::{About, Failure};
use tokio::time::Instant;

use super::{Job, News, Outcome, Worker};
use crate::plugin::{Arrival, Loaded, NotLoaded, Running, Step};
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
    /// Takes what a look for new versions gave.
    pub(super) fn arrive(&mut self, arrival: Arrival) {
        match arrival {
            Arrival::New(plugin) => self.reload(*plugin),
            Arrival::Failed(not) => self.not_reloaded(&not),
            Arrival::Back => {
                tracing::info!("the plugin can be read again, and has not changed");
                self.board.readable_again();
                self.announce_soon();
            }
        }
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
            Ok(version) => self.put_in_place(version),
            Err(error) => self.not_reloaded(&not(Step::Env, error.context("it can't go on with the env"))),
        }
    }

    /// Calls this version from now on, and keeps the one to go back to: the last one that has had a success, or the
    /// first of all.
    pub(super) fn put_in_place(&mut self, version: Version) {
        let replaced = std::mem::replace(&mut self.version, version);
        self.before.get_or_insert(replaced);
        let plugin = &self.version.plugin;
        tracing::info!(
            plugin = plugin.name(),
            version = plugin.verified.manifest.version,
            sha256 = plugin.verified.sha256,
            "reloaded"
        );
        self.board.reloaded(plugin);
        (self.tell)(News::Reloaded(plugin));
        self.announce_soon();
    }

    fn not_reloaded(&mut self, not: &NotLoaded) {
        tracing::error!(sha256 = not.identity, step = not.step.as_str(), "not reloaded, the old version stays: {not}");
        self.board.not_reloaded(not);
        (self.tell)(News::NotReloaded(not));
        self.announce_soon();
    }

    /// A new version failed before it has had any success: gives the same event to the version before, with the same
    /// env. If that succeeds it stays; if it fails as well, the event is what is wrong.
    pub(super) fn call_version_before(&mut self, event: &Event, failure: &Failure) -> Option<Outcome> {
        let before = self.before.take()?;
        let failed = std::mem::replace(&mut self.version, before);
        match self.call_alone(event, 1) {
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

    fn announce_soon(&mut self) {
        self.announcement = self.announcement.min(Instant::now());
    }
}

/// Opens a handler with an env, on this thread.
pub(super) fn open(job: &Job, plugin: &Loaded, env: &[u8]) -> Result<Running> {
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
