//! The manifest: JSON in a section of its own, so that a host reads it before any code of the library runs.

use serde::{Deserialize, Serialize};

/// The name of the section that holds the manifest.
pub const SECTION: &str = if cfg!(target_vendor = "apple") { "__plugin" } else { ".plugin_manifest" };

/// What a plugin says about itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Manifest {
    /// The version of the ABI that it was built for.
    pub abi: u32,
    /// The version of the crate plugin-api; none in a plugin that isn't Rust.
    #[serde(default)]
    pub plugin_api: Option<String>,
    /// The package's name.
    pub name: String,
    /// The package's version.
    pub version: String,
    /// The compiler.
    #[serde(default)]
    pub rustc: Option<String>,
    /// The target triple, for example `x86_64-unknown-linux-gnu`.
    pub target: String,
    /// The names of its handlers.
    pub handlers: Vec<String>,
    /// The ending of the files that it loads (`.py`), where it embeds another language. Handlers are then named by what
    /// it loads, and the first of `handlers` is the symbol that stands for each of them; `plugin_dir` is a folder named
    /// `MODULE.FUNCTION`, with the module and what lies beside it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub loads: Option<String>,
    /// Libraries of which it needs one, whichever the system has first in this order. It is opened before the plugin and
    /// for all to see (`RTLD_GLOBAL`): the plugin's own undefined symbols, and those of extensions that the other
    /// language loads, are found in it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub libraries: Vec<String>,
}

/// The total length of some parts, in bytes.
pub const fn length(parts: &[&str]) -> usize {
    let mut length = 0;
    let mut part = 0;
    while part < parts.len() {
        length += parts[part].len();
        part += 1;
    }
    length
}

/// The parts one after another; `N` is their [`length`].
pub const fn join<const N: usize>(parts: &[&str]) -> [u8; N] {
    let mut joined = [0; N];
    let (mut at, mut part) = (0, 0);
    while part < parts.len() {
        let bytes = parts[part].as_bytes();
        let mut byte = 0;
        while byte < bytes.len() {
            joined[at] = bytes[byte];
            at += 1;
            byte += 1;
        }
        part += 1;
    }
    joined
}

/// Functions of the C library that Rust's standard library calls. A handler's name is an exported symbol, and one of
/// these names would take the C function's place inside the plugin.
const TAKEN: &[&str] = &[
    "abort",
    "accept",
    "access",
    "bind",
    "calloc",
    "chdir",
    "chmod",
    "chown",
    "close",
    "connect",
    "dup",
    "environ",
    "execvp",
    "exit",
    "fchmod",
    "fchown",
    "fcntl",
    "fork",
    "free",
    "fstat",
    "fsync",
    "getcwd",
    "getenv",
    "getpid",
    "getrandom",
    "gettid",
    "getuid",
    "ioctl",
    "isatty",
    "kill",
    "link",
    "listen",
    "lseek",
    "main",
    "malloc",
    "memchr",
    "memcmp",
    "memcpy",
    "memmove",
    "memset",
    "mkdir",
    "mmap",
    "mprotect",
    "munmap",
    "nanosleep",
    "open",
    "openat",
    "opendir",
    "pause",
    "pipe",
    "poll",
    "raise",
    "read",
    "readdir",
    "readlink",
    "readv",
    "realloc",
    "realpath",
    "recv",
    "rename",
    "rmdir",
    "select",
    "send",
    "sendfile",
    "setenv",
    "shutdown",
    "sigaction",
    "signal",
    "socket",
    "splice",
    "stat",
    "strlen",
    "symlink",
    "syscall",
    "sysconf",
    "system",
    "time",
    "truncate",
    "umask",
    "uname",
    "unlink",
    "unsetenv",
    "wait",
    "waitpid",
    "write",
    "writev",
];

/// Refuses, at compile time, a handler's name that would replace a function of the C library.
pub const fn refuse_taken_name(name: &str) {
    let mut taken = 0;
    while taken < TAKEN.len() {
        assert!(
            !equal(TAKEN[taken].as_bytes(), name.as_bytes()),
            "this handler's name is also a function of the C library, which it would replace inside the plugin: \
             give the handler another name"
        );
        taken += 1;
    }
}

const fn equal(left: &[u8], right: &[u8]) -> bool {
    if left.len() != right.len() {
        return false;
    }
    let mut at = 0;
    while at < left.len() {
        if left[at] != right[at] {
            return false;
        }
        at += 1;
    }
    true
}

/// Makes functions the handlers of this plugin.
///
/// `export!(handler)` exports one, `export!(first, second)` several; the symbol is the function's name. A handler is
/// a `fn(I, &mut Context<E>) -> plugin_api::Result<O>`; the [crate](crate) says what `I`, `E` and `O` can be.
///
/// A name that would replace a function of the C library inside the plugin does not compile:
///
/// ```compile_fail
/// fn write(_: plugin_api::Value, _: &mut plugin_api::Context) -> plugin_api::Result<()> {
///     Ok(())
/// }
/// plugin_api::export!(write);
/// ```
#[macro_export]
macro_rules! export {
    ($first:ident $(, $more:ident)* $(,)?) => {
        $crate::export!(@handler $first);
        $($crate::export!(@handler $more);)*

        $crate::export!(@manifest
            "\"handlers\":[\"", stringify!($first), "\"", $(",\"", stringify!($more), "\"",)* "]"
        );
    };
    (@manifest $($part:expr),*) => {
        const _: () = {
            const PARTS: &[&str] = &[
                "{\"abi\":1,\"plugin_api\":\"", $crate::VERSION,
                "\",\"name\":\"", env!("CARGO_PKG_NAME"),
                "\",\"version\":\"", env!("CARGO_PKG_VERSION"),
                "\",\"rustc\":\"", $crate::RUSTC,
                "\",\"target\":\"", $crate::TARGET,
                "\",", $($part,)* "}",
            ];
            #[used]
            #[cfg_attr(target_vendor = "apple", unsafe(link_section = "__DATA,__plugin"))]
            #[cfg_attr(not(target_vendor = "apple"), unsafe(link_section = ".plugin_manifest"))]
            static MANIFEST: [u8; $crate::abi::length(PARTS)] = $crate::abi::join(PARTS);
        };
    };
    (@handler $handler:ident) => {
        const _: () = {
            const _: () = $crate::abi::refuse_taken_name(stringify!($handler));
            #[unsafe(export_name = stringify!($handler))]
            static HANDLER: $crate::abi::HandlerV1 = $crate::abi::handler_v1(&$handler);
        };
    };
}

/// Makes a [`Callee`](crate::abi::Callee) the plugin that loads files of another language.
///
/// `embed!(Python as python, loads ".py", libraries ["libpython3.14.so.1.0"])`: the type, the name of the symbol, the
/// ending of the files, and the libraries of which one must be opened before, as [`Manifest`] says.
#[macro_export]
macro_rules! embed {
    ($callee:ty as $symbol:ident, loads $suffix:literal, libraries [$first:literal $(, $more:literal)* $(,)?]) => {
        const _: () = {
            const _: () = $crate::abi::refuse_taken_name(stringify!($symbol));
            #[unsafe(export_name = stringify!($symbol))]
            static HANDLER: $crate::abi::HandlerV1 = $crate::abi::callee_v1::<$callee>();
        };
        $crate::export!(@manifest
            "\"handlers\":[\"", stringify!($symbol), "\"],\"loads\":\"", $suffix,
            "\",\"libraries\":[\"", $first, "\"", $(",\"", $more, "\"",)* "]"
        );
    };
}
