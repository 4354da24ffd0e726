//! What `run` is told: flags and variables go in, a checked [`Config`] or every fault at once comes out.
//!
//! Only this module reads the environment.

mod dead;
mod dev;
mod reader;
mod record;
pub mod settings;
mod values;

use std::env;
use std::fmt;
use std::time::Duration;

use clap::{Args, ValueEnum};
use store::{Address, Credentials, Group, Keys};

use crate::pattern::Pattern;
use crate::plugin::{HandlerName, Loading, Origin};

pub use self::dead::Asides;
pub use self::dev::{DevFlags, DevTrigger, Developed};
use self::reader::{Place, Reader};
pub use self::record::{RecordFlags, Recorded, Recording};
use self::values::{at_least, choice, http_address, seconds, seconds_not_too_few, seconds_or_never};

/// The flags of `run`, each with its variable ([`settings`]); the flag wins, and an empty value counts as unset.
#[derive(Debug, Default, Args)]
pub struct Flags {
    /// Where data lies, and what makes the host call.
    #[command(flatten)]
    pub data: DataFlags,
    #[arg(long, value_name = "KEY", help_heading = "Data", help = settings::REDIS_OUTPUT_STREAM.help())]
    pub(crate) output_stream: Option<String>,
    #[arg(long, value_name = "SECONDS", help_heading = "Data", help = settings::ENV_IDLE.help())]
    pub(crate) env_idle: Option<String>,
    #[arg(long, value_name = "N", help_heading = "Data", help = settings::HISTORY_LENGTH.help())]
    pub(crate) history_length: Option<String>,

    #[arg(long, value_name = "SECONDS", help_heading = "Trigger", help = settings::MONITORING_PERIOD.help())]
    pub(crate) period: Option<String>,
    /// How a stream is read.
    #[command(flatten)]
    pub streams: StreamFlags,

    #[arg(long, value_name = "PATH", help_heading = "Plugin", help = settings::HANDLER_PATH.help())]
    pub(crate) plugin: Option<String>,
    #[arg(long, value_name = "NAME", help_heading = "Plugin", help = settings::HANDLER_FUNCTION.help())]
    pub(crate) handler: Option<String>,
    #[arg(long, value_name = "SECONDS", help_heading = "Plugin", help = settings::RELOAD_PERIOD.help())]
    pub(crate) reload_period: Option<String>,
    /// What the commands that load a plugin have in common.
    #[command(flatten)]
    pub loading: LoadingFlags,

    #[arg(long, value_name = "URL", help_heading = "ZIP", help = settings::ZIP_URL.help())]
    pub(crate) zip_url: Option<String>,
    #[arg(long, value_name = "SECONDS", help_heading = "ZIP", help = settings::ZIP_REFRESH.help())]
    pub(crate) zip_refresh: Option<String>,
    #[arg(long, value_name = "BOOL", num_args = 0..=1, default_missing_value = "true", help_heading = "ZIP", help = settings::ZIP_ALLOW_HTTP.help())]
    pub(crate) zip_allow_http: Option<String>,

    #[arg(long, value_name = "SECONDS", help_heading = "Failures", help = settings::HANDLER_TIMEOUT.help())]
    pub(crate) handler_timeout: Option<String>,
    #[arg(long, value_name = "N", help_heading = "Failures", help = settings::MAX_ATTEMPTS.help())]
    pub(crate) max_attempts: Option<String>,
    #[arg(long, value_name = "SECONDS", help_heading = "Failures", help = settings::LEASE_PERIOD.help())]
    pub(crate) lease_period: Option<String>,

    #[arg(long, value_name = "ADDRESS", help_heading = "Operation", help = settings::HTTP_ADDR.help())]
    pub(crate) http: Option<String>,
    #[arg(long, value_name = "FORMAT", help_heading = "Operation", help = settings::LOG_FORMAT.help())]
    pub(crate) log_format: Option<String>,
}

/// The flags of every command that works on a host's data.
#[derive(Debug, Default, Args)]
pub struct DataFlags {
    #[arg(long, value_name = "URL", help_heading = "Store", help = settings::STORE_URL.help())]
    pub(crate) store: Option<String>,
    #[arg(long, value_name = "KEY", help_heading = "Data", help = settings::REDIS_INPUT_KEY.help())]
    pub(crate) input_key: Option<String>,
    #[arg(long, value_name = "KEY", help_heading = "Data", help = settings::REDIS_OUTPUT_KEY.help())]
    pub(crate) output_key: Option<String>,
    #[arg(long, value_name = "KIND", help_heading = "Trigger", help = settings::TRIGGER.help())]
    pub(crate) trigger: Option<String>,
}

/// The flags for `TRIGGER=stream`.
#[derive(Debug, Default, Args)]
pub struct StreamFlags {
    #[arg(long, value_name = "NAME", help_heading = "Trigger", help = settings::STREAM_GROUP.help())]
    pub(crate) stream_group: Option<String>,
    #[arg(long, value_name = "NAME", help_heading = "Trigger", help = settings::STREAM_CONSUMER.help())]
    pub(crate) stream_consumer: Option<String>,
    #[arg(long, value_name = "N", help_heading = "Trigger", help = settings::STREAM_BATCH.help())]
    pub(crate) stream_batch: Option<String>,
    #[arg(long, value_name = "SECONDS", help_heading = "Trigger", help = settings::STREAM_CLAIM_IDLE.help())]
    pub(crate) stream_claim_idle: Option<String>,
}

/// The flags of every command that loads a plugin.
#[derive(Debug, Default, Args)]
pub struct LoadingFlags {
    #[arg(long, value_name = "FOLDER", help_heading = "Plugin", help = settings::STATE_DIR.help())]
    pub(crate) state_dir: Option<String>,
    #[arg(long, value_name = "KEY", help_heading = "Plugin", help = settings::PLUGIN_PUBLIC_KEY.help())]
    pub(crate) plugin_public_key: Option<String>,
    #[arg(long, value_name = "HEX", help_heading = "ZIP", help = settings::ZIP_SHA256.help())]
    pub(crate) zip_sha256: Option<String>,
    #[arg(long, value_name = "BYTES", help_heading = "ZIP", help = settings::ZIP_MAX_BYTES.help())]
    pub(crate) zip_max_bytes: Option<String>,
    #[arg(long, value_name = "PATH", help_heading = "Plugin", help = settings::PYTHON_PLUGIN.help())]
    pub(crate) python_plugin: Option<String>,
}

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

/// With less memory a worker can't begin.
const MEMORY_LEAST: u64 = 32 << 20;

/// The most entries of a batch: a script in Redis can't name more at once.
const BATCH_MAX: u32 = 5000;

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
            reader.fault(&settings::REDIS_OUTPUT_KEY, &fault);
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
            consumer
                if trigger == TriggerKind::Stream
                    && settings::STREAM_CONSUMER.default.is_some_and(|main| main != consumer) =>
            {
                output.of_consumer(consumer)
            }
            _ => output,
        });
        let zip_url = reader.zip_url(self.zip_url, self.zip_allow_http);
        let path = reader.text(self.plugin, &settings::HANDLER_PATH).map(|path| Origin::Path(path.into()));
        let look = reader.parse(self.reload_period, &settings::RELOAD_PERIOD, seconds_or_never);
        let refresh = reader.parse(self.zip_refresh, &settings::ZIP_REFRESH, seconds_or_never);
        let config = Config {
            period: reader.period(self.period),
            reload_period: if zip_url.is_some() { refresh } else { look },
            plugin: zip_url.or(path).unwrap_or_else(Origin::usual),
            loading: reader.loading(self.loading),
            handler: reader.parse(self.handler, &settings::HANDLER_FUNCTION, |name| name.parse()),
            history_length: reader.parse(self.history_length, &settings::HISTORY_LENGTH, |length| {
                // Redis counts entries in 64 bits with a sign; nobody keeps more than 32 bits of them.
                let length: u32 =
                    length.parse().map_err(|error| format!("{length:?} is no number of results: {error}"))?;
                Ok(length as usize)
            }),
            http: reader.parse(self.http, &settings::HTTP_ADDR, http_address),
            log_format: reader.parse(self.log_format, &settings::LOG_FORMAT, choice),
            retries: reader.retries(self.max_attempts),
            handler_timeout: reader.parse(self.handler_timeout, &settings::HANDLER_TIMEOUT, seconds),
            limits: reader.limits(),
            memory_limit: reader.parse_if_set(None, &settings::MEMORY_LIMIT, |text| at_least(text, MEMORY_LEAST)),
            lease_period: reader.parse(self.lease_period, &settings::LEASE_PERIOD, seconds_not_too_few),
            env_idle: reader.parse(self.env_idle, &settings::ENV_IDLE, seconds),
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
