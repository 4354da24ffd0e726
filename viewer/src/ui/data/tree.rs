//! The whole JSON as a tree. What is unfolded stays so while values come, since a node is known by its path.

use eframe::egui::{self, CollapsingHeader, Id, RichText};
use serde_json::Value;

use super::rows::short;
use crate::model::{Document, natural};
use crate::ui::theme::Colors;

/// How many children of a node are shown at first, and with each further click.
const PAGE: usize = 200;

/// Draws the tree.
pub fn draw(ui: &mut egui::Ui, document: &Document, colors: &Colors) {
    egui::ScrollArea::both().id_salt("tree").auto_shrink(false).show(ui, |ui| {
        let fields = document.fields();
        let title = format!("Whole JSON, {} fields, {} bytes", fields.len(), document.bytes().len());
        CollapsingHeader::new(RichText::new(title).color(colors.text)).id_salt("whole").show(ui, |ui| {
            let mut names: Vec<&String> = fields.keys().collect();
            names.sort_by(|a, b| natural(a, b));
            children(ui, "", names.len(), |ui, index| {
                if let Some(value) = fields.get(names[index]) {
                    node(ui, "", names[index], value, colors);
                }
            });
        });
    });
}

fn node(ui: &mut egui::Ui, parent: &str, name: &str, value: &Value, colors: &Colors) {
    // A slash within a name must not make another path of it.
    let path = format!("{parent}/{}", name.replace('~', "~0").replace('/', "~1"));
    let title = format!("{name}: {}", short(value));
    match value {
        Value::Object(fields) if !fields.is_empty() => {
            folder(ui, &path, &title, colors, |ui| {
                let mut names: Vec<&String> = fields.keys().collect();
                names.sort_by(|a, b| natural(a, b));
                children(ui, &path, names.len(), |ui, index| {
                    if let Some(value) = fields.get(names[index]) {
                        node(ui, &path, names[index], value, colors);
                    }
                });
            });
        }
        Value::Array(items) if !items.is_empty() => {
            folder(ui, &path, &title, colors, |ui| {
                children(ui, &path, items.len(), |ui, index| {
                    node(ui, &path, &index.to_string(), &items[index], colors);
                });
            });
        }
        Value::String(text) => {
            leaf(ui, &format!("{name}: {text:?}"), colors);
        }
        _ => leaf(ui, &title, colors),
    }
}

fn folder(ui: &mut egui::Ui, path: &str, title: &str, colors: &Colors, add: impl FnOnce(&mut egui::Ui)) {
    CollapsingHeader::new(RichText::new(title).monospace().color(colors.text)).id_salt(path).show(ui, add);
}

fn leaf(ui: &mut egui::Ui, words: &str, colors: &Colors) {
    ui.add(egui::Label::new(RichText::new(words).monospace().color(colors.text)).extend());
}

/// Draws the first children, and more with each click.
fn children(ui: &mut egui::Ui, path: &str, count: usize, mut draw: impl FnMut(&mut egui::Ui, usize)) {
    let id = Id::unique(("shown", path.to_owned()));
    let shown = ui.ctx().data(|data| data.get_temp(id)).unwrap_or(PAGE);
    for index in 0..count.min(shown) {
        draw(ui, index);
    }
    if count > shown && ui.button(format!("{} more", count - shown)).clicked() {
        ui.ctx().data_mut(|data| data.insert_temp(id, shown + PAGE));
    }
}
