//! Handlers that do nothing but what every call does: take bytes, keep an env, give bytes.

#![forbid(unsafe_code)]

use plugin_api::{Context, Raw, Result};

/// Counts its calls and gives back what it got.
pub fn pass(input: Raw, context: &mut Context<u64>) -> Result<Raw> {
    context.env += 1;
    Ok(input)
}

/// Keeps the longest text that it got, and gives back what it got.
pub fn keep(input: Raw, context: &mut Context<String>) -> Result<Raw> {
    if input.0.len() > context.env.len() {
        context.env = String::from_utf8_lossy(&input.0).into_owned();
    }
    Ok(input)
}

plugin_api::export!(pass, keep);
