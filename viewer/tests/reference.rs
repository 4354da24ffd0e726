//! The options in `docs/viewer.md` are those of the command line; `make reference` writes them.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::fs;
use std::path::Path;

use clap::CommandFactory;
use viewer::args::Args;

const BEGIN: &str = "<!-- Written by `make reference` from viewer/src/args.rs. -->\n";
const END: &str = "<!-- Until here. -->\n";

#[test]
fn the_options_on_the_page_are_those_of_the_command_line() {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/viewer.md");
    let page = fs::read_to_string(&file).unwrap();
    let (before, rest) = page.split_once(BEGIN).unwrap();
    let (written, after) = rest.split_once(END).unwrap();
    let table = table();
    if std::env::var_os("UPDATE_REFERENCE").is_some() {
        fs::write(&file, [before, BEGIN, &table, END, after].concat()).unwrap();
    } else {
        assert_eq!(written, table, "`make reference` writes it anew");
    }
}

fn table() -> String {
    let mut command = Args::command();
    command.build();
    let options = command.get_arguments().filter(|option| !["help", "version"].contains(&option.get_id().as_str()));
    let rows = options.map(|option| {
        let value = option.get_value_names().unwrap_or_default().concat();
        let text = option.get_help().unwrap().to_string();
        let values: Vec<_> =
            option.get_possible_values().iter().map(|value| format!("`{}`", value.get_name())).collect();
        let values = if values.is_empty() { String::new() } else { format!(": {}", values.join(", ")) };
        let default: Vec<_> = option.get_default_values().iter().map(|value| value.to_str().unwrap()).collect();
        let default = if default.is_empty() { String::new() } else { format!(" [default: {}]", default.concat()) };
        format!("| `--{} {value}` | {}{values}{default} |\n", option.get_long().unwrap(), text.replace('*', "\\*"))
    });
    let head = "\n| option | meaning |\n|---|---|\n".to_owned();
    [head].into_iter().chain(rows).chain(["\n".to_owned()]).collect()
}
