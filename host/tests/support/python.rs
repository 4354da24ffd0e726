//! Handlers in Python for one test, and what Python there is.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use super::{invoke, root};

/// A folder with modules.
pub struct Modules {
    folder: tempfile::TempDir,
}

impl Modules {
    /// A folder with `handler_module.py`.
    pub fn with(source: &str) -> Modules {
        let modules = Modules { folder: tempfile::tempdir().unwrap() };
        modules.write("handler_module.py", source);
        modules
    }

    /// Puts a file there, in one step.
    pub fn write(&self, name: &str, content: &str) {
        let path = self.folder.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        super::replace(&path, content.as_bytes());
    }

    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// The file of the handler.
    pub fn file(&self) -> PathBuf {
        self.folder.path().join("handler_module.py")
    }

    /// Runs `invoke` with it on lines.
    pub fn invoke(&self, lines: &str) -> Output {
        super::plugin("python_handler");
        invoke(&self.file(), "handler", lines.as_bytes())
    }
}

/// The Python runtime's own handler.
pub fn peers_handler() -> PathBuf {
    super::plugin("python_handler");
    root().join("bench/peer/handler_module.py")
}

/// Whether the system has a libpython; a test that needs one says so where it has none.
pub fn is_there() -> bool {
    library().is_some()
}

/// The system's libpython; where it has none, that is said.
pub fn library() -> Option<PathBuf> {
    let libraries = Command::new("/sbin/ldconfig").arg("-p").output().map(|output| output.stdout).unwrap_or_default();
    let libraries = String::from_utf8_lossy(&libraries).into_owned();
    let mut paths = libraries.split_whitespace().filter(|word| word.starts_with('/') && word.contains("/libpython3."));
    let found = paths.find(|path| path.ends_with(".so.1.0")).map(PathBuf::from);
    if found.is_none() {
        eprintln!("skipped: the system has no libpython3 (on Debian: apt-get install libpython3.N)");
    }
    found
}
