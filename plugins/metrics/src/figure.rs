//! A value where a number should be: whether it is one matters only when a result needs it.

use std::fmt;

use serde::de::{Deserialize, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};

use crate::number::Number;

/// A value where a number should be.
pub enum Figure {
    Unsigned(u64),
    Signed(i64),
    Float(f64),
    Other(Kind),
}

/// What can stand where a number should be.
#[derive(Clone, Copy)]
pub enum Kind {
    Null,
    Boolean,
    Text,
    Array,
    Object,
}

/// Why there is no result.
#[derive(Debug)]
pub enum Fault {
    /// A required field is not there.
    Missing(&'static str),
    /// A field is there, but holds something else than a number.
    NotANumber { field: String, found: &'static str },
}

impl Figure {
    /// The number, or a fault that names the field.
    pub fn number(&self, field: impl FnOnce() -> String) -> Result<Number, Fault> {
        match *self {
            Self::Unsigned(int) => Ok(Number::Int(int.into())),
            Self::Signed(int) => Ok(Number::Int(int.into())),
            Self::Float(float) => Ok(Number::Float(float)),
            Self::Other(kind) => Err(Fault::NotANumber { field: field(), found: kind.in_words() }),
        }
    }
}

impl Default for Figure {
    fn default() -> Self {
        Self::Other(Kind::Null)
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Missing(field) => write!(f, "{field} is missing"),
            Self::NotANumber { field, found } => {
                write!(f, "{field} has to be a number, it is {found}")
            }
        }
    }
}

impl Kind {
    fn in_words(self) -> &'static str {
        match self {
            Self::Null => "null",
            Self::Boolean => "a boolean",
            Self::Text => "a string",
            Self::Array => "an array",
            Self::Object => "an object",
        }
    }
}

impl std::error::Error for Fault {}

impl<'de> Deserialize<'de> for Figure {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct AnyValue;

        impl<'de> Visitor<'de> for AnyValue {
            type Value = Figure;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a number")
            }

            fn visit_u64<E>(self, value: u64) -> Result<Figure, E> {
                Ok(Figure::Unsigned(value))
            }

            fn visit_i64<E>(self, value: i64) -> Result<Figure, E> {
                Ok(Figure::Signed(value))
            }

            fn visit_f64<E>(self, value: f64) -> Result<Figure, E> {
                Ok(Figure::Float(value))
            }

            fn visit_bool<E>(self, _: bool) -> Result<Figure, E> {
                Ok(Figure::Other(Kind::Boolean))
            }

            fn visit_unit<E>(self) -> Result<Figure, E> {
                Ok(Figure::Other(Kind::Null))
            }

            fn visit_str<E>(self, _: &str) -> Result<Figure, E> {
                Ok(Figure::Other(Kind::Text))
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Figure, A::Error> {
                while seq.next_element::<IgnoredAny>()?.is_some() {}
                Ok(Figure::Other(Kind::Array))
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Figure, A::Error> {
                while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
                Ok(Figure::Other(Kind::Object))
            }
        }

        deserializer.deserialize_any(AnyValue)
    }
}
