//! What the host says of itself under `{out}:status`.

use serde::Deserialize;

use super::printable::printable;

/// The host's status. Every part may be missing: older and newer hosts write other fields.
#[derive(Debug, Clone, PartialEq, Default, Deserialize)]
#[serde(default)]
pub struct HostStatus {
    /// `running`, `store-unavailable` …
    pub state: String,
    /// Why it isn't running.
    pub reason: Option<String>,
    /// The handler's symbol.
    pub handler: String,
    /// The plugin that is loaded.
    pub plugin: Option<Plugin>,
    /// Seconds between looks.
    pub period: Option<f64>,
    /// Calls since the host's start.
    pub calls: u64,
    /// Failed calls since the host's start.
    pub failures: u64,
    /// The newest failure.
    pub last_error: Option<LastError>,
    /// How long the last call took, in microseconds.
    pub last_call_us: Option<f64>,
    /// The host's version.
    pub host_version: String,
}

/// The plugin that is loaded.
#[derive(Debug, Clone, PartialEq, Default, Deserialize)]
#[serde(default)]
pub struct Plugin {
    /// The package's name.
    pub name: String,
    /// The package's version.
    pub version: String,
    /// The library's SHA-256.
    pub sha256: String,
}

/// A failed call.
#[derive(Debug, Clone, PartialEq, Default, Deserialize)]
#[serde(default)]
pub struct LastError {
    /// When, on the host's clock.
    pub at: String,
    /// What failed.
    pub kind: String,
    /// The error with its chain.
    pub message: String,
}

impl HostStatus {
    /// Reads a status, with its words made fit to be shown; `None` for bytes that are none.
    pub fn read(bytes: &[u8]) -> Option<HostStatus> {
        let mut status: HostStatus = serde_json::from_slice(bytes).ok()?;
        for words in status.words() {
            *words = printable(words);
        }
        Some(status)
    }

    fn words(&mut self) -> impl Iterator<Item = &mut String> {
        let plugin = self.plugin.iter_mut().flat_map(|Plugin { name, version, sha256 }| [name, version, sha256]);
        let error = self.last_error.iter_mut().flat_map(|LastError { at, kind, message }| [at, kind, message]);
        [&mut self.state, &mut self.handler, &mut self.host_version]
            .into_iter()
            .chain(&mut self.reason)
            .chain(plugin)
            .chain(error)
    }

    /// The period, if it is one.
    pub fn usable_period(&self) -> Option<f64> {
        self.period.filter(|seconds| seconds.is_finite() && *seconds > 0.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_may_be_missing_or_unknown() {
        let status = HostStatus::read(br#"{"state":"running","calls":3,"plugin":{"name":"metrics"},"x":1}"#).unwrap();
        assert_eq!((status.state.as_str(), status.calls), ("running", 3));
        assert_eq!(status.plugin.unwrap().name, "metrics");
        assert_eq!(HostStatus::read(b"nonsense"), None);
    }

    #[test]
    fn words_that_steer_or_fill_the_screen_are_made_fit_to_be_shown() {
        let long = "x".repeat(1_000_000);
        let json =
            serde_json::json!({"state": "a\u{1b}[2J\nb", "plugin": {"name": long}, "last_error": {"message": long}});
        let status = HostStatus::read(json.to_string().as_bytes()).unwrap();
        assert_eq!(status.state, "a[2J b");
        assert!(status.plugin.unwrap().name.len() + status.last_error.unwrap().message.len() < 2_000);
    }

    #[test]
    fn a_period_of_zero_is_none() {
        let with = |period| HostStatus { period: Some(period), ..HostStatus::default() }.usable_period();
        assert_eq!((with(0.0), with(f64::NAN), with(0.5)), (None, None, Some(0.5)));
    }
}
