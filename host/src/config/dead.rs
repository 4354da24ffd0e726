//! What `dead` is told: the flags and variables that say where a host's data are, read as `run` reads them.

use store::{Address, Credentials, Keys};

use super::reader::{Place, Reader};
use super::{DataFlags, Faults, TriggerKind, settings};

/// Where events are set aside, and where they go back to.
#[derive(Debug)]
pub struct Asides {
    /// Where data lies.
    pub store: Address,
    /// How to sign in there.
    pub credentials: Credentials,
    /// The key that results are written to, and its companions.
    pub output: Keys,
    /// The stream that the events are of; none where they are a key's values.
    pub stream: Option<String>,
    /// How many events of a key may wait to be called once more.
    pub most_waiting: usize,
}

impl DataFlags {
    /// Checks flags and variables together.
    ///
    /// # Errors
    ///
    /// Every fault, each with its variable and flag.
    pub fn resolve(self, variable: impl Fn(&str) -> Option<String>) -> Result<Asides, Faults> {
        let mut reader = Reader { variable, faults: Faults::default() };
        let Place { store, credentials, trigger, input_key, output_key } = reader.place(self);
        let is_pattern = trigger != TriggerKind::Timer && input_key.contains('*');
        if is_pattern && output_key.as_ref().is_some_and(|key| key.contains('*')) {
            let fault = "each key of the pattern has events of its own set aside: name one of these keys";
            reader.fault(&settings::REDIS_OUTPUT_KEY, fault);
        }
        let stream = (trigger == TriggerKind::Stream).then_some(input_key);
        if store.as_ref().is_some_and(Address::is_cluster)
            && let Some(output) = &output_key
        {
            reader.one_slot(output, stream.as_deref(), None);
        }
        let output = output_key.and_then(|key| reader.output(&key));
        let most_waiting = reader.dead_max();
        match (store, output) {
            (Some(store), Some(output)) if reader.faults.0.is_empty() => {
                Ok(Asides { store, credentials, output, stream, most_waiting })
            }
            _ => Err(reader.faults),
        }
    }
}
