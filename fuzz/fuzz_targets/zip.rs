//! Any bytes may come as a ZIP: unpacking them ends, stays in its folder, and makes no more than it may.

#![no_main]

use std::fs;
use std::path::Path;

use host::plugin::{check, unpack};
use libfuzzer_sys::fuzz_target;

const MAX: u64 = 1 << 16;

fuzz_target!(|bytes: &[u8]| {
    let outer = tempfile::tempdir().expect("a temporary folder can be made");
    let folder = outer.path().join("unpacked");
    fs::create_dir(&folder).expect("a folder can be made in it");
    let checked = check(bytes, MAX);
    let unpacked = unpack(bytes, &folder, MAX);
    assert!(checked.is_ok() || unpacked.is_err(), "what is refused at a look was unpacked");
    assert_eq!(fs::read_dir(&outer).expect("it can be listed").count(), 1, "something lies outside of the folder");
    assert!(size(&folder) <= 4 * MAX, "more was made than may be");
});

/// The size of all files below a folder, which holds no links.
fn size(folder: &Path) -> u64 {
    let entries = fs::read_dir(folder).expect("it can be listed").map(|entry| entry.expect("it can be listed"));
    entries
        .map(|entry| {
            let kind = entry.file_type().expect("it has a kind");
            assert!(kind.is_file() || kind.is_dir(), "a link was made");
            if kind.is_dir() { size(&entry.path()) } else { entry.metadata().expect("it has a size").len() }
        })
        .sum()
}
