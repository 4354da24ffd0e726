//! `include/plugin_host.h` says the same as the Rust definitions: a C program prints what its compiler makes of it.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::fmt::Write as _;
use std::fs;
use std::mem::offset_of;
use std::path::{Path, PathBuf};
use std::process::Command;

use plugin_api::abi::{self, Bytes, EventV1, HandlerV1, HostV1, OpenV1};

/// What is printed about a structure: `NAME SIZE`, then `NAME.FIELD PLACE SIZE`.
struct Layout {
    /// The C code that prints it.
    program: String,
    /// What it prints if both agree.
    expected: String,
}

impl Layout {
    /// Adds what C calls `name`.
    fn structure(&mut self, name: &str, size: usize, fields: &[(&str, usize, usize)]) {
        self.print(name, "sizeof(", name, ")", &[size]);
        for (field, place, size) in fields {
            let sizes = format!("offsetof({name}, {field}), sizeof(({name} *)0)->");
            self.print(&format!("{name}.{field}"), &sizes, field, "", &[*place, *size]);
        }
    }

    fn number(&mut self, name: &str, number: u32) {
        self.print(name, "(size_t)", name, "", &[number as usize]);
    }

    fn print(&mut self, label: &str, before: &str, what: &str, after: &str, numbers: &[usize]) {
        let formats = " %zu".repeat(numbers.len());
        writeln!(self.program, "    printf(\"{label}{formats}\\n\", {before}{what}{after});").unwrap();
        let numbers: String = numbers.iter().map(|number| format!(" {number}")).collect();
        writeln!(self.expected, "{label}{numbers}").unwrap();
    }
}

/// Adds a structure with all its fields: one that is left out here does not compile.
macro_rules! structure {
    ($layout:ident, $rust:ident as $c:literal { $($field:ident),* $(,)? }) => {
        const _: fn($rust) = |$rust { $($field: _),* }| {};
        $layout.structure($c, size_of::<$rust>(), &[$((
            stringify!($field),
            offset_of!($rust, $field),
            size_of_field(|value: &$rust| &raw const value.$field),
        )),*]);
    };
}

fn size_of_field<T, F>(_: fn(&T) -> *const F) -> usize {
    size_of::<F>()
}

fn include() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("include")
}

/// Where the files of these tests lie.
fn folder() -> &'static Path {
    Path::new(env!("CARGO_TARGET_TMPDIR"))
}

/// Compiles a text with this compiler, without a warning.
fn compile(compiler: &str, arguments: &[&str], source: &Path, into: &Path) {
    let output = Command::new(compiler)
        .args(["-Wall", "-Wextra", "-Werror", "-pedantic"])
        .args(arguments)
        .arg("-I")
        .arg(include())
        .arg(source)
        .arg("-o")
        .arg(into)
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

#[test]
fn the_header_has_the_structures_and_codes_of_the_abi() {
    let mut layout = Layout { program: String::new(), expected: String::new() };
    structure!(layout, Bytes as "plugin_host_bytes" { data, length });
    structure!(layout, HostV1 as "plugin_host_v1" { size, log_level, data, log });
    structure!(layout, OpenV1 as "plugin_host_open_v1" {
        host, store_host, input_key, output_key, plugin_dir, function_getmtime, store_port,
    });
    structure!(layout, EventV1 as "plugin_host_event_v1" { input, event_id, last_execution, attempt });
    structure!(layout, HandlerV1 as "plugin_host_handler_v1" {
        size, rust_layout, open, call, save_env, load_env, close,
    });
    for (name, number) in [
        ("PLUGIN_HOST_ABI", abi::ABI_VERSION),
        ("PLUGIN_HOST_OK", abi::OK),
        ("PLUGIN_HOST_BAD_INPUT", abi::BAD_INPUT),
        ("PLUGIN_HOST_FAILED", abi::FAILED),
        ("PLUGIN_HOST_PANICKED", abi::PANICKED),
        ("PLUGIN_HOST_BAD_OUTPUT", abi::BAD_OUTPUT),
        ("PLUGIN_HOST_BAD_ENV", abi::BAD_ENV),
    ] {
        layout.number(name, number);
    }

    let (source, program) = (folder().join("layout.c"), folder().join("layout"));
    let text = format!(
        "#include <stdio.h>\n#include \"plugin_host.h\"\nint main(void) {{\n{}    return 0;\n}}\n",
        layout.program
    );
    fs::write(&source, text).unwrap();
    compile("cc", &["-std=c99"], &source, &program);
    let output = Command::new(&program).output().unwrap();
    assert_eq!(String::from_utf8(output.stdout).unwrap(), layout.expected);
}

#[test]
fn the_header_compiles_as_cpp() {
    let (source, object) = (folder().join("plugin.cpp"), folder().join("plugin.o"));
    let text = "#include \"plugin_host.h\"\n\
                PLUGIN_HOST_MANIFEST(\"plugin\", \"1\", \"[\\\"handler\\\"]\");\n\
                PLUGIN_HOST_HANDLER handler = {sizeof handler, nullptr, nullptr, nullptr, nullptr, nullptr, nullptr};\n";
    fs::write(&source, text).unwrap();
    compile("c++", &["-std=c++11", "-c"], &source, &object);
}
