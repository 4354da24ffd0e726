//! Where the columns of the list are, and their headings, by which it is sorted.

use eframe::egui::{self, Align2, FontId, Rangef, Rect, Role, Sense, Shape, Stroke, pos2, vec2};

use super::super::theme::Colors;
use super::sorted;
use crate::model::{Column, Sorting};
use crate::state::{Action, List};

/// How high the headings are.
const HEIGHT: f32 = 24.0;

/// Below these widths the list has fewer columns.
const WIDE: f32 = 860.0;
const MEDIUM: f32 = 560.0;

/// What stands in a column.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Part {
    /// The level's sign and the name.
    Name,
    /// The line of the past.
    Past,
    /// The mean over all CPUs.
    Mean,
    /// The hottest CPU.
    Hottest,
    /// The network's egress.
    Egress,
    /// The memory's cache.
    Cache,
    /// The age.
    Age,
}

/// The columns, from left to right.
#[derive(Debug, Clone)]
pub(super) struct Columns(Vec<(Part, Rangef)>);

impl Columns {
    /// Those that there is room for.
    pub fn of(room: Rect) -> Columns {
        let width = room.width();
        let mut parts = vec![(Part::Mean, 150.0), (Part::Hottest, 84.0)];
        if width >= MEDIUM {
            parts.insert(0, (Part::Past, (width * 0.16).min(220.0)));
        }
        if width >= WIDE {
            parts.extend([(Part::Egress, 84.0), (Part::Cache, 84.0)]);
        }
        parts.push((Part::Age, 124.0));
        let taken: f32 = parts.iter().map(|(_, width)| width).sum();
        // The bar of scrolling is at the right.
        let mut left = room.left() + (width - taken - 12.0).max(90.0);
        let mut columns = vec![(Part::Name, Rangef::new(room.left(), left))];
        for (part, width) in parts {
            columns.push((part, Rangef::new(left, left + width)));
            left += width;
        }
        Columns(columns)
    }

    /// Each with its place in a row.
    pub fn in_row(&self, row: Rect) -> impl Iterator<Item = (Part, Rect)> {
        self.0.iter().map(move |(part, x)| (*part, Rect::from_x_y_ranges(*x, row.y_range()).shrink2(vec2(6.0, 0.0))))
    }
}

impl Part {
    fn title(self) -> &'static str {
        match self {
            Part::Name => "Machine",
            Part::Past => "Past means",
            Part::Mean => "Mean of CPUs",
            Part::Hottest => "Hottest",
            Part::Egress => "Egress",
            Part::Cache => "Cache",
            Part::Age => "Age",
        }
    }

    fn column(self) -> Option<Column> {
        match self {
            Part::Name => Some(Column::Name),
            Part::Past => None,
            Part::Mean => Some(Column::Mean),
            Part::Hottest => Some(Column::Hottest),
            Part::Egress => Some(Column::Egress),
            Part::Cache => Some(Column::Cache),
            Part::Age => Some(Column::Age),
        }
    }
}

/// Draws the headings; a click sorts by one, another click the other way round.
pub(super) fn headings(ui: &mut egui::Ui, columns: &Columns, list: &List, colors: &Colors, actions: &mut Vec<Action>) {
    let (row, _) = ui.allocate_exact_size(vec2(ui.available_width(), HEIGHT), Sense::hover());
    for (part, place) in columns.in_row(row) {
        let Some(column) = part.column() else {
            words(ui, place, part.title(), colors.weak);
            continue;
        };
        let response = ui.interact(place, ui.scope_id().with(("sort", part.title())), Sense::click());
        let is_sorted = list.sorting.column == column;
        let spoken = format!("Sort by {}", part.title().to_lowercase());
        response.widget_info(|| egui::WidgetInfo::selected(Role::Button, true, is_sorted, &spoken));
        if response.clicked() {
            actions.push(sorted(list, Sorting { column, reversed: is_sorted && !list.sorting.reversed }));
        }
        let marked = response.hovered() || response.has_focus();
        let right = words(ui, place, part.title(), if marked || is_sorted { colors.text } else { colors.weak });
        if is_sorted {
            let begins_low = (column == Column::Name) != list.sorting.reversed;
            arrow(ui.painter(), pos2(right + 9.0, place.center().y), if begins_low { -1.0 } else { 1.0 }, colors);
        }
    }
    ui.painter().hline(row.x_range(), row.bottom(), Stroke::new(1.0, colors.track));
}

/// Gives where they end.
fn words(ui: &egui::Ui, place: Rect, words: &str, color: egui::Color32) -> f32 {
    ui.painter().text(place.left_center(), Align2::LEFT_CENTER, words, FontId::proportional(11.5), color).right()
}

/// Points up where what is least comes first.
fn arrow(painter: &egui::Painter, center: egui::Pos2, down: f32, colors: &Colors) {
    let points =
        vec![center + vec2(-4.0, -2.5 * down), center + vec2(4.0, -2.5 * down), center + vec2(0.0, 3.5 * down)];
    painter.add(Shape::convex_polygon(points, colors.accent, Stroke::NONE));
}
