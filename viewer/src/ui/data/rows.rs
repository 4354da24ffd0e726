//! Which fields a table shows, in which order, and how a value is written in a cell.

use std::sync::Arc;

use eframe::egui::{self, Id};
use serde_json::Value;

use crate::model::{Document, natural};

/// The most of a value that a cell shows; the tree shows all of it.
const LONGEST: usize = 300;

/// A field that is shown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Row {
    /// Its name.
    pub name: String,
}

/// What rows were made of: the document, told by where its bytes lie, and the search.
type Made = (usize, usize, String);

/// The rows of a document, in natural order. They are made once for a document and a search: with 10,000 fields that
/// takes too long for every frame.
pub fn of(ctx: &egui::Context, document: &Document, search: &str) -> Arc<Vec<Row>> {
    let bytes = document.bytes();
    let made: Made = (bytes.as_ptr() as usize, bytes.len(), search.to_owned());
    let id = Id::unique(("rows", made.0));
    if let Some((before, rows)) = ctx.data(|data| data.get_temp::<(Made, Arc<Vec<Row>>)>(id))
        && before == made
    {
        return rows;
    }
    let rows = Arc::new(found(document, search));
    ctx.data_mut(|data| {
        // Those of documents that are gone are not needed any more.
        data.remove_by_type::<(Made, Arc<Vec<Row>>)>();
        data.insert_temp(id, (made, rows.clone()));
    });
    rows
}

fn found(document: &Document, search: &str) -> Vec<Row> {
    let wanted = search.to_lowercase();
    let holds = |text: &str| text.to_lowercase().contains(&wanted);
    let mut rows: Vec<Row> = document
        .fields()
        .iter()
        .filter(|(name, value)| wanted.is_empty() || holds(name) || holds(&value.to_string()))
        .map(|(name, _)| Row { name: name.clone() })
        .collect();
    rows.sort_by(|a, b| natural(&a.name, &b.name));
    rows
}

/// A value as a cell shows it: numbers as they stand, text in quotes, lists and objects in short.
pub fn short(value: &Value) -> String {
    let text = match value {
        Value::Array(items) => format!("[{} items]", items.len()),
        Value::Object(fields) => format!("{{{} fields}}", fields.len()),
        Value::String(text) if text.len() > LONGEST => {
            let start: String = text.chars().take(LONGEST).collect();
            format!("\"{start}…")
        }
        other => other.to_string(),
    };
    text.replace(['\n', '\r'], " ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_search_looks_at_names_and_values_in_any_case() {
        let document = Document::read(br#"{"cpu10": 1, "cpu2": 2, "State": "Running", "x": 0.5}"#).unwrap();
        let names = |search| found(&document, search).into_iter().map(|row| row.name).collect::<Vec<_>>();
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
    }
}
