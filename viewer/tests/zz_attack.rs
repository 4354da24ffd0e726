#![allow(clippy::unwrap_used, reason = "temporary")]
mod support;
use serde_json::{Map, Value, json};
use std::time::Instant;
use support::{Look, at, connected, look, window};
use viewer::model::Moment;
use viewer::state::{Event, Found, Key, State, View};

fn draw(name: &str, make: impl Fn(&mut State)) {
    for view in View::ALL {
        let began = Instant::now();
        let result = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            let mut state = connected();
            make(&mut state);
            state.view = view;
            let look = Look { any_text: true, ..Look::default() };
            let mut w = window(state, at(2.0), look);
            w.run_steps(2);
            let b = Instant::now();
            w.run_steps(4);
            b.elapsed() / 4
        }));
        match result {
            Ok(each) => eprintln!(
                "{name} {view:?}: {each:?} a frame, {:?} in all{}",
                began.elapsed(),
                if each.as_millis() > 60 { "   <<<<<<" } else { "" }
            ),
            Err(_) => eprintln!("{name} {view:?}: PANIC <<<<<<"),
        }
    }
}
fn outputs(state: &mut State, values: &[Value]) {
    for (i, v) in values.iter().enumerate() {
        look(state, Key::Output, v, i as f64 * 5.0 - 30.0);
    }
}
#[test]
fn attack() {
    let big = "x".repeat(5_000_000);
    draw("plain", |s| {
        outputs(
            s,
            &[json!({"percent-network-egress": 1, "timestamp":1}), json!({"percent-network-egress": 2,"timestamp":2})],
        )
    });
    draw("long name", |s| outputs(s, &[json!({big.clone(): 1})]));
    draw("long cpu id", |s| outputs(s, &[json!({format!("avg-util-cpu{big}-60sec"): 1})]));
    draw("10 long cpu ids", |s| {
        outputs(
            s,
            &[Value::Object(
                (0..40).map(|i| (format!("avg-util-cpu{i}{}-60sec", "y".repeat(100_000)), json!(i))).collect(),
            )],
        )
    });
    draw("1000 long names", |s| {
        outputs(s, &[Value::Object((0..1000).map(|i| (format!("{i}{}", "y".repeat(5_000)), json!(i))).collect())])
    });
    draw("newline names", |s| {
        outputs(s, &[json!({"a\n\n\n\n\n\nb": 1, "avg-util-cpua\nb\nc\n-60sec": 3, "\u{1b}[2J\u{202e}x": 4})])
    });
    draw("10k NaN cpus", |s| {
        outputs(s, &[Value::Object((0..10_000).map(|i| (format!("avg-util-cpu{i}-60sec"), json!("NaN"))).collect())])
    });
    draw("10k cpus", |s| {
        outputs(s, &[Value::Object((0..10_000).map(|i| (format!("avg-util-cpu{i}-60sec"), json!(i % 100))).collect())])
    });
    draw("1 NaN with long cpu id", |s| outputs(s, &[json!({format!("avg-util-cpu{big}-60sec"): "NaN"})]));
    let ext = |a: f64, b: f64| {
        let mut m = Map::new();
        m.insert("avg-util-cpu0-60sec".into(), json!(a));
        m.insert("avg-util-cpu1-60sec".into(), json!(b));
        m.insert("percent-network-egress".into(), json!(a));
        m.insert("percent-memory-cache".into(), json!(b));
        m.insert("timestamp".into(), json!(a));
        Value::Object(m)
    };
    draw("huge numbers", |s| {
        outputs(
            s,
            &[
                ext(1.7e308, -1.7e308),
                ext(-1.7e308, 1.7e308),
                ext(1.7e308, 1.7e308),
                ext(0.0, 5e-324),
                ext(1e300, -1e300),
            ],
        )
    });
    draw("negative", |s| outputs(s, &[ext(-5.0, -500.0), ext(-1e9, 1e9)]));
    draw("huge only", |s| outputs(s, &[ext(1.7e308, 1.7e308), ext(1.6e308, 1.7e308), ext(1.7e308, 1.7e308)]));
    draw("status big", |s| {
        outputs(s, &[ext(1.0, 2.0)]);
        look(
            s,
            Key::Status,
            &json!({"state": big, "reason": big, "handler": big, "plugin": {"name": big, "version": big, "sha256": big}, "last_error": {"at": big, "kind": big, "message": big}}),
            0.0,
        );
    });
    draw("status small reason", |s| {
        outputs(s, &[ext(1.0, 2.0)]);
        look(
            s,
            Key::Status,
            &json!({"state": "x", "handler": "h", "plugin": {"name": "n\n\n\n\n\n\n\n\n\n\n\n\n\n", "version": "1"}, "calls": 1, "failures": 1, "last_call_us": 1e300 }),
            0.0,
        );
    });
    draw("refused big", |s| {
        s.apply(Event::Look { key: Key::Output, found: Found::Refused(big.clone()), at: Moment(0.0) });
        s.apply(Event::Look { key: Key::Input, found: Found::Refused(big.clone()), at: Moment(0.0) });
    });
    draw("far past", |s| {
        s.apply(Event::Past(vec![
            (Moment(-1.7e9), support::document(&ext(1.0, 2.0))),
            (Moment(-1.6e9), support::document(&ext(2.0, 2.0))),
        ]));
        s.chart.window = f64::INFINITY;
        outputs(s, &[ext(3.0, 2.0)]);
    });
    draw("far past 2", |s| {
        s.apply(Event::Past(vec![(Moment(-1.8e16), support::document(&ext(1.0, 2.0)))]));
        s.chart.window = f64::INFINITY;
        outputs(s, &[ext(3.0, 2.0)]);
    });
    draw("period tiny", |s| {
        s.chart.window = f64::INFINITY;
        look(s, Key::Status, &json!({"state":"running","period":1e-300}), 0.0);
        outputs(s, &[ext(3.0, 2.0), ext(4.0, 2.0)]);
    });
    draw("period huge", |s| {
        s.chart.window = f64::INFINITY;
        look(s, Key::Status, &json!({"state":"running","period":1e300}), 0.0);
        outputs(s, &[ext(3.0, 2.0), ext(4.0, 2.0)]);
    });
    draw("big list", |s| outputs(s, &[json!({"a": vec![0; 8_000_000]})]));
    draw("thresholds", |s| {
        s.settings.thresholds = viewer::model::Thresholds { warning: 1e308, critical: -1e308 };
        s.over = Some(viewer::state::Over::Settings);
        outputs(s, &[ext(3.0, 2.0), ext(4.0, 2.0)]);
    });
    draw("timestamp big", |s| {
        outputs(
            s,
            &[
                json!({"timestamp": big, "percent-network-egress": 1}),
                json!({"timestamp": format!("{big}y"), "percent-network-egress": 1}),
            ],
        )
    });
    draw("key name big", |s| {
        let p = viewer::profile::Profile {
            store: "redis://h".into(),
            output_key: format!("a\n{}", "k".repeat(100_000)),
            input_key: "b\nc".into(),
            name: String::new(),
            ..Default::default()
        };
        s.watch(p.target(viewer::profile::Secret::None).unwrap());
        s.apply(Event::Phase(viewer::state::Phase::Live(viewer::state::Follow::Push)));
        s.apply(Event::Look { key: Key::Output, found: Found::Nothing, at: Moment(0.0) });
    });
}
