//! Colours and sizes, for a light and a dark room, and for eyes that tell colours apart in different ways.

use eframe::egui::{self, Color32, CornerRadius, FontFamily, FontId, Stroke, TextStyle, ThemePreference, Visuals};

use crate::model::{Freshness, Level};
use crate::state::{Palette, Standing, Theme};

/// The colours that egui has none for.
#[derive(Debug, Clone, Copy)]
pub struct Colors {
    levels: [Color32; 3],
    /// Text.
    pub text: Color32,
    /// Text that stands back.
    pub weak: Color32,
    /// What is filled up by a bar or an arc.
    pub track: Color32,
    /// Behind a group of things.
    pub card: Color32,
    /// What is neither good nor bad.
    pub accent: Color32,
    /// What may not be taken for what is now.
    pub stale: Color32,
}

impl Colors {
    /// The colours for the theme in use.
    pub fn of(ui: &egui::Ui, palette: Palette) -> Colors {
        Colors::in_light(ui.visuals().dark_mode, palette)
    }

    fn in_light(dark: bool, palette: Palette) -> Colors {
        let rgb = |hex: u32| Color32::from_rgb((hex >> 16) as u8, (hex >> 8) as u8, hex as u8);
        let levels = match (palette, dark) {
            (Palette::TrafficLight, true) => [0x3f_b9_50, 0xe3_b3_41, 0xf8_51_49],
            (Palette::TrafficLight, false) => [0x1a_7f_37, 0xbf_87_00, 0xcf_22_2e],
            (Palette::ColourBlind, true) => [0x56_b4_e9, 0xf0_e4_42, 0xff_7a_1a],
            (Palette::ColourBlind, false) => [0x00_72_b2, 0xb8_9b_00, 0xd5_5e_00],
        };
        let [text, weak, track, card, accent, stale] = if dark {
            [0xe6_ed_f3, 0x9a_a4_af, 0x2d_33_3b, 0x1b_20_27, 0x58_a6_ff, 0x7d_85_90]
        } else {
            [0x1f_23_28, 0x59_63_6e, 0xe1_e5_ea, 0xff_ff_ff, 0x09_69_da, 0x6e_77_81]
        };
        Colors {
            levels: levels.map(rgb),
            text: rgb(text),
            weak: rgb(weak),
            track: rgb(track),
            card: rgb(card),
            accent: rgb(accent),
            stale: rgb(stale),
        }
    }

    /// A level's colour.
    pub fn level(&self, level: Level) -> Color32 {
        self.levels[level as usize]
    }

    /// A colour for a value of this freshness: dimmed when it is late, without colour when it is stale.
    pub fn aged(&self, color: Color32, freshness: Option<Freshness>) -> Color32 {
        match freshness {
            Some(Freshness::Fresh) => color,
            Some(Freshness::Unconfirmed) => color.gamma_multiply(0.75),
            Some(Freshness::Late) => color.gamma_multiply(0.45),
            Some(Freshness::Stale) | None => self.stale,
        }
    }

    /// The colour in which words can be read best on this one, which hides what is behind it.
    pub fn on(&self, fill: Color32) -> Color32 {
        if contrast(self.text, fill) >= contrast(self.card, fill) { self.text } else { self.card }
    }

    /// How a connection stands.
    pub fn standing(&self, standing: Standing) -> Color32 {
        match standing {
            Standing::Live => self.level(Level::Normal),
            Standing::Late | Standing::Retrying => self.level(Level::Warning),
            Standing::NeedsYou => self.level(Level::Critical),
            Standing::Idle | Standing::Resolving | Standing::Authenticating => self.weak,
        }
    }
}

/// The contrast of two colours that hide what is behind them, from 1 to 21
/// (WCAG 2.2, <https://www.w3.org/TR/WCAG22/#dfn-contrast-ratio>).
fn contrast(a: Color32, b: Color32) -> f32 {
    let luminance = |color: Color32| {
        let [red, green, blue, _] = egui::Rgba::from(color).to_array();
        0.2126 * red + 0.7152 * green + 0.0722 * blue
    };
    let (a, b) = (luminance(a) + 0.05, luminance(b) + 0.05);
    a.max(b) / a.min(b)
}

/// Gives egui this program's look, in both themes.
pub fn install(ctx: &egui::Context) {
    for (theme, visuals) in [(egui::Theme::Dark, dark()), (egui::Theme::Light, light())] {
        ctx.style_mut_of(theme, |style| {
            style.visuals = visuals;
            style.spacing.item_spacing = egui::vec2(8.0, 6.0);
            style.spacing.button_padding = egui::vec2(8.0, 4.0);
            style.animation_time = 0.0;
            style.text_styles = [
                (TextStyle::Heading, FontId::new(17.0, FontFamily::Proportional)),
                (TextStyle::Body, FontId::new(14.0, FontFamily::Proportional)),
                (TextStyle::Button, FontId::new(14.0, FontFamily::Proportional)),
                (TextStyle::Small, FontId::new(11.5, FontFamily::Proportional)),
                (TextStyle::Monospace, FontId::new(13.0, FontFamily::Monospace)),
            ]
            .into();
        });
    }
}

/// Light or dark, as the user has it.
pub(super) fn follow(ctx: &egui::Context, theme: Theme) {
    let preference = match theme {
        Theme::System => ThemePreference::System,
        Theme::Light => ThemePreference::Light,
        Theme::Dark => ThemePreference::Dark,
    };
    if ctx.options(|options| options.theme_preference) != preference {
        ctx.set_theme(preference);
    }
}

fn dark() -> Visuals {
    let mut visuals = Visuals::dark();
    visuals.panel_fill = Color32::from_rgb(0x12, 0x16, 0x1b);
    visuals.window_fill = Color32::from_rgb(0x1b, 0x20, 0x27);
    visuals.extreme_bg_color = Color32::from_rgb(0x0b, 0x0e, 0x12);
    visuals.faint_bg_color = Color32::from_rgb(0x1b, 0x20, 0x27);
    visuals.override_text_color = Some(Color32::from_rgb(0xe6, 0xed, 0xf3));
    visuals.weak_text_color = Some(Color32::from_rgb(0x9a, 0xa4, 0xaf));
    visuals.selection.bg_fill = Color32::from_rgb(0x1f, 0x4b, 0x85);
    rounded(visuals, Color32::from_rgb(0x2d, 0x33, 0x3b))
}

fn light() -> Visuals {
    let mut visuals = Visuals::light();
    visuals.panel_fill = Color32::from_rgb(0xf3, 0xf5, 0xf8);
    visuals.window_fill = Color32::WHITE;
    visuals.extreme_bg_color = Color32::WHITE;
    visuals.faint_bg_color = Color32::from_rgb(0xe9, 0xed, 0xf1);
    visuals.override_text_color = Some(Color32::from_rgb(0x1f, 0x23, 0x28));
    visuals.weak_text_color = Some(Color32::from_rgb(0x59, 0x63, 0x6e));
    visuals.selection.bg_fill = Color32::from_rgb(0xb6, 0xd7, 0xff);
    rounded(visuals, Color32::from_rgb(0xd5, 0xdb, 0xe1))
}

fn rounded(mut visuals: Visuals, line: Color32) -> Visuals {
    visuals.widgets.noninteractive.bg_stroke = Stroke::new(1.0, line);
    visuals.window_stroke = Stroke::new(1.0, line);
    let widgets = &mut visuals.widgets;
    for look in [&mut widgets.inactive, &mut widgets.hovered, &mut widgets.active, &mut widgets.open] {
        look.corner_radius = CornerRadius::same(6);
    }
    visuals
}

/// A page, and a strip above or below it. Neither fills its ground, which the window is cleared with: with a software
/// renderer each layer of the whole window costs as much as all that is drawn on it.
pub(super) fn page(ui: &egui::Ui) -> egui::Frame {
    egui::Frame::central_panel(ui.style()).fill(Color32::TRANSPARENT)
}

pub(super) fn strip(ui: &egui::Ui) -> egui::Frame {
    egui::Frame::side_top_panel(ui.style()).fill(Color32::TRANSPARENT)
}

/// A group of things. It has an outline, which is part of its margin, and no ground of its own, for the same reason.
pub(super) fn card(colors: &Colors) -> egui::Frame {
    egui::Frame::new().stroke(Stroke::new(1.0, colors.track)).corner_radius(CARD).inner_margin(9)
}

/// The outline of a card that is drawn by hand.
pub(super) fn outline(painter: &egui::Painter, rect: egui::Rect, colors: &Colors) {
    painter.rect_stroke(rect, CARD, Stroke::new(1.0, colors.track), egui::StrokeKind::Inside);
}

/// How round a card's corners are.
const CARD: u8 = 8;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn contrasts_are_those_of_the_guidelines() {
        assert!((contrast(Color32::BLACK, Color32::WHITE) - 21.0).abs() < 1e-3);
        let grey = Color32::from_rgb(0x76, 0x76, 0x76);
        assert!((contrast(grey, Color32::WHITE) - 4.54).abs() < 0.01, "{}", contrast(grey, Color32::WHITE));
    }

    #[test]
    fn words_on_a_level_s_colour_can_be_read() {
        for (dark, palette) in [true, false]
            .into_iter()
            .flat_map(|dark| [Palette::TrafficLight, Palette::ColourBlind].map(|palette| (dark, palette)))
        {
            let colors = Colors::in_light(dark, palette);
            let levels = [Level::Normal, Level::Warning, Level::Critical].map(|level| colors.level(level));
            for (color, strength) in levels
                .into_iter()
                .chain([colors.stale])
                .flat_map(|color| (25..=100).map(move |percent| (color, percent as f32 / 100.0)))
            {
                let fill = colors.card.lerp_to_gamma(color, strength);
                let ratio = contrast(colors.on(fill), fill);
                let other = contrast(colors.text, fill).max(contrast(colors.card, fill));
                assert!(ratio >= 4.5 || ratio == other, "{ratio} on {fill:?}");
                // Half way between light and dark nothing reaches 4.5.
                assert!(ratio >= 3.5, "{ratio} on {fill:?}, dark: {dark}");
            }
        }
    }
}
