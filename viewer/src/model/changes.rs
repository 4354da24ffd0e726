//! What is different from the document before.

use std::collections::BTreeSet;

use super::document::Document;

/// The names of the fields that are new or have another value than before. Nothing is marked in a first document.
pub fn changed_fields(before: Option<&Document>, now: &Document) -> BTreeSet<String> {
    let Some(before) = before else { return BTreeSet::new() };
    now.fields()
        .iter()
        .filter(|(name, value)| before.fields().get(*name) != Some(value))
        .map(|(name, _)| name.clone())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn new_and_other_values_are_marked() {
        let read = |json: &str| Document::read(json.as_bytes()).unwrap();
        let before = read(r#"{"same": 1, "other": 1, "gone": 1}"#);
        let now = read(r#"{"same": 1, "other": 2, "new": 1}"#);
        let changed: Vec<String> = changed_fields(Some(&before), &now).into_iter().collect();
        assert_eq!(changed, ["new", "other"]);
        assert!(changed_fields(None, &now).is_empty());
    }
}
