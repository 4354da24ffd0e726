//! The stretch of time in sight: it follows what comes, or stays where the user has put it.

use eframe::egui;

use super::super::Time;
use super::Told;
use crate::model::Moment;
use crate::state::{Chart, State};

/// The shortest stretch, in seconds.
const SHORTEST: f64 = 2.0;

/// The windows that can be chosen: seconds and words. The last holds all that is kept.
const WINDOWS: [(f64, &str); 4] = [(60.0, "1 min"), (600.0, "10 min"), (3_600.0, "1 h"), (f64::INFINITY, "all kept")];

/// A stretch of time, in seconds as in [`Moment`].
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Span {
    /// Its start.
    pub from: f64,
    /// Its end.
    pub to: f64,
}

impl Span {
    /// What is in sight now.
    pub fn shown(state: &State, now: Moment) -> Span {
        let to = if state.chart.live { now.0 } else { state.chart.end };
        Span { from: to - window(state, now), to }
    }

    /// The same as a choice that doesn't follow.
    pub fn held(self, state: &State) -> Chart {
        Chart { live: false, window: self.length(), end: self.to, ..state.chart.clone() }
    }

    /// In seconds.
    pub fn length(self) -> f64 {
        self.to - self.from
    }

    /// The same, `seconds` later, as far as something of what is kept stays in sight.
    pub fn moved(self, seconds: f64, state: &State, now: Moment) -> Span {
        let slack = self.length() * 0.9;
        let first = state.history.oldest().unwrap_or(now).0.min(now.0 - SHORTEST);
        let from = (self.from + seconds).clamp(first - slack, (now.0 - self.length() + slack).max(first - slack));
        Span { from, to: from + self.length() }
    }

    /// `factor` times as long, with `around` where it is.
    pub fn zoomed(self, factor: f64, around: f64, state: &State, now: Moment) -> Span {
        let factor = factor.clamp(SHORTEST / self.length(), (longest(state, now) / self.length()).max(1.0));
        let span = Span { from: around - (around - self.from) * factor, to: around + (self.to - around) * factor };
        span.moved(0.0, state, now)
    }

    /// In words: `last 10 min`, `10:00:00 to 10:05:00`.
    pub fn words(self, state: &State, time: &Time) -> String {
        if !state.chart.live {
            return format!("{} to {}", time.of_day(Moment(self.from)), time.of_day(Moment(self.to)));
        }
        match WINDOWS.iter().find(|(seconds, _)| *seconds == state.chart.window) {
            Some((seconds, words)) if seconds.is_finite() => format!("last {words}"),
            Some(_) => "all that is kept".to_owned(),
            None => format!("last {}", super::super::ago(self.length())),
        }
    }
}

/// The choice of what is in sight, also for those who use the keyboard.
pub fn toolbar(ui: &mut egui::Ui, state: &State, told: &mut Told) {
    let live = state.chart.live;
    let follow = |window| Chart { live: true, window, ..state.chart.clone() };
    let button = ui.selectable_label(live, "Live").on_hover_text("Follow what comes (L)");
    if button.clicked() {
        told.chart = Some(follow(state.chart.window));
    }
    ui.separator();
    for (seconds, words) in WINDOWS {
        if ui.selectable_label(live && state.chart.window == seconds, words).clicked() {
            told.chart = Some(follow(seconds));
        }
    }
}

/// The steps along the time.
pub fn steps(ui: &mut egui::Ui, state: &State, span: Span, now: Moment, told: &mut Told) {
    let quarter = span.length() / 4.0;
    for (words, seconds) in [("Earlier", -quarter), ("Later", quarter)] {
        if ui.button(words).clicked() {
            told.span = Some(span.moved(seconds, state, now));
        }
    }
    for (words, factor) in [("Zoom in", 0.5), ("Zoom out", 2.0)] {
        if ui.button(words).clicked() {
            zoom(state, span, factor, now, told);
        }
    }
}

/// Zooms without a place to zoom at: what is live stays so, with another window.
pub fn zoom(state: &State, span: Span, factor: f64, now: Moment, told: &mut Told) {
    if state.chart.live {
        let window = (span.length() * factor).clamp(SHORTEST, longest(state, now));
        told.chart = Some(Chart { window, ..state.chart.clone() });
    } else {
        told.span = Some(span.zoomed(factor, (span.from + span.to) / 2.0, state, now));
    }
}

fn window(state: &State, now: Moment) -> f64 {
    let chosen = state.chart.window;
    if chosen.is_finite() { chosen.max(SHORTEST) } else { kept(state, now).max(SHORTEST) }
}

/// Seconds since the oldest sample; an hour at least, so that a short past can be looked at from afar.
fn longest(state: &State, now: Moment) -> f64 {
    kept(state, now).max(3_600.0)
}

fn kept(state: &State, now: Moment) -> f64 {
    state.history.oldest().map_or(0.0, |oldest| now - oldest)
}
