//! What the keyboard does; the help shows the same list.

use eframe::egui::{self, Key, KeyboardShortcut, Modifiers};

use crate::model::{Column, Sorting};
use crate::state::{Action, Chart, List, Order, Over, Settings, State, View};

/// A key, and what it does in words.
pub const LIST: [(&str, &str); 14] = [
    ("1 2 3 4", "Overview, History, Data, Connection"),
    ("space", "freeze what is shown, or go on"),
    ("L", "history: follow what comes"),
    ("H", "hottest first, or by number or name"),
    ("Up, Down, Enter", "machines: choose one, open it"),
    ("F5", "connect again now, also after a recording"),
    ("Ctrl+F", "search the data, or the machines"),
    ("Ctrl+E", "export"),
    ("Ctrl+comma", "settings"),
    ("Ctrl+plus, Ctrl+minus, Ctrl+0", "larger, smaller, as it was"),
    ("Tab, Shift+Tab, Enter", "go to the next or last, press it"),
    ("F1", "this list"),
    ("Escape", "close what lies over the page, go back to all machines"),
    ("Ctrl+Q", "end"),
];

/// Reads the keys; those that type text count only where no text is being typed.
pub fn read(ctx: &egui::Context, state: &State, actions: &mut Vec<Action>) {
    let command = |key| KeyboardShortcut::new(Modifiers::COMMAND, key);
    let typing = ctx.text_edit_focused();
    // Space and Enter press the button that has the focus.
    let focused = ctx.memory(|memory| memory.focused().is_some());
    ctx.input_mut(|input| {
        let mut on = |shortcut: KeyboardShortcut, action: Action| {
            if input.consume_shortcut(&shortcut) {
                actions.push(action);
            }
        };
        let lists = state.lists_machines();
        if state.view != View::Data && !lists {
            on(command(Key::F), Action::Show(View::Data));
        }
        if !lists {
            on(command(Key::E), Action::Toggle(Over::Export));
        }
        on(command(Key::Comma), Action::Toggle(Over::Settings));
        on(KeyboardShortcut::new(Modifiers::NONE, Key::F1), Action::Toggle(Over::Help));
        // Where a recording was all there was, there is nothing to go back to.
        if !state.is_replaying() || !state.form.profile.place().is_empty() {
            on(KeyboardShortcut::new(Modifiers::NONE, Key::F5), Action::Retry);
        }
        if state.over.is_some() {
            on(KeyboardShortcut::new(Modifiers::NONE, Key::Escape), Action::Dismiss);
        }
        if typing || state.over == Some(Over::Export) {
            return;
        }
        if state.machine().is_some() {
            on(KeyboardShortcut::new(Modifiers::NONE, Key::Escape), Action::CloseMachine);
        }
        for (key, view) in [Key::Num1, Key::Num2, Key::Num3, Key::Num4].into_iter().zip(View::ALL) {
            on(KeyboardShortcut::new(Modifiers::NONE, key), Action::Show(view));
        }
        if !focused && !lists {
            on(KeyboardShortcut::new(Modifiers::NONE, Key::Space), Action::ToggleFreeze);
        }
        let live = Chart { live: true, ..state.chart.clone() };
        on(KeyboardShortcut::new(Modifiers::NONE, Key::L), Action::Chart(live));
        if lists {
            let by_name = state.list.sorting.column == Column::Name;
            let column = if by_name { Column::Hottest } else { Column::Name };
            let sorting = Sorting { column, reversed: false };
            on(KeyboardShortcut::new(Modifiers::NONE, Key::H), Action::List(List { sorting, ..state.list.clone() }));
            return;
        }
        let order = if state.settings.order == Order::Hottest { Order::Number } else { Order::Hottest };
        let settings = Settings { order, ..state.settings };
        on(KeyboardShortcut::new(Modifiers::NONE, Key::H), Action::Set(settings));
    });
    if ctx.input_mut(|input| input.consume_shortcut(&command(Key::Q))) {
        ctx.send_viewport_cmd(egui::ViewportCommand::Close);
    }
}
