//! A handler that does nothing but what every call does: takes bytes, counts in its env, gives bytes.

#![forbid(unsafe_code)]

use plugin_api::{Context, Raw, Result};

/// Counts its calls and gives back what it got.
pub fn pass(input: Raw, context: &mut Context<u64>) -> Result<Raw> {
    context.env += 1;
    Ok(input)
}

plugin_api::export!(pass);
