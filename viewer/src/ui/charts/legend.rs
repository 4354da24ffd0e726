//! The names of a plot's lines with their colours and values; a click hides a line or shows it again.

use std::collections::BTreeSet;

use eframe::egui::{self, Align, FontId, Layout, Rect, Role, Sense, Stroke, StrokeKind, Vec2, pos2, vec2};

use super::lines::{Line, Weight};
use super::{Scene, Told, palette, said};
use crate::state::Chart;

/// How high a name is.
const ROW: f32 = 20.0;

/// With more lines there are buttons for all of them.
const MANY: usize = 4;

/// Draws the names in this room.
pub fn draw(ui: &mut egui::Ui, title: &str, size: Vec2, lines: &[Line], scene: &Scene<'_>, told: &mut Told) {
    ui.allocate_ui_with_layout(size, Layout::top_down(Align::Min), |ui| {
        ui.set_width(size.x);
        ui.spacing_mut().item_spacing.y = 0.0;
        if lines.len() > MANY {
            for_all(ui, lines, scene, told);
        }
        let room = egui::ScrollArea::vertical().id_salt(("names", title)).auto_shrink([false, true]);
        room.max_height(ui.available_height()).show_rows(ui, ROW, lines.len(), |ui, rows| {
            for line in &lines[rows] {
                row(ui, line, scene, told);
            }
        });
    });
}

fn for_all(ui: &mut egui::Ui, lines: &[Line], scene: &Scene<'_>, told: &mut Told) {
    ui.horizontal(|ui| {
        let hidden = &scene.state.chart.hidden;
        let fields = || lines.iter().map(|line| line.field.clone());
        if ui.small_button("Hide all").clicked() {
            told.hide(scene.state, hidden.iter().cloned().chain(fields()).collect());
        }
        if ui.small_button("Show all").clicked() {
            let these: BTreeSet<String> = fields().collect();
            told.hide(scene.state, hidden - &these);
        }
    });
    ui.add_space(4.0);
}

fn row(ui: &mut egui::Ui, line: &Line, scene: &Scene<'_>, told: &mut Told) {
    let hidden = scene.state.chart.hidden.contains(&line.field);
    let value = scene.value(&line.field, scene.moment()).map_or("–".to_owned(), |number| said(&line.field, number));
    let (rect, response) = ui.allocate_exact_size(vec2(ui.available_width(), ROW), Sense::click());
    response.widget_info(|| {
        let words = format!("{}, {value}", line.name);
        egui::WidgetInfo::selected(Role::CheckBox, true, !hidden, words)
    });
    if ui.is_rect_visible(rect) {
        paint(ui, rect, line, &value, hidden, response.hovered() || response.has_focus(), scene);
    }
    if response.hovered() {
        told.line = Some(line.field.clone());
    }
    if response.clicked() {
        let mut others = scene.state.chart.hidden.clone();
        if !others.remove(&line.field) {
            others.insert(line.field.clone());
        }
        told.hide(scene.state, others);
    }
    let action = if hidden { "show" } else { "hide" };
    response.on_hover_text(format!("{}: click to {action} it", line.field));
}

fn paint(ui: &egui::Ui, rect: Rect, line: &Line, value: &str, hidden: bool, lit: bool, scene: &Scene<'_>) {
    let painter = ui.painter().with_clip_rect(rect.intersect(ui.clip_rect()));
    let pointed = scene.pointed.line.as_deref() == Some(line.field.as_str());
    if lit || pointed {
        painter.rect_filled(rect, 3.0, scene.colors.track);
    }
    let color = match line.weight {
        Weight::Faint => scene.colors.weak,
        Weight::Usual | Weight::Bold => palette::color(line.place, ui.visuals().dark_mode),
    };
    let swatch = Rect::from_center_size(pos2(rect.left() + 9.0, rect.center().y), Vec2::splat(10.0));
    if hidden {
        painter.rect_stroke(swatch, 2.0, Stroke::new(1.0, color), StrokeKind::Inside);
    } else {
        painter.rect_filled(swatch, 2.0, color);
    }
    let text = if hidden { scene.colors.weak } else { scene.colors.text };
    let font = FontId::proportional(13.0);
    let value = painter.layout_no_wrap(value.to_owned(), font.clone(), text);
    let left = rect.right() - value.size().x - 4.0;
    let name = super::elided(&painter, &line.name, font, text, left - rect.left() - 26.0);
    painter.galley(pos2(rect.left() + 20.0, rect.center().y - name.size().y / 2.0), name, text);
    painter.galley(pos2(left, rect.center().y - value.size().y / 2.0), value, text);
}

impl Told {
    /// Other lines are hidden now.
    fn hide(&mut self, state: &crate::state::State, hidden: BTreeSet<String>) {
        self.chart = Some(Chart { hidden, ..state.chart.clone() });
    }
}
