//! Prints what happens so that a person can read it: of each result what differs from the one before is marked.

use std::io::{IsTerminal, stdout};
use std::time::{Duration, SystemTime};

use serde_json::Value;

use crate::config::variable;
use crate::worker::{News, Outcome};

/// How many fields of a result are printed.
const FIELDS: usize = 24;

/// Prints lines, and keeps the last result.
pub(super) struct Printer {
    last: Option<Vec<Field>>,
    colours: Colours,
}

/// Whether colours are printed beside the marks.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Colours {
    /// On a terminal, unless NO_COLOR asks for none (<https://no-color.org>).
    Terminal,
    None,
}

/// A part of a result that is no object: its place (`a.b`), and the JSON that stands there. A result that is no object has
/// one, without a place.
#[derive(Clone, PartialEq, Eq)]
struct Field {
    place: String,
    value: String,
}

const CHANGED: &str = "\x1b[1;36m";
const FAILED: &str = "\x1b[31m";
const PLAIN: &str = "\x1b[0m";

impl Printer {
    /// Prints to standard output.
    pub(super) fn new() -> Printer {
        let colours = match stdout().is_terminal() && variable("NO_COLOR").is_none() {
            true => Colours::Terminal,
            false => Colours::None,
        };
        Printer { last: None, colours }
    }

    /// Prints a line.
    pub(super) fn news(&mut self, news: News<'_>) {
        match news {
            News::Committed(outcome) => self.results(outcome),
            News::Failed(failure, took) => {
                println!("{}  {}  ({})", clock(), self.coloured(FAILED, &failure.to_string()), duration(took));
            }
            News::Reloaded(plugin) => println!("{}  goes on with the new build of {}", clock(), plugin.name()),
            News::NotReloaded(not) => println!("{}  stays with the old build: {not}", clock()),
        }
    }

    fn results(&mut self, outcome: &Outcome) {
        let figures = format!("({}, env {})", duration(outcome.took), size(outcome.env.len()));
        if outcome.outputs.is_empty() {
            println!("{}  no result  {figures}", clock());
        }
        for output in &outcome.outputs {
            println!("{}  {}  {figures}", clock(), self.result(output));
        }
    }

    /// `name value` for each field: `*` before one that has changed since the last result, `+` before one that is new, and
    /// `-` before one that is gone.
    fn result(&mut self, output: &[u8]) -> String {
        let fields = fields(output);
        let last = self.last.replace(fields.clone());
        let before = |field: &Field| last.iter().flatten().find(|before| before.place == field.place);
        let mark = |field: &Field| match (&last, before(field)) {
            (None, _) => "",
            (Some(_), None) => "+",
            (Some(_), Some(before)) if before == field => "",
            (Some(_), Some(_)) => "*",
        };
        let mut shown: Vec<_> =
            fields.iter().take(FIELDS).map(|field| self.marked(mark(field), &field.to_string())).collect();
        if fields.len() > FIELDS {
            let changed = fields.iter().skip(FIELDS).filter(|field| !mark(field).is_empty()).count();
            let changed = if changed > 0 { format!(", {changed} of them changed") } else { String::new() };
            shown.push(format!("and {} more{changed}", fields.len() - FIELDS));
        }
        let is_gone = |before: &&Field| !fields.iter().any(|field| field.place == before.place);
        let gone = last.iter().flatten().filter(is_gone).take(FIELDS);
        shown.extend(gone.map(|field| self.marked("-", &field.place)).filter(|gone| gone != "-"));
        shown.join("  ")
    }

    fn marked(&self, mark: &str, text: &str) -> String {
        match mark {
            "" => text.to_owned(),
            mark => self.coloured(CHANGED, &format!("{mark}{text}")),
        }
    }

    fn coloured(&self, colour: &str, text: &str) -> String {
        match self.colours {
            Colours::Terminal => format!("{colour}{text}{PLAIN}"),
            Colours::None => text.to_owned(),
        }
    }
}

impl std::fmt::Display for Field {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.place.as_str() {
            "" => f.write_str(&self.value),
            place => write!(f, "{place} {}", self.value),
        }
    }
}

fn fields(output: &[u8]) -> Vec<Field> {
    let mut fields = Vec::new();
    match serde_json::from_slice(output) {
        Ok(value @ Value::Object(_)) => collect(String::new(), &value, &mut fields),
        // As it is written.
        _ => fields.push(Field { place: String::new(), value: String::from_utf8_lossy(output).into_owned() }),
    }
    fields
}

fn collect(place: String, value: &Value, fields: &mut Vec<Field>) {
    match value {
        Value::Object(object) if !object.is_empty() => object.iter().for_each(|(name, value)| {
            let place = if place.is_empty() { name.clone() } else { format!("{place}.{name}") };
            collect(place, value, fields);
        }),
        value => fields.push(Field { place, value: value.to_string() }),
    }
}

/// The time of day, UTC.
fn clock() -> String {
    let now = humantime::format_rfc3339_seconds(SystemTime::now()).to_string();
    now.get(11..).unwrap_or_default().to_owned()
}

fn duration(took: Duration) -> String {
    let us = took.as_nanos() as f64 / 1e3;
    if us < 1e4 { format!("{us:.1} µs") } else { format!("{:.1} ms", us / 1e3) }
}

fn size(bytes: usize) -> String {
    match bytes {
        0..=1023 => format!("{bytes} B"),
        1024..=1_048_575 => format!("{:.1} KiB", bytes as f64 / 1024.0),
        _ => format!("{:.1} MiB", bytes as f64 / 1_048_576.0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn printed(colours: Colours, results: &[&[u8]]) -> Vec<String> {
        let mut printer = Printer { last: None, colours };
        results.iter().map(|result| printer.result(result)).collect()
    }

    #[test]
    fn a_result_is_printed_field_by_field_with_what_has_changed() {
        let results: [&[u8]; 4] = [
            br#"{"a":1.5,"b":{"x":"u","y":[1]},"c":{}}"#,
            br#"{"a":1.5,"b":{"x":"v","y":[1]},"c":{}}"#,
            br#"{"b":{"x":"v","z":0},"a":2}"#,
            br#"{"b":{"x":"v","z":0},"a":2}"#,
        ];
        let shown = [
            r#"a 1.5  b.x "u"  b.y [1]  c {}"#,
            r#"a 1.5  *b.x "v"  b.y [1]  c {}"#,
            r#"*a 2  b.x "v"  +b.z 0  -b.y  -c"#,
            r#"a 2  b.x "v"  b.z 0"#,
        ];
        assert_eq!(printed(Colours::None, &results), shown);
        assert_eq!(printed(Colours::Terminal, &results)[1], "a 1.5  \x1b[1;36m*b.x \"v\"\x1b[0m  b.y [1]  c {}");
        assert_eq!(
            printed(Colours::None, &[b"[1, 2]", b"[1, 2]", b"2", &[0xff]]),
            ["[1, 2]", "[1, 2]", "*2", "*\u{fffd}"]
        );
    }

    #[test]
    fn of_many_fields_some_are_counted() {
        let many = |last: usize| {
            let fields: Vec<_> = (0..30).map(|n| format!("\"{n:02}\":{}", if n == 29 { last } else { 0 })).collect();
            format!("{{{}}}", fields.join(","))
        };
        let shown = printed(Colours::None, &[many(0).as_bytes(), many(1).as_bytes()]);
        assert!(shown[0].ends_with("23 0  and 6 more"), "{}", shown[0]);
        assert!(shown[1].ends_with("23 0  and 6 more, 1 of them changed"), "{}", shown[1]);
    }
}
