//! The page Connection: saved profiles, the form, and how far connecting has come.

use eframe::egui::{self, RichText, TextEdit};

use super::theme::{Colors, card};
use super::{steps, theme};
use crate::profile::{INPUT_KEY, INPUT_KEYS, OUTPUT_KEY, Profile, STORE_BEHIND_SSH, Secret};
use crate::state::{Action, Phase, State};

/// Draws the page.
pub fn page(ui: &mut egui::Ui, state: &State, actions: &mut Vec<Action>) {
    let colors = Colors::of(ui, state.settings.palette);
    egui::CentralPanel::default().frame(theme::page(ui)).show(ui, |ui| {
        egui::ScrollArea::vertical().auto_shrink(false).show(ui, |ui| {
            let room = ui.available_width();
            if room >= 880.0 {
                ui.horizontal_top(|ui| {
                    ui.allocate_ui(egui::vec2(420.0, 0.0), |ui| left(ui, state, &colors, actions));
                    ui.allocate_ui(egui::vec2(room - 440.0, 0.0), |ui| right(ui, state, &colors, actions));
                });
            } else {
                left(ui, state, &colors, actions);
                right(ui, state, &colors, actions);
            }
        });
    });
}

fn left(ui: &mut egui::Ui, state: &State, colors: &Colors, actions: &mut Vec<Action>) {
    ui.vertical(|ui| {
        card(colors).show(ui, |ui| {
            ui.set_width(ui.available_width());
            ui.label(RichText::new("Connect to").heading().color(colors.text));
            form(ui, state, colors, actions);
        });
        if !state.profiles.is_empty() {
            card(colors).show(ui, |ui| {
                ui.set_width(ui.available_width());
                ui.label(RichText::new("Saved").heading().color(colors.text));
                for profile in &state.profiles {
                    saved(ui, profile, colors, actions);
                }
            });
        }
    });
}

fn saved(ui: &mut egui::Ui, profile: &Profile, colors: &Colors, actions: &mut Vec<Action>) {
    ui.horizontal(|ui| {
        if ui.button(&profile.name).on_hover_text("connect").clicked() {
            actions.push(Action::Open(profile.clone()));
        }
        ui.label(RichText::new(profile.place()).small().color(colors.weak));
        let remove = ui.small_button("Remove");
        remove.widget_info(|| egui::WidgetInfo::labeled(egui::Role::Button, true, format!("Remove {}", profile.name)));
        if remove.clicked() {
            actions.push(Action::Remove(profile.name.clone()));
        }
    });
}

fn form(ui: &mut egui::Ui, state: &State, colors: &Colors, actions: &mut Vec<Action>) {
    let mut form = state.form.clone();
    let profile = &mut form.profile;
    let mut submitted = false;
    egui::Grid::new("form").num_columns(2).spacing([10.0, 6.0]).show(ui, |ui| {
        let mut field = |name: &str, text: &mut String, hint: &str, help: &str| {
            let label = ui.label(RichText::new(name).color(colors.text));
            let edit = ui.add(TextEdit::singleline(text).hint_text(hint).desired_width(270.0)).labelled_by(label.id);
            submitted |= edit.lost_focus() && ui.input(|input| input.key_pressed(egui::Key::Enter));
            edit.on_hover_text(help);
            ui.end_row();
        };
        field("SSH host", &mut profile.ssh, "none", "An alias or host, as for the command ssh. Your ssh connects.");
        let address = if profile.ssh.trim().is_empty() { "redis://HOST:PORT or sqlite:PATH" } else { STORE_BEHIND_SSH };
        field("Store", &mut profile.store, address, "With an SSH host: the address as that host sees it.");
        let output = "The key that the host writes results to, or a pattern with one *: report:* lists all machines.";
        field("Output key", &mut profile.output_key, OUTPUT_KEY, output);
        let (input, key) = match profile.output_key.contains('*') {
            true => ("The keys of the raw input: their * stands for the same text.", INPUT_KEYS),
            false => ("The key that holds the raw input.", INPUT_KEY),
        };
        field("Input key", &mut profile.input_key, key, input);
        field("User", &mut profile.username, "the server's default", "The Redis ACL user.");
        field("Period", &mut profile.period, "the host's, else 5", "Seconds between results.");
        field("Name", &mut profile.name, "for the list of saved ones", "What it is saved as.");
        let label = ui.label(RichText::new("Password").color(colors.text));
        let mut text = if let Secret::Text(text) = &form.secret { text.clone() } else { String::new() };
        let hint = if matches!(form.secret, Secret::File(_)) { "from a file" } else { "none; never saved" };
        let edit = ui.add(TextEdit::singleline(&mut text).password(true).hint_text(hint).desired_width(270.0));
        submitted |= edit.lost_focus() && ui.input(|input| input.key_pressed(egui::Key::Enter));
        if edit.labelled_by(label.id).changed() {
            form.secret = if text.is_empty() { Secret::None } else { Secret::Text(text) };
        }
        ui.end_row();
    });
    for fault in &state.form_faults {
        ui.add(egui::Label::new(RichText::new(fault).color(colors.level(crate::model::Level::Critical))).wrap());
    }
    if form != state.form {
        actions.push(Action::Edit(form));
    }
    ui.horizontal(|ui| {
        if ui.button("Connect").clicked() || submitted {
            actions.push(Action::Connect);
        }
        if ui.button("Save").clicked() {
            actions.push(Action::Save);
        }
    });
}

fn right(ui: &mut egui::Ui, state: &State, colors: &Colors, actions: &mut Vec<Action>) {
    ui.vertical(|ui| card(colors).show(ui, |ui| progress(ui, state, colors, actions)));
}

/// What stands there while a recording is played, and the way back.
fn replay(ui: &mut egui::Ui, state: &State, colors: &Colors, actions: &mut Vec<Action>) {
    ui.label(RichText::new("A recording is played").heading().color(colors.text));
    ui.label(RichText::new("Nothing is connected meanwhile.").color(colors.weak));
    steps::draw(ui, state, colors);
    let profile = &state.form.profile;
    if !profile.place().is_empty() {
        ui.add_space(6.0);
        if ui.button(format!("Back to {}", profile.title())).on_hover_text("F5").clicked() {
            actions.push(Action::Retry);
        }
    }
}

fn progress(ui: &mut egui::Ui, state: &State, colors: &Colors, actions: &mut Vec<Action>) {
    ui.vertical(|ui| {
        ui.set_width(ui.available_width());
        if state.is_replaying() {
            return replay(ui, state, colors, actions);
        }
        let live = matches!(state.phase, Phase::Live(_));
        let heading = if live { "How it is connected" } else { "Why not connected?" };
        ui.label(RichText::new(heading).heading().color(colors.text));
        if state.phase == Phase::Idle {
            ui.label(RichText::new("Nothing was asked for yet.").color(colors.weak));
            return;
        }
        ui.add_space(4.0);
        steps::draw(ui, state, colors);
        ui.add_space(6.0);
        ui.horizontal(|ui| {
            if ui.button("Try again").on_hover_text("F5").clicked() {
                actions.push(Action::Retry);
            }
            if ui.button("Disconnect").clicked() {
                actions.push(Action::Disconnect);
            }
        });
    });
}
