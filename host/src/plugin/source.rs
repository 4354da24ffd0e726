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
use super::{Found, HandlerName, Loader, NotLoaded, Origin, Step, find};

/// How long a new file must stay as it is before it is taken.
const QUIET: Duration = Duration::from_millis(50);

/// How long a file that was overwritten in place must: it may be half the old and half the new one.
const QUIET_IN_PLACE: Duration = Duration::from_secs(1);

/// A file that was changed within this time may be changed again without a change of its stamp, as the system's clock
/// for files ticks slowly.
const CLOCK_TICK: Duration = Duration::from_secs(2);

/// Where a plugin comes from, and what was seen there.
pub struct Source {
    place: Place,
    /// What was given last: it is not given again.
    given: Option<Given>,
}

enum Place {
    Path(Finder),
    Server(Download),
}

/// Finds and reads a library or ZIP below a path.
struct Finder {
    path: PathBuf,
    handler: HandlerName,
    zip_max_bytes: u64,
    /// Whether a signature is asked for: without a key, one that comes or goes changes nothing.
    signed: bool,
}

struct Given {
    sha256: String,
    signature: Option<Vec<u8>>,
    /// The file as it was then.
    mark: Option<Mark>,
    /// The files that it imports, where it is a module: their changes are its own.
    imports: Vec<PathBuf>,
    /// What the server calls it.
    etag: Option<HeaderValue>,
    /// It was not trusted. Its signature may come later, while the ZIP stays the same and keeps its name.
    distrusted: bool,
}

/// What tells without reading whether a file may have changed.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Mark {
    /// Where the file really lies: a ConfigMap volume swaps a link in the middle of the path.
    real: PathBuf,
    file: Stamp,
    signature: Option<Stamp>,
    imports: Vec<Option<Stamp>>,
    /// The file may change without its stamp.
    fresh: bool,
}

/// Inodes are reused, so one alone says nothing. The time is that of the last change of content or owner, which nobody
/// can set.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Stamp {
    device: u64,
    inode: u64,
    size: u64,
    changed: (i64, i64),
}

impl Source {
    /// Looks for what a loader takes. Nothing was seen yet.
    pub fn new(origin: Origin, loader: &Loader) -> Source {
        let (zip_max_bytes, signed) = (loader.zip_max_bytes, loader.trust.public_key.is_some());
        let place = match origin {
            Origin::Path(path) => Place::Path(Finder { path, handler: loader.handler.clone(), zip_max_bytes, signed }),
            Origin::Url(url) => Place::Server(Download { url, zip_max_bytes, signed }),
        };
        Source { place, given: None }
    }

    /// What is there at the start.
    ///
    /// # Errors
    ///
    /// Nothing is there, or it can't be read.
    pub async fn first(&mut self) -> Result<Found> {
        let (found, mark, etag) = match &self.place {
            Place::Path(finder) => {
                let file = find(&finder.path, &finder.handler)?;
                // Made before the file is read, so that a change meanwhile is seen.
                let mark = Mark::of(&file, &[], finder.signed)?;
                (finder.read(&file)?, Some(mark), None)
            }
            Place::Server(download) => {
                let Downloaded { found, etag } = download.fetch(None).await?.context("the server sent nothing")?;
                (found, None, etag)
            }
        };
        self.given = Some(Given::new(&found, mark, etag));
        Ok(found)
    }

    /// What is there now, if it is not what was there before and seems whole.
    ///
    /// # Errors
    ///
    /// Nothing is there, or it can't be read.
    pub async fn look(&mut self) -> Result<Option<Found>> {
        match &self.place {
            Place::Path(finder) => match finder.look(&mut self.given).await {
                Ok(found) => Ok(found),
                // A moment later the new one may be where the old one was.
                Err(_) => {
                    sleep(QUIET).await;
                    finder.look(&mut self.given).await
                }
            },
            Place::Server(download) => {
                let known = self.given.as_ref().filter(|given| !given.distrusted);
                let etag = known.and_then(|given| given.etag.as_ref());
                let Some(Downloaded { found, etag }) = download.fetch(etag).await? else { return Ok(None) };
                if let Some(given) = self.given.as_mut().filter(|given| given.is(&found)) {
                    given.etag = etag;
                    return Ok(None);
                }
                self.given = Some(Given::new(&found, None, etag));
                Ok(Some(found))
            }
        }
    }

    /// What was given last could not be loaded: says whether it is to be given again.
    pub(super) fn failed(&mut self, not: &NotLoaded) {
        if not.is_passing() {
            self.given = None;
        } else if let Some(given) = &mut self.given {
            given.distrusted = not.step == Step::Trust;
        }
    }
}

impl Finder {
    async fn look(&self, given: &mut Option<Given>) -> Result<Option<Found>> {
        let file = find(&self.path, &self.handler)?;
        let before = given.as_ref().and_then(|given| given.mark.as_ref());
        let imports = given.as_ref().map_or(&[][..], |given| &given.imports);
        let mark = Mark::of(&file, imports, self.signed)?;
        if !mark.fresh && before == Some(&mark) {
            return Ok(None);
        }
        let in_place = before.is_some_and(|before| before.is_same_file(&mark));
        let found = self.read(&file)?;
        if let Some(given) = given.as_mut().filter(|given| given.is(&found)) {
            given.mark = Some(mark);
            return Ok(None);
        }
        sleep(if in_place { QUIET_IN_PLACE } else { QUIET }).await;
        let again = self.read(&find(&self.path, &self.handler)?)?;
        let read = Given::new(&found, Some(mark), None);
        if !read.is(&again) {
            return Ok(None);
        }
        *given = Some(read);
        Ok(Some(found))
    }

    fn read(&self, file: &Path) -> Result<Found> {
        let found = Found::read(file, self.zip_max_bytes)?.with_imports(&self.handler, self.zip_max_bytes)?;
        if self.signed { found.with_signature() } else { Ok(found) }
    }
}

impl Given {
    fn new(found: &Found, mark: Option<Mark>, etag: Option<HeaderValue>) -> Given {
        let imports: Vec<_> = found.imports.iter().map(|file| file.path.clone()).collect();
        // What it imports now was not looked at before it was read: the next look reads again.
        let mark = mark.filter(|mark| mark.imports.len() == imports.len());
        let (sha256, signature) = (found.sha256.clone(), found.signature.clone());
        Given { sha256, signature, mark, imports, etag, distrusted: false }
    }

    fn is(&self, found: &Found) -> bool {
        (&self.sha256, &self.signature) == (&found.sha256, &found.signature)
    }
}

impl Mark {
    fn of(file: &Path, imports: &[PathBuf], signed: bool) -> Result<Mark> {
        let mark = || -> io::Result<Mark> {
            let now = SystemTime::now();
            let metadata = fs::metadata(file)?;
            let signature = signed.then(|| fs::metadata(signature_of(file)).ok()).flatten();
            let imports: Vec<_> = imports.iter().map(|file| fs::metadata(file).ok()).collect();
            let all = [Some(&metadata), signature.as_ref()].into_iter().chain(imports.iter().map(Option::as_ref));
            let fresh = all.flatten().any(|file| is_fresh(file, now));
            let signature = signature.as_ref().map(Stamp::of);
            let imports = imports.iter().map(|file| file.as_ref().map(Stamp::of)).collect();
            Ok(Mark { real: file.canonicalize()?, file: Stamp::of(&metadata), signature, imports, fresh })
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
            changed: (metadata.ctime(), metadata.ctime_nsec()),
        }
    }
}

fn is_fresh(file: &Metadata, now: SystemTime) -> bool {
    let now = now.duration_since(UNIX_EPOCH).unwrap_or_default();
    now.as_secs() as i64 - file.ctime() <= CLOCK_TICK.as_secs() as i64
}

#[cfg(test)]
mod tests {
    use tokio::time::Instant;

    use super::*;

    fn source(path: &Path) -> Source {
        let handler = HandlerName { library: None, symbol: "handler".to_owned() };
        let finder = Finder { path: path.to_owned(), handler, zip_max_bytes: 1 << 20, signed: false };
        Source { place: Place::Path(finder), given: None }
    }

    fn rename_over(path: &Path, content: &str) {
        let new = path.with_extension("new");
        fs::write(&new, content).unwrap();
        fs::rename(new, path).unwrap();
    }

    /// Looks, while something else happens after this time.
    async fn look_while(source: &mut Source, after: Duration, event: impl FnOnce()) -> Option<String> {
        let later = async {
            sleep(after).await;
            event();
        };
        let (found, ()) = tokio::join!(source.look(), later);
        found.unwrap().map(|found| String::from_utf8(found.bytes).unwrap())
    }

    #[tokio::test(start_paused = true)]
    async fn a_file_that_changes_while_it_is_looked_at_is_left_for_the_next_look() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("libx.so");
        fs::write(&path, "one").unwrap();
        let mut source = source(&path);
        source.first().await.unwrap();
        let short = QUIET / 2;
        rename_over(&path, "tw");
        assert_eq!(look_while(&mut source, short, || fs::write(&path, "two").unwrap()).await, None);
        assert_eq!(look_while(&mut source, short, || rename_over(&path, "three")).await, None);
        assert_eq!(look_while(&mut source, short, || {}).await.as_deref(), Some("three"));
        assert_eq!(look_while(&mut source, short, || {}).await, None);
    }

    #[tokio::test(start_paused = true)]
    async fn a_file_that_is_overwritten_in_place_must_be_quiet_for_longer() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("libx.so");
        fs::write(&path, "one").unwrap();
        let mut source = source(&path);
        source.first().await.unwrap();
        fs::write(&path, "t").unwrap();
        assert_eq!(look_while(&mut source, QUIET * 2, || fs::write(&path, "two").unwrap()).await, None);
        let started = Instant::now();
        assert_eq!(look_while(&mut source, QUIET, || {}).await.as_deref(), Some("two"));
        assert_eq!(started.elapsed(), QUIET_IN_PLACE);
    }

    #[tokio::test(start_paused = true)]
    async fn a_file_that_is_away_for_a_moment_is_waited_for() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("libx.so");
        fs::write(&path, "one").unwrap();
        let mut source = source(&path);
        source.first().await.unwrap();
        fs::remove_file(&path).unwrap();
        let found = look_while(&mut source, QUIET / 2, || fs::write(&path, "two").unwrap()).await;
        assert_eq!(found.as_deref(), Some("two"));
        fs::remove_file(&path).unwrap();
        assert!(source.look().await.is_err());
    }

    #[tokio::test(start_paused = true)]
    async fn what_was_touched_but_not_changed_is_nothing_new() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("libx.so");
        fs::write(&path, "one").unwrap();
        let mut source = source(&path);
        source.first().await.unwrap();
        rename_over(&path, "one");
        fs::write(signature_of(&path), "no key is set").unwrap();
        assert_eq!(look_while(&mut source, QUIET, || {}).await, None);
    }
}
