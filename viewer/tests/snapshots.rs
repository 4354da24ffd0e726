//! Pictures of the window, against those that were looked at and found right, on a fixed clock. After a change that is
//! meant: `UPDATE_SNAPSHOTS=1 cargo test -p viewer --test snapshots`, then look at each.
#![allow(clippy::unwrap_used, reason = "a test may fail by a panic, in its helpers too")]

mod support;

use std::sync::{Mutex, PoisonError};

use egui_kittest::{SnapshotOptions, SnapshotResults};
use serde_json::json;
use support::{Look, Scene, at, connected, document, look, machine, machines, result, watching, window};
use viewer::model::{Column, Document, Figures, Moment, Sight, Sorting};
use viewer::profile::{Profile, Secret};
use viewer::state::{Event, Found, Key, Over, Palette, Phase, Progress, Settings, State, Step, Theme, View};
use viewer::ui::Time;

/// One picture is drawn at a time: the software renderer uses every core by itself.
static DRAWING: Mutex<()> = Mutex::new(());

/// Pictures can only be drawn where there is a Vulkan or OpenGL driver; a software one will do.
fn can_draw() -> bool {
    let drawn = std::panic::catch_unwind(|| {
        let mut window = egui_kittest::Harness::builder().with_size([8.0, 8.0]).build_ui(|_| {});
        window.render().is_ok()
    });
    let can = matches!(drawn, Ok(true));
    if !can {
        eprintln!("skipped: no picture can be drawn here, for lack of a graphics driver (mesa-vulkan-drivers)");
    }
    can
}

fn draw(pictures: impl IntoIterator<Item = (String, State, Time, Look)>) {
    let _one = DRAWING.lock().unwrap_or_else(PoisonError::into_inner);
    if !can_draw() {
        return;
    }
    // Another processor's renderer rounds a few pixels of a million otherwise.
    let options = SnapshotOptions::new().max_failed_pixels(200);
    let mut results = SnapshotResults::new();
    for (name, state, time, look) in pictures {
        let mut window: egui_kittest::Harness<'_, Scene> = window(state, time, look);
        // Not until it stands still: a text field's cursor blinks for ever.
        window.run_steps(6);
        results.add(window.try_snapshot_options(name, &options));
    }
}

fn with(mut state: State, change: impl FnOnce(&mut State)) -> State {
    change(&mut state);
    state
}

fn light(state: &mut State) {
    state.settings.theme = Theme::Light;
}

#[test]
fn cpus_by_their_number() {
    draw(
        [1, 2, 8, 16, 64, 128, 256]
            .map(|count| (format!("cpus-{count}"), watching(count, 60), at(2.0), Look::default())),
    );
}

#[test]
fn light_and_larger_and_for_other_eyes() {
    let blind = |state: &mut State| state.settings.palette = Palette::ColourBlind;
    draw([
        ("light".to_owned(), with(watching(16, 60), light), at(2.0), Look::default()),
        ("light-colour-blind".to_owned(), with(with(watching(16, 60), blind), light), at(2.0), Look::default()),
        ("colour-blind".to_owned(), with(watching(16, 60), blind), at(2.0), Look::default()),
        ("light-heat".to_owned(), with(watching(256, 60), light), at(2.0), Look::default()),
        ("scale-2".to_owned(), watching(8, 60), at(2.0), Look { scale: 2.0, ..Look::default() }),
        ("narrow".to_owned(), watching(8, 60), at(2.0), Look { size: [420.0, 700.0], ..Look::default() }),
    ]);
}

#[test]
fn values_that_age() {
    let never = connected();
    let unconfirmed = with(connected(), |state| look(state, Key::Output, &result(8, 0), 0.0));
    draw([
        ("late".to_owned(), watching(8, 60), at(15.0), Look::default()),
        ("stale".to_owned(), watching(8, 60), at(60.0), Look::default()),
        ("stale-tiles".to_owned(), watching(64, 60), at(60.0), Look::default()),
        ("stale-heat".to_owned(), watching(256, 60), at(60.0), Look::default()),
        ("age-unknown".to_owned(), unconfirmed, at(2.0), Look::default()),
        ("never-a-value".to_owned(), never, at(2.0), Look::default()),
        (
            "frozen".to_owned(),
            with(watching(8, 60), |state| {
                state.act(viewer::state::Action::ToggleFreeze, Moment(1.0));
                look(state, Key::Output, &result(8, 99), 5.0);
            }),
            at(30.0),
            Look::default(),
        ),
    ]);
}

fn failing(step: Step, why: &str, phase: Phase) -> State {
    let mut state = State::new(Settings::default(), Vec::new(), String::new());
    let profile = Profile { ssh: "web".to_owned(), output_key: "metrics-output".to_owned(), ..Profile::default() };
    state.watch(profile.target(Secret::None).unwrap());
    state.apply(Event::Phase(Phase::Resolving));
    if step > Step::Ssh {
        state.apply(Event::Step(Step::Ssh, Progress::Done("me@web.example:22".to_owned())));
    }
    let advice = "See that the same command, ssh with this name, logs in from a terminal.".to_owned();
    state.apply(Event::Step(step, Progress::Failed { why: why.to_owned(), advice }));
    state.apply(Event::Phase(phase));
    state
}

#[test]
fn what_is_wrong() {
    let denied = failing(Step::Ssh, "me@web.example: Permission denied (publickey).", Phase::NeedsYou);
    let refused = failing(Step::Reach, "Connection refused", Phase::Retrying { at: Moment(9.0) });
    let not_json = with(watching(8, 60), |state| {
        let found = Found::Unreadable(Document::read(b"{\"a\": NaN}").unwrap_err());
        state.apply(Event::Look { key: Key::Output, found, at: Moment(1.0) });
    });
    let host = with(watching(2, 60), |state| {
        let status = json!({"state": "env-unreadable", "reason": "env of {out}:env isn't the handler's", "calls": 3});
        look(state, Key::Status, &status, 1.0);
    });
    let crashing = with(watching(2, 60), |state| {
        let status = json!({
            "state": "restarting", "reason": "the worker has ended and is started again: signal 11 (SIGSEGV)",
            "handler": "handler", "plugin": {"name": "metrics", "version": "0.1.0"}, "calls": 12345, "failures": 9,
            "dead": 2, "restarts": {"sigsegv": 6, "timeout": 1}, "last_call_us": 31.2,
        });
        look(state, Key::Status, &status, 1.0);
    });
    draw([
        ("needs-you".to_owned(), denied, at(2.0), Look::default()),
        ("retrying".to_owned(), refused, at(2.0), Look::default()),
        ("not-json".to_owned(), not_json, at(2.0), Look::default()),
        ("host-not-running".to_owned(), host, at(2.0), Look::default()),
        ("host-crashing".to_owned(), crashing, at(2.0), Look::default()),
    ]);
}

#[test]
fn pages() {
    let gap = with(watching(16, 60), |state| {
        state.apply(Event::Phase(Phase::Retrying { at: Moment(9.0) }));
        state.apply(Event::Phase(Phase::Live(viewer::state::Follow::Push)));
        for tick in 0..12 {
            look(state, Key::Output, &result(16, 60 + tick), 60.0 + tick as f64 * 5.0);
        }
    });
    let unknown = with(watching(2, 60), |state| {
        let mut value = result(2, 61);
        value["queue-depth"] = json!(17);
        value["nested"] = json!({"a": [1, 2, {"b": null}], "text": "größe"});
        look(state, Key::Output, &value, 1.0);
    });
    let profiles = with(watching(2, 3), |state| {
        for (name, ssh) in [("web", "web"), ("laptop", "")] {
            let profile = Profile { name: name.to_owned(), ssh: ssh.to_owned(), ..Profile::default() };
            state.profiles.push(Profile { store: "redis://127.0.0.1:6379".to_owned(), ..profile });
        }
    });
    let on = |view| move |state: &mut State| state.view = view;
    draw([
        ("history".to_owned(), with(gap.clone(), on(View::History)), at(117.0), Look::default()),
        ("history-256".to_owned(), with(watching(256, 60), on(View::History)), at(2.0), Look::default()),
        ("history-light".to_owned(), with(with(gap, on(View::History)), light), at(117.0), Look::default()),
        ("data".to_owned(), with(unknown.clone(), on(View::Data)), at(2.0), Look::default()),
        ("data-light".to_owned(), with(with(unknown, on(View::Data)), light), at(2.0), Look::default()),
        ("connection".to_owned(), with(profiles, on(View::Connection)), at(2.0), Look::default()),
        (
            "settings".to_owned(),
            with(watching(2, 60), |state| state.over = Some(Over::Settings)),
            at(2.0),
            Look::default(),
        ),
        ("help".to_owned(), with(watching(2, 60), |state| state.over = Some(Over::Help)), at(2.0), Look::default()),
        ("export".to_owned(), with(watching(2, 60), |state| state.over = Some(Over::Export)), at(2.0), Look::default()),
    ]);
}

#[test]
fn a_first_document_of_another_kind_is_drawn() {
    let state = with(connected(), |state| {
        let found = Found::Document(document(&json!({"mean-latency-ms": 12.5, "requests": 123456789})));
        state.apply(Event::Look { key: Key::Output, found, at: Moment(0.0) });
    });
    draw([("other-fields".to_owned(), state, at(2.0), Look::default())]);
}

#[test]
fn machines_of_a_pattern() {
    let odd = |state: &mut State| {
        let seen = [(machine(2), (Sight::Found(Err("the value isn't JSON: expected value".to_owned())), Moment(0.0)))];
        state.apply(Event::Machines(seen.into()));
        state.list.chosen = Some(machine(4));
    };
    let hottest = |state: &mut State| state.list.sorting = Sorting { column: Column::Hottest, reversed: false };
    // Half of them have had no result for a while.
    let stale = |state: &mut State| {
        let fresh = (0..6).map(|number| {
            let figures = Figures::of(&document(&result(16, 90 + number)));
            (machine(number), (Sight::Written(Ok(figures)), Moment(39.0)))
        });
        state.apply(Event::Machines(fresh.collect()));
        state.list.sorting = Sorting { column: Column::Age, reversed: false };
    };
    let small = || Look { size: [520.0, 600.0], ..Look::default() };
    draw([
        ("machines".to_owned(), with(machines(8), odd), at(1.0), Look::default()),
        ("machines-1000".to_owned(), with(machines(1_000), hottest), at(1.0), Look::default()),
        ("machines-stale".to_owned(), with(machines(12), stale), at(40.0), Look::default()),
        ("machines-light".to_owned(), with(with(machines(40), hottest), light), at(1.0), Look::default()),
        ("machines-narrow".to_owned(), machines(40), at(1.0), small()),
        ("machines-none".to_owned(), machines(0), at(1.0), Look::default()),
    ]);
}
