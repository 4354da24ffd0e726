//! Where in a JSON text a place is: `cpus[3].name`.

/// An object or array that the place lies in.
enum Within<'a> {
    /// The name of the value at hand; none before the first.
    Object(Option<&'a [u8]>),
    /// The index of the value at hand.
    Array(usize),
}

/// The path to a place that serde_json tells: lines from 1, columns in bytes. Empty for the outermost value.
pub(super) fn at(json: &[u8], line: usize, column: usize) -> String {
    let before: usize = json.split_inclusive(|byte| *byte == b'\n').take(line.saturating_sub(1)).map(<[u8]>::len).sum();
    let read = &json[..(before + column).min(json.len())];
    let mut within = Vec::new();
    let mut name_follows = false;
    let mut at = 0;
    while let Some(byte) = read.get(at) {
        at += 1;
        match byte {
            // An opening bracket at the very place is a value of the wrong kind, not something to look into.
            b'{' | b'[' if at == read.len() => {}
            b'{' => {
                within.push(Within::Object(None));
                name_follows = true;
            }
            b'[' => within.push(Within::Array(0)),
            b'}' | b']' => {
                within.pop();
            }
            b':' => name_follows = false,
            b',' => match within.last_mut() {
                Some(Within::Array(index)) => *index += 1,
                _ => name_follows = true,
            },
            b'"' => {
                let end = at + string_length(&read[at..]);
                if let (true, Some(Within::Object(name))) = (name_follows, within.last_mut()) {
                    *name = Some(&read[at..end]);
                }
                at = end + 1;
            }
            _ => {}
        }
    }
    written(&within)
}

/// The bytes up to a string's closing quotation mark.
fn string_length(text: &[u8]) -> usize {
    let mut escaped = false;
    let end = text.iter().position(|byte| {
        let ends = *byte == b'"' && !escaped;
        escaped = *byte == b'\\' && !escaped;
        ends
    });
    end.unwrap_or(text.len())
}

fn written(within: &[Within<'_>]) -> String {
    let mut path = String::new();
    for part in within {
        match part {
            Within::Object(Some(name)) => {
                if !path.is_empty() {
                    path.push('.');
                }
                path.push_str(&String::from_utf8_lossy(name));
            }
            Within::Object(None) => {}
            Within::Array(index) => path.push_str(&format!("[{index}]")),
        }
    }
    path
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;
    use serde::Deserialize;
    use serde_json::{Value, json};

    use super::*;
    use crate::json::read;

    #[derive(Debug, Deserialize)]
    #[expect(dead_code, reason = "only read")]
    struct Machine {
        name: String,
        cpus: Vec<Cpu>,
    }

    #[derive(Debug, Deserialize)]
    #[expect(dead_code, reason = "only read")]
    struct Cpu {
        load: f64,
    }

    #[test]
    fn errors_name_the_field() {
        for (json, said) in [
            (r#"{"name": 1, "cpus": []}"#, "name: invalid type: integer `1`, expected a string"),
            (r#"{"name": "a", "cpus": {}}"#, "cpus: invalid type: map, expected a sequence"),
            (r#"{"name": [1], "cpus": []}"#, "name: invalid type: sequence, expected a string"),
            ("{\"name\": \"a\",\n \"cpus\": [{\"load\": 1},\n {\"load\": \"x\"}]}", "cpus[1].load: invalid type"),
            (r#"{"name": "\"}, [", "cpus": [{"load": 1}, {"load": null}]}"#, "cpus[1].load: invalid type: null"),
            (r#"{"name": "a", "cpus": [{"lo": 1}]}"#, "cpus[0]: missing field `load`"),
            (r#"{"name": "a"}"#, "missing field `cpus`"),
            (r#"{"name": "a", "cpus": [{]}"#, "key must be a string"),
            ("", "it is empty"),
        ] {
            let error = read::<Machine>(json.as_bytes()).unwrap_err();
            assert!(error.starts_with(said), "{json}: {error}");
        }
    }

    fn any_json() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![any::<i32>().prop_map(Value::from), ".*".prop_map(Value::from), Just(Value::Null)];
        leaf.prop_recursive(4, 24, 4, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
                prop::collection::btree_map("[a-z{}\\[\\]:,\"\\\\]{0,3}", inner, 0..4)
                    .prop_map(|map| Value::Object(map.into_iter().collect())),
            ]
        })
    }

    proptest! {
        #[test]
        fn any_place_in_any_text_has_a_path(json in prop::collection::vec(any::<u8>(), 0..200), line in 0..9_usize, column in 0..99_usize) {
            at(&json, line, column);
        }

        #[test]
        fn a_value_after_any_other_is_found(before in any_json()) {
            let map = BTreeMap::from([("a", before), ("b", json!([1, "not a number"]))]);
            let text = serde_json::to_string(&map).unwrap();
            let column = text.len() - 2;
            prop_assert_eq!(at(text.as_bytes(), 1, column), "b[1]");
        }
    }
}
