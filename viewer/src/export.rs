//! Writes what is kept of the results to a file: numbers as CSV, or the results as they came as JSON lines. What goes
//! in is a copy, so that the writing can be done by a thread of its own.

pub(crate) mod cell;

use std::borrow::Cow;
use std::fs;
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use anyhow::{Context, ensure};
use jiff::{Timestamp, Unit};

use crate::model::{History, Moment};
use crate::state::Records;

/// The most names that are tried where files of the wanted one are there already.
const MOST_NAMES: usize = 10_000;

/// What goes into a file.
#[derive(Debug, Clone)]
pub enum Contents {
    /// Numbers, and the time of each sample on the wall clock: CSV as in RFC 4180, the column `at` first.
    Numbers(History, Vec<SystemTime>),
    /// Results as they came: lines of `{"at":…,"data":…}`.
    Results(Vec<(SystemTime, Box<[u8]>)>),
}

impl Contents {
    /// The numbers of the history; `wall` tells when a moment was.
    pub fn numbers(history: &History, wall: impl Fn(Moment) -> SystemTime) -> Contents {
        let times = history.times().map(wall).collect();
        Contents::Numbers(history.clone(), times)
    }

    /// The results that are kept; `wall` tells when a moment was.
    pub fn results(records: &Records, wall: impl Fn(Moment) -> SystemTime) -> Contents {
        Contents::Results(records.iter().map(|(at, bytes)| (wall(at), bytes.into())).collect())
    }
}

/// Writes a file, whole or not at all, readable by its owner alone. Where there is one of that name, the new one gets
/// `-1`, `-2` … before its extension. Gives the file's real path and how many results are in it.
///
/// # Errors
///
/// A path that names no file, a folder that isn't there, and what the system says of it.
pub fn write(path: &Path, contents: Contents) -> anyhow::Result<(PathBuf, usize)> {
    ensure!(path.file_name().is_some() && !path.is_dir(), "{:?} names no file", path.display().to_string());
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    ensure!(folder.is_dir(), "there is no folder {}: make it, or name another", folder.display());
    let mut file = tempfile::NamedTempFile::new_in(folder)
        .with_context(|| format!("a file can't be made in {}", folder.display()))?;
    let count = fill(BufWriter::new(file.as_file_mut()), &contents)
        .with_context(|| format!("a file can't be written in {}", folder.display()))?;
    for number in 0..MOST_NAMES {
        let free = numbered(path, number);
        match file.persist_noclobber(&free) {
            Ok(_) => return Ok((free, count)),
            Err(error) if error.error.kind() == io::ErrorKind::AlreadyExists => file = error.file,
            Err(error) => return Err(error.error).with_context(|| format!("{} can't be written", free.display())),
        }
    }
    anyhow::bail!("{} and {MOST_NAMES} more of its kind are there already: name another file", path.display())
}

/// `name-2.csv` for the second try after `name.csv`.
fn numbered(path: &Path, number: usize) -> PathBuf {
    if number == 0 {
        return path.to_owned();
    }
    let mut name = path.file_stem().unwrap_or_default().to_owned();
    name.push(format!("-{number}"));
    if let Some(extension) = path.extension() {
        name.push(".");
        name.push(extension);
    }
    path.with_file_name(name)
}

fn fill(mut to: BufWriter<&mut fs::File>, contents: &Contents) -> anyhow::Result<usize> {
    let count = match contents {
        Contents::Numbers(history, times) => numbers(&mut to, history, times)?,
        Contents::Results(results) => {
            for (at, bytes) in results {
                write!(to, "{{\"at\":\"{}\",\"data\":", stamp(*at)?)?;
                // In JSON, line breaks stand between its parts only.
                to.write_all(
                    &bytes.iter().map(|byte| if b"\r\n".contains(byte) { b' ' } else { *byte }).collect::<Vec<u8>>(),
                )?;
                to.write_all(b"}\n")?;
            }
            results.len()
        }
    };
    to.flush()?;
    to.get_ref().sync_all()?;
    Ok(count)
}

fn numbers(to: impl Write, history: &History, times: &[SystemTime]) -> anyhow::Result<usize> {
    let mut table = csv::WriterBuilder::new().terminator(csv::Terminator::CRLF).from_writer(to);
    let names = history.names().into_iter().map(cell::of_text);
    table.write_record(std::iter::once(Cow::Borrowed("at")).chain(names).map(Cow::into_owned))?;
    for (at, (_, row)) in times.iter().zip(history.rows()) {
        table.write_record(std::iter::once(stamp(*at)?).chain(row.into_iter().map(number)))?;
    }
    table.flush()?;
    Ok(times.len())
}

/// RFC 3339 in UTC, with milliseconds.
fn stamp(at: SystemTime) -> anyhow::Result<String> {
    let at = Timestamp::try_from(at)?.round(Unit::Millisecond)?;
    Ok(format!("{at:.3}"))
}

/// The shortest text that is read as the same number; nothing where there is none.
fn number(number: f64) -> String {
    match number.abs() {
        absent if absent.is_nan() => String::new(),
        usual if usual == 0.0 || (1e-5..1e17).contains(&usual) => number.to_string(),
        _ => format!("{number:e}"),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn wall(moment: Moment) -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_secs_f64(1_764_498_600.0 + moment.0)
    }

    fn history() -> History {
        let mut history = History::default();
        history.push(Moment(0.0), false, [("a", 1.5), ("with, \"both\"", 16_000_000_000.0)].into_iter());
        history.push(Moment(1.25), false, [("a", 1e300)].into_iter());
        history
    }

    #[test]
    fn numbers_are_a_table_with_quotes_where_they_must_be() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.csv");
        let (file, count) = write(&path, Contents::numbers(&history(), wall)).unwrap();
        assert_eq!((&file, count), (&path, 2));
        assert_eq!(
            fs::read_to_string(file).unwrap(),
            "at,a,\"with, \"\"both\"\"\"\r\n2025-11-30T10:30:00.000Z,1.5,16000000000\r\n\
             2025-11-30T10:30:01.250Z,1e300,\r\n"
        );
    }

    #[test]
    fn results_are_lines_of_what_came() {
        let folder = tempfile::tempdir().unwrap();
        let results = vec![(wall(Moment(0.0004)), b"{\"a\":\r\n 1.50}".as_slice().into())];
        let (file, count) = write(&folder.path().join("a.jsonl"), Contents::Results(results)).unwrap();
        let text = fs::read_to_string(file).unwrap();
        assert_eq!((text.as_str(), count), ("{\"at\":\"2025-11-30T10:30:00.000Z\",\"data\":{\"a\":   1.50}}\n", 1));
    }

    #[test]
    fn nothing_is_written_over() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.b.csv");
        fs::write(&path, "mine").unwrap();
        let names: Vec<PathBuf> =
            (0..2).map(|_| write(&path, Contents::numbers(&history(), wall)).unwrap().0).collect();
        assert_eq!(names, [folder.path().join("a.b-1.csv"), folder.path().join("a.b-2.csv")]);
        assert_eq!(fs::read_to_string(&path).unwrap(), "mine");
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 3, "no temporary file stays");
    }

    #[test]
    fn a_folder_that_is_missing_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let missing = folder.path().join("missing");
        let error = write(&missing.join("a.csv"), Contents::numbers(&history(), wall)).unwrap_err().to_string();
        assert!(error.contains(&missing.display().to_string()), "{error}");
        assert!(write(folder.path(), Contents::numbers(&history(), wall)).unwrap_err().to_string().contains("no file"));
        assert!(write(Path::new(""), Contents::numbers(&history(), wall)).is_err());
    }
}
