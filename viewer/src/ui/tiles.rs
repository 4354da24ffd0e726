//! Many CPUs as numbered tiles.

use std::ops::RangeInclusive;

use eframe::egui::{self, Align2, FontId, Rect, vec2};

use super::cpus::grid;
use super::meter::meter;
use super::theme::Colors;
use super::{sign, theme};
use crate::model::{Cpu, Freshness, Thresholds};

/// The least and the most points across.
pub(super) const WIDTHS: RangeInclusive<f32> = 74.0..=104.0;

/// How many times as high as wide.
pub(super) const SHAPE: f32 = 0.62;

/// Draws a tile for each CPU: its number, its value, its level's sign, and a bar.
pub fn draw(
    ui: &mut egui::Ui,
    cpus: &[&Cpu],
    limits: Thresholds,
    freshness: Option<Freshness>,
    spoken: &dyn Fn(&Cpu) -> String,
    colors: &Colors,
) {
    let places = grid(ui, cpus.len(), WIDTHS, SHAPE);
    for (cpu, rect) in cpus.iter().zip(places) {
        let response = ui.interact(rect, ui.scope_id().with(("tile", &cpu.id)), egui::Sense::hover());
        let spoken = spoken(cpu);
        meter(ui, &response, &spoken, cpu.percent);
        response.on_hover_text(spoken);
        if !ui.is_rect_visible(rect) {
            continue;
        }
        let painter = ui.painter();
        let level = limits.level(cpu.percent);
        let color = colors.aged(colors.level(level), freshness);
        let text = colors.aged(colors.text, freshness);
        theme::outline(painter, rect, colors);
        sign::level(painter, rect.min + vec2(10.0, 11.0), 4.0, level, color);
        painter.text(
            rect.min + vec2(18.0, 11.0),
            Align2::LEFT_CENTER,
            &cpu.id,
            FontId::proportional(11.5),
            colors.weak,
        );
        let value = format!("{:.1}", cpu.percent);
        let place = egui::pos2(rect.right() - 7.0, rect.center().y);
        painter.text(place, Align2::RIGHT_CENTER, value, FontId::proportional(16.0), text);
        let track = Rect::from_min_size(rect.left_bottom() + vec2(6.0, -9.0), vec2(rect.width() - 12.0, 4.0));
        painter.rect_filled(track, 2.0, colors.track);
        let full = vec2(track.width() * (cpu.percent / 100.0).clamp(0.0, 1.0) as f32, 4.0);
        painter.rect_filled(Rect::from_min_size(track.min, full), 2.0, color);
        if freshness == Some(Freshness::Stale) {
            sign::hatch(painter, track, colors.card);
        }
    }
}
