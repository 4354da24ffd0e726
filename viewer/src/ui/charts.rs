//! The history as lines: one plot below the overview, and a page of plots that share their times and their cursor.

mod axes;
mod legend;
mod lines;
mod palette;
mod plot;
mod span;
mod strokes;
mod tooltip;

use std::sync::Arc;

use eframe::egui::text::{LayoutJob, TextFormat, TextWrapping};
use eframe::egui::{self, Color32, FontId, Galley, Painter, RichText, vec2};

use super::Time;
use super::theme::Colors;
use crate::model::{CACHE, EGRESS, Moment, cpu_id};
use crate::state::{Action, Chart, State};
use lines::{Fields, Group, HOTTEST, Line, MEAN};
use plot::{Plate, Scale};
use span::Span;

/// How wide the names beside a plot are.
const LEGEND: f32 = 190.0;

/// Below this width the names stand below a plot.
const NARROW: f32 = 560.0;

/// How high the plot of one other field is.
const STRIP: f32 = 84.0;

/// What all plots of a page are drawn from.
struct Scene<'a> {
    state: &'a State,
    time: &'a Time,
    /// Now, or when the display was frozen.
    now: Moment,
    colors: Colors,
    span: Span,
    fields: Arc<Fields>,
    gaps: Vec<[f64; 2]>,
    pointed: Pointed,
}

/// Where the pointer was in the frame before: its time, and the line under it.
#[derive(Debug, Clone, Default)]
struct Pointed {
    at: Option<f64>,
    line: Option<String>,
}

/// What the user said to a page in this frame.
#[derive(Debug, Default)]
struct Told {
    span: Option<Span>,
    chart: Option<Chart>,
    at: Option<f64>,
    line: Option<String>,
}

/// Draws the recent past in one plot: egress, cache, and all CPUs in two lines.
pub fn compact(ui: &mut egui::Ui, state: &State, time: &Time, actions: &mut Vec<Action>) {
    let scene = Scene::of(ui, state, time);
    let mut told = Told::default();
    ui.horizontal_wrapped(|ui| {
        ui.label(RichText::new("History").strong());
        span::toolbar(ui, state, &mut told);
    });
    let height = ui.available_height().max(64.0);
    grouped(ui, "all percentages", &Group::Overview, height, &scene, &mut told);
    told.finish(ui, state, actions);
}

/// Draws the page.
pub fn page(ui: &mut egui::Ui, state: &State, time: &Time, actions: &mut Vec<Action>) {
    let scene = Scene::of(ui, state, time);
    let mut told = Told::default();
    ui.horizontal_wrapped(|ui| {
        span::toolbar(ui, state, &mut told);
        ui.separator();
        span::steps(ui, state, scene.span, scene.now, &mut told);
    });
    if state.history.is_empty() {
        ui.add_space(12.0);
        ui.label("There are no results yet; the lines begin with the first.");
    } else {
        let height = ui.available_height();
        egui::ScrollArea::vertical().auto_shrink(false).show(ui, |ui| plots(ui, height, &scene, &mut told));
    }
    told.finish(ui, state, actions);
}

fn plots(ui: &mut egui::Ui, height: f32, scene: &Scene<'_>, told: &mut Told) {
    let fields = &scene.fields;
    let others = if fields.others.is_empty() { 0.0 } else { 150.0 };
    let room = (height - others - 60.0).max(320.0);
    if !fields.shares.is_empty() {
        ui.label(RichText::new("Network egress and memory cache").strong());
        grouped(ui, "network egress and memory cache", &Group::Shares, room * 0.36, scene, told);
    }
    if !fields.cpus.is_empty() {
        ui.label(RichText::new("CPUs (60 s average)").strong());
        let title = format!("{} CPUs", fields.cpus.len());
        grouped(ui, &title, &Group::Cpus, room * 0.64, scene, told);
    }
    if !fields.others.is_empty() {
        ui.label(RichText::new("Other numbers, each on a scale of its own").strong());
    }
    for field in &fields.others {
        let (width, row) = (ui.available_width(), vec2(ui.available_width(), STRIP));
        // What is scrolled out of sight costs nothing.
        if ui.is_rect_visible(egui::Rect::from_min_size(ui.cursor().min, row)) {
            strip(ui, field, width, scene, told);
        } else {
            ui.allocate_space(row);
        }
    }
}

/// Percentages with their names.
fn grouped(ui: &mut egui::Ui, title: &str, group: &Group, height: f32, scene: &Scene<'_>, told: &mut Told) {
    let lines = scene.lines(ui, group);
    if lines.is_empty() {
        ui.label("The results hold none of the percentages that are drawn here; all there is stands under Data.");
        return;
    }
    let width = ui.available_width();
    let plate = |width, height| Plate { title, size: vec2(width, height), scale: Scale::Percent, times: true };
    if width < NARROW {
        let names = (lines.len().min(3) as f32 * 20.0).min(height * 0.4);
        plot::draw(ui, plate(width, height - names - 6.0), &lines, scene, told);
        legend::draw(ui, title, vec2(width, names), &lines, scene, told);
    } else {
        ui.horizontal_top(|ui| {
            let names = vec2(LEGEND, height);
            plot::draw(ui, plate(width - LEGEND - ui.spacing().item_spacing.x, height), &lines, scene, told);
            legend::draw(ui, title, names, &lines, scene, told);
        });
    }
}

/// One other field.
fn strip(ui: &mut egui::Ui, field: &str, width: f32, scene: &Scene<'_>, told: &mut Told) {
    let lines = scene.lines(ui, &Group::Other(field.to_owned()));
    let names = LEGEND.min(width * 0.4);
    ui.horizontal_top(|ui| {
        let size = vec2(width - names - ui.spacing().item_spacing.x, STRIP);
        plot::draw(ui, Plate { title: field, size, scale: Scale::Fitting, times: false }, &lines, scene, told);
        legend::draw(ui, field, vec2(names, STRIP), &lines, scene, told);
    });
}

impl<'a> Scene<'a> {
    fn of(ui: &egui::Ui, state: &'a State, time: &'a Time) -> Scene<'a> {
        let now = state.time(time.now);
        let span = Span::shown(state, now);
        Scene {
            state,
            time,
            now,
            colors: Colors::of(ui, state.settings.palette),
            span,
            fields: Fields::of(ui.ctx(), state.epoch(), &state.history),
            gaps: state.history.gaps(span.from, span.to.min(now.0), state.period()),
            pointed: ui.data(|data| data.get_temp(Pointed::memory())).unwrap_or_default(),
        }
    }

    fn lines(&self, ui: &egui::Ui, group: &Group) -> Arc<Vec<Line>> {
        let (history, hidden) = (&self.state.history, &self.state.chart.hidden);
        group.lines(ui.ctx(), history, &self.fields, self.span, self.state.period(), hidden)
    }

    /// The time that values beside the names are told for: the cursor's, or the newest in sight.
    fn moment(&self) -> f64 {
        self.pointed.at.unwrap_or(self.span.to.min(self.now.0))
    }

    /// A field's number at a time, or what is said of all CPUs.
    fn value(&self, field: &str, at: f64) -> Option<f64> {
        let (history, period) = (&self.state.history, self.state.period());
        if ![MEAN, HOTTEST].contains(&field) {
            return history.value_at(field, at, period);
        }
        let values = self.fields.cpus.iter().filter_map(|cpu| history.value_at(cpu, at, period));
        let (sum, greatest, count) = values
            .fold((0.0, f64::NEG_INFINITY, 0_u32), |(sum, most, count), n| (sum + n, f64::max(most, n), count + 1));
        (count > 0).then(|| if field == MEAN { sum / f64::from(count) } else { greatest })
    }

    /// The newest values in words: of few lines all, of many the mean and the greatest.
    fn newest_words(&self, lines: &[Line]) -> String {
        let at = self.span.to.min(self.now.0);
        let value = |field: &str| self.value(field, at).map(|number| said(field, number));
        let told: Vec<String> = match lines {
            [one] => value(&one.field).into_iter().collect(),
            few if few.len() <= 4 => {
                few.iter().filter_map(|line| Some(format!("{} {}", line.name, value(&line.field)?))).collect()
            }
            _ => [(MEAN, "mean"), (HOTTEST, "greatest")]
                .into_iter()
                .filter_map(|(field, word)| Some(format!("{word} {}", value(field)?)))
                .collect(),
        };
        if told.is_empty() { "no newest value".to_owned() } else { format!("newest {}", told.join(", ")) }
    }
}

impl Pointed {
    fn memory() -> egui::Id {
        egui::Id::unique("where the pointer is in the plots")
    }
}

impl Told {
    /// Follow what comes again.
    fn follow(&mut self, state: &State) {
        self.chart = Some(Chart { live: true, ..state.chart.clone() });
    }

    fn finish(self, ui: &egui::Ui, state: &State, actions: &mut Vec<Action>) {
        ui.data_mut(|data| data.insert_temp(Pointed::memory(), Pointed { at: self.at, line: self.line }));
        let held = self.span.map(|span| span.held(state));
        actions.extend(held.or(self.chart).map(Action::Chart));
    }
}

/// A field's number in words: a percentage with two decimals, others as they stand.
fn said(field: &str, number: f64) -> String {
    let percent =
        field == EGRESS || CACHE.contains(&field) || [MEAN, HOTTEST].contains(&field) || cpu_id(field).is_some();
    if percent { format!("{number:.2} %") } else { number.to_string() }
}

/// A text in one line of at most this width, cut with `…`.
pub(super) fn elided(painter: &Painter, text: &str, font: FontId, color: Color32, width: f32) -> Arc<Galley> {
    let mut job = LayoutJob::single_section(text.to_owned(), TextFormat::simple(font, color));
    job.wrap = TextWrapping::truncate_at_width(width.max(0.0));
    painter.layout_job(job)
}
