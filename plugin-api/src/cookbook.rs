//! Recipes: state, windows, several handlers, logging, errors, testing, changes of env, bytes and files, size.
//!
//! # State
//!
//! What a handler keeps is its `env`: a type of your own that has a default, or a JSON map. There is no other place:
//! a `static` is empty after a restart, knows nothing of failed calls, and is shared by the keys of a pattern.
//!
//! ```
//! use plugin_api::{Context, Result, json, testing};
//! use serde::{Deserialize, Serialize};
//!
//! #[derive(Default, Serialize, Deserialize)]
//! struct Extremes {
//!     least: Option<f64>,
//!     most: Option<f64>,
//! }
//!
//! fn extremes(value: f64, context: &mut Context<Extremes>) -> Result<f64> {
//!     let Extremes { least, most } = &mut context.env;
//!     *least = Some(least.map_or(value, |least| least.min(value)));
//!     *most = Some(most.map_or(value, |most| most.max(value)));
//!     Ok(most.unwrap_or(value) - least.unwrap_or(value))
//! }
//!
//! let mut extremes = testing::Handler::new(extremes);
//! assert_eq!(extremes.call(&4.0).unwrap(), json!(0.0));
//! assert_eq!(extremes.call(&1.5).unwrap(), json!(2.5));
//! assert_eq!(extremes.env(), json!({"least": 1.5, "most": 4.0}));
//! ```
//!
//! Env is written with each commit, so what it costs is its size: keep sums, not all that was ever seen.
//!
//! # Windows
//!
//! The last twelve values:
//!
//! ```
//! use std::collections::VecDeque;
//! use plugin_api::{Context, Result, json, testing};
//!
//! const LENGTH: usize = 12;
//!
//! fn mean(value: f64, context: &mut Context<VecDeque<f64>>) -> Result<f64> {
//!     let window = &mut context.env;
//!     window.push_back(value);
//!     if window.len() > LENGTH {
//!         window.pop_front();
//!     }
//!     Ok(window.iter().sum::<f64>() / window.len() as f64)
//! }
//!
//! let mut mean = testing::Handler::new(mean);
//! assert_eq!(mean.call(&1.0).unwrap(), json!(1.0));
//! assert_eq!(mean.call(&2.0).unwrap(), json!(1.5));
//! ```
//!
//! The last minute, by the time that the input bears: a handler that asks a clock gives something else when it runs twice
//! for an event, and can't be tested without waiting.
//!
//! ```
//! use std::collections::VecDeque;
//! use plugin_api::{Context, Result, json, testing};
//! use serde::Deserialize;
//!
//! #[derive(Deserialize)]
//! struct Sample {
//!     /// Seconds since 1970.
//!     at: f64,
//!     value: f64,
//! }
//!
//! fn most(Sample { at, value }: Sample, context: &mut Context<VecDeque<(f64, f64)>>) -> Result<f64> {
//!     let window = &mut context.env;
//!     window.push_back((at, value));
//!     window.retain(|(then, _)| *then > at - 60.0);
//!     Ok(window.iter().map(|(_, value)| *value).fold(value, f64::max))
//! }
//!
//! let mut most = testing::Handler::new(most);
//! assert_eq!(most.call(&json!({"at": 0, "value": 9})).unwrap(), json!(9.0));
//! assert_eq!(most.call(&json!({"at": 59, "value": 2})).unwrap(), json!(9.0));
//! assert_eq!(most.call(&json!({"at": 61, "value": 1})).unwrap(), json!(2.0));
//! ```
//!
//! # Several handlers
//!
//! One library may export several; each output key has an env of its own, whichever of them is called.
//!
//! ```
//! use plugin_api::{Context, Result};
//!
//! fn doubled(value: f64, _: &mut Context) -> Result<f64> {
//!     Ok(value * 2.0)
//! }
//!
//! fn halved(value: f64, _: &mut Context) -> Result<f64> {
//!     Ok(value / 2.0)
//! }
//!
//! plugin_api::export!(doubled, halved);
//! # fn main() {}
//! ```
//!
//! `HANDLER_FUNCTION=halved` picks one (`plugin-host run --handler halved`). A host calls one handler: for two, run two.
//!
//! # Logging
//!
//! The macros of the crate `log`, which is here as [`plugin_api::log`](crate::log). What is written to standard output
//! or standard error appears too, but bears no level and no name.
//!
//! ```
//! use plugin_api::{Context, Result, log};
//!
//! fn checked(percent: f64, context: &mut Context) -> Result<f64> {
//!     if percent > 100.0 {
//!         log::warn!("{percent} % of {}", context.input_key);
//!     }
//!     Ok(percent.min(100.0))
//! }
//! # plugin_api::testing::Handler::new(checked).call(&120.0).unwrap();
//! ```
//!
//! The host's `RUST_LOG` decides what comes out; a record below it costs a comparison.
//!
//! # Errors
//!
//! `?` takes any error. The host records it with its chain of causes, leaves env and output as they were, and calls the
//! event again, at most `MAX_ATTEMPTS` times; then it is set aside under `{out}:dead`. What the input's type can't read
//! is set aside at once. So return an error for what another try may mend or somebody has to see, and a result for all
//! else.
//!
//! ```
//! use plugin_api::testing::{self, FailureKind};
//! use plugin_api::{Context, Result, json};
//!
//! fn port(address: String, _: &mut Context) -> Result<u16> {
//!     let (_, port) = address.rsplit_once(':').ok_or_else(|| format!("{address:?} has no port"))?;
//!     Ok(port.parse()?)
//! }
//!
//! let mut port = testing::Handler::new(port);
//! assert_eq!(port.call("redis:6379").unwrap(), json!(6379));
//! assert_eq!(port.call("redis").unwrap_err().message, "\"redis\" has no port");
//! assert_eq!(port.call("redis:x").unwrap_err().kind, FailureKind::Error);
//! assert_eq!(port.call(&json!(6379)).unwrap_err().kind, FailureKind::Input);
//! ```
//!
//! A type can check itself while it is read, so that what is wrong fails as input, with its place:
//!
//! ```
//! use plugin_api::{Context, Result, json, testing};
//! use serde::Deserialize;
//!
//! #[derive(Deserialize)]
//! #[serde(try_from = "f64")]
//! struct Percent(f64);
//!
//! impl TryFrom<f64> for Percent {
//!     type Error = String;
//!
//!     fn try_from(number: f64) -> std::result::Result<Percent, String> {
//!         if (0.0..=100.0).contains(&number) { Ok(Percent(number)) } else { Err(format!("{number} is no percentage")) }
//!     }
//! }
//!
//! #[derive(Deserialize)]
//! struct Load {
//!     cpu: Percent,
//! }
//!
//! fn idle(Load { cpu: Percent(busy) }: Load, _: &mut Context) -> Result<f64> {
//!     Ok(100.0 - busy)
//! }
//!
//! let failure = testing::Handler::new(idle).call(&json!({"cpu": 140})).unwrap_err();
//! assert!(failure.message.contains("140 is no percentage at line 1"), "{failure}");
//! ```
//!
//! # Testing
//!
//! [`testing::Handler`](crate::testing::Handler) calls as a host does: JSON in and out, panics caught, env kept. It is
//! where a failed call, a restart and a full window are tried in milliseconds.
//!
//! ```
//! use plugin_api::{Context, Result, json, testing};
//!
//! fn total(value: i64, context: &mut Context<i64>) -> Result<i64> {
//!     context.env = context.env.checked_add(value).ok_or("too much")?;
//!     Ok(context.env)
//! }
//!
//! // A restart: it goes on from an env that was saved.
//! let mut total = testing::Handler::new(total).with_env(&json!(i64::MAX - 1)).unwrap();
//! total.call(&1).unwrap();
//! // A failed call leaves it as it was.
//! total.call(&1).unwrap_err();
//! assert_eq!(total.env(), json!(i64::MAX));
//! ```
//!
//! With real inputs: `plugin-host record` writes them, `plugin-host invoke --expect FILE` holds results against those
//! that are known to be right.
//!
//! # Changes of env
//!
//! A new version begins with the env of the old one. What it can't read keeps it from being taken, and the old version
//! goes on. So a new field gets a default, a new name keeps the old one as an alias, and a new form reads the old one too:
//!
//! ```
//! use std::collections::VecDeque;
//! use plugin_api::{Context, Result, json, testing};
//! use serde::{Deserialize, Serialize};
//!
//! #[derive(Default, Serialize, Deserialize)]
//! struct Kept {
//!     /// It was named `count`.
//!     #[serde(alias = "count")]
//!     calls: u64,
//!     /// It was the newest value alone.
//!     #[serde(default, deserialize_with = "one_or_many")]
//!     last: VecDeque<f64>,
//!     /// It is new.
//!     #[serde(default)]
//!     most: f64,
//! }
//!
//! fn one_or_many<'de, D: serde::Deserializer<'de>>(from: D) -> std::result::Result<VecDeque<f64>, D::Error> {
//!     #[derive(Deserialize)]
//!     #[serde(untagged)]
//!     enum Form {
//!         One(f64),
//!         Many(VecDeque<f64>),
//!     }
//!     Ok(match Form::deserialize(from)? {
//!         Form::One(value) => [value].into(),
//!         Form::Many(values) => values,
//!     })
//! }
//!
//! fn handler(value: f64, Context { env, .. }: &mut Context<Kept>) -> Result<u64> {
//!     env.calls += 1;
//!     env.last.push_back(value);
//!     env.most = env.most.max(value);
//!     Ok(env.calls)
//! }
//!
//! let old = json!({"count": 7, "last": 2.5});
//! let mut handler = testing::Handler::new(handler).with_env(&old).unwrap();
//! assert_eq!(handler.call(&3.0).unwrap(), json!(8));
//! assert_eq!(handler.env(), json!({"calls": 8, "last": [2.5, 3.0], "most": 3.0}));
//! ```
//!
//! Going back works only where the old version can read what the new one wrote: serde passes over fields that it doesn't
//! know, so keep the old ones filled for one version. A field that is gone may simply be left out. To begin anew, stop the
//! host and delete `{out}:env`.
//!
//! # Bytes, and files
//!
//! [`Raw`](crate::Raw) as input or output passes bytes through. Files that were packed beside the library lie in
//! `context.plugin_dir`, which is private to this version: read them, and keep what is yours in env.
//!
//! ```
//! use plugin_api::{Context, Raw, Result, testing};
//!
//! fn lines(text: Raw, _: &mut Context) -> Result<Raw> {
//!     let count = text.0.iter().filter(|byte| **byte == b'\n').count();
//!     Ok(Raw(count.to_string().into_bytes()))
//! }
//!
//! assert_eq!(testing::Handler::new(lines).call_raw(b"a\nb\n").unwrap(), b"2");
//! ```
//!
//! # Size
//!
//! A ConfigMap holds 1 MiB. What a crate needs for a small library:
//!
//! ```toml
//! [lib]
//! crate-type = ["cdylib"] # an rlib beside it loses link-time optimisation
//!
//! [profile.release]
//! lto = true
//! codegen-units = 1
//! strip = true
//! opt-level = "s" # where size counts for more than speed
//! ```
//!
//! Leave `panic` as it is: with `panic = "abort"` a panic ends the process that calls. Each type that serde reads is code;
//! fields that aren't needed are best not named, since what is not named is passed over. `plugin-host inspect` prints
//! the size and whether it fits; `plugin-host pack --zip` makes it smaller.
