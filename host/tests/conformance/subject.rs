//! The languages that plugins are written in: each has the same handlers.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use super::super::support::redis::Redis;
use super::super::support::{Host, build, compile, fixture, plugin_host, root, text};

/// Plugins in one language. `mean` gives the mean of all numbers so far, `echo` what it gets, `about` what the context
/// says, and `told` makes a warning of what it gets.
pub struct Subject {
    pub folder: tempfile::TempDir,
    /// The library and the symbol of `mean`; the others bear their names.
    mean: (PathBuf, &'static str),
    /// Another version of the library of `mean`.
    next: PathBuf,
    /// The library of the others.
    others: PathBuf,
    /// What their processes need besides.
    variables: Vec<(&'static str, String)>,
}

/// Plugins in Rust.
pub fn rust() -> Option<Subject> {
    let folder = tempfile::tempdir().unwrap();
    let (library, next) = (folder.path().join("libfixture.so"), folder.path().join("next.so"));
    fs::write(&library, fixture()).unwrap();
    fs::write(&next, build(1)).unwrap();
    let others = folder.path().join("others/libfixture.so");
    fs::create_dir(folder.path().join("others")).unwrap();
    fs::write(&others, fixture()).unwrap();
    Some(Subject { mean: (library, "mean"), next, others, variables: Vec::new(), folder })
}

/// Plugins in C.
pub fn c() -> Option<Subject> {
    Some(compiled(&[], Vec::new()))
}

/// The same with AddressSanitizer, which ends a process at the first byte that is not the plugin's.
pub fn c_with_address_sanitizer() -> Option<Subject> {
    let asked = Command::new("cc").arg("-print-file-name=libasan.so").output().unwrap();
    let libasan = text(&asked.stdout).trim().to_owned();
    if !Path::new(&libasan).is_absolute() {
        eprintln!("skipped: this compiler has no libasan.so");
        return None;
    }
    let variables = vec![
        ("LD_PRELOAD", libasan),
        // What the host leaks on purpose, a table for each library, would count as a leak.
        ("ASAN_OPTIONS", "abort_on_error=1:detect_leaks=0".to_owned()),
        // It reserves address space for a shadow of all there is.
        ("MEMORY_LIMIT", "65536GiB".to_owned()),
    ];
    Some(compiled(&["-fsanitize=address", "-fno-omit-frame-pointer"], variables))
}

fn compiled(arguments: &[&str], variables: Vec<(&'static str, String)>) -> Subject {
    let folder = tempfile::tempdir().unwrap();
    let library = |name: &str, source: &str, more: &[&str]| {
        let path = folder.path().join(name);
        compile(&root().join(source), &path, &[arguments, more].concat());
        path
    };
    Subject {
        mean: (library("libmean.so", "plugins/examples/c/mean.c", &[]), "handler"),
        next: library("next.so", "plugins/examples/c/mean.c", &["-DVERSION=\"0.2.0\""]),
        others: library("libfixture.so", "host/tests/conformance/fixture.c", &[]),
        variables,
        folder,
    }
}

impl Subject {
    /// Runs `invoke` on lines.
    pub fn invoke(&self, handler: &str, input: &[u8]) -> Output {
        self.invoke_with(handler, input, &[])
    }

    /// The same with more arguments.
    pub fn invoke_with(&self, handler: &str, input: &[u8], arguments: &[&Path]) -> Output {
        let file = self.folder.path().join("input");
        fs::write(&file, input).unwrap();
        let (library, symbol) = match handler {
            "mean" => (&self.mean.0, self.mean.1),
            other => (&self.others, other),
        };
        let mut command = plugin_host();
        command.arg("invoke").arg(library).args(["--handler", symbol, "--input"]).arg(file).args(arguments);
        command.envs(self.variables.iter().map(|(name, value)| (name, value))).output().unwrap()
    }

    /// The folder of the library of `about`.
    pub fn folder_of_about(&self) -> &Path {
        self.others.parent().unwrap()
    }

    /// Runs `mean` on a Redis.
    pub fn host(&self, redis: &Redis) -> Host {
        let url = redis.server.url();
        let mut variables =
            vec![("STORE_URL", url.as_str()), ("HANDLER_FUNCTION", self.mean.1), ("RELOAD_PERIOD", "0.02")];
        variables.extend(self.variables.iter().map(|(name, value)| (*name, value.as_str())));
        Host::start(&self.mean.0, &variables)
    }

    /// The same, with `mean` compiled from another source.
    pub fn compiled_anew(self, source: &Path) -> Subject {
        compile(source, &self.mean.0, &["-fsanitize=address", "-Wno-error"]);
        self
    }

    /// Puts the other version in the place of the library of `mean`.
    pub fn renew(&self) {
        fs::rename(&self.next, &self.mean.0).unwrap();
    }
}
