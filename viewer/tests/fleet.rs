//! The list of machines without a mouse and without eyes, and the way into one of them and back.
#![allow(clippy::unwrap_used, reason = "a test may fail by a panic, in its helpers too")]

mod support;

use eframe::egui::{Key, Modifiers, Role};
use egui_kittest::Harness;
use egui_kittest::kittest::{NodeT, Queryable};
use support::{Look, Scene, at, document, machine, machines, result, window};
use viewer::model::{Column, Figures, Moment, Sight, Sorting};
use viewer::profile::{Profile, Secret};
use viewer::state::{Action, Event, Follow, Found, Phase, State, View};

fn open(state: State) -> Harness<'static, Scene> {
    let mut window = window(state, at(2.0), Look::default());
    window.run_steps(3);
    window
}

fn press(window: &mut Harness<'static, Scene>, key: Key) {
    window.key_press(key);
    window.run_steps(3);
}

fn click(window: &mut Harness<'static, Scene>, label: &str) {
    window.get_by_role_and_label(Role::Button, label).click();
    window.run_steps(3);
}

fn rows(window: &Harness<'static, Scene>) -> Vec<String> {
    let buttons = window.query_all_by_role(Role::Button).filter_map(|node| node.accesskit_node().label());
    buttons.filter(|label| label.contains("hottest CPU")).collect()
}

fn opened<'a>(window: &'a Harness<'static, Scene>) -> Option<&'a str> {
    window.state().state.machine()
}

#[test]
fn each_machine_is_named_with_figures_level_and_age() {
    let mut state = machines(3);
    let mut value = result(2, 50);
    value["avg-util-cpu0-60sec"] = serde_json::json!(65.5);
    value["avg-util-cpu1-60sec"] = serde_json::json!(34.5);
    let figures = Figures::of(&document(&value));
    let seen = [
        ("db-9".to_owned(), (Sight::Written(Ok(figures)), Moment(0.0))),
        ("odd".to_owned(), (Sight::Found(Err("the value isn't JSON".to_owned())), Moment(0.0))),
    ];
    state.apply(Event::Machines(seen.into()));
    let window = open(state);
    let name = "db-9, mean 50.0 %, hottest CPU 65.5 %, egress 20.0 %, cache 15.6 %, warning, 2 s old";
    window.get_by_role_and_label(Role::Button, name);
    window.get_by_role_and_label(Role::Button, "odd, the value isn't JSON, no value yet");
    window.get_by_label("5 machines");
    window.get_by_label("1 can't be read");
    window.get_by_role_and_label(Role::Button, "Connection: live");
}

#[test]
fn keys_choose_open_and_go_back() {
    let mut window = open(machines(12));
    let first = "cache-1".to_owned();
    press(&mut window, Key::ArrowDown);
    assert_eq!(window.state().state.list.chosen, Some(first));
    press(&mut window, Key::ArrowDown);
    press(&mut window, Key::ArrowDown);
    press(&mut window, Key::ArrowUp);
    press(&mut window, Key::Enter);
    assert_eq!(opened(&window), Some("cache-2"));
    press(&mut window, Key::Num3);
    assert_eq!(window.state().state.view, View::Data);
    press(&mut window, Key::Escape);
    assert_eq!((opened(&window), window.state().state.list.chosen.as_deref()), (None, Some("cache-2")));
    press(&mut window, Key::End);
    press(&mut window, Key::Enter);
    assert_eq!(opened(&window), Some("web-4"));
}

#[test]
fn a_click_opens_and_a_button_leads_back() {
    let mut window = open(machines(3));
    let row = rows(&window).remove(0);
    click(&mut window, &row);
    assert_eq!(opened(&window), Some("cache-1"));
    assert!(rows(&window).is_empty());
    window.get_by_label("cache-1");
    click(&mut window, "Machines");
    assert_eq!(rows(&window).len(), 3);
}

#[test]
fn names_are_sought_and_enter_opens_the_first() {
    let mut window = open(machines(30));
    window.key_press_modifiers(Modifiers::COMMAND, Key::F);
    window.run_steps(3);
    window.get_by_role_and_label(Role::TextInput, "Search").type_text("DB-1");
    window.run_steps(3);
    window.get_by_label("2 of 30 machines");
    assert_eq!(rows(&window).len(), 2);
    press(&mut window, Key::ArrowDown);
    press(&mut window, Key::ArrowDown);
    press(&mut window, Key::Enter);
    assert_eq!(opened(&window), Some("db-10"));
}

#[test]
fn headings_sort_and_sort_the_other_way_round() {
    let mut window = open(machines(12));
    let hottest = |window: &Harness<'static, Scene>| -> Vec<f64> {
        let figure =
            |row: &String| row.split("hottest CPU ").nth(1).unwrap().split(' ').next().unwrap().parse().unwrap();
        let mut rows: Vec<(i32, f64)> = window
            .query_all_by_role(Role::Button)
            .filter_map(|node| Some((node.rect().top() as i32, node.accesskit_node().label()?)))
            .filter(|(_, label)| label.contains("hottest CPU"))
            .map(|(top, label)| (top, figure(&label)))
            .collect();
        rows.sort_by_key(|(top, _)| *top);
        rows.into_iter().map(|(_, percent)| percent).collect()
    };
    click(&mut window, "Sort by hottest");
    assert!(hottest(&window).is_sorted_by(|a, b| a >= b), "{:?}", hottest(&window));
    click(&mut window, "Sort by hottest");
    assert!(hottest(&window).is_sorted(), "{:?}", hottest(&window));
    press(&mut window, Key::Tab);
    let list = &window.state().state.list;
    assert_eq!(list.sorting, Sorting { column: Column::Hottest, reversed: true });
}

#[test]
fn of_a_thousand_machines_only_those_in_sight_are_drawn() {
    let mut window = open(machines(1_000));
    assert!((10..40).contains(&rows(&window).len()), "{}", rows(&window).len());
    press(&mut window, Key::End);
    let last = machine(999);
    assert!(rows(&window).iter().any(|row| row.starts_with(&format!("{last},"))), "{last}: {:?}", rows(&window));
}

#[test]
fn another_fleet_s_machines_are_listed_and_another_machine_s_lines_are_drawn() {
    let mut window = open(machines(3));
    assert!(rows(&window)[0].starts_with("cache-1,"));
    let state = &mut window.state_mut().state;
    let profile = Profile { output_key: "other:*".to_owned(), ..state.target.clone().unwrap().profile };
    state.watch(profile.target(Secret::None).unwrap());
    state.apply(Event::Phase(Phase::Live(Follow::Push)));
    // As many changes as there were before.
    for tick in 0..40 {
        let seen = [10, 11, 12].map(|number| {
            let figures = Figures::of(&document(&result(2, tick + number)));
            (format!("other-{number}"), (Sight::Written(Ok(figures)), Moment(tick as f64 - 39.0)))
        });
        state.apply(Event::Machines(seen.into()));
    }
    window.run_steps(3);
    let listed: Vec<String> = rows(&window).iter().map(|row| row.split(',').next().unwrap().to_owned()).collect();
    assert_eq!(listed, ["other-10", "other-11", "other-12"]);

    let mut open_with = |name: &str, cpus: usize| {
        let state = &mut window.state_mut().state;
        state.act(Action::CloseMachine, Moment(2.0));
        state.act(Action::OpenMachine(name.to_owned()), Moment(2.0));
        state.apply(Event::Opened(Some(format!("other:{name}"))));
        let past = (0..20).map(|tick| (Moment(tick as f64 - 20.0), document(&result(cpus, tick)))).collect();
        state.apply(Event::Past(past));
        state.view = View::History;
        window.run_steps(3);
        window.query_all_by_label_contains("History of 4 CPUs").count()
    };
    assert_eq!((open_with("other-10", 2), open_with("other-11", 4)), (0, 1));
}

#[test]
fn what_is_told_of_another_machine_is_not_shown_as_the_opened_ones() {
    let mut state = machines(3);
    let look = |state: &mut State, tick: usize| support::look(state, viewer::state::Key::Output, &result(4, tick), 1.0);
    look(&mut state, 1);
    assert!(state.shown().output.document.is_none(), "no machine is opened");
    assert_eq!(state.act(Action::OpenMachine("web-1".to_owned()), Moment(1.0)).len(), 1);
    state.apply(Event::Opened(Some("report:db-1".to_owned())));
    look(&mut state, 2);
    assert!(state.shown().output.document.is_none(), "the machine that was opened before");
    state.apply(Event::Opened(Some("report:web-1".to_owned())));
    look(&mut state, 3);
    assert!(matches!(&state.shown().output.found, Some(Found::Document(_))));
    state.act(Action::CloseMachine, Moment(2.0));
    look(&mut state, 4);
    assert!(state.lists_machines() && state.shown().output.document.is_none() && state.history.is_empty());
    assert!(state.shown().host.is_some(), "the host is the same one");
}

#[test]
fn a_machine_that_can_have_no_companion_keys_is_refused_with_the_reason() {
    let mut state = machines(1);
    assert!(state.act(Action::OpenMachine("a}b".to_owned()), Moment(0.0)).is_empty());
    assert!(state.lists_machines() && state.notice(Moment(0.5)).unwrap().contains("'}'"));
}
