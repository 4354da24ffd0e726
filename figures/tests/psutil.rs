//! The same names and values as psutil, which is given the same texts.

#![allow(clippy::unwrap_used, reason = "a test may")]

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    process::Command,
    thread,
    time::Duration,
};

use figures::{CpuTimes, Sources};
use serde_json::Value;

/// Reads the folders given as arguments in place of /proc, one after the other.
const PSUTIL: &str = r#"
import json, sys, psutil
for psutil.PROCFS_PATH in sys.argv[1:]:
    percents = psutil.cpu_percent(percpu=True)
out = {f"cpu_percent-{n}": percent for n, percent in enumerate(percents)}
freq = psutil.cpu_freq()
if freq:
    out["cpu_freq_current"] = freq.current
groups = {"cpu_stats-": psutil.cpu_stats(), "virtual_memory-": psutil.virtual_memory()}
for name, counters in psutil.net_io_counters(pernic=True).items():
    groups[f"net_io_counters_{name}-"] = counters
for prefix, group in groups.items():
    out.update((prefix + field, value) for field, value in group._asdict().items())
if psutil.version_info < (7, 2):
    del out["virtual_memory-used"]  # older ones also take buffers and caches off
print(json.dumps(out))
"#;

#[test]
fn names_and_values_are_psutils() {
    let before = Sources::read().unwrap();
    thread::sleep(Duration::from_millis(100));
    let now = Sources::read().unwrap();
    let Some(theirs) = psutil(&[folder("before", &before), folder("now", &now)]) else {
        return;
    };

    let (_, times) = figures::calculate(&before, &CpuTimes::default()).unwrap();
    let (figures, _) = figures::calculate(&now, &times).unwrap();
    let ours = serde_json::to_value(figures).unwrap();
    let mut ours: BTreeMap<String, Value> = serde_json::from_value(ours).unwrap();

    for (name, theirs) in theirs {
        let ours_here = ours.remove(&name).unwrap_or_else(|| panic!("psutil has {name} too"));
        assert_eq!(ours_here.as_f64(), theirs.as_f64(), "{name}");
        if name.contains("-bytes_") {
            assert_eq!(ours.remove(&format!("{name}1")), Some(ours_here), "the other spelling of {name}");
        }
    }
    for alone in ["timestamp", "n_pids", "virtual_memory-used"] {
        ours.remove(alone);
    }
    assert!(ours.is_empty(), "psutil has no {ours:?}");
}

#[test]
fn a_reading_has_a_time_and_processes() {
    let (figures, times) = figures::read(&CpuTimes::default()).unwrap();
    assert!(figures.n_pids > 0);
    assert_eq!(figures.cpu_percent.len(), times.0.len());
    let json = serde_json::to_value(figures).unwrap();
    let timestamp = json["timestamp"].as_str().unwrap();
    assert!(timestamp.contains('T') && timestamp.ends_with('Z'), "{timestamp}");
}

/// A folder that looks like /proc and holds what was read.
fn folder(name: &str, sources: &Sources) -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    fs::create_dir_all(folder.join("net")).unwrap();
    fs::write(folder.join("stat"), &sources.stat).unwrap();
    fs::write(folder.join("meminfo"), &sources.meminfo).unwrap();
    fs::write(folder.join("cpuinfo"), &sources.cpuinfo).unwrap();
    fs::write(folder.join("net/dev"), &sources.net_dev).unwrap();
    folder
}

fn psutil(folders: &[PathBuf]) -> Option<BTreeMap<String, Value>> {
    let output = match Command::new("python3").args(["-c", PSUTIL]).args(folders).output() {
        Ok(output) => output,
        Err(error) => {
            println!("skipped: python3 can't be started: {error}");
            return None;
        }
    };
    if !output.status.success() {
        let reason = String::from_utf8_lossy(&output.stderr);
        if reason.contains("ModuleNotFoundError") {
            println!("skipped: python3 has no psutil");
            return None;
        }
        panic!("psutil failed: {reason}");
    }
    Some(serde_json::from_slice(&output.stdout).unwrap())
}
