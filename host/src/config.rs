//! What `run` is told: flags and variables go in, a checked [`Config`] or every fault at once comes out.
//!
//! Only this module reads the environment.

use std::env;
use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, ValueEnum};
use store::{Address, Credentials, Keys, Password};

use crate::plugin::HandlerName;

/// The flags of `run`. Each has a variable; the flag wins, and an empty value counts as unset.
#[derive(Debug, Default, Args)]
pub struct Flags {
    /// Where data lies: redis://HOST:PORT or sqlite:PATH [env: STORE_URL] [default: made of REDIS_HOST, REDIS_PORT]
    #[arg(long, value_name = "URL", help_heading = "Store")]
    pub store: Option<String>,

    /// The key to read [env: REDIS_INPUT_KEY] [default: metrics]
    #[arg(long, value_name = "KEY", help_heading = "Data")]
    pub input_key: Option<String>,
    /// The key to write results to; required [env: REDIS_OUTPUT_KEY]
    #[arg(long, value_name = "KEY", help_heading = "Data")]
    pub output_key: Option<String>,
    /// Results kept in the history, 0 for none [env: HISTORY_LENGTH] [default: 720]
    #[arg(long, value_name = "N", help_heading = "Data")]
    pub history_length: Option<String>,

    /// When to call the handler: poll (look every period, call when the bytes changed) or timer (every period, with
    /// the input null) [env: TRIGGER] [default: poll]
    #[arg(long, value_name = "KIND", help_heading = "Trigger")]
    pub trigger: Option<String>,
    /// Seconds between looks, fractions allowed [env: MONITORING_PERIOD or INTERVAL] [default: 5]
    #[arg(long, value_name = "SECONDS", help_heading = "Trigger")]
    pub period: Option<String>,

    /// The plugin: a shared library, or a folder that holds one [env: HANDLER_PATH] [default: /opt/plugin]
    #[arg(long, value_name = "PATH", help_heading = "Plugin")]
    pub plugin: Option<String>,
    /// The handler: its symbol, or library.symbol [env: HANDLER_FUNCTION] [default: handler]
    #[arg(long, value_name = "NAME", help_heading = "Plugin")]
    pub handler: Option<String>,
    /// Where private copies of plugins lie [env: STATE_DIR] [default: a folder of its own in the temporary folder]
    #[arg(long, value_name = "FOLDER", help_heading = "Plugin")]
    pub state_dir: Option<String>,

    /// Where /livez, /readyz and /status are served, or off [env: HTTP_ADDR] [default: 127.0.0.1:8080]
    #[arg(long, value_name = "ADDRESS", help_heading = "Operation")]
    pub http: Option<String>,
    /// How log records are written: text or json; RUST_LOG filters them [env: LOG_FORMAT] [default: text]
    #[arg(long, value_name = "FORMAT", help_heading = "Operation")]
    pub log_format: Option<String>,
}

/// The variables that have no flag, for `--help`.
pub const VARIABLES_WITHOUT_FLAGS: &str = "\
Variables without flags:
  REDIS_HOST, REDIS_PORT      The Redis to use where STORE_URL is unset [default: localhost, 6379]
  REDIS_USERNAME              The user to sign in as
  REDIS_PASSWORD              The password; never given as a flag, which every user of the machine could read
  REDIS_PASSWORD_FILE         A file that holds the password, read at each connection
  RUST_LOG                    Which log records are written [default: info]";

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
    pub trigger: TriggerKind,
    /// The time between looks.
    pub period: Duration,
    /// Where the plugin lies.
    pub plugin: PathBuf,
    /// Its handler.
    pub handler: HandlerName,
    /// Where private copies of plugins lie.
    pub state_dir: Option<PathBuf>,
    /// How many results the history keeps.
    pub history_length: usize,
    /// Where HTTP is served (`host:port`); none for nowhere.
    pub http: Option<String>,
    /// How log records are written.
    pub log_format: LogFormat,
}

/// What makes the host call a handler.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum TriggerKind {
    /// Every period: look, and call when the bytes changed.
    Poll,
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

/// Where HTTP is served by default.
pub const HTTP_DEFAULT: &str = "127.0.0.1:8080";

impl Flags {
    /// Checks flags and variables together.
    ///
    /// # Errors
    ///
    /// Every fault, each with its variable and flag.
    pub fn resolve(self, variable: impl Fn(&str) -> Option<String>) -> Result<Config, Faults> {
        let mut reader = Reader { variable, faults: Faults::default() };
        let store = reader.store(self.store);
        let credentials = reader.credentials();
        let trigger = reader.parse(self.trigger, "TRIGGER", "--trigger", TriggerKind::Poll, choice);
        let input_key = reader.text(self.input_key, "REDIS_INPUT_KEY").unwrap_or_else(|| "metrics".to_owned());
        if input_key.contains('*') && trigger != TriggerKind::Timer {
            reader.fault("REDIS_INPUT_KEY", "--input-key", "patterns are not taken: name one key");
        }
        let output = reader.output(self.output_key);
        if let Some(output) = &output
            && trigger != TriggerKind::Timer
            && [&output.output, &output.env, &output.history, &output.status].contains(&&input_key)
        {
            let fault = format!("the input key {input_key:?} is one that results are written to: a loop");
            reader.fault("REDIS_OUTPUT_KEY", "--output-key", &fault);
        }
        let config = Config {
            period: reader.period(self.period),
            plugin: reader.text(self.plugin, "HANDLER_PATH").unwrap_or_else(|| "/opt/plugin".to_owned()).into(),
            handler: {
                let default = HandlerName { library: None, symbol: "handler".to_owned() };
                reader.parse(self.handler, "HANDLER_FUNCTION", "--handler", default, |name| name.parse())
            },
            state_dir: reader.text(self.state_dir, "STATE_DIR").map(PathBuf::from),
            history_length: reader.parse(self.history_length, "HISTORY_LENGTH", "--history-length", 720, |length| {
                // Redis counts entries in 64 bits with a sign; nobody keeps more than 32 bits of them.
                let length: u32 =
                    length.parse().map_err(|error| format!("{length:?} is no number of results: {error}"))?;
                Ok(length as usize)
            }),
            http: reader.parse(self.http, "HTTP_ADDR", "--http", Some(HTTP_DEFAULT.to_owned()), http_address),
            log_format: reader.parse(self.log_format, "LOG_FORMAT", "--log-format", LogFormat::Text, choice),
            credentials,
            input_key,
            trigger,
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

const PASSWORD_IN_FLAG: &str = "a flag with a password can be read by every user of the machine: use REDIS_PASSWORD, \
                                REDIS_PASSWORD_FILE or STORE_URL";

/// Reads a store's address as a flag has it: without a password.
pub fn store_without_password(text: &str) -> Result<Address, String> {
    match Address::parse(text) {
        Ok(address) if address.has_password() => Err(PASSWORD_IN_FLAG.to_owned()),
        Ok(address) => Ok(address),
        Err(error) => Err(error.to_string()),
    }
}

/// Reads a period in seconds; a millisecond is the shortest.
pub fn seconds(text: &str) -> Result<Duration, String> {
    text.parse()
        .ok()
        .and_then(|seconds| Duration::try_from_secs_f64(seconds).ok())
        .filter(|period| (Duration::from_millis(1)..=Duration::from_secs(365 * 24 * 3600)).contains(period))
        .ok_or_else(|| format!("{text:?} is not a number of seconds between 0.001 and a year"))
}

fn choice<T: ValueEnum>(text: &str) -> Result<T, String> {
    T::from_str(text, false).ok().ok_or_else(|| {
        let names: Vec<_> = T::value_variants().iter().filter_map(|value| value.to_possible_value()).collect();
        let names: Vec<_> = names.iter().map(|value| value.get_name()).collect();
        format!("{text:?} is not one of {}", names.join(", "))
    })
}

fn http_address(text: &str) -> Result<Option<String>, String> {
    let port = text.rsplit_once(':').map(|(_, port)| port.parse::<u16>());
    match (text, port) {
        ("off", _) => Ok(None),
        (address, Some(Ok(_))) => Ok(Some(address.to_owned())),
        _ => Err(format!("{text:?} is neither HOST:PORT nor off")),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use super::*;

    fn resolve(flags: Flags, variables: &[(&str, &str)]) -> Result<Config, Faults> {
        let variables: HashMap<_, _> = variables.iter().copied().collect();
        flags.resolve(|name| variables.get(name).map(|value| (*value).to_owned()))
    }

    fn with_output(variables: &[(&str, &str)]) -> Result<Config, Faults> {
        let mut all = vec![("REDIS_OUTPUT_KEY", "out")];
        all.extend_from_slice(variables);
        resolve(Flags::default(), &all)
    }

    #[test]
    fn the_defaults_are_the_python_runtimes() {
        let config = with_output(&[]).unwrap();
        assert_eq!((config.store.host(), config.store.port()), ("localhost", 6379));
        assert_eq!(config.input_key, "metrics");
        assert_eq!(config.period, Duration::from_secs(5));
        assert_eq!(config.handler.symbol, "handler");
    }

    #[test]
    fn all_faults_are_told_together() {
        let faults = resolve(
            Flags { trigger: Some("sometimes".into()), ..Flags::default() },
            &[("MONITORING_PERIOD", "soon"), ("HTTP_ADDR", "8080"), ("REDIS_PORT", "x"), ("HANDLER_FUNCTION", "a.")],
        )
        .unwrap_err()
        .to_string();
        assert!(faults.starts_with("the configuration has 6 faults:"), "{faults}");
        for variable in
            ["TRIGGER", "MONITORING_PERIOD", "HTTP_ADDR", "REDIS_PORT", "HANDLER_FUNCTION", "REDIS_OUTPUT_KEY"]
        {
            assert!(faults.contains(&format!("\n  {variable}")), "{variable} is missing: {faults}");
        }
    }

    #[test]
    fn a_flag_wins_over_its_variable_and_empty_counts_as_unset() {
        let variables = [("REDIS_OUTPUT_KEY", "variable"), ("REDIS_INPUT_KEY", ""), ("MONITORING_PERIOD", "")];
        let config = resolve(Flags { output_key: Some("flag".into()), ..Flags::default() }, &variables).unwrap();
        assert_eq!(config.output.output, "flag");
        assert_eq!(config.input_key, "metrics");
        assert_eq!(
            resolve(Flags { output_key: Some(String::new()), ..Flags::default() }, &variables).unwrap().output.output,
            "variable"
        );
    }

    #[test]
    fn interval_is_an_alias_of_monitoring_period() {
        assert_eq!(with_output(&[("INTERVAL", "0.25")]).unwrap().period, Duration::from_millis(250));
        assert_eq!(
            with_output(&[("INTERVAL", "9"), ("MONITORING_PERIOD", "2")]).unwrap().period,
            Duration::from_secs(2)
        );
        for bad in ["0", "-1", "nan", "inf", "1e99"] {
            assert!(with_output(&[("INTERVAL", bad)]).unwrap_err().to_string().contains("INTERVAL"), "{bad}");
        }
    }

    #[test]
    fn a_port_as_kubernetes_injects_it_is_understood() {
        let config = with_output(&[("REDIS_PORT", "tcp://10.1.2.3:6380")]).unwrap();
        assert_eq!((config.store.host(), config.store.port()), ("10.1.2.3", 6380));
        let config = with_output(&[("REDIS_PORT", "tcp://10.1.2.3:6380"), ("REDIS_HOST", "redis")]).unwrap();
        assert_eq!((config.store.host(), config.store.port()), ("redis", 6380));
    }

    #[test]
    fn a_password_in_a_flag_is_refused_and_one_in_the_variable_taken() {
        let url = "redis://:secret@localhost:6379";
        let flags = Flags { store: Some(url.into()), output_key: Some("out".into()), ..Flags::default() };
        let faults = resolve(flags, &[]).unwrap_err().to_string();
        assert!(faults.contains("--store") && !faults.contains("secret"), "{faults}");
        assert!(with_output(&[("STORE_URL", url)]).is_ok());
    }

    #[test]
    fn a_loop_is_refused() {
        for input in ["out", "{out}:env", "{out}:history", "{out}:status"] {
            assert!(with_output(&[("REDIS_INPUT_KEY", input)]).unwrap_err().to_string().contains("a loop"), "{input}");
        }
        assert!(with_output(&[("REDIS_INPUT_KEY", "out"), ("TRIGGER", "timer")]).is_ok());
    }
}
