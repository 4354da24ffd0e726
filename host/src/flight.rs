//! What is in flight: the event that each thread calls its handler with, in a file that outlives the process.
//!
//! A thread writes its slot, a page of a mapped file, before a call and clears it afterwards; neither takes a system
//! call. A slot that is not clear when the process has ended names the event that it ended with. The supervisor reads
//! the file and never maps it, so that nothing that a handler does to it can end the supervisor as well.

#![allow(unsafe_code, reason = "a file that is mapped has no safe form")]

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::os::unix::fs::{DirBuilderExt, FileExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{Ordering, compiler_fence};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use memmap2::{MmapMut, MmapOptions};
use rustix::time::{ClockId, clock_gettime};
use serde::{Deserialize, Serialize};

use crate::control::Suspect;
use crate::plugin::{lock, open_folder};

/// The most threads that call handlers.
pub const MOST_CALLERS: usize = 16;

/// The slot of whoever loads plugins, whose constructors are the author's code too.
pub const LOADING: usize = MOST_CALLERS;

const MOST_SLOTS: usize = LOADING + 1;

/// A slot is a page, so that each thread maps its own.
const PAGE: usize = 4096;

/// Where the parts of a slot lie. `SINCE` is 0 while nothing is in flight.
const SINCE: usize = 0;
const KEY: usize = 8;
const ATTEMPT: usize = 16;
const PROGRESS: usize = 24;
const ID_LENGTH: usize = 32;
const ID: usize = 40;

/// Room for `sha256:HEX` and for every name that Redis gives to an entry.
const ID_MAX: usize = 128;

/// How many hosts with one output key can share a folder.
const MOST_HOSTS: usize = 64;

/// How the first page begins: the lease's token follows.
const MAGIC: &[u8; 8] = b"flight 1";

/// A call that was under way.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct InFlight {
    /// The event's key, as [`key_number`] gives it.
    pub key: u64,
    /// The event's identity; empty where the handler was being opened.
    pub id: String,
    /// How often it had been called, this time included.
    pub attempt: u32,
    /// When the call began, on this machine's monotonic clock.
    pub since: Duration,
}

/// A thread's place in the file; without a supervisor there is none.
#[derive(Default)]
pub struct Slot(Option<MmapMut>);

/// Where the file is, and which one it is: who may write to the folder could put another in its place.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Place {
    path: PathBuf,
    inode: u64,
}

/// The file as the supervisor has it, locked as long as the supervisor runs.
pub struct Flights {
    file: File,
    path: PathBuf,
    /// Made for this host alone, in the temporary folder: it goes with the file.
    folder: Option<PathBuf>,
    token: String,
}

/// A key in a slot and in the file's name: FNV-1a (RFC 9923), the same whichever program has written the file.
pub fn key_number(key: &str) -> u64 {
    const OFFSET_BASIS: u64 = 0xcbf2_9ce4_8422_2325;
    const PRIME: u64 = 0x0100_0000_01b3;
    key.bytes().fold(OFFSET_BASIS, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(PRIME))
}

/// The time since this machine's start, the same for all its processes.
pub fn monotonic() -> Duration {
    let now = clock_gettime(ClockId::Monotonic);
    Duration::new(now.tv_sec.try_into().unwrap_or_default(), now.tv_nsec.try_into().unwrap_or_default())
}

impl Slot {
    /// The slot of this number, cleared.
    ///
    /// # Errors
    ///
    /// The file is not the one that the supervisor made, or can't be mapped.
    pub fn open(place: &Place, number: usize) -> Result<Slot> {
        let trouble = || format!("can't map {}", place.path.display());
        let flags = libc::O_NOFOLLOW;
        let file =
            OpenOptions::new().read(true).write(true).custom_flags(flags).open(&place.path).with_context(trouble)?;
        let metadata = file.metadata().with_context(trouble)?;
        if metadata.ino() != place.inode || metadata.len() < length() || number >= MOST_SLOTS {
            bail!("{}: another file is there", trouble());
        }
        let offset = ((number + 1) * PAGE) as u64;
        // SAFETY: the file was made by this host's supervisor for this user alone, who holds its lock; it has its full
        // length and nobody shortens it. Each page is written by the one thread that maps it, and others read it
        // through the file.
        let map = unsafe { MmapOptions::new().offset(offset).len(PAGE).map_mut(&file) }.with_context(trouble)?;
        let mut slot = Slot(Some(map));
        slot.put(SINCE, 0);
        slot.put(PROGRESS, 0);
        Ok(slot)
    }

    /// A call begins.
    pub fn enter(&mut self, key: u64, id: &str, attempt: u32) {
        if self.0.is_none() {
            return;
        }
        self.put(SINCE, 0);
        compiler_fence(Ordering::SeqCst);
        let id = id.as_bytes().get(..ID_MAX).unwrap_or(id.as_bytes());
        self.put(KEY, key);
        self.put(ATTEMPT, u64::from(attempt));
        self.put(ID_LENGTH, id.len() as u64);
        if let Some(room) = self.0.as_mut().and_then(|map| map.get_mut(ID..ID + id.len())) {
            room.copy_from_slice(id);
        }
        compiler_fence(Ordering::SeqCst);
        self.put(SINCE, u64::try_from(monotonic().as_nanos()).unwrap_or(u64::MAX));
    }

    /// The handler is opened: there is no event, but it may take too long or end the process as well.
    pub fn enter_opening(&mut self) {
        self.enter(0, "", 0);
    }

    /// It has ended.
    pub fn leave(&mut self) {
        self.put(SINCE, 0);
    }

    /// Something was committed.
    pub fn progressed(&mut self) {
        if let Some(map) = &self.0 {
            let count = number_at(map, PROGRESS);
            self.put(PROGRESS, count.wrapping_add(1));
        }
    }

    fn put(&mut self, at: usize, number: u64) {
        if let Some(bytes) = self.0.as_mut().and_then(|map| map.get_mut(at..at + 8)) {
            bytes.copy_from_slice(&number.to_ne_bytes());
        }
    }
}

impl Flights {
    /// The file for an output key in `base`, or in a folder of this user's in the temporary folder. Takes the first one
    /// that no other host holds, with what the last host left in it.
    ///
    /// # Errors
    ///
    /// It can't be made there.
    pub fn open(base: Option<&Path>, output_key: &str) -> Result<Flights> {
        let own = format!("plugin-host-{}", rustix::process::geteuid().as_raw());
        let folder = base.map_or_else(|| std::env::temp_dir().join(own), Path::to_owned);
        let advice = || format!("can't write to {}: set STATE_DIR to another folder", folder.display());
        DirBuilder::new().recursive(true).mode(0o700).create(&folder).with_context(advice)?;
        if base.is_none() && open_folder(&folder).with_context(advice)?.is_none() {
            bail!("{}: it is not this user's alone", advice());
        }
        for number in 0..MOST_HOSTS {
            let path = folder.join(format!("in-flight-{:016x}-{number}", key_number(output_key)));
            let Some(file) = lock(&path, true).with_context(advice)? else { continue };
            let metadata = file.metadata().with_context(advice)?;
            if metadata.uid() != rustix::process::geteuid().as_raw() || metadata.mode() & 0o077 != 0 {
                continue;
            }
            let folder = base.is_none().then(|| folder.clone());
            let mut flights = Flights { file, path, folder, token: String::new() };
            flights.begin().with_context(advice)?;
            return Ok(flights);
        }
        bail!("{}: {MOST_HOSTS} hosts with this output key use it already", advice())
    }

    /// Gives the file its length, and reads or makes the token.
    fn begin(&mut self) -> std::io::Result<()> {
        let mut first = [0; PAGE];
        let whole = self.file.metadata()?.len() == length() && self.file.read_exact_at(&mut first, 0).is_ok();
        let token = first.get(8..).and_then(|rest| rest.split(|byte| *byte == 0).next()).unwrap_or_default();
        if whole && first.starts_with(MAGIC) && !token.is_empty() {
            self.token = String::from_utf8_lossy(token).into_owned();
            return Ok(());
        }
        self.token = new_token();
        self.file.set_len(0)?;
        self.file.set_len(length())?;
        self.file.write_all_at(&[MAGIC, self.token.as_bytes()].concat(), 0)
    }

    /// Where workers find it.
    ///
    /// # Errors
    ///
    /// It can't be looked at.
    pub fn place(&self) -> Result<Place> {
        Ok(Place { path: self.path.clone(), inode: self.file.metadata()?.ino() })
    }

    /// What this host is known by to others; the same after a restart.
    pub fn token(&self) -> &str {
        &self.token
    }

    /// The calls that are under way, or were when the worker ended.
    pub fn in_flight(&self) -> Vec<InFlight> {
        (0..MOST_SLOTS).filter_map(|number| self.slot(number)).collect()
    }

    /// Takes what a worker that has ended left, and begins to count its commits anew.
    pub fn take(&self) -> Vec<InFlight> {
        let left = self.in_flight();
        for number in 0..MOST_SLOTS {
            // What can't be cleared is counted once more, which costs an event an attempt.
            self.file.write_all_at(&[0; ID_LENGTH], ((number + 1) * PAGE) as u64).ok();
        }
        left
    }

    /// Leaves events for the next host as if they were under way; there is no worker any more.
    pub fn leave(&self, suspects: &[Suspect]) {
        for (number, suspect) in suspects.iter().rev().take(MOST_SLOTS).enumerate() {
            let id = suspect.id.as_bytes().get(..ID_MAX).unwrap_or(suspect.id.as_bytes());
            let numbers = [1, suspect.key, u64::from(suspect.attempts), 0, id.len() as u64];
            let page = [numbers.map(u64::to_ne_bytes).as_flattened(), id].concat();
            // What can't be left costs the event one attempt more.
            self.file.write_all_at(&page, ((number + 1) * PAGE) as u64).ok();
        }
    }

    /// How many commits the worker has made.
    pub fn progress(&self) -> u64 {
        (0..MOST_SLOTS).filter_map(|number| Some(number_at(&self.page(number)?, PROGRESS))).fold(0, u64::wrapping_add)
    }

    /// Removes the file, where it holds nothing that the next host should know.
    pub fn end(self) {
        fs::remove_file(&self.path).ok();
        if let Some(folder) = &self.folder {
            // It stays where another host uses it.
            fs::remove_dir(folder).ok();
        }
    }

    /// A handler may have written anything to it.
    fn slot(&self, number: usize) -> Option<InFlight> {
        let page = self.page(number)?;
        let since = number_at(&page, SINCE);
        let length = usize::try_from(number_at(&page, ID_LENGTH)).ok()?.min(ID_MAX);
        let id = String::from_utf8_lossy(page.get(ID..ID + length)?).into_owned();
        let attempt = u32::try_from(number_at(&page, ATTEMPT)).unwrap_or(1);
        let key = number_at(&page, KEY);
        (since != 0).then_some(InFlight { key, id, attempt, since: Duration::from_nanos(since) })
    }

    fn page(&self, number: usize) -> Option<[u8; ID + ID_MAX]> {
        let mut page = [0; ID + ID_MAX];
        self.file.read_exact_at(&mut page, ((number + 1) * PAGE) as u64).ok()?;
        Some(page)
    }
}

fn length() -> u64 {
    ((MOST_SLOTS + 1) * PAGE) as u64
}

fn number_at(bytes: &[u8], at: usize) -> u64 {
    bytes.get(at..at + 8).and_then(|bytes| bytes.try_into().ok()).map_or(0, u64::from_ne_bytes)
}

/// Machine, process and chance.
fn new_token() -> String {
    let machine = rustix::system::uname().nodename().to_string_lossy().into_owned();
    let chance = std::hash::BuildHasher::hash_one(&std::hash::RandomState::new(), monotonic());
    format!("{machine}/{}/{chance:016x}", std::process::id())
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{Flights, MOST_SLOTS, Slot, key_number, monotonic};

    #[test]
    fn a_keys_number_is_the_one_that_other_programs_give_it() {
        // From the vectors of the algorithm's authors.
        let numbers = [("", 0xcbf2_9ce4_8422_2325), ("a", 0xaf63_dc4c_8601_ec8c), ("foobar", 0x8594_4171_f739_67e8)];
        numbers.iter().for_each(|(key, number)| assert_eq!(key_number(key), *number, "{key:?}"));
    }

    #[test]
    fn a_call_is_seen_while_it_is_under_way() {
        let folder = tempfile::tempdir().unwrap();
        let flights = Flights::open(Some(folder.path()), "out").unwrap();
        let mut slot = Slot::open(&flights.place().unwrap(), 3).unwrap();
        assert_eq!(flights.in_flight(), []);

        slot.enter(key_number("events"), "1700000000000-7", 2);
        let seen = flights.in_flight();
        assert_eq!(seen.len(), 1);
        assert_eq!((seen[0].key, seen[0].id.as_str(), seen[0].attempt), (key_number("events"), "1700000000000-7", 2));
        assert!(monotonic() - seen[0].since < Duration::from_secs(60));

        slot.leave();
        slot.progressed();
        assert_eq!((flights.in_flight(), flights.progress()), (vec![], 1));
    }

    #[test]
    fn the_next_host_finds_what_was_under_way_and_is_known_by_the_same_token() {
        let folder = tempfile::tempdir().unwrap();
        let first = Flights::open(Some(folder.path()), "out").unwrap();
        let token = first.token().to_owned();
        Slot::open(&first.place().unwrap(), MOST_SLOTS - 1).unwrap().enter(1, &"x".repeat(500), 1);
        drop(first);

        let next = Flights::open(Some(folder.path()), "out").unwrap();
        assert_eq!(next.token(), token);
        assert_eq!(next.take().len(), 1);
        assert_eq!(next.take(), []);
    }

    #[test]
    fn two_hosts_have_a_file_each() {
        let folder = tempfile::tempdir().unwrap();
        let [one, two] = ["out", "out"].map(|key| Flights::open(Some(folder.path()), key).unwrap());
        assert_ne!(one.place().unwrap(), two.place().unwrap());
        assert_ne!(one.token(), two.token());
        one.end();
        two.end();
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
    }

    #[test]
    fn a_file_of_rubbish_is_begun_anew() {
        let folder = tempfile::tempdir().unwrap();
        let path = Flights::open(Some(folder.path()), "out").unwrap().path;
        for rubbish in [vec![], vec![0xff; 100], vec![0xff; 17 * 4096]] {
            std::fs::write(&path, rubbish).unwrap();
            let flights = Flights::open(Some(folder.path()), "out").unwrap();
            assert!(!flights.token().is_empty());
            assert_eq!(flights.in_flight(), []);
        }
    }
}
