//! What has happened and was not taken in yet: bounded, however long the window isn't drawn.

use std::collections::{BTreeMap, VecDeque};
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::model::{Moment, Sight};
use crate::state::{Event, Found, Key, Phase};

/// The most events that wait: more than five hours at one result in 5 s.
const MOST_EVENTS: usize = 4_096;

/// The most bytes of documents that wait; parsed they take several times as much.
const MOST_BYTES: usize = 16 << 20;

/// Events that wait to be taken in.
#[derive(Debug, Default)]
pub(super) struct Queue {
    // A plain mutex: it is held for a push or a pop only.
    waiting: Mutex<Waiting>,
}

#[derive(Debug, Default)]
struct Waiting {
    /// Counts the connections that were asked for; what one before has to tell is of no interest.
    generation: u64,
    events: VecDeque<Event>,
    bytes: usize,
}

/// Where one connection puts its events.
#[derive(Clone)]
pub(super) struct Feed {
    queue: Arc<Queue>,
    generation: u64,
    wake: Arc<dyn Fn() + Send + Sync>,
}

impl Queue {
    /// Forgets all, and everything that the connections before have still to tell; gives the new one's number.
    pub fn begin(&self) -> u64 {
        let mut waiting = self.waiting();
        *waiting = Waiting { generation: waiting.generation + 1, ..Waiting::default() };
        waiting.generation
    }

    pub fn generation(&self) -> u64 {
        self.waiting().generation
    }

    pub fn pop(&self) -> Option<Event> {
        let mut waiting = self.waiting();
        let event = waiting.events.pop_front()?;
        waiting.bytes -= bytes(&event);
        Some(event)
    }

    fn waiting(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Feed {
    pub fn new(queue: Arc<Queue>, wake: Arc<dyn Fn() + Send + Sync>) -> Feed {
        Feed { queue, generation: 0, wake }
    }

    /// The same for another connection.
    pub fn of(&self, generation: u64) -> Feed {
        Feed { generation, ..self.clone() }
    }

    pub fn tell(&self, event: Event) {
        let mut waiting = self.queue.waiting();
        if waiting.generation != self.generation {
            return;
        }
        waiting.push(event);
        drop(waiting);
        (self.wake)();
    }
}

impl Waiting {
    fn push(&mut self, event: Event) {
        match &event {
            // Nobody misses an older input or status; of results each is one point of a line.
            Event::Look { key: key @ (Key::Input | Key::Status), .. } => self.forget(
                |waiting| matches!(waiting, Event::Look { key: before, .. } if before == key),
                |waiting| matches!(waiting, Event::Phase(_)),
            ),
            // An attempt that came to nothing is of no interest once the next one begins.
            Event::Phase(Phase::Resolving) => self.forget(
                |waiting| matches!(waiting, Event::Step(..) | Event::Phase(_)),
                |waiting| matches!(waiting, Event::Phase(Phase::Live(_)) | Event::Look { .. } | Event::Past(_)),
            ),
            // The newest look through all keys says more than those before.
            Event::Present(_) => self.forget(|waiting| matches!(waiting, Event::Present(_)), |_| false),
            // Of each machine the newest state counts.
            Event::Machines(_) => {
                if let Some(Event::Machines(waiting)) = self.events.back_mut()
                    && let Event::Machines(new) = event
                {
                    self.bytes -= bytes_of(waiting);
                    waiting.extend(new);
                    self.bytes += bytes_of(waiting);
                    return;
                }
            }
            _ => {}
        }
        self.bytes += bytes(&event);
        self.events.push_back(event);
        // The oldest results go first, as they do from the history; the gap that they leave is drawn as one.
        while self.events.len() > 1 && (self.events.len() > MOST_EVENTS || self.bytes > MOST_BYTES) {
            let before = self.events.len() - 1;
            let heavy = |event: &Event| matches!(event, Event::Look { .. } | Event::Past(_) | Event::Machines(_));
            let place = self.events.iter().take(before).position(heavy).unwrap_or(0);
            self.remove(place);
        }
    }

    /// Removes the newest events for which `obsolete` holds, back to the first for which `stop` does.
    fn forget(&mut self, obsolete: impl Fn(&Event) -> bool, stop: impl Fn(&Event) -> bool) {
        let mut place = self.events.len();
        while place > 0 && !stop(&self.events[place - 1]) {
            place -= 1;
            if obsolete(&self.events[place]) {
                self.remove(place);
            }
        }
    }

    fn remove(&mut self, place: usize) {
        if let Some(event) = self.events.remove(place) {
            self.bytes -= bytes(&event);
        }
    }
}

fn bytes(event: &Event) -> usize {
    match event {
        Event::Look { found: Found::Document(document), .. } => document.bytes().len(),
        Event::Past(entries) => entries.iter().map(|(_, document)| document.bytes().len()).sum(),
        Event::Machines(machines) => bytes_of(machines),
        Event::Present(names) => names.iter().map(|name| name.len() + size_of::<String>()).sum(),
        _ => 0,
    }
}

fn bytes_of(machines: &BTreeMap<String, (Sight, Moment)>) -> usize {
    machines.keys().map(|name| name.len() + size_of::<(String, Sight, Moment)>()).sum()
}

impl fmt::Debug for Feed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Feed({})", self.generation)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Document;
    use crate::state::{Follow, Progress, Step};

    fn look(key: Key, text: &str) -> Event {
        let document = Document::read(format!("{{\"a\":\"{text}\"}}").as_bytes()).unwrap();
        Event::Look { key, found: Found::Document(document), at: Moment(0.0) }
    }

    fn after(events: impl IntoIterator<Item = Event>) -> Vec<Event> {
        let queue = Arc::new(Queue::default());
        let feed = Feed::new(Arc::clone(&queue), Arc::new(|| {}));
        events.into_iter().for_each(|event| feed.tell(event));
        std::iter::from_fn(|| queue.pop()).collect()
    }

    #[test]
    fn of_inputs_only_the_newest_waits_and_of_results_all() {
        let events = [look(Key::Input, "1"), look(Key::Output, "1"), look(Key::Output, "2"), look(Key::Input, "2")];
        assert_eq!(after(events.clone()), events[1..]);
    }

    #[test]
    fn attempts_that_came_to_nothing_leave_nothing() {
        let live = || Event::Phase(Phase::Live(Follow::Push));
        let resolving = || Event::Phase(Phase::Resolving);
        let attempt = || {
            [
                resolving(),
                Event::Step(Step::Reach, Progress::Waiting),
                Event::Phase(Phase::Retrying { at: Moment(1.0) }),
            ]
        };
        let mut events = vec![live(), look(Key::Output, "1")];
        (0..1_000).for_each(|_| events.extend(attempt()));
        events.extend([resolving(), live()]);
        assert_eq!(after(events), [live(), look(Key::Output, "1"), resolving(), live()]);
    }

    #[test]
    fn when_there_is_too_much_the_oldest_results_go_and_the_steps_stay() {
        let step = Event::Step(Step::Reach, Progress::Waiting);
        let mut events = vec![step.clone()];
        events.extend((0..10_000).map(|count| look(Key::Output, &count.to_string())));
        let left = after(events);
        assert_eq!((left.len(), &left[0]), (MOST_EVENTS, &step));
        assert_eq!(left.last(), Some(&look(Key::Output, "9999")));
        let large = "x".repeat(1 << 20);
        assert!(after((0..40).map(|_| look(Key::Output, &large))).len() <= 16);
    }

    #[test]
    fn of_looks_through_all_keys_only_the_newest_waits() {
        let present = |name: &str| Event::Present([name.to_owned()].into());
        let live = || Event::Phase(Phase::Live(Follow::Push));
        let events = [present("a"), live(), look(Key::Output, "1"), present("b")];
        assert_eq!(after(events.clone()), events[1..]);
    }

    #[test]
    fn machines_wait_together_each_once() {
        let seen = |names: std::ops::Range<u32>, at: f64| {
            let machine = |name: u32| (name.to_string(), (Sight::Gone, Moment(at)));
            Event::Machines(names.map(machine).collect())
        };
        let waiting = after((0..100_000).map(|turn| seen(0..2, f64::from(turn))).chain([seen(1..3, 1e6)]));
        let [Event::Machines(machines)] = waiting.as_slice() else { panic!("{} events", waiting.len()) };
        let times: Vec<f64> = machines.values().map(|(_, at)| at.0).collect();
        assert_eq!(times, [99_999.0, 1e6, 1e6]);
    }

    #[test]
    fn what_a_connection_before_tells_is_forgotten() {
        let queue = Arc::new(Queue::default());
        let feed = Feed::new(Arc::clone(&queue), Arc::new(|| {}));
        feed.tell(look(Key::Output, "old"));
        let new = feed.of(queue.begin());
        feed.tell(look(Key::Output, "late"));
        new.tell(look(Key::Output, "new"));
        assert_eq!((queue.pop(), queue.pop()), (Some(look(Key::Output, "new")), None));
    }
}
