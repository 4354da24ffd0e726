//! `docs/reference.md` is what the program says of itself: `make reference` writes the page, and the test holds it against
//! what the code says now.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use std::fmt::Write;
use std::fs;
use std::time::Duration;

use host::config::settings::{Setting, TOPICS};
use host::metrics;
use host::status::{Board, PluginStatus};
use store::{COMPANIONS, Keys};
use support::{plugin_host, root};

const INTRODUCTION: &str = "\
# Reference

<!-- Written by `make reference` from what the program says of itself: change the code, not this page. -->

What `plugin-host` reads, writes and tells. What it means in use stands in the pages of [this folder](README.md).

## Variables and flags of `run`

The flag wins over the variable, and an empty variable counts as unset. All faults of a configuration are told together;
the exit code is then 2. It is 0 where the host stopped as asked (SIGTERM, SIGINT), and 1 where it failed. The same flags
mean the same in every command, and no password has a flag. `run --no-supervisor` calls the handler in the very process, for
debuggers.
";

const KEYS: &str = "
## Keys

For the output key `out`. An output key that has a hash tag of its own, such as `a{b}`, has `a{b}:env` and so on.

| key | type | what it holds |
|---|---|---|
| `out` | string | the newest result |
";

const STATUS: &str = "
### Fields of the status

In `{out}:status`, and at `/status` as the host has them now.

| field | meaning |
|---|---|
";

const METRICS: &str = "
## Metrics

`/metrics` tells, in the format of OpenMetrics; numbers since the host's start, over all its workers.

| name | kind | meaning |
|---|---|---|
";

const COMMANDS: &str = "
## Commands

Those of `run` stand above.
";

/// What `--help` is asked of.
const HELP_OF: [&[&str]; 9] = [
    &["new"],
    &["dev"],
    &["invoke"],
    &["record"],
    &["inspect"],
    &["pack"],
    &["dead", "list"],
    &["dead", "replay"],
    &["healthcheck"],
];

#[test]
fn the_page_is_what_the_code_says() {
    let page = page();
    let file = root().join("docs/reference.md");
    if std::env::var_os("UPDATE_REFERENCE").is_some() {
        fs::write(&file, &page).unwrap();
    }
    let written = fs::read_to_string(&file).unwrap_or_default();
    let differs = page.lines().zip(written.lines()).find(|(now, written)| now != written);
    assert!(
        page == written,
        "docs/reference.md is not what the code says; `make reference` writes it anew: {differs:?}"
    );
}

#[test]
fn each_command_is_on_the_page() {
    let help = String::from_utf8(plugin_host().arg("--help").output().unwrap().stdout).unwrap();
    let commands = help.lines().skip_while(|line| *line != "Commands:").skip(1).take_while(|line| !line.is_empty());
    let commands = commands.filter_map(|line| line.strip_prefix("  ").filter(|line| !line.starts_with(' ')));
    let commands: Vec<_> = commands.filter_map(|line| line.split(' ').next()).collect();
    assert!(commands.contains(&"run"), "{help}");
    let missing: Vec<_> = commands
        .iter()
        .filter(|command| !["run", "help"].contains(command))
        .filter(|command| HELP_OF.iter().all(|words| words[0] != **command))
        .collect();
    assert!(missing.is_empty(), "{missing:?}");
}

fn page() -> String {
    let mut page = INTRODUCTION.to_owned();
    for topic in TOPICS {
        let rows: String = topic.settings.iter().map(|setting| row(setting)).collect();
        write!(page, "\n### {}\n\n| variable | flag | default | meaning |\n|---|---|---|---|\n{rows}", topic.name)
            .unwrap();
    }
    page.push_str(KEYS);
    let stem = Keys::of("out").unwrap().env.strip_suffix("env").unwrap().to_owned();
    for companion in COMPANIONS {
        writeln!(page, "| `{stem}{}` | {} | {} |", companion.ending, companion.kind, companion.meaning).unwrap();
    }
    page.push_str(STATUS);
    for (of, prefix) in
        [("Status", ""), ("PluginStatus", "plugin."), ("LastError", "last_error."), ("LastReload", "last_reload.")]
    {
        for (field, meaning) in fields(of) {
            writeln!(page, "| `{prefix}{field}` | {meaning} |").unwrap();
        }
    }
    page.push_str(METRICS);
    metrics(&mut page);
    page.push_str(COMMANDS);
    for words in HELP_OF {
        let output = plugin_host().args(words).arg("--help").output().unwrap();
        let help = String::from_utf8(output.stdout).unwrap();
        write!(page, "\n### `{}`\n\n```text\n{}\n```\n", words.join(" "), help.trim()).unwrap();
    }
    page
}

fn row(setting: &Setting) -> String {
    let code = |text: &str| if text.is_empty() { String::new() } else { format!("`{text}`") };
    let default = setting.default.map(code).or(setting.otherwise.map(str::to_owned)).unwrap_or_default();
    format!("| `{}` | {} | {default} | {} |\n", setting.variable, code(setting.flag), setting.meaning)
}

/// The fields of a structure in `status.rs`, each with the first line of its documentation.
fn fields(of: &str) -> Vec<(String, String)> {
    let source = fs::read_to_string(root().join("host/src/status.rs")).unwrap();
    let (_, body) = source.split_once(&format!("pub struct {of} {{\n")).unwrap();
    let (body, _) = body.split_once("\n}").unwrap();
    let (mut fields, mut meaning) = (Vec::new(), String::new());
    for line in body.lines().map(str::trim) {
        if let Some(text) = line.strip_prefix("/// ") {
            meaning.push_str(text);
        } else if let Some((field, _)) = line.strip_prefix("pub ").and_then(|line| line.split_once(':')) {
            let text = std::mem::take(&mut meaning);
            let mut letters = text.trim_end_matches('.').chars();
            let first = letters.next().unwrap().to_lowercase();
            fields.push((field.to_owned(), first.chain(letters).collect()));
        }
    }
    fields
}

/// A row for each metric that a host with everything tells.
fn metrics(page: &mut String) {
    let mut snapshot = Board::new("handler", Duration::from_secs(5)).snapshot();
    let text = String::new;
    snapshot.status.plugin =
        Some(PluginStatus { name: text(), version: text(), sha256: text(), zip_sha256: None, signer: None, abi: 1 });
    (snapshot.status.keys, snapshot.status.envs, snapshot.figures.input_at) = (Some(0), Some(0), Some(0.0));
    let text = metrics::text(snapshot);
    let about = |what| text.lines().filter_map(move |line| line.strip_prefix(what)?.split_once(' '));
    for ((name, help), (_, kind)) in about("# HELP ").zip(about("# TYPE ")) {
        let ending = match kind {
            "counter" => "_total",
            "info" => "_info",
            _ => "",
        };
        let help = help.trim_end_matches('.');
        writeln!(page, "| `{name}{ending}` | {kind} | {} |", help.replace("...", "…")).unwrap();
    }
}
