//! A CPU as a gauge: an arc over three quarters of a circle, the value in the middle, its recent past in the gap.

use std::f32::consts::TAU;

use eframe::egui::{self, Align2, Color32, FontId, Painter, Pos2, Rect, Shape, Stroke, StrokeKind, pos2, vec2};

use super::meter::meter;
use super::theme::Colors;
use super::{sign, theme};
use crate::model::{Freshness, Level, Thresholds};

/// Where the arc starts, as a share of a turn from the right, clockwise: lower left.
const START: f32 = 0.375;

/// How much of a turn the arc takes at 100 %.
const SWEEP: f32 = 0.75;

/// What one gauge shows.
#[derive(Debug, Clone)]
pub struct Gauge<'a> {
    /// `CPU 3`.
    pub name: &'a str,
    /// The value.
    pub percent: f64,
    /// Where it stands.
    pub level: Level,
    /// Whether it may be taken for what is now.
    pub freshness: Option<Freshness>,
    /// Its recent past, oldest first.
    pub past: &'a [f64],
    /// The least and the most that is known.
    pub extremes: Option<(f64, f64)>,
    /// What a screen reader says.
    pub spoken: &'a str,
}

/// How much a gauge has room for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Size {
    /// All of it.
    Large,
    /// Without words that a sign can stand for.
    Small,
}

impl Size {
    /// The least and the most points across, and how many times as high as wide.
    pub fn points(self) -> (f32, f32, f32) {
        match self {
            Size::Large => (180.0, 300.0, 1.02),
            Size::Small => (116.0, 160.0, 1.07),
        }
    }
}

/// Draws a gauge in `rect`.
pub fn draw(ui: &mut egui::Ui, rect: Rect, size: Size, gauge: &Gauge<'_>, limits: Thresholds, colors: &Colors) {
    let response = ui.interact(rect, ui.scope_id().with(("gauge", gauge.name)), egui::Sense::hover());
    meter(ui, &response, gauge.spoken, gauge.percent);
    response.on_hover_text(gauge.spoken);
    if !ui.is_rect_visible(rect) {
        return;
    }
    let painter = ui.painter();
    theme::outline(painter, rect, colors);
    let k = rect.width() / size.points().0;
    let thick = match size {
        Size::Large => 13.0 * k,
        Size::Small => 9.0 * k,
    };
    let radius = rect.width() / 2.0 - thick / 2.0 - 13.0 * k;
    let center = pos2(rect.center().x, rect.top() + radius + thick / 2.0 + 11.0 * k);
    let color = colors.aged(colors.level(gauge.level), gauge.freshness);

    arc(painter, center, radius, 0.0, 1.0, Stroke::new(thick, colors.track));
    arc(painter, center, radius, 0.0, share(gauge.percent), Stroke::new(thick, color));
    ring(painter, center, radius + thick / 2.0 + 3.0, limits, gauge.freshness, colors);
    if gauge.freshness == Some(Freshness::Stale) {
        painter.add(hatched(center, radius, thick, share(gauge.percent), colors.card));
    }
    words(painter, center, radius, k, size, gauge, color, colors);
    extremes(painter, rect, k, size, gauge, colors);
    spark(painter, rect, k, size, gauge, color, colors);
}

fn share(percent: f64) -> f32 {
    (percent / 100.0).clamp(0.0, 1.0) as f32
}

fn on_circle(center: Pos2, radius: f32, share: f32) -> Pos2 {
    let angle = (START + SWEEP * share) * TAU;
    center + vec2(angle.cos(), angle.sin()) * radius
}

fn arc(painter: &Painter, center: Pos2, radius: f32, from: f32, to: f32, stroke: Stroke) {
    if to <= from {
        return;
    }
    let steps = ((to - from) * radius * 0.9).ceil().clamp(2.0, 96.0) as usize;
    let points =
        (0..=steps).map(|step| on_circle(center, radius, from + (to - from) * step as f32 / steps as f32)).collect();
    painter.add(Shape::line(points, stroke));
}

/// The thin ring that shows where the levels begin.
fn ring(
    painter: &Painter,
    center: Pos2,
    radius: f32,
    limits: Thresholds,
    freshness: Option<Freshness>,
    colors: &Colors,
) {
    let (warning, critical) = (share(limits.warning), share(limits.critical));
    for (from, to, level) in
        [(0.0, warning, Level::Normal), (warning, critical, Level::Warning), (critical, 1.0, Level::Critical)]
    {
        arc(painter, center, radius, from, to, Stroke::new(2.0, colors.aged(colors.level(level), freshness)));
    }
}

/// Short lines across the arc.
fn hatched(center: Pos2, radius: f32, thick: f32, to: f32, color: Color32) -> Shape {
    let count = (to * radius * 0.7) as usize;
    let lines = (1..count).map(|index| {
        let at = to * index as f32 / count as f32;
        let (inner, outer) = (radius - thick / 2.0, radius + thick / 2.0);
        let points = [on_circle(center, inner, at), on_circle(center, outer, (at + 0.02).min(1.0))];
        Shape::line_segment(points, Stroke::new(2.0, color))
    });
    Shape::Vec(lines.collect())
}

#[expect(clippy::too_many_arguments, reason = "one picture's places and colours, all worked out by the caller")]
fn words(
    painter: &Painter,
    center: Pos2,
    radius: f32,
    k: f32,
    size: Size,
    gauge: &Gauge<'_>,
    color: Color32,
    colors: &Colors,
) {
    let text = colors.aged(colors.text, gauge.freshness);
    let put = |down: f32, words: &str, points: f32, color: Color32| {
        let at = center + vec2(0.0, down * k);
        painter.text(at, Align2::CENTER_CENTER, words, FontId::proportional(points * k), color);
    };
    let value = format!("{:.1} %", gauge.percent);
    match size {
        Size::Large => {
            put(-6.0, &value, 26.0, text);
            put(16.0, gauge.name, 13.0, text);
            put(31.0, "60 s avg", 10.5, colors.weak);
            let top = center - vec2(0.0, radius * 0.52);
            sign::level(painter, top - vec2(23.0, 0.0) * k, 5.0 * k, gauge.level, color);
            let font = FontId::proportional(11.5 * k);
            painter.text(top - vec2(13.0, 0.0) * k, Align2::LEFT_CENTER, gauge.level.word(), font, text);
        }
        Size::Small => {
            put(-3.0, &value, 16.0, text);
            put(12.0, gauge.name, 12.0, text);
            put(25.0, "60 s avg", 9.0, colors.weak);
            sign::level(painter, center - vec2(0.0, radius * 0.55), 4.0 * k, gauge.level, color);
        }
    }
}

/// The least and the most, at the ends of the arc.
fn extremes(painter: &Painter, rect: Rect, k: f32, size: Size, gauge: &Gauge<'_>, colors: &Colors) {
    let Some((least, most)) = gauge.extremes else { return };
    let (points, side) = if size == Size::Large { (10.5, 10.0) } else { (9.0, 6.0) };
    let font = FontId::proportional(points * k);
    let bottom = rect.bottom() - 6.0 * k;
    for (x, align, word, percent) in [
        (rect.left() + side * k, Align2::LEFT_BOTTOM, "min", least),
        (rect.right() - side * k, Align2::RIGHT_BOTTOM, "max", most),
    ] {
        painter.text(pos2(x, bottom), align, format!("{percent:.0}"), font.clone(), colors.weak);
        if size == Size::Large {
            painter.text(pos2(x, bottom - 12.0 * k), align, word, font.clone(), colors.weak);
        }
    }
}

/// The recent past, in the arc's gap; its height is that of 0 to 100 %.
fn spark(painter: &Painter, rect: Rect, k: f32, size: Size, gauge: &Gauge<'_>, color: Color32, colors: &Colors) {
    let (width, height, bottom) = match size {
        Size::Large => (92.0, 22.0, 8.0),
        Size::Small => (56.0, 14.0, 6.0),
    };
    let (width, height) = (width * k, height * k);
    let middle = pos2(rect.center().x, rect.bottom() - bottom * k - height / 2.0);
    let frame = Rect::from_center_size(middle, vec2(width, height));
    painter.hline(frame.x_range(), frame.bottom(), Stroke::new(1.0, colors.track));
    if gauge.past.len() < 2 {
        return;
    }
    let step = width / (gauge.past.len() - 1) as f32;
    let points = gauge
        .past
        .iter()
        .enumerate()
        .map(|(index, percent)| pos2(frame.left() + step * index as f32, frame.bottom() - height * share(*percent)))
        .collect();
    painter.add(Shape::line(points, Stroke::new(1.5, color)));
    if gauge.freshness == Some(Freshness::Stale) {
        painter.rect_stroke(frame.expand(2.0), 2.0, Stroke::new(1.0, colors.track), StrokeKind::Outside);
    }
}
