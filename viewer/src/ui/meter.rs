//! What a screen reader finds of a percentage: its words, and its number.

use eframe::egui::{self, Response, Role, WidgetInfo};

/// Tells it of what was drawn at `response`.
pub fn meter(ui: &egui::Ui, response: &Response, spoken: &str, percent: f64) {
    response.widget_info(|| WidgetInfo::labeled(Role::Meter, true, spoken));
    ui.ctx().accesskit_node_builder(response.id, |node| {
        node.set_numeric_value(percent);
        node.set_min_numeric_value(0.0);
        node.set_max_numeric_value(100.0);
    });
}
