//! How long one pass takes: drawing the state and cutting it into triangles, the rasteriser apart. A result comes before
//! each pass, as with one value a second; the history is full.

#![allow(missing_docs, reason = "a program, not a library")]

#[path = "../tests/support/mod.rs"]
mod support;

use std::time::{Duration, Instant};

use eframe::egui;
use support::{at, look, result, watching};
use viewer::state::{Key, View};
use viewer::ui;

/// Results before the first pass: two hours at one a second would be 7,200; a host keeps 720.
const TICKS: usize = 3_600;

/// Passes that are measured.
const PASSES: usize = 200;

fn main() {
    println!("median and 95th percentile of {PASSES} passes, 1180 x 820 points, {TICKS} results before");
    for cpus in [16, 64, 256] {
        for view in View::ALL {
            let mut times = measure(cpus, view);
            times.sort();
            let [median, p95] = [times[PASSES / 2], times[PASSES * 95 / 100]].map(|time| time.as_secs_f64() * 1e3);
            println!("{cpus:>4} CPUs  {:<10}  {median:6.2} ms  {p95:6.2} ms", ui::name(view));
        }
    }
}

fn measure(cpus: usize, view: View) -> Vec<Duration> {
    let ctx = egui::Context::default();
    ui::install(&ctx);
    let mut state = watching(cpus, TICKS);
    state.view = view;
    let mut times = Vec::new();
    for pass in 0..PASSES + 20 {
        let seconds = (pass + 1) as f64 * 5.0;
        look(&mut state, Key::Output, &result(cpus, TICKS + pass), seconds);
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
