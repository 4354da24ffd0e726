//! Stub until the data are here.
use super::Time;
use crate::state::{Action, State};
use eframe::egui;
/// x
pub fn page(_ui: &mut egui::Ui, _state: &State, _time: &Time, _actions: &mut Vec<Action>) {}
