//! What supervisor and worker tell each other: a JSON object a line, over the socket that is the worker's standard input.

use std::collections::HashMap;
use std::io::{BufRead, BufReader, Write};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

use anyhow::{Context, Result};
use rustix::process::{Signal, getpid, kill_process};
use serde::{Deserialize, Serialize};
use tokio::sync::watch;

use crate::flight::{Place, Slot};
use crate::portion::Portion;
use crate::status::{Board, Snapshot};

/// What the supervisor tells.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Order {
    /// The first line: what the worker begins with.
    Begin(Box<Beginning>),
    /// This host holds the lease: work.
    Go,
    /// How is it going?
    Tell,
}

/// What a worker begins with.
#[derive(Debug, Serialize, Deserialize)]
pub struct Beginning {
    /// Where what is in flight stands.
    pub flights: Place,
    /// The events that ended workers before it.
    pub suspects: Vec<Suspect>,
    /// What was counted before.
    pub counted: Option<Snapshot>,
    /// Something ended the worker before it, perhaps that it read too much at once.
    pub cautious: bool,
    /// How many bytes it may allocate.
    pub memory_limit: Option<u64>,
}

/// An event that was in flight when a worker ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Suspect {
    /// Its key, as [`key_number`](crate::flight::key_number) gives it.
    pub key: u64,
    /// Its identity.
    pub id: String,
    /// How often it was called.
    pub attempts: u32,
    /// How the worker ended.
    pub reason: String,
}

/// What the worker tells.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Report {
    /// The plugin is loaded: it can go.
    Loaded,
    /// It can't begin, and why.
    Refused(String),
    /// How it is going.
    Now(Box<Snapshot>),
    /// A new version of the plugin is there, which needs a process of its own.
    NewVersion,
    /// A suspect was committed or set aside.
    Settled {
        /// Its key.
        key: u64,
        /// Its identity.
        id: String,
    },
}

/// The worker's end.
#[derive(Clone)]
pub struct Link {
    socket: Arc<Mutex<UnixStream>>,
}

impl Link {
    /// Takes over standard input, where the supervisor's first line is awaited, and leaves nothing there.
    ///
    /// # Errors
    ///
    /// There is no supervisor.
    pub fn take() -> Result<(Link, Beginning, BufReader<UnixStream>)> {
        let nobody = "this command is the supervisor's own: start plugin-host run";
        let socket: OwnedFd = rustix::io::fcntl_dupfd_cloexec(std::io::stdin(), 3).context(nobody)?;
        let nothing = std::fs::File::open("/dev/null").context("can't open /dev/null")?;
        rustix::stdio::dup2_stdin(nothing).context("can't let go of standard input")?;
        let socket = UnixStream::from(socket);
        let mut lines = BufReader::new(socket.try_clone().context(nobody)?);
        let mut first = String::new();
        lines.read_line(&mut first).context(nobody)?;
        match serde_json::from_str(&first).context(nobody)? {
            Order::Begin(beginning) => Ok((Link { socket: Arc::new(Mutex::new(socket)) }, *beginning, lines)),
            _ => anyhow::bail!(nobody),
        }
    }

    /// Does what the supervisor says, on a thread of its own, since the worker's may be in a call. Without supervisor
    /// there is no worker: it ends at once, as another one may begin.
    ///
    /// # Errors
    ///
    /// The thread can't be started.
    pub fn obey(&self, lines: BufReader<UnixStream>, board: Arc<Board>, go: watch::Sender<bool>) -> Result<()> {
        let link = self.clone();
        let obey = move || {
            for line in lines.lines().map_while(Result::ok) {
                match serde_json::from_str(&line) {
                    Ok(Order::Go) => {
                        go.send_replace(true);
                    }
                    Ok(Order::Tell) => link.report(&Report::Now(Box::new(board.snapshot()))),
                    Ok(Order::Begin(_)) | Err(_) => {}
                }
            }
            end_at_once();
        };
        thread::Builder::new().name("control".to_owned()).spawn(obey).context("can't start a thread")?;
        Ok(())
    }

    /// Tells the supervisor; without one this process ends soon anyway.
    pub fn report(&self, report: &Report) {
        let Ok(mut line) = serde_json::to_vec(report) else { return };
        line.push(b'\n');
        self.socket.lock().unwrap_or_else(PoisonError::into_inner).write_all(&line).ok();
    }
}

/// Ends this process without running anything more of it, handlers' own code at the end included.
fn end_at_once() {
    kill_process(getpid(), Signal::KILL).ok();
}

/// What a worker has of its supervisor; nothing where there is none.
#[derive(Clone, Default)]
pub struct Supervision {
    link: Option<Link>,
    flights: Option<Place>,
    suspects: Vec<Suspect>,
    cautious: bool,
}

impl Supervision {
    /// What the supervisor gave.
    pub fn new(link: Link, flights: Place, suspects: Vec<Suspect>, cautious: bool) -> Supervision {
        Supervision { link: Some(link), flights: Some(flights), suspects, cautious }
    }

    /// How much is read at once: up to so many values; one at first where the worker before may have died of it.
    pub fn portion(&self, most: usize) -> Portion {
        if self.cautious { Portion::growing(most) } else { Portion::new(most) }
    }

    /// The slot of a thread.
    ///
    /// # Errors
    ///
    /// It can't be mapped.
    pub fn slot(&self, number: usize) -> Result<Slot> {
        self.flights.as_ref().map_or_else(|| Ok(Slot::default()), |place| Slot::open(place, number))
    }

    /// The events that ended workers before this one.
    pub fn suspects(&self) -> Suspects {
        let key = |suspect: &Suspect| (suspect.key, suspect.id.clone());
        let by_event = self.suspects.iter().map(|suspect| (key(suspect), suspect.clone())).collect();
        Suspects { by_event, link: self.link.clone() }
    }

    /// Tells the supervisor.
    pub fn report(&self, report: &Report) {
        if let Some(link) = &self.link {
            link.report(report);
        }
    }
}

/// The suspects of a worker, by key and identity.
#[derive(Default)]
pub struct Suspects {
    by_event: HashMap<(u64, String), Suspect>,
    link: Option<Link>,
}

impl Suspects {
    /// Whether there are none, as nearly always.
    pub fn is_empty(&self) -> bool {
        self.by_event.is_empty()
    }

    /// Whether an event of this key is among them.
    pub fn has_key(&self, key: u64) -> bool {
        self.by_event.keys().any(|(of, _)| *of == key)
    }

    /// What is known of an event.
    pub fn of(&self, key: u64, id: &str) -> Option<&Suspect> {
        if self.is_empty() { None } else { self.by_event.get(&(key, identity(id).to_owned())) }
    }

    /// Tells the supervisor, if there is one.
    pub fn report(&self, report: &Report) {
        if let Some(link) = &self.link {
            link.report(report);
        }
    }

    /// An event was committed or set aside. A key has one value at a time, so what it had before is over as well.
    pub fn settled(&mut self, key: u64, id: &str) {
        if self.is_empty() {
            return;
        }
        let is_over = |suspect: &Suspect| {
            suspect.key == key && (suspect.id == identity(id) || (is_of_content(id) && is_of_content(&suspect.id)))
        };
        for (_, suspect) in self.by_event.extract_if(|_, suspect| is_over(suspect)) {
            if let Some(link) = &self.link {
                link.report(&Report::Settled { key, id: suspect.id });
            }
        }
    }
}

/// What an event is known by when it comes again. Each tick of a timer has another number, but is the same event.
pub fn identity(id: &str) -> &str {
    if id.starts_with("timer:") { "timer" } else { id }
}

fn is_of_content(id: &str) -> bool {
    id.starts_with("sha256:")
}

/// Has the system end this process when its parent ends, as far as it can.
pub fn end_with_parent() {
    #[cfg(target_os = "linux")]
    rustix::process::set_parent_process_death_signal(Some(Signal::KILL)).ok();
}
