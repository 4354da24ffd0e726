//! What is told of a time under the pointer.

use eframe::egui::{self, RichText};

use super::lines::{HOTTEST, Line, MEAN, name};
use super::{Scene, said};
use crate::model::Moment;

/// With more lines than these, only what stands out is told.
const MOST_TOLD: usize = 10;

/// How many of the hottest are told.
const HOTTEST_TOLD: usize = 3;

/// Draws it.
pub fn draw(ui: &mut egui::Ui, at: f64, lines: &[Line], pointed: Option<&str>, scene: &Scene<'_>) {
    ui.label(RichText::new(scene.time.of_day(Moment(at))).strong());
    let visible = || lines.iter().filter(|line| !line.segments.is_empty());
    let values = |line: &Line| Some((line.field.clone(), scene.value(&line.field, at)?));
    let mut told: Vec<(String, f64)> = Vec::new();
    if visible().count() <= MOST_TOLD {
        told.extend(visible().filter_map(values));
    } else {
        let overall = [MEAN, HOTTEST].into_iter().filter_map(|field| Some((field.to_owned(), scene.value(field, at)?)));
        told.extend(overall);
        let is_overall = |line: &&Line| [MEAN, HOTTEST].contains(&line.field.as_str());
        let mut each: Vec<(String, f64)> = visible().filter(|line| !is_overall(line)).filter_map(values).collect();
        each.sort_by(|a, b| b.1.total_cmp(&a.1));
        let under = each.iter().find(|(field, _)| Some(field.as_str()) == pointed).cloned();
        each.truncate(HOTTEST_TOLD);
        told.extend(each);
        if let Some(under) = under.filter(|under| !told.contains(under)) {
            told.push(under);
        }
    }
    if told.is_empty() {
        ui.label("no data");
    }
    egui::Grid::new("values at the cursor").num_columns(2).spacing([12.0, 2.0]).show(ui, |ui| {
        for (field, number) in told {
            let text = |words: String| {
                let text = RichText::new(words);
                if Some(field.as_str()) == pointed { text.strong() } else { text }
            };
            ui.label(text(name(&field)));
            ui.label(text(said(&field, number)));
            ui.end_row();
        }
    });
}
