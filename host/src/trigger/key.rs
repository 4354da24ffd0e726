//! What `poll` and `push` share: a key that is read, and what was last seen of it.

use store::Store;

use super::Event;

/// A key whose value is an event when its bytes are others than before.
pub(super) struct Key {
    name: String,
    /// The bytes of the last event, called with success or not: equal bytes are not called again. None after a start,
    /// when what was committed tells whether the bytes are new.
    seen: Option<Vec<u8>>,
}

impl Key {
    pub(super) fn new(name: &str) -> Key {
        Key { name: name.to_owned(), seen: None }
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
        let bytes = store.read(&self.name).await?;
        let Some(bytes) = bytes.filter(|bytes| self.seen.as_ref() != Some(bytes)) else { return Ok(None) };
        let first = self.seen.replace(bytes.clone()).is_none();
        let event = Event::of_content(&self.name, bytes);
        Ok((!first || last_event != Some(event.id.as_str())).then_some(event))
    }
}
