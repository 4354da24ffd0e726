//! Finds the library that a path and a handler's name mean.

use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use anyhow::{Context, Result, bail};

/// What `HANDLER_FUNCTION` names: `symbol`, or `library.symbol`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HandlerName {
    /// The library, without `lib` and `.so`.
    pub library: Option<String>,
    /// The exported symbol.
    pub symbol: String,
}

/// A file that may be a plugin, and the handler that is wanted from it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// The library.
    pub path: PathBuf,
    /// The symbol of the handler.
    pub symbol: String,
}

impl FromStr for HandlerName {
    type Err = String;

    fn from_str(name: &str) -> Result<HandlerName, String> {
        let (library, symbol) = match name.rsplit_once('.') {
            Some((library, symbol)) => (Some(library), symbol),
            None => (None, name),
        };
        if symbol.is_empty() || library == Some("") {
            return Err(format!("{name:?} is neither a handler's name nor library.handler"));
        }
        Ok(HandlerName { library: library.map(str::to_owned), symbol: symbol.to_owned() })
    }
}

/// Finds the library: the file itself, or the one in the folder that `name` means.
///
/// # Errors
///
/// Nothing there, or several libraries and none named.
pub fn find(path: &Path, name: &HandlerName) -> Result<Found> {
    let kind = fs::metadata(path)
        .with_context(|| format!("no plugin at {}: put a library there, or name another path", path.display()))?;
    if !kind.is_dir() && !kind.is_file() {
        bail!("{} is neither a file nor a folder", path.display());
    }
    let libraries = if kind.is_dir() { libraries_in(path)? } else { vec![path.to_owned()] };
    let named = |library: &str| libraries.iter().find(|path| library_name(path) == Some(library)).cloned();
    let chosen = match (libraries.as_slice(), &name.library) {
        ([], _) => bail!("the folder {} holds no plugin (no file that ends in {SUFFIX})", path.display()),
        ([only], None) => only.clone(),
        ([only], Some(library)) => named(library).unwrap_or_else(|| {
            tracing::warn!(
                "the handler's name asks for the library {library:?}, but the only one is {}: taking that",
                only.display()
            );
            only.clone()
        }),
        (several, library) => match library.as_deref().and_then(named) {
            Some(found) => found,
            None => bail!(
                "the folder {} holds several plugins: name the handler with its library, as one of {}",
                path.display(),
                several
                    .iter()
                    .filter_map(|path| library_name(path))
                    .map(|library| format!("{library}.{}", name.symbol))
                    .collect::<Vec<_>>()
                    .join(", ")
            ),
        },
    };
    Ok(Found { path: chosen, symbol: name.symbol.clone() })
}

const SUFFIX: &str = std::env::consts::DLL_SUFFIX;

/// The libraries of a folder by name. What a ConfigMap volume keeps beside its files (`..data`) is passed over.
fn libraries_in(folder: &Path) -> Result<Vec<PathBuf>> {
    let mut libraries = Vec::new();
    for entry in fs::read_dir(folder).with_context(|| format!("can't list the folder {}", folder.display()))? {
        let path = entry.with_context(|| format!("can't list the folder {}", folder.display()))?.path();
        let name = path.file_name().map(OsStr::to_string_lossy).unwrap_or_default();
        if !name.starts_with('.') && name.ends_with(SUFFIX) && path.is_file() {
            libraries.push(path);
        }
    }
    libraries.sort();
    Ok(libraries)
}

/// `metrics` for `libmetrics.so`.
fn library_name(path: &Path) -> Option<&str> {
    let stem = path.file_name()?.to_str()?.strip_suffix(SUFFIX)?;
    Some(stem.strip_prefix("lib").unwrap_or(stem))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(name: &str) -> HandlerName {
        name.parse().unwrap()
    }

    fn folder(files: &[&str]) -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        for file in files {
            fs::write(folder.path().join(file), "").unwrap();
        }
        folder
    }

    #[test]
    fn a_handler_name_has_an_optional_library() {
        assert_eq!(name("handler"), HandlerName { library: None, symbol: "handler".into() });
        assert_eq!(name("a.b"), HandlerName { library: Some("a".into()), symbol: "b".into() });
        assert!("a.".parse::<HandlerName>().is_err());
        assert!(".b".parse::<HandlerName>().is_err());
    }

    #[test]
    fn the_only_library_of_a_folder_is_taken_whatever_the_prefix() {
        let folder = folder(&["libone.so", "readme.txt"]);
        for wanted in ["handler", "one.handler", "handler_module.handler"] {
            assert_eq!(find(folder.path(), &name(wanted)).unwrap().path, folder.path().join("libone.so"));
        }
    }

    #[test]
    fn the_prefix_picks_among_several_libraries() {
        let folder = folder(&["libone.so", "two.so"]);
        assert_eq!(find(folder.path(), &name("two.handler")).unwrap().path, folder.path().join("two.so"));
        let error = find(folder.path(), &name("handler")).unwrap_err().to_string();
        assert!(error.contains("one.handler, two.handler"), "{error}");
    }

    #[test]
    fn a_missing_path_and_an_empty_folder_say_what_to_do() {
        let folder = folder(&[]);
        assert!(find(folder.path(), &name("h")).unwrap_err().to_string().contains("holds no plugin"));
        assert!(find(&folder.path().join("no"), &name("h")).unwrap_err().to_string().contains("no plugin at"));
    }
}
