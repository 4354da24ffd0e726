//! A thread that writes files, so that the window never waits for a disk.

use std::path::PathBuf;
use std::sync::mpsc::{self, Receiver, Sender};
use std::thread::{self, JoinHandle};

use crate::export::{self, Contents};
use crate::kept::{self, Kept};

/// What to write.
pub enum Job {
    /// What is kept between starts.
    Keep(PathBuf, Box<Kept>),
    /// An export.
    Export(PathBuf, Contents),
}

/// The thread. Dropping it waits until everything is written.
pub struct Files {
    jobs: Option<Sender<Job>>,
    told: Receiver<String>,
    thread: Option<JoinHandle<()>>,
}

impl Files {
    /// Starts it; `wake` is called when there is something to tell.
    pub fn start(wake: impl Fn() + Send + 'static) -> Files {
        let (jobs, receiver) = mpsc::channel();
        let (tell, told) = mpsc::channel();
        let thread = thread::spawn(move || {
            for job in receiver {
                if let Some(words) = done(job)
                    && tell.send(words).is_ok()
                {
                    wake();
                }
            }
        });
        Files { jobs: Some(jobs), told, thread: Some(thread) }
    }

    /// Has it written, after what was asked for before.
    pub fn write(&self, job: Job) {
        if let Some(jobs) = &self.jobs {
            // The thread ends with this sender only.
            jobs.send(job).ok();
        }
    }

    /// What there is to tell the user.
    pub fn told(&self) -> impl Iterator<Item = String> {
        self.told.try_iter()
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

/// Writes; gives what the user wants to know of it.
fn done(job: Job) -> Option<String> {
    match job {
        Job::Keep(file, kept) => kept::write(&file, &kept)
            .err()
            .map(|error| format!("Profiles and settings can't be kept in {}: {error}", file.display())),
        Job::Export(path, contents) => Some(match export::write(&path, contents) {
            Ok((file, count)) => format!("{count} results are in {}", file.display()),
            Err(error) => format!("Nothing was exported: {error:#}"),
        }),
    }
}
