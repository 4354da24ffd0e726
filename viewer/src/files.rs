//! A thread that writes files and looks through recordings, so that the window never waits for a disk.

use std::path::PathBuf;
use std::sync::mpsc::{self, Receiver, Sender};
use std::thread::{self, JoinHandle};

use crate::export::{self, Contents};
use crate::kept;
use crate::replay::Recording;
use crate::state::Choice;

/// What to do.
pub enum Job {
    /// What is to be kept between starts.
    Keep(PathBuf, Choice),
    /// An export.
    Export(PathBuf, Contents),
    /// A recording is to be looked through: a long one takes seconds.
    Open(PathBuf),
}

/// What came of it.
pub enum Told {
    /// Something for the user to know.
    Words(String),
    /// A recording that can be played.
    Opened(Box<Recording>),
}

/// The thread. Dropping it waits until everything is written.
pub struct Files {
    jobs: Option<Sender<Job>>,
    told: Receiver<Told>,
    thread: Option<JoinHandle<()>>,
}

impl Files {
    /// Starts it; `wake` is called when there is something to tell.
    pub fn start(wake: impl Fn() + Send + 'static) -> Files {
        let (jobs, receiver) = mpsc::channel();
        let (tell, told) = mpsc::channel();
        let thread = thread::spawn(move || {
            for job in receiver {
                if let Some(told) = done(job)
                    && tell.send(told).is_ok()
                {
                    wake();
                }
            }
        });
        Files { jobs: Some(jobs), told, thread: Some(thread) }
    }

    /// Has it done, after what was asked for before.
    pub fn ask(&self, job: Job) {
        if let Some(jobs) = &self.jobs {
            // The thread ends with this sender only.
            jobs.send(job).ok();
        }
    }

    /// What came of something, if there is anything.
    pub fn next_told(&self) -> Option<Told> {
        self.told.try_recv().ok()
    }
}

impl Drop for Files {
    fn drop(&mut self) {
        self.jobs = None;
        if let Some(thread) = self.thread.take() {
            // A panic in there was printed by its own thread.
            thread.join().ok();
        }
    }
}

/// Does it; gives what the user wants of it.
fn done(job: Job) -> Option<Told> {
    let words = match job {
        Job::Keep(file, choice) => kept::keep(&file, choice)
            .err()
            .map(|error| format!("Profiles and settings can't be kept in {}: {error}", file.display())),
        Job::Export(path, contents) => Some(match export::write(&path, contents) {
            Ok((file, count)) => format!("{count} results are in {}", file.display()),
            Err(error) => format!("Nothing was exported: {error:#}"),
        }),
        Job::Open(path) => match Recording::open(&path) {
            Ok(recording) => return Some(Told::Opened(Box::new(recording))),
            Err(error) => Some(format!("{} can't be played: {error}", path.display())),
        },
    };
    words.map(Told::Words)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_recording_is_looked_through_and_one_that_is_none_is_told() {
        let folder = tempfile::tempdir().unwrap();
        let (good, bad) = (folder.path().join("good.jsonl"), folder.path().join("bad.jsonl"));
        std::fs::write(&good, "{\"a\":1}\n{\"a\":2}\n").unwrap();
        std::fs::write(&bad, "nonsense\n").unwrap();
        let (wake, woken) = mpsc::channel();
        let files = Files::start(move || wake.send(()).unwrap_or_default());
        let next = |path| {
            files.ask(Job::Open(path));
            woken.recv_timeout(Duration::from_secs(20)).unwrap();
            files.next_told().unwrap()
        };
        assert!(matches!(next(good), Told::Opened(recording) if recording.len() == 2));
        assert!(matches!(next(bad), Told::Words(words) if words.contains("bad.jsonl can't be played")));
    }
}
