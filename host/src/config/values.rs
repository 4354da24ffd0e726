//! Reads the text of a single setting.

use std::time::Duration;

use clap::ValueEnum;

pub(super) const PASSWORD_IN_FLAG: &str = "a flag with a password can be read by every user of the machine: use \
                                           REDIS_PASSWORD, REDIS_PASSWORD_FILE or STORE_URL";

/// Reads a period in seconds; a millisecond is the shortest.
pub fn seconds(text: &str) -> Result<Duration, String> {
    text.parse()
        .ok()
        .and_then(|seconds| Duration::try_from_secs_f64(seconds).ok())
        .filter(|period| (Duration::from_millis(1)..=Duration::from_secs(365 * 24 * 3600)).contains(period))
        .ok_or_else(|| format!("{text:?} is not a number of seconds between 0.001 and a year"))
}

/// Reads a number of events a second, as the time between two of them.
pub(super) fn events_a_second(text: &str) -> Result<Duration, String> {
    let period = text.parse().ok().and_then(|rate: f64| Duration::try_from_secs_f64(rate.recip()).ok());
    period
        .filter(|period| (Duration::from_millis(1)..=Duration::from_secs(24 * 3600)).contains(period))
        .ok_or_else(|| format!("{text:?} is no number of events a second, 1000 at most and one a day at least"))
}

/// Reads a period in seconds, 0 for never.
pub fn seconds_or_never(text: &str) -> Result<Option<Duration>, String> {
    match text.parse() {
        Ok(0.0) => Ok(None),
        _ => seconds(text).map(Some).map_err(|fault| format!("{fault}, nor 0 for never")),
    }
}

/// Reads a number of bytes: `1000`, `64MiB`.
pub(super) fn bytes(text: &str) -> Result<u64, String> {
    let digits = text.trim_end_matches(|letter: char| !letter.is_ascii_digit());
    let unit: u64 = match text.strip_prefix(digits).map(str::trim) {
        Some("") => 1,
        Some("KiB") => 1 << 10,
        Some("MiB") => 1 << 20,
        Some("GiB") => 1 << 30,
        _ => 0,
    };
    digits
        .parse()
        .ok()
        .and_then(|number: u64| number.checked_mul(unit))
        .filter(|bytes| *bytes > 0)
        .ok_or_else(|| format!("{text:?} is no number of bytes: give digits, alone or with KiB, MiB or GiB"))
}

/// Reads a number of bytes that is no less than another.
pub(super) fn at_least(text: &str, least: u64) -> Result<u64, String> {
    match bytes(text)? {
        number if number < least => Err(format!("{text:?} is too little to work with: give at least {least} bytes")),
        number => Ok(number),
    }
}

/// Reads a period in seconds that is asked about several times: a tenth of a second is the shortest.
pub(super) fn seconds_not_too_few(text: &str) -> Result<Duration, String> {
    seconds(text).and_then(|period| match period < Duration::from_millis(100) {
        true => Err(format!("{text:?} is too short: give at least 0.1")),
        false => Ok(period),
    })
}

/// Reads a SHA-256 in hexadecimal digits.
pub(super) fn sha256_digits(text: &str) -> Result<String, String> {
    if text.len() == 64 && text.bytes().all(|digit| digit.is_ascii_hexdigit()) {
        return Ok(text.to_ascii_lowercase());
    }
    Err(format!("{text:?} is no SHA-256: 64 hexadecimal digits, as sha256sum prints them"))
}

/// Reads `true` or `false`.
pub(super) fn yes_or_no(text: &str) -> Result<bool, String> {
    text.parse().ok().ok_or_else(|| format!("{text:?} is neither true nor false"))
}

pub(super) fn choice<T: ValueEnum>(text: &str) -> Result<T, String> {
    T::from_str(text, false).ok().ok_or_else(|| {
        let names: Vec<_> = T::value_variants().iter().filter_map(|value| value.to_possible_value()).collect();
        let names: Vec<_> = names.iter().map(|value| value.get_name()).collect();
        format!("{text:?} is not one of {}", names.join(", "))
    })
}

pub(super) fn http_address(text: &str) -> Result<Option<String>, String> {
    let port = text.rsplit_once(':').map(|(_, port)| port.parse::<u16>());
    match (text, port) {
        ("off", _) => Ok(None),
        (address, Some(Ok(_))) => Ok(Some(address.to_owned())),
        _ => Err(format!("{text:?} is neither HOST:PORT nor off")),
    }
}

/// A whole number from 1 to `most`.
pub(super) fn at_least_one(text: &str, most: u32) -> Result<u32, String> {
    match text.parse() {
        Ok(number) if (1..=most).contains(&number) => Ok(number),
        _ => Err(format!("{text:?} is no whole number from 1 to {most}")),
    }
}
