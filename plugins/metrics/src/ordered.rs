//! Values by name, in the order in which the names first came: what a dict is in Python.

use std::{fmt, marker::PhantomData};

use serde::{
    Deserialize, Deserializer, Serialize, Serializer,
    de::{MapAccess, Visitor},
};

/// Values by name, in the order in which the names first came.
///
/// Names mostly come again in the order of the last time, so a name is first compared with the one found before and
/// with the one after that. Names that come in ascending order are new when they are beyond the last. Otherwise few
/// are searched through one by one, many by halves. All names lie in one string: few and
/// short as they are, allocations would cost more than all the rest.
pub struct Ordered<T> {
    names: String,
    entries: Vec<Entry<T>>,
    /// The place that was asked for last.
    recent: usize,
    /// Whether each name is shorter than the next one or, as long, before it: such as 0, 1, … 10.
    ascending: bool,
    /// The places in the order of their names, kept when there are more than [`FEW`].
    by_name: Vec<usize>,
}

struct Entry<T> {
    /// Where its name ends in `names`; it begins where the one before ends.
    name_end: usize,
    value: T,
}

/// So many names are faster compared one by one than by halves.
const FEW: usize = 32;

/// Room for so many names is made at once.
const USUAL: usize = 8;

fn is_before(one: &str, other: &str) -> bool {
    (one.len(), one) < (other.len(), other)
}

impl<T: Default> Ordered<T> {
    /// The place of a name; a new one is put at the end, with the default as its value.
    pub fn place(&mut self, name: &str) -> usize {
        let place = self.find(name).unwrap_or_else(|| self.push(name));
        self.recent = place;
        place
    }

    fn push(&mut self, name: &str) -> usize {
        let place = self.entries.len();
        if place == 0 {
            self.entries.reserve(USUAL);
            self.names.reserve(USUAL * 8);
        }
        self.ascending &= place == 0 || is_before(self.name(place - 1), name);
        self.names.push_str(name);
        self.entries.push(Entry { name_end: self.names.len(), value: T::default() });
        if place >= FEW {
            for place in self.by_name.len()..=place {
                let name = self.name(place);
                let before = self.by_name.partition_point(|&other| self.name(other) < name);
                self.by_name.insert(before, place);
            }
        }
        place
    }
}

impl<T> Ordered<T> {
    /// How many names there are.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// The value at a place that [`Ordered::place`] gave.
    pub fn at(&mut self, place: usize) -> &mut T {
        &mut self.entries[place].value
    }

    /// Names and values in their order.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &T)> {
        let mut start = 0;
        self.entries.iter().map(move |entry| {
            let name = &self.names[start..entry.name_end];
            start = entry.name_end;
            (name, &entry.value)
        })
    }

    /// The same names with other values, if there is one for each.
    pub fn try_map<U, E>(self, mut value: impl FnMut(&str, T) -> Result<U, E>) -> Result<Ordered<U>, E> {
        let Self { names, entries, recent, ascending, by_name } = self;
        let mut start = 0;
        let mut mapped = Vec::with_capacity(entries.len());
        for Entry { name_end, value: old } in entries {
            mapped.push(Entry { name_end, value: value(&names[start..name_end], old)? });
            start = name_end;
        }
        Ok(Ordered { names, entries: mapped, recent, ascending, by_name })
    }

    fn find(&self, name: &str) -> Option<usize> {
        let next = if self.recent + 1 < self.len() { self.recent + 1 } else { 0 };
        if let Some(place) =
            [next, self.recent].into_iter().find(|&place| place < self.len() && self.name(place) == name)
        {
            return Some(place);
        }
        if self.ascending && self.len() > 0 && is_before(self.name(self.len() - 1), name) {
            None
        } else if self.len() <= FEW {
            self.iter().position(|(other, _)| other == name)
        } else {
            let found = self.by_name.binary_search_by(|&place| self.name(place).cmp(name));
            found.ok().map(|found| self.by_name[found])
        }
    }

    fn name(&self, place: usize) -> &str {
        let start = if place == 0 { 0 } else { self.entries[place - 1].name_end };
        &self.names[start..self.entries[place].name_end]
    }
}

impl<T> Default for Ordered<T> {
    fn default() -> Self {
        Self { names: String::new(), entries: Vec::new(), recent: 0, ascending: true, by_name: Vec::new() }
    }
}

impl<T: Serialize> Serialize for Ordered<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.iter())
    }
}

impl<'de, T: Default + Deserialize<'de>> Deserialize<'de> for Ordered<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct ByName<T>(PhantomData<T>);

        impl<'de, T: Default + Deserialize<'de>> Visitor<'de> for ByName<T> {
            type Value = Ordered<T>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Ordered<T>, A::Error> {
                let mut ordered = Ordered::default();
                while let Some((name, value)) = map.next_entry::<String, T>()? {
                    let place = ordered.place(&name);
                    *ordered.at(place) = value;
                }
                Ok(ordered)
            }
        }

        deserializer.deserialize_map(ByName(PhantomData))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(ordered: &Ordered<u32>) -> Vec<&str> {
        ordered.iter().map(|(name, _)| name).collect()
    }

    #[test]
    fn a_name_keeps_its_first_place() {
        let mut ordered = Ordered::<u32>::default();
        for (name, value) in [("b", 1), ("a", 2), ("b", 3), ("", 4), ("ab", 5), ("a", 6)] {
            let place = ordered.place(name);
            *ordered.at(place) = value;
        }
        let entries: Vec<_> = ordered.iter().collect();
        assert_eq!(entries, [("b", &3), ("a", &6), ("", &4), ("ab", &5)]);
    }

    #[test]
    fn many_names_in_any_order_are_found() {
        let mut ordered = Ordered::<u32>::default();
        let expected: Vec<String> = (0..1000).map(|n| n.to_string()).collect();
        for name in &expected {
            ordered.place(name);
        }
        for (place, name) in expected.iter().enumerate().rev().chain(expected.iter().enumerate().step_by(7)) {
            assert_eq!(ordered.place(name), place);
        }
        assert_eq!(names(&ordered), expected);
    }

    #[test]
    fn json_keeps_the_order() {
        let json = r#"{"9":1,"1":2,"é":3}"#;
        let ordered: Ordered<u32> = serde_json::from_str(json).unwrap();
        assert_eq!(serde_json::to_string(&ordered).unwrap(), json);
    }

    #[test]
    fn values_change_or_the_first_error_comes_back() {
        let ordered: Ordered<u32> = serde_json::from_str(r#"{"a":1,"b":2}"#).unwrap();
        let doubled = ordered.try_map(|_, value| Ok::<_, ()>(value * 2)).unwrap();
        assert_eq!(doubled.iter().collect::<Vec<_>>(), [("a", &2), ("b", &4)]);
        let failed = doubled.try_map(|name, _| Err::<u32, _>(name.to_owned()));
        assert_eq!(failed.err().as_deref(), Some("a"));
    }
}
