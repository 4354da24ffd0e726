//! Any bytes may come as a library: examining them ends, and never with a crash.

#![no_main]

use host::plugin::{Glibc, Signer, examine};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    if let Ok(examined) = examine(bytes) {
        // A refusal is an answer like any other.
        drop(examined.accept(Some("handler"), Some(Glibc { major: 2, minor: 36 })));
    }
    drop(Signer::claimed(bytes));
});
