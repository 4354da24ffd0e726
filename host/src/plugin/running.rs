//! An open handler, and what a call of it gives.

use std::time::{Duration, Instant};

use anyhow::Result;
use plugin_api::abi::{About, Call, Failure, Instance};

use super::Loaded;

/// An open handler. Whoever calls it keeps the env of the last call that counted.
pub struct Running {
    instance: Instance,
    /// The handler's env is the one that the caller keeps.
    env_holds: bool,
}

/// What a call gave.
#[derive(Debug)]
pub struct Outcome {
    /// The result.
    pub output: Vec<u8>,
    /// The env after the call, as JSON.
    pub env: Vec<u8>,
    /// How long it took, reading input and env and writing output and env included.
    pub took: Duration,
}

impl Loaded {
    /// Opens the handler with an env, on this thread. No bytes mean a fresh env.
    ///
    /// # Errors
    ///
    /// What the plugin gives as the reason; a [`Failure`] where it can't read the env.
    pub fn run(&self, about: &About<'_>, env: &[u8]) -> Result<Running> {
        let mut instance = self.open(about)?;
        instance.load_env(env)?;
        Ok(Running { instance, env_holds: true })
    }
}

impl Running {
    /// The caller keeps another env now: the handler gets it before its next call.
    pub fn forget_env(&mut self) {
        self.env_holds = false;
    }

    /// Calls the handler; `env` is the one that the caller keeps.
    ///
    /// # Errors
    ///
    /// A failed call has no outcome, and the next one begins with the env that the caller keeps.
    pub fn call(&mut self, call: &Call<'_>, env: &[u8]) -> Result<Outcome, Failure> {
        let started = Instant::now();
        if !self.env_holds {
            self.instance.load_env(env)?;
        }
        // From here to the end the handler may leave anything in its env.
        self.env_holds = false;
        let output = self.instance.call(call)?.to_vec();
        let env = self.instance.save_env()?.to_vec();
        self.env_holds = true;
        Ok(Outcome { output, env, took: started.elapsed() })
    }
}
