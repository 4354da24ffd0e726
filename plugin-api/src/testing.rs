//! Calls a handler in a unit test, without a host.
//!
//! The call takes the way that a host's call takes, through the ABI: bytes in, bytes out, panics caught, env kept as
//! JSON and left as it was by a failed call.
//!
//! ```
//! use plugin_api::{Context, Result, Value, json, testing};
//!
//! fn count(_input: Value, context: &mut Context) -> Result<u64> {
//!     let calls = context.env.get("calls").and_then(Value::as_u64).unwrap_or(0) + 1;
//!     context.env.insert("calls".into(), calls.into());
//!     Ok(calls)
//! }
//!
//! let mut count = testing::Handler::new(count);
//! assert_eq!(count.call(&json!({})).unwrap(), 1);
//! assert_eq!(count.call(&json!({})).unwrap(), 2);
//! assert_eq!(count.env(), json!({"calls": 2}));
//! ```

use std::path::Path;

use serde::Serialize;
use serde_json::Value;

use crate::abi::{self, About, Call, Instance};
use crate::context::{Context, Env};
use crate::{Input, Output, Result};

pub use crate::abi::{Failure, FailureKind};

/// A handler under test, with its env.
///
/// `host` is `localhost`, `port` 6379, the keys are `input` and `output`; event identities count up from `1`.
pub struct Handler {
    instance: Instance,
    /// The env after the last successful call.
    env: Vec<u8>,
    events: u64,
}

/// A context with a fresh env, for calling a handler's function directly.
pub fn context<E: Env>() -> Context<E> {
    Context {
        host: "localhost".to_owned(),
        port: 6379,
        input_key: "input".to_owned(),
        output_key: "output".to_owned(),
        function_getmtime: 0.0,
        last_execution: None,
        event_id: "1".to_owned(),
        attempt: 1,
        plugin_dir: ".".into(),
        env: E::default(),
    }
}

impl Handler {
    /// Opens a handler with a fresh env.
    ///
    /// # Panics
    ///
    /// When the env's `Default` panics.
    pub fn new<F, I, E, O>(handler: F) -> Handler
    where
        F: Fn(I, &mut Context<E>) -> Result<O> + Copy + 'static,
        I: Input + 'static,
        E: Env + 'static,
        O: Output + 'static,
    {
        let about = About {
            host: "localhost",
            port: 6379,
            input_key: "input",
            output_key: "output",
            function_getmtime: 0.0,
            plugin_dir: Path::new("."),
        };
        let table = Box::leak(Box::new(abi::handler_v1(&handler)));
        let mut instance = match abi::Handler::of_this_program(table).open(&about, None) {
            Ok(instance) => instance,
            Err(failure) => panic!("the handler can't be opened: {failure}"),
        };
        let env = instance.save_env().map(<[u8]>::to_vec).unwrap_or_default();
        Handler { instance, env, events: 0 }
    }

    /// Continues from an env that was saved, as a host does after a restart.
    ///
    /// # Errors
    ///
    /// When the handler's type can't read it; the env stays as it was.
    pub fn with_env(mut self, env: &Value) -> std::result::Result<Handler, Failure> {
        let env = env.to_string().into_bytes();
        self.instance.load_env(&env)?;
        self.env = env;
        Ok(self)
    }

    /// Calls the handler with a value as JSON and gives its output as JSON.
    ///
    /// # Errors
    ///
    /// What the host would record as the call's failure.
    ///
    /// # Panics
    ///
    /// When the input can't be written as JSON, or the handler's raw output isn't JSON.
    pub fn call(&mut self, input: &(impl Serialize + ?Sized)) -> std::result::Result<Value, Failure> {
        let input = serde_json::to_vec(input).unwrap_or_else(|error| panic!("the test's input isn't JSON: {error}"));
        let output = self.call_raw(&input)?;
        Ok(serde_json::from_slice(&output).unwrap_or_else(|error| panic!("the output isn't JSON: {error}")))
    }

    /// Calls the handler with bytes and gives its output's bytes.
    ///
    /// # Errors
    ///
    /// What the host would record as the call's failure.
    pub fn call_raw(&mut self, input: &[u8]) -> std::result::Result<Vec<u8>, Failure> {
        self.events += 1;
        let event_id = self.events.to_string();
        let call = Call { input, event_id: &event_id, last_execution: None, attempt: 1 };
        let result = self.instance.call(&call).map(|output| output.unwrap_or_default().to_vec()).and_then(|output| {
            self.env = self.instance.save_env()?.to_vec();
            Ok(output)
        });
        if result.is_err() {
            self.instance.load_env(&self.env)?;
        }
        result
    }

    /// The env as it is kept between calls.
    pub fn env(&self) -> Value {
        serde_json::from_slice(&self.env).unwrap_or_default()
    }
}
