//! Which master of a cluster has which slot, read of what a server says.

use std::collections::BTreeMap;
use std::collections::BTreeSet;

use redis::{Value, from_redis_value};

use crate::address::Endpoint;

/// The master of each slot.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(super) struct Slots {
    /// By the last slot of a range: its first one, and whose it is.
    ranges: BTreeMap<u16, (u16, Endpoint)>,
}

impl Slots {
    /// Reads the answer to `CLUSTER SLOTS` (<https://redis.io/docs/latest/commands/cluster-slots/>). A master of unknown
    /// name is the server that was `asked`, as far as it knows: then only its port is told.
    pub fn read(answer: Value, asked: &Endpoint) -> Option<Slots> {
        let ranges: Vec<Vec<Value>> = from_redis_value(answer).ok()?;
        let range = |range: Vec<Value>| {
            let mut parts = range.into_iter();
            let (first, last) = (from_redis_value(parts.next()?).ok()?, from_redis_value(parts.next()?).ok()?);
            let master: Vec<Value> = from_redis_value(parts.next()?).ok()?;
            let mut master = master.into_iter();
            let host: Option<String> = from_redis_value(master.next()?).ok()?;
            let port = from_redis_value(master.next()?).ok()?;
            Some((last, (first, endpoint(host.as_deref().unwrap_or_default(), port, asked))))
        };
        Some(Slots { ranges: ranges.into_iter().map(range).collect::<Option<_>>()? })
    }

    /// The slot's master; none where no server has the slot.
    pub fn master(&self, slot: u16) -> Option<&Endpoint> {
        let (_, (first, master)) = self.ranges.range(slot..).next()?;
        (*first <= slot).then_some(master)
    }

    /// All masters, each once, by their first slots.
    pub fn masters(&self) -> Vec<&Endpoint> {
        let mut seen = BTreeSet::new();
        self.ranges.values().map(|(_, master)| master).filter(|master| seen.insert(*master)).collect()
    }
}

/// Where a server sends on to, in a word such as `10.0.0.1:6379`.
pub(super) fn endpoint_of(word: &str, asked: &Endpoint) -> Option<Endpoint> {
    let (host, port) = word.rsplit_once(':')?;
    Some(endpoint(host, port.parse().ok()?, asked))
}

/// A server that doesn't know how others call it tells its port only.
fn endpoint(host: &str, port: u16, asked: &Endpoint) -> Endpoint {
    match (host, asked) {
        ("" | "?", Endpoint::Tcp(asked, _)) => Endpoint::Tcp(asked.clone(), port),
        _ => Endpoint::Tcp(host.to_owned(), port),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked() -> Endpoint {
        Endpoint::Tcp("seed".to_owned(), 1)
    }

    fn at(host: &str, port: u16) -> Endpoint {
        Endpoint::Tcp(host.to_owned(), port)
    }

    fn range(first: i64, last: i64, host: Value, port: i64) -> Value {
        let master =
            Value::Array(vec![host, Value::Int(port), Value::BulkString(b"id".to_vec()), Value::Array(vec![])]);
        Value::Array(vec![Value::Int(first), Value::Int(last), master])
    }

    #[test]
    fn each_slot_has_the_master_of_its_range() {
        let host = |name: &str| Value::BulkString(name.into());
        let answer = Value::Array(vec![
            range(101, 16383, host("b"), 2),
            range(0, 99, host("a"), 1),
            range(100, 100, Value::Nil, 3),
        ]);
        let slots = Slots::read(answer, &asked()).unwrap();
        let masters = [0, 99, 100, 101, 16383].map(|slot| slots.master(slot).unwrap().clone());
        assert_eq!(masters, [at("a", 1), at("a", 1), at("seed", 3), at("b", 2), at("b", 2)]);
        assert_eq!(slots.masters(), [&at("a", 1), &at("seed", 3), &at("b", 2)]);
    }

    #[test]
    fn a_slot_of_nobody_has_no_master() {
        let slots = Slots::read(Value::Array(vec![range(5, 9, Value::Nil, 1)]), &asked()).unwrap();
        assert_eq!((slots.master(4), slots.master(10)), (None, None));
        assert_eq!(Slots::read(Value::Okay, &asked()), None);
    }

    #[test]
    fn a_server_is_known_by_what_others_call_it() {
        assert_eq!(endpoint_of("10.0.0.1:7000", &asked()), Some(at("10.0.0.1", 7000)));
        assert_eq!(endpoint_of("::1:7000", &asked()), Some(at("::1", 7000)));
        assert_eq!(endpoint_of(":7000", &asked()), Some(at("seed", 7000)));
        assert_eq!(endpoint_of("?:7000", &asked()), Some(at("seed", 7000)));
        assert_eq!(endpoint_of("nonsense", &asked()), None);
    }
}
