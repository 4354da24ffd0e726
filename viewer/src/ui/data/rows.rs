//! Which fields a table shows, in which order, and how a value is written in a cell.

use std::sync::Arc;

use eframe::egui;
use serde_json::Value;

use crate::model::{Document, natural};
use crate::ui::memo::kept;

/// The most characters of a text that a cell or a leaf shows.
const LONGEST: usize = 300;

/// The most characters of a text that is shown under the pointer; what is longer can be copied.
const LONGEST_SHOWN: usize = 4_000;

/// The names of the fields to show, in natural order. With 10,000 fields that takes too long for every frame, so it is
/// kept in `place` until document or search are others.
pub fn of(ctx: &egui::Context, place: egui::Id, document: &Document, search: &str) -> Arc<Vec<String>> {
    kept(ctx, place, Searched::of(document, search), || found(document, search))
}

/// What rows and findings are made of. The document is kept with it, so that no other can lie at the same address.
#[derive(Clone)]
pub struct Searched {
    document: Document,
    search: String,
}

impl Searched {
    /// A document, and what is searched for in it.
    pub fn of(document: &Document, search: &str) -> Searched {
        Searched { document: document.clone(), search: search.to_owned() }
    }
}

impl PartialEq for Searched {
    /// The very same document: to compare megabytes takes as long as what is saved.
    fn eq(&self, other: &Searched) -> bool {
        std::ptr::eq(self.document.fields(), other.document.fields()) && self.search == other.search
    }
}

fn found(document: &Document, search: &str) -> Vec<String> {
    let wanted = search.to_lowercase();
    let holds = |text: &str| text.to_lowercase().contains(&wanted);
    let mut names: Vec<String> = document
        .fields()
        .iter()
        .filter(|(name, value)| wanted.is_empty() || holds(name) || holds(&value.to_string()))
        .map(|(name, _)| name.clone())
        .collect();
    names.sort_by(|a, b| natural(a, b));
    names
}

/// A value as a cell shows it: numbers as they stand, text in quotes, lists and objects in short.
pub fn short(value: &Value) -> String {
    match value {
        Value::Array(items) => format!("[{} items]", items.len()),
        Value::Object(fields) => format!("{{{} fields}}", fields.len()),
        Value::String(text) => match cut(text, LONGEST) {
            Some(start) => format!("\"{}…", start.replace(['\n', '\r'], " ")),
            None => value.to_string(),
        },
        other => other.to_string(),
    }
}

/// A name as a cell shows it: in one line, and cut where it is very long.
pub fn name(name: &str) -> String {
    let start = cut(name, LONGEST);
    let mut shown = start.unwrap_or(name).replace(char::is_control, " ");
    if start.is_some() {
        shown.push('…');
    }
    shown
}

/// What is shown under the pointer: the whole text, unless it is very long.
pub fn whole(text: &str) -> String {
    match cut(text, LONGEST_SHOWN) {
        Some(start) => format!("{start}…\n\n{} bytes in all: copy them to see the rest", text.len()),
        None => text.to_owned(),
    }
}

/// What is copied: text without quotes, else JSON.
pub fn copied(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

/// The start of a text that is longer than so many characters.
fn cut(text: &str, most: usize) -> Option<&str> {
    text.char_indices().nth(most).map(|(end, _)| &text[..end])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_search_looks_at_names_and_values_in_any_case() {
        let document = Document::read(br#"{"cpu10": 1, "cpu2": 2, "State": "Running", "x": 0.5}"#).unwrap();
        let names = |search| found(&document, search);
        assert_eq!(names(""), ["State", "cpu2", "cpu10", "x"]);
        assert_eq!(names("CPU"), ["cpu2", "cpu10"]);
        assert_eq!(names("running"), ["State"]);
        assert_eq!(names("0.5"), ["x"]);
        assert!(names("absent").is_empty());
    }

    #[test]
    fn a_cell_shows_a_long_value_in_short() {
        assert_eq!(short(&Value::from("é".repeat(1_000))).chars().count(), LONGEST + 2);
        assert_eq!(short(&serde_json::json!([1, 2])), "[2 items]");
        assert_eq!(short(&serde_json::json!(15.62)), "15.62");
        assert_eq!(short(&serde_json::json!("two\nlines")), "\"two\\nlines\"");
    }

    #[test]
    fn a_value_of_megabytes_is_not_laid_out_under_the_pointer() {
        assert!(whole(&"x".repeat(5_000_000)).len() < LONGEST_SHOWN + 100);
        assert_eq!(whole("{\"a\":1}"), "{\"a\":1}");
    }

    #[test]
    fn names_are_sorted_once_for_a_document_and_a_search() {
        let ctx = egui::Context::default();
        let read = || Document::read(br#"{"a": 1}"#).unwrap();
        let (one, same) = (read(), read());
        let (left, right) = (egui::Id::unique("left"), egui::Id::unique("right"));
        let first = of(&ctx, left, &one, "");
        let other = of(&ctx, right, &same, "");
        assert!(Arc::ptr_eq(&first, &of(&ctx, left, &one, "")));
        assert!(Arc::ptr_eq(&other, &of(&ctx, right, &same, "")), "two tables don't take it from each other");
        assert!(!Arc::ptr_eq(&first, &of(&ctx, left, &one, "x")));
        assert!(!Arc::ptr_eq(&first, &of(&ctx, left, &read(), "")));
    }
}
