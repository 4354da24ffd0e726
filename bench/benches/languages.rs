//! What the boundary costs per language, side by side in one run: a handler that counts its calls and gives back what it
//! got, linked statically and as a plugin in Rust, in C and in Python. Prints the table of `bench/RESULTS.md`.

mod support;

#[path = "../plugin/src/lib.rs"]
mod linked;

use std::fs;
use std::hint::black_box;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use host::plugin::{Loaded, Loading};
use plugin_api::abi::{About, Instance};
use plugin_api::{Output, Raw};

use support::{about, build, call, data, load, load_with, root};

/// How often each side is measured; the sides take turns.
const ROUNDS: usize = 15;
/// How long a round of a side takes, about.
const ROUND: Duration = Duration::from_millis(50);

/// The same handler in Python. JSON is read and written, since that is what a handler in Python gets.
const PYTHON: &str = "def handler(input, context):
    context.env['calls'] = context.env.get('calls', 0) + 1
    return input
";

fn main() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let libraries = build(&["bench-plugin", "python"])?;
    let rust = load(&libraries.join("libbench_plugin.so"), "pass")?;
    let c = load(&compiled(folder.path())?, "pass")?;
    let module = folder.path().join("handler_module.py");
    fs::write(&module, PYTHON)?;
    let python_plugin = Some(libraries.join("libpython_handler.so"));
    let (_loader, python) = load_with(Loading { python_plugin, ..Loading::default() }, &module, "handler")?;

    let input = fs::read(data("sample.json"))?;
    let mut sides = vec![linked_statically()];
    for (name, plugin) in [("plugin in Rust", &rust), ("plugin in C", &c), ("plugin in Python, JSON included", &python)]
    {
        sides.extend(Side::both(name, plugin)?);
    }
    println!("| a call with {} B that gives them back | median of {ROUNDS} rounds |\n|---|---|", input.len());
    for _ in 0..ROUNDS {
        for side in &mut sides {
            side.measure(&input)?;
        }
    }
    for side in &mut sides {
        side.rounds.sort_unstable_by(f64::total_cmp);
        println!("| {} | {} |", side.name, shown(side.rounds[ROUNDS / 2]));
    }
    Ok(())
}

/// Calls with an input; gives how many bytes came back.
type Calls = Box<dyn FnMut(&[u8]) -> Result<usize>>;

/// What is called.
struct Side {
    name: String,
    call: Calls,
    /// Nanoseconds a call, round by round.
    rounds: Vec<f64>,
}

impl Side {
    fn new(name: &str, call: impl FnMut(&[u8]) -> Result<usize> + 'static) -> Side {
        Side { name: name.to_owned(), call: Box::new(call), rounds: Vec::new() }
    }

    /// A plugin's calls, and its calls with the env saved after each, as before a commit.
    fn both(name: &str, plugin: &Loaded) -> Result<[Side; 2]> {
        let about = About { plugin_dir: &plugin.verified.folder, ..about() };
        let (mut first, mut second) = (plugin.open(&about)?, plugin.open(&about)?);
        let called = |instance: &mut Instance, input: &[u8]| -> Result<usize> {
            let output = instance.call(&call(input)).map_err(|failure| anyhow::anyhow!("{failure}"))?;
            output.map(<[u8]>::len).context("no result")
        };
        let saved = |instance: &mut Instance| -> Result<usize> {
            instance.save_env().map(<[u8]>::len).map_err(|failure| anyhow::anyhow!("{failure}"))
        };
        Ok([
            Side::new(name, move |input| called(&mut first, input)),
            Side::new(&format!("{name}, and its env saved"), move |input| {
                Ok(called(&mut second, input)? + saved(&mut second)?)
            }),
        ])
    }

    fn measure(&mut self, input: &[u8]) -> Result<()> {
        let (started, mut calls) = (Instant::now(), 0_u32);
        while started.elapsed() < ROUND {
            // The clock is read once for many calls: it costs as much as one.
            for _ in 0..64 {
                black_box((self.call)(black_box(input))?);
            }
            calls += 64;
        }
        self.rounds.push(started.elapsed().as_nanos() as f64 / f64::from(calls));
        Ok(())
    }
}

fn linked_statically() -> Side {
    let mut context = plugin_api::testing::context::<u64>();
    let mut output = Vec::new();
    Side::new("the same function in Rust, linked statically", move |input| {
        output.clear();
        let result = linked::pass(Raw(input.to_owned()), &mut context).map_err(|error| anyhow::anyhow!("{error}"))?;
        result.write(&mut output).map_err(|error| anyhow::anyhow!("{error}"))?;
        Ok(output.len())
    })
}

/// The plugin in C.
fn compiled(folder: &Path) -> Result<std::path::PathBuf> {
    let (root, library) = (root()?, folder.join("libpass.so"));
    let status = Command::new("cc")
        .args(["-shared", "-fPIC", "-O2", "-I"])
        .arg(root.join("plugin-api/include"))
        .arg("-o")
        .arg(&library)
        .arg(root.join("bench/plugin/pass.c"))
        .status()
        .context("can't start cc")?;
    ensure!(status.success(), "the plugin in C does not compile");
    Ok(library)
}

fn shown(nanoseconds: f64) -> String {
    if nanoseconds < 1000.0 { format!("{nanoseconds:.0} ns") } else { format!("{:.1} µs", nanoseconds / 1000.0) }
}
