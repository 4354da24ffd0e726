//! Finds the library, ZIP or module that a path and a handler's name mean.

use std::fs;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use anyhow::{Context, Result, bail};

use super::found::is_zip_name;
use super::module::{self, Module, is_module_name};

/// What `HANDLER_FUNCTION` names: `symbol`, or `library.symbol`; in Python `function`, or `module.function`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HandlerName {
    /// The library, without `lib` and `.so`; or the module.
    pub library: Option<String>,
    /// The exported symbol, or the function.
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

/// Finds the library, ZIP or module: the file itself, or in a folder the library that `name` means, or else the module
/// that it names, the only ZIP, or the only module.
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
    let context = || format!("the folder {}", path.display());
    let library = find_among(&files, name).with_context(context)?;
    if let Some(found) = library.or_else(|| named_module(path, name)) {
        return Ok(found);
    }
    match zips.as_slice() {
        [zip] => Ok((*zip).clone()),
        [] => find_module(&files, name).with_context(context)?.with_context(|| {
            format!("{} holds no plugin: no file that ends in {SUFFIX}, .zip or {}", context(), module::SUFFIX)
        }),
        _ => bail!("{} holds several ZIPs: name one of them", context()),
    }
}

/// Finds the library that `name` means in a folder, or the module.
///
/// # Errors
///
/// None there, or several and none named.
pub(super) fn find_unpacked(folder: &Path, name: &HandlerName) -> Result<PathBuf> {
    let files = files_in(folder)?;
    if let Some(found) = find_among(&files, name)?.or_else(|| named_module(folder, name)) {
        return Ok(found);
    }
    find_module(&files, name)?
        .with_context(|| format!("it holds no plugin: no file at its top that ends in {SUFFIX} or {}", module::SUFFIX))
}

/// The module that the handler's name means, which may lie in a package.
fn named_module(folder: &Path, name: &HandlerName) -> Option<PathBuf> {
    let named = Module { folder: folder.to_owned(), name: name.library.clone()? };
    Some(folder.join(named.file()?))
}

/// The only module among some files; or the one whose name the Python runtime takes where it is told none.
fn find_module(files: &[PathBuf], name: &HandlerName) -> Result<Option<PathBuf>> {
    const DEFAULT: &str = "handler_module";
    let modules: Vec<_> = files.iter().filter(|file| is_module_name(file)).collect();
    let module_name = |file: &Path| file.file_stem().map(|name| name.to_string_lossy().into_owned());
    let default = modules.iter().find(|file| module_name(file).as_deref() == Some(DEFAULT));
    match (modules.as_slice(), default) {
        ([], _) => Ok(None),
        ([only], _) => Ok(Some((*only).clone())),
        (_, Some(default)) if name.library.is_none() => Ok(Some((*default).clone())),
        (several, _) => {
            let names: Vec<_> = several.iter().filter_map(|file| module_name(file)).collect();
            let names: Vec<_> = names.iter().map(|module| format!("{module}.{}", name.symbol)).collect();
            bail!("it holds several modules: name the handler with its module, as one of {}", names.join(", "))
        }
    }
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

    /// The handler in a module: `module.function`.
    pub(super) fn within(&self, module: &Module) -> String {
        format!("{}.{}", module.name, self.symbol)
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
    fn a_folders_module_is_taken_where_it_holds_no_library() {
        let found = |files: &[&str], wanted: &str| {
            let folder = folder(files);
            find(folder.path(), &name(wanted)).map(|file| file.file_name().unwrap().to_owned())
        };
        assert_eq!(found(&["usermodule.py", "data.csv"], "handler_module.handler").unwrap(), "usermodule.py");
        assert_eq!(found(&["a.py", "b.py"], "b.handler").unwrap(), "b.py");
        assert_eq!(found(&["a.py", "handler_module.py"], "handler").unwrap(), "handler_module.py");
        assert_eq!(found(&["a.py", "libone.so"], "a.handler").unwrap(), "libone.so");
        assert_eq!(found(&["a.py", "data.zip"], "a.handler").unwrap(), "a.py");
        assert_eq!(found(&["a.py", "one.zip"], "handler").unwrap(), "one.zip");
        let error = format!("{:#}", found(&["a.py", "b.py"], "handler").unwrap_err());
        assert!(error.contains("a.handler, b.handler"), "{error}");
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
