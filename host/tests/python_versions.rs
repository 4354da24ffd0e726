//! One build of the plugin does for each CPython from 3.9 on: those that lie on this machine are tried one after another.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use std::ffi::OsString;
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Output, Stdio};

use serde_json::{Value, json};
use support::python::{Modules, peers_handler};
use support::{plugin_host, root, text};

/// The versions that the plugin knows of.
const MINORS: std::ops::RangeInclusive<u32> = 9..=18;

/// The folders of the libraries of each version besides the system's own, where pyenv keeps them.
fn elsewhere() -> Vec<(u32, PathBuf)> {
    let versions = PathBuf::from(std::env::var_os("HOME").unwrap_or_default()).join(".pyenv/versions");
    let folders = fs::read_dir(versions).into_iter().flatten().flatten().map(|version| version.path().join("lib"));
    let mut found: Vec<_> = folders
        .filter_map(|folder| Some((MINORS.rev().find(|minor| folder.join(library(*minor)).is_file())?, folder)))
        .collect();
    found.sort();
    found
}

fn library(minor: u32) -> String {
    format!("libpython3.{minor}.so.1.0")
}

/// Runs `invoke` with the Python of a folder, though the system may have a newer one.
fn invoke_with(minor: u32, folder: &Path, module: &Path, input: &[u8]) -> Output {
    let others = tempfile::tempdir().unwrap();
    for other in MINORS.filter(|other| *other != minor) {
        fs::write(others.path().join(library(other)), "no library").unwrap();
    }
    let path: OsString = std::env::join_paths([others.path(), folder]).unwrap();
    let mut command = plugin_host();
    command.arg("invoke").arg(module).env("LD_LIBRARY_PATH", path);
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let (mut stdin, input) = (child.stdin.take().unwrap(), input.to_owned());
    let writer = std::thread::spawn(move || stdin.write_all(&input).ok());
    let output = child.wait_with_output().unwrap();
    writer.join().unwrap();
    output
}

#[test]
fn each_python_gives_what_it_is_asked_for() {
    let found = elsewhere();
    if found.is_empty() {
        return eprintln!(
            "skipped: there is no Python but the system's (as pyenv would make them, with --enable-shared)"
        );
    }
    let data = root().join("plugins/metrics/data");
    let recorded = fs::read(data.join("recorded.jsonl")).unwrap();
    let golden = fs::read_to_string(data.join("golden/recorded.jsonl")).unwrap();
    let handler = peers_handler();
    let modules = Modules::with(
        "import ctypes, decimal, json, logging, multiprocessing, os, sqlite3, ssl, sys\n\
         def handler(input, context):\n    \
             context.env['calls'] = context.env.get('calls', 0) + 1\n    \
             print('printed')\n    logging.error('logged')\n    \
             if input == 'raise':\n        {}['missing']\n    \
             if input == 'spoil':\n        context.env['calls'] = {1}\n        return 0\n    \
             with multiprocessing.get_context('fork').Pool(2) as pool:\n        squares = pool.map(abs, [-1, 2])\n    \
             return [sys.version_info[1], os.path.realpath(sys.prefix), open(__file__).encoding.lower(), squares, context.env]\n",
    );
    for (minor, folder) in found {
        let output = invoke_with(minor, &folder, &handler, &recorded);
        assert_eq!(text(&output.stdout), golden, "3.{minor}: {}", text(&output.stderr));

        let output = invoke_with(minor, &folder, &modules.file(), b"0\n\"raise\"\n\"spoil\"\n0\n");
        let (results, told) = (text(&output.stdout), text(&output.stderr));
        let results: Vec<Value> = results.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        let prefix = folder.parent().unwrap().canonicalize().unwrap();
        let expected = |calls: u32| json!([minor, prefix, "utf-8", [1, 2], {"calls": calls}]);
        assert_eq!(results, [expected(1), expected(2)], "3.{minor}: {told}");
        for said in [
            "INFO printed plugin",
            "ERROR logged plugin",
            "line 2: the handler returned an error: KeyError: 'missing'",
            "in handler\n",
            "line 3: the env can't be kept: context.env['calls'] is a set",
        ] {
            assert!(told.contains(said), "3.{minor}: {said:?} is missing in {told}");
        }
        println!("3.{minor}: {}", prefix.display());
    }
}
