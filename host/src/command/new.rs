//! `plugin-host new`: writes a plugin's crate that builds, with a test.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, Result};
use clap::Args;

use super::WRONG_USAGE;

/// Writes the crate of a plugin, with a handler, its test and inputs, into a new folder
#[derive(Args)]
pub struct Arguments {
    /// The plugin's name: the crate's, and the folder's
    name: String,
    /// The crate plugin-api, a folder or the address of a git repository [default: the nearest one in a folder above]
    #[arg(long, value_name = "PATH|GIT")]
    plugin_api: Option<String>,
}

/// Names that a crate with these dependencies can't have.
const TAKEN: [&str; 8] = ["alloc", "core", "plugin-api", "plugin_api", "proc_macro", "serde", "std", "test"];

/// The words of the language: a crate that bears one can't be named in it.
const KEYWORDS: &str = "abstract as async await become box break const continue crate do dyn else enum extern false final \
                        fn for gen if impl in let loop macro match mod move mut override priv pub ref return self static \
                        struct super trait true try type typeof unsafe unsized use virtual where while yield";

/// Writes the crate, and says what can be done with it. Exit code 2 where the name can't be one or it isn't known where
/// plugin-api is.
///
/// # Errors
///
/// A file can't be written.
pub fn new(arguments: Arguments) -> Result<ExitCode> {
    let here = env::current_dir().context("this folder is gone")?;
    match Crate::of(arguments, &here) {
        Ok(made) => {
            made.write().with_context(|| format!("can't write the crate {}", made.name))?;
            print!("{0} is a plugin's crate. Next:\n\n$ cd {0}\n{1}", made.name, made.next_commands());
            Ok(ExitCode::SUCCESS)
        }
        Err(fault) => {
            eprintln!("plugin-host: {fault}");
            Ok(ExitCode::from(WRONG_USAGE))
        }
    }
}

/// What is written.
struct Crate {
    name: String,
    folder: PathBuf,
    /// Where `plugin-api` is, as `Cargo.toml` says it.
    plugin_api: String,
}

impl Crate {
    fn of(arguments: Arguments, here: &Path) -> Result<Crate, String> {
        let Arguments { name, plugin_api } = arguments;
        let plain =
            name.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"-_".contains(&byte));
        if !plain || !name.starts_with(|first: char| first.is_ascii_lowercase()) {
            return Err(format!(
                "{name:?} can't name a crate: use small letters, digits, - and _, with a letter first"
            ));
        }
        if TAKEN.contains(&name.as_str()) || KEYWORDS.split(' ').any(|word| word == name) {
            return Err(format!("{name:?} is the name of something else in Rust: take another one"));
        }
        let folder = here.join(&name);
        if folder.exists() {
            return Err(format!("{name} is there already: take another name, or remove it"));
        }
        let plugin_api = match plugin_api.filter(|place| !place.is_empty()) {
            Some(place) => named(&place, here)?,
            None => nearest(here)?,
        };
        Ok(Crate { name, folder, plugin_api })
    }

    fn write(&self) -> Result<()> {
        fs::create_dir(&self.folder)?;
        fs::create_dir(self.folder.join("src"))?;
        for (file, text) in [
            ("Cargo.toml", self.manifest()),
            ("src/lib.rs", include_str!("new/lib.rs.in").to_owned()),
            ("inputs.jsonl", "{\"value\": 1}\n{\"value\": 4}\n{\"value\": -0.5}\n".to_owned()),
            ("README.md", self.readme()),
            (".gitignore", "/target\n".to_owned()),
        ] {
            fs::write(self.folder.join(file), text).context(file)?;
        }
        Ok(())
    }

    /// A workspace of its own, so that it builds wherever it lies.
    fn manifest(&self) -> String {
        format!(
            "[package]\nname = \"{}\"\nversion = \"0.1.0\"\nedition = \"2024\"\npublish = false\n\n[workspace]\n\n[lib]\n\
             crate-type = [\"cdylib\"]\n\n[dependencies]\nplugin-api = {}\n\
             serde = {{ version = \"1\", features = [\"derive\"] }}\n\n[profile.release]\nlto = true\nstrip = true\n",
            self.name, self.plugin_api
        )
    }

    fn readme(&self) -> String {
        format!(
            "# {}\n\nThe mean of all values so far: a plugin for plugin-host. `src/lib.rs` is all of it, `inputs.jsonl` are \
             inputs to try it with.\n\n```console\n{}```\n",
            self.name,
            self.next_commands()
        )
    }

    /// What shows it at work, tests it, and ships it.
    fn next_commands(&self) -> String {
        let library = format!("{}{}{}", env::consts::DLL_PREFIX, self.name.replace('-', "_"), env::consts::DLL_SUFFIX);
        format!(
            "$ plugin-host dev     # runs it on inputs.jsonl, and takes up each change of the source\n$ cargo test\n\
             $ cargo build --release && plugin-host invoke target/release/{library} --input inputs.jsonl\n\
             $ plugin-host pack target/release/{library} --zip {name}.zip     # what a host takes (HANDLER_PATH)\n",
            name = self.name
        )
    }
}

/// The crate that `--plugin-api` names.
fn named(place: &str, here: &Path) -> Result<String, String> {
    if place.contains("://") || place.starts_with("git@") {
        return Ok(format!("{{ git = {} }}", quoted(place)));
    }
    let folders = [PathBuf::from(place), Path::new(place).join("plugin-api")];
    let Some(folder) = folders.iter().find(|folder| is_plugin_api(&here.join(folder))) else {
        return Err(format!(
            "--plugin-api {place}: no crate plugin-api is there: name its folder, or a git repository"
        ));
    };
    Ok(at(&if folder.is_absolute() { folder.clone() } else { Path::new("..").join(folder) }))
}

/// The nearest crate in a folder above.
fn nearest(here: &Path) -> Result<String, String> {
    let mut path = PathBuf::from("..");
    for folder in here.ancestors() {
        if is_plugin_api(&folder.join("plugin-api")) {
            return Ok(at(&path.join("plugin-api")));
        }
        path.push("..");
    }
    Err("no crate plugin-api is in a folder above: say where it is, with --plugin-api FOLDER or --plugin-api https://… \
         (a git repository). It is in no registry"
        .to_owned())
}

fn is_plugin_api(folder: &Path) -> bool {
    let manifest = fs::read_to_string(folder.join("Cargo.toml")).unwrap_or_default();
    manifest.lines().any(|line| line.trim() == "name = \"plugin-api\"")
}

fn at(path: &Path) -> String {
    format!("{{ path = {} }}", quoted(&path.to_string_lossy()))
}

/// A text of TOML: what JSON escapes TOML escapes likewise.
fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}
