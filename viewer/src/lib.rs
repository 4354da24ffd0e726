//! A window that shows what a plugin-host makes of its inputs: values with their age, gauges, bars and history.
//!
//! The way of the data: `connection` (threads; the network) sends an [`state::Event`], [`state::State`] takes it in,
//! `ui` draws the state and gives back what the user wants as an [`state::Action`], `app` hands that to the state and
//! what follows from it to the connection. `model` is what the words mean: pure functions and types.
#![forbid(unsafe_code)]

pub mod app;
pub mod args;
pub mod askpass;
pub mod clock;
pub mod connection;
pub mod ending;
pub mod export;
pub mod files;
pub mod kept;
pub mod model;
pub mod profile;
pub mod replay;
pub mod screenshot;
pub mod state;
pub mod ui;
