//! Signs that say by their form what a colour says: drawn, so that no font needs to have them.

use eframe::egui::{Color32, Painter, Pos2, Rect, Shape, Stroke, pos2, vec2};

use crate::model::Level;
use crate::state::Standing;

/// A level's sign: a disc, a triangle, a diamond.
pub fn level(painter: &Painter, center: Pos2, radius: f32, level: Level, color: Color32) {
    match level {
        Level::Normal => {
            painter.circle_filled(center, radius * 0.72, color);
        }
        Level::Warning => polygon(painter, center, radius * 1.1, 3, color),
        Level::Critical => polygon(painter, center, radius * 1.15, 4, color),
    }
}

/// A connection's sign: a full disc while it is live, a triangle or diamond where something is wrong, else a ring.
pub fn standing(painter: &Painter, center: Pos2, radius: f32, standing: Standing, color: Color32) {
    match standing {
        Standing::Live => level(painter, center, radius, Level::Normal, color),
        Standing::Late | Standing::Retrying => level(painter, center, radius, Level::Warning, color),
        Standing::NeedsYou => level(painter, center, radius, Level::Critical, color),
        Standing::Idle | Standing::Resolving | Standing::Authenticating => {
            painter.circle_stroke(center, radius * 0.65, Stroke::new(1.5, color));
        }
    }
}

/// Lines across a value that may not be taken for what is now.
pub fn hatch(painter: &Painter, rect: Rect, color: Color32) {
    let painter = painter.with_clip_rect(rect.intersect(painter.clip_rect()));
    let stroke = Stroke::new(1.0, color);
    let mut x = rect.left() - rect.height();
    while x < rect.right() {
        painter.line_segment([pos2(x, rect.bottom()), pos2(x + rect.height(), rect.top())], stroke);
        x += 7.0;
    }
}

/// A regular polygon that stands on its side (a triangle) or on a corner (a square).
fn polygon(painter: &Painter, center: Pos2, radius: f32, corners: usize, color: Color32) {
    let turn = std::f32::consts::TAU / corners as f32;
    let drop = if corners == 3 { radius * 0.2 } else { 0.0 };
    let points = (0..corners)
        .map(|corner| {
            let angle = turn * corner as f32 - std::f32::consts::FRAC_PI_2;
            center + vec2(angle.cos(), angle.sin()) * radius + vec2(0.0, drop)
        })
        .collect();
    painter.add(Shape::convex_polygon(points, color, Stroke::NONE));
}
