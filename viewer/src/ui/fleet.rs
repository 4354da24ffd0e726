//! The machines of a pattern as a list: searched, sorted, one opened at a click or by the keyboard. Only the rows in sight
//! are drawn.

mod columns;
mod row;

use std::sync::Arc;

use eframe::egui::{self, Key, Modifiers, Rect, RichText, TextEdit, vec2};

use super::theme::Colors;
use super::{Time, memo, sign};
use crate::model::{Level, Sorting};
use crate::state::{Action, List, State};
use columns::Columns;

/// How high a row is.
const ROW: f32 = 30.0;

/// How many rows a page of the keyboard has.
const PAGE: isize = 15;

/// Draws the page.
pub fn page(ui: &mut egui::Ui, state: &State, time: &Time, actions: &mut Vec<Action>) {
    let colors = Colors::of(ui, state.settings.palette);
    if state.fleet.is_empty() {
        nothing(ui, state, &colors, actions);
        return;
    }
    let list = &state.list;
    let key = (state.epoch(), state.fleet.revision(list.sorting), list.search.clone(), list.sorting);
    let names: Arc<Vec<String>> =
        memo::kept(ui.ctx(), egui::Id::unique("machines"), key, || state.fleet.listed(&list.search, list.sorting));
    let entered = controls(ui, state, time, names.len(), &colors, actions);
    let moved = choose(ui, list, &names, entered, actions);
    let columns = Columns::of(ui.available_rect_before_wrap());
    columns::headings(ui, &columns, list, &colors, actions);
    egui::ScrollArea::vertical().auto_shrink(false).show_viewport(ui, |ui, seen| {
        ui.set_height(ROW * names.len() as f32);
        let area = ui.max_rect();
        let place = |index: usize| {
            Rect::from_min_size(area.min + vec2(0.0, ROW * index as f32), vec2(area.width(), ROW))
                .shrink2(vec2(0.0, 1.0))
        };
        let first = (seen.min.y / ROW).max(0.0) as usize;
        let last = ((seen.max.y / ROW).ceil() as usize).min(names.len());
        for (index, name) in names.iter().enumerate().take(last).skip(first) {
            row::draw(ui, place(index), &columns, name, state, time, &colors, actions);
        }
        if let Some(index) = moved {
            ui.scroll_to_rect(place(index), None);
        }
    });
}

/// What is said where there is no machine yet.
fn nothing(ui: &mut egui::Ui, state: &State, colors: &Colors, actions: &mut Vec<Action>) {
    ui.add_space(ui.available_height() * 0.3);
    ui.vertical_centered(|ui| {
        let pattern = state.target.as_ref().map(|target| target.keys.output.as_str()).unwrap_or_default();
        ui.label(RichText::new(format!("No key {pattern:?} has been read yet.")).heading().color(colors.text));
        ui.add_space(8.0);
        if ui.button("Why not connected?").clicked() {
            actions.push(Action::Show(crate::state::View::Connection));
        }
    });
}

/// Draws what the list is searched for and how many machines there are; tells whether Enter was pressed in the field.
fn controls(
    ui: &mut egui::Ui,
    state: &State,
    time: &Time,
    listed: usize,
    colors: &Colors,
    actions: &mut Vec<Action>,
) -> bool {
    ui.horizontal_wrapped(|ui| {
        let label = ui.label(RichText::new("Search").color(colors.text));
        let mut search = state.list.search.clone();
        let field = TextEdit::singleline(&mut search).hint_text("part of a name (Ctrl+F)").desired_width(220.0);
        let field = ui.add(field).labelled_by(label.id);
        if field.changed() {
            actions.push(Action::List(List { search, chosen: None, ..state.list.clone() }));
        }
        if ui.input(|input| input.modifiers.command && input.key_down(Key::F)) {
            field.request_focus();
        }
        let all = state.fleet.len();
        let count = if listed == all { format!("{all} machines") } else { format!("{listed} of {all} machines") };
        ui.label(RichText::new(count).color(colors.text));
        let tally = state.fleet.tally(time.now, state.period(), state.settings.thresholds);
        for (level, count, word) in [
            (Some(Level::Critical), tally.critical, "critical"),
            (Some(Level::Warning), tally.warning, "warning"),
            (None, tally.late, "late"),
            (None, tally.stale, "stale"),
            (None, tally.unreadable, "can't be read"),
            (None, state.left_out(), "more aren't listed"),
        ] {
            if count == 0 {
                continue;
            }
            if let Some(level) = level {
                let (rect, _) = ui.allocate_exact_size(vec2(12.0, 14.0), egui::Sense::hover());
                sign::level(ui.painter(), rect.center(), 5.0, level, colors.level(level));
            }
            ui.label(RichText::new(format!("{count} {word}")).color(colors.weak));
        }
        field.lost_focus() && ui.input(|input| input.key_pressed(Key::Enter))
    })
    .inner
}

/// Moves the choice with the keyboard, and opens it; gives the row that it has moved to.
fn choose(ui: &egui::Ui, list: &List, names: &[String], entered: bool, actions: &mut Vec<Action>) -> Option<usize> {
    let typing = ui.ctx().text_edit_focused();
    // A row or a button that has the focus goes by egui's own keys.
    let focused = !typing && ui.memory(|memory| memory.focused().is_some());
    if names.is_empty() || focused && !entered {
        return None;
    }
    let chosen = list.chosen.as_ref().and_then(|chosen| names.iter().position(|name| name == chosen));
    let step = ui.input_mut(|input| {
        let keys = [(Key::ArrowDown, 1), (Key::ArrowUp, -1), (Key::PageDown, PAGE), (Key::PageUp, -PAGE)].into_iter();
        // In a text these two go to its ends.
        let ends = [(Key::Home, isize::MIN / 2), (Key::End, isize::MAX / 2)].into_iter().filter(|_| !typing);
        keys.chain(ends).find(|(key, _)| input.consume_key(Modifiers::NONE, *key)).map(|(_, step)| step)
    });
    if entered || !typing && ui.input_mut(|input| input.consume_key(Modifiers::NONE, Key::Enter)) {
        actions.extend(names.get(chosen.unwrap_or(0)).cloned().map(Action::OpenMachine));
        return None;
    }
    let last = names.len() - 1;
    let index = match chosen {
        Some(chosen) => chosen.saturating_add_signed(step?).min(last),
        None => {
            if step? > PAGE {
                last
            } else {
                0
            }
        }
    };
    actions.push(Action::List(List { chosen: Some(names[index].clone()), ..list.clone() }));
    Some(index)
}

/// The list in another order.
fn sorted(list: &List, sorting: Sorting) -> Action {
    Action::List(List { sorting, ..list.clone() })
}
