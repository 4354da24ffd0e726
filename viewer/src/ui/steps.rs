//! 'Why not connected?': each step with how far it is, what failed, and what to do.

use eframe::egui::{self, RichText, Stroke, vec2};

use super::sign;
use super::theme::Colors;
use crate::model::{HostStatus, Level};
use crate::state::{Progress, State, Step};

/// Draws all steps, and what the host says of itself where it doesn't run.
pub fn draw(ui: &mut egui::Ui, state: &State, colors: &Colors) {
    let file = state.target.as_ref().is_some_and(|target| target.address.file().is_some());
    for (step, progress) in state.steps() {
        if progress == Progress::Skipped {
            continue;
        }
        let row = ui.horizontal(|ui| {
            mark(ui, &progress, colors);
            ui.add_sized(vec2(64.0, 18.0), egui::Label::new(RichText::new(name(step, file)).color(colors.text)));
            ui.vertical(|ui| words(ui, &progress, colors));
        });
        let spoken = format!("{}: {}", name(step, file), state_of(&progress));
        row.response.widget_info(|| egui::WidgetInfo::labeled(egui::Role::ListItem, true, &spoken));
        ui.add_space(2.0);
    }
    if let Some((level, words)) = state.shown().host.as_ref().and_then(HostStatus::not_running) {
        let row = ui.horizontal(|ui| {
            let (rect, _) = ui.allocate_exact_size(vec2(18.0, 18.0), egui::Sense::hover());
            sign::level(ui.painter(), rect.center(), 7.0, level, colors.level(level));
            ui.add_sized(vec2(64.0, 18.0), egui::Label::new(RichText::new("host").color(colors.text)));
            ui.vertical(|ui| {
                ui.add(egui::Label::new(RichText::new(&words).color(colors.text)).wrap().selectable(true))
            });
        });
        let spoken = format!("host: {words}");
        row.response.widget_info(|| egui::WidgetInfo::labeled(egui::Role::ListItem, true, &spoken));
    }
}

fn name(step: Step, file: bool) -> &'static str {
    match step {
        Step::Ssh => "ssh",
        Step::Reach if file => "file",
        Step::Reach => "TCP",
        Step::Login => "AUTH",
        Step::Key => "key",
        Step::Json => "JSON",
        Step::Fields => "fields",
    }
}

fn state_of(progress: &Progress) -> String {
    match progress {
        Progress::Waiting => "not reached yet".to_owned(),
        Progress::Running(what) => format!("under way, {what}"),
        Progress::Done(what) => format!("done, {what}"),
        Progress::Skipped => "not needed".to_owned(),
        Progress::Failed { why, advice } => format!("failed, {why}. {advice}"),
    }
}

fn mark(ui: &mut egui::Ui, progress: &Progress, colors: &Colors) {
    let (rect, _) = ui.allocate_exact_size(vec2(18.0, 18.0), egui::Sense::hover());
    let (painter, center) = (ui.painter(), rect.center());
    match progress {
        Progress::Done(_) => {
            let stroke = Stroke::new(2.5, colors.level(Level::Normal));
            painter.line_segment([center + vec2(-5.0, 0.0), center + vec2(-1.0, 4.5)], stroke);
            painter.line_segment([center + vec2(-1.0, 4.5), center + vec2(6.0, -5.0)], stroke);
        }
        Progress::Failed { .. } => sign::level(painter, center, 7.0, Level::Critical, colors.level(Level::Critical)),
        Progress::Running(_) => {
            painter.circle_stroke(center, 5.0, Stroke::new(2.0, colors.accent));
            painter.circle_filled(center, 2.0, colors.accent);
        }
        Progress::Waiting | Progress::Skipped => {
            painter.circle_stroke(center, 5.0, Stroke::new(1.0, colors.weak));
        }
    }
}

fn words(ui: &mut egui::Ui, progress: &Progress, colors: &Colors) {
    match progress {
        Progress::Failed { why, advice } => {
            ui.add(egui::Label::new(RichText::new(why).color(colors.text)).wrap().selectable(true));
            ui.add(egui::Label::new(RichText::new(advice).color(colors.weak)).wrap().selectable(true));
        }
        Progress::Running(what) | Progress::Done(what) => {
            ui.add(egui::Label::new(RichText::new(what).color(colors.weak)).wrap().selectable(true));
        }
        Progress::Waiting | Progress::Skipped => {
            ui.label(RichText::new("–").color(colors.weak));
        }
    }
}
