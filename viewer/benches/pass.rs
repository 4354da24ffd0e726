//! How long one pass takes: drawing the state and cutting it into triangles, the rasteriser apart. A result comes before
//! each pass, as with one value a second; the history is full.

#![allow(missing_docs, reason = "a program, not a library")]

#[path = "../tests/support/mod.rs"]
mod support;

use std::time::{Duration, Instant};

use eframe::egui;
use support::{at, document, look, machine, machines, result, watching};
use viewer::model::{Column, Figures, Moment, Sight, Sorting};
use viewer::state::{Event, Key, State, View};
use viewer::ui;

/// Results before the first pass: two hours at one a second would be 7,200; a host keeps 720.
const TICKS: usize = 3_600;

/// Passes that are measured.
const PASSES: usize = 200;

fn main() {
    println!("median and 95th percentile of {PASSES} passes, 1180 x 820 points, {TICKS} results before");
    for cpus in [16, 64, 256] {
        for view in View::ALL {
            tell(&format!("{cpus:>4} CPUs  {}", ui::name(view)), of_cpus(cpus, |state| state.view = view));
        }
        tell(&format!("{cpus:>4} CPUs  History, all kept"), of_cpus(cpus, everything));
    }
    for count in [100, 1_000, 10_000] {
        tell(&format!("{count:>5} machines"), of_machines(count));
    }
}

fn tell(what: &str, mut times: Vec<Duration>) {
    times.sort();
    let [median, p95] = [times[PASSES / 2], times[PASSES * 95 / 100]].map(|time| time.as_secs_f64() * 1e3);
    println!("{what:<28}  {median:6.2} ms  {p95:6.2} ms");
}

/// All lines of all results that are kept.
fn everything(state: &mut State) {
    state.view = View::History;
    state.chart.window = f64::INFINITY;
}

/// Every machine of a pattern has a new result before each pass, and they are listed by their hottest CPU.
fn of_machines(count: usize) -> Vec<Duration> {
    let mut state = machines(count);
    state.list.sorting = Sorting { column: Column::Hottest, reversed: false };
    let figures: Vec<Figures> = (0..97).map(|tick| Figures::of(&document(&result(16, tick)))).collect();
    measure(state, |state, pass, seconds| {
        let seen = (0..count).map(|number| {
            let sight = Sight::Written(Ok(figures[(number + pass) % figures.len()]));
            (machine(number), (sight, Moment(seconds)))
        });
        state.apply(Event::Machines(seen.collect()));
    })
}

fn of_cpus(cpus: usize, look_at: impl FnOnce(&mut State)) -> Vec<Duration> {
    let mut state = watching(cpus, TICKS);
    look_at(&mut state);
    measure(state, |state, pass, seconds| look(state, Key::Output, &result(cpus, TICKS + pass), seconds))
}

fn measure(mut state: State, mut comes: impl FnMut(&mut State, usize, f64)) -> Vec<Duration> {
    let ctx = egui::Context::default();
    ui::install(&ctx);
    let mut times = Vec::new();
    for pass in 0..PASSES + 20 {
        let seconds = (pass + 1) as f64 * 5.0;
        comes(&mut state, pass, seconds);
        let input = egui::RawInput {
            screen_rect: Some(egui::Rect::from_min_size(egui::Pos2::ZERO, egui::vec2(1180.0, 820.0))),
            time: Some(seconds),
            ..egui::RawInput::default()
        };
        let time = at(seconds);
        let started = Instant::now();
        let mut output = ctx.run_ui(input, |ui| {
            ui::draw(ui, &state, &time);
        });
        let triangles = ctx.tessellate(output.shapes, output.pixels_per_point);
        let took = started.elapsed();
        assert!(!triangles.is_empty());
        // The first passes lay out fonts and sizes.
        if pass >= 20 {
            times.push(took);
        }
        output.textures_delta.clear();
    }
    times
}
