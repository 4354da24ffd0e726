//! The page of tables and trees.
#![allow(clippy::unwrap_used, reason = "a test may fail by a panic, in its helpers too")]

mod support;

use eframe::egui::{Key as Press, Modifiers, Role};
use egui_kittest::Harness;
use egui_kittest::kittest::{By, NodeT, Queryable};
use serde_json::{Map, Value, json};
use support::{Look, Scene, at, connected, look, window};
use viewer::model::Document;
use viewer::state::{Event, Found, Key, State, View};

fn data(change: impl FnOnce(&mut State)) -> Harness<'static, Scene> {
    let mut state = connected();
    state.view = View::Data;
    change(&mut state);
    let mut window = window(state, at(2.0), Look::default());
    window.run_steps(4);
    window
}

fn output(state: &mut State, value: &Value, at: f64) {
    look(state, Key::Output, value, at);
}

/// The rows of both tables, each as `name: value`.
fn rows(window: &Harness<'_, Scene>) -> Vec<String> {
    let labels = By::new().predicate(|node| node.role() == Role::Label);
    let words = window.query_all(labels).filter_map(|node| node.accesskit_node().value());
    words.filter(|words| words.contains(": ") && !words.starts_with("Search")).collect()
}

fn has(window: &Harness<'_, Scene>, words: &str) -> bool {
    window.query_all_by_label_contains(words).next().is_some()
}

fn unfold(window: &mut Harness<'_, Scene>, words: &str) {
    window.get_by_label_contains(words).click_accesskit();
    window.run_steps(4);
}

#[test]
fn fields_stand_in_the_order_in_which_one_counts() {
    let window = data(|state| output(state, &json!({"cpu10": 1.50, "cpu9": "a", "b": null}), 0.0));
    assert_eq!(rows(&window), ["b: null", "cpu9: \"a\"", "cpu10: 1.5"]);
    assert!(has(&window, "3 of 3 fields"));
}

#[test]
fn a_search_leaves_what_it_finds_in_names_and_values() {
    let mut window = data(|state| {
        output(state, &json!({"percent-memory-cache": 1, "state": "Cached", "other": 2}), 0.0);
        look(state, Key::Input, &json!({"virtual_memory-cached": 5, "x": 1}), 0.0);
        state.search = "CACHE".to_owned();
    });
    assert_eq!(rows(&window), ["percent-memory-cache: 1", "state: \"Cached\"", "virtual_memory-cached: 5"]);
    assert!(has(&window, "2 of 3 fields") && has(&window, "1 of 2 fields"));
    window.get_by_label("Clear").click();
    window.run_steps(4);
    assert_eq!(rows(&window).len(), 5);
}

#[test]
fn the_search_is_typed_after_its_key() {
    let mut window = data(|state| output(state, &json!({"a": 1, "b": 2}), 0.0));
    window.key_press_modifiers(Modifiers::COMMAND, Press::F);
    window.run_steps(4);
    window.event(eframe::egui::Event::Text("b".to_owned()));
    window.run_steps(4);
    assert_eq!(window.state().state.search, "b");
    assert_eq!(rows(&window), ["b: 2"]);
}

#[test]
fn what_changed_is_marked() {
    let window = data(|state| {
        output(state, &json!({"same": 1, "other": 1}), 0.0);
        output(state, &json!({"same": 1, "other": 2, "new": 3}), 1.0);
    });
    assert_eq!(window.query_all_by_label("changed").count(), 2);
}

#[test]
fn fields_that_the_viewer_does_not_know_are_shown_and_named_so() {
    let window = data(|state| {
        output(state, &json!({"percent-network-egress": 1, "queue": 7, "nested": {"a": 1}}), 0.0);
        look(state, Key::Input, &json!({"anything": 5}), 0.0);
    });
    assert!(rows(&window).contains(&"nested: {1 fields}".to_owned()));
    assert_eq!(window.query_all_by_label("unknown").count(), 2, "of the result only");
}

#[test]
fn what_the_key_holds_instead_is_said_above_the_last_good_value() {
    let nan = || Found::Unreadable(Document::read(b"{\"a\": NaN}").unwrap_err());
    let refused = || Found::Refused("the key holds a list".to_owned());
    for (found, words) in [(Found::Nothing, "isn't there"), (nan(), "NaN isn't JSON"), (refused(), "holds a list")] {
        let window = data(|state| {
            output(state, &json!({"a": 1}), 0.0);
            state.apply(Event::Look { key: Key::Output, found, at: viewer::model::Moment(1.0) });
        });
        assert!(has(&window, words), "{words}");
        assert!(has(&window, "last good value"), "{words}");
        assert_eq!(rows(&window).last().unwrap(), "a: 1");
    }
}

#[test]
fn ten_thousand_fields_are_drawn_and_found() {
    let fields: Map<String, Value> = (0..10_000).map(|field| (format!("field{field}"), json!(field))).collect();
    let mut window = data(|state| {
        output(state, &fields.into(), 0.0);
        look(state, Key::Input, &json!({"a": 1}), 0.0);
    });
    let seen = rows(&window);
    assert!(seen.len() < 100, "only what is in sight is drawn: {}", seen.len());
    assert_eq!(seen[..2], ["field0: 0", "field1: 1"]);
    window.state_mut().state.search = "field9999".to_owned();
    window.run_steps(4);
    assert_eq!(rows(&window), ["field9999: 9999"]);
}

#[test]
fn the_tree_stays_unfolded_while_values_come() {
    let value = |number: i32| json!({"deep": {"er": [number, {"leaf": number}]}, "timestamp": number});
    let mut window = data(|state| output(state, &value(1), 0.0));
    for folder in ["Whole JSON", "deep: {1 fields}", "er: [2 items]", "1: {1 fields}"] {
        // The table names the first of them as well.
        let role = By::new().predicate(move |node| {
            node.role() != Role::Label && node.label().is_some_and(|label| label.contains(folder))
        });
        window.get(role).click();
        window.run_steps(4);
    }
    assert!(has(&window, "leaf: 1"));
    output(&mut window.state_mut().state, &value(2), 1.0);
    window.run_steps(4);
    assert!(has(&window, "leaf: 2"));
}

#[test]
fn a_long_list_is_shown_in_pages() {
    let mut window = data(|state| output(state, &json!({"list": vec![7; 1_000]}), 0.0));
    unfold(&mut window, "Whole JSON");
    let list = By::new().predicate(|node| {
        node.role() != Role::Label && node.label().is_some_and(|label| label.contains("list: [1000"))
    });
    window.get(list).click();
    window.run_steps(4);
    assert!(has(&window, "199: 7") && !has(&window, "200: 7"));
    unfold(&mut window, "800 more");
    assert!(has(&window, "600 more"));
    assert!(has(&window, "399: 7"));
}

#[test]
fn a_search_unfolds_the_tree_to_what_it_finds() {
    let mut window = data(|state| output(state, &json!({"outer": {"inner": {"needle": 1, "hay": 2}}, "x": 3}), 0.0));
    unfold(&mut window, "Whole JSON");
    assert!(!has(&window, "needle"));
    window.state_mut().state.search = "needle".to_owned();
    window.run_steps(4);
    assert!(has(&window, "needle: 1") && !has(&window, "hay: 2"));
}

#[test]
fn a_name_of_megabytes_stops_nothing() {
    let name = format!("two\nlines{}", "x".repeat(5_000_000));
    let mut window = data(|state| output(state, &json!({ name.clone(): 1, "a": name }), 0.0));
    unfold(&mut window, "Whole JSON");
    for view in View::ALL {
        window.state_mut().state.view = view;
        window.run_steps(4);
        let labels = window.query_all(By::new().predicate(|node| node.label().is_some() || node.value().is_some()));
        let longest = labels.map(|node| node.accesskit_node().label().unwrap_or_default().len()).max();
        assert!(longest < Some(5_000), "{view:?}: {longest:?}");
    }
    window.state_mut().state.view = View::Data;
    window.run_steps(4);
    assert!(rows(&window)[1].starts_with("two linesxxx"), "in one line");
}

#[test]
fn a_value_of_megabytes_stops_nothing() {
    let value = json!({"text": "x".repeat(5_000_000), "list": vec![vec![1.5; 100]; 3_000]});
    let mut window = data(|state| output(state, &value, 0.0));
    unfold(&mut window, "Whole JSON");
    window.state_mut().state.search = "xxx".to_owned();
    window.run_steps(4);
    assert!(has(&window, "text: \"xxx"));
}
