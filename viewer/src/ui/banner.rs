//! What is wrong, in a sentence below the top bar; nothing where nothing is.

use eframe::egui::{self, RichText, vec2};

use super::theme::Colors;
use super::{Time, sign, theme};
use crate::model::{HostStatus, Level};
use crate::state::{Action, Phase, Progress, State, View};

/// The most of a sentence that is shown here; the whole stands on the page Connection.
const LONGEST: usize = 220;

/// Draws the banner.
pub fn draw(ui: &mut egui::Ui, state: &State, time: &Time, actions: &mut Vec<Action>) {
    let colors = Colors::of(ui, state.settings.palette);
    let notice = state.notice(time.now).map(|words| (Level::Normal, words.to_owned()));
    let host = state.shown().host.as_ref().and_then(HostStatus::not_running);
    let lines: Vec<(Level, String)> = fault(state).into_iter().chain(host).chain(notice).collect();
    if lines.is_empty() {
        return;
    }
    egui::Panel::top("banner").frame(theme::strip(ui)).show(ui, |ui| {
        for (level, words) in lines {
            ui.horizontal(|ui| {
                let (rect, _) = ui.allocate_exact_size(vec2(16.0, 16.0), egui::Sense::hover());
                sign::level(ui.painter(), rect.center(), 6.0, level, colors.level(level));
                if level != Level::Normal && state.view != View::Connection && ui.small_button("Why?").clicked() {
                    actions.push(Action::Show(View::Connection));
                }
                if matches!(state.phase, Phase::Retrying { .. } | Phase::NeedsYou)
                    && level == Level::Critical
                    && ui.small_button("Try again").on_hover_text("F5").clicked()
                {
                    actions.push(Action::Retry);
                }
                ui.add(egui::Label::new(RichText::new(shortened(&words)).color(colors.text)).wrap());
            });
        }
    });
}

/// The first step that failed.
fn fault(state: &State) -> Option<(Level, String)> {
    let level = if matches!(state.phase, Phase::Live(_)) { Level::Warning } else { Level::Critical };
    state.steps().into_iter().find_map(|(_, progress)| match progress {
        Progress::Failed { why, .. } => Some((level, why)),
        _ => None,
    })
}

fn shortened(words: &str) -> String {
    match words.char_indices().nth(LONGEST) {
        Some((end, _)) => format!("{}…", &words[..end]),
        None => words.to_owned(),
    }
}
