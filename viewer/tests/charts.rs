//! The history's plots, as one reads them with a screen reader and moves them with pointer and keys.
#![allow(clippy::unwrap_used, reason = "a test may fail by a panic, in its helpers too")]

mod support;

use std::collections::BTreeSet;

use eframe::egui::{self, Key, Modifiers, Role};
use egui_kittest::Harness;
use egui_kittest::kittest::{By, NodeT, Queryable};
use support::{Look, Scene, at, connected, look, result, watching, window};
use viewer::model::Moment;
use viewer::state::{Action, Chart, Event, Key as StoreKey, Phase, State, View};

fn history(cpus: usize, change: impl FnOnce(&mut State)) -> Harness<'static, Scene> {
    let mut state = watching(cpus, 60);
    state.view = View::History;
    change(&mut state);
    let mut window = window(state, at(2.0), Look::default());
    window.run();
    window
}

fn chart(window: &Harness<'_, Scene>) -> Chart {
    window.state().state.chart.clone()
}

/// What a plot says of itself.
fn plot(window: &Harness<'_, Scene>, of: &str) -> String {
    let start = format!("History of {of}, ");
    window.get_by(|node| node.label().is_some_and(|label| label.starts_with(&start))).accesskit_node().label().unwrap()
}

fn center(window: &Harness<'_, Scene>, of: &str) -> egui::Pos2 {
    let start = format!("History of {of}, ");
    window.get_by(|node| node.label().is_some_and(|label| label.starts_with(&start))).rect().center()
}

#[test]
fn a_plot_tells_what_it_shows() {
    let one = history(1, |_| {});
    assert_eq!(plot(&one, "1 CPUs"), "History of 1 CPUs, last 10 min, newest 4.84 %");
    let many = history(64, |_| {});
    let words = plot(&many, "64 CPUs");
    assert!(words.contains("newest mean 43.81 %, greatest 99.50 %"), "{words}");
    assert!(
        plot(&many, "network egress and memory cache").contains("newest Network egress 29.00 %, Memory cache 15.62 %")
    );
    assert!(plot(&many, "num_cpus_monitored").ends_with("newest 64"));
}

#[test]
fn a_value_that_is_long_ago_is_no_newest_value() {
    let mut window = history(2, |_| {});
    window.state_mut().time = at(60.0);
    window.run();
    assert!(plot(&window, "2 CPUs").ends_with("no newest value"));
}

#[test]
fn live_follows_again() {
    let mut window = history(2, |state| state.chart = Chart { live: false, end: -100.0, ..Chart::default() });
    assert!(plot(&window, "2 CPUs").contains("10:18:20 to 10:28:20"));
    window.get_by_label("Live").click();
    window.run();
    assert!(chart(&window).live);
    assert!(plot(&window, "2 CPUs").contains("last 10 min"));
}

#[test]
fn a_window_can_be_chosen() {
    let mut window = history(2, |_| {});
    window.get_by_label("1 min").click();
    window.run();
    assert_eq!((chart(&window).live, chart(&window).window), (true, 60.0));
    window.get_by_label("all kept").click();
    window.run();
    assert!(plot(&window, "2 CPUs").contains("all that is kept"));
}

#[test]
fn dragging_a_plot_stops_it_and_moves_all_of_them() {
    let mut window = history(2, |_| {});
    let from = center(&window, "2 CPUs");
    window.drag_at(from);
    window.run();
    window.hover_at(from + egui::vec2(100.0, 0.0));
    window.run();
    window.drop_at(from + egui::vec2(100.0, 0.0));
    window.run();
    let moved = chart(&window);
    assert!(!moved.live && moved.end < 0.0, "{moved:?}");
    assert_eq!(moved.window, 600.0);
    let times = |title| plot(&window, title).split(", ").nth(1).unwrap().to_owned();
    assert_eq!(times("2 CPUs"), times("network egress and memory cache"));
}

#[test]
fn buttons_step_along_the_time() {
    let mut window = history(2, |_| {});
    window.get_by_label("Zoom in").click();
    window.run();
    assert_eq!((chart(&window).live, chart(&window).window), (true, 300.0));
    window.get_by_label("Earlier").click();
    window.run();
    assert_eq!((chart(&window).live, chart(&window).end), (false, 2.0 - 75.0));
    window.get_by_label("Zoom out").click();
    window.run();
    assert_eq!(chart(&window).window, 600.0);
}

#[test]
fn a_plot_with_the_focus_is_moved_by_keys() {
    let mut window = history(2, |_| {});
    window.get_by(|node| node.label().is_some_and(|label| label.starts_with("History of 2 CPUs"))).focus();
    window.run();
    window.key_press(Key::ArrowLeft);
    window.run();
    assert_eq!((chart(&window).live, chart(&window).end), (false, 2.0 - 60.0));
    window.key_press(Key::Plus);
    window.run();
    assert_eq!(chart(&window).window, 300.0);
    window.key_press(Key::End);
    window.run();
    assert!(chart(&window).live);
}

#[test]
fn a_name_hides_its_line_and_shows_it_again() {
    let mut window = history(2, |_| {});
    let name = |window: &Harness<'_, Scene>| {
        let node = window.get_by(|node| node.label().is_some_and(|label| label.starts_with("CPU 1, ")));
        assert_eq!(node.accesskit_node().label().unwrap(), "CPU 1, 50.61 %");
        node.click();
        node.accesskit_node().toggled()
    };
    let before = name(&window);
    window.run();
    assert_eq!(chart(&window).hidden, BTreeSet::from(["avg-util-cpu1-60sec".to_owned()]));
    let hidden = name(&window);
    assert_ne!(before, hidden);
    window.run();
    assert!(chart(&window).hidden.is_empty());
}

#[test]
fn all_lines_of_a_plot_can_be_hidden_at_once() {
    let mut window = history(8, |state| state.chart.hidden = BTreeSet::from(["percent-memory-cache".to_owned()]));
    window.get_by_label("Hide all").click();
    window.run();
    assert_eq!(chart(&window).hidden.len(), 9);
    window.get_by_label("Show all").click();
    window.run();
    assert_eq!(chart(&window).hidden.len(), 1, "what other plots hide stays hidden");
}

#[test]
fn the_cursor_tells_the_values_of_its_time() {
    let mut window = history(64, |_| {});
    let middle = center(&window, "64 CPUs");
    window.hover_at(middle);
    window.run();
    assert!(window.query_by_label("10:25:02").is_some());
    assert!(window.query_by_label("no data").is_some(), "the first result came later");
    window.hover_at(middle + egui::vec2(150.0, 0.0));
    window.run();
    assert!(window.query_by_label("Mean of CPUs").is_some());
    assert!(window.query_by_label("Hottest CPU").is_some());
    let cpus =
        window.query_all(By::new().predicate(|node| {
            node.role() == Role::Label && node.value().is_some_and(|value| value.starts_with("CPU "))
        }));
    assert!((3..=4).contains(&cpus.count()), "the three hottest, and the one under the pointer");
}

#[test]
fn a_frozen_display_holds_its_plots_too() {
    let mut window = history(2, |_| {});
    window.key_press_modifiers(Modifiers::NONE, Key::Space);
    window.run();
    let before = plot(&window, "2 CPUs");
    look(&mut window.state_mut().state, StoreKey::Output, &result(2, 99), 5.0);
    window.state_mut().time = at(300.0);
    window.run();
    assert_eq!(plot(&window, "2 CPUs"), before);
}

#[test]
fn nothing_is_drawn_of_nothing() {
    let mut state = connected();
    state.view = View::History;
    let mut window = window(state, at(2.0), Look::default());
    window.run();
    assert!(window.query_by_label_contains("no results yet").is_some());
}

#[test]
fn a_history_with_gaps_and_thousands_of_fields_is_drawn() {
    let mut state = connected();
    state.view = View::History;
    for tick in 0..30 {
        let fields: serde_json::Map<String, serde_json::Value> =
            (0..10_000).map(|field| (format!("f{field}"), serde_json::json!(field * tick))).collect();
        look(&mut state, StoreKey::Output, &fields.into(), f64::from(tick) * if tick > 20 { 50.0 } else { 5.0 });
    }
    state.apply(Event::Phase(Phase::Retrying { at: Moment(1e6) }));
    let mut window = window(state, at(2_000.0), Look::default());
    window.run();
    window.get_by_label("all kept").click();
    window.run();
    assert!(window.state().actions.iter().any(|action| matches!(action, Action::Chart(_))));
    assert!(window.query_by_label_contains("History of f0").is_some());
}
