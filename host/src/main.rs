//! `plugin-host`: calls handlers from shared libraries when data in Redis changes.

use std::process::ExitCode;

use clap::{Parser, Subcommand};
use host::command::{self, dead, dev, healthcheck, inspect, invoke, new, pack, record, run};
use host::config::Faults;

/// Calls handlers from shared libraries when data in Redis changes.
#[derive(Parser)]
#[command(name = "plugin-host", version)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    Run(Box<run::Arguments>),
    /// The process that calls handlers, which `run` starts.
    #[command(hide = true)]
    Worker(Box<run::Arguments>),
    New(new::Arguments),
    Dev(dev::Arguments),
    Invoke(invoke::Arguments),
    Record(record::Arguments),
    Inspect(inspect::Arguments),
    Pack(pack::Arguments),
    Dead(dead::Arguments),
    Healthcheck(healthcheck::Arguments),
}

fn main() -> ExitCode {
    let ended = match Arguments::parse().command {
        Command::Run(arguments) => run::run(*arguments),
        Command::Worker(arguments) => run::work(*arguments),
        Command::New(arguments) => new::new(arguments),
        Command::Dev(arguments) => dev::dev(arguments),
        Command::Invoke(arguments) => invoke::invoke(arguments),
        Command::Record(arguments) => record::record(arguments),
        Command::Inspect(arguments) => inspect::inspect(arguments),
        Command::Pack(arguments) => pack::pack(arguments),
        Command::Dead(arguments) => dead::dead(arguments),
        Command::Healthcheck(arguments) => healthcheck::healthcheck(arguments),
    };
    match ended {
        Ok(exit) => exit,
        Err(error) => {
            eprintln!("plugin-host: {error:#}");
            if error.is::<Faults>() { ExitCode::from(command::WRONG_USAGE) } else { ExitCode::FAILURE }
        }
    }
}
