//! A module in Python, and what it imports from its own folder: files that another plugin loads.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

use super::HandlerName;

/// How the names of modules' files end.
pub(crate) const SUFFIX: &str = ".py";

/// The most files that a module may import from its own folder.
const FILES_MAX: usize = 10_000;

/// A module, and the folder from which imports are looked up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Module {
    /// That folder.
    pub(crate) folder: PathBuf,
    /// Its name as Python has it: `handler_module`, or `package.module`.
    pub(crate) name: String,
}

/// A file that a module imports, or that lies in a package that it imports.
#[derive(Debug)]
pub(crate) struct Imported {
    /// Its path below the module's folder.
    pub(crate) name: PathBuf,
    /// Where it lies.
    pub(crate) path: PathBuf,
    pub(crate) bytes: Vec<u8>,
    /// The content of the signature beside it.
    pub(super) signature: Option<Vec<u8>>,
}

impl Module {
    /// The module that a file is: below a package where the handler's name says so.
    pub(crate) fn of(file: &Path, handler: &HandlerName) -> Module {
        let named = handler.library.as_deref().and_then(|name| {
            let parts = name.split('.').count();
            let places = [(file_of(name), parts), (package_of(name), parts + 1)];
            let mut folders = places.iter().filter_map(|(path, depth)| Some((file.ancestors().nth(*depth)?, path)));
            let (folder, _) = folders.find(|(folder, path)| folder.join(path) == file)?;
            Some(Module { folder: folder.to_owned(), name: name.to_owned() })
        });
        named.unwrap_or_else(|| Module {
            folder: file.parent().map(Path::to_owned).unwrap_or_default(),
            name: file.file_stem().unwrap_or_default().to_string_lossy().into_owned(),
        })
    }

    /// The files that it imports from its folder, and those that these import, as far as that stands in the text:
    /// of a package all that is in it.
    ///
    /// # Errors
    ///
    /// They can't be read, or come to more than `most` bytes.
    pub(crate) fn imports(&self, file: &Path, source: &[u8], most: u64) -> Result<Vec<Imported>> {
        let mut files = BTreeMap::new();
        let (mut seen, mut next) = (BTreeSet::new(), names(source));
        if let Some((package, _)) = self.name.split_once('.') {
            next.insert(package.to_owned());
        }
        while let Some(name) = next.pop_first() {
            if !seen.insert(name.clone()) {
                continue;
            }
            let mut found = Vec::new();
            collect(&self.folder.join(&name), &mut found)?;
            found.extend(Some(self.folder.join(format!("{name}{SUFFIX}"))).filter(|path| path.is_file()));
            for path in found.into_iter().filter(|path| path != file) {
                let bytes = fs::read(&path).with_context(|| format!("can't read {}", path.display()))?;
                if is_module_name(&path) {
                    next.append(&mut names(&bytes));
                }
                let name = path.strip_prefix(&self.folder).unwrap_or(&path).to_owned();
                files.insert(name.clone(), Imported { name, path, bytes, signature: None });
            }
            let size: usize = files.values().map(|file| file.bytes.len()).sum();
            if size as u64 > most || files.len() > FILES_MAX {
                bail!(
                    "what {} imports from its folder comes to more than {most} bytes or {FILES_MAX} files: raise \
                     ZIP_MAX_BYTES, or put what it needs in a folder of its own",
                    file.display()
                );
            }
        }
        Ok(files.into_values().collect())
    }

    /// The file of the module, below its folder.
    pub(super) fn file(&self) -> Option<PathBuf> {
        [file_of(&self.name), package_of(&self.name)].into_iter().find(|path| self.folder.join(path).is_file())
    }
}

/// Whether a file's name says that it is a module.
pub(crate) fn is_module_name(path: &Path) -> bool {
    path.extension().is_some_and(|extension| extension == &SUFFIX[1..])
}

/// Where the file of a module lies.
fn file_of(name: &str) -> PathBuf {
    PathBuf::from(format!("{}{SUFFIX}", name.replace('.', "/")))
}

/// Where the file of a package lies.
fn package_of(name: &str) -> PathBuf {
    Path::new(&name.replace('.', "/")).join("__init__.py")
}

/// The first parts of the names that a source imports. A text that only looks like an import does no harm.
fn names(source: &[u8]) -> BTreeSet<String> {
    let source = String::from_utf8_lossy(source);
    let first = |name: &str| {
        let name = name.split_whitespace().next().unwrap_or_default();
        let name = name.split('.').next().unwrap_or_default();
        let plain = !name.is_empty() && name.chars().all(|letter| letter.is_alphanumeric() || letter == '_');
        plain.then(|| name.to_owned())
    };
    let mut names = BTreeSet::new();
    for statement in source.split(['\n', '\r', ';', ':']).map(str::trim) {
        if let Some(list) = statement.strip_prefix("import ") {
            names.extend(list.split(',').filter_map(first));
        } else if let Some(rest) = statement.strip_prefix("from ") {
            names.extend(first(rest));
        }
    }
    names
}

/// The files of a package; none where there is no such folder.
fn collect(folder: &Path, files: &mut Vec<PathBuf>) -> Result<()> {
    if !folder.is_dir() {
        return Ok(());
    }
    for entry in fs::read_dir(folder).with_context(|| format!("can't list the folder {}", folder.display()))? {
        let path = entry.with_context(|| format!("can't list the folder {}", folder.display()))?.path();
        if is_passed_over(&path) {
            continue;
        }
        if path.is_dir() && !path.is_symlink() {
            collect(&path, files)?;
        } else if path.is_file() {
            files.push(path);
        }
        if files.len() > FILES_MAX {
            break;
        }
    }
    Ok(())
}

/// What Python leaves beside modules, and what is hidden.
pub(crate) fn is_passed_over(path: &Path) -> bool {
    path.file_name().is_none_or(|name| name == "__pycache__" || name.to_string_lossy().starts_with('.'))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn handler(name: &str) -> HandlerName {
        name.parse().unwrap()
    }

    #[test]
    fn imports_are_seen_wherever_they_stand() {
        let source =
            b"import a, b.c as d\nif x:\n  from e.f import (g,\n h)\ntry: import i; import j\nfrom . import k\n";
        assert_eq!(names(source).into_iter().collect::<Vec<_>>(), ["a", "b", "e", "i", "j"]);
    }

    #[test]
    fn a_module_lies_below_the_package_that_its_handler_names() {
        let module = |file: &str, name: &str| {
            let Module { folder, name } = Module::of(Path::new(file), &handler(name));
            (folder.display().to_string(), name)
        };
        assert_eq!(module("/f/p/m.py", "p.m.handler"), ("/f".to_owned(), "p.m".to_owned()));
        assert_eq!(module("/f/p/__init__.py", "p.handler"), ("/f".to_owned(), "p".to_owned()));
        assert_eq!(
            module("/opt/usermodule.py", "handler_module.handler"),
            ("/opt".to_owned(), "usermodule".to_owned())
        );
    }

    #[test]
    fn what_is_imported_from_the_folder_is_taken_with_what_that_imports() {
        let folder = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &str| {
            let path = folder.path().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        };
        write("main.py", "import helper, json");
        write("helper.py", "from package import part\nimport main");
        write("package/__init__.py", "");
        write("package/part.py", "");
        write("package/weights.csv", "1");
        write("package/__pycache__/part.pyc", "");
        write("other.py", "");
        let file = folder.path().join("main.py");
        let module = Module::of(&file, &handler("handler"));
        let imported = module.imports(&file, &fs::read(&file).unwrap(), 1000).unwrap();
        let names: Vec<_> = imported.iter().map(|file| file.name.to_str().unwrap()).collect();
        assert_eq!(names, ["helper.py", "package/__init__.py", "package/part.py", "package/weights.csv"]);
        assert!(module.imports(&file, b"import helper", 10).unwrap_err().to_string().contains("ZIP_MAX_BYTES"));
    }
}
