//! What a plugin does, asked of plugins in Rust, in C, and in C with AddressSanitizer alike: each behaviour below is a test
//! in all of them. What panics do is asked of Rust alone (`invoke.rs`), what a library of C can be wrong in of C (`c.rs`).

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

mod conformance {
    pub mod behaviour;
    pub mod subject;
}

use conformance::{behaviour, subject};

macro_rules! in_each_language {
    ($($behaviour:ident)*) => {
        in_each_language! { @ rust: $($behaviour)* }
        in_each_language! { @ c: $($behaviour)* }
        in_each_language! { @ c_with_address_sanitizer: $($behaviour)* }
    };
    (@ $language:ident: $($behaviour:ident)*) => {
        mod $language {
            $(#[test]
            fn $behaviour() {
                if let Some(subject) = super::subject::$language() {
                    super::behaviour::$behaviour(&subject);
                }
            })*
        }
    };
}

in_each_language! {
    results_come_line_by_line_and_env_goes_on
    a_failed_call_is_told_and_leaves_env_as_it_was
    env_goes_on_from_a_file_to_a_file
    bytes_that_are_no_json_pass_through
    the_context_says_where_and_when
    what_a_handler_logs_comes_out_with_its_name
    env_goes_on_through_failures_a_new_version_and_a_restart
    an_env_that_cannot_be_read_stops_the_host_and_stays
}

#[test]
fn address_sanitizer_sees_what_a_plugin_in_c_reads_beyond_its_own() {
    let Some(subject) = subject::c_with_address_sanitizer() else { return };
    let source = subject.folder.path().join("overrun.c");
    let example = std::fs::read_to_string(support::root().join("plugins/examples/c/mean.c")).unwrap();
    let fine = "calloc(1, sizeof *instance)";
    assert!(example.contains(fine));
    std::fs::write(&source, example.replace(fine, "calloc(1, sizeof *instance - sizeof instance->env)")).unwrap();
    let output = subject.compiled_anew(&source).invoke("mean", b"1\n");
    assert!(!output.status.success());
    let told = support::text(&output.stderr);
    assert!(told.contains("AddressSanitizer: heap-buffer-overflow"), "{told}");
}
