//! What is exported can be played, and so can other files of results.
#![allow(clippy::unwrap_used, reason = "a test may fail by a panic, in its helpers too")]

use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use proptest::prelude::*;
use serde_json::Value;
use viewer::export::{self, Contents};
use viewer::model::{Document, History, Moment};
use viewer::profile::{Profile, Secret};
use viewer::replay::Recording;
use viewer::state::{Event, Found, Key, Settings, State};

fn wall(moment: Moment) -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs_f64(1_764_498_600.0 + moment.0)
}

fn file(text: &str) -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("recorded");
    std::fs::write(&path, text).unwrap();
    (folder, path)
}

fn refused(text: &str) -> String {
    Recording::open(&file(text).1).unwrap_err().to_string()
}

/// The history of a recording's numbers, as the state keeps it.
fn history(path: &Path) -> History {
    let mut history = History::default();
    for result in Recording::open(path).unwrap() {
        let (offset, document) = result.unwrap();
        let numbers = document.fields().iter().filter_map(|(name, value)| Some((name.as_str(), value.as_f64()?)));
        history.push(Moment(offset), false, numbers);
    }
    history
}

#[test]
fn a_recording_of_the_metrics_plugin_is_played_by_its_timestamps() {
    let golden = Path::new(env!("CARGO_MANIFEST_DIR")).join("../plugins/metrics/data/golden/recorded.jsonl");
    let recording = Recording::open(&golden).unwrap();
    assert!((recording.period() - 1.0).abs() < 0.1, "{}", recording.period());
    let lines = std::fs::read_to_string(&golden).unwrap();
    assert_eq!(recording.len(), lines.lines().count());
    for (result, line) in recording.zip(lines.lines()) {
        assert_eq!(result.unwrap().1.bytes(), line.as_bytes());
    }
}

#[test]
fn a_mark_of_the_byte_order_before_a_file_is_none_of_its_first_line() {
    for text in ["{\"a\":1}\n{\"a\":2}\n", "at,a\r\n2025-11-30T10:30:00Z,1\r\n2025-11-30T10:30:05Z,2\r\n"] {
        let (_folder, path) = file(&format!("\u{feff}{text}"));
        let results = Recording::open(&path).unwrap().map(|result| result.unwrap().1.fields()["a"].clone());
        assert_eq!(results.collect::<Vec<_>>(), [1, 2], "{text}");
    }
}

#[test]
fn names_that_look_like_formulas_are_none_in_a_table_and_come_back() {
    let mut history = History::default();
    for second in 0..2 {
        let numbers = [("=1+1", -1.5), ("'-a", 2.0), ("b", -3.0)];
        history.push(Moment(f64::from(second)), false, numbers.into_iter());
    }
    let folder = tempfile::tempdir().unwrap();
    let (path, _) = export::write(&folder.path().join("a.csv"), Contents::numbers(&history, wall)).unwrap();
    let text = std::fs::read_to_string(&path).unwrap();
    assert!(text.starts_with("at,''-a,'=1+1,b\r\n") && text.contains("Z,2,-1.5,-3\r\n"), "{text}");
    assert_eq!(self::history(&path).names(), history.names());
}

#[test]
fn results_that_tell_no_time_are_five_seconds_apart() {
    let (_folder, path) = file("{\"a\":1}\n\n{\"a\":2,\"timestamp\":\"2025-11-30T10:00:00\"}\n");
    let recording = Recording::open(&path).unwrap();
    assert_eq!(recording.period(), 5.0);
    let offsets: Vec<f64> = recording.map(|result| result.unwrap().0).collect();
    assert_eq!(offsets, [0.0, 5.0]);
}

#[test]
fn what_can_not_be_played_is_said_with_its_line() {
    assert_eq!(refused(""), "there is no result in it");
    assert!(refused("\u{80}\u{4}pickle").contains("neither lines of JSON objects nor a table"));
    assert!(refused("{\"a\":1}\n\n{\"a\":NaN}\n").contains("line 3: NaN isn't JSON"));
    assert!(refused("{\"a\":1}\n[1]\n").contains("line 2: the value is a list"));
    assert!(refused("at,a\r\n2025-11-30T10:00:00Z,x\r\n").contains("row 2, column \"a\": \"x\" is no number"));
    assert!(refused("at,a\r\nyesterday,1\r\n").contains("row 2, column \"at\": \"yesterday\" is no time"));
    assert!(refused("at,a\r\n2025-11-30T10:00:00Z\r\n").contains("row 2 has 1 cells where the first has 2"));
    assert!(refused("at,a\r\n").contains("no result"));
}

#[test]
fn a_file_without_lines_is_not_read_into_memory() {
    let (_folder, path) = file("");
    // Nothing is written to it: it has holes.
    let long = std::fs::File::options().write(true).open(&path).unwrap();
    long.set_len(65 << 20).unwrap();
    let began = std::time::Instant::now();
    assert!(Recording::open(&path).unwrap_err().to_string().contains("neither lines of JSON objects nor a table"));
    assert!(began.elapsed() < Duration::from_secs(1), "only its start is looked at");
    let quote = format!("at,a\n2025-11-30T10:00:00Z,\"{}", " ".repeat(65 << 20));
    assert!(refused(&quote).contains("line 2 is longer than"));
}

#[cfg(unix)]
#[test]
fn what_is_no_file_is_not_waited_for() {
    let folder = tempfile::tempdir().unwrap();
    let pipe = folder.path().join("pipe");
    assert!(std::process::Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    let (tell, told) = std::sync::mpsc::channel();
    std::thread::spawn(move || tell.send(Recording::open(&pipe).unwrap_err().to_string()));
    assert!(told.recv_timeout(Duration::from_secs(20)).unwrap().contains("no file"));
}

#[test]
fn a_table_s_results_never_look_stale_while_they_come() {
    let (_folder, path) = file("at,a\n2025-11-30T10:00:00Z,1\n2025-11-30T10:00:01Z,1\n");
    let stamps: Vec<Value> =
        Recording::open(&path).unwrap().map(|result| result.unwrap().1.fields()["timestamp"].clone()).collect();
    assert_ne!(stamps[0], stamps[1]);
}

proptest! {
    #[test]
    fn numbers_come_back_from_a_table(
        rows in prop::collection::vec((1_u32..100_000, prop::collection::vec(prop::option::of(any::<f64>()), 3)), 1..30)
    ) {
        let names = ["a", "b \"quoted\", and\nbroken", "c"];
        let mut written = History::default();
        let mut at = 0.0;
        for (step, numbers) in rows {
            let finite = numbers.iter().map(|number| number.filter(|number| number.is_finite()));
            let row = names.into_iter().zip(finite).filter_map(|(name, number)| Some((name, number?)));
            written.push(Moment(at), false, row);
            at += f64::from(step) / 1_000.0;
        }
        let folder = tempfile::tempdir().unwrap();
        let (path, count) = export::write(&folder.path().join("a.csv"), Contents::numbers(&written, wall)).unwrap();
        prop_assert_eq!(count, written.len());
        let read = history(&path);
        prop_assert_eq!(read.names(), written.names());
        for ((at, row), (back, numbers)) in written.rows().zip(read.rows()) {
            prop_assert!((at - back).abs() < 0.001_5);
            for (number, again) in row.into_iter().zip(numbers) {
                prop_assert!(number == again || number.is_nan() && again.is_nan(), "{} {}", number, again);
            }
        }
    }

    #[test]
    fn results_come_back_from_lines(
        results in prop::collection::vec(("[a-z \"\\\\\n]{0,8}", any::<f64>(), prop::bool::ANY), 1..20)
    ) {
        let mut state = State::new(Settings::default(), Vec::new(), String::new());
        state.watch(Profile { store: "redis://h".to_owned(), ..Profile::default() }.target(Secret::None).unwrap());
        for (index, (text, number, pretty)) in results.iter().enumerate() {
            let value = serde_json::json!({"text": text, "number": number, "index": index});
            let bytes = if *pretty { serde_json::to_vec_pretty(&value) } else { serde_json::to_vec(&value) }.unwrap();
            let found = Found::Document(Document::read(&bytes).unwrap());
            state.apply(Event::Look { key: Key::Output, found, at: Moment(index as f64 * 2.0) });
        }
        let folder = tempfile::tempdir().unwrap();
        let (path, count) = export::write(&folder.path().join("a"), Contents::results(&state.records, wall)).unwrap();
        prop_assert_eq!(count, results.len());
        let recording = Recording::open(&path).unwrap();
        prop_assert_eq!(recording.period(), if count == 1 { 5.0 } else { 2.0 });
        for ((at, bytes), result) in state.records.iter().zip(recording) {
            let (offset, document) = result.unwrap();
            prop_assert_eq!(offset, at.0);
            let compact = String::from_utf8(bytes.to_vec()).unwrap().replace('\n', " ");
            prop_assert_eq!(document.bytes(), compact.as_bytes());
        }
    }
}
