//! Joins the parts: what comes from the connection goes into the state, what the user wants goes out again.

use std::path::PathBuf;
use std::time::Duration;

use eframe::egui;
use jiff::tz::TimeZone;
use store::Tls;

use crate::clock::Clock;
use crate::connection::{Command, Connection};
use crate::export::Contents;
use crate::files::{Files, Job, Told};
use crate::kept::Kept;
use crate::profile::Profile;
use crate::replay::{Recording, Replay};
use crate::screenshot::Screenshot;
use crate::state::{Action, Effect, Format, Login, Phase, State, View};
use crate::ui::{self, Time};

/// The most events taken in for one frame, so that a flood of them doesn't stop the drawing.
const MOST_EVENTS: usize = 2_000;

/// How long a frame waits for more of what comes together: result, input and status are written one after the other.
const TOGETHER: Duration = Duration::from_millis(40);

/// What the viewer is to do at its start.
pub struct Start {
    /// What is kept from the last time.
    pub kept: Kept,
    /// Where that is kept; none: nowhere.
    pub kept_file: Option<PathBuf>,
    /// What went wrong so far, for the user to know.
    pub notice: Option<String>,
    /// What to do first.
    pub first: First,
    /// User and password of the environment.
    pub login: Login,
    /// The files for `rediss://`.
    pub tls: Tls,
    /// The page to begin with.
    pub view: View,
    /// Where to write a picture, and then end.
    pub screenshot: Option<PathBuf>,
    /// Where exports go unless another file is named.
    pub export_path: String,
}

/// What to do first.
pub enum First {
    /// Show the form.
    Form,
    /// Connect.
    Connect(Box<Profile>),
    /// Play a recorded file, so many times as fast.
    Replay(Recording, f64),
}

/// The window's program.
pub struct App {
    state: State,
    clock: Clock,
    zone: TimeZone,
    source: Source,
    files: Files,
    kept_file: Option<PathBuf>,
    tls: Tls,
    screenshot: Option<Screenshot>,
    ctx: egui::Context,
}

/// Where the events come from.
enum Source {
    Store(Connection),
    /// With how many results it has.
    Replay(Replay, usize),
}

impl App {
    /// Starts connection and files, and does what is to be done first.
    pub fn new(ctx: &egui::Context, start: Start) -> App {
        ui::install(ctx);
        let wake = waker(ctx);
        let clock = Clock::new();
        let state = State::new(start.kept.settings, start.kept.profiles, start.export_path);
        let mut app = App {
            state,
            source: Source::Store(Connection::start(clock.clone(), wake.clone())),
            clock,
            zone: TimeZone::system(),
            files: Files::start(wake),
            kept_file: start.kept_file,
            tls: start.tls,
            screenshot: start.screenshot.map(Screenshot::new),
            ctx: ctx.clone(),
        };
        app.state.view = start.view;
        app.state.login = start.login;
        app.state.form = app.state.login.form(Profile::default());
        match start.first {
            First::Form => app.state.view = View::Connection,
            First::Replay(recording, speed) => app.play(recording, speed),
            First::Connect(profile) => {
                app.state.form = app.state.login.form(*profile);
                app.act(Action::Connect);
                if app.state.form_faults.is_empty() {
                    app.state.view = start.view;
                }
            }
        }
        if let Some(notice) = start.notice {
            app.state.notify(notice, app.clock.now());
        }
        app
    }

    fn take_in(&mut self) {
        for _ in 0..MOST_EVENTS {
            let event = match &mut self.source {
                Source::Store(connection) => connection.next_event(),
                Source::Replay(replay, _) => replay.next_event(),
            };
            match event {
                Some(event) => self.state.apply(event),
                None => return,
            }
        }
        self.ctx.request_repaint();
    }

    fn act(&mut self, action: Action) {
        for effect in self.state.act(action, self.clock.now()) {
            self.effect(effect);
        }
    }

    fn effect(&mut self, effect: Effect) {
        match effect {
            Effect::Connect(mut target) => {
                target.address = target.address.with_tls(self.tls.clone());
                if matches!(self.source, Source::Replay(..)) {
                    self.clock = Clock::new();
                    self.source = Source::Store(Connection::start(self.clock.clone(), waker(&self.ctx)));
                }
                self.command(Command::Connect(target));
            }
            Effect::Retry => self.command(Command::Retry),
            Effect::Disconnect => self.command(Command::Disconnect),
            Effect::Machine(machine) => self.command(Command::Machine(machine)),
            Effect::Keep(choice) => {
                if let Some(file) = &self.kept_file {
                    self.files.ask(Job::Keep(file.clone(), choice));
                }
            }
            Effect::Export(format, path) => {
                let contents = match format {
                    Format::Csv => Contents::numbers(&self.state.history, |moment| self.clock.wall(moment)),
                    Format::JsonLines => Contents::results(&self.state.records, |moment| self.clock.wall(moment)),
                };
                self.files.ask(Job::Export(path, contents));
            }
            Effect::Replay(path) => self.files.ask(Job::Open(path)),
        }
    }

    fn command(&self, command: Command) {
        if let Source::Store(connection) = &self.source {
            connection.send(command);
        }
    }

    fn play(&mut self, recording: Recording, speed: f64) {
        self.state.begin_replay(recording.period());
        let results = recording.len();
        let replay = Replay::start(recording, speed, waker(&self.ctx));
        self.clock = replay.clock();
        self.source = Source::Replay(replay, results);
    }

    fn time(&self) -> Time {
        let now = self.clock.now();
        let unix = self.clock.wall(now).duration_since(std::time::UNIX_EPOCH).unwrap_or_default().as_secs_f64();
        Time { now, unix, zone: self.zone.clone() }
    }
}

impl eframe::App for App {
    /// Runs also while the window is hidden, so that what comes meanwhile is not lost.
    fn logic(&mut self, ctx: &egui::Context, _frame: &mut eframe::Frame) {
        self.take_in();
        while let Some(told) = self.files.next_told() {
            match told {
                Told::Words(words) => self.state.notify(words, self.clock.now()),
                Told::Opened(recording) => self.play(*recording, 1.0),
            }
        }
        let dropped = ctx.input(|input| input.raw.dropped_files.first().map(|file| file.path().to_owned()));
        if let Some(path) = dropped {
            self.act(Action::Replay(path));
        }
    }

    fn clear_color(&self, visuals: &egui::Visuals) -> [f32; 4] {
        visuals.panel_fill.to_normalized_gamma_f32()
    }

    fn ui(&mut self, ui: &mut egui::Ui, _frame: &mut eframe::Frame) {
        let time = self.time();
        for action in ui::draw(ui, &self.state, &time) {
            self.act(action);
        }
        // Ages are told in seconds; where there are none, nothing moves until something happens. The next result of a
        // handler that is called every so many seconds comes just when the age would grow: one frame does for both.
        if let Some(seconds) = self.state.moves_in(time.now) {
            ui.ctx().request_repaint_after(Duration::from_secs_f64(seconds) + 2 * TOGETHER);
        }
        if let Some(screenshot) = &mut self.screenshot {
            let settled = match (&self.source, &self.state.phase) {
                // Nearly at its end, with something to see and while it is not yet old.
                (Source::Replay(_, results), _) => self.state.history.len() + 2 >= *results,
                (_, Phase::Retrying { .. } | Phase::NeedsYou) => true,
                _ if self.state.lists_machines() => !self.state.fleet.is_empty(),
                _ => self.state.shown().output.found.is_some(),
            };
            screenshot.advance(ui.ctx(), settled);
        }
    }
}

fn waker(ctx: &egui::Context) -> impl Fn() + Clone + Send + Sync + 'static {
    let ctx = ctx.clone();
    // What is written together comes together: one frame for all of it.
    move || ctx.request_repaint_after(TOGETHER)
}
