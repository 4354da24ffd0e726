//! Percentages as horizontal bars, and the three figures over all CPUs.

use eframe::egui::{self, Align2, FontId, Rect, RichText, pos2, vec2};

use super::meter::meter;
use super::theme::{Colors, card};
use super::time::ago;
use super::{Time, sign};
use crate::model::{Freshness, Level, Summary, Thresholds};
use crate::state::{Shown, State};

/// A percentage with its name.
#[derive(Debug, Clone, Copy)]
pub struct Bar<'a> {
    /// What it is.
    pub name: &'a str,
    /// The field that it comes from.
    pub field: &'a str,
    /// The value; none where the result has none.
    pub percent: Option<f64>,
    /// Whether it may be taken for what is now.
    pub freshness: Option<Freshness>,
    /// Its age in words.
    pub age: &'a str,
}

/// Draws a bar of this width.
pub fn bar(ui: &mut egui::Ui, width: f32, bar: &Bar<'_>, colors: &Colors) {
    let inner = group(ui, width, colors, |ui| {
        let text = colors.aged(colors.text, bar.freshness);
        ui.horizontal(|ui| {
            ui.label(RichText::new(bar.name).color(text));
            ui.with_layout(egui::Layout::right_to_left(egui::Align::Center), |ui| {
                let value = bar.percent.map_or("–".to_owned(), |percent| format!("{percent:.2} %"));
                ui.label(RichText::new(value).size(20.0).color(text));
            });
        });
        let (rect, _) = ui.allocate_exact_size(vec2(ui.available_width(), 14.0), egui::Sense::hover());
        let painter = ui.painter();
        painter.rect_filled(rect, 4.0, colors.track);
        if let Some(percent) = bar.percent {
            let width = rect.width() * (percent / 100.0).clamp(0.0, 1.0) as f32;
            let full = Rect::from_min_size(rect.min, vec2(width, rect.height()));
            painter.rect_filled(full, 4.0, colors.aged(colors.accent, bar.freshness));
            if bar.freshness == Some(Freshness::Stale) {
                sign::hatch(painter, full, colors.card);
            }
        }
        for quarter in [0.25, 0.5, 0.75] {
            let x = rect.left() + rect.width() * quarter;
            painter.vline(x, rect.bottom()..=rect.bottom() + 3.0, (1.0, colors.track));
        }
        ui.label(RichText::new(bar.field).small().color(colors.weak));
    });
    let spoken = match bar.percent {
        Some(percent) => format!("{}, {percent:.2} %, {}", bar.name, bar.age),
        None => format!("{}, no value", bar.name),
    };
    let response = inner.response.interact(egui::Sense::hover());
    match bar.percent {
        Some(percent) => meter(ui, &response, &spoken, percent),
        None => response.widget_info(|| egui::WidgetInfo::labeled(egui::Role::Meter, true, &spoken)),
    }
    response.on_hover_text(spoken);
}

/// Draws mean, maximum and 95th percentile over all CPUs.
pub fn summary(
    ui: &mut egui::Ui,
    width: f32,
    summary: Option<&Summary>,
    (freshness, age): (Option<Freshness>, &str),
    limits: Thresholds,
    colors: &Colors,
) {
    group(ui, width, colors, |ui| {
        ui.label(RichText::new("All CPUs").color(colors.aged(colors.text, freshness)));
        let (rect, _) = ui.allocate_exact_size(vec2(ui.available_width(), 43.0), egui::Sense::hover());
        let Some(summary) = summary else {
            let text = FontId::proportional(14.0);
            ui.painter().text(rect.left_center(), Align2::LEFT_CENTER, "no CPUs in the result", text, colors.weak);
            return;
        };
        let hottest = format!("max (CPU {})", summary.hottest);
        let parts = [("mean", summary.mean), (hottest.as_str(), summary.max), ("p95", summary.p95)];
        let each = rect.width() / parts.len() as f32;
        for (index, (name, percent)) in parts.into_iter().enumerate() {
            let place = Rect::from_min_size(rect.min + vec2(each * index as f32, 0.0), vec2(each, rect.height()));
            let level = limits.level(percent);
            let spoken = format!("All CPUs, {name}, {percent:.1} %, {}, {age}", level.word());
            let response = ui.interact(place, ui.scope_id().with(("figure", name)), egui::Sense::hover());
            meter(ui, &response, &spoken, percent);
            response.on_hover_text(spoken);
            figure(&ui.painter_at(place), place, name, percent, level, freshness, colors);
        }
    });
}

fn group(ui: &mut egui::Ui, width: f32, colors: &Colors, add: impl FnOnce(&mut egui::Ui)) -> egui::InnerResponse<()> {
    card(colors).show(ui, |ui| {
        ui.vertical(|ui| {
            ui.set_width(width - 20.0);
            add(ui);
        });
    })
}

fn figure(
    painter: &egui::Painter,
    rect: Rect,
    name: &str,
    percent: f64,
    level: Level,
    freshness: Option<Freshness>,
    colors: &Colors,
) {
    let text = colors.aged(colors.text, freshness);
    let color = colors.aged(colors.level(level), freshness);
    sign::level(painter, pos2(rect.left() + 7.0, rect.top() + 13.0), 6.0, level, color);
    let value = format!("{percent:.1} %");
    painter.text(rect.min + vec2(18.0, 12.0), Align2::LEFT_CENTER, value, FontId::proportional(19.0), text);
    painter.text(rect.min + vec2(18.0, 33.0), Align2::LEFT_CENTER, name, FontId::proportional(11.5), colors.weak);
}

/// How old it is what is shown of a key: whether it may be taken for what is now, and the age in words.
pub fn age(shown: &Shown, state: &State, time: &Time) -> (Option<Freshness>, String) {
    let at = state.time(time.now);
    let freshness = shown.freshness(at, state.period());
    (freshness, said(freshness, shown.age(at)))
}

/// How old something is, in words.
pub fn said(freshness: Option<Freshness>, age: Option<f64>) -> String {
    match (freshness, age) {
        (Some(Freshness::Fresh), Some(age)) => format!("{} old", ago(age)),
        (Some(Freshness::Unconfirmed), Some(_)) => "age not known yet".to_owned(),
        (Some(freshness), Some(age)) => format!("{}, {} old", freshness.word(), ago(age)),
        _ => "no value yet".to_owned(),
    }
}
