//! The program `plugin-viewer`.
#![forbid(unsafe_code)]

fn main() {}
