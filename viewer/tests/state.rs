//! What the state makes of what the connection tells: ages, gaps, faults, and what the user does to it.
#![allow(clippy::unwrap_used, reason = "a test may fail by a panic, in its helpers too")]

mod support;

use proptest::prelude::*;
use serde_json::{Value, json};
use support::{Look, at, connected, document, look, result, watching, window};
use viewer::model::{Document, Freshness, Moment};
use viewer::profile::{Profile, Secret};
use viewer::state::{
    Action, Chart, Effect, Event, Follow, Format, Found, Key, Login, Order, Phase, Progress, Settings, Standing, State,
    Step, View,
};

fn reading(tick: usize) -> Document {
    document(&result(2, tick))
}

fn break_and_mend(state: &mut State, back: f64) {
    state.apply(Event::Phase(Phase::Retrying { at: Moment(back) }));
    state.apply(Event::Phase(Phase::Resolving));
    state.apply(Event::Phase(Phase::Live(Follow::Push)));
}

fn pieces(state: &State) -> Vec<usize> {
    let segments =
        state.history.series("avg-util-cpu0-60sec", f64::NEG_INFINITY, f64::INFINITY, state.period(), 10_000);
    segments.iter().map(Vec::len).collect()
}

#[test]
fn a_value_found_at_the_start_is_not_taken_for_fresh() {
    let mut state = connected();
    look(&mut state, Key::Output, &result(2, 0), 0.0);
    assert_eq!(state.freshness(Moment(1.0)), Some(Freshness::Unconfirmed));
    assert_eq!(state.freshness(Moment(11.0)), Some(Freshness::Late));
    look(&mut state, Key::Output, &result(2, 1), 12.0);
    assert_eq!(state.freshness(Moment(13.0)), Some(Freshness::Fresh));
    assert_eq!(state.freshness(Moment(38.0)), Some(Freshness::Stale));
    assert_eq!(state.standing(Moment(13.0)), Standing::Live);
    assert_eq!(state.standing(Moment(38.0)), Standing::Late);
}

#[test]
fn the_stores_history_tells_how_old_the_newest_value_is() {
    let mut state = connected();
    state.apply(Event::Past(vec![(Moment(-3_605.0), reading(0)), (Moment(-3_600.0), reading(1))]));
    look(&mut state, Key::Output, &result(2, 1), 0.0);
    assert_eq!(state.freshness(Moment(0.0)), Some(Freshness::Stale));
    assert_eq!(state.shown().output.age(Moment(0.0)), Some(3_600.0));
    assert_eq!(state.history.len(), 2, "the newest value is no third sample");
}

#[test]
fn the_age_counts_from_the_change_of_the_timestamp_not_of_the_rest() {
    let mut state = connected();
    for (tick, at) in [(0, 0.0), (1, 5.0)] {
        look(&mut state, Key::Output, &result(2, tick), at);
    }
    let mut same = result(2, 1);
    same["percent-network-egress"] = json!(99.0);
    look(&mut state, Key::Output, &same, 15.0);
    assert_eq!(state.shown().output.age(Moment(16.0)), Some(11.0));
    assert_eq!(state.shown().output.reading.egress, Some(99.0));
}

#[test]
fn the_period_is_the_users_then_the_hosts_then_five_seconds() {
    let mut state = connected();
    assert_eq!(state.period(), 5.0);
    look(&mut state, Key::Status, &json!({"state": "running", "period": 0.5}), 0.0);
    assert_eq!(state.period(), 0.5);
    let profile = Profile { store: "redis://db".to_owned(), period: "2".to_owned(), ..Profile::default() };
    state.watch(profile.target(Secret::None).unwrap());
    look(&mut state, Key::Status, &json!({"state": "running", "period": 0.5}), 0.0);
    assert_eq!(state.period(), 2.0);
}

#[test]
fn the_hosts_period_holds_when_its_status_has_gone() {
    let mut state = watching(2, 3);
    look(&mut state, Key::Status, &json!({"state": "running", "period": 60.0}), 0.0);
    state.apply(Event::Look { key: Key::Status, found: Found::Nothing, at: Moment(1.0) });
    assert_eq!((state.shown().host.is_some(), state.period()), (false, 60.0));
    let other = Profile { output_key: "other".to_owned(), ..state.target.clone().unwrap().profile };
    state.watch(other.target(Secret::None).unwrap());
    assert_eq!(state.period(), 5.0, "of another host nothing is known");
}

#[test]
fn a_lost_connection_leaves_a_gap_and_keeps_the_history() {
    let mut state = watching(2, 10);
    break_and_mend(&mut state, 1.0);
    look(&mut state, Key::Output, &result(2, 20), 60.0);
    look(&mut state, Key::Output, &result(2, 21), 65.0);
    assert_eq!(pieces(&state), [10, 2]);
}

#[test]
fn what_the_store_kept_meanwhile_closes_the_gap() {
    let mut state = watching(2, 10);
    break_and_mend(&mut state, 1.0);
    let past = (8..14).map(|tick| (Moment((tick as f64 - 9.0) * 5.0), reading(tick))).collect();
    state.apply(Event::Past(past));
    look(&mut state, Key::Output, &result(2, 13), 21.0);
    assert_eq!(state.history.len(), 14);
    assert_eq!(state.shown().output.age(Moment(21.0)), Some(1.0));
}

#[test]
fn another_target_begins_with_nothing_and_the_same_one_goes_on() {
    let mut state = watching(2, 10);
    let target = state.target.clone().unwrap();
    state.watch(target.clone());
    assert_eq!(state.history.len(), 10);
    let other = Profile { output_key: "other".to_owned(), ..target.profile };
    state.watch(other.target(Secret::None).unwrap());
    assert!(state.history.is_empty() && state.shown().output.document.is_none());
}

#[test]
fn a_frozen_display_stands_while_history_goes_on() {
    let mut state = watching(2, 10);
    state.act(Action::ToggleFreeze, Moment(1.0));
    look(&mut state, Key::Output, &result(2, 10), 5.0);
    assert_eq!(state.shown().output.document, Some(reading(9)));
    assert_eq!(state.shown().output.age(state.time(Moment(9.0))), Some(1.0));
    assert_eq!(state.history.len(), 11);
    // The word at the top is of now, and must not stay 'live' for want of a frame.
    assert_eq!(state.standing(Moment(20.0)), Standing::Late);
    assert!(state.moves_in(Moment(9.5)).is_some_and(|seconds| seconds <= 1.0));
    state.act(Action::ToggleFreeze, Moment(9.0));
    assert_eq!(state.shown().output.document, Some(reading(10)));
}

/// The first step that failed, with what is said.
fn failed(state: &State) -> (Step, String) {
    let steps = state.steps();
    let found = steps.into_iter().find_map(|(step, progress)| match progress {
        Progress::Failed { why, advice } if !advice.is_empty() => Some((step, why)),
        _ => None,
    });
    found.expect("a step has failed")
}

#[test]
fn a_recording_leaves_a_way_back() {
    let mut state = connected();
    let profile = state.target.clone().unwrap().profile;
    state.watch(profile.target(Secret::Text("typed".to_owned())).unwrap());
    let epoch = state.epoch();
    state.begin_replay(1.0);
    assert!(state.is_replaying() && state.epoch() != epoch);
    assert_eq!(state.period(), 1.0);
    let effects = state.act(Action::Retry, Moment(0.0));
    let Some(Effect::Connect(target)) = effects.first() else { panic!("{effects:?}") };
    assert_eq!((&target.profile, &target.secret), (&profile, &Secret::Text("typed".to_owned())));
    assert!(!state.is_replaying());
    assert_eq!(state.period(), 5.0);
}

#[test]
fn what_the_environment_says_of_the_login_holds_for_saved_profiles_too() {
    let mut state = connected();
    state.login = Login { username: Some("viewer".to_owned()), secret: Secret::Text("secret".to_owned()) };
    let saved = Profile { name: "db".to_owned(), store: "redis://db".to_owned(), ..Profile::default() };
    let login = |state: &mut State, profile: &Profile| {
        state.act(Action::Open(profile.clone()), Moment(0.0));
        let target = state.target.clone().unwrap();
        (target.username, target.secret)
    };
    let secret = |text: &str| Secret::Text(text.to_owned());
    assert_eq!(login(&mut state, &saved), (Some("viewer".to_owned()), secret("secret")));
    state.form.secret = secret("typed");
    assert_eq!(login(&mut state, &saved).1, secret("typed"), "what is typed wins");
    let others = Profile { username: "other".to_owned(), name: "other".to_owned(), ..saved };
    assert_eq!(login(&mut state, &others), (Some("other".to_owned()), Secret::None), "it is another's password");
}

#[test]
fn an_export_s_file_is_named_by_what_is_in_it() {
    let mut state = watching(2, 3);
    for (path, format, file) in [
        ("/tmp/a.csv", Format::Csv, "/tmp/a.csv"),
        (" /tmp/a.csv ", Format::JsonLines, "/tmp/a.jsonl"),
        ("/tmp/a.JSONL", Format::Csv, "/tmp/a.csv"),
        ("/tmp/a.CSV", Format::Csv, "/tmp/a.CSV"),
        ("/tmp/a.txt", Format::JsonLines, "/tmp/a.txt"),
        ("/tmp/a", Format::Csv, "/tmp/a"),
    ] {
        state.act(Action::ExportPath(path.to_owned()), Moment(0.0));
        let effects = state.act(Action::Export(format), Moment(0.0));
        let [Effect::Export(_, named)] = effects.as_slice() else { panic!("{effects:?}") };
        assert_eq!(named.to_str(), Some(file), "{path}");
    }
}

#[test]
fn bad_data_are_told_at_the_step_that_they_stop() {
    let read = |bytes: &[u8]| match Document::read(bytes) {
        Ok(document) => Found::Document(document),
        Err(unreadable) => Found::Unreadable(unreadable),
    };
    for (found, step, words) in [
        (Found::Nothing, Step::Key, "isn't there"),
        (Found::Refused("key \"out\" holds another kind of value".to_owned()), Step::Key, "another kind"),
        (read(b"<html>"), Step::Json, "isn't JSON"),
        (read(b"[1]"), Step::Json, "a list"),
        (read(b"{\"percent-network-egress\": NaN}"), Step::Json, "NaN isn't JSON"),
        (read(b"{\"percent-network-egress\": \"NaN\"}"), Step::Fields, "not a number"),
        (read(b"{\"unknown\": 1}"), Step::Fields, "none of the fields"),
    ] {
        let mut state = watching(2, 3);
        state.apply(Event::Look { key: Key::Output, found, at: Moment(5.0) });
        let (failed, why) = failed(&state);
        assert_eq!(failed, step, "{why}");
        assert!(why.contains(words), "{why}");
        if step < Step::Fields {
            assert_eq!(state.shown().output.document, Some(reading(2)), "the last good value stays, and ages");
        }
    }
}

#[test]
fn of_thousands_of_faults_a_few_are_told() {
    let mut state = connected();
    let fields = (0..10_000).map(|cpu| (format!("avg-util-cpu{cpu}-60sec"), json!("NaN")));
    look(&mut state, Key::Output, &Value::from_iter(fields), 0.0);
    let (step, why) = failed(&state);
    assert_eq!(step, Step::Fields);
    assert!(
        why.len() < 1_000 && why.contains("avg-util-cpu0-60sec is the text") && why.ends_with("and 9995 more"),
        "{why}"
    );
}

#[test]
fn a_form_with_faults_connects_to_nothing_and_says_why() {
    let mut state = State::new(Settings::default(), Vec::new(), String::new());
    assert!(state.act(Action::Connect, Moment(0.0)).is_empty());
    assert!(state.form_faults[0].contains("name the store"));
    assert_eq!(state.view, View::Connection);
    state.form.profile.store = "redis://db".to_owned();
    let effects = state.act(Action::Connect, Moment(0.0));
    assert!(matches!(effects[..], [Effect::Connect(_), Effect::Keep(_)]));
}

#[test]
fn profiles_are_saved_by_name_without_the_password() {
    let mut state = State::new(Settings::default(), Vec::new(), String::new());
    state.form.profile = Profile { store: "redis://db".to_owned(), name: "b".to_owned(), ..Profile::default() };
    state.form.secret = Secret::Text("hunter2".to_owned());
    for name in ["b", "a10", "a9", "b"] {
        state.form.profile.name = name.to_owned();
        assert!(matches!(state.act(Action::Save, Moment(0.0))[..], [Effect::Keep(_)]));
    }
    let names: Vec<&str> = state.profiles.iter().map(|profile| profile.name.as_str()).collect();
    assert_eq!(names, ["a9", "a10", "b"]);
    assert!(!serde_json::to_string(&state.profiles).unwrap().contains("hunter2"));
    state.act(Action::Remove("a9".to_owned()), Moment(0.0));
    assert_eq!(state.profiles.len(), 2);
}

#[test]
fn what_is_out_of_reach_needs_the_user_on_the_page_that_says_why() {
    let mut state = watching(2, 3);
    state.apply(Event::Phase(Phase::NeedsYou));
    assert_eq!((state.view, state.standing(Moment(0.0))), (View::Connection, Standing::NeedsYou));
}

#[test]
fn choices_are_put_in_order_and_kept() {
    let mut state = State::new(Settings::default(), Vec::new(), String::new());
    let mut settings = Settings { order: Order::Hottest, ..Settings::default() };
    settings.thresholds.warning = 95.0;
    assert!(matches!(state.act(Action::Set(settings), Moment(0.0))[..], [Effect::Keep(_)]));
    assert_eq!(state.settings.thresholds.warning, 85.0);
    let live = Chart { live: false, ..Chart::default() };
    state.act(Action::Chart(live.clone()), Moment(0.0));
    assert_eq!(state.chart, live);
    state.export_path = " /tmp/a.csv ".to_owned();
    let effects = state.act(Action::Export(Format::Csv), Moment(0.0));
    assert!(matches!(&effects[..], [Effect::Export(Format::Csv, path)] if path.ends_with("a.csv")));
}

fn json_value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        ".{0,12}".prop_map(Value::from),
    ];
    leaf.prop_recursive(3, 16, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::btree_map(".{0,6}", inner, 0..4).prop_map(Value::from_iter),
        ]
    })
}

fn field() -> impl Strategy<Value = String> {
    prop_oneof![
        Just("percent-network-egress".to_owned()),
        Just("percent-memory-cache".to_owned()),
        Just("percent-memory-caching".to_owned()),
        Just("timestamp".to_owned()),
        (0_u32..40).prop_map(|cpu| format!("avg-util-cpu{cpu}-60sec")),
        ".{0,10}".prop_map(|name| format!("avg-util-cpu{name}-60sec")),
        ".{0,20}",
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn whatever_stands_under_the_keys_is_drawn_on_every_page(
        results in prop::collection::vec(prop::collection::btree_map(field(), json_value(), 0..12), 1..5),
        status in json_value(),
        bytes in prop::collection::vec(any::<u8>(), 0..30),
    ) {
        let mut state = connected();
        for (tick, fields) in results.iter().enumerate() {
            look(&mut state, Key::Output, &Value::from_iter(fields.clone()), tick as f64);
        }
        if status.is_object() {
            look(&mut state, Key::Status, &status, 0.0);
        }
        let found = match Document::read(&bytes) {
            Ok(document) => Found::Document(document),
            Err(unreadable) => Found::Unreadable(unreadable),
        };
        state.apply(Event::Look { key: Key::Input, found, at: Moment(1.0) });
        let mut window = window(state, at(4.0), Look { any_text: true, ..Look::default() });
        for view in View::ALL {
            window.state_mut().state.view = view;
            window.run_steps(2);
        }
    }
}
