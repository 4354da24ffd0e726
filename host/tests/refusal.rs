//! What the loader refuses, each with a real wrong file and the sentence that says what to do.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use support::{plugin, plugin_host, text};

/// What `inspect` and `invoke` say about a file; both have to refuse it.
fn refusal(file: &Path, handler: &str) -> String {
    let inspected = plugin_host().arg("inspect").arg(file).args(["--handler", handler]).output().unwrap();
    assert_eq!(inspected.status.code(), Some(1), "{}", text(&inspected.stdout));
    let invoked = support::invoke(file, handler, b"{}");
    assert_eq!(invoked.status.code(), Some(1));
    let said = text(&invoked.stderr);
    let reason = text(&inspected.stdout).lines().find_map(|line| Some(line.split_once("refuses it: ")?.1.to_owned()));
    let reason = reason.expect("inspect says why");
    assert!(said.contains(&reason), "inspect said {reason:?}, invoke {said:?}");
    reason
}

fn file(folder: &tempfile::TempDir, name: &str, bytes: &[u8]) -> PathBuf {
    let path = folder.path().join(name);
    fs::write(&path, bytes).unwrap();
    path
}

/// Builds a library or program with the C compiler.
fn compile(folder: &tempfile::TempDir, name: &str, source: &str, arguments: &[&str]) -> PathBuf {
    let source = file(folder, &format!("{name}.c"), source.as_bytes());
    let library = folder.path().join(name);
    let built = Command::new("cc").args(arguments).arg("-o").arg(&library).arg(source).output().unwrap();
    assert!(built.status.success(), "{}", text(&built.stderr));
    library
}

/// A C library with a manifest of one's own.
fn with_manifest(folder: &tempfile::TempDir, manifest: &str) -> PathBuf {
    let source = format!(
        "__attribute__((section(\".plugin_manifest\"), used)) static const char manifest[{}] = {manifest:?};\n\
         int handler;",
        manifest.len()
    );
    compile(folder, "libmanifest.so", &source, &["-shared", "-fPIC"])
}

/// The fixture with some bytes changed.
fn patched(folder: &tempfile::TempDir, at: usize, bytes: &[u8]) -> PathBuf {
    let mut library = fs::read(plugin("fixture")).unwrap();
    library[at..at + bytes.len()].copy_from_slice(bytes);
    file(folder, "libpatched.so", &library)
}

#[test]
fn a_text_file_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let reason = refusal(&file(&folder, "libtext.so", b"def handler(input, context): pass\n"), "handler");
    assert!(reason.contains("not a shared library: build it with crate-type"), "{reason}");
    let reason = refusal(&file(&folder, "libempty.so", b""), "handler");
    assert!(reason.contains("not a shared library"), "{reason}");
}

#[test]
fn an_executable_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    for arguments in [&["-pie", "-fPIE"][..], &["-no-pie"]] {
        let reason = refusal(&compile(&folder, "program", "int main(void) { return 0; }", arguments), "handler");
        assert!(reason.contains("a program, not a shared library"), "{reason}");
    }
}

#[test]
fn a_library_of_another_kind_of_machine_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    // In the ELF header: the class at 4, the operating system at 7, the machine at 18.
    let reason = refusal(&patched(&folder, 4, &[1]), "sum");
    assert!(reason.contains("built for a 32-bit system"), "{reason}");
    let aarch64 = if cfg!(target_arch = "aarch64") { 62_u16 } else { 183 };
    let reason = refusal(&patched(&folder, 18, &aarch64.to_le_bytes()), "sum");
    assert!(reason.contains("this host runs on") && reason.contains("--target"), "{reason}");
    let reason = refusal(&patched(&folder, 7, &[9]), "sum");
    assert!(reason.contains("another operating system"), "{reason}");
    let reason = refusal(&file(&folder, "libmac.so", &macho_header()), "sum");
    assert!(reason.contains("macOS"), "{reason}");
}

/// The beginning of a 64-bit Mach-O library.
fn macho_header() -> Vec<u8> {
    [0xfeed_facf_u32, 0x0100_000c, 0, 6, 0, 0, 0, 0].iter().flat_map(|word| word.to_le_bytes()).collect()
}

#[test]
fn a_real_32_bit_library_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let source = file(&folder, "x.c", b"int handler;");
    let library = folder.path().join("lib32.so");
    let built =
        Command::new("cc").args(["-m32", "-shared", "-nostdlib", "-fPIC", "-o"]).arg(&library).arg(source).output();
    if !built.as_ref().is_ok_and(|built| built.status.success()) {
        println!("skipped: this C compiler builds no 32-bit libraries");
        return;
    }
    assert!(refusal(&library, "handler").contains("built for a 32-bit system"));
}

#[test]
fn a_library_without_a_manifest_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let library = compile(&folder, "libplain.so", "int handler(void) { return 0; }", &["-shared", "-fPIC"]);
    let reason = refusal(&library, "handler");
    assert!(reason.contains("without a plugin's manifest") && reason.contains("export!"), "{reason}");
}

#[test]
fn another_abi_is_refused_with_the_way_out() {
    let folder = tempfile::tempdir().unwrap();
    let manifest = |abi| format!(r#"{{"abi":{abi},"name":"x","version":"1","target":"t","handlers":["handler"]}}"#);
    let reason = refusal(&with_manifest(&folder, &manifest(2)), "handler");
    assert!(reason.contains("ABI version 2, newer than this host's 1: update the host"), "{reason}");
    let reason = refusal(&with_manifest(&folder, &manifest(0)), "handler");
    assert!(reason.contains("ABI version 0, older than this host's 1: build it with a newer"), "{reason}");
}

#[test]
fn a_manifest_that_is_no_manifest_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    for manifest in ["not json", "{}", r#"{"abi":"one"}"#] {
        let reason = refusal(&with_manifest(&folder, manifest), "handler");
        assert!(reason.contains("manifest can't be read"), "{reason}");
    }
}

#[test]
fn an_unknown_handler_is_refused_with_those_that_there_are() {
    let reason = refusal(&plugin("fixture"), "nope");
    assert!(reason.contains("no handler \"nope\"") && reason.contains("sum, spoiled, echo, count, about"), "{reason}");
}

#[test]
fn a_library_that_needs_a_newer_glibc_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let library = fs::read(plugin("fixture")).unwrap();
    // The loader goes by the hash beside the name; this test is about what is read from the name.
    let name = b"GLIBC_2.34\0";
    let at = library.windows(name.len()).position(|part| part == name).expect("the fixture names a glibc");
    let reason = refusal(&patched(&folder, at, b"GLIBC_2.99"), "sum");
    assert!(reason.contains("needs glibc 2.99, this host has 2."), "{reason}");
}

#[test]
fn a_truncated_library_is_refused_wherever_it_is_cut() {
    let folder = tempfile::tempdir().unwrap();
    let library = fs::read(plugin("fixture")).unwrap();
    for part in [1, 16, 63, 64, 200, 1000, library.len() / 2, library.len() * 9 / 10, library.len() - 1] {
        let reason = refusal(&file(&folder, "libcut.so", &library[..part]), "sum");
        assert!(reason.contains("damaged or cut off") || reason.contains("not a shared library"), "{part}: {reason}");
    }
}

#[test]
fn a_symbol_that_is_no_handler_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let manifest = r#"{"abi":1,"name":"x","version":"1","target":"t","handlers":["handler","absent"]}"#;
    let library = with_manifest(&folder, manifest);
    for (handler, said) in [("handler", "its handler \"handler\" can't be used"), ("absent", "undefined symbol")] {
        let invoked = support::invoke(&library, handler, b"{}");
        assert_eq!(invoked.status.code(), Some(1));
        assert!(text(&invoked.stderr).contains(said), "{}", text(&invoked.stderr));
    }
}

#[test]
fn a_path_without_a_plugin_says_what_to_set() {
    let folder = tempfile::tempdir().unwrap();
    let invoked = support::invoke(Path::new("/dev/zero"), "handler", b"");
    assert!(text(&invoked.stderr).contains("neither a file nor a folder"), "{}", text(&invoked.stderr));
    let invoked = support::invoke(&folder.path().join("nothing.so"), "handler", b"");
    assert!(text(&invoked.stderr).contains("no plugin at"), "{}", text(&invoked.stderr));
}

#[test]
fn a_private_copy_is_what_is_loaded_and_it_goes_with_the_host() {
    let folder = tempfile::tempdir().unwrap();
    let output = plugin_host()
        .arg("invoke")
        .arg(plugin("fixture"))
        .args(["--handler", "count", "--input", "/dev/null"])
        .env("TMPDIR", folder.path())
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", text(&output.stderr));
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
}

/// The structures of the ABI in C, as `plugin-api/src/abi.rs` defines them, and a handler that gives back its input.
const C_HANDLER: &str = r#"
#include <stddef.h>
#include <stdint.h>
typedef struct { const uint8_t *data; size_t length; } bytes;
typedef struct { bytes input, event_id, last_execution; uint32_t attempt; } event;
static void *open_it(const void *about, bytes *reply) { static int instance; return &instance; }
static uint32_t call_it(void *instance, const event *event, bytes *reply) { *reply = event->input; return 0; }
static uint32_t save_env(void *instance, bytes *reply) { reply->data = (const uint8_t *)"{}"; reply->length = 2; return 0; }
static uint32_t load_env(void *instance, bytes env, bytes *reply) { return 0; }
static void close_it(void *instance) {}
static const struct { char magic[32]; uint32_t major, minor; const void *layout; } rust = {"another abi_stable", 9, 8, 0};
const struct {
    size_t size; const void *rust_layout;
    void *(*open)(const void *, bytes *);
    uint32_t (*call)(void *, const event *, bytes *);
    uint32_t (*save_env)(void *, bytes *);
    uint32_t (*load_env)(void *, bytes, bytes *);
    void (*close)(void *);
} handler = {sizeof handler, RUST_LAYOUT, open_it, call_it, save_env, load_env, close_it};
__attribute__((section(".plugin_manifest"), used)) static const char manifest[] =
    {MANIFEST};
"#;

/// The C handler with this for its `rust_layout`.
fn c_handler(folder: &tempfile::TempDir, rust_layout: &str) -> PathBuf {
    let manifest = br#"{"abi":1,"name":"c","version":"1","target":"t","handlers":["handler"]}"#;
    let manifest: Vec<_> = manifest.iter().map(u8::to_string).collect();
    let source = C_HANDLER.replace("RUST_LAYOUT", rust_layout).replace("MANIFEST", &manifest.join(","));
    compile(folder, "libc_handler.so", &source, &["-shared", "-fPIC", "-w"])
}

#[test]
fn a_plugin_in_c_is_called_and_one_with_another_abi_stable_refused() {
    let folder = tempfile::tempdir().unwrap();
    let output = support::invoke(&c_handler(&folder, "0"), "handler", b"[1]\n[2]");
    assert_eq!(
        (text(&output.stdout).as_str(), output.status.code()),
        ("[1]\n[2]\n", Some(0)),
        "{}",
        text(&output.stderr)
    );
    let output = support::invoke(&c_handler(&folder, "&rust"), "handler", b"[1]");
    assert!(text(&output.stderr).contains("built with abi_stable 9.8"), "{}", text(&output.stderr));
}

#[test]
fn a_plugin_that_is_taken_is_described() {
    let inspect = |format: &str| {
        let output = plugin_host().arg("inspect").arg(plugin("fixture")).args(["--format", format]).output().unwrap();
        assert!(output.status.success());
        text(&output.stdout)
    };
    let size = fs::metadata(plugin("fixture")).unwrap().len();
    let json: serde_json::Value = serde_json::from_str(&inspect("json")).unwrap();
    assert_eq!((&json["name"], &json["abi"], &json["size"]), (&"fixture".into(), &1.into(), &size.into()));
    assert_eq!((&json["refused"], &json["fits_configmap"]), (&serde_json::Value::Null, &(size <= 1 << 20).into()));
    assert_eq!(json["handlers"][0], "sum");
    assert_eq!(json["sha256"].as_str().unwrap().len(), 64);
    assert!(json["needed_glibc"].as_str().unwrap().starts_with("2."));
    let described = inspect("text");
    assert!(
        described.contains("this host    takes it") && described.contains("plugin       fixture 0.1.0"),
        "{described}"
    );
}
