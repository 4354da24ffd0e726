//! The connection: a thread of its own that does what the user commands and tells what happens as [`Event`]s. Nobody
//! who draws ever waits for it.

mod backoff;
mod fault;
mod fleet;
mod follow;
mod keep;
mod queue;
mod session;
mod ssh;
mod words;

use std::sync::Arc;
use std::thread::{self, JoinHandle};

use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::sync::watch;

use crate::clock::Clock;
use crate::profile::Target;
use crate::state::{Event, Phase};
use queue::{Feed, Queue};

pub use ssh::Variables;

/// What the user wants of the connection.
#[derive(Debug)]
pub enum Command {
    /// Connect there, and drop any other connection.
    Connect(Box<Target>),
    /// Try again now, whatever is under way; what was disconnected, too.
    Retry,
    /// Drop the connection.
    Disconnect,
    /// With a pattern: look at this one of its machines, or at none.
    Machine(Option<Box<Target>>),
}

/// The connection's thread. Dropping it ends the thread, and any `ssh` that it started.
#[derive(Debug)]
pub struct Connection {
    commands: Option<UnboundedSender<(Command, u64)>>,
    queue: Arc<Queue>,
    thread: Option<JoinHandle<()>>,
}

impl Connection {
    /// Starts the thread; nothing is connected yet. `wake` is called after each event, from that thread.
    pub fn start(clock: Clock, wake: impl Fn() + Send + Sync + 'static) -> Connection {
        Connection::start_with(clock, Variables::default(), wake)
    }

    /// As [`Connection::start`], with variables that `ssh` gets besides this program's own.
    pub fn start_with(clock: Clock, variables: Variables, wake: impl Fn() + Send + Sync + 'static) -> Connection {
        let (commands, receiver) = unbounded_channel();
        let queue = Arc::new(Queue::default());
        let feed = Feed::new(Arc::clone(&queue), Arc::new(wake));
        let thread = thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            // Nothing works without it, and there is no one to tell: the panic's own message has to do.
            let runtime = runtime.expect("the system gives a thread its event queue");
            runtime.block_on(obey(receiver, &clock, feed, &variables));
            // Nobody waits for a name look-up or a locked file that still holds up a thread of the runtime.
            runtime.shutdown_background();
        });
        Connection { commands: Some(commands), queue, thread: Some(thread) }
    }

    /// Has it done. What was told before of another connection is forgotten.
    pub fn send(&self, command: Command) {
        let generation = match command {
            Command::Connect(_) | Command::Disconnect => self.queue.begin(),
            Command::Retry | Command::Machine(_) => self.queue.generation(),
        };
        if let Some(commands) = &self.commands {
            // The thread ends with this sender only.
            commands.send((command, generation)).ok();
        }
    }

    /// The next thing that happened, if there is one.
    pub fn next_event(&mut self) -> Option<Event> {
        self.queue.pop()
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.commands = None;
        if let Some(thread) = self.thread.take() {
            // A panic in there was printed by its own thread.
            thread.join().ok();
        }
    }
}

/// Does what is commanded until nobody can command any more. A command ends what is under way, at whatever point that
/// is, by dropping it; but a machine is opened over the connection that there is. What was disconnected is kept in mind,
/// to be connected again on demand.
async fn obey(mut commands: UnboundedReceiver<(Command, u64)>, clock: &Clock, mut feed: Feed, variables: &Variables) {
    let mut target: Option<Box<Target>> = None;
    let mut wanted = false;
    let machine = watch::Sender::new(None);
    loop {
        let next = next_command(&mut commands, &machine);
        let command = match target.as_ref().filter(|_| wanted) {
            None => next.await,
            Some(target) => tokio::select! {
                biased;
                command = next => command,
                never = keep::keep(target, machine.subscribe(), clock, &feed, variables) => match never {},
            },
        };
        let Some((command, generation)) = command else { return };
        feed = feed.of(generation);
        match command {
            Command::Connect(new) => {
                machine.send_replace(None);
                (target, wanted) = (Some(new), true);
            }
            Command::Retry => wanted = true,
            Command::Machine(_) => {}
            Command::Disconnect => {
                wanted = false;
                feed.tell(Event::Phase(Phase::Idle));
            }
        }
    }
}

/// The next command that ends what is under way.
async fn next_command(
    commands: &mut UnboundedReceiver<(Command, u64)>,
    machine: &watch::Sender<Option<Box<Target>>>,
) -> Option<(Command, u64)> {
    loop {
        match commands.recv().await {
            Some((Command::Machine(opened), _)) => drop(machine.send_replace(opened)),
            command => return command,
        }
    }
}
