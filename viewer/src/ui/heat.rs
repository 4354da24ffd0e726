//! Very many CPUs as a heat map: the colour says the level, its strength the value, a sign marks what is not normal.

use eframe::egui::{self, Align2, FontId, Rect, RichText, vec2};

use super::meter::meter;
use super::sign;
use super::theme::Colors;
use crate::model::{Cpu, Freshness, Level, Thresholds};

/// The widest a cell gets, and the narrowest in which its number can be read.
const WIDEST: f32 = 34.0;
const NARROWEST: f32 = 24.0;

/// Draws the map and what its colours mean.
pub fn draw(
    ui: &mut egui::Ui,
    cpus: &[&Cpu],
    limits: Thresholds,
    freshness: Option<Freshness>,
    spoken: &dyn Fn(&Cpu) -> String,
    colors: &Colors,
) {
    // Powers of two keep neighbours that share caches and sockets in straight columns.
    let columns = [64_usize, 32, 16, 8]
        .into_iter()
        .find(|columns| ui.available_width() / *columns as f32 >= NARROWEST)
        .unwrap_or(4)
        .min(cpus.len());
    let side = (ui.available_width() / columns as f32).min(WIDEST);
    let rows = cpus.len().div_ceil(columns);
    let (_, area) = ui.allocate_space(vec2(side * columns as f32, side * rows as f32));
    for (index, cpu) in cpus.iter().enumerate() {
        let place = vec2((index % columns) as f32, (index / columns) as f32) * side;
        let rect = Rect::from_min_size(area.min + place, vec2(side, side)).shrink(1.0);
        cell(ui, rect, cpu, limits.level(cpu.percent), freshness, spoken, colors);
    }
    key(ui, limits, freshness, colors);
}

fn cell(
    ui: &mut egui::Ui,
    rect: Rect,
    cpu: &Cpu,
    level: Level,
    freshness: Option<Freshness>,
    spoken: &dyn Fn(&Cpu) -> String,
    colors: &Colors,
) {
    let response = ui.interact(rect, ui.scope_id().with(("cell", &cpu.id)), egui::Sense::hover());
    meter(ui, &response, &spoken(cpu), cpu.percent);
    if response.hovered() {
        response.on_hover_text(spoken(cpu));
    }
    if !ui.is_rect_visible(rect) {
        return;
    }
    let painter = ui.painter();
    let strength = 0.25 + 0.75 * (cpu.percent / 100.0).clamp(0.0, 1.0) as f32;
    let color = colors.card.blend(colors.aged(colors.level(level), freshness));
    let fill = colors.card.lerp_to_gamma(color, strength);
    painter.rect_filled(rect, 3.0, fill);
    let text = colors.on(fill);
    if freshness == Some(Freshness::Stale) {
        // Away from the words' colour, which would be lost in it.
        let away = if text == colors.text { colors.track } else { colors.text };
        sign::hatch(painter, rect, fill.lerp_to_gamma(away, 0.5));
    }
    painter.text(
        rect.center_bottom() - vec2(0.0, 2.0),
        Align2::CENTER_BOTTOM,
        &cpu.id,
        FontId::proportional(9.5),
        text,
    );
    if level != Level::Normal {
        sign::level(painter, rect.center_top() + vec2(0.0, rect.height() * 0.3), 4.0, level, text);
    }
}

/// What the colours and signs mean.
fn key(ui: &mut egui::Ui, limits: Thresholds, freshness: Option<Freshness>, colors: &Colors) {
    ui.horizontal(|ui| {
        for (level, from) in
            [(Level::Normal, 0.0), (Level::Warning, limits.warning), (Level::Critical, limits.critical)]
        {
            let (rect, _) = ui.allocate_exact_size(vec2(14.0, 14.0), egui::Sense::hover());
            let color = colors.aged(colors.level(level), freshness);
            sign::level(ui.painter(), rect.center(), 5.0, level, color);
            ui.label(RichText::new(format!("{} from {from:.0} %", level.word())).small().color(colors.weak));
        }
    });
}
