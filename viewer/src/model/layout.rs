//! How CPUs are drawn, by how many there are.

/// The form of the CPUs' picture.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Layout {
    /// Up to 8: large gauges.
    Large,
    /// Up to 32: small gauges.
    Small,
    /// Up to 128: numbered tiles.
    Tiles,
    /// More: a heat map, and the hottest as gauges.
    HeatMap,
}

/// How many of the hottest CPUs stand beside a heat map.
pub const HOTTEST: usize = 8;

impl Layout {
    /// The form for this many CPUs.
    pub fn of(cpus: usize) -> Layout {
        match cpus {
            0..=8 => Layout::Large,
            9..=32 => Layout::Small,
            33..=128 => Layout::Tiles,
            _ => Layout::HeatMap,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_form_changes_at_8_32_and_128() {
        for (cpus, layout) in [
            (1, Layout::Large),
            (8, Layout::Large),
            (9, Layout::Small),
            (32, Layout::Small),
            (33, Layout::Tiles),
            (128, Layout::Tiles),
            (129, Layout::HeatMap),
            (256, Layout::HeatMap),
        ] {
            assert_eq!(Layout::of(cpus), layout, "{cpus}");
        }
    }
}
