//! Every field of result and input as a table, and the whole JSON as a tree.

mod rows;
mod tree;

use eframe::egui::{self, RichText, TextEdit, vec2};
use egui_extras::{Column, TableBuilder};
use serde_json::Value;

use super::theme::{Colors, card};
use super::{Time, bars, sign};
use crate::model::{Freshness, Level, Reading};
use crate::state::{Action, Found, Shown, State};

/// The height of a table's row, in points.
const ROW: f32 = 20.0;

/// Draws the page.
pub fn page(ui: &mut egui::Ui, state: &State, time: &Time, actions: &mut Vec<Action>) {
    let colors = Colors::of(ui, state.settings.palette);
    search(ui, state, &colors, actions);
    let snapshot = state.shown();
    let room = ui.available_size();
    let side_by_side = room.x >= 900.0;
    let each = if side_by_side { vec2((room.x - 8.0) / 2.0, room.y) } else { vec2(room.x, room.y.max(700.0) / 2.0) };
    let sides = [
        (Side::Result, &snapshot.output, state.watched().map(|target| target.keys.output.as_str())),
        (Side::Input, &snapshot.input, state.watched().map(|target| target.input_key.as_str())),
    ];
    let draw = |ui: &mut egui::Ui| {
        for (side, shown, key) in sides {
            ui.allocate_ui(each, |ui| {
                ui.push_id(side.title(), |ui| {
                    card(&colors).show(ui, |ui| {
                        ui.set_min_size(each - vec2(20.0, 22.0));
                        ui.set_max_size(each - vec2(20.0, 22.0));
                        ui.vertical(|ui| column(ui, side, shown, key.unwrap_or_default(), state, time, &colors));
                    });
                });
            });
        }
    };
    if side_by_side {
        ui.horizontal_top(|ui| draw(ui));
    } else {
        egui::ScrollArea::vertical().show(ui, |ui| draw(ui));
    }
}

/// A side of the page.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Side {
    Result,
    Input,
}

impl Side {
    fn title(self) -> &'static str {
        match self {
            Side::Result => "Result",
            Side::Input => "Input",
        }
    }
}

fn search(ui: &mut egui::Ui, state: &State, colors: &Colors, actions: &mut Vec<Action>) {
    ui.horizontal(|ui| {
        let label = ui.label(RichText::new("Search").color(colors.text));
        let mut text = state.search.clone();
        let field = TextEdit::singleline(&mut text).hint_text("part of a name or value (Ctrl+F)").desired_width(280.0);
        let field = ui.add(field).labelled_by(label.id);
        if field.changed() {
            actions.push(Action::Search(text));
        }
        if ui.input(|input| input.modifiers.command && input.key_down(egui::Key::F)) {
            field.request_focus();
        }
        if !state.search.is_empty() && ui.button("Clear").clicked() {
            actions.push(Action::Search(String::new()));
        }
    });
}

fn column(ui: &mut egui::Ui, side: Side, shown: &Shown, key: &str, state: &State, time: &Time, colors: &Colors) {
    let (freshness, age) = bars::age(shown, state, time);
    ui.horizontal(|ui| {
        ui.label(RichText::new(side.title()).heading().color(colors.text));
        ui.label(RichText::new(key).color(colors.weak));
        if shown.document.is_some() {
            ui.label(RichText::new(&age).color(colors.weak));
        }
    });
    if let Some(words) = fault(shown) {
        ui.horizontal(|ui| {
            let (rect, _) = ui.allocate_exact_size(vec2(16.0, 16.0), egui::Sense::hover());
            sign::level(ui.painter(), rect.center(), 6.0, Level::Warning, colors.level(Level::Warning));
            ui.add(egui::Label::new(RichText::new(words).color(colors.text)).wrap());
        });
    }
    let Some(document) = &shown.document else { return };
    let rows = rows::of(ui.ctx(), ui.make_persistent_id("rows"), document, &state.search);
    let count = format!("{} of {} fields", rows.len(), document.fields().len());
    ui.label(RichText::new(count).small().color(colors.weak));
    let room = ui.available_height();
    table(ui, (room * 0.62).max(80.0), side, shown, &rows, freshness, colors);
    ui.separator();
    tree::draw(ui, document, &state.search, colors);
}

/// What is there instead of a document.
fn fault(shown: &Shown) -> Option<String> {
    let words = match shown.found.as_ref()? {
        Found::Document(_) => return None,
        Found::Nothing => "The key isn't there.".to_owned(),
        Found::Unreadable(unreadable) => format!("{unreadable}."),
        Found::Refused(why) => format!("{why}."),
    };
    let last = if shown.document.is_some() { " Below is the last good value." } else { "" };
    Some(format!("{words}{last}"))
}

fn table(
    ui: &mut egui::Ui,
    height: f32,
    side: Side,
    shown: &Shown,
    rows: &[String],
    freshness: Option<Freshness>,
    colors: &Colors,
) {
    let Some(document) = &shown.document else { return };
    let width = ui.available_width();
    TableBuilder::new(ui)
        .striped(true)
        .auto_shrink(false)
        .min_scrolled_height(height - 30.0)
        .max_scroll_height(height - 30.0)
        .cell_layout(egui::Layout::left_to_right(egui::Align::Center))
        .column(Column::exact(14.0))
        .column(Column::initial(width * 0.5).resizable(true).clip(true))
        .column(Column::remainder().clip(true))
        .header(ROW, |mut header| {
            for words in ["", "field", "value"] {
                header.col(|ui| {
                    ui.label(RichText::new(words).small().color(colors.weak));
                });
            }
        })
        .body(|body| {
            body.rows(ROW, rows.len(), |mut row| {
                let Some(name) = rows.get(row.index()) else { return };
                let value = document.fields().get(name).unwrap_or(&Value::Null);
                let changed = shown.changed.contains(name);
                row.col(|ui| mark(ui, changed, colors));
                row.col(|ui| {
                    let known = side == Side::Input || Reading::is_expected(name);
                    let words = RichText::new(rows::name(name)).monospace();
                    let label = ui.label(words.color(if changed { colors.text } else { colors.weak }));
                    label.on_hover_ui(|ui| {
                        ui.label(rows::whole(name));
                    });
                    if !known {
                        ui.label(RichText::new("unknown").small().italics().color(colors.weak));
                    }
                });
                row.col(|ui| cell(ui, name, value, colors.aged(colors.text, freshness)));
            });
        });
}

/// A dot for a field that is different from before.
fn mark(ui: &mut egui::Ui, changed: bool, colors: &Colors) {
    let (rect, response) = ui.allocate_exact_size(vec2(10.0, 10.0), egui::Sense::hover());
    if changed {
        ui.painter().circle_filled(rect.center(), 3.0, colors.accent);
        response.widget_info(|| egui::WidgetInfo::labeled(egui::Role::Label, true, "changed"));
        response.on_hover_text("changed with the newest value");
    }
}

fn cell(ui: &mut egui::Ui, name: &str, value: &Value, color: egui::Color32) {
    let text = rows::short(value);
    let label =
        egui::Label::new(RichText::new(&text).monospace().color(color)).truncate().show_tooltip_when_elided(false);
    let response = ui.add(label.sense(egui::Sense::click()));
    response
        .widget_info(|| egui::WidgetInfo::labeled(egui::Role::Label, true, format!("{}: {text}", rows::name(name))));
    copyable(response, name, value);
}

/// A value that is shown whole under the pointer, and can be copied by its menu or, with the focus, by the usual key.
fn copyable(response: egui::Response, name: &str, value: &Value) {
    let copy_key = |input: &egui::InputState| input.events.iter().any(|event| matches!(event, egui::Event::Copy));
    if response.has_focus() && response.ctx.input(copy_key) {
        response.ctx.copy_text(rows::copied(value));
    }
    response.context_menu(|ui| {
        if ui.button("Copy value").clicked() {
            ui.ctx().copy_text(rows::copied(value));
        }
        if ui.button("Copy name").clicked() {
            ui.ctx().copy_text(name.to_owned());
        }
    });
    response.on_hover_ui(|ui| {
        ui.label(rows::whole(&rows::copied(value)));
    });
}
