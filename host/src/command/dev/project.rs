//! What is worked on, a crate or a module in Python: loads it, now and at each change of its source.

use std::path::{Path, PathBuf};
use std::sync::Weak;
use std::thread;
use std::time::Duration;

use anyhow::{Context, Error, Result};
use tokio::sync::mpsc;

use super::build::{Builder, Package};
use crate::flight::Slot;
use crate::plugin::{Arrival, Loader, Origin, Source, Watch, is_module_name};

/// How often a module is looked at.
const LOOK: Duration = Duration::from_millis(250);

/// What is worked on.
pub(super) enum Project {
    /// It is built.
    Crate(Package),
    /// A module, or a folder that holds one: it is taken as it is.
    Module(PathBuf),
}

impl Project {
    /// The crate or module at a path.
    pub(super) fn at(path: &Path) -> Result<Project> {
        let holds_module = || {
            let mut files = path.read_dir().into_iter().flatten().flatten();
            !path.join("Cargo.toml").exists() && files.any(|file| is_module_name(&file.path()))
        };
        match is_module_name(path) || holds_module() {
            true => Ok(Project::Module(std::path::absolute(path).context("can't tell where that is")?)),
            false => Package::at(path).map(Project::Crate),
        }
    }

    /// Its folder.
    pub(super) fn folder(&self) -> &Path {
        match self {
            Project::Crate(package) => &package.folder,
            Project::Module(path) if path.is_dir() => path,
            Project::Module(path) => path.parent().unwrap_or(path),
        }
    }

    /// Where results lie by default.
    pub(super) fn database(&self) -> PathBuf {
        match self {
            Project::Crate(package) => package.target.join("plugin-host"),
            Project::Module(_) => self.folder().join(".plugin-host"),
        }
        .join("dev.db")
    }

    /// Loads it on a thread of its own, now and at each change. What fails is told, and whatever runs goes on.
    /// `renew_process` is called where a change needs a new process.
    pub(super) fn watch(
        self,
        loader: Weak<Loader>,
        arrivals: mpsc::Sender<Arrival>,
        renew_process: impl FnOnce() + Send + 'static,
    ) -> Result<()> {
        match self {
            Project::Crate(package) => build_and_watch(Builder::new(package), loader, arrivals),
            Project::Module(path) => load_and_watch(path, loader, arrivals, renew_process),
        }
    }
}

/// Loads a module, and tries each change of it.
fn load_and_watch(
    path: PathBuf,
    loader: Weak<Loader>,
    arrivals: mpsc::Sender<Arrival>,
    renew_process: impl FnOnce() + Send + 'static,
) -> Result<()> {
    let loader = loader.upgrade().context("it has ended")?;
    let mut source = Source::new(Origin::Path(path), &loader);
    let load = move || -> Result<()> {
        let runtime = super::runtime()?;
        let plugin = runtime.block_on(source.first()).and_then(|found| loader.load(found).map_err(Error::from))?;
        // Whoever waits has gone if this fails.
        arrivals.blocking_send(Arrival::New(Box::new(plugin))).ok();
        Watch::start(source, loader, LOOK, Slot::default(), arrivals, renew_process).map(drop)
    };
    let told = move || {
        if let Err(error) = load() {
            eprintln!("{error:#}");
        }
    };
    thread::Builder::new().name("load".to_owned()).spawn(told).map(drop).context("can't start a thread")
}

/// Builds and loads on a thread of its own, now and at each change of the source. What fails is told, and whatever
/// runs goes on.
fn build_and_watch(mut builder: Builder, loader: Weak<Loader>, arrivals: mpsc::Sender<Arrival>) -> Result<()> {
    let build = move || {
        let mut last = None;
        while !arrivals.is_closed() {
            let built = builder.build();
            // The folder goes when `dev` ends, though this thread may still wait.
            let Some(loader) = loader.upgrade() else { return };
            let loaded = built
                .and_then(|library| loader.find(&library))
                .and_then(|found| loader.load(found).map_err(Error::from));
            drop(loader);
            match loaded {
                Ok(plugin) if last.as_ref() == Some(&plugin.verified.sha256) => {}
                Ok(plugin) => {
                    last = Some(plugin.verified.sha256.clone());
                    if arrivals.blocking_send(Arrival::New(Box::new(plugin))).is_err() {
                        return;
                    }
                }
                Err(error) => eprintln!("{error:#}"),
            }
            builder.wait_for_change();
        }
    };
    thread::Builder::new().name("build".to_owned()).spawn(build).context("can't start a thread")?;
    Ok(())
}
