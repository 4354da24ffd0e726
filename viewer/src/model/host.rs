//! What the host says of itself under `{out}:status`.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::level::Level;
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
    /// Events that were set aside since the host's start.
    pub dead: u64,
    /// How often the process that calls was started again since the host's start, by the reason.
    pub restarts: BTreeMap<String, u64>,
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

    /// How often the process that calls was started again, for whichever reason.
    pub fn all_restarts(&self) -> u64 {
        self.restarts.values().fold(0, |all, count| all.saturating_add(*count))
    }

    /// The reasons for that with their numbers, the most frequent first.
    pub fn restarts_by_reason(&self) -> String {
        let mut reasons: Vec<(&String, &u64)> = self.restarts.iter().collect();
        reasons.sort_by_key(|(_, count)| std::cmp::Reverse(**count));
        let each: Vec<String> = reasons.iter().map(|(reason, count)| format!("{reason} {count}")).collect();
        printable(&each.join(", "))
    }

    /// How it stands, in a sentence, where it doesn't run.
    pub fn not_running(&self) -> Option<(Level, String)> {
        let (level, words) = match (self.state.as_str(), &self.reason) {
            ("running" | "", None) => return None,
            ("store-unavailable", _) => (Level::Warning, "The host can't use its store".to_owned()),
            ("env-unreadable", _) => (Level::Warning, "The host can't read its env".to_owned()),
            // Nothing is wrong with a host whose turn hasn't come.
            ("standby", _) => (Level::Normal, "The host stands by".to_owned()),
            ("stopped", _) => (Level::Warning, "The host was stopped".to_owned()),
            ("", _) => (Level::Warning, "The host isn't running".to_owned()),
            (state, _) => (Level::Warning, format!("The host is {state}")),
        };
        Some(match &self.reason {
            Some(reason) => (level, format!("{words}: {reason}")),
            None => (level, words),
        })
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
    fn restarts_are_told_together_and_by_their_reasons() {
        let read = |json: serde_json::Value| HostStatus::read(json.to_string().as_bytes()).unwrap();
        let status = read(serde_json::json!({"dead": 2, "restarts": {"lease": 1, "sig\u{1b}segv": 1, "timeout": 12}}));
        assert_eq!((status.dead, status.all_restarts()), (2, 14));
        assert_eq!(status.restarts_by_reason(), "timeout 12, lease 1, sigsegv 1");
        let most = read(serde_json::json!({"restarts": {"exit": u64::MAX, "timeout": 1}}));
        assert_eq!(most.all_restarts(), u64::MAX);
        let before_there_were_any = read(serde_json::json!({"state": "running", "calls": 3}));
        assert_eq!((before_there_were_any.dead, before_there_were_any.all_restarts()), (0, 0));
    }

    #[test]
    fn each_state_but_running_has_its_sentence() {
        let told = |state: &str, reason: Option<&str>| {
            let reason = reason.map(str::to_owned);
            HostStatus { state: state.to_owned(), reason, ..HostStatus::default() }.not_running()
        };
        let warning = |words: &str| Some((Level::Warning, words.to_owned()));
        assert_eq!((told("running", None), told("", None)), (None, None));
        assert_eq!(told("starting", Some("no plugin yet")), warning("The host is starting: no plugin yet"));
        assert_eq!(told("store-unavailable", Some("refused")), warning("The host can't use its store: refused"));
        assert_eq!(told("env-unreadable", Some("too old")), warning("The host can't read its env: too old"));
        assert_eq!(told("restarting", Some("it ended")), warning("The host is restarting: it ended"));
        assert_eq!(told("stopped", None), warning("The host was stopped"));
        assert_eq!(told("draining", None), warning("The host is draining"));
        let by = "The host stands by: node-a is at work".to_owned();
        assert_eq!(told("standby", Some("node-a is at work")), Some((Level::Normal, by)));
    }

    #[test]
    fn a_period_of_zero_is_none() {
        let with = |period| HostStatus { period: Some(period), ..HostStatus::default() }.usable_period();
        assert_eq!((with(0.0), with(f64::NAN), with(0.5)), (None, None, Some(0.5)));
    }
}
