//! The example of a plugin's life does what it says.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

#[allow(dead_code, reason = "the example has a main of its own")]
#[path = "../examples/life.rs"]
mod life;
mod support;

use support::plugin;

#[test]
fn a_plugins_life_has_nine_steps() {
    let seen = life::live(&plugin("fixture"), "sum", [br#"{"add": 2}"#, b"{}"], &plugin("fixture")).unwrap();
    let numbers: Vec<_> = seen.iter().map(|line| line.split('.').next().unwrap()).collect();
    assert_eq!(numbers, ["1", "2", "3", "4", "6", "7", "8", "1", "2", "3", "5", "9"], "{seen:#?}");
    assert!(seen[5].contains(r#"committed {"calls":1,"sum":2.0} with the env {"calls":1,"sum":2.0}"#), "{seen:#?}");
    assert!(seen[6].contains("missing field `add`"), "{seen:#?}");
    assert!(seen[11].ends_with(r#"gives {"calls":2,"sum":4.0}"#), "{seen:#?}");
}
