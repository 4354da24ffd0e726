//! All that is shown, and the two ways in which it changes: what the connection tells, and what the user wants. No
//! clock, file or network in here.

mod action;
mod event;
mod fleet;
mod login;
mod records;
mod settings;
mod shown;
mod standing;
mod steps;

use crate::model::{Document, Fleet, Freshness, History, HostStatus, Moment, USUAL_PERIOD};
use crate::profile::{Profile, Secret, Target};

pub use action::{Action, Chart, Choice, Effect, Form, Format, List, View};
pub use event::{Event, Follow, Found, Key, Phase, Progress, Step};
pub use login::Login;
pub use records::Records;
pub use settings::{Order, Palette, Settings, Theme};
pub use shown::Shown;
pub use standing::Standing;

/// How long a notice is shown, in seconds.
const NOTICE_SECONDS: f64 = 8.0;

/// All that is shown.
#[derive(Debug, Clone)]
pub struct State {
    /// What is connected to, or was last.
    pub target: Option<Target>,
    /// How the connection is doing.
    pub phase: Phase,
    /// The newest values; while the display is frozen they go on underneath.
    current: Snapshot,
    /// What was shown when the display was frozen.
    frozen: Option<Box<Snapshot>>,
    /// Numbers of past results.
    pub history: History,
    /// Past results as they came.
    pub records: Records,
    /// With a pattern: its machines.
    pub fleet: Fleet,
    /// Counts the histories and lists that were begun: what is kept of one must not be drawn for another.
    epoch: u64,
    /// With a pattern: how many keys match it, once all were looked through.
    matching: Option<usize>,
    /// With a pattern: the machine that is opened.
    opened: Option<Opened>,
    /// How the list of machines is looked at.
    pub list: List,
    /// The page.
    pub view: View,
    /// The user's choices.
    pub settings: Settings,
    /// What is typed into the form.
    pub form: Form,
    /// What is wrong with the form.
    pub form_faults: Vec<String>,
    /// What the environment says of user and password.
    pub login: Login,
    /// Saved profiles.
    pub profiles: Vec<Profile>,
    /// The text that tables are searched for.
    pub search: String,
    /// How the history is looked at.
    pub chart: Chart,
    /// What lies over the page.
    pub over: Option<Over>,
    /// Where an export goes.
    pub export_path: String,
    /// Seconds between a recording's results, while one is played.
    replayed: Option<f64>,
    /// Seconds between results, as the host has said last: it holds when the status has gone with its host.
    host_period: Option<f64>,
    notice: Option<Notice>,
    connecting: [Progress; 3],
    /// The connection was lost since the newest result.
    interrupted: bool,
    /// Nothing has been read since the connection was made.
    fresh_connection: bool,
    /// The newest result of the store's history, and when it was written.
    past: Option<(Moment, Document)>,
}

/// What lies over the page.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Over {
    /// The keys.
    Help,
    /// The settings.
    Settings,
    /// Where to export to.
    Export,
}

/// What is shown of the three keys.
#[derive(Debug, Clone, Default)]
pub struct Snapshot {
    /// The newest result.
    pub output: Shown,
    /// The raw input.
    pub input: Shown,
    /// What the host says of itself.
    pub host: Option<HostStatus>,
    /// When it was frozen; none while it is live.
    pub frozen_at: Option<Moment>,
}

/// A machine of the pattern that is looked at by itself.
#[derive(Debug, Clone)]
struct Opened {
    name: String,
    target: Target,
    /// What the connection tells is of it by now, not of the one before.
    told: bool,
}

/// A sentence that goes by itself.
#[derive(Debug, Clone)]
struct Notice {
    text: String,
    until: Moment,
}

impl State {
    /// Nothing is connected yet.
    pub fn new(settings: Settings, profiles: Vec<Profile>, export_path: String) -> State {
        State {
            target: None,
            phase: Phase::Idle,
            current: Snapshot::default(),
            frozen: None,
            history: History::default(),
            records: Records::default(),
            fleet: Fleet::default(),
            epoch: 0,
            matching: None,
            opened: None,
            list: List::default(),
            view: View::Overview,
            settings,
            form: Form::default(),
            form_faults: Vec::new(),
            login: Login::default(),
            profiles,
            search: String::new(),
            chart: Chart::default(),
            over: None,
            export_path,
            replayed: None,
            host_period: None,
            notice: None,
            connecting: Default::default(),
            interrupted: false,
            fresh_connection: true,
            past: None,
        }
    }

    /// What is shown: the newest values, or those of when the display was frozen.
    pub fn shown(&self) -> &Snapshot {
        self.frozen.as_deref().unwrap_or(&self.current)
    }

    /// The time that ages are told for: now, or when the display was frozen.
    pub fn time(&self, now: Moment) -> Moment {
        self.shown().frozen_at.unwrap_or(now)
    }

    /// Seconds between results: the user's word, else the host's, else 5.
    pub fn period(&self) -> f64 {
        let said = self.target.as_ref().and_then(|target| target.period);
        said.or(self.replayed).or(self.host_period).unwrap_or(USUAL_PERIOD)
    }

    /// Another number for another history or list of machines than before.
    pub fn epoch(&self) -> u64 {
        self.epoch
    }

    /// Whether the result may be taken for what is now.
    pub fn freshness(&self, now: Moment) -> Option<Freshness> {
        self.shown().output.freshness(self.time(now), self.period())
    }

    /// What is told for a few seconds.
    pub fn notice(&self, now: Moment) -> Option<&str> {
        self.notice.as_ref().filter(|notice| now < notice.until).map(|notice| notice.text.as_str())
    }

    /// Tells something for a few seconds.
    pub fn notify(&mut self, text: String, now: Moment) {
        self.notice = Some(Notice { text, until: now + NOTICE_SECONDS });
    }

    /// Takes in what the connection tells.
    pub fn apply(&mut self, event: Event) {
        match event {
            Event::Phase(phase) => self.enter(phase),
            Event::Step(step, progress) => {
                if let Some(place) = Step::ALL.iter().position(|known| *known == step)
                    && let Some(slot) = self.connecting.get_mut(place)
                {
                    *slot = progress;
                }
            }
            Event::Machines(machines) => {
                for (name, (sight, at)) in machines {
                    self.fleet.take(&name, sight, at);
                }
            }
            Event::Present(names) => self.fleet.retain(&names),
            Event::Matching(keys) => self.matching = Some(keys),
            Event::Opened(output_key) => self.begin_to_tell(output_key.as_deref()),
            Event::Past(_) | Event::Look { key: Key::Output | Key::Input, .. } if !self.is_told() => {}
            Event::Past(entries) => self.take_past(entries),
            Event::Look { key: Key::Output, found, at } => self.take_output(found, at),
            Event::Look { key: Key::Input, found, at } => {
                self.current.input.take(found, at, None);
            }
            Event::Look { key: Key::Status, found, .. } => {
                self.current.host = match found {
                    Found::Document(document) => HostStatus::read(document.bytes()),
                    _ => None,
                };
                if let Some(host) = &self.current.host {
                    self.host_period = host.usable_period();
                }
            }
        }
    }

    fn enter(&mut self, phase: Phase) {
        let was_live = matches!(self.phase, Phase::Live(_));
        let is_live = matches!(phase, Phase::Live(_));
        if was_live && !is_live {
            self.interrupted = true;
        }
        if is_live && !was_live {
            self.fresh_connection = true;
        }
        if matches!(phase, Phase::Resolving) {
            self.connecting = Default::default();
        }
        if matches!(phase, Phase::NeedsYou) {
            self.view = View::Connection;
        }
        self.phase = phase;
    }

    fn take_past(&mut self, entries: Vec<(Moment, Document)>) {
        // What came live before the connection broke stands in the store's history too, at about the same time.
        let known = self.current.output.document.clone();
        let from = entries
            .iter()
            .rposition(|(_, document)| known.as_ref().is_some_and(|known| known.bytes() == document.bytes()))
            .map_or(0, |place| place + 1);
        self.past = entries.last().cloned();
        for (at, document) in entries.into_iter().skip(from) {
            self.record(at, &document);
        }
    }

    fn take_output(&mut self, found: Found, at: Moment) {
        let first = std::mem::replace(&mut self.fresh_connection, false);
        let past = self.past.take().filter(|_| first);
        let (written, recorded) = match (&found, past) {
            (Found::Document(document), Some((written, last))) if last.bytes() == document.bytes() => {
                (Some(written), true)
            }
            // What comes while one looks has just been written; what was there before may be of any age.
            _ if !first => (Some(at), false),
            _ => (None, false),
        };
        if self.current.output.take(found, at, written)
            && !recorded
            && let Some(document) = self.current.output.document.clone()
        {
            self.record(at, &document);
        }
    }

    fn record(&mut self, at: Moment, document: &Document) {
        if self.history.newest().is_some_and(|newest| at <= newest) {
            return;
        }
        let fields = document.fields();
        let numbers = fields.iter().filter_map(|(name, value)| Some((name.as_str(), value.as_f64()?)));
        // Known figures first, since only so many fields are kept.
        let (known, others): (Vec<_>, Vec<_>) = numbers.partition(|(name, _)| crate::model::Reading::knows(name));
        self.history.push(at, self.interrupted, known.into_iter().chain(others));
        self.records.push(at, document);
        self.interrupted = false;
    }

    /// Does what the user wants; gives what follows outside the state.
    pub fn act(&mut self, action: Action, now: Moment) -> Vec<Effect> {
        match action {
            Action::Show(view) => self.view = view,
            Action::Edit(form) => {
                self.form = form;
                self.form_faults.clear();
            }
            Action::Connect => return self.connect(),
            Action::Open(profile) => {
                let form = self.login.form(profile);
                // What was typed for the same profile holds.
                if form.profile != self.form.profile {
                    self.form = form;
                }
                return self.connect();
            }
            Action::Save => {
                let profile = Profile { name: self.form.profile.title(), ..self.form.profile.clone() };
                if let Err(faults) = profile.target(Secret::None) {
                    self.form_faults = faults;
                    return Vec::new();
                }
                self.form.profile = profile.clone();
                return self.choose(Choice::Save(profile));
            }
            Action::Remove(name) => return self.choose(Choice::Remove(name)),
            // A recording has ended the connection; the form still says where to.
            Action::Retry if self.is_replaying() => return self.connect(),
            Action::Retry => return if self.target.is_some() { vec![Effect::Retry] } else { Vec::new() },
            Action::Disconnect => return vec![Effect::Disconnect],
            Action::ToggleFreeze => self.toggle_freeze(now),
            Action::Set(settings) => {
                self.settings = settings.in_order();
                return vec![Effect::Keep(Choice::Set(self.settings))];
            }
            Action::Try(settings) => self.settings = settings.in_order(),
            Action::Toggle(over) => self.over = if self.over == Some(over) { None } else { Some(over) },
            Action::Search(text) => self.search = text,
            Action::Chart(chart) => self.chart = chart,
            Action::ExportPath(path) => self.export_path = path,
            Action::Export(format) => {
                self.over = None;
                return vec![Effect::Export(format, format.named(self.export_path.trim().into()))];
            }
            Action::List(list) => self.list = list,
            Action::OpenMachine(name) => return self.open_machine(name, now),
            Action::CloseMachine => return self.close_machine(),
            Action::Replay(path) => return vec![Effect::Replay(path)],
            Action::Dismiss => self.over = None,
        }
        Vec::new()
    }

    fn choose(&mut self, choice: Choice) -> Vec<Effect> {
        choice.change(&mut self.profiles);
        vec![Effect::Keep(choice)]
    }

    fn connect(&mut self) -> Vec<Effect> {
        match self.form.profile.target(self.form.secret.clone()) {
            Ok(target) => {
                self.watch(target.clone());
                let last = Choice::Last(target.profile.clone());
                vec![Effect::Connect(Box::new(target)), Effect::Keep(last)]
            }
            Err(faults) => {
                self.form_faults = faults;
                self.view = View::Connection;
                Vec::new()
            }
        }
    }

    /// Begins anew with another target; what was seen of the one before is gone, unless it is the same place.
    pub fn watch(&mut self, target: Target) {
        let same = self.target.as_ref().is_some_and(|before| {
            let place = |target: &Target| {
                (target.ssh.clone(), target.address.to_string(), target.keys.output.clone(), target.input_key.clone())
            };
            place(before) == place(&target)
        });
        if !same {
            self.forget_results();
            self.current.host = None;
            self.host_period = None;
            self.fleet = Fleet::default();
            self.list = List::default();
        }
        if self.opened.take().is_some() {
            self.forget_results();
        }
        self.matching = None;
        self.past = None;
        self.replayed = None;
        self.form = Form { profile: target.profile.clone(), secret: target.secret.clone() };
        self.form_faults.clear();
        self.target = Some(target);
        self.interrupted = true;
        self.view = View::Overview;
    }

    fn forget_results(&mut self) {
        self.current = Snapshot { host: self.current.host.take(), ..Snapshot::default() };
        self.frozen = None;
        self.history = History::default();
        self.records = Records::default();
        self.past = None;
        self.fresh_connection = true;
        self.epoch += 1;
    }

    /// Begins to show a recording, whose results are `period` seconds apart.
    pub fn begin_replay(&mut self, period: f64) {
        let before = std::mem::replace(self, State::new(self.settings, Vec::new(), String::new()));
        *self = State {
            view: before.view,
            epoch: before.epoch + 1,
            replayed: Some(period),
            form: before.form,
            login: before.login,
            ..State::new(before.settings, before.profiles, before.export_path)
        };
    }

    /// Whether a recording is shown; there is no connection then.
    pub fn is_replaying(&self) -> bool {
        self.replayed.is_some()
    }

    /// In how many seconds what is shown changes with time alone: when the age of the result is a second more, or the
    /// wait for the next attempt a second less. None where nothing moves.
    pub fn moves_in(&self, now: Moment) -> Option<f64> {
        if let Phase::Retrying { at } = self.phase {
            return Some(1.0 - (now - at).rem_euclid(1.0));
        }
        if self.lists_machines() {
            return (!self.fleet.is_empty() || self.notice(now).is_some()).then_some(1.0);
        }
        // While the display is frozen, too: the word for the connection goes by what comes underneath.
        match self.current.output.age(now) {
            Some(age) => Some(1.0 - age.fract()),
            None => self.notice(now).map(|_| 1.0),
        }
    }

    fn toggle_freeze(&mut self, now: Moment) {
        self.frozen = match self.frozen.take() {
            Some(_) => None,
            None => Some(Box::new(Snapshot { frozen_at: Some(now), ..self.current.clone() })),
        };
    }
}
