//! What a handler may rely on, through the ABI as a host calls it.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use plugin_api::testing::{FailureKind, Handler};
use plugin_api::{Context, Raw, Result, Value, json};
use serde::{Deserialize, Serialize};

#[derive(Debug, Default, PartialEq, Serialize, Deserialize)]
struct Tally {
    words: Vec<String>,
}

fn tally(word: String, context: &mut Context<Tally>) -> Result<usize> {
    context.env.words.push(word.clone());
    match word.as_str() {
        "fail" => Err("it was told to")?,
        "parse" => Ok("x".parse::<usize>()?),
        "panic" => panic!("it was told to, by {}", context.event_id),
        "panic oddly" => std::panic::panic_any(7),
        _ => Ok(context.env.words.len()),
    }
}

#[test]
fn a_failed_call_leaves_env_as_it_was() {
    let mut tally = Handler::new(tally);
    assert_eq!(tally.call("one").unwrap(), 1);
    for (word, kind, said) in [
        ("fail", FailureKind::Error, "it was told to"),
        ("parse", FailureKind::Error, "invalid digit found in string"),
        ("panic", FailureKind::Panic, "it was told to, by 4"),
        ("panic oddly", FailureKind::Panic, "(no message)"),
    ] {
        let failure = tally.call(word).unwrap_err();
        assert_eq!(failure.kind, kind, "{failure}");
        assert!(failure.message.contains(said), "{failure}");
        assert_eq!(tally.env(), json!({"words": ["one"]}));
    }
    assert_eq!(tally.call("two").unwrap(), 2);
}

#[test]
fn a_panic_says_where() {
    let failure = Handler::new(tally).call("panic").unwrap_err();
    assert!(failure.message.starts_with("panicked at plugin-api/tests/handler.rs:"), "{failure}");
}

#[test]
fn an_input_of_another_type_is_the_inputs_fault() {
    let failure = Handler::new(tally).call(&json!({"a": 1})).unwrap_err();
    assert_eq!(failure.kind, FailureKind::Input);
}

#[test]
fn env_goes_on_from_what_was_saved_or_says_why_not() {
    let mut tally = Handler::new(tally).with_env(&json!({"words": ["saved"]})).unwrap();
    assert_eq!(tally.call("next").unwrap(), 2);
    let failure = tally.with_env(&json!({"words": [1]})).err().unwrap();
    assert_eq!(failure.kind, FailureKind::Env);
    assert!(failure.message.starts_with("words[0]: invalid type"), "{failure}");
}

#[test]
fn bytes_pass_through_raw_handlers_untouched() {
    fn echo(input: Raw, _: &mut Context<()>) -> Result<Raw> {
        Ok(input)
    }
    let mut echo = Handler::new(echo);
    for bytes in [&b""[..], b"\xff\0", &[7; 100_000]] {
        assert_eq!(echo.call_raw(bytes).unwrap(), bytes);
    }
}

#[test]
fn doubles_come_back_bit_for_bit() {
    fn keep(input: f64, context: &mut Context<Vec<f64>>) -> Result<f64> {
        context.env.push(input);
        Ok(input)
    }
    let mut keep = Handler::new(keep);
    for number in [0.1 + 0.2, 5e-324, f64::MAX, -0.0, 9007199254740993.0, 1.0 / 3.0] {
        let back = keep.call(&number).unwrap().as_f64().unwrap();
        assert_eq!(back.to_bits(), number.to_bits());
        let kept = keep.env().as_array().unwrap().last().unwrap().as_f64().unwrap();
        assert_eq!(kept.to_bits(), number.to_bits());
    }
}

/// An env whose end panics.
#[derive(Default, Serialize, Deserialize)]
struct Rude {
    #[serde(default)]
    calls: u8,
}

impl Drop for Rude {
    fn drop(&mut self) {
        assert!(self.calls != 1, "it does not want to go");
    }
}

#[test]
fn a_panic_while_an_env_ends_stays_inside() {
    fn call(_: Value, context: &mut Context<Rude>) -> Result<u8> {
        context.env.calls += 1;
        Ok(context.env.calls)
    }
    let mut rude = Handler::new(call);
    assert_eq!(rude.call(&()).unwrap(), 1);
    drop(rude);
}

#[test]
#[should_panic(expected = "no default today")]
fn a_panic_while_an_env_begins_is_told() {
    #[derive(Serialize, Deserialize)]
    struct Never;
    impl Default for Never {
        fn default() -> Never {
            panic!("no default today")
        }
    }
    fn call(_: Value, _: &mut Context<Never>) -> Result<()> {
        Ok(())
    }
    Handler::new(call);
}
