//! A newer version of the fixture, better and worse; only the tests load it.

#![forbid(unsafe_code)]

use plugin_api::{Context, Raw, Result, Value, json};
use serde::{Deserialize, Serialize};

/// The older version's env, without `sum`, and with something that it didn't have.
#[derive(Default, Serialize, Deserialize)]
struct Count {
    calls: u64,
    #[serde(default)]
    since_the_update: u64,
}

/// Goes on counting.
fn versioned(_: Raw, context: &mut Context<Count>) -> Result<Value> {
    context.env.calls += 1;
    context.env.since_the_update += 1;
    Ok(json!({"calls": context.env.calls, "since_the_update": context.env.since_the_update}))
}

/// Fails, after it has spoiled its env.
fn sum(_: Raw, context: &mut Context<Count>) -> Result<Value> {
    context.env.calls += 1000;
    Err("this version is broken")?
}

/// Can't read the older version's env.
fn count(_: Raw, context: &mut Context<Vec<u64>>) -> Result<usize> {
    context.env.push(1);
    Ok(context.env.len())
}

plugin_api::export!(versioned, sum, count);
