//! What lies over the page: the keys, the settings, the export.

use eframe::egui::{self, Id, Modal, RichText, Slider, TextEdit};

use super::keys;
use super::theme::Colors;
use crate::model::Thresholds;
use crate::state::{Action, Format, Order, Over, Palette, Settings, State, Theme};

/// Draws what is open.
pub fn draw(ctx: &egui::Context, state: &State, actions: &mut Vec<Action>) {
    let Some(over) = state.over else { return };
    let modal = Modal::new(Id::unique("over")).show(ctx, |ui| {
        let colors = Colors::of(ui, state.settings.palette);
        ui.set_max_width(520.0);
        match over {
            Over::Help => help(ui, &colors),
            Over::Settings => settings(ui, &state.settings, &colors, actions),
            Over::Export => export(ui, state, &colors, actions),
        }
        ui.add_space(6.0);
        ui.button("Close").clicked()
    });
    if modal.inner || modal.should_close() {
        actions.push(Action::Dismiss);
    }
}

fn help(ui: &mut egui::Ui, colors: &Colors) {
    ui.label(RichText::new("Keys").heading().color(colors.text));
    egui::Grid::new("keys").num_columns(2).spacing([18.0, 5.0]).show(ui, |ui| {
        for (key, does) in keys::LIST {
            ui.label(RichText::new(key).monospace().color(colors.text));
            ui.label(RichText::new(does).color(colors.weak));
            ui.end_row();
        }
    });
}

fn settings(ui: &mut egui::Ui, before: &Settings, colors: &Colors, actions: &mut Vec<Action>) {
    ui.label(RichText::new("Settings").heading().color(colors.text));
    let mut settings = *before;
    // While a slider is pulled, each frame has other settings; kept are those where it is let go.
    let (mut pulled, mut let_go) = (false, false);
    egui::Grid::new("settings").num_columns(2).spacing([18.0, 8.0]).show(ui, |ui| {
        let Thresholds { warning, critical } = &mut settings.thresholds;
        for (name, percent) in [("Warning from", warning), ("Critical from", critical)] {
            let label = ui.label(RichText::new(name).color(colors.text));
            let slider = ui.add(Slider::new(percent, 0.0..=100.0).suffix(" %").step_by(1.0)).labelled_by(label.id);
            pulled |= slider.dragged();
            let_go |= slider.drag_stopped();
            ui.end_row();
        }
        ui.label(RichText::new("Colours").color(colors.text));
        ui.horizontal(|ui| {
            ui.radio_value(&mut settings.palette, Palette::TrafficLight, "green, yellow, red");
            ui.radio_value(&mut settings.palette, Palette::ColourBlind, "for colour-blind eyes");
        });
        ui.end_row();
        ui.label(RichText::new("Light or dark").color(colors.text));
        ui.horizontal(|ui| {
            for (theme, name) in [(Theme::System, "as the system"), (Theme::Light, "light"), (Theme::Dark, "dark")] {
                ui.radio_value(&mut settings.theme, theme, name);
            }
        });
        ui.end_row();
        ui.label(RichText::new("CPUs").color(colors.text));
        ui.horizontal(|ui| {
            ui.radio_value(&mut settings.order, Order::Number, "by number");
            ui.radio_value(&mut settings.order, Order::Hottest, "hottest first");
        });
        ui.end_row();
    });
    if pulled && settings != *before {
        actions.push(Action::Try(settings));
    } else if let_go || settings != *before {
        actions.push(Action::Set(settings));
    }
}

fn export(ui: &mut egui::Ui, state: &State, colors: &Colors, actions: &mut Vec<Action>) {
    ui.label(RichText::new("Export").heading().color(colors.text));
    let kept =
        format!("{} results are kept with their numbers, {} as they came.", state.history.len(), state.records.len());
    ui.label(RichText::new(kept).color(colors.weak));
    let mut path = state.export_path.clone();
    let label = ui.label(RichText::new("To the file").color(colors.text));
    if ui.add(TextEdit::singleline(&mut path).desired_width(500.0)).labelled_by(label.id).changed() {
        actions.push(Action::ExportPath(path));
    }
    ui.horizontal(|ui| {
        if ui.button("Numbers as CSV").clicked() {
            actions.push(Action::Export(Format::Csv));
        }
        if ui.button("Results as JSON lines").clicked() {
            actions.push(Action::Export(Format::JsonLines));
        }
    });
    ui.label(
        RichText::new("To play a file, drop it on the window or start with --replay FILE.").small().color(colors.weak),
    );
}
