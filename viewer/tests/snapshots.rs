//! Pictures of the window, against those that were looked at and found right.
#![allow(clippy::unwrap_used, reason = "a test may fail by a panic, in its helpers too")]

mod support;

use egui_kittest::SnapshotResults;
use support::{Look, at, watching, window};

#[test]
fn cpus() {
    let mut pictures = SnapshotResults::new();
    for count in [1, 2, 8, 16, 64, 128, 256] {
        let mut window = window(watching(count, 60), at(2.0), Look::default());
        window.run();
        pictures.add(window.try_snapshot(format!("cpus-{count}")));
    }
}
