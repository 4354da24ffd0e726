//! A viewer without a window: what its connection tells, taken in by the real state.

use std::future::Future;
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use serde_json::json;
use store::testing::RedisServer;
use store::{Address, Commit, Credentials, Keys, Store};
use viewer::clock::Clock;
use viewer::connection::{Command, Connection, Variables};
use viewer::profile::{Profile, Secret, Target};
use viewer::state::{Action, Effect, Event, Found, Key, Phase, Progress, Settings, State, Step};

/// How long something may take that has to happen, on a machine that runs many tests at once.
const PATIENCE: Duration = Duration::from_secs(20);

/// How long a value may take to be seen.
pub const AT_ONCE: Duration = Duration::from_secs(1);

pub struct Seen {
    pub state: State,
    pub events: Vec<Event>,
    pub clock: Clock,
    connection: Connection,
    woken: Receiver<()>,
}

impl Seen {
    pub fn connecting(profile: Profile, secret: Secret, variables: Variables) -> Seen {
        Seen::connecting_to(profile.target(secret).unwrap(), variables)
    }

    pub fn connecting_to(target: Target, variables: Variables) -> Seen {
        let (wake, woken) = channel();
        let clock = Clock::new();
        let connection = Connection::start_with(clock.clone(), variables, move || {
            wake.send(()).ok();
        });
        let state = State::new(Settings::default(), Vec::new(), String::new());
        let mut seen = Seen { state, events: Vec::new(), clock, connection, woken };
        seen.connect_to(target);
        seen
    }

    pub fn connect(&mut self, profile: Profile, secret: Secret) {
        self.connect_to(profile.target(secret).unwrap());
    }

    fn connect_to(&mut self, target: Target) {
        self.state.watch(target.clone());
        self.events.clear();
        self.connection.send(Command::Connect(Box::new(target)));
    }

    pub fn send(&mut self, command: Command) {
        self.connection.send(command);
    }

    /// Does what the user wants to the state, and to the connection what follows of it.
    pub fn act(&mut self, action: Action) {
        for effect in self.state.act(action, self.clock.now()) {
            if let Effect::Machine(machine) = effect {
                self.connection.send(Command::Machine(machine));
            }
        }
    }

    /// Takes in what is told until `holds` does.
    #[track_caller]
    pub fn until(&mut self, what: &str, holds: impl Fn(&Seen) -> bool) {
        self.within(PATIENCE, what, holds);
    }

    #[track_caller]
    pub fn within(&mut self, time: Duration, what: &str, holds: impl Fn(&Seen) -> bool) {
        let deadline = Instant::now() + time;
        loop {
            while let Some(event) = self.connection.next_event() {
                self.events.push(event.clone());
                self.state.apply(event);
            }
            if holds(self) {
                return;
            }
            let left = deadline.saturating_duration_since(Instant::now());
            assert!(!left.is_zero(), "{what}: not within {time:?}; seen: {:#?}", tail(&self.events));
            // Also looked at now and then where the condition is not about events.
            self.woken.recv_timeout(left.min(Duration::from_millis(50))).ok();
        }
    }

    #[track_caller]
    pub fn until_live(&mut self) {
        self.until("live", |seen| seen.is_live() && seen.state.shown().output.found.is_some());
    }

    /// Commits a result and waits until it is seen; gives up after a second.
    #[track_caller]
    pub fn sees_at_once(&mut self, writer: &Writer, number: u64) {
        writer.commit(number);
        self.within(AT_ONCE, &format!("result {number}"), |seen| seen.number() == Some(number));
    }

    /// Commits results until one is seen: the connection that broke has recovered. Then the next one is seen at once.
    #[track_caller]
    pub fn recovers(&mut self, writer: &Writer, number: u64) {
        writer.commit(number);
        self.within(Duration::from_secs(15), "recovery", |seen| seen.is_live() && seen.number() == Some(number));
        self.sees_at_once(writer, number + 1);
        let times: Vec<f64> = self.state.history.rows().map(|(at, _)| at.0).collect();
        assert!(times.is_sorted(), "{times:?}");
    }

    /// `number` of the newest result.
    pub fn number(&self) -> Option<u64> {
        self.state.shown().output.document.as_ref()?.fields().get("number")?.as_u64()
    }

    pub fn is_live(&self) -> bool {
        matches!(self.state.phase, Phase::Live(_))
    }

    pub fn found(&self, key: Key) -> Option<&Found> {
        self.events.iter().rev().find_map(|event| match event {
            Event::Look { key: of, found, .. } if *of == key => Some(found),
            _ => None,
        })
    }

    /// Waits until a step has failed; gives why and the advice.
    #[track_caller]
    pub fn failed(&mut self, step: Step) -> (String, String) {
        let failed = |seen: &Seen| seen.attempts() > 0 && matches!(seen.step(step), Progress::Failed { .. });
        self.until("a failed step", failed);
        match self.step(step) {
            Progress::Failed { why, advice } => (why, advice),
            _ => unreachable!("it was waited for"),
        }
    }

    pub fn step(&self, step: Step) -> Progress {
        self.state.steps().into_iter().find(|(of, _)| *of == step).unwrap().1
    }

    /// How many attempts were begun.
    pub fn attempts(&self) -> usize {
        self.events.iter().filter(|event| **event == Event::Phase(Phase::Resolving)).count()
    }
}

fn tail(events: &[Event]) -> &[Event] {
    &events[events.len().saturating_sub(12)..]
}

/// A host that writes results, each with a number that grows.
pub struct Writer {
    runtime: tokio::runtime::Runtime,
    pub store: Store,
    pub keys: Keys,
}

impl Writer {
    pub fn of(url: &str) -> Writer {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let store = Store::new(Address::parse(url).unwrap(), Credentials::default());
        Writer { runtime, store, keys: Keys::of("out").unwrap() }
    }

    pub fn on(server: &RedisServer) -> Writer {
        Writer::of(&server.url())
    }

    /// The same for another output.
    pub fn to(self, output: &str) -> Writer {
        Writer { keys: Keys::of(output).unwrap(), ..self }
    }

    pub fn wait<T>(&self, future: impl Future<Output = Result<T, store::Error>>) -> T {
        self.runtime.block_on(future).unwrap()
    }

    /// Commits a result, as a host does.
    pub fn commit(&self, number: u64) {
        self.commit_with(number, "");
    }

    /// The same, with text that makes it larger.
    pub fn commit_with(&self, number: u64, text: &str) {
        let output = json!({ "number": number, "percent-memory-cache": 15.5, "timestamp": number, "text": text });
        let output = output.to_string();
        let deadline = Instant::now() + PATIENCE;
        // A server that has just started may refuse for a moment.
        while let Err(error) = self.runtime.block_on(self.try_commit(output.as_bytes())) {
            assert!(Instant::now() < deadline, "{error}");
        }
    }

    async fn try_commit(&self, output: &[u8]) -> Result<(), store::Error> {
        let sequence = self.store.saved(&self.keys).await?.map_or(0, |saved| saved.sequence);
        let commit = Commit {
            keys: &self.keys,
            sequence,
            outputs: vec![output],
            env: b"{}",
            last_event: "sha256:00",
            handler: "handler",
            plugin_version: "0.1.0",
            saved_at: "2026-01-31T12:00:00Z",
            history_length: 720,
            output_stream: None,
            taken: None,
            dead: None,
            replayed: None,
        };
        self.store.commit(&commit).await.map(|_| ())
    }
}

/// A profile for the writer's keys.
pub fn profile(store: &str, ssh: &str) -> Profile {
    Profile {
        ssh: ssh.to_owned(),
        store: store.to_owned(),
        output_key: "out".to_owned(),
        input_key: "in".to_owned(),
        ..Profile::default()
    }
}
