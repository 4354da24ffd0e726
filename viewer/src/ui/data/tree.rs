//! The whole JSON as a tree. What is unfolded stays so while values come, since a node is known by its path. A search
//! leaves only what it finds, with the way there.

use std::collections::HashSet;

use eframe::egui::{self, CollapsingHeader, Id, RichText};
use serde_json::{Map, Value};

use super::rows::{self, Searched, short};
use crate::model::{Document, natural};
use crate::ui::memo::kept;
use crate::ui::theme::Colors;

/// How many children of a node are shown at first, and with each further click.
const PAGE: usize = 200;

/// An object with more fields shows them in the order of their bytes: to count them out takes too long for every frame.
const MOST_SORTED: usize = 500;

/// Draws the tree.
pub fn draw(ui: &mut egui::Ui, document: &Document, search: &str, colors: &Colors) {
    let place = ui.make_persistent_id("found in the tree");
    let found = (!search.is_empty())
        .then(|| kept(ui.ctx(), place, Searched::of(document, search), || Found::of(document, search)));
    let tree = Tree { found: found.as_deref(), colors };
    egui::ScrollArea::both().id_salt("tree").auto_shrink(false).show(ui, |ui| {
        let fields = document.fields();
        let title = format!("Whole JSON, {} fields, {} bytes", fields.len(), document.bytes().len());
        CollapsingHeader::new(RichText::new(title).color(colors.text)).id_salt("whole").show(ui, |ui| {
            let names = rows::of(ui.ctx(), place.with("names"), document, "");
            let children = names.iter().filter_map(|name| Some((name.clone(), fields.get(name)?)));
            tree.children(ui, "", Below::Searched, fields.len(), children);
        });
    });
}

struct Tree<'a> {
    /// What a search has found; none where nothing is searched for.
    found: Option<&'a Found>,
    colors: &'a Colors,
}

/// Whether a node's children are all shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Below {
    /// Those that the search has found.
    Searched,
    /// All: the search has found the node itself.
    All,
}

/// The values that a search has found, by their addresses within the document.
struct Found {
    /// Those whose name or value it is.
    hits: HashSet<usize>,
    /// Those and what leads to them.
    ways: HashSet<usize>,
}

impl Found {
    fn of(document: &Document, search: &str) -> Found {
        let mut found = Found { hits: HashSet::new(), ways: HashSet::new() };
        let wanted = search.to_lowercase();
        for (name, value) in document.fields() {
            found.look(name, value, &wanted);
        }
        found
    }

    /// Whether there is something at or below this value. JSON is nested 128 levels deep at most.
    fn look(&mut self, name: &str, value: &Value, wanted: &str) -> bool {
        let holds = |text: &str| text.to_lowercase().contains(wanted);
        let (own, below) = match value {
            Value::Object(fields) => {
                (false, fields.iter().fold(false, |is, (name, value)| self.look(name, value, wanted) | is))
            }
            // The places of a list are no names.
            Value::Array(items) => (false, items.iter().fold(false, |is, value| self.look("", value, wanted) | is)),
            scalar => (holds(&scalar.to_string()), false),
        };
        let hit = own || !name.is_empty() && holds(name);
        if hit {
            self.hits.insert(address(value));
        }
        if hit || below {
            self.ways.insert(address(value));
        }
        hit || below
    }
}

fn address(value: &Value) -> usize {
    std::ptr::from_ref(value).addr()
}

impl Tree<'_> {
    fn shows(&self, value: &Value, below: Below) -> bool {
        below == Below::All || self.found.is_none_or(|found| found.ways.contains(&address(value)))
    }

    /// Draws the first children, and more with each click.
    fn children<'v>(
        &self,
        ui: &mut egui::Ui,
        path: &str,
        below: Below,
        count: usize,
        children: impl Iterator<Item = (String, &'v Value)>,
    ) {
        let id = ui.make_persistent_id(("shown", path));
        let shown = ui.data(|data| data.get_temp(id)).unwrap_or(PAGE);
        let mut children = children.filter(|(_, value)| self.shows(value, below));
        for (name, value) in children.by_ref().take(shown) {
            self.node(ui, path, &name, value, below);
        }
        if children.next().is_some() {
            let words =
                if self.found.is_none() { format!("… {} more", count - shown) } else { "… more".to_owned() };
            if ui.button(words).clicked() {
                ui.data_mut(|data| data.insert_temp(id, shown + PAGE));
            }
        }
    }

    fn node(&self, ui: &mut egui::Ui, parent: &str, name: &str, value: &Value, below: Below) {
        // A slash within a name must not make another path of it.
        let path = format!("{parent}/{}", name.replace('~', "~0").replace('/', "~1"));
        let title = format!("{}: {}", rows::name(name), short(value));
        let below =
            if self.found.is_some_and(|found| found.hits.contains(&address(value))) { Below::All } else { below };
        match value {
            Value::Object(fields) if !fields.is_empty() => {
                self.folder(ui, &path, &title, |ui| self.children(ui, &path, below, fields.len(), in_order(fields)));
            }
            Value::Array(items) if !items.is_empty() => self.folder(ui, &path, &title, |ui| {
                let items_by_place = items.iter().enumerate().map(|(place, item)| (place.to_string(), item));
                self.children(ui, &path, below, items.len(), items_by_place);
            }),
            _ => {
                let text = RichText::new(title).monospace().color(self.colors.text);
                let leaf = ui.add(egui::Label::new(text).extend().sense(egui::Sense::click()));
                super::copyable(leaf, name, value);
            }
        }
    }

    /// A part that can be unfolded; while something is searched for, it is, without that being kept.
    fn folder(&self, ui: &mut egui::Ui, path: &str, title: &str, add: impl FnOnce(&mut egui::Ui)) {
        let searched = self.found.is_some();
        CollapsingHeader::new(RichText::new(title).monospace().color(self.colors.text))
            .id_salt(Id::unique((path, searched)))
            .default_open(searched)
            .show(ui, add);
    }
}

fn in_order(fields: &Map<String, Value>) -> impl Iterator<Item = (String, &Value)> {
    let mut children: Vec<(&String, &Value)> = fields.iter().collect();
    if children.len() <= MOST_SORTED {
        children.sort_by(|a, b| natural(a.0, b.0));
    }
    children.into_iter().map(|(name, value)| (name.clone(), value))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_search_finds_the_way_to_what_it_finds() {
        let document =
            Document::read(br#"{"a": {"b": [{"Deep": 1}, 2], "c": 3}, "d": {"deep down": {"e": 4}}}"#).unwrap();
        let found = Found::of(&document, "deep");
        let at = |pointer: &str| {
            let (field, below) = pointer.split_once('/').unwrap_or((pointer, ""));
            let value = &document.fields()[field];
            let below = if below.is_empty() { value } else { value.pointer(&format!("/{below}")).unwrap() };
            (found.ways.contains(&address(below)), found.hits.contains(&address(below)))
        };
        assert_eq!((at("a"), at("a/b"), at("a/b/0/Deep")), ((true, false), (true, false), (true, true)));
        assert_eq!((at("a/c"), at("a/b/1")), ((false, false), (false, false)));
        assert_eq!((at("d/deep down"), at("d/deep down/e")), ((true, true), (false, false)));
    }
}
