//! Companion keys lie in the output key's Redis Cluster slot, whatever the output key is.

use proptest::prelude::*;
use store::{Keys, KeysError};

/// The hash slot of a key, by the Redis Cluster specification: CRC16 (XMODEM) of the tag, or else of the key, modulo
/// 16384.
fn slot(key: &[u8]) -> u16 {
    let find = |bytes: &[u8], wanted| bytes.iter().position(|&byte| byte == wanted);
    let tag = find(key, b'{').and_then(|open| {
        let rest = &key[open + 1..];
        find(rest, b'}').filter(|&length| length > 0).map(|length| &rest[..length])
    });
    crc16(tag.unwrap_or(key)) % 16384
}

fn crc16(bytes: &[u8]) -> u16 {
    bytes.iter().fold(0, |crc: u16, &byte| {
        (0..8).fold(crc ^ u16::from(byte) << 8, |crc, _| if crc & 0x8000 == 0 { crc << 1 } else { crc << 1 ^ 0x1021 })
    })
}

#[test]
fn the_slot_function_is_the_specifications() {
    assert_eq!(crc16(b"123456789"), 0x31C3);
    assert_eq!(slot(b"foo{bar}{zap}"), slot(b"bar"));
    assert_eq!(slot(b"foo{{bar}}zap"), slot(b"{bar"));
    assert_ne!(slot(b"foo{}{bar}"), slot(b"bar"));
}

#[test]
fn an_output_without_a_tag_is_put_in_braces() {
    let keys = Keys::of("out").unwrap();
    assert_eq!([keys.output, keys.env], ["out", "{out}:env"]);
    assert_eq!([keys.history, keys.status], ["{out}:history", "{out}:status"]);
    assert_eq!([keys.dead, keys.replay, keys.lease], ["{out}:dead", "{out}:replay", "{out}:lease"]);
    assert_eq!(Keys::of("a{b").unwrap().env, "{a{b}:env");
}

#[test]
fn an_output_with_a_tag_of_its_own_is_extended() {
    for output in ["a{b}", "{a}", "a}{b}", "{a}{}", "{{}"] {
        assert_eq!(Keys::of(output).unwrap().env, format!("{output}:env"));
    }
}

#[test]
fn a_consumers_env_and_lease_are_its_own() {
    let (all, one) = (Keys::of("out").unwrap(), Keys::of("out").unwrap().of_consumer("a"));
    assert_eq!([&one.env, &one.lease], ["{out}:env:a", "{out}:lease:a"]);
    assert_eq!([one.output, one.history, one.status, one.dead], [all.output, all.history, all.status, all.dead]);
}

#[test]
fn an_output_whose_slot_no_companion_can_share_is_refused() {
    for output in ["a}b", "a{}b", "{}", "}", "{}{a}", "a}{"] {
        let error = Keys::of(output).unwrap_err();
        assert_eq!(error, KeysError::UntaggedBrace(output.to_owned()));
        assert!(error.to_string().contains("a{b}"), "{error}");
    }
    assert_eq!(Keys::of("").unwrap_err(), KeysError::Empty);
}

proptest! {
    #[test]
    fn companions_share_the_outputs_slot(output in "[{}a-cß:]{1,8}|\\PC{1,20}") {
        if let Ok(keys) = Keys::of(&output) {
            prop_assert_eq!(&keys.output, &output);
            for companion in keys.all() {
                prop_assert_eq!(slot(companion.as_bytes()), slot(output.as_bytes()), "{}", companion);
            }
        } else {
            prop_assert!(output.contains('}'), "refused without need");
        }
    }
}
