//! The first page: the figures over all, every CPU, and the recent past below.

use eframe::egui;

use super::bars::{self, Bar};
use super::theme::Colors;
use super::{Time, charts, cpus, theme};
use crate::model::Summary;
use crate::state::{Action, State, View};

/// Draws the page.
pub fn page(ui: &mut egui::Ui, state: &State, time: &Time, actions: &mut Vec<Action>) {
    let colors = Colors::of(ui, state.settings.palette);
    if !state.history.is_empty() {
        egui::Panel::bottom("recent past")
            .frame(theme::strip(ui))
            .resizable(true)
            .default_size(190.0)
            .size_range(120.0..=480.0)
            .show(ui, |ui| {
                charts::compact(ui, state, time, actions);
            });
    }
    egui::CentralPanel::default().frame(theme::page(ui)).show(ui, |ui| {
        egui::ScrollArea::vertical().auto_shrink(false).show(ui, |ui| {
            if state.shown().output.document.is_none() {
                nothing(ui, state, &colors, actions);
                return;
            }
            figures(ui, state, time, &colors);
            ui.add_space(6.0);
            cpus::draw(ui, state, time, &colors, actions);
        });
    });
}

fn figures(ui: &mut egui::Ui, state: &State, time: &Time, colors: &Colors) {
    let shown = &state.shown().output;
    let reading = &shown.reading;
    let (freshness, age) = bars::age(shown, state, time);
    let bar = |name, field, percent| Bar { name, field, percent, freshness, age: &age };
    let egress = bar("Network egress", crate::model::EGRESS, reading.egress);
    let cache = bar("Memory cache", reading.cache_name, reading.cache);
    let summary = Summary::of(&reading.cpus);
    let limits = state.settings.thresholds;
    let room = ui.available_width();
    if room >= 840.0 {
        let each = (room - 16.0) / 3.0;
        ui.horizontal_top(|ui| {
            bars::bar(ui, each, &egress, colors);
            bars::bar(ui, each, &cache, colors);
            bars::summary(ui, each, summary.as_ref(), (freshness, &age), limits, colors);
        });
    } else {
        bars::bar(ui, room, &egress, colors);
        bars::bar(ui, room, &cache, colors);
        bars::summary(ui, room, summary.as_ref(), (freshness, &age), limits, colors);
    }
}

/// What is said where there is nothing to show yet.
fn nothing(ui: &mut egui::Ui, state: &State, colors: &Colors, actions: &mut Vec<Action>) {
    ui.add_space(ui.available_height() * 0.3);
    ui.vertical_centered(|ui| {
        let (words, button) = match state.watched() {
            None => ("Nothing is connected.".to_owned(), "Connect…"),
            Some(target) => {
                (format!("Nothing has been read from key {:?} yet.", target.keys.output), "Why not connected?")
            }
        };
        ui.label(egui::RichText::new(words).heading().color(colors.text));
        ui.add_space(8.0);
        if ui.button(button).clicked() {
            actions.push(Action::Show(View::Connection));
        }
    });
}
