//! Side-by-side measurements; they are in `benches/`.

#![forbid(unsafe_code)]
