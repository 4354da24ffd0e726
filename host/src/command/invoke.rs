//! `plugin-host invoke`: runs a handler on JSON lines, without a store.

mod expect;

use std::fs::{self, File};
use std::io::{self, BufRead, BufReader, BufWriter, ErrorKind, Write};
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, Result};
use clap::Args;
use plugin_api::abi::{About, Call, Failure};

use self::expect::Expected;
use crate::config::{LoadingFlags, LogFormat, variable};
use crate::logging;
use crate::plugin::{HandlerName, Loader, Running};
use crate::status::now;
use crate::trigger::content_id;

/// Calls a handler for each line of its input and prints a result a line; env is kept from line to line
#[derive(Args)]
pub struct Arguments {
    /// The plugin: a shared library, a ZIP, a module in Python (.py), or a folder that holds one of them
    plugin: PathBuf,
    /// The handler: its symbol, or library.symbol
    #[arg(long, value_name = "NAME", default_value = "handler")]
    handler: HandlerName,
    #[command(flatten)]
    loading: LoadingFlags,
    /// A file of JSON lines; - for standard input. Blank lines are passed over
    #[arg(long, value_name = "FILE", default_value = "-")]
    input: PathBuf,
    /// A file that holds the env to begin with
    #[arg(long, value_name = "FILE")]
    env: Option<PathBuf>,
    /// A file to write the env to at the end
    #[arg(long, value_name = "FILE")]
    save_env: Option<PathBuf>,
    /// A file of results, a line for each line of the input: instead of being printed, the results are compared with it,
    /// and what differs is told with its place
    #[arg(long, value_name = "FILE")]
    expect: Option<PathBuf>,
    /// By how much a number may differ from the expected one, as a part of the larger one of both
    #[arg(long, value_name = "PART", default_value = "1e-9", value_parser = part, requires = "expect")]
    tolerance: f64,
}

/// Calls the handler for each line. A line that fails, or whose result differs from the expected one, is told on standard
/// error with its number, and the exit code is 1 at the end.
///
/// # Errors
///
/// The plugin is refused, or a file can't be read or written.
pub fn invoke(arguments: Arguments) -> Result<ExitCode> {
    logging::start(LogFormat::Text, variable("RUST_LOG").as_deref());
    let loader = Loader::new(arguments.loading.resolve(variable)?, arguments.handler, logging::plugin_sink())?;
    let plugin = loader.load(loader.find(&arguments.plugin)?)?;
    // The library is mapped: unless other files lie beside the copy, it has served and goes now, however this ends.
    let _kept = plugin.verified.is_unpacked().then_some(loader);
    let name = arguments.input.display().to_string();
    let env = match &arguments.env {
        Some(path) => fs::read(path).with_context(|| format!("can't read the env {}", path.display()))?,
        None => Vec::new(),
    };
    let about = About {
        host: "",
        port: 0,
        input_key: &name,
        output_key: "-",
        function_getmtime: plugin.verified.modified,
        plugin_dir: &plugin.verified.folder,
    };
    let running = plugin.run(&about, &env)?;
    let expected = arguments.expect.map(|path| Expected::read(&path, arguments.tolerance)).transpose()?;
    let mut session = Session { running, env, last_execution: None, expected };
    let exit = session.call_lines(input(&arguments.input)?, &name)?;
    if let Some(path) = &arguments.save_env {
        fs::write(path, &session.env).with_context(|| format!("can't write the env {}", path.display()))?;
    }
    Ok(exit)
}

/// A tolerance: from 0 to 1.
fn part(text: &str) -> Result<f64, String> {
    let part = text.parse().ok().filter(|part| (0.0..=1.0).contains(part));
    part.ok_or_else(|| "it is no number from 0 to 1".to_owned())
}

fn input(path: &PathBuf) -> Result<Box<dyn BufRead>> {
    if path.as_os_str() == "-" {
        return Ok(Box::new(io::stdin().lock()));
    }
    let file = File::open(path).with_context(|| format!("can't read the input {}", path.display()))?;
    Ok(Box::new(BufReader::new(file)))
}

/// A handler and its env between lines.
struct Session {
    running: Running,
    /// Empty before the first line that succeeds, where none was given.
    env: Vec<u8>,
    last_execution: Option<String>,
    /// What the results are compared with instead of being printed.
    expected: Option<Expected>,
}

impl Session {
    fn call_lines(&mut self, mut lines: Box<dyn BufRead>, name: &str) -> Result<ExitCode> {
        let mut exit = ExitCode::SUCCESS;
        let mut results = BufWriter::new(io::stdout().lock());
        let mut line = Vec::new();
        for number in 1_u64.. {
            line.clear();
            if lines.read_until(b'\n', &mut line).with_context(|| format!("can't read {name}"))? == 0 {
                break;
            }
            let text = line.trim_ascii();
            if text.is_empty() {
                continue;
            }
            match (self.call(text), &mut self.expected) {
                (Ok(output), Some(expected)) => {
                    for difference in expected.compare(&output) {
                        eprintln!("line {number}: {difference}");
                        exit = ExitCode::FAILURE;
                    }
                }
                (Ok(output), None) => {
                    // Each line is shown at once: whoever reads may feed the next line.
                    let written = results
                        .write_all(&output)
                        .and_then(|()| results.write_all(b"\n"))
                        .and_then(|()| results.flush());
                    match written {
                        Err(error) if error.kind() == ErrorKind::BrokenPipe => return Ok(exit),
                        written => written.context("can't write the results")?,
                    }
                }
                (Err(failure), expected) => {
                    eprintln!("line {number}: {failure}");
                    exit = ExitCode::FAILURE;
                    expected.iter_mut().for_each(Expected::pass);
                }
            }
        }
        if let Some(missing) = self.expected.as_ref().map(Expected::missing).filter(|missing| *missing > 0) {
            eprintln!("the input has ended, and {missing} more results were expected");
            exit = ExitCode::FAILURE;
        }
        Ok(exit)
    }

    fn call(&mut self, input: &[u8]) -> Result<Vec<u8>, Failure> {
        let event_id = content_id(input);
        let last_execution = self.last_execution.as_deref();
        let call = Call { input, event_id: &event_id, last_execution, attempt: 1 };
        // What a host would write nothing for has a line of its own too.
        let output = self.running.call(&call, &self.env)?.unwrap_or_else(|| b"null".to_vec());
        self.env = self.running.save_env()?;
        self.last_execution = Some(now());
        Ok(output)
    }
}
