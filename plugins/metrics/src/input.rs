//! What is read of an input: the figures that results are made of, in the order in which they came.
//!
//! Most of an input is none of the handler's business, so keys are looked at where they lie and values that nobody
//! needs are skipped, without an allocation.

use std::fmt;

use serde::de::{Deserialize, DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;

use crate::{number::Number, ordered::Ordered};

const TOTAL: &str = "virtual_memory-total";
const CACHED: &str = "virtual_memory-cached";
const BUFFERS: &str = "virtual_memory-buffers";

/// What an input holds for the handler, not yet checked.
#[derive(Default)]
pub struct Input {
    /// As it came, whatever it is.
    pub timestamp: Option<Box<RawValue>>,
    /// `cpu_percent-N` by N.
    pub cpus: Ordered<Figure>,
    /// What each network interface moved.
    pub interfaces: Ordered<Counters>,
    total: Option<Figure>,
    cached: Option<Figure>,
    buffers: Option<Figure>,
}

/// How the memory is used, in bytes.
pub struct Memory {
    pub total: Number,
    pub cached: Number,
    pub buffers: Number,
}

/// What a network interface moved, in bytes since boot.
#[derive(Default)]
pub struct Counters {
    pub sent: Counter,
    pub recv: Counter,
}

/// A counter under the ends of the keys that name it, in the order in which they first came: of two spellings, the
/// second counts.
#[derive(Default)]
pub struct Counter([Option<(&'static str, Figure)>; 2]);

/// A value where a number should be. Whether it is one matters only when a result needs it.
pub enum Figure {
    Number(Number),
    /// Something else, in words.
    Other(&'static str),
}

/// Why there is no result.
#[derive(Debug)]
pub enum Fault {
    /// A required field is not there.
    Missing(&'static str),
    /// A field is there, but holds something else than a number.
    NotANumber { field: String, found: &'static str },
}

/// The key of a CPU's figure.
pub fn cpu_key(name: &str) -> String {
    format!("cpu_percent-{name}")
}

impl Input {
    /// The memory's figures, all of which are required.
    pub fn memory(&self) -> Result<Memory, Fault> {
        let required = |figure: &Option<Figure>, field: &'static str| {
            let figure = figure.as_ref().ok_or(Fault::Missing(field))?;
            figure.number(|| field.to_owned())
        };
        Ok(Memory {
            total: required(&self.total, TOTAL)?,
            cached: required(&self.cached, CACHED)?,
            buffers: required(&self.buffers, BUFFERS)?,
        })
    }
}

impl Counter {
    /// The bytes of this counter of `interface`; 0 where the input has none.
    pub fn bytes(&self, interface: &str) -> Result<Number, Fault> {
        match self.0.iter().flatten().next_back() {
            None => Ok(Number::Int(0)),
            Some((field, figure)) => figure.number(|| format!("net_io_counters_{interface}-{field}")),
        }
    }

    fn set(&mut self, field: &'static str, figure: Figure) {
        let [first, second] = &mut self.0;
        let is_other = first.as_ref().is_some_and(|(known, _)| *known != field);
        *(if is_other { second } else { first }) = Some((field, figure));
    }
}

impl Figure {
    /// The number, or a fault that names the field.
    pub fn number(&self, field: impl FnOnce() -> String) -> Result<Number, Fault> {
        match *self {
            Self::Number(number) => Ok(number),
            Self::Other(found) => Err(Fault::NotANumber { field: field(), found }),
        }
    }
}

impl Default for Figure {
    fn default() -> Self {
        Self::Other("nothing")
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Missing(field) => write!(f, "{field} is missing"),
            Self::NotANumber { field, found } => write!(f, "{field} has to be a number, it is {found}"),
        }
    }
}

impl std::error::Error for Fault {}

/// What a key stands for.
enum Key {
    Timestamp,
    Total,
    Cached,
    Buffers,
    /// The figure of a CPU: its place in [`Input::cpus`].
    Cpu(usize),
    /// A counter of an interface: its place in [`Input::interfaces`], and the end of the key.
    Sent(usize, &'static str),
    Recv(usize, &'static str),
    Ignored,
}

impl Input {
    fn key(&mut self, key: &str) -> Key {
        if let Some(rest) = key.strip_prefix("net_io_counters_") {
            return self.counter_key(rest);
        }
        if let Some(name) = key.strip_prefix("cpu_percent-") {
            let is_number = !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_digit());
            return if is_number { Key::Cpu(self.cpus.place(name)) } else { Key::Ignored };
        }
        match key {
            "timestamp" => Key::Timestamp,
            TOTAL => Key::Total,
            CACHED => Key::Cached,
            BUFFERS => Key::Buffers,
            _ => Key::Ignored,
        }
    }

    fn counter_key(&mut self, rest: &str) -> Key {
        let (spelled, is_old) = match rest.strip_suffix('1') {
            Some(spelled) => (spelled, true),
            None => (rest, false),
        };
        let (interface, is_sent) = if let Some(interface) = spelled.strip_suffix("-bytes_sent") {
            (interface, true)
        } else if let Some(interface) = spelled.strip_suffix("-bytes_recv") {
            (interface, false)
        } else {
            return Key::Ignored;
        };
        if interface.is_empty() || interface.contains('\n') {
            return Key::Ignored; // what the `.+` of the Python pattern doesn't match
        }
        let place = self.interfaces.place(interface);
        match (is_sent, is_old) {
            (true, false) => Key::Sent(place, "bytes_sent"),
            (true, true) => Key::Sent(place, "bytes_sent1"),
            (false, false) => Key::Recv(place, "bytes_recv"),
            (false, true) => Key::Recv(place, "bytes_recv1"),
        }
    }
}

impl<'de> Deserialize<'de> for Input {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Fields;

        impl<'de> Visitor<'de> for Fields {
            type Value = Input;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object of figures")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Input, A::Error> {
                let mut input = Input::default();
                while let Some(key) = map.next_key_seed(KeyOf(&mut input))? {
                    match key {
                        Key::Timestamp => input.timestamp = Some(map.next_value()?),
                        Key::Total => input.total = Some(map.next_value()?),
                        Key::Cached => input.cached = Some(map.next_value()?),
                        Key::Buffers => input.buffers = Some(map.next_value()?),
                        Key::Cpu(place) => *input.cpus.at(place) = map.next_value()?,
                        Key::Sent(place, field) => input.interfaces.at(place).sent.set(field, map.next_value()?),
                        Key::Recv(place, field) => input.interfaces.at(place).recv.set(field, map.next_value()?),
                        Key::Ignored => {
                            map.next_value::<IgnoredAny>()?;
                        }
                    }
                }
                Ok(input)
            }
        }

        deserializer.deserialize_map(Fields)
    }
}

/// Reads a key, borrowed or unescaped, as what it stands for.
struct KeyOf<'a>(&'a mut Input);

impl<'de> DeserializeSeed<'de> for KeyOf<'_> {
    type Value = Key;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Key, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl Visitor<'_> for KeyOf<'_> {
    type Value = Key;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a key")
    }

    fn visit_str<E>(self, key: &str) -> Result<Key, E> {
        Ok(self.0.key(key))
    }
}

impl<'de> Deserialize<'de> for Figure {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct AnyValue;

        impl<'de> Visitor<'de> for AnyValue {
            type Value = Figure;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a number")
            }

            fn visit_u64<E>(self, value: u64) -> Result<Figure, E> {
                Ok(Figure::Number(Number::Int(value.into())))
            }

            fn visit_i64<E>(self, value: i64) -> Result<Figure, E> {
                Ok(Figure::Number(Number::Int(value.into())))
            }

            fn visit_f64<E>(self, value: f64) -> Result<Figure, E> {
                Ok(Figure::Number(Number::Float(value)))
            }

            fn visit_bool<E>(self, _: bool) -> Result<Figure, E> {
                Ok(Figure::Other("a boolean"))
            }

            fn visit_unit<E>(self) -> Result<Figure, E> {
                Ok(Figure::Other("null"))
            }

            fn visit_str<E>(self, _: &str) -> Result<Figure, E> {
                Ok(Figure::Other("a string"))
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Figure, A::Error> {
                while seq.next_element::<IgnoredAny>()?.is_some() {}
                Ok(Figure::Other("an array"))
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Figure, A::Error> {
                while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
                Ok(Figure::Other("an object"))
            }
        }

        deserializer.deserialize_any(AnyValue)
    }
}
