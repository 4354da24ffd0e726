//! Looks at where a plugin comes from, and gives what is new there once it is whole.

use std::fs::{self, Metadata};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result};
use reqwest::header::HeaderValue;
use tokio::time::sleep;

use super::download::{Download, Downloaded};
use super::found::signature_of;
use super::{Found, HandlerName, Origin, find};

/// How long a new file has to stay as it is before it is taken.
const QUIET: Duration = Duration::from_millis(50);

/// How long one has to that was written to in place, so that it may be half the old and half the new one.
const QUIET_IN_PLACE: Duration = Duration::from_secs(1);

/// A file that was changed within this time may be changed again without a change of its times, as the system's clock
/// for files ticks slowly.
const CLOCK_TICK: Duration = Duration::from_secs(2);

/// Where a plugin comes from, and what was seen there.
pub struct Source {
    place: Place,
    /// What was given last and is done with: not given again.
    done: Option<Done>,
}

/// What became of something that was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// It is loaded.
    Taken,
    /// It is refused, and will be as long as it is the same.
    Refused,
    /// It could not be tried: a full disk, for example.
    NotTried,
}

enum Place {
    File { path: PathBuf, handler: HandlerName, zip_max_bytes: u64 },
    Server(Download),
}

struct Done {
    sha256: String,
    signature: Option<Vec<u8>>,
    /// The file as it was then; only compared.
    mark: Option<Mark>,
    /// What the server calls it.
    etag: Option<HeaderValue>,
}

/// What tells without reading whether a file may have changed.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Mark {
    /// Where the file really lies: a ConfigMap volume swaps a link in the middle of the path.
    real: PathBuf,
    file: Stamp,
    signature: Option<Stamp>,
    /// The file may change without its stamp.
    fresh: bool,
}

/// Inodes are reused, so one alone says nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Stamp {
    device: u64,
    inode: u64,
    size: u64,
    modified: (i64, i64),
    changed: (i64, i64),
}

impl Source {
    /// Nothing was seen yet. A library or ZIP is picked by the handler's name where there are several; `signed` says
    /// whether the signature of a ZIP on a server is wanted too.
    pub fn new(origin: Origin, handler: HandlerName, zip_max_bytes: u64, signed: bool) -> Source {
        let place = match origin {
            Origin::Path(path) => Place::File { path, handler, zip_max_bytes },
            Origin::Url(url) => Place::Server(Download { url, zip_max_bytes, signed }),
        };
        Source { place, done: None }
    }

    /// What is there at the start.
    ///
    /// # Errors
    ///
    /// Nothing is there, or it can't be read.
    pub async fn first(&mut self) -> Result<Found> {
        match &self.place {
            Place::File { path, handler, zip_max_bytes } => {
                let file = find(path, handler)?;
                let mark = Mark::of(&file)?;
                let found = Found::read(&file, *zip_max_bytes)?;
                self.done = Some(Done::with(&found, Some(mark), None));
                Ok(found)
            }
            Place::Server(download) => {
                let Downloaded { found, etag } = download.fetch(None).await?.context("the server sent nothing")?;
                self.done = Some(Done::with(&found, None, etag));
                Ok(found)
            }
        }
    }

    /// What is there now, if it is not what was there before and seems whole. Whoever gets it says what became of it.
    ///
    /// # Errors
    ///
    /// Nothing is there, or it can't be read.
    pub async fn look(&mut self) -> Result<Option<Found>> {
        match &self.place {
            Place::File { .. } => match self.look_at_file().await {
                Ok(found) => Ok(found),
                // A moment later the new one may be where the old one was.
                Err(_) => {
                    sleep(QUIET).await;
                    self.look_at_file().await
                }
            },
            Place::Server(download) => {
                let etag = self.done.as_ref().and_then(|done| done.etag.as_ref());
                let Some(Downloaded { found, etag }) = download.fetch(etag).await? else { return Ok(None) };
                let new = !self.done.as_ref().is_some_and(|done| done.is(&found));
                self.done = Some(Done::with(&found, None, etag));
                Ok(new.then_some(found))
            }
        }
    }

    /// What became of the last one that was found.
    pub fn settle(&mut self, verdict: Verdict) {
        match (verdict, &mut self.done) {
            // Its signature may come later, while the ZIP stays the same.
            (Verdict::Refused, Some(done)) => done.etag = None,
            (Verdict::NotTried, done) => *done = None,
            _ => {}
        }
    }

    async fn look_at_file(&mut self) -> Result<Option<Found>> {
        let Place::File { path, handler, zip_max_bytes } = &self.place else { return Ok(None) };
        let file = find(path, handler)?;
        let mark = Mark::of(&file)?;
        let before = self.done.as_ref().and_then(|done| done.mark.as_ref());
        if !mark.fresh && before == Some(&mark) {
            return Ok(None);
        }
        let found = Found::read(&file, *zip_max_bytes)?;
        let in_place = before.is_some_and(|before| before.is_same_file(&mark));
        if let Some(done) = self.done.as_mut().filter(|done| done.is(&found)) {
            done.mark = Some(mark);
            return Ok(None);
        }
        sleep(if in_place { QUIET_IN_PLACE } else { QUIET }).await;
        let file = find(path, handler)?;
        let again = Found::read(&file, *zip_max_bytes)?;
        if !again.is_as(&found.sha256, found.signature.as_deref()) || !mark.is_same_file(&Mark::of(&file)?) {
            return Ok(None);
        }
        self.done = Some(Done::with(&found, Some(mark), None));
        Ok(Some(found))
    }
}

impl Done {
    fn with(found: &Found, mark: Option<Mark>, etag: Option<HeaderValue>) -> Done {
        Done { sha256: found.sha256.clone(), signature: found.signature.clone(), mark, etag }
    }

    fn is(&self, found: &Found) -> bool {
        found.is_as(&self.sha256, self.signature.as_deref())
    }
}

impl Mark {
    fn of(file: &Path) -> Result<Mark> {
        let mark = || -> io::Result<Mark> {
            let now = SystemTime::now();
            let metadata = fs::metadata(file)?;
            let signature = fs::metadata(signature_of(file)).ok();
            let fresh = [Some(&metadata), signature.as_ref()].into_iter().flatten().any(|file| is_fresh(file, now));
            let signature = signature.as_ref().map(Stamp::of);
            Ok(Mark { real: file.canonicalize()?, file: Stamp::of(&metadata), signature, fresh })
        };
        mark().with_context(|| format!("can't look at the plugin {}", file.display()))
    }

    fn is_same_file(&self, other: &Mark) -> bool {
        (&self.real, self.file.device, self.file.inode) == (&other.real, other.file.device, other.file.inode)
    }
}

impl Stamp {
    fn of(metadata: &Metadata) -> Stamp {
        Stamp {
            device: metadata.dev(),
            inode: metadata.ino(),
            size: metadata.size(),
            modified: (metadata.mtime(), metadata.mtime_nsec()),
            changed: (metadata.ctime(), metadata.ctime_nsec()),
        }
    }
}

fn is_fresh(file: &Metadata, now: SystemTime) -> bool {
    let now = now.duration_since(UNIX_EPOCH).unwrap_or_default();
    let newest = file.ctime().max(file.mtime());
    now.as_secs() as i64 - newest <= CLOCK_TICK.as_secs() as i64
}
