//! Starts the interpreter as the Python that its library belongs to.
//!
//! An interpreter looks for its standard library beside the program `python3` of the path, which may be another Python's
//! than the library that was found. So it is told a program: that of its library, or that of a virtual environment of it
//! which comes first in the path. And it is told to take texts for UTF-8 where the system names no locale, as the program
//! `python3` does by itself.

#![allow(
    unsafe_code,
    reason = "what is told to an interpreter before its start goes to symbols that newer ones may not have, so they are looked up"
)]

use std::env;
use std::ffi::{CStr, c_int, c_void};
use std::fs;
use std::path::{Path, PathBuf};
use std::ptr::NonNull;

use pyo3::Python;

/// Starts it, if it was not started, without signal handlers.
pub(crate) fn start() {
    static STARTED: std::sync::Once = std::sync::Once::new();
    STARTED.call_once(|| {
        if let Some(program) = program() {
            name_program(&program);
        }
        if env::var_os("PYTHONUTF8").is_some_and(|value| value == "1") || !has_locale() {
            take_utf8();
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

/// Whether the environment names a locale that the system has.
fn has_locale() -> bool {
    // SAFETY: the name is an empty text, for what the environment says. The interpreter does the same at its start.
    let locale = unsafe { libc::setlocale(libc::LC_CTYPE, c"".as_ptr()) };
    // SAFETY: what is not null is a text, valid until the next call, which nobody makes meanwhile.
    !locale.is_null() && ![c"C", c"POSIX"].contains(&unsafe { CStr::from_ptr(locale) })
}

/// A symbol of the interpreter; none where it has no such symbol.
fn symbol(name: &CStr) -> Option<NonNull<c_void>> {
    // SAFETY: a name and a handle that means all libraries that were opened for all to see, libpython among them.
    NonNull::new(unsafe { libc::dlsym(libc::RTLD_DEFAULT, name.as_ptr()) })
}

fn take_utf8() {
    if let Some(mode) = symbol(c"Py_UTF8Mode") {
        // SAFETY: in every CPython that has it, this is `int Py_UTF8Mode` (the stable ABI); none was started yet that reads it.
        unsafe { mode.cast::<c_int>().write(1) };
    }
}

fn name_program(program: &Path) {
    let (Some(program), Some(function)) = (program.to_str(), symbol(c"Py_SetProgramName")) else { return };
    // SAFETY: in every CPython that has it, this is `void Py_SetProgramName(const wchar_t *)` (the stable ABI).
    let set = unsafe { std::mem::transmute::<NonNull<c_void>, unsafe extern "C" fn(*const libc::wchar_t)>(function) };
    // On Linux a wchar_t is a character.
    let name: Vec<_> = program.chars().chain(['\0']).map(|letter| u32::from(letter) as libc::wchar_t).collect();
    // SAFETY: the name ends in zero and is given away, as the interpreter may keep it; none was started yet.
    unsafe { set(name.leak().as_ptr()) }
}
