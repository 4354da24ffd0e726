//! A machine in a row of the list.

use eframe::egui::{self, Align2, FontId, Painter, Pos2, Rect, Role, Sense, Shape, Stroke, StrokeKind, pos2, vec2};

use super::super::charts::elided;
use super::super::theme::Colors;
use super::super::{Time, bars, sign};
use super::columns::{Columns, Part};
use crate::model::{Figures, Freshness, Level, Machine, Thresholds, printable};
use crate::state::{Action, List, State};

/// Draws the machine of this name; a click opens it.
#[expect(clippy::too_many_arguments, reason = "a row is drawn from all of them")]
pub(super) fn draw(
    ui: &mut egui::Ui,
    place: Rect,
    columns: &Columns,
    name: &str,
    state: &State,
    time: &Time,
    colors: &Colors,
    actions: &mut Vec<Action>,
) {
    let Some(machine) = state.fleet.get(name) else { return };
    let freshness = machine.freshness(time.now, state.period());
    let age = bars::said(freshness, machine.age(time.now));
    let chosen = state.list.chosen.as_deref() == Some(name);
    let response = ui.interact(place, ui.scope_id().with(("machine", name)), Sense::click());
    let spoken = spoken(name, machine, state.settings.thresholds, &age);
    response.widget_info(|| egui::WidgetInfo::selected(Role::Button, true, chosen, &spoken));
    if response.clicked() {
        actions.push(Action::OpenMachine(name.to_owned()));
    }
    if response.gained_focus() {
        response.scroll_to_me(None);
        actions.push(Action::List(List { chosen: Some(name.to_owned()), ..state.list.clone() }));
    }
    let painter = ui.painter();
    if chosen || response.hovered() {
        painter.rect_filled(place, 4.0, ui.visuals().faint_bg_color);
    }
    if chosen || response.has_focus() {
        painter.rect_stroke(place, 4.0, Stroke::new(1.0, colors.accent), StrokeKind::Inside);
    }
    let level = machine.level(state.settings.thresholds);
    let row = Row { machine, freshness, level, age: &age, colors };
    for (part, place) in columns.in_row(place) {
        row.part(painter, part, place, name);
    }
    if response.hovered() {
        response.on_hover_text(spoken);
    }
}

/// `web-1, mean 12.5 %, hottest CPU 65.5 %, warning, 2 s old`.
fn spoken(name: &str, machine: &Machine, limits: Thresholds, age: &str) -> String {
    let Figures { mean, hottest, egress, cache, .. } = machine.figures;
    let figures = [("mean", mean), ("hottest CPU", hottest), ("egress", egress), ("cache", cache)];
    let mut words = vec![printable(name)];
    words.extend(figures.iter().filter_map(|(word, percent)| Some(format!("{word} {:.1} %", (*percent)?))));
    words.extend(machine.level(limits).map(|level| level.word().to_owned()));
    words.extend(machine.fault.clone());
    words.push(age.to_owned());
    words.join(", ")
}

/// What a row's parts are drawn from.
struct Row<'a> {
    machine: &'a Machine,
    freshness: Option<Freshness>,
    level: Option<Level>,
    age: &'a str,
    colors: &'a Colors,
}

impl Row<'_> {
    fn part(&self, painter: &Painter, part: Part, place: Rect, name: &str) {
        let figures = &self.machine.figures;
        match part {
            Part::Name => self.name(painter, place, name),
            Part::Past if self.machine.fault.is_some() => {
                let words = self.machine.fault.as_deref().unwrap_or_default();
                self.words(painter, place, words, self.colors.weak, 11.5);
            }
            Part::Past => self.past(painter, place.shrink2(vec2(0.0, 4.0))),
            Part::Mean => self.mean(painter, place),
            Part::Hottest => self.percent(painter, place, figures.hottest),
            Part::Egress => self.percent(painter, place, figures.egress),
            Part::Cache => self.percent(painter, place, figures.cache),
            Part::Age => self.words(painter, place, self.age, self.colors.weak, 12.5),
        }
    }

    fn color(&self, color: egui::Color32) -> egui::Color32 {
        self.colors.aged(color, self.freshness)
    }

    fn name(&self, painter: &Painter, place: Rect, name: &str) {
        let center = pos2(place.left() + 6.0, place.center().y);
        match self.level {
            _ if self.machine.fault.is_some() => {
                painter.circle_stroke(center, 4.5, Stroke::new(1.5, self.colors.level(Level::Warning)));
            }
            Some(level) => sign::level(painter, center, 6.0, level, self.color(self.colors.level(level))),
            None => {
                painter.circle_stroke(center, 3.5, Stroke::new(1.0, self.colors.weak));
            }
        }
        let place = place.with_min_x(place.left() + 20.0);
        self.words(painter, place, &printable(name), self.color(self.colors.text), 14.0);
    }

    fn words(&self, painter: &Painter, place: Rect, words: &str, color: egui::Color32, points: f32) {
        let galley = elided(painter, words, FontId::proportional(points), color, place.width());
        painter.galley(pos2(place.left(), place.center().y - galley.size().y / 2.0), galley, color);
    }

    fn percent(&self, painter: &Painter, place: Rect, percent: Option<f64>) {
        let words = percent.map_or("–".to_owned(), |percent| format!("{percent:.1} %"));
        let font = FontId::proportional(13.5);
        painter.text(place.left_center(), Align2::LEFT_CENTER, words, font, self.color(self.colors.text));
    }

    /// The number, and a bar beside it.
    fn mean(&self, painter: &Painter, place: Rect) {
        let mean = self.machine.figures.mean;
        self.percent(painter, place, mean);
        let track = Rect::from_min_max(place.min + vec2(62.0, 0.0), place.max);
        let track = Rect::from_center_size(track.center(), vec2(track.width(), 8.0));
        painter.rect_filled(track, 3.0, self.colors.track);
        let Some(mean) = mean else { return };
        let full = vec2(track.width() * (mean / 100.0).clamp(0.0, 1.0) as f32, track.height());
        let full = Rect::from_min_size(track.min, full);
        painter.rect_filled(full, 3.0, self.color(self.colors.accent));
        if self.freshness == Some(Freshness::Stale) {
            sign::hatch(painter, full, self.colors.card);
        }
    }

    /// The past as a line from 0 to 100 %, the newest at the right.
    fn past(&self, painter: &Painter, place: Rect) {
        painter.hline(place.x_range(), place.bottom(), Stroke::new(1.0, self.colors.track));
        let past = self.machine.past();
        if past.len() < 2 {
            return;
        }
        let step = place.width() / (Machine::MOST_PAST - 1) as f32;
        let left = place.right() - step * (past.len() - 1) as f32;
        let height = |percent: f32| place.bottom() - place.height() * (percent / 100.0).clamp(0.0, 1.0);
        let points: Vec<Pos2> =
            past.enumerate().map(|(index, percent)| pos2(left + step * index as f32, height(percent))).collect();
        painter.add(Shape::line(points, Stroke::new(1.5, self.color(self.colors.accent))));
    }
}
