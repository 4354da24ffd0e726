//! What is read of an input: the figures that results are made of, in the order in which they came.
//!
//! Most of an input is none of the handler's business, so keys are looked at where they lie and values that nobody
//! needs are skipped, without an allocation.

use std::fmt;

use serde::de::{Deserialize, DeserializeSeed, Deserializer, IgnoredAny, MapAccess, Visitor};
use serde_json::value::RawValue;

use crate::{
    figure::{Fault, Figure},
    number::Number,
    ordered::Ordered,
};

const TOTAL: &str = "virtual_memory-total";
const CACHED: &str = "virtual_memory-cached";
const BUFFERS: &str = "virtual_memory-buffers";

/// What an input holds, not yet checked.
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
    sent: Counter,
    recv: Counter,
}

/// A counter by the spellings of its key, in the order in which they first came: of two, the second counts.
#[derive(Default)]
struct Counter([Option<(Spelling, Figure)>; 2]);

/// How the key of a counter ends.
#[derive(Clone, Copy, PartialEq)]
enum Spelling {
    /// As psutil has it.
    Plain,
    /// With a `1`, as older inputs have it.
    WithOne,
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

impl Counters {
    /// The bytes that `interface`, whose counters these are, sent; 0 where the input doesn't say.
    pub fn sent(&self, interface: &str) -> Result<Number, Fault> {
        self.sent.bytes(interface, "sent")
    }

    /// The bytes that `interface`, whose counters these are, received; 0 where the input doesn't say.
    pub fn recv(&self, interface: &str) -> Result<Number, Fault> {
        self.recv.bytes(interface, "recv")
    }
}

impl Counter {
    fn bytes(&self, interface: &str, direction: &str) -> Result<Number, Fault> {
        let Some((spelling, figure)) = self.0.iter().flatten().next_back() else {
            return Ok(Number::Int(0));
        };
        let end = match spelling {
            Spelling::Plain => "",
            Spelling::WithOne => "1",
        };
        figure.number(|| format!("net_io_counters_{interface}-bytes_{direction}{end}"))
    }

    fn set(&mut self, spelling: Spelling, figure: Figure) {
        let [first, second] = &mut self.0;
        let is_other = first.as_ref().is_some_and(|(known, _)| *known != spelling);
        *(if is_other { second } else { first }) = Some((spelling, figure));
    }
}

/// What a key stands for.
enum Key {
    Timestamp,
    Figure(Field),
    Ignored,
}

/// Where a figure goes.
enum Field {
    Total,
    Cached,
    Buffers,
    /// The figure of a CPU: its place in [`Input::cpus`].
    Cpu(usize),
    /// A counter of an interface: its place in [`Input::interfaces`].
    Sent(usize, Spelling),
    Recv(usize, Spelling),
}

impl Input {
    fn set(&mut self, field: Field, figure: Figure) {
        match field {
            Field::Total => self.total = Some(figure),
            Field::Cached => self.cached = Some(figure),
            Field::Buffers => self.buffers = Some(figure),
            Field::Cpu(place) => *self.cpus.at(place) = figure,
            Field::Sent(place, spelling) => self.interfaces.at(place).sent.set(spelling, figure),
            Field::Recv(place, spelling) => self.interfaces.at(place).recv.set(spelling, figure),
        }
    }

    fn key(&mut self, key: &str) -> Key {
        if let Some(rest) = key.strip_prefix("net_io_counters_") {
            return self.counter_key(rest);
        }
        if let Some(name) = key.strip_prefix("cpu_percent-") {
            let is_number = !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_digit());
            return if is_number { Key::Figure(Field::Cpu(self.cpus.place(name))) } else { Key::Ignored };
        }
        match key {
            "timestamp" => Key::Timestamp,
            TOTAL => Key::Figure(Field::Total),
            CACHED => Key::Figure(Field::Cached),
            BUFFERS => Key::Figure(Field::Buffers),
            _ => Key::Ignored,
        }
    }

    fn counter_key(&mut self, rest: &str) -> Key {
        let (spelled, spelling) = match rest.strip_suffix('1') {
            Some(spelled) => (spelled, Spelling::WithOne),
            None => (rest, Spelling::Plain),
        };
        let (interface, field): (_, fn(usize, Spelling) -> Field) =
            if let Some(interface) = spelled.strip_suffix("-bytes_sent") {
                (interface, Field::Sent)
            } else if let Some(interface) = spelled.strip_suffix("-bytes_recv") {
                (interface, Field::Recv)
            } else {
                return Key::Ignored;
            };
        if interface.is_empty() || interface.contains('\n') {
            return Key::Ignored; // what the `.+` of the Python pattern doesn't match
        }
        Key::Figure(field(self.interfaces.place(interface), spelling))
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
                        Key::Figure(field) => input.set(field, map.next_value()?),
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
