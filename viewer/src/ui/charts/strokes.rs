//! All lines of a plot as one item of it: painted in one go, without what egui_plot's own lines do for each point.

use std::ops::RangeInclusive;
use std::sync::Arc;

use eframe::egui::{Align2, Color32, FontId, Pos2, Rangef, Rect, Shape, Stroke, Ui};
use egui_plot::{PlotBounds, PlotGeometry, PlotItem, PlotItemBase, PlotPoint, PlotTransform};

use super::lines::Line;

/// From this width on a gap says what it is, in points.
const WIDTH_OF_WORDS: f32 = 64.0;

/// The lines of a plot, the gaps behind them and the cursor before them.
pub struct Strokes {
    base: PlotItemBase,
    lines: Arc<Vec<Line>>,
    /// How each line is drawn, and their order.
    strokes: Vec<(usize, Stroke)>,
    gaps: Vec<[f64; 2]>,
    gap_color: Color32,
    cursor: Option<f64>,
    cursor_color: Color32,
}

/// Colours of what isn't a line.
#[derive(Debug, Clone, Copy)]
pub struct Ground {
    /// Behind a gap.
    pub gap: Color32,
    /// The cursor.
    pub cursor: Color32,
}

impl Strokes {
    /// `strokes` tells for each line, by its index, how it is drawn; the last is in front.
    pub fn new(
        lines: Arc<Vec<Line>>,
        strokes: Vec<(usize, Stroke)>,
        gaps: Vec<[f64; 2]>,
        cursor: Option<f64>,
        ground: Ground,
    ) -> Strokes {
        let base = PlotItemBase::new(String::new());
        Strokes { base, lines, strokes, gaps, gap_color: ground.gap, cursor, cursor_color: ground.cursor }
    }

    fn gap(&self, ui: &Ui, gap: [f64; 2], transform: &PlotTransform, shapes: &mut Vec<Shape>) {
        let frame = transform.frame();
        let [left, right] = gap.map(|at| transform.position_from_point_x(at).clamp(frame.left(), frame.right()));
        if right <= left {
            return;
        }
        let rect = Rect::from_x_y_ranges(Rangef::new(left, right), frame.y_range());
        shapes.push(Shape::rect_filled(rect, 0.0, self.gap_color));
        if rect.width() >= WIDTH_OF_WORDS {
            let (font, color) = (FontId::proportional(11.5), ui.visuals().weak_text_color());
            let words =
                ui.fonts_mut(|fonts| Shape::text(fonts, rect.center(), Align2::CENTER_CENTER, "no data", font, color));
            shapes.push(words);
        }
    }
}

impl PlotItem for Strokes {
    fn shapes(&self, ui: &Ui, transform: &PlotTransform, shapes: &mut Vec<Shape>) {
        for gap in &self.gaps {
            self.gap(ui, *gap, transform, shapes);
        }
        for (index, stroke) in &self.strokes {
            for segment in self.lines.get(*index).into_iter().flat_map(|line| &line.segments) {
                let points: Vec<Pos2> = segment
                    .iter()
                    .map(|[at, number]| transform.position_from_point(&PlotPoint::new(*at, *number)))
                    .collect();
                shapes.push(match points.as_slice() {
                    [alone] => Shape::circle_filled(*alone, stroke.width.max(1.0) + 1.0, stroke.color),
                    _ => Shape::line(points, *stroke),
                });
            }
        }
        if let Some(at) = self.cursor {
            let x = transform.position_from_point_x(at);
            shapes.push(Shape::vline(x, transform.frame().y_range(), Stroke::new(1.0, self.cursor_color)));
        }
    }

    fn initialize(&mut self, _x_range: RangeInclusive<f64>) {}

    fn color(&self) -> Color32 {
        Color32::TRANSPARENT
    }

    fn allow_hover(&self) -> bool {
        false
    }

    fn geometry(&self) -> PlotGeometry<'_> {
        PlotGeometry::None
    }

    fn bounds(&self) -> PlotBounds {
        PlotBounds::NOTHING
    }

    fn base(&self) -> &PlotItemBase {
        &self.base
    }

    fn base_mut(&mut self) -> &mut PlotItemBase {
        &mut self.base
    }
}
