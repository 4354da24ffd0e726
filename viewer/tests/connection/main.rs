//! The connection against real servers: a Redis, and an SSH server in front of it.
#![cfg(unix)]
#![allow(clippy::unwrap_used, reason = "a test may fail by a panic, in its helpers too")]

#[path = "../support/sshd.rs"]
mod sshd;

mod direct;
mod fleet;
mod prompts;
mod refused;
mod seen;
mod through_ssh;
