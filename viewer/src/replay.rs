//! Plays a recorded file: what [`crate::export`] writes, or results as lines of JSON. Results come again as events, as
//! far apart as they were.

mod recording;

use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender, SyncSender};
use std::thread;
use std::time::Duration;

use crate::clock::Clock;
use crate::model::{Document, Moment};
use crate::state::{Event, Follow, Found, Key, Phase, Progress, Step};

pub use recording::{Recording, Unplayable};

/// The most events that wait to be taken; with more, the recording waits.
const MOST_WAITING: usize = 1_000;

/// How long to sleep at most before the clock is asked again, since that may go at any speed.
const NAP: Duration = Duration::from_millis(20);

/// A recording that is being played by a thread, until it is dropped.
///
/// It is live from its first result until one period after the last; then it is idle, and its last values age like any
/// others: nothing old looks live.
#[derive(Debug)]
pub struct Replay {
    events: Receiver<Event>,
    clock: Clock,
    /// Dropped with the replay, which wakes the thread to end.
    _stop: Sender<()>,
}

impl Replay {
    /// Starts to play, `speed` times as fast; the first result comes now. `wake` is called when there is an event to take.
    pub fn start(recording: Recording, speed: f64, wake: impl Fn() + Send + 'static) -> Replay {
        let clock = Clock::with_speed(speed);
        let (sender, events) = mpsc::sync_channel(MOST_WAITING);
        let (stop, stopped) = mpsc::channel();
        let start = clock.now();
        let clock = match recording.first() {
            Some(first) => clock.recorded(start, first),
            None => clock,
        };
        let player = Player { clock: clock.clone(), start, sender, stopped, wake };
        thread::spawn(move || player.play(recording));
        Replay { events, clock, _stop: stop }
    }

    /// The clock that it goes by; its times of day are the recording's.
    pub fn clock(&self) -> Clock {
        self.clock.clone()
    }

    /// The next event, if there is one.
    pub fn next_event(&mut self) -> Option<Event> {
        self.events.try_recv().ok()
    }
}

struct Player<W> {
    clock: Clock,
    start: Moment,
    sender: SyncSender<Event>,
    stopped: Receiver<()>,
    wake: W,
}

/// Nobody listens any more.
struct Ended;

impl<W: Fn()> Player<W> {
    fn play(self, recording: Recording) {
        // An error means that the replay was dropped: there is nobody to tell.
        self.all(recording).ok();
    }

    fn all(&self, mut recording: Recording) -> Result<(), Ended> {
        self.send(Event::Phase(Phase::Live(Follow::Replay)))?;
        let mut last = 0.0;
        let period = recording.period();
        for result in &mut recording {
            match result {
                Ok((offset, document)) => {
                    last = offset;
                    self.result(offset, document)?;
                }
                Err(error) => {
                    let advice = "Has the file been changed? Open it again.".to_owned();
                    self.send(Event::Step(Step::Reach, Progress::Failed { why: error.to_string(), advice }))?;
                    break;
                }
            }
        }
        self.wait_for(last + period)?;
        self.send(Event::Phase(Phase::Idle))
    }

    fn result(&self, offset: f64, document: Document) -> Result<(), Ended> {
        self.wait_for(offset)?;
        self.send(Event::Look { key: Key::Output, found: Found::Document(document), at: self.start + offset })
    }

    fn wait_for(&self, offset: f64) -> Result<(), Ended> {
        while self.clock.now() < self.start + offset {
            let left = self.start + offset - self.clock.now();
            let nap = Duration::try_from_secs_f64(left).unwrap_or(NAP).min(NAP);
            if self.stopped.recv_timeout(nap) == Err(RecvTimeoutError::Disconnected) {
                return Err(Ended);
            }
        }
        Ok(())
    }

    fn send(&self, event: Event) -> Result<(), Ended> {
        self.sender.send(event).map_err(|_nobody| Ended)?;
        (self.wake)();
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Instant, SystemTime};

    use super::*;

    fn played(text: &str, speed: f64) -> Vec<Event> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.jsonl");
        std::fs::write(&path, text).unwrap();
        let (wake, woken) = mpsc::channel();
        let recording = Recording::open(&path).unwrap();
        let mut replay = Replay::start(recording, speed, move || wake.send(()).unwrap_or_default());
        let deadline = Instant::now() + Duration::from_secs(20);
        let mut events = Vec::new();
        while events.last() != Some(&Event::Phase(Phase::Idle)) {
            assert!(Instant::now() < deadline, "{events:?}");
            woken.recv_timeout(Duration::from_secs(20)).unwrap();
            events.extend(replay.next_event());
        }
        events
    }

    #[test]
    fn results_come_as_far_apart_as_they_were_and_then_it_is_idle() {
        let lines = "{\"at\":\"2025-11-30T10:00:00Z\",\"data\":{\"a\":1}}\n{\"at\":\"2025-11-30T10:00:07.5Z\",\"data\":{\"a\":2}}\n";
        let events = played(lines, 1_000.0);
        assert_eq!(events[0], Event::Phase(Phase::Live(Follow::Replay)));
        let times: Vec<f64> = events
            .iter()
            .filter_map(|event| match event {
                Event::Look { key: Key::Output, found: Found::Document(_), at } => Some(at.0),
                _ => None,
            })
            .collect();
        assert_eq!(times.len(), 2);
        assert!((times[1] - times[0] - 7.5).abs() < 1e-9);
        assert_eq!(events.len(), 4);
    }

    #[test]
    fn times_of_day_are_those_of_the_recording() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.jsonl");
        let replayed = |lines: &str| {
            std::fs::write(&path, lines).unwrap();
            Replay::start(Recording::open(&path).unwrap(), 1_000.0, || {})
        };
        let recorded = std::time::UNIX_EPOCH + Duration::from_secs(1_764_498_600);
        let replay = replayed("{\"timestamp\":\"2025-11-30T10:30:00\"}\n{\"timestamp\":\"2025-11-30T10:30:05\"}\n");
        let deadline = Instant::now() + Duration::from_secs(20);
        let at = loop {
            assert!(Instant::now() < deadline);
            if let Ok(Event::Look { at, .. }) = replay.events.try_recv() {
                break at;
            }
        };
        let apart = |at| replay.clock().wall(at).duration_since(recorded).unwrap().as_secs_f64();
        assert!(apart(at).abs() < 1e-6 && (apart(at + 7.5) - 7.5).abs() < 1e-6, "{}", apart(at));
        // Without times in it, it is of now.
        let clock = replayed("{\"a\":1}\n{\"a\":2}\n").clock();
        let off = SystemTime::now().duration_since(clock.wall(clock.now())).unwrap_or_default();
        assert!(off < Duration::from_secs(60), "{off:?}");
    }

    #[test]
    fn a_dropped_replay_ends_its_thread() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.jsonl");
        std::fs::write(&path, "{\"a\":1}\n{\"a\":2}\n").unwrap();
        let (wake, ended) = mpsc::channel::<()>();
        // The thread owns the sender, and with its end the channel is closed.
        let replay = Replay::start(Recording::open(&path).unwrap(), 1.0, move || {
            wake.send(()).unwrap_or_default();
        });
        drop(replay);
        while ended.recv_timeout(Duration::from_secs(20)) == Ok(()) {}
        assert_eq!(ended.recv_timeout(Duration::from_secs(20)), Err(RecvTimeoutError::Disconnected));
    }
}
