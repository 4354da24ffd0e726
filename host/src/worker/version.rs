//! The worker's versions of the plugin: each is open with the worker's env, and they change between two calls.

use anyhow::Result;
use plugin_api::abi::{About, Failure};
use tokio::time::Instant;

use super::{Job, News, Outcome, Worker};
use crate::plugin::{Arrival, Loaded, NotLoaded, Running};
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

impl AsRef<Loaded> for Version {
    fn as_ref(&self) -> &Loaded {
        &self.plugin
    }
}

impl Worker {
    /// Takes what a look for new versions gave.
    pub(super) fn arrive(&mut self, arrival: Arrival) {
        match arrival {
            Arrival::New(plugin) => self.reload(*plugin),
            Arrival::Failed(not) => {
                self.versions.not_loaded(&not);
                self.tell_not_reloaded(&not);
            }
            Arrival::Back => {
                self.versions.readable_again();
                self.announce_soon();
            }
        }
    }

    /// Goes on with a new version of the plugin and the env of the old one, or stays with the old one.
    pub(super) fn reload(&mut self, plugin: Loaded) {
        self.slot.enter_opening();
        let reloaded = self.versions.reload(plugin, |plugin| Version::open(&self.job, plugin, &self.progress.env));
        self.slot.leave();
        match reloaded {
            Ok(()) => self.tell_reloaded(),
            Err(not) => self.tell_not_reloaded(&not),
        }
    }

    pub(super) fn tell_reloaded(&mut self) {
        (self.tell)(News::Reloaded(&self.versions.current().plugin));
        self.announce_soon();
    }

    fn tell_not_reloaded(&mut self, not: &NotLoaded) {
        (self.tell)(News::NotReloaded(not));
        self.announce_soon();
    }

    /// A new version failed before it has had any success: gives the same event to the version before, with the same
    /// env, and goes back to it if it succeeds.
    pub(super) fn call_version_before(&mut self, event: &Event, failure: &Failure) -> Option<Outcome> {
        if !self.versions.exchange() {
            return None;
        }
        let called = self.call_alone(event, 1);
        self.versions.exchange();
        let outcome = called.ok()?;
        let not = self.versions.go_back(failure)?;
        self.tell_not_reloaded(&not);
        Some(outcome)
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
