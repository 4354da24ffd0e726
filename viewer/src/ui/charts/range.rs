//! Which times are in sight, and the buttons that change that.

use eframe::egui;

use crate::state::{Action, Chart, State};
use crate::ui::Time;

/// The choices of a window, in seconds.
const WINDOWS: [(&str, f64); 4] = [("1 min", 60.0), ("10 min", 600.0), ("1 h", 3_600.0), ("all", f64::INFINITY)];

/// The narrowest and the widest that one can zoom to, in seconds.
const WIDTHS: std::ops::RangeInclusive<f64> = 2.0..=604_800.0;

/// The times in sight: from, to.
pub fn of(state: &State, time: &Time) -> (f64, f64) {
    let end = if state.chart.live { state.time(time.now).0 } else { state.chart.end };
    let whole = state.history.oldest().map_or(60.0, |oldest| (end - oldest.0).max(60.0));
    (end - state.chart.window.min(whole.max(60.0)).min(*WIDTHS.end()), end)
}

/// The same chart moved by so many seconds; it follows no more.
pub fn moved(state: &State, time: &Time, seconds: f64) -> Action {
    let (from, to) = of(state, time);
    Action::Chart(Chart { live: false, window: to - from, end: to + seconds, ..state.chart.clone() })
}

/// The same chart zoomed around `center`; one that follows goes on to.
pub fn zoomed(state: &State, time: &Time, factor: f64, center: f64) -> Action {
    let (from, to) = of(state, time);
    let window = ((to - from) / factor).clamp(*WIDTHS.start(), *WIDTHS.end());
    let end = if state.chart.live { to } else { center + (to - center) * window / (to - from) };
    Action::Chart(Chart { window, end, ..state.chart.clone() })
}

/// Draws the buttons.
pub fn bar(ui: &mut egui::Ui, state: &State, time: &Time, actions: &mut Vec<Action>) {
    ui.horizontal(|ui| {
        let live = ui.selectable_label(state.chart.live, "Live").on_hover_text("follow what comes (key L)");
        if live.clicked() {
            actions.push(Action::Chart(Chart { live: true, ..state.chart.clone() }));
        }
        for (words, window) in WINDOWS {
            if ui.selectable_label(state.chart.window == window, words).clicked() {
                actions.push(Action::Chart(Chart { window, live: true, ..state.chart.clone() }));
            }
        }
        let (from, to) = of(state, time);
        let width = to - from;
        let buttons = [
            ("<", "earlier", moved(state, time, -width / 3.0)),
            (">", "later", moved(state, time, width / 3.0)),
            ("+", "closer", zoomed(state, time, 1.5, (from + to) / 2.0)),
            ("-", "wider", zoomed(state, time, 1.0 / 1.5, (from + to) / 2.0)),
        ];
        for (sign, words, action) in buttons {
            let button = ui.button(sign).on_hover_text(words);
            button.widget_info(|| egui::WidgetInfo::labeled(egui::Role::Button, true, words));
            if button.clicked() {
                actions.push(action);
            }
        }
    });
}
