//! Starts this program anew in the same process, where a new version of the plugin can't run beside the old one.

use std::env;
use std::ffi::OsString;
use std::os::unix::process::CommandExt;
use std::process::Command;

use anyhow::{Context, Error, Result};

/// Starts the program anew with the arguments that it has, and some more. What is open is closed, and the process keeps
/// its number.
///
/// # Errors
///
/// It can't be started; otherwise this does not return.
pub(super) fn start_anew(more: &[OsString]) -> Result<std::convert::Infallible> {
    let program = env::current_exe().context("can't find this program's file")?;
    let error = Command::new(program).args(env::args_os().skip(1)).args(more).exec();
    Err(Error::from(error).context("can't start anew"))
}
