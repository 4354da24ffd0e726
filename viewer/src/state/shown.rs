//! A key's newest readable document, what was found there last, and how old it is.

use std::collections::BTreeSet;

use super::event::Found;
use crate::model::{Document, Freshness, Moment, Reading, changed_fields};

/// What is shown of a key.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Shown {
    /// What the last look found; none before the first.
    pub found: Option<Found>,
    /// The newest document; it stays while later looks find none.
    pub document: Option<Document>,
    /// The figures in it.
    pub reading: Reading,
    /// The fields that differ from the document before.
    pub changed: BTreeSet<String>,
    since: Option<Since>,
}

/// When the payload's timestamp last changed; where there is no timestamp, the payload.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Since {
    at: Moment,
    /// The change was seen, or the store's history says when it was.
    confirmed: bool,
}

impl Shown {
    /// Takes in what a look found. `written` is when the document came to be, where that is known. Tells whether a new
    /// document came.
    pub(super) fn take(&mut self, found: Found, at: Moment, written: Option<Moment>) -> bool {
        let document = match &found {
            Found::Document(document) => Some(document.clone()),
            _ => None,
        };
        self.found = Some(found);
        let Some(document) = document else { return false };
        if self.document.as_ref().is_some_and(|before| before.bytes() == document.bytes()) {
            return false;
        }
        let reading = Reading::of(&document);
        let moved = match (&reading.timestamp, &self.reading.timestamp) {
            (Some(now), Some(before)) => now != before,
            _ => true,
        };
        if moved || self.document.is_none() {
            self.since = Some(Since { at: written.unwrap_or(at), confirmed: written.is_some() });
        }
        self.changed = changed_fields(self.document.as_ref(), &document);
        self.reading = reading;
        self.document = Some(document);
        true
    }

    /// Seconds since the payload's timestamp changed.
    pub fn age(&self, now: Moment) -> Option<f64> {
        self.since.map(|since| (now - since.at).max(0.0))
    }

    /// Whether it may be taken for what is now; none where there is nothing.
    pub fn freshness(&self, now: Moment, period: f64) -> Option<Freshness> {
        let age = self.age(now)?;
        let confirmed = self.since.is_some_and(|since| since.confirmed);
        Some(match Freshness::of(age, period) {
            Freshness::Fresh if !confirmed => Freshness::Unconfirmed,
            freshness => freshness,
        })
    }
}
