//! What `run` is told: flags and variables go in, a checked [`Config`] or every fault at once comes out.
//!
//! Only this module reads the environment.

mod dead;
mod reader;
mod record;
mod values;

use std::env;
use std::fmt;
use std::time::Duration;

use clap::{Args, ValueEnum};
use store::{Address, Credentials, Group, Keys};

use crate::pattern::Pattern;
use crate::plugin::{HandlerName, Loading, Origin};

pub use self::dead::Asides;
use self::reader::{Place, Reader};
pub use self::record::{RecordFlags, Recorded, Recording};
use self::values::{at_least, choice, http_address, seconds_not_too_few};
pub use self::values::{seconds, seconds_or_never, store_without_password};

/// The flags of `run`. Each has a variable; the flag wins, and an empty value counts as unset.
#[derive(Debug, Default, Args)]
pub struct Flags {
    /// Where data lies, and what makes the host call.
    #[command(flatten)]
    pub data: DataFlags,
    /// A stream that each result is appended to as well [env: REDIS_OUTPUT_STREAM]
    #[arg(long, value_name = "KEY", help_heading = "Data")]
    pub output_stream: Option<String>,
    /// Patterns: seconds after which an env that was not touched leaves memory; it stays in the store [env: ENV_IDLE]
    /// [default: 600]
    #[arg(long, value_name = "SECONDS", help_heading = "Data")]
    pub env_idle: Option<String>,
    /// Results kept in the history, 0 for none [env: HISTORY_LENGTH] [default: 720]
    #[arg(long, value_name = "N", help_heading = "Data")]
    pub history_length: Option<String>,

    /// Seconds between looks, fractions allowed [env: MONITORING_PERIOD or INTERVAL] [default: 5]
    #[arg(long, value_name = "SECONDS", help_heading = "Trigger")]
    pub period: Option<String>,
    /// How a stream is read.
    #[command(flatten)]
    pub streams: StreamFlags,

    /// The plugin: a shared library, a ZIP, a module in Python (.py), or a folder that holds one of them [env:
    /// HANDLER_PATH] [default: /opt/plugin, or else /opt/usermodule.py]
    #[arg(long, value_name = "PATH", help_heading = "Plugin")]
    pub plugin: Option<String>,
    /// The handler: its symbol, or library.symbol; in Python function, or module.function [env: HANDLER_FUNCTION]
    /// [default: handler]
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

    /// Seconds that a call may take; over it, the process that calls is replaced [env: HANDLER_TIMEOUT] [default: 30]
    #[arg(long, value_name = "SECONDS", help_heading = "Failures")]
    pub handler_timeout: Option<String>,
    /// Calls of one event before it is set aside [env: MAX_ATTEMPTS] [default: 3]
    #[arg(long, value_name = "N", help_heading = "Failures")]
    pub max_attempts: Option<String>,
    /// Seconds after which the place of a silent host is free for another with the same output key [env: LEASE_PERIOD]
    /// [default: 5]
    #[arg(long, value_name = "SECONDS", help_heading = "Failures")]
    pub lease_period: Option<String>,

    /// Where /livez, /readyz, /status and /metrics are served, or off [env: HTTP_ADDR] [default: 127.0.0.1:8080]
    #[arg(long, value_name = "ADDRESS", help_heading = "Operation")]
    pub http: Option<String>,
    /// How log records are written: text or json; RUST_LOG filters them [env: LOG_FORMAT] [default: text]
    #[arg(long, value_name = "FORMAT", help_heading = "Operation")]
    pub log_format: Option<String>,
}

/// The flags of every command that works on a host's data.
#[derive(Debug, Default, Args)]
pub struct DataFlags {
    /// Where data lies: redis://HOST:PORT, redis+sentinel://HOST:PORT,…/MASTER, redis+cluster://HOST:PORT,… (each with
    /// rediss for TLS), unix:PATH or sqlite:PATH [env: STORE_URL] [default: made of REDIS_HOST, REDIS_PORT]
    #[arg(long, value_name = "URL", help_heading = "Store")]
    pub store: Option<String>,
    /// The key to read, the stream, or a pattern with one * [env: REDIS_INPUT_KEY] [default: metrics]
    #[arg(long, value_name = "KEY", help_heading = "Data")]
    pub input_key: Option<String>,
    /// The key to write results to; required. With a pattern as input its * stands for the same text [env:
    /// REDIS_OUTPUT_KEY]
    #[arg(long, value_name = "KEY", help_heading = "Data")]
    pub output_key: Option<String>,
    /// When to call the handler: poll (look every period, call when the bytes changed), push (as soon as the key is
    /// written), stream (each entry of a stream, in a consumer group) or timer (every period, with the input null) [env:
    /// TRIGGER] [default: poll]
    #[arg(long, value_name = "KIND", help_heading = "Trigger")]
    pub trigger: Option<String>,
}

/// The flags for `TRIGGER=stream`.
#[derive(Debug, Default, Args)]
pub struct StreamFlags {
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
    /// The plugin that loads modules in Python [env: PYTHON_PLUGIN] [default: libpython_handler.so beside this program]
    #[arg(long, value_name = "PATH", help_heading = "Plugin")]
    pub python_plugin: Option<String>,
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
  INPUT_MAX_BYTES             Bytes of one event; more fails the call [default: 16MiB]
  OUTPUT_MAX_BYTES            Bytes of one result; more fails the call [default: 16MiB]
  ENV_MAX_BYTES               Bytes of one env; more fails the call [default: 16MiB]
  MEMORY_LIMIT                Bytes that the process that calls may allocate [default: 80 % of the cgroup's limit]
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
    /// Input and output, where they are patterns.
    pub pattern: Option<(Pattern, Pattern)>,
    /// Patterns: after how long an env that was not touched leaves memory.
    pub env_idle: Duration,
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
    /// What becomes of an event whose call fails.
    pub retries: Retries,
    /// How long a call may take.
    pub handler_timeout: Duration,
    /// How large inputs, results and envs may be.
    pub limits: Limits,
    /// How many bytes the worker may allocate; none where nothing bounds them.
    pub memory_limit: Option<u64>,
    /// After how long a silent host's place is free.
    pub lease_period: Duration,
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
    Stream(Streams),
}

/// How a stream is read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Streams {
    /// The consumer that this host is.
    pub group: Group,
    /// How many entries are called and committed at once.
    pub batch: usize,
    /// After how long another consumer's entry is taken over; none for never.
    pub claim_idle: Option<Duration>,
}

/// What becomes of an event whose call fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Retries {
    /// How often it is called before it is set aside.
    pub max_attempts: u32,
    /// How many events are kept aside.
    pub dead_max: usize,
}

/// How large what goes into a call and comes out of it may be, in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// One event.
    pub input: usize,
    /// One result.
    pub output: usize,
    /// One env.
    pub env: usize,
}

impl Default for Limits {
    fn default() -> Limits {
        Limits { input: 16 << 20, output: 16 << 20, env: 16 << 20 }
    }
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

/// With less memory a worker can't begin.
const MEMORY_LEAST: u64 = 32 << 20;

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
        let Place { store, credentials, trigger, input_key, output_key } = reader.place(self.data);
        let pattern = match (&output_key, trigger) {
            (_, TriggerKind::Timer) => None,
            (Some(output), _) if input_key.contains('*') => reader.pattern(&input_key, output, trigger, store.as_ref()),
            _ => None,
        };
        let output = output_key.and_then(|key| reader.output(&key));
        if let Some(output) = &output
            && trigger != TriggerKind::Timer
            && output.all().contains(&input_key.as_str())
        {
            let fault = format!("the input key {input_key:?} is one that results are written to: a loop");
            reader.fault("REDIS_OUTPUT_KEY", "--output-key", &fault);
        }
        let streams = reader.streams(self.streams, &input_key);
        let mut read_or_written: Vec<_> = output.iter().flat_map(Keys::all).collect();
        if trigger == TriggerKind::Stream {
            read_or_written.push(&input_key);
        }
        let is_plain = pattern.is_none() && store.as_ref().is_none_or(|store| store.file().is_none());
        let output_stream = reader.output_stream(self.output_stream, &read_or_written, is_plain);
        if store.as_ref().is_some_and(Address::is_cluster)
            && let Some(output) = &output
        {
            let input = (trigger == TriggerKind::Stream).then_some(input_key.as_str());
            reader.one_slot(&output.output, input, output_stream.as_deref());
        }
        let output = output.map(|output| match &streams.group.consumer {
            consumer if trigger == TriggerKind::Stream && consumer != MAIN => output.of_consumer(consumer),
            _ => output,
        });
        let zip_url = reader.zip_url(self.zip_url, self.zip_allow_http);
        let path = reader.text(self.plugin, "HANDLER_PATH").map(|path| Origin::Path(path.into()));
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
            plugin: zip_url.or(path).unwrap_or_else(Origin::usual),
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
            retries: reader.retries(self.max_attempts),
            handler_timeout: reader.parse(
                self.handler_timeout,
                "HANDLER_TIMEOUT",
                "--handler-timeout",
                Duration::from_secs(30),
                seconds,
            ),
            limits: reader.limits(),
            memory_limit: reader.parse(None, "MEMORY_LIMIT", "", None, |text| at_least(text, MEMORY_LEAST).map(Some)),
            lease_period: reader.parse(
                self.lease_period,
                "LEASE_PERIOD",
                "--lease-period",
                Duration::from_secs(5),
                seconds_not_too_few,
            ),
            env_idle: reader.parse(self.env_idle, "ENV_IDLE", "--env-idle", Duration::from_secs(600), seconds),
            pattern,
            credentials,
            input_key,
            trigger: match trigger {
                TriggerKind::Poll => Triggers::Poll,
                TriggerKind::Push => Triggers::Push,
                TriggerKind::Timer => Triggers::Timer,
                TriggerKind::Stream => Triggers::Stream(streams),
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

#[cfg(test)]
mod tests;
