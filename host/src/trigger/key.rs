//! What `poll` and `push` share: a key that is read, and what was last seen of it.

use store::{Part, Store};

use super::Event;

/// A key whose value is an event when its bytes are others than before.
pub(super) struct Key {
    name: String,
    /// More bytes than these are not read, but for one that shows that there are more.
    most: usize,
    /// The bytes of the last event, called with success or not: equal bytes are not called again. None after a start,
    /// when what was committed tells whether the bytes are new.
    seen: Option<Part>,
}

impl Key {
    pub(super) fn new(name: &str, most: usize) -> Key {
        Key { name: name.to_owned(), most, seen: None }
    }

    pub(super) fn name(&self) -> &str {
        &self.name
    }

    /// As if nothing had been seen of it.
    pub(super) fn forget(&mut self) {
        self.seen = None;
    }

    /// Reads it; gives an event where its bytes are new.
    pub(super) async fn look(
        &mut self,
        store: &Store,
        last_event: Option<&str>,
    ) -> Result<Option<Event>, store::Error> {
        let part = store.read_up_to(&self.name, self.most.saturating_add(1)).await?;
        let Some(part) = part.filter(|part| self.seen.as_ref() != Some(part)) else { return Ok(None) };
        let first = self.seen.replace(part.clone()).is_none();
        let event = Event::of_part(&self.name, part);
        Ok((!first || last_event != Some(event.id.as_str())).then_some(event))
    }
}
