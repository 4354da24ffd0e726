//! Finds the library or ZIP that a path and a handler's name mean.

use std::fs;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use anyhow::{Context, Result, bail};

use super::found::is_zip_name;

/// What `HANDLER_FUNCTION` names: `symbol`, or `library.symbol`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HandlerName {
    /// The library, without `lib` and `.so`.
    pub library: Option<String>,
    /// The exported symbol.
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

/// Finds the library or ZIP: the file itself, or in a folder the library that `name` means, or else the only ZIP.
///
/// # Errors
///
/// Nothing there, or several and none named.
pub fn find(path: &Path, name: &HandlerName) -> Result<PathBuf> {
    let kind = fs::metadata(path).with_context(|| {
        format!("no plugin at {}: put a library or ZIP there, or name another path", path.display())
    })?;
    if kind.is_file() {
        return Ok(path.to_owned());
    }
    if !kind.is_dir() {
        bail!("{} is neither a file nor a folder", path.display());
    }
    let files = files_in(path)?;
    let zips: Vec<_> = files.iter().filter(|file| is_zip_name(file)).collect();
    let library = find_among(&files, name).with_context(|| format!("the folder {}", path.display()))?;
    match (library, zips.as_slice()) {
        (Some(library), _) => Ok(library),
        (None, [zip]) => Ok((*zip).clone()),
        (None, []) => bail!("the folder {} holds no plugin: no file that ends in {SUFFIX} or .zip", path.display()),
        (None, _) => bail!("the folder {} holds several ZIPs: name one of them", path.display()),
    }
}

/// Finds the library that `name` means in a folder.
///
/// # Errors
///
/// None there, or several and none named.
pub(super) fn find_library(folder: &Path, name: &HandlerName) -> Result<PathBuf> {
    find_among(&files_in(folder)?, name)?
        .with_context(|| format!("it holds no plugin: no file at its top that ends in {SUFFIX}"))
}

fn find_among(files: &[PathBuf], name: &HandlerName) -> Result<Option<PathBuf>> {
    let libraries: Vec<_> =
        files.iter().filter(|file| file.to_string_lossy().ends_with(SUFFIX)).map(PathBuf::as_path).collect();
    let named = |wanted: &str| libraries.iter().find(|library| library_name(library) == Some(wanted));
    match (libraries.as_slice(), name.library.as_deref().and_then(named)) {
        ([], _) => Ok(None),
        (_, Some(library)) => Ok(Some((*library).to_owned())),
        ([only], None) => Ok(Some((*only).to_owned())),
        (several, None) => bail!(
            "it holds several plugins: name the handler with its library, as one of {}",
            several
                .iter()
                .filter_map(|path| library_name(path))
                .map(|library| format!("{library}.{}", name.symbol))
                .collect::<Vec<_>>()
                .join(", ")
        ),
    }
}

const SUFFIX: &str = std::env::consts::DLL_SUFFIX;

/// The files of a folder by name. What a ConfigMap volume keeps beside them (`..data`), and links that lead nowhere
/// yet, are passed over.
fn files_in(folder: &Path) -> Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder).with_context(|| format!("can't list the folder {}", folder.display()))? {
        let path = entry.with_context(|| format!("can't list the folder {}", folder.display()))?.path();
        let hidden = path.file_name().is_none_or(|name| name.to_string_lossy().starts_with('.'));
        if !hidden && path.is_file() {
            files.push(path);
        }
    }
    files.sort();
    Ok(files)
}

impl HandlerName {
    /// The library that is asked for, where another one was taken because it is the only one.
    pub(super) fn passed_over(&self, library: &Path) -> Option<&str> {
        self.library.as_deref().filter(|wanted| library_name(library) != Some(wanted))
    }
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
            assert_eq!(find(folder.path(), &name(wanted)).unwrap(), folder.path().join("libone.so"));
        }
    }

    #[test]
    fn the_prefix_picks_among_several_libraries() {
        let folder = folder(&["libone.so", "two.so"]);
        assert_eq!(find(folder.path(), &name("two.handler")).unwrap(), folder.path().join("two.so"));
        let error = format!("{:#}", find(folder.path(), &name("handler")).unwrap_err());
        assert!(error.contains("one.handler, two.handler"), "{error}");
    }

    #[test]
    fn a_folders_only_zip_is_taken_where_it_holds_no_library() {
        let found = |files: &[&str]| {
            let folder = folder(files);
            find(folder.path(), &name("handler")).map(|file| file.file_name().unwrap().to_owned())
        };
        assert_eq!(found(&["a.ZIP", "a.ZIP.minisig", "readme"]).unwrap(), "a.ZIP");
        assert_eq!(found(&["data.zip", "libone.so"]).unwrap(), "libone.so");
        assert!(found(&["a.zip", "b.zip"]).unwrap_err().to_string().contains("several ZIPs"));
    }

    #[test]
    fn a_link_that_leads_nowhere_yet_is_passed_over() {
        let folder = folder(&["libone.so"]);
        std::os::unix::fs::symlink("..data/libtwo.so", folder.path().join("libtwo.so")).unwrap();
        assert_eq!(find(folder.path(), &name("handler")).unwrap(), folder.path().join("libone.so"));
    }

    #[test]
    fn a_missing_path_and_an_empty_folder_say_what_to_do() {
        let folder = folder(&[]);
        assert!(find(folder.path(), &name("h")).unwrap_err().to_string().contains("holds no plugin"));
        assert!(find(&folder.path().join("no"), &name("h")).unwrap_err().to_string().contains("no plugin at"));
    }
}
