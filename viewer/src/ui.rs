//! Draws the state and gives what the user wants. Nothing in here waits, and nothing but egui's own memory of scroll
//! places and open headers is kept between two frames.

mod banner;
mod bars;
pub mod charts;
mod connect;
mod cpus;
pub mod data;
mod fleet;
mod gauge;
mod heat;
mod keys;
mod memo;
mod meter;
mod overlay;
mod overview;
mod sign;
mod steps;
mod theme;
mod tiles;
mod time;
mod top;

use eframe::egui;

use crate::state::{Action, State, View};

pub use theme::{Colors, install};
pub use time::{Time, ago};
pub use top::name;

/// Draws everything; gives what the user wants, in the order in which it was said.
pub fn draw(ui: &mut egui::Ui, state: &State, time: &Time) -> Vec<Action> {
    let mut actions = Vec::new();
    theme::follow(ui.ctx(), state.settings.theme);
    keys::read(ui.ctx(), state, &mut actions);
    top::draw(ui, state, time, &mut actions);
    banner::draw(ui, state, time, &mut actions);
    match state.view {
        View::Overview | View::History | View::Data if state.lists_machines() => {
            egui::CentralPanel::default()
                .frame(theme::page(ui))
                .show(ui, |ui| fleet::page(ui, state, time, &mut actions));
        }
        View::Overview => overview::page(ui, state, time, &mut actions),
        View::History => {
            egui::CentralPanel::default()
                .frame(theme::page(ui))
                .show(ui, |ui| charts::page(ui, state, time, &mut actions));
        }
        View::Data => {
            egui::CentralPanel::default()
                .frame(theme::page(ui))
                .show(ui, |ui| data::page(ui, state, time, &mut actions));
        }
        View::Connection => connect::page(ui, state, &mut actions),
    }
    overlay::draw(ui.ctx(), state, &mut actions);
    actions
}
