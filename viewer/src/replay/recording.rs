//! A recorded file: looked through once for its times and faults, then read again result by result, so that only one
//! of them is in memory.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read, Seek};
use std::path::Path;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Map, Number, Value};

use crate::export::cell;
use crate::model::{Document, TIMESTAMP, USUAL_PERIOD, Unreadable};

/// The longest file that is played, in bytes.
const MOST_BYTES: u64 = 1 << 30;

/// The longest line, in bytes.
const LONGEST_LINE: u64 = 64 << 20;

/// The longest first row of a table, in bytes: an export's has 1,024 names at most, of 200 bytes each.
const LONGEST_FIRST_ROW: usize = 1 << 20;

/// What some programs of Windows put before a text in UTF-8.
const MARK: &[u8] = b"\xef\xbb\xbf";

/// A recorded file. As an iterator it gives each result with its distance from the first, in seconds.
#[derive(Debug)]
pub struct Recording {
    results: Results,
    offsets: std::vec::IntoIter<f64>,
    period: f64,
    first: Option<Timestamp>,
}

/// Why a file can't be played, with its line where that matters.
#[derive(Debug, thiserror::Error)]
pub enum Unplayable {
    /// The file can't be read.
    #[error(transparent)]
    Io(#[from] io::Error),
    /// It is a folder, or a pipe that may never end.
    #[error("it is no file")]
    NoFile,
    /// It is too long.
    #[error("it has {0} bytes; at most {MOST_BYTES} are played")]
    TooLong(u64),
    /// There is nothing in it.
    #[error("there is no result in it")]
    Empty,
    /// It is none of the kinds that are known.
    #[error("it holds neither lines of JSON objects nor a table whose first column is `at`")]
    Unknown,
    /// A line has no end.
    #[error("line {0} is longer than {LONGEST_LINE} bytes")]
    LongLine(u64),
    /// A line isn't what it should be.
    #[error("line {0}: {1}")]
    Line(u64, Unreadable),
    /// The table can't be read.
    #[error(transparent)]
    Table(#[from] csv::Error),
    /// A row of the table is longer or shorter than the first.
    #[error("row {0} has {1} cells where the first has {2}")]
    Row(u64, usize, usize),
    /// A cell of the table isn't what it should be.
    #[error("row {row}, column {column:?}: {text:?} is no {wanted}")]
    Cell {
        /// Where, with the names as the first row.
        row: u64,
        /// The column's name.
        column: String,
        /// What stands there.
        text: String,
        /// What should stand there.
        wanted: &'static str,
    },
}

impl Recording {
    /// Opens a file and looks through all of it.
    ///
    /// # Errors
    ///
    /// A file that can't be read, is longer than 1 GiB, or has a line that is no result.
    pub fn open(path: &Path) -> Result<Recording, Unplayable> {
        // Asked before it is opened: a pipe is opened only once somebody writes to it.
        let metadata = std::fs::metadata(path)?;
        if !metadata.is_file() {
            return Err(Unplayable::NoFile);
        }
        if metadata.len() > MOST_BYTES {
            return Err(Unplayable::TooLong(metadata.len()));
        }
        let file = File::open(path)?;
        let stamps: Vec<Option<Timestamp>> =
            Results::new(file.try_clone()?)?.map(|result| Ok(result?.0)).collect::<Result<_, Unplayable>>()?;
        if stamps.is_empty() {
            return Err(Unplayable::Empty);
        }
        let times = times(&stamps);
        let first = times.as_ref().and_then(|times| times.first().copied());
        let offsets = offsets(times.as_deref(), stamps.len());
        let period = period(&offsets);
        Ok(Recording { results: Results::new(file)?, offsets: offsets.into_iter(), period, first })
    }

    /// Seconds between two results: the median.
    pub fn period(&self) -> f64 {
        self.period
    }

    /// When its first result was written; none where it doesn't tell.
    pub fn first(&self) -> Option<SystemTime> {
        let since = Duration::try_from(self.first?.duration_since(Timestamp::UNIX_EPOCH)).ok()?;
        UNIX_EPOCH.checked_add(since)
    }

    /// How many results are left.
    pub fn len(&self) -> usize {
        self.offsets.len()
    }

    /// Whether none is left.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl Iterator for Recording {
    type Item = Result<(f64, Document), Unplayable>;

    fn next(&mut self) -> Option<Self::Item> {
        let offset = self.offsets.next()?;
        Some(self.results.next()?.map(|(_, document)| (offset, document)))
    }
}

/// When each result was written; none where a time is missing, or none is later than the one before.
fn times(stamps: &[Option<Timestamp>]) -> Option<Vec<Timestamp>> {
    let known: Vec<Timestamp> = stamps.iter().copied().collect::<Option<_>>()?;
    (known.is_sorted() && (known.len() == 1 || known.first() < known.last())).then_some(known)
}

/// Seconds since the first. Where nobody tells, `count` results are 5 s apart.
fn offsets(times: Option<&[Timestamp]>, count: usize) -> Vec<f64> {
    match times {
        Some(times) => times.iter().map(|at| at.duration_since(times[0]).as_secs_f64()).collect(),
        None => (0..count).map(|index| index as f64 * USUAL_PERIOD).collect(),
    }
}

fn period(offsets: &[f64]) -> f64 {
    let mut steps: Vec<f64> = offsets.array_windows().map(|[before, after]| after - before).collect();
    steps.sort_by(f64::total_cmp);
    steps.get(steps.len() / 2).copied().filter(|median| *median > 0.0).unwrap_or(USUAL_PERIOD)
}

/// Results in the order of the file, each with the time that is written beside it or in it.
#[derive(Debug)]
enum Results {
    Lines(Box<BufReader<File>>, u64),
    Table(Box<csv::Reader<Rows>>, Vec<String>),
}

/// A table's bytes, of which only so many are given until the next row is asked for: a quote that nobody closes would
/// make one row of all.
#[derive(Debug)]
struct Rows {
    file: File,
    left: u64,
}

impl Read for Rows {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.left == 0 {
            return Err(io::ErrorKind::FileTooLarge.into());
        }
        let read = (&self.file).take(self.left).read(buffer)?;
        self.left -= read as u64;
        Ok(read)
    }
}

impl Results {
    fn new(mut file: File) -> Result<Results, Unplayable> {
        file.rewind()?;
        let length = file.metadata()?.len();
        let mut start = BufReader::with_capacity(LONGEST_FIRST_ROW, &file);
        let bytes = start.fill_buf()?;
        let has_first_row = bytes.contains(&b'\n') || length <= bytes.len() as u64;
        let mark = if bytes.starts_with(MARK) { MARK.len() } else { 0 };
        let first = bytes[mark..].iter().copied().find(|byte| !byte.is_ascii_whitespace());
        file.seek(io::SeekFrom::Start(mark as u64))?;
        match first {
            None => Err(Unplayable::Empty),
            Some(b'{') => Ok(Results::Lines(Box::new(BufReader::new(file)), 0)),
            Some(_) if !has_first_row => Err(Unplayable::Unknown),
            Some(_) => {
                let rows = Rows { file, left: LONGEST_LINE };
                let mut table = csv::ReaderBuilder::new().flexible(true).from_reader(rows);
                // What is no text is no table either.
                let names = table.headers().map_err(|_no_text| Unplayable::Unknown)?.iter();
                let names: Vec<String> = names.map(|name| cell::text(name).to_owned()).collect();
                match names.first().map(String::as_str) {
                    Some("at") => Ok(Results::Table(Box::new(table), names)),
                    _ => Err(Unplayable::Unknown),
                }
            }
        }
    }
}

impl Iterator for Results {
    type Item = Result<(Option<Timestamp>, Document), Unplayable>;

    fn next(&mut self) -> Option<Self::Item> {
        match self {
            Results::Lines(lines, number) => next_line(lines, number).transpose(),
            Results::Table(table, names) => {
                let mut record = csv::StringRecord::new();
                let line = table.position().line();
                table.get_mut().left = LONGEST_LINE;
                match table.read_record(&mut record) {
                    Ok(true) => Some(row(&record, names)),
                    Ok(false) => None,
                    Err(error) => Some(Err(match error.kind() {
                        csv::ErrorKind::Io(cause) if cause.kind() == io::ErrorKind::FileTooLarge => {
                            Unplayable::LongLine(line)
                        }
                        _ => error.into(),
                    })),
                }
            }
        }
    }
}

/// What an export writes as a line.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Line<'a> {
    at: &'a str,
    #[serde(borrow)]
    data: &'a RawValue,
}

fn next_line(lines: &mut impl BufRead, number: &mut u64) -> Result<Option<(Option<Timestamp>, Document)>, Unplayable> {
    let mut line = Vec::new();
    loop {
        line.clear();
        *number += 1;
        let read = lines.take(LONGEST_LINE + 1).read_until(b'\n', &mut line)?;
        if read as u64 > LONGEST_LINE {
            return Err(Unplayable::LongLine(*number));
        }
        if read == 0 {
            return Ok(None);
        }
        let line = line.trim_ascii();
        if !line.is_empty() {
            return result(line).map(Some).map_err(|error| Unplayable::Line(*number, error));
        }
    }
}

fn result(line: &[u8]) -> Result<(Option<Timestamp>, Document), Unreadable> {
    if let Ok(Line { at, data }) = serde_json::from_slice(line)
        && let Ok(at) = at.parse()
        && let Ok(document) = Document::read(data.get().as_bytes())
    {
        return Ok((Some(at), document));
    }
    let document = Document::read(line)?;
    let at = document.fields().get(TIMESTAMP).and_then(Value::as_str).and_then(time);
    Ok((at, document))
}

/// ISO 8601 with an offset or, as handlers often write it, without.
fn time(text: &str) -> Option<Timestamp> {
    text.parse().ok().or_else(|| TimeZone::UTC.to_timestamp(text.parse::<DateTime>().ok()?).ok())
}

fn row(record: &csv::StringRecord, names: &[String]) -> Result<(Option<Timestamp>, Document), Unplayable> {
    let row = record.position().map_or(0, |position| position.record() + 1);
    let wrong = |column: &str, text: &str, wanted| Unplayable::Cell {
        row,
        column: column.to_owned(),
        text: text.chars().take(40).collect(),
        wanted,
    };
    if record.len() != names.len() {
        return Err(Unplayable::Row(row, record.len(), names.len()));
    }
    let text = record.get(0).unwrap_or_default();
    let at: Timestamp = text.parse().map_err(|_why| wrong("at", text, "time"))?;
    // The table holds numbers only, and without a timestamp a value that stays the same would look stale.
    let mut fields = Map::from_iter([(TIMESTAMP.to_owned(), Value::String(text.to_owned()))]);
    for (name, cell) in names.iter().zip(record).skip(1).filter(|(_, cell)| !cell.is_empty()) {
        let number: Number = serde_json::from_str(cell).map_err(|_why| wrong(name, cell, "number"))?;
        fields.insert(name.clone(), Value::Number(number));
    }
    let document = Document::read(Value::Object(fields).to_string().as_bytes());
    Ok((Some(at), document.map_err(|error| Unplayable::Line(row, error))?))
}
