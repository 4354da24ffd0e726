//! What `run` is told: flags and variables go in, a checked [`Config`] or every fault at once comes out.
//!
//! Only this module reads the environment.

mod values;

use std::env;
use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, ValueEnum};
use reqwest::Url;
use store::{Address, ClientFiles, Credentials, Group, Keys, Password, Tls};

use crate::plugin::{HandlerName, Loading, Origin, Trust, ZIP_MAX_BYTES};

use self::values::{PASSWORD_IN_FLAG, at_least_one, bytes, choice, http_address, sha256_digits, yes_or_no};
pub use self::values::{seconds, seconds_or_never, store_without_password};

/// The flags of `run`. Each has a variable; the flag wins, and an empty value counts as unset.
#[derive(Debug, Default, Args)]
pub struct Flags {
    /// Where data lies: redis://HOST:PORT, rediss://HOST:PORT (TLS) or sqlite:PATH [env: STORE_URL] [default: made of
    /// REDIS_HOST, REDIS_PORT]
    #[arg(long, value_name = "URL", help_heading = "Store")]
    pub store: Option<String>,

    /// The key to read [env: REDIS_INPUT_KEY] [default: metrics]
    #[arg(long, value_name = "KEY", help_heading = "Data")]
    pub input_key: Option<String>,
    /// The key to write results to; required [env: REDIS_OUTPUT_KEY]
    #[arg(long, value_name = "KEY", help_heading = "Data")]
    pub output_key: Option<String>,
    /// A stream that each result is appended to as well [env: REDIS_OUTPUT_STREAM]
    #[arg(long, value_name = "KEY", help_heading = "Data")]
    pub output_stream: Option<String>,
    /// Results kept in the history, 0 for none [env: HISTORY_LENGTH] [default: 720]
    #[arg(long, value_name = "N", help_heading = "Data")]
    pub history_length: Option<String>,

    /// When to call the handler: poll (look every period, call when the bytes changed), push (as soon as the key is
    /// written), stream (each entry of a stream, in a consumer group) or timer (every period, with the input null) [env:
    /// TRIGGER] [default: poll]
    #[arg(long, value_name = "KIND", help_heading = "Trigger")]
    pub trigger: Option<String>,
    /// Seconds between looks, fractions allowed [env: MONITORING_PERIOD or INTERVAL] [default: 5]
    #[arg(long, value_name = "SECONDS", help_heading = "Trigger")]
    pub period: Option<String>,
    /// The consumer group [env: STREAM_GROUP] [default: plugin-host]
    #[arg(long, value_name = "NAME", help_heading = "Trigger")]
    pub stream_group: Option<String>,
    /// The consumer in the group; any but main has an env of its own [env: STREAM_CONSUMER] [default: main]
    #[arg(long, value_name = "NAME", help_heading = "Trigger")]
    pub stream_consumer: Option<String>,
    /// Entries that are called and committed at once [env: STREAM_BATCH] [default: 100]
    #[arg(long, value_name = "N", help_heading = "Trigger")]
    pub stream_batch: Option<String>,
    /// Seconds after which another consumer's entry that was not acknowledged is taken over, 0 for never [env:
    /// STREAM_CLAIM_IDLE] [default: 60]
    #[arg(long, value_name = "SECONDS", help_heading = "Trigger")]
    pub stream_claim_idle: Option<String>,
    /// Calls of a stream's entry before it is set aside [env: MAX_ATTEMPTS] [default: 3]
    #[arg(long, value_name = "N", help_heading = "Trigger")]
    pub max_attempts: Option<String>,

    /// The plugin: a shared library, a ZIP, or a folder that holds one of them [env: HANDLER_PATH] [default:
    /// /opt/plugin]
    #[arg(long, value_name = "PATH", help_heading = "Plugin")]
    pub plugin: Option<String>,
    /// The handler: its symbol, or library.symbol [env: HANDLER_FUNCTION] [default: handler]
    #[arg(long, value_name = "NAME", help_heading = "Plugin")]
    pub handler: Option<String>,
    /// Seconds between looks for a new version of the plugin, 0 for never [env: RELOAD_PERIOD] [default: 1]
    #[arg(long, value_name = "SECONDS", help_heading = "Plugin")]
    pub reload_period: Option<String>,
    /// What the commands that load a plugin have in common.
    #[command(flatten)]
    pub loading: LoadingFlags,

    /// A ZIP to load the plugin from, instead of a path: https:// or file:// [env: ZIP_URL]
    #[arg(long, value_name = "URL", help_heading = "ZIP")]
    pub zip_url: Option<String>,
    /// Seconds between questions whether the ZIP at the URL has changed, 0 for never [env: ZIP_REFRESH] [default: 0]
    #[arg(long, value_name = "SECONDS", help_heading = "ZIP")]
    pub zip_refresh: Option<String>,
    /// Whether the ZIP may come over http://, where everybody on the way can change it [env: ZIP_ALLOW_HTTP] [default:
    /// false]
    #[arg(long, value_name = "BOOL", num_args = 0..=1, default_missing_value = "true", help_heading = "ZIP")]
    pub zip_allow_http: Option<String>,

    /// Where /livez, /readyz, /status and /metrics are served, or off [env: HTTP_ADDR] [default: 127.0.0.1:8080]
    #[arg(long, value_name = "ADDRESS", help_heading = "Operation")]
    pub http: Option<String>,
    /// How log records are written: text or json; RUST_LOG filters them [env: LOG_FORMAT] [default: text]
    #[arg(long, value_name = "FORMAT", help_heading = "Operation")]
    pub log_format: Option<String>,
}

/// The flags of every command that loads a plugin.
#[derive(Debug, Default, Args)]
pub struct LoadingFlags {
    /// Where a private folder for copies of plugins is made [env: STATE_DIR] [default: the temporary folder]
    #[arg(long, value_name = "FOLDER", help_heading = "Plugin")]
    pub state_dir: Option<String>,
    /// A minisign public key: whatever has no matching signature beside it (FILE.minisig) is refused [env:
    /// PLUGIN_PUBLIC_KEY]
    #[arg(long, value_name = "KEY", help_heading = "Plugin")]
    pub plugin_public_key: Option<String>,
    /// The SHA-256 that the ZIP must have [env: ZIP_SHA256]
    #[arg(long, value_name = "HEX", help_heading = "ZIP")]
    pub zip_sha256: Option<String>,
    /// The largest ZIP that is taken, in bytes or with KiB, MiB or GiB; unpacked it may have four times as many [env:
    /// ZIP_MAX_BYTES] [default: 64MiB]
    #[arg(long, value_name = "BYTES", help_heading = "ZIP")]
    pub zip_max_bytes: Option<String>,
}

/// The variables that have no flag, for `--help`.
pub const VARIABLES_WITHOUT_FLAGS: &str = "\
Variables without flags:
  REDIS_HOST, REDIS_PORT      The Redis to use where STORE_URL is unset [default: localhost, 6379]
  REDIS_USERNAME              The user to sign in as
  REDIS_PASSWORD              The password; never given as a flag, which every user of the machine could read
  REDIS_PASSWORD_FILE         A file that holds the password, read at each connection
  REDIS_CA_FILE               Certificates of the authorities to trust for rediss:// [default: the system's]
  REDIS_CERT_FILE             A certificate to show to a Redis that asks for one
  REDIS_KEY_FILE              The key of that certificate
  DEAD_MAX                    Events that are kept aside in {out}:dead [default: 1000]
  RUST_LOG                    Which log records are written [default: info]
  SSL_CERT_FILE               Certificates of the authorities to trust for https:// [default: the system's]
  HTTPS_PROXY, HTTP_PROXY     The proxies to take for https:// and http://
  NO_PROXY                    The hosts that need none";

/// A checked configuration.
#[derive(Debug)]
pub struct Config {
    /// Where data lies.
    pub store: Address,
    /// How to sign in there.
    pub credentials: Credentials,
    /// The key to read.
    pub input_key: String,
    /// The key to write, and its companions.
    pub output: Keys,
    /// When to call the handler.
    pub trigger: Triggers,
    /// The time between looks.
    pub period: Duration,
    /// Where the plugin comes from.
    pub plugin: Origin,
    /// The time between looks for a new version of it; none for never.
    pub reload_period: Option<Duration>,
    /// How it is loaded.
    pub loading: Loading,
    /// Its handler.
    pub handler: HandlerName,
    /// How many results the history keeps.
    pub history_length: usize,
    /// A stream that each result is appended to as well.
    pub output_stream: Option<String>,
    /// How often a stream's entry is called before it is set aside.
    pub max_attempts: u32,
    /// How many events are kept aside.
    pub dead_max: usize,
    /// Where HTTP is served (`host:port`); none for nowhere.
    pub http: Option<String>,
    /// How log records are written.
    pub log_format: LogFormat,
}

/// What makes the host call a handler, with what it needs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Triggers {
    /// Every period: look, and call when the bytes changed.
    Poll,
    /// As soon as the key is written; with a look every period besides.
    Push,
    /// Every period, with the input `null`.
    Timer,
    /// Each entry of a stream.
    Stream {
        /// The consumer that this host is.
        group: Group,
        /// How many entries are called and committed at once.
        batch: usize,
        /// After how long another consumer's entry is taken over; none for never.
        claim_idle: Option<Duration>,
    },
}

/// The values of `TRIGGER`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum TriggerKind {
    /// Every period: look, and call when the bytes changed.
    Poll,
    /// As soon as the key is written; with a look every period besides.
    Push,
    /// Each entry of a stream.
    Stream,
    /// Every period, with the input `null`.
    Timer,
}

/// How log records are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    /// For people.
    Text,
    /// One JSON object a line.
    Json,
}

/// A variable of the environment; an empty one counts as unset.
pub fn variable(name: &str) -> Option<String> {
    env::var_os(name).map(|value| value.to_string_lossy().into_owned()).filter(|value| !value.is_empty())
}

/// Everything that is wrong with a configuration.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Faults(Vec<String>);

impl fmt::Display for Faults {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.len() {
            1 => f.write_str("the configuration has a fault:")?,
            count => write!(f, "the configuration has {count} faults:")?,
        }
        self.0.iter().try_for_each(|fault| write!(f, "\n  {fault}"))
    }
}

impl std::error::Error for Faults {}

/// The consumer whose env is `{out}:env` itself.
const MAIN: &str = "main";

/// The most entries of a batch: a script in Redis can't name more at once.
const BATCH_MAX: u32 = 5000;

/// Where HTTP is served by default.
pub const HTTP_DEFAULT: &str = "127.0.0.1:8080";

impl LoadingFlags {
    /// Checks flags and variables together.
    ///
    /// # Errors
    ///
    /// Every fault, each with its variable and flag.
    pub fn resolve(self, variable: impl Fn(&str) -> Option<String>) -> Result<Loading, Faults> {
        let mut reader = Reader { variable, faults: Faults::default() };
        let loading = reader.loading(self);
        if reader.faults.0.is_empty() { Ok(loading) } else { Err(reader.faults) }
    }
}

impl Flags {
    /// Checks flags and variables together.
    ///
    /// # Errors
    ///
    /// Every fault, each with its variable and flag.
    pub fn resolve(self, variable: impl Fn(&str) -> Option<String>) -> Result<Config, Faults> {
        let mut reader = Reader { variable, faults: Faults::default() };
        let store = reader.store(self.store);
        let store = reader.tls(store);
        let credentials = reader.credentials();
        let trigger = reader.parse(self.trigger, "TRIGGER", "--trigger", TriggerKind::Poll, choice);
        let input_key = reader.text(self.input_key, "REDIS_INPUT_KEY").unwrap_or_else(|| "metrics".to_owned());
        if input_key.contains('*') && trigger != TriggerKind::Timer {
            reader.fault("REDIS_INPUT_KEY", "--input-key", "patterns are not taken: name one key");
        }
        let output = reader.output(self.output_key);
        if let Some(output) = &output
            && trigger != TriggerKind::Timer
            && output.all().contains(&input_key.as_str())
        {
            let fault = format!("the input key {input_key:?} is one that results are written to: a loop");
            reader.fault("REDIS_OUTPUT_KEY", "--output-key", &fault);
        }
        let output_stream = reader.text(self.output_stream, "REDIS_OUTPUT_STREAM");
        if let (Some(stream), Some(output)) = (&output_stream, &output) {
            let taken = output.all().contains(&stream.as_str());
            if taken || (trigger == TriggerKind::Stream && *stream == input_key) {
                let fault = format!("the key {stream:?} is read or written already: name another one");
                reader.fault("REDIS_OUTPUT_STREAM", "--output-stream", &fault);
            }
            if store.as_ref().is_some_and(|store| store.file().is_some()) {
                let fault = "a SQLite file has no streams: use a Redis";
                reader.fault("REDIS_OUTPUT_STREAM", "--output-stream", fault);
            }
        }
        let group = Group {
            stream: input_key.clone(),
            name: reader.text(self.stream_group, "STREAM_GROUP").unwrap_or_else(|| "plugin-host".to_owned()),
            consumer: reader.text(self.stream_consumer, "STREAM_CONSUMER").unwrap_or_else(|| MAIN.to_owned()),
        };
        if trigger == TriggerKind::Stream && store.as_ref().is_some_and(|store| store.file().is_some()) {
            reader.fault("TRIGGER", "--trigger", "a SQLite file has no streams: use a Redis, or another trigger");
        }
        let output = output.map(|output| match trigger {
            TriggerKind::Stream if group.consumer != MAIN => output.of_consumer(&group.consumer),
            _ => output,
        });
        let batch = reader
            .parse(self.stream_batch, "STREAM_BATCH", "--stream-batch", 100, |text| at_least_one(text, BATCH_MAX));
        let claim_idle = reader.parse(
            self.stream_claim_idle,
            "STREAM_CLAIM_IDLE",
            "--stream-claim-idle",
            Some(Duration::from_secs(60)),
            seconds_or_never,
        );
        let zip_url = reader.zip_url(self.zip_url, self.zip_allow_http);
        let path = reader.text(self.plugin, "HANDLER_PATH").unwrap_or_else(|| "/opt/plugin".to_owned());
        let look = reader.parse(
            self.reload_period,
            "RELOAD_PERIOD",
            "--reload-period",
            Some(Duration::from_secs(1)),
            seconds_or_never,
        );
        let refresh = reader.parse(self.zip_refresh, "ZIP_REFRESH", "--zip-refresh", None, seconds_or_never);
        let config = Config {
            period: reader.period(self.period),
            reload_period: if zip_url.is_some() { refresh } else { look },
            plugin: zip_url.unwrap_or_else(|| Origin::Path(path.into())),
            loading: reader.loading(self.loading),
            handler: {
                let default = HandlerName { library: None, symbol: "handler".to_owned() };
                reader.parse(self.handler, "HANDLER_FUNCTION", "--handler", default, |name| name.parse())
            },
            history_length: reader.parse(self.history_length, "HISTORY_LENGTH", "--history-length", 720, |length| {
                // Redis counts entries in 64 bits with a sign; nobody keeps more than 32 bits of them.
                let length: u32 =
                    length.parse().map_err(|error| format!("{length:?} is no number of results: {error}"))?;
                Ok(length as usize)
            }),
            http: reader.parse(self.http, "HTTP_ADDR", "--http", Some(HTTP_DEFAULT.to_owned()), http_address),
            log_format: reader.parse(self.log_format, "LOG_FORMAT", "--log-format", LogFormat::Text, choice),
            max_attempts: reader
                .parse(self.max_attempts, "MAX_ATTEMPTS", "--max-attempts", 3, |text| at_least_one(text, u32::MAX)),
            dead_max: reader
                .parse(None, "DEAD_MAX", "", 1000, |text| at_least_one(text, u32::MAX).map(|most| most as usize)),
            credentials,
            input_key,
            trigger: match trigger {
                TriggerKind::Poll => Triggers::Poll,
                TriggerKind::Push => Triggers::Push,
                TriggerKind::Timer => Triggers::Timer,
                TriggerKind::Stream => Triggers::Stream { group, batch: batch as usize, claim_idle },
            },
            output_stream,
            store: store.unwrap_or_else(|| Address::redis("localhost", 6379)),
            output: match output {
                Some(output) if reader.faults.0.is_empty() => output,
                _ => return Err(reader.faults),
            },
        };
        Ok(config)
    }
}

/// Reads settings and collects what is wrong with them.
struct Reader<V> {
    variable: V,
    faults: Faults,
}

impl<V: Fn(&str) -> Option<String>> Reader<V> {
    fn fault(&mut self, variable: &str, flag: &str, fault: &str) {
        let flag = if flag.is_empty() { String::new() } else { format!(" ({flag})") };
        self.faults.0.push(format!("{variable}{flag}: {fault}"));
    }

    /// A setting's text: the flag's, else the variable's; empty counts as unset.
    fn text(&self, flag: Option<String>, variable: &str) -> Option<String> {
        let set = |text: &String| !text.is_empty();
        flag.filter(set).or_else(|| (self.variable)(variable).filter(set))
    }

    fn parse<T>(
        &mut self,
        value: Option<String>,
        variable: &str,
        flag: &str,
        default: T,
        parse: impl FnOnce(&str) -> Result<T, String>,
    ) -> T {
        match self.text(value, variable).map(|text| parse(&text)) {
            None => default,
            Some(Ok(value)) => value,
            Some(Err(fault)) => {
                self.fault(variable, flag, &fault);
                default
            }
        }
    }

    fn store(&mut self, flag: Option<String>) -> Option<Address> {
        let from_flag = flag.as_ref().is_some_and(|url| !url.is_empty());
        let Some(url) = self.text(flag, "STORE_URL") else {
            return self.redis();
        };
        match Address::parse(&url) {
            Ok(address) if from_flag && address.has_password() => {
                self.fault("STORE_URL", "--store", PASSWORD_IN_FLAG);
                None
            }
            Ok(address) => Some(address),
            Err(error) => {
                self.fault("STORE_URL", "--store", &error.to_string());
                None
            }
        }
    }

    /// The Redis that `REDIS_HOST` and `REDIS_PORT` name. Kubernetes injects `REDIS_PORT=tcp://HOST:PORT` for a
    /// Service named redis; its host is taken where `REDIS_HOST` is unset.
    fn redis(&mut self) -> Option<Address> {
        let host = self.text(None, "REDIS_HOST");
        let port = self.text(None, "REDIS_PORT").unwrap_or_else(|| "6379".to_owned());
        let (service, digits) = match port.strip_prefix("tcp://").and_then(|address| address.rsplit_once(':')) {
            Some((service, digits)) => (Some(service.to_owned()), digits),
            None => (None, port.as_str()),
        };
        match digits.parse() {
            Ok(port) => {
                let host = host.or(service).unwrap_or_else(|| "localhost".to_owned());
                Some(Address::redis(host.as_str(), port))
            }
            Err(_) => {
                self.fault("REDIS_PORT", "", &format!("{port:?} is neither a port nor tcp://HOST:PORT"));
                None
            }
        }
    }

    fn credentials(&mut self) -> Credentials {
        let text = self.text(None, "REDIS_PASSWORD").map(Password::Text);
        let file = self.text(None, "REDIS_PASSWORD_FILE").map(|path| Password::File(path.into()));
        if text.is_some() && file.is_some() {
            self.fault("REDIS_PASSWORD", "", "REDIS_PASSWORD_FILE is set too: set one of them");
        }
        Credentials { username: self.text(None, "REDIS_USERNAME"), password: text.or(file) }
    }

    /// Whom to trust over TLS, and what to show. Files that would not be used are a fault where a Redis is reached
    /// without: whoever sets them counts on its being secret.
    fn tls(&mut self, store: Option<Address>) -> Option<Address> {
        let (ca, cert, key) = ("REDIS_CA_FILE", "REDIS_CERT_FILE", "REDIS_KEY_FILE");
        let file = |variable: &str| self.text(None, variable).map(PathBuf::from);
        let (ca_file, cert_file, key_file) = (file(ca), file(cert), file(key));
        let store = store?;
        let set = [(ca, ca_file.is_some()), (cert, cert_file.is_some()), (key, key_file.is_some())];
        if !store.is_tls() && store.file().is_none() {
            for (variable, _) in set.iter().filter(|(_, is_set)| *is_set) {
                let fault = format!("the store is reached without TLS: set STORE_URL to rediss://, not to {store}");
                self.fault(variable, "", &fault);
            }
        }
        let client = match (cert_file, key_file) {
            (Some(cert_file), Some(key_file)) => Some(ClientFiles { cert_file, key_file }),
            (None, None) => None,
            (Some(_), None) => {
                self.fault(cert, "", "REDIS_KEY_FILE, the certificate's key, is not set");
                None
            }
            (None, Some(_)) => {
                self.fault(key, "", "REDIS_CERT_FILE, the certificate of that key, is not set");
                None
            }
        };
        Some(store.with_tls(Tls { ca_file, client }))
    }

    fn zip_url(&mut self, flag: Option<String>, allow_http: Option<String>) -> Option<Origin> {
        let (variable, flag_name) = ("ZIP_URL", "--zip-url");
        let from_flag = flag.as_ref().is_some_and(|url| !url.is_empty());
        let allow_http = self.parse(allow_http, "ZIP_ALLOW_HTTP", "--zip-allow-http", false, yes_or_no);
        let text = self.text(flag, variable)?;
        let fault = match Url::parse(&text) {
            Err(error) => format!("it is no URL: {error}"),
            Ok(url) if from_flag && (url.password().is_some() || !url.username().is_empty()) => {
                "a flag with user or password can be read by every user of the machine: use the variable".to_owned()
            }
            Ok(url) => match Origin::of_url(url, allow_http) {
                Ok(origin) => return Some(origin),
                Err(error) => error,
            },
        };
        self.fault(variable, flag_name, &fault);
        None
    }

    fn loading(&mut self, flags: LoadingFlags) -> Loading {
        let (key, pin, max) = (flags.plugin_public_key, flags.zip_sha256, flags.zip_max_bytes);
        let public_key = self.parse(key, "PLUGIN_PUBLIC_KEY", "--plugin-public-key", None, |key| key.parse().map(Some));
        let zip_sha256 = self.parse(pin, "ZIP_SHA256", "--zip-sha256", None, |digits| sha256_digits(digits).map(Some));
        Loading {
            state_dir: self.text(flags.state_dir, "STATE_DIR").map(PathBuf::from),
            trust: Trust { public_key, zip_sha256 },
            zip_max_bytes: self.parse(max, "ZIP_MAX_BYTES", "--zip-max-bytes", ZIP_MAX_BYTES, bytes),
        }
    }

    fn output(&mut self, flag: Option<String>) -> Option<Keys> {
        let (variable, flag_name) = ("REDIS_OUTPUT_KEY", "--output-key");
        let Some(key) = self.text(flag, variable) else {
            self.fault(variable, flag_name, "it is required: the key that results are written to");
            return None;
        };
        Keys::of(&key).map_err(|error| self.fault(variable, flag_name, &error.to_string())).ok()
    }

    fn period(&mut self, flag: Option<String>) -> Duration {
        let variable = match self.text(None, "MONITORING_PERIOD") {
            None if self.text(None, "INTERVAL").is_some() => "INTERVAL",
            _ => "MONITORING_PERIOD",
        };
        self.parse(flag, variable, "--period", Duration::from_secs(5), seconds)
    }
}

#[cfg(test)]
mod tests;
