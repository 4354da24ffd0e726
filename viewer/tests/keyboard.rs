//! The window without a mouse and without eyes: keys, and the names that a screen reader finds.
#![allow(clippy::unwrap_used, reason = "a test may fail by a panic, in its helpers too")]

mod support;

use eframe::egui::{Key, Modifiers, Role};
use egui_kittest::Harness;
use egui_kittest::kittest::{NodeT, Queryable};
use serde_json::json;
use support::{Look, Scene, at, look, result, watching, window};
use viewer::state::{Action, Order, Over, View};

fn open(cpus: usize) -> Harness<'static, Scene> {
    let mut window = window(watching(cpus, 30), at(2.0), Look::default());
    window.run_steps(3);
    window
}

fn press(window: &mut Harness<'static, Scene>, key: Key) {
    window.key_press(key);
    window.run_steps(3);
}

fn press_command(window: &mut Harness<'static, Scene>, key: Key) {
    window.key_press_modifiers(Modifiers::COMMAND, key);
    window.run_steps(3);
}

fn wants(window: &Harness<'static, Scene>, wanted: &Action) -> bool {
    window.state().actions.contains(wanted)
}

#[test]
fn every_value_is_named_with_level_and_age() {
    for cpus in [4, 16, 64, 256] {
        let mut state = watching(cpus, 30);
        let mut value = result(cpus, 31);
        value["avg-util-cpu3-60sec"] = json!(65.5);
        look(&mut state, viewer::state::Key::Output, &value, 0.5);
        let mut window = window(state, at(2.5), Look::default());
        window.run_steps(3);
        assert!(window.query_all_by_label("CPU 3, 65.5 %, warning, 2 s old").next().is_some(), "{cpus} CPUs");
        window.get_by_label("Memory cache, 15.62 %, 2 s old");
        let mean = window.get_by_label_contains("All CPUs, mean, ").accesskit_node().label().unwrap();
        assert!(mean.ends_with(", normal, 2 s old"), "{mean}");
        for meter in window.query_all_by_role(Role::Meter).map(|node| node.accesskit_node()) {
            assert!(meter.numeric_value().is_some(), "{:?} of {cpus} CPUs", meter.label());
        }
        window.get_by_role_and_label(Role::Button, "Connection: live");
    }
}

#[test]
fn what_a_host_set_aside_and_restarted_is_named_with_reasons() {
    let mut window = open(4);
    for words in ["set aside", "restart"] {
        assert!(window.query_all_by_label_contains(words).next().is_none(), "{words}");
    }
    let status = json!({"state": "running", "dead": 2, "restarts": {"sigsegv": 6, "timeout": 1}});
    look(&mut window.state_mut().state, viewer::state::Key::Status, &status, 1.0);
    window.run_steps(3);
    window.get_by_label("7 restarts: sigsegv 6, timeout 1");
    window.get_by_label_contains("2 set aside: ");
    window.get_by_label_contains("2 set aside: ").hover();
    window.run_steps(30);
    assert!(window.query_all_by_label_contains("plugin-host dead list").count() > 1);
}

#[test]
fn digits_lead_to_the_pages() {
    let mut window = open(4);
    for (key, view) in [Key::Num4, Key::Num3, Key::Num2, Key::Num1].into_iter().zip(View::ALL.into_iter().rev()) {
        press(&mut window, key);
        assert_eq!(window.state().state.view, view);
    }
}

#[test]
fn keys_freeze_sort_follow_and_connect_again() {
    let mut window = open(4);
    press(&mut window, Key::Space);
    assert!(window.state().state.shown().frozen_at.is_some());
    press(&mut window, Key::Space);
    assert!(window.state().state.shown().frozen_at.is_none());
    press(&mut window, Key::H);
    assert_eq!(window.state().state.settings.order, Order::Hottest);
    window.state_mut().state.chart.live = false;
    press(&mut window, Key::L);
    assert!(window.state().state.chart.live);
    press(&mut window, Key::F5);
    assert!(wants(&window, &Action::Retry));
}

#[test]
fn a_recording_has_a_way_back_and_no_buttons_that_do_nothing() {
    let mut window = open(4);
    let title = window.state().state.target.as_ref().unwrap().profile.title();
    window.state_mut().state.begin_replay(5.0);
    press(&mut window, Key::Num4);
    for words in ["Try again", "Disconnect"] {
        assert!(window.query_by_role_and_label(Role::Button, words).is_none(), "{words}");
    }
    window.get_by_role_and_label(Role::Button, &format!("Back to {title}")).click();
    window.run_steps(3);
    assert_eq!(window.state().state.target.as_ref().map(|target| target.profile.title()), Some(title));
    window.state_mut().state = viewer::state::State::new(Default::default(), Vec::new(), String::new());
    window.state_mut().state.begin_replay(5.0);
    window.state_mut().actions.clear();
    press(&mut window, Key::F5);
    assert!(!wants(&window, &Action::Retry), "nothing was connected before");
}

#[test]
fn what_lies_over_the_page_opens_and_closes() {
    let mut window = open(4);
    press(&mut window, Key::F1);
    window.get_by_label("freeze what is shown, or go on");
    press(&mut window, Key::Escape);
    assert_eq!(window.state().state.over, None);
    press_command(&mut window, Key::E);
    assert_eq!(window.state().state.over, Some(Over::Export));
    press(&mut window, Key::Escape);
    press_command(&mut window, Key::Comma);
    assert_eq!(window.state().state.over, Some(Over::Settings));
    window.get_by_label("for colour-blind eyes").click();
    window.run_steps(3);
    assert_eq!(window.state().state.settings.palette, viewer::state::Palette::ColourBlind);
}

#[test]
fn settings_that_are_pulled_are_kept_once_they_are_let_go() {
    let mut window = open(4);
    press_command(&mut window, Key::Comma);
    let slider = window.get_by_role_and_label(Role::Slider, "Warning from").rect();
    window.drag_at(slider.center());
    for step in 1..6 {
        window.hover_at(slider.center() + eframe::egui::vec2(4.0 * step as f32, 0.0));
        window.run_steps(1);
    }
    let kept = |window: &Harness<'static, Scene>| {
        window.state().actions.iter().filter(|action| matches!(action, Action::Set(_))).count()
    };
    assert_eq!(kept(&window), 0);
    window.drop_at(slider.center() + eframe::egui::vec2(20.0, 0.0));
    window.run_steps(3);
    assert_eq!(kept(&window), 1);
    let state = &window.state().state;
    assert!(wants(&window, &Action::Set(state.settings)) && state.settings != Default::default());
    press(&mut window, Key::Escape);
    assert_eq!(kept(&window), 1);
}

#[test]
fn what_is_typed_into_a_field_is_no_command() {
    let mut window = open(4);
    press(&mut window, Key::Num4);
    window.get_by_role_and_label(Role::TextInput, "SSH host").focus();
    window.run_steps(2);
    window.get_by_role_and_label(Role::TextInput, "SSH host").type_text("1h");
    window.key_press(Key::Num1);
    window.key_press(Key::H);
    window.run_steps(3);
    let state = &window.state().state;
    assert!(state.form.profile.ssh.contains("1h"), "{:?}", state.form.profile.ssh);
    assert_eq!((state.view, state.settings.order), (View::Connection, Order::Number));
}

#[test]
fn everything_can_be_reached_with_tab() {
    let mut window = open(4);
    let mut reached = std::collections::BTreeSet::new();
    for _ in 0..60 {
        window.key_press(Key::Tab);
        window.run_steps(2);
        for label in ["Overview", "History", "Data", "Connection", "Freeze", "Export…", "Settings…", "hottest first"]
        {
            if window.query_all_by_label(label).any(|node| node.is_focused()) {
                reached.insert(label);
            }
        }
    }
    assert_eq!(reached.len(), 8, "{reached:?}");
    while !window.query_all_by_label("Data").any(|node| node.is_focused()) {
        press(&mut window, Key::Tab);
    }
    press(&mut window, Key::Enter);
    assert_eq!(window.state().state.view, View::Data);
}

#[test]
fn each_step_of_connecting_is_read_out() {
    let mut window = open(4);
    press(&mut window, Key::Num4);
    window.get_by_label("ssh: done, me@web.example:22");
    window.get_by_label("key: done, metrics-output holds a value");
    window.get_by_label("fields: done, egress, cache, 4 CPUs");
}

#[test]
fn what_a_host_says_stands_whole_on_the_page_that_says_why() {
    let mut window = open(4);
    let reason = "why ".repeat(100);
    let status = json!({"state": "env-unreadable", "reason": reason});
    look(&mut window.state_mut().state, viewer::state::Key::Status, &status, 1.0);
    window.run_steps(3);
    window.get_by_role_and_label(Role::Button, "Why?").click();
    window.run_steps(3);
    window.get_by_label(&format!("host: The host can't read its env: {}", reason.trim()));
}
