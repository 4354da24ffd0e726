//! An open handler.

use anyhow::Result;
use plugin_api::abi::{About, Call, Failure, Instance};

use super::Loaded;

/// An open handler. Whoever calls it keeps the env of the last call that counted.
pub struct Running {
    instance: Instance,
    /// The handler's env is the one that the caller keeps, with the calls since.
    env_holds: bool,
}

impl Loaded {
    /// Opens the handler with an env, on this thread. No bytes mean a fresh env.
    ///
    /// # Errors
    ///
    /// What the plugin gives as the reason; a [`Failure`] where it can't read the env.
    pub fn run(&self, about: &About<'_>, env: &[u8]) -> Result<Running> {
        let mut instance = self.open(about)?;
        instance.load_env(env).map_err(shortened)?;
        Ok(Running { instance, env_holds: true })
    }
}

/// As much of a failure's message is told and kept.
const MESSAGE_MAX: usize = 4096;

/// A handler's error may be of any length.
fn shortened(failure: Failure) -> Failure {
    let Failure { kind, mut message } = failure;
    if message.len() > MESSAGE_MAX {
        let whole = message.len();
        let end = (0..=MESSAGE_MAX).rev().find(|end| message.is_char_boundary(*end)).unwrap_or_default();
        message.truncate(end);
        message.push_str(&format!("… ({whole} bytes)"));
    }
    Failure { kind, message }
}

impl Running {
    /// The caller keeps another env now: the handler gets it before its next call.
    pub fn forget_env(&mut self) {
        self.env_holds = false;
    }

    /// Calls the handler. Its env goes on from the call before; after a failure, and after
    /// [`forget_env`](Running::forget_env), from `env`, the one that the caller keeps. None: nothing is to be written.
    ///
    /// # Errors
    ///
    /// A failed call has no result, and the next one begins with the env that the caller keeps.
    pub fn call(&mut self, call: &Call<'_>, env: &[u8]) -> Result<Option<Vec<u8>>, Failure> {
        if !self.env_holds {
            self.instance.load_env(env).map_err(shortened)?;
        }
        // Until the end the handler may leave anything in its env.
        self.env_holds = false;
        let output = self.instance.call(call).map_err(shortened)?.map(<[u8]>::to_vec);
        self.env_holds = true;
        Ok(output)
    }

    /// The env after the calls so far, as JSON.
    ///
    /// # Errors
    ///
    /// JSON can't hold it; the next call begins with the env that the caller keeps.
    pub fn save_env(&mut self) -> Result<Vec<u8>, Failure> {
        self.env_holds = false;
        let env = self.instance.save_env().map_err(shortened)?.to_vec();
        self.env_holds = true;
        Ok(env)
    }
}
