//! What the user has chosen, kept between starts.

use serde::{Deserialize, Serialize};

use crate::model::Thresholds;

/// The user's choices.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Settings {
    /// From where on a percentage is a warning, or critical.
    pub thresholds: Thresholds,
    /// The colours of the levels.
    pub palette: Palette,
    /// Light or dark.
    pub theme: Theme,
    /// The order of the CPUs.
    pub order: Order,
}

impl Settings {
    /// The same with thresholds in order.
    pub(super) fn in_order(self) -> Settings {
        Settings { thresholds: self.thresholds.in_order(), ..self }
    }
}

/// The colours of the levels.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Palette {
    /// Green, yellow, red.
    #[default]
    TrafficLight,
    /// Blue, yellow, vermilion: told apart with any colour vision (Okabe and Ito, <https://jfly.uni-koeln.de/color/>).
    ColourBlind,
}

/// Light or dark.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Theme {
    /// As the system has it.
    #[default]
    System,
    /// Always light.
    Light,
    /// Always dark.
    Dark,
}

/// The order of the CPUs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Order {
    /// By their numbers.
    #[default]
    Number,
    /// The hottest first.
    Hottest,
}
