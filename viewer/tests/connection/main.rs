//! The connection against real servers: a Redis, and an SSH server in front of it.
#![cfg(unix)]

#[path = "../support/sshd.rs"]
mod sshd;

mod direct;
mod prompts;
mod refused;
mod seen;
mod through_ssh;
