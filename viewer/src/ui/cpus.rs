//! The CPUs, in the form that suits their number.

use std::ops::RangeInclusive;

use eframe::egui::{self, Rect, RichText, Vec2, vec2};

use super::gauge::{self, Gauge, Size};
use super::theme::Colors;
use super::{Time, bars, heat, tiles};
use crate::model::{Cpu, HOTTEST, Layout};
use crate::state::{Action, Order, Settings, State};

/// How many past values a gauge's line shows.
const PAST: usize = 60;

/// The room between two pictures.
const GAP: f32 = 8.0;

/// Draws the heading and all CPUs.
pub fn draw(ui: &mut egui::Ui, state: &State, time: &Time, colors: &Colors, actions: &mut Vec<Action>) {
    let shown = &state.shown().output;
    let mut cpus: Vec<&Cpu> = shown.reading.cpus.iter().collect();
    if cpus.is_empty() {
        return;
    }
    heading(ui, cpus.len(), &state.settings, colors, actions);
    let by_number = cpus.clone();
    let hottest_first = |a: &&Cpu, b: &&Cpu| b.percent.total_cmp(&a.percent);
    if state.settings.order == Order::Hottest {
        cpus.sort_by(hottest_first);
    }
    let (freshness, age) = bars::age(shown, state, time);
    let spoken = |cpu: &Cpu| {
        let level = state.settings.thresholds.level(cpu.percent);
        format!("{}, {:.1} %, {}, {age}", cpu.name(), cpu.percent, level.word())
    };
    match Layout::of(cpus.len()) {
        Layout::Large => gauges(ui, &cpus, Size::Large, state, time, &spoken, colors),
        Layout::Small => gauges(ui, &cpus, Size::Small, state, time, &spoken, colors),
        Layout::Tiles => tiles::draw(ui, &cpus, state.settings.thresholds, freshness, &spoken, colors),
        Layout::HeatMap => {
            heat::draw(ui, &cpus, state.settings.thresholds, freshness, &spoken, colors);
            let mut hottest = by_number;
            hottest.sort_by(hottest_first);
            hottest.truncate(HOTTEST);
            ui.add_space(4.0);
            ui.label(RichText::new("The hottest").color(colors.text));
            gauges(ui, &hottest, Size::Small, state, time, &spoken, colors);
        }
    }
}

fn heading(ui: &mut egui::Ui, count: usize, settings: &Settings, colors: &Colors, actions: &mut Vec<Action>) {
    ui.horizontal(|ui| {
        ui.label(RichText::new("CPUs").heading().color(colors.text));
        ui.label(RichText::new(format!("{count}, averages over 60 s")).color(colors.weak));
        let mut hottest = settings.order == Order::Hottest;
        if ui.checkbox(&mut hottest, "hottest first").on_hover_text("key H").changed() {
            let order = if hottest { Order::Hottest } else { Order::Number };
            actions.push(Action::Set(Settings { order, ..*settings }));
        }
    });
}

fn gauges(
    ui: &mut egui::Ui,
    cpus: &[&Cpu],
    size: Size,
    state: &State,
    time: &Time,
    spoken: &dyn Fn(&Cpu) -> String,
    colors: &Colors,
) {
    // What has come since the display was frozen isn't shown.
    let (freshness, until) = (state.freshness(time.now), state.time(time.now));
    let (least, most, shape) = size.points();
    let places = grid(ui, cpus.len(), least..=most, shape);
    for (cpu, rect) in cpus.iter().zip(places) {
        let (name, field) = (cpu.name(), cpu.field());
        let gauge = Gauge {
            name: &name,
            percent: cpu.percent,
            level: state.settings.thresholds.level(cpu.percent),
            freshness,
            past: &state.history.tail(&field, until, PAST),
            extremes: state.history.extremes(&field, until),
            spoken: &spoken(cpu),
        };
        gauge::draw(ui, rect, size, &gauge, state.settings.thresholds, colors);
    }
}

/// Takes the room for `count` pictures: as wide as lets all of them be seen, within `widths`, and `shape` times as high.
pub fn grid(ui: &mut egui::Ui, count: usize, widths: RangeInclusive<f32>, shape: f32) -> Vec<Rect> {
    let room = vec2(ui.available_width(), ui.clip_rect().bottom() - ui.cursor().top());
    let (columns, width) = arrangement(count, room, &widths, shape);
    let size = vec2(width, (width * shape).floor());
    let rows = count.div_ceil(columns);
    let step = size + vec2(GAP, GAP);
    let (_, area) = ui.allocate_space(vec2(columns as f32 * step.x - GAP, rows as f32 * step.y - GAP));
    (0..count)
        .map(|index| {
            let place = vec2((index % columns) as f32 * step.x, (index / columns) as f32 * step.y);
            Rect::from_min_size(area.min + place, size)
        })
        .collect()
}

/// How many columns, and how wide: first of all such that all are in sight, or as many as can be; then as wide as can
/// be, but rather a little narrower than with a last row half empty.
fn arrangement(count: usize, room: Vec2, widths: &RangeInclusive<f32>, shape: f32) -> (usize, f32) {
    let most = (((room.x + GAP) / (widths.start() + GAP)) as usize).clamp(1, count.max(1));
    let width = |columns: usize| {
        let across = (room.x + GAP) / columns as f32 - GAP;
        let down = ((room.y + GAP) / count.div_ceil(columns) as f32 - GAP) / shape;
        across.min(down).clamp(*widths.start(), *widths.end()).min(across).floor()
    };
    let widest = (1..=most).map(width).fold(0.0, f32::max);
    let empty = |columns: usize| count.next_multiple_of(columns) - count;
    let over = |columns: usize, width: f32| {
        let step = (width * shape).floor() + GAP;
        (count.div_ceil(columns) as f32 * step - GAP - room.y).floor().max(0.0)
    };
    (1..=most)
        .map(|columns| (columns, width(columns)))
        .filter(|(_, width)| *width >= widest * 0.85)
        .min_by(|(a, wide), (b, wider)| {
            let in_sight = over(*a, *wide).total_cmp(&over(*b, *wider));
            in_sight.then(empty(*a).cmp(&empty(*b))).then(wider.total_cmp(wide)).then(b.cmp(a))
        })
        .unwrap_or((1, *widths.start()))
}

#[cfg(test)]
mod tests {
    use super::super::tiles::{SHAPE, WIDTHS};
    use super::*;

    #[test]
    fn whatever_can_be_in_sight_is() {
        let sizes = [Size::Large.points(), Size::Small.points(), (*WIDTHS.start(), *WIDTHS.end(), SHAPE)];
        for ((least, most, shape), room) in sizes.into_iter().flat_map(|size| ROOMS.map(|room| (size, room))) {
            let rows_in_sight = ((room.y + GAP) / ((least * shape).floor() + GAP)) as usize;
            for count in 1..=128 {
                let (columns, width) = arrangement(count, room, &(least..=most), shape);
                let rows = count.div_ceil(columns);
                let across = (((room.x + GAP) / (least + GAP)) as usize).clamp(1, count);
                let fits = count.div_ceil(across) <= rows_in_sight;
                let below = rows as f32 * ((width * shape).floor() + GAP) - GAP - room.y;
                let told = format!("{count} of {least} in {room}: {columns} of {across} columns, {below} below");
                assert!(width >= least.min(room.x).floor(), "{told}");
                assert_eq!(below < 1.0, fits, "{told}");
                assert!(fits || rows == count.div_ceil(across), "{told}");
            }
        }
    }

    /// What is left of windows of several sizes.
    const ROOMS: [Vec2; 4] = [vec2(1_160.0, 420.0), vec2(1_160.0, 300.0), vec2(700.0, 500.0), vec2(400.0, 120.0)];
}
