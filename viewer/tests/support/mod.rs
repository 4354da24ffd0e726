//! States as they come about through events, on a fixed clock, and a window without a screen that draws them.
#![allow(dead_code, reason = "each test uses a part")]
#![allow(clippy::unwrap_used, reason = "a test may fail by a panic, in its helpers too")]

use egui_kittest::Harness;
use jiff::tz::TimeZone;
use serde_json::{Map, Value, json};
use viewer::model::{Document, Figures, Moment, Sight};
use viewer::profile::{Profile, Secret};
use viewer::state::{Action, Event, Follow, Found, Key, Phase, Progress, Settings, State, Step};
use viewer::ui::{self, Time};

/// 2025-11-30T10:30:00Z.
const START: f64 = 1_764_498_600.0;

pub fn document(value: &Value) -> Document {
    Document::read(value.to_string().as_bytes()).unwrap()
}

/// A made-up load of a CPU, steady from run to run.
pub fn load(cpu: usize, tick: usize) -> f64 {
    let wave = ((tick as f64 / 9.0) + cpu as f64 * 1.7).sin() * 18.0;
    let base = (cpu * 37 % 97) as f64 * 0.92;
    ((base + wave).clamp(0.5, 99.5) * 100.0).round() / 100.0
}

/// A result as the metrics plugin writes it.
pub fn result(cpus: usize, tick: usize) -> Value {
    let mut fields = Map::new();
    fields.insert("percent-network-egress".to_owned(), json!(20.0 + (tick % 10) as f64));
    fields.insert("percent-memory-cache".to_owned(), json!(15.62));
    for cpu in 0..cpus {
        fields.insert(format!("avg-util-cpu{cpu}-60sec"), json!(load(cpu, tick)));
    }
    fields.insert("timestamp".to_owned(), json!(format!("2025-11-30T10:{:02}:{:02}", tick / 12, tick % 12 * 5)));
    fields.insert("num_cpus_monitored".to_owned(), json!(cpus));
    Value::Object(fields)
}

/// A viewer that was asked to look at a Redis, and has connected.
pub fn connected() -> State {
    connected_to("metrics-output")
}

fn connected_to(output_key: &str) -> State {
    let mut state = State::new(Settings::default(), Vec::new(), "/tmp/export.csv".to_owned());
    let profile = Profile {
        name: "web".to_owned(),
        ssh: "web".to_owned(),
        output_key: output_key.to_owned(),
        ..Profile::default()
    };
    state.watch(profile.target(Secret::None).unwrap());
    for (step, words) in [(Step::Ssh, "me@web.example:22"), (Step::Reach, "127.0.0.1:6379"), (Step::Login, "no login")]
    {
        state.apply(Event::Step(step, Progress::Done(words.to_owned())));
    }
    state.apply(Event::Phase(Phase::Live(Follow::Push)));
    state
}

pub fn look(state: &mut State, key: Key, value: &Value, at: f64) {
    state.apply(Event::Look { key, found: Found::Document(document(value)), at: Moment(at) });
}

/// A viewer that has seen `ticks` results, one each 5 s, the last at 0.
pub fn watching(cpus: usize, ticks: usize) -> State {
    let mut state = connected();
    let status = json!({
        "state": "running", "handler": "handler", "period": 5.0, "calls": 12345, "failures": 2,
        "plugin": {"name": "metrics", "version": "0.1.0", "sha256": "ab".repeat(32), "abi": 1},
        "last_error": {"at": "2025-11-30T10:00:00Z", "kind": "input", "message": "missing field timestamp"},
        "last_call_us": 31.2, "updated_at": "2025-11-30T10:29:59Z", "host_version": "0.1.0",
    });
    look(&mut state, Key::Status, &status, -1.0);
    for tick in 0..ticks {
        let at = (tick as f64 - (ticks - 1) as f64) * 5.0;
        look(&mut state, Key::Output, &result(cpus, tick), at);
    }
    let input = json!({
        "timestamp": "2025-11-30T10:30:00", "cpu_percent-0": 45.5, "cpu_percent-1": 32.1,
        "net_io_counters_eth0-bytes_sent1": 1024000, "net_io_counters_eth0-bytes_recv1": 4096000,
        "virtual_memory-total": 16000000000_i64, "virtual_memory-cached": 2000000000, "virtual_memory-buffers": 500000000,
    });
    look(&mut state, Key::Input, &input, 0.0);
    state
}

/// A viewer of a pattern that has seen so many machines of 16 CPUs, each with 40 results, the last ones within the
/// period before 0.
pub fn machines(count: usize) -> State {
    let mut state = connected_to("report:*");
    let status = json!({
        "state": "running", "handler": "handler", "period": 5.0, "calls": 123_456, "failures": 0,
        "plugin": {"name": "metrics", "version": "0.1.0", "sha256": "ab".repeat(32), "abi": 1},
        "last_call_us": 31.2, "host_version": "0.1.0",
    });
    look(&mut state, Key::Status, &status, -1.0);
    for tick in 0..40 {
        let seen = (0..count).map(|number| {
            let mut value = result(16, tick + number * 7);
            // Some are busier than others.
            for cpu in 0..16 {
                let share = 0.3 + 0.7 * (number * 31 % 17) as f64 / 16.0;
                value[format!("avg-util-cpu{cpu}-60sec")] = json!(load(cpu, tick + number * 7) * share);
            }
            value["percent-memory-cache"] = json!(10.0 + (number * 13 % 40) as f64);
            let at = (tick as f64 - 39.0) * 5.0 - (number * 7 % 50) as f64 / 10.0;
            (machine(number), (Sight::Written(Ok(Figures::of(&document(&value)))), Moment(at)))
        });
        state.apply(Event::Machines(seen.collect()));
    }
    state.apply(Event::Matching(count));
    state
}

/// A machine's name.
pub fn machine(number: usize) -> String {
    format!("{}-{}", ["web", "db", "cache"][number % 3], number / 3 + 1)
}

/// A frame's time, `seconds` after the newest result of [`watching`].
pub fn at(seconds: f64) -> Time {
    Time { now: Moment(seconds), unix: START + seconds, zone: TimeZone::UTC }
}

/// The state, the time, and what the user did.
pub struct Scene {
    pub state: State,
    pub time: Time,
    pub actions: Vec<Action>,
}

/// How a scene is drawn.
pub struct Look {
    pub size: [f32; 2],
    pub scale: f32,
    /// Whether texts may hold characters that this program's own fonts lack.
    pub any_text: bool,
}

impl Default for Look {
    fn default() -> Look {
        Look { size: [1180.0, 820.0], scale: 1.0, any_text: false }
    }
}

/// A window that draws the scene; what the user does is done to the state.
pub fn window(state: State, time: Time, look: Look) -> Harness<'static, Scene> {
    let mut installed = false;
    let builder = Harness::builder().with_size(look.size).with_pixels_per_point(look.scale);
    let builder = if look.any_text { builder.allow_missing_glyphs() } else { builder };
    builder.build_ui_state(
        move |ui, scene: &mut Scene| {
            if !installed {
                ui::install(ui.ctx());
                installed = true;
            }
            // As the window is cleared.
            ui.painter().rect_filled(ui.ctx().viewport_rect(), 0.0, ui.visuals().panel_fill);
            for action in ui::draw(ui, &scene.state, &scene.time) {
                scene.actions.push(action.clone());
                scene.state.act(action, scene.time.now);
            }
        },
        Scene { state, time, actions: Vec::new() },
    )
}
