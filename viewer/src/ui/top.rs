//! The bar at the top: what is watched, how it stands, the pages, and what can be done.

use eframe::egui::{self, RichText, vec2};

use super::theme::Colors;
use super::{Time, bars, sign, theme};
use crate::model::{HostStatus, Level, printable};
use crate::state::{Action, Follow, Over, Phase, Standing, State, View};

/// Draws the bar.
pub fn draw(ui: &mut egui::Ui, state: &State, time: &Time, actions: &mut Vec<Action>) {
    let colors = Colors::of(ui, state.settings.palette);
    egui::Panel::top("top").frame(theme::strip(ui)).show(ui, |ui| {
        ui.add_space(3.0);
        ui.horizontal_wrapped(|ui| {
            let title = state.target.as_ref().map_or("plugin-viewer".to_owned(), |target| target.profile.title());
            match state.machine() {
                Some(machine) => {
                    ui.label(RichText::new(printable(machine)).heading().color(colors.text));
                    ui.label(RichText::new(title).color(colors.weak));
                }
                None => {
                    ui.label(RichText::new(title).heading().color(colors.text));
                }
            }
            standing(ui, state, time, &colors, actions);
            age(ui, state, time, &colors);
            if let Some(host) = &state.shown().host {
                plugin(ui, host, &colors);
            }
        });
        ui.horizontal_wrapped(|ui| {
            if state.machine().is_some() {
                if ui.selectable_label(false, "Machines").on_hover_text("go back to all: Escape").clicked() {
                    actions.push(Action::CloseMachine);
                }
                ui.separator();
            }
            pages(ui, state, actions);
            ui.separator();
            let frozen = state.shown().frozen_at.is_some();
            let of_results = [
                (frozen, if frozen { "Go on" } else { "Freeze" }, "space bar", Action::ToggleFreeze),
                (false, "Export…", "Ctrl+E", Action::Toggle(Over::Export)),
            ];
            let always = [("Settings…", "Ctrl+comma", Over::Settings), ("Keys", "F1", Over::Help)]
                .map(|(words, key, over)| (false, words, key, Action::Toggle(over)));
            for (selected, words, key, action) in
                of_results.into_iter().filter(|_| !state.lists_machines()).chain(always)
            {
                if ui.selectable_label(selected, words).on_hover_text(key).clicked() {
                    actions.push(action);
                }
            }
        });
        ui.add_space(3.0);
    });
}

fn pages(ui: &mut egui::Ui, state: &State, actions: &mut Vec<Action>) {
    for (number, view) in View::ALL.into_iter().enumerate() {
        // The list stands where otherwise the first three are.
        let (words, selected) = match (state.lists_machines(), view) {
            (true, View::Overview) => ("Machines", state.view != View::Connection),
            (true, View::History | View::Data) => continue,
            _ => (name(view), state.view == view),
        };
        if ui.selectable_label(selected, words).on_hover_text(format!("key {}", number + 1)).clicked() {
            actions.push(Action::Show(view));
        }
    }
}

/// A page's name.
pub fn name(view: View) -> &'static str {
    match view {
        View::Overview => "Overview",
        View::History => "History",
        View::Data => "Data",
        View::Connection => "Connection",
    }
}

fn standing(ui: &mut egui::Ui, state: &State, time: &Time, colors: &Colors, actions: &mut Vec<Action>) {
    let standing = state.standing(time.now);
    let color = colors.standing(standing);
    let mut words = standing.word().to_owned();
    match state.phase {
        Phase::Retrying { at } => words += &format!(" in {:.0} s", (at - time.now).max(0.0).ceil()),
        Phase::Live(Follow::Poll) => words += &format!(", read every {} s", state.period()),
        Phase::Live(Follow::Replay) => words += ", replay",
        _ => {}
    }
    let button = ui
        .scope(|ui| {
            ui.horizontal(|ui| {
                ui.spacing_mut().item_spacing.x = 2.0;
                let (rect, _) = ui.allocate_exact_size(vec2(16.0, 16.0), egui::Sense::hover());
                sign::standing(ui.painter(), rect.center(), 6.0, standing, color);
                ui.add(egui::Button::new(RichText::new(&words).color(colors.text)).frame(false))
            })
            .inner
        })
        .inner;
    button.widget_info(|| egui::WidgetInfo::labeled(egui::Role::Button, true, format!("Connection: {words}")));
    let hint = if standing == Standing::Live { "how it is connected" } else { "why not connected?" };
    if button.on_hover_text(hint).clicked() {
        actions.push(Action::Show(View::Connection));
    }
}

fn age(ui: &mut egui::Ui, state: &State, time: &Time, colors: &Colors) {
    if state.lists_machines() {
        return;
    }
    let shown = state.shown();
    if shown.output.document.is_none() {
        return;
    }
    let (_, words) = bars::age(&shown.output, state, time);
    match shown.frozen_at {
        // What stands still must not be taken for what is now.
        Some(at) => {
            let words = format!("FROZEN at {}, then {words}", time.of_day(at));
            ui.label(RichText::new(words).strong().color(colors.level(Level::Critical)));
        }
        None => {
            ui.label(RichText::new(words).color(colors.text));
        }
    }
}

fn plugin(ui: &mut egui::Ui, host: &HostStatus, colors: &Colors) {
    ui.separator();
    if let Some(plugin) = &host.plugin {
        let words = RichText::new(format!("{} {}", plugin.name, plugin.version)).color(colors.text);
        ui.add(egui::Label::new(words).extend())
            .on_hover_text(format!("handler {}, SHA-256 {}", host.handler, plugin.sha256));
    }
    let calls = format!("{} {}", host.calls, if host.calls == 1 { "call" } else { "calls" });
    ui.add(egui::Label::new(RichText::new(calls).color(colors.weak)).extend());
    let failures = RichText::new(format!("{} failed", host.failures));
    match &host.last_error {
        Some(error) => {
            ui.add(egui::Label::new(failures.color(colors.text)).extend())
                .on_hover_text(format!("{} {}: {}", error.at, error.kind, error.message));
        }
        None => {
            ui.add(egui::Label::new(failures.color(colors.weak)).extend());
        }
    }
    if host.dead > 0 {
        let hint = "events that were set aside since the host's start; plugin-host dead list shows them";
        noted(ui, &format!("{} set aside", host.dead), hint, colors);
    }
    match host.all_restarts() {
        0 => {}
        1 => noted(ui, "1 restart", &host.restarts_by_reason(), colors),
        restarts => noted(ui, &format!("{restarts} restarts"), &host.restarts_by_reason(), colors),
    }
    if let Some(took) = host.last_call_us {
        ui.add(egui::Label::new(RichText::new(format!("{took:.0} µs a call")).color(colors.weak)).extend());
    }
}

/// Words with a warning's sign, and what is behind them.
fn noted(ui: &mut egui::Ui, words: &str, hint: &str, colors: &Colors) {
    let response = ui.horizontal(|ui| {
        ui.spacing_mut().item_spacing.x = 2.0;
        let (rect, _) = ui.allocate_exact_size(vec2(16.0, 16.0), egui::Sense::hover());
        sign::level(ui.painter(), rect.center(), 6.0, Level::Warning, colors.level(Level::Warning));
        ui.label(RichText::new(words).color(colors.text))
    });
    response.inner.widget_info(|| egui::WidgetInfo::labeled(egui::Role::Label, true, format!("{words}: {hint}")));
    response.inner.on_hover_text(hint);
}
