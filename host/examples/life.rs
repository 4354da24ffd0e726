//! The life of a plugin, step by step as the documentation of plugin-api numbers it.
//!
//! ```console
//! $ cargo build --release -p metrics
//! $ cargo run --example life -- target/release/libmetrics.so plugins/metrics/data/sample.json
//! ```

use std::path::{Path, PathBuf};
use std::{env, fs};

use anyhow::{Context, Result};
use host::logging::plugin_sink;
use host::plugin::{Found, Loaded, PrivateFolder, Running, Trust, ZIP_MAX_BYTES};
use plugin_api::abi::{About, Call};

fn main() -> Result<()> {
    let mut words = env::args_os().skip(1).map(PathBuf::from);
    let (plugin, input) = words.next().zip(words.next()).context("give a plugin, and a file that holds an input")?;
    let new_version = words.next().unwrap_or_else(|| plugin.clone());
    let input = fs::read(&input).with_context(|| format!("can't read {}", input.display()))?;
    for line in live(&plugin, "handler", [&input, b"no JSON"], &new_version)? {
        println!("{line}");
    }
    Ok(())
}

/// Lives through a plugin's life: calls a handler with two inputs, and then a new version of it with the first one. Gives
/// what can be seen of it, a line for each step.
///
/// # Errors
///
/// The plugin is refused.
pub fn live(plugin: &Path, handler: &str, inputs: [&[u8]; 2], new_version: &Path) -> Result<Vec<String>> {
    let private = PrivateFolder::open(None)?;
    // What a store would keep.
    let (mut output, mut env) = (Vec::new(), Vec::new());
    let mut seen = Vec::new();

    let loaded = load(plugin, handler, &private, &mut seen)?;
    let mut running = open(&loaded, &env, &mut seen)?;
    for (input, event_id) in inputs.into_iter().zip(["1", "2"]) {
        // 6. The input is read, the function runs, the output is written.
        let call = Call { input, event_id, last_execution: None, attempt: 1 };
        match running.call(&call, &env) {
            Ok(result) => {
                seen.push(format!("6. called with event {event_id}"));
                // 7. After a success, output and env are committed in one transaction.
                env = running.save_env()?;
                output = result.unwrap_or(output);
                let text = String::from_utf8_lossy;
                seen.push(format!("7. committed {} with the env {}", text(&output), text(&env)));
            }
            // 8. After a failure, nothing is written, and the next call begins with the last env that was saved.
            Err(failure) => seen.push(format!("8. event {event_id} failed: {failure}")),
        }
    }

    // 9. A new version gets the env of the old one, whose library stays mapped.
    let newer = load(new_version, handler, &private, &mut seen)?;
    let mut running = open(&newer, &env, &mut seen)?;
    let result = running.call(&Call { input: inputs[0], event_id: "3", last_execution: None, attempt: 1 }, &env);
    let result = result?.unwrap_or_default();
    seen.push(format!("9. version {} gives {}", newer.verified.manifest.version, String::from_utf8_lossy(&result)));
    Ok(seen)
}

/// From a file to what is loaded.
fn load(plugin: &Path, handler: &str, private: &PrivateFolder, seen: &mut Vec<String>) -> Result<Loaded> {
    let handler = handler.parse().map_err(anyhow::Error::msg)?;
    // 1. Found, read once, trusted.
    let found = Found::read(plugin, ZIP_MAX_BYTES)?;
    seen.push(format!("1. found {}", found.sha256));
    let trusted = found.trust(&Trust::default())?;
    // 2. The manifest is read, and a private copy made; none of the library's code has run.
    let unpacked = trusted.unpack(&handler, private, ZIP_MAX_BYTES, Path::new(""))?;
    let verified = unpacked.verify(&handler, private)?;
    seen.push(format!("2. it is {} with {}", verified.manifest.name, verified.manifest.handlers.join(", ")));
    // 3. Loaded, and the handler's layout checked.
    let loaded = verified.load(plugin_sink())?;
    seen.push(format!("3. loaded {}", loaded.verified.symbol));
    Ok(loaded)
}

/// From what is loaded to what can be called.
fn open(loaded: &Loaded, env: &[u8], seen: &mut Vec<String>) -> Result<Running> {
    let about = About {
        host: "localhost",
        port: 6379,
        input_key: "in",
        output_key: "out",
        function_getmtime: 0.0,
        plugin_dir: Path::new("."),
    };
    // 4. Opened with a default env, and 5. given the one that the store holds; no bytes mean that it holds none.
    let running = loaded.run(&about, env)?;
    let what = if env.is_empty() { "4. opened with a fresh env" } else { "5. opened with the env that was saved" };
    seen.push(what.to_owned());
    Ok(running)
}
