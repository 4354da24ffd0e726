//! Side-by-side measurements; they are in `benches/`.
