//! Starts the interpreter as the Python that its library belongs to.
//!
//! An interpreter looks for its standard library beside the program `python3` of the path, which may be another Python's
//! than the library that was found. So it is told a program: that of its library, or that of a virtual environment of it
//! which comes first in the path.

#![allow(
    unsafe_code,
    reason = "the name is set by a function that newer interpreters may not have, so it is looked up"
)]

use std::env;
use std::fs;
use std::path::{Path, PathBuf};

use pyo3::Python;

/// Starts it, if it was not started, without signal handlers.
pub(crate) fn start() {
    static STARTED: std::sync::Once = std::sync::Once::new();
    STARTED.call_once(|| {
        if let Some(program) = program() {
            name_program(&program);
        }
        Python::initialize();
    });
}

/// The program that the library belongs to.
fn program() -> Option<PathBuf> {
    let maps = fs::read_to_string("/proc/self/maps").ok()?;
    let library = maps.lines().find_map(|line| {
        let path = Path::new(line.get(line.find('/')?..)?);
        path.file_name()?.to_str()?.starts_with("libpython3.").then_some(path)
    })?;
    let (name, _) = library.file_name()?.to_str()?.strip_prefix("lib")?.split_once(".so")?;
    let holds_it =
        |prefix: &&Path| ["lib", "lib64"].iter().any(|lib| prefix.join(lib).join(name).join("os.py").is_file());
    let own = library.ancestors().skip(1).find(holds_it)?.join("bin").join(name);
    Some(environment_of(&own, name).unwrap_or(own))
}

/// The program of a virtual environment, if the first `python3` of the path is one that was made of this Python.
fn environment_of(own: &Path, name: &str) -> Option<PathBuf> {
    let path = env::var_os("PATH")?;
    let program = env::split_paths(&path).map(|folder| folder.join("python3")).find(|program| program.is_file())?;
    let environment = program.parent()?.parent()?;
    let settings = fs::read_to_string(environment.join("pyvenv.cfg")).ok()?;
    let home = settings.lines().find_map(|line| line.strip_prefix("home")?.trim_start().strip_prefix('='))?.trim();
    let same = Path::new(home).canonicalize().ok()? == own.parent()?.canonicalize().ok()?;
    (same && environment.join("lib").join(name).is_dir()).then_some(program)
}

fn name_program(program: &Path) {
    let Some(program) = program.to_str() else { return };
    // SAFETY: a name and a handle that means all libraries that were opened for all to see, libpython among them.
    let function = unsafe { libc::dlsym(libc::RTLD_DEFAULT, c"Py_SetProgramName".as_ptr()) };
    if function.is_null() {
        return;
    }
    // SAFETY: in every CPython that has it, this is `void Py_SetProgramName(const wchar_t *)` (the stable ABI).
    let set = unsafe { std::mem::transmute::<*mut libc::c_void, unsafe extern "C" fn(*const libc::wchar_t)>(function) };
    // On Linux a wchar_t is a character.
    let name: Vec<_> = program.chars().chain(['\0']).map(|letter| u32::from(letter) as libc::wchar_t).collect();
    // SAFETY: the name ends in zero and is given away, as the interpreter may keep it; none was started yet.
    unsafe { set(name.leak().as_ptr()) }
}
