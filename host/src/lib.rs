//! The host: loads handlers from shared libraries, calls them when data changes, and commits what they return.
//!
//! The modules stand in the order of the data's way: [`config`] says what to do, [`trigger`] gives events, [`plugin`] gives
//! the handler, [`worker`] joins them and commits (for a pattern of keys [`fleet`] does), [`status`], [`metrics`] and
//! [`http`] tell how it goes; [`command`] holds what the program can be asked to do. All of this is a process of its own,
//! which [`supervisor`] starts and starts again; they speak through [`control`], and [`flight`] is what outlives them both.

pub mod config;
pub mod logging;
pub mod pattern;
pub mod trigger;

pub mod plugin;
pub mod portion;
mod versions;

pub mod flight;
pub mod worker;

pub mod fleet;

pub mod control;
pub mod limits;
pub mod supervisor;

pub mod http;
pub mod metrics;
pub mod status;

pub mod command;
