//! What a library of C can be wrong in, and what only C can give. What it shares with Rust, `conformance.rs` asks.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use std::fs;

use support::{compile, invoke, root, text};

#[test]
fn a_call_may_give_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let library = folder.path().join("libfixture.so");
    compile(&root().join("host/tests/conformance/fixture.c"), &library, &[]);
    let output = invoke(&library, "silent", b"1\n2\n");
    assert_eq!((text(&output.stdout).as_str(), output.status.code()), ("null\nnull\n", Some(0)));
}

#[test]
fn a_library_of_c_that_breaks_the_rules_is_refused_before_it_is_called() {
    let folder = tempfile::tempdir().unwrap();
    let source = folder.path().join("broken.c");
    let functions = "static plugin_host_code call(plugin_host_instance *i, const plugin_host_event_v1 *e, \
                     plugin_host_bytes *r) { (void)i; (void)e; (void)r; return 0; }\n";
    for (handler, said) in [
        ("PLUGIN_HOST_HANDLER handler = {sizeof handler, 0, 0, call, 0, 0, 0};", "its structure has no function open"),
        ("PLUGIN_HOST_HANDLER handler = {8, 0, 0, call, 0, 0, 0};", "its structure has 8 bytes where version 1 has 56"),
        ("PLUGIN_HOST_HANDLER other = {8, 0, 0, call, 0, 0, 0};", "undefined symbol: handler"),
        (
            "PLUGIN_HOST_HANDLER other = {8, 0, 0, call, 0, 0, 0}; void *pad = 0;\n\
          __asm__(\".globl handler\\n.set handler, pad + 1\");",
            "it is not a handler's structure",
        ),
    ] {
        let text_of_c = format!(
            "#include \"plugin_host.h\"\n{functions}PLUGIN_HOST_MANIFEST(\"broken\", \"1\", \"[\\\"handler\\\"]\");\n{handler}\n"
        );
        fs::write(&source, text_of_c).unwrap();
        let broken = folder.path().join("libbroken.so");
        compile(&source, &broken, &[]);
        let output = invoke(&broken, "handler", b"1\n");
        assert_eq!(output.status.code(), Some(1));
        assert!(text(&output.stderr).contains(said), "{said:?} is missing in {}", text(&output.stderr));
    }
}
