//! Colours of lines, told apart with any colour vision as far as there are few of them.

use eframe::egui::Color32;
use eframe::egui::ecolor::Hsva;

/// The eight of Okabe and Ito (<https://jfly.uni-koeln.de/color/>), blue and black made lighter for a dark ground…
const ON_DARK: [u32; 8] =
    [0x56_b4_e9, 0xe6_9f_00, 0x00_b3_84, 0xf0_e4_42, 0xcc_79_a7, 0xe8_6a_10, 0x6f_8c_ff, 0xc9_d1_d9];

/// …sky blue, orange and yellow made darker for a light one.
const ON_LIGHT: [u32; 8] =
    [0x1f_8f_cf, 0xc7_82_00, 0x00_8a64, 0xa8_98_00, 0xb8_55_8a, 0xd5_5e_00, 0x00_4f_a3, 0x1f_23_28];

/// The golden angle as a share of the circle: each hue lies in the largest part that those before have left free.
const GOLDEN_TURN: f32 = 0.381_966;

/// The colour of the line at this place.
pub fn color(place: usize, dark: bool) -> Color32 {
    let few = if dark { ON_DARK } else { ON_LIGHT };
    match few.get(place) {
        Some(hex) => Color32::from_rgb((hex >> 16) as u8, (hex >> 8) as u8, *hex as u8),
        None => {
            let hue = (place as f32 * GOLDEN_TURN).fract();
            let value = if dark { [0.95, 0.78] } else { [0.72, 0.55] }[place % 2];
            Hsva::new(hue, if dark { 0.55 } else { 0.85 }, value, 1.0).into()
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn no_two_of_32_lines_have_one_colour() {
        for dark in [true, false] {
            let colors: BTreeSet<[u8; 4]> = (0..32).map(|place| color(place, dark).to_array()).collect();
            assert_eq!(colors.len(), 32);
        }
    }
}
