//! The host beside the Python runtime and beside a bare loop of the Redis client: latency, throughput, what it costs.
//!
//! Each row is measured in alternating rounds of one run, and the median is told. The server runs on one processor and
//! what is measured on another, where there are two. `bench/compare` builds everything and calls this.
//!
//! The bare loop is this program with the word `push`, `stream` or `pattern`: it reads, writes and acknowledges as the
//! host does, and calls nothing.

#![forbid(unsafe_code)]

#[path = "compare/bare.rs"]
mod bare;
#[path = "compare/curves.rs"]
mod curves;
#[path = "compare/pattern.rs"]
mod pattern;
#[path = "compare/rounds.rs"]
mod rounds;
#[path = "compare/sides.rs"]
mod sides;
#[path = "compare/watcher.rs"]
mod watcher;

use anyhow::{Result, bail};

use rounds::Rounds;

fn main() -> Result<()> {
    let arguments: Vec<_> = std::env::args().skip(1).collect();
    match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["push", url] => bare::push(url),
        ["pattern", url] => bare::pattern(url),
        ["stream", url, batch] => bare::stream(url, batch.parse()?),
        [programs, python, "curves"] => Rounds::new(programs, python)?.curves(),
        [programs, python, ref rows @ ..] => Rounds::new(programs, python)?.measure(rows),
        _ => bail!(
            "usage: compare FOLDER-OF-PROGRAMS PYTHON [push|poll|stream|idle|start|pattern|pattern-KEYS]… | curves"
        ),
    }
}
