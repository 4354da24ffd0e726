//! One connection from its beginning to its end: it connects, logs in, and hands over to what follows.

use std::cell::Cell;
use std::sync::Arc;
use std::time::Duration;

use store::{Access, Cause, Credentials, Error, Options, Password, Store, Watch};
use tokio::time::Instant;

use super::fault::{Fault, Then};
use super::follow::{FIRST_ANSWER_WITHIN, HEARTBEAT, Live, Opened, asleep};
use super::queue::Feed;
use super::ssh::{Ssh, Variables};
use crate::clock::Clock;
use crate::profile::{Secret, Target};
use crate::state::{Event, Follow, Phase, Progress, Step};

/// The longest that a login may take, with all that has to be typed for it: SSH servers give it 2 minutes.
const LONGEST_LOGIN: Duration = Duration::from_secs(300);

/// How long it may take to connect and log in where nobody is asked meanwhile.
const CONNECT_WITHIN: Duration = Duration::from_secs(5);

/// A connection to be.
pub(super) struct Session<'a> {
    pub target: &'a Target,
    /// With a pattern: the machine that is opened.
    pub machine: &'a Opened,
    pub feed: &'a Feed,
    pub clock: &'a Clock,
    pub variables: &'a Variables,
    /// Whether the server may tell of writes: false once it has refused to, since each attempt costs a login.
    pub push: &'a Cell<bool>,
}

/// Why it is over.
pub(super) enum Ending {
    /// It can be tried again.
    Broken {
        /// For how long it was live.
        lived: Duration,
    },
    /// It can't go on without the user.
    NeedsYou,
}

impl Session<'_> {
    pub async fn run(&self) -> Ending {
        self.feed.tell(Event::Phase(Phase::Resolving));
        let ssh = self.target.ssh.as_ref();
        let ssh = ssh.map(|alias| Arc::new(Ssh::new(alias, &self.target.address, self.variables)));
        let connected = tokio::select! {
            connected = self.connect(ssh.as_ref()) => connected,
            fault = self.runs_out() => Err(fault),
        };
        let mut live = match connected {
            Ok(live) => live,
            Err(fault) => return self.end(fault, Duration::ZERO),
        };
        let follow = if live.watch.is_some() { Follow::Push } else { Follow::Poll };
        self.feed.tell(Event::Phase(Phase::Live(follow)));
        let began = Instant::now();
        let followed = match &self.target.pattern {
            Some(pattern) => self.follow_fleet(&mut live, pattern).await,
            None => self.follow(&mut live).await,
        };
        let error = match followed {
            Ok(never) => match never {},
            Err(error) => error,
        };
        let lived = began.elapsed();
        // Whatever `ssh` said last explains more than a connection that ended.
        drop(live);
        let fault = match &ssh {
            Some(ssh) => ssh.fault().await,
            None => None,
        };
        self.end(fault.unwrap_or(error), lived)
    }

    /// Ends once an attempt to connect leads nowhere any more: the machine has slept, or it takes longer than any login.
    /// How long a login takes is otherwise for `ssh`, and for who types, to decide.
    async fn runs_out(&self) -> Fault {
        let (began, slept) = (Instant::now(), self.clock.slept());
        while began.elapsed() < LONGEST_LOGIN {
            tokio::time::sleep(HEARTBEAT).await;
            if self.clock.slept() > slept {
                return asleep();
            }
        }
        let why = format!("nothing has come back for {} s", LONGEST_LOGIN.as_secs());
        Fault::new(
            Step::Ssh,
            Then::Retry,
            &why,
            "See whether ssh waits for an answer in a dialog, or the server hangs.",
        )
    }

    fn end(&self, fault: Fault, lived: Duration) -> Ending {
        self.step(fault.step, fault.progress());
        match fault.then {
            Then::Retry => Ending::Broken { lived },
            Then::NeedsYou => Ending::NeedsYou,
        }
    }

    fn step(&self, step: Step, progress: Progress) {
        self.feed.tell(Event::Step(step, progress));
    }

    async fn connect(&self, ssh: Option<&Arc<Ssh>>) -> Result<Live, Fault> {
        let through = match ssh {
            Some(ssh) => {
                self.step(Step::Ssh, Progress::Running("asking ssh what the name stands for".to_owned()));
                let through = ssh.resolve().await?;
                self.step(Step::Ssh, Progress::Running(format!("connecting to {through}")));
                through
            }
            None => {
                self.step(Step::Ssh, Progress::Skipped);
                String::new()
            }
        };
        let address = self.target.address.to_string();
        if let Some(file) = self.target.address.file() {
            self.step(Step::Login, Progress::Skipped);
            if !file.is_file() {
                let why = format!("there is no file {}", file.display());
                let advice = "It comes into being with the first run of plugin-host on it, dev or run.";
                return Err(Fault::new(Step::Reach, Then::Retry, &why, advice));
            }
        }
        self.feed.tell(Event::Phase(Phase::Authenticating));
        if ssh.is_none() {
            self.step(Step::Reach, Progress::Running(format!("connecting to {address}")));
        }
        let (store, watch) = match self.open(ssh).await {
            Ok(opened) => opened,
            Err(error) => {
                let said = match ssh {
                    Some(ssh) => ssh.fault().await,
                    None => None,
                };
                let fault = said.unwrap_or_else(|| Fault::of_store(&error));
                self.done_before(fault.step, &through, &address);
                return Err(fault);
            }
        };
        self.done_before(Step::Key, &through, &address);
        let (machine, opened, slept) = (None, self.machine.clone(), self.clock.slept());
        Ok(Live { store, watch, machine, opened, told: Default::default(), host_period: None, slept })
    }

    /// Tells that the steps before `step` are done.
    fn done_before(&self, step: Step, through: &str, address: &str) {
        if !through.is_empty() && step > Step::Ssh {
            self.step(Step::Ssh, Progress::Done(through.to_owned()));
        }
        if step > Step::Reach {
            self.step(Step::Reach, Progress::Done(format!("{address} answers")));
        }
        if step > Step::Login && self.target.address.file().is_none() {
            let user = self.target.username.as_deref().unwrap_or("the server's default user");
            self.step(Step::Login, Progress::Done(format!("as {user}")));
        }
    }

    /// Connects and logs in; with a watch, if the server has it.
    async fn open(&self, ssh: Option<&Arc<Ssh>>) -> Result<(Store, Option<Watch>), Error> {
        let password = match &self.target.secret {
            Secret::None => None,
            Secret::Text(text) => Some(Password::Text(text.clone())),
            Secret::File(path) => Some(Password::File(path.clone())),
        };
        let options = Options {
            credentials: Credentials { username: self.target.username.clone(), password },
            transport: ssh.map(|ssh| ssh.clone() as Arc<dyn store::Transport>),
            // Through ssh the first bytes of TLS wait for whoever types a password.
            connect_within: if ssh.is_some() && self.target.address.is_tls() { LONGEST_LOGIN } else { CONNECT_WITHIN },
            // Each question has a limit of its own, below this one.
            answer_within: FIRST_ANSWER_WITHIN,
            access: Access::Existing,
        };
        let store = Store::with(self.target.address.clone(), options);
        let keys = [&self.target.keys.output, &self.target.input_key, &self.target.keys.status];
        if self.push.get() {
            let watch = match &self.target.pattern {
                Some(pattern) => store.watch_prefix(&pattern.prefix).await,
                None => store.watch(&keys.map(String::as_str)).await,
            };
            match watch {
                Ok(watch) => return Ok((store, Some(watch))),
                Err(error) if matches!(error.cause, Cause::Unsupported(_)) => self.push.set(false),
                Err(error) => return Err(error),
            }
        }
        store.ping().await?;
        Ok((store, None))
    }
}
