//! Prints what happens so that a person can read it.

use std::time::SystemTime;

use serde_json::Value;

use crate::worker::News;

/// How many fields of a result are printed.
const FIELDS: usize = 24;

/// Prints one line.
pub(super) fn news(news: News<'_>) {
    match news {
        News::Committed(outcome) => {
            let us = outcome.took.as_nanos() as f64 / 1000.0;
            outcome.outputs.iter().for_each(|output| println!("{}  {}  ({us:.1} µs)", clock(), result(output)));
        }
        News::Failed(failure) => println!("{}  {failure}", clock()),
        News::Reloaded(plugin) => println!("{}  goes on with the new build of {}", clock(), plugin.name()),
        News::NotReloaded(not) => println!("{}  stays with the old build: {not}", clock()),
    }
}

/// `name value` for each field of an object, everything else as it is.
fn result(output: &[u8]) -> String {
    let Ok(Value::Object(fields)) = serde_json::from_slice(output) else {
        return String::from_utf8_lossy(output).into_owned();
    };
    let mut shown: Vec<_> = fields.iter().take(FIELDS).map(|(name, value)| format!("{name} {value}")).collect();
    if fields.len() > FIELDS {
        shown.push(format!("and {} more", fields.len() - FIELDS));
    }
    shown.join("  ")
}

/// The time of day, UTC.
fn clock() -> String {
    let now = humantime::format_rfc3339_seconds(SystemTime::now()).to_string();
    now.get(11..).unwrap_or_default().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_result_is_printed_field_by_field() {
        assert_eq!(result(br#"{"a":1.5,"b":"x"}"#), r#"a 1.5  b "x""#);
        assert_eq!(result(b"[1]"), "[1]");
        assert_eq!(result(&[0xff]), "\u{fffd}");
    }
}
