//! Reads flags and variables, and collects what is wrong with them.

use std::path::PathBuf;
use std::time::Duration;

use reqwest::Url;
use store::{Address, ClientFiles, Credentials, Group, Keys, Password, Tls, slot};

use super::settings::{self, *};
use super::values::{
    PASSWORD_IN_FLAG, at_least_one, bytes, choice, seconds, seconds_or_never, sha256_digits, yes_or_no,
};
use super::{BATCH_MAX, DataFlags, Faults, Limits, LoadingFlags, Retries, StreamFlags, Streams, TriggerKind};
use crate::pattern::{Pattern, looping_key};
use crate::plugin::{Loading, Origin, Trust};

/// Reads settings and collects what is wrong with them.
pub(super) struct Reader<V> {
    pub(super) variable: V,
    pub(super) faults: Faults,
}

/// Where data lies, and what makes the host call, as far as that could be read.
pub(super) struct Place {
    pub store: Option<Address>,
    pub credentials: Credentials,
    pub trigger: TriggerKind,
    pub input_key: String,
    pub output_key: Option<String>,
}

impl<V: Fn(&str) -> Option<String>> Reader<V> {
    pub(super) fn fault(&mut self, setting: &Setting, fault: &str) {
        let flag = if setting.flag.is_empty() { String::new() } else { format!(" ({})", setting.flag) };
        self.faults.0.push(format!("{}{flag}: {fault}", setting.variable));
    }

    /// A setting's text: the flag's, else the variable's; empty counts as unset.
    pub(super) fn text(&self, flag: Option<String>, setting: &Setting) -> Option<String> {
        let set = |text: &String| !text.is_empty();
        flag.filter(set).or_else(|| (self.variable)(setting.variable).filter(set))
    }

    /// A setting's text, or its default.
    pub(super) fn text_or_default(&self, flag: Option<String>, setting: &Setting) -> String {
        self.text(flag, setting).unwrap_or_else(|| setting.default.unwrap_or_default().to_owned())
    }

    /// What a setting's text says, or else its default.
    pub(super) fn parse<T>(
        &mut self,
        value: Option<String>,
        setting: &Setting,
        parse: impl Fn(&str) -> Result<T, String>,
    ) -> T {
        match self.parse_if_set(value, setting, &parse) {
            Some(value) => value,
            None => parse(setting.default.unwrap_or_default())
                .unwrap_or_else(|fault| unreachable!("the default of {}: {fault}", setting.variable)),
        }
    }

    /// What a setting's text says, if it is given and says anything.
    pub(super) fn parse_if_set<T>(
        &mut self,
        value: Option<String>,
        setting: &Setting,
        parse: impl FnOnce(&str) -> Result<T, String>,
    ) -> Option<T> {
        let text = self.text(value, setting)?;
        parse(&text).map_err(|fault| self.fault(setting, &fault)).ok()
    }

    /// What every command that works on a host's data is told.
    pub(super) fn place(&mut self, flags: DataFlags) -> Place {
        let place = Place {
            store: self.reached(flags.store),
            credentials: self.credentials(),
            trigger: self.parse(flags.trigger, &TRIGGER, choice),
            input_key: self.text_or_default(flags.input_key, &REDIS_INPUT_KEY),
            output_key: self.output_key(flags.output_key),
        };
        if place.trigger == TriggerKind::Stream && place.store.as_ref().is_some_and(|store| store.file().is_some()) {
            self.fault(&TRIGGER, "a SQLite file has no streams: use a Redis, or another trigger");
        }
        place
    }

    /// The store, with what it takes to reach it.
    pub(super) fn reached(&mut self, flag: Option<String>) -> Option<Address> {
        let store = self.store(flag);
        self.tls(store)
    }

    fn store(&mut self, flag: Option<String>) -> Option<Address> {
        let from_flag = flag.as_ref().is_some_and(|url| !url.is_empty());
        let Some(url) = self.text(flag, &STORE_URL) else {
            return self.redis();
        };
        match Address::parse(&url) {
            Ok(address) if from_flag && address.has_password() => {
                self.fault(&STORE_URL, PASSWORD_IN_FLAG);
                None
            }
            Ok(address) => Some(address),
            Err(error) => {
                self.fault(&STORE_URL, &error.to_string());
                None
            }
        }
    }

    /// The Redis that `REDIS_HOST` and `REDIS_PORT` name. Kubernetes injects `REDIS_PORT=tcp://HOST:PORT` for a
    /// Service named redis; its host is taken where `REDIS_HOST` is unset.
    fn redis(&mut self) -> Option<Address> {
        let host = self.text(None, &REDIS_HOST);
        let port = self.text_or_default(None, &REDIS_PORT);
        let (service, digits) = match port.strip_prefix("tcp://").and_then(|address| address.rsplit_once(':')) {
            Some((service, digits)) => (Some(service.to_owned()), digits),
            None => (None, port.as_str()),
        };
        match digits.parse() {
            Ok(port) => {
                let host = host.or(service).unwrap_or_else(|| self.text_or_default(None, &REDIS_HOST));
                Some(Address::redis(host.as_str(), port))
            }
            Err(_) => {
                self.fault(&REDIS_PORT, &format!("{port:?} is neither a port nor tcp://HOST:PORT"));
                None
            }
        }
    }

    pub(super) fn credentials(&mut self) -> Credentials {
        let text = self.text(None, &REDIS_PASSWORD).map(Password::Text);
        let file = self.text(None, &REDIS_PASSWORD_FILE).map(|path| Password::File(path.into()));
        if text.is_some() && file.is_some() {
            self.fault(&REDIS_PASSWORD, "REDIS_PASSWORD_FILE is set too: set one of them");
        }
        Credentials { username: self.text(None, &REDIS_USERNAME), password: text.or(file) }
    }

    /// Whom to trust over TLS, and what to show. Files that would not be used are a fault where a Redis is reached
    /// without: whoever sets them counts on its being secret.
    fn tls(&mut self, store: Option<Address>) -> Option<Address> {
        let file = |setting| self.text(None, setting).map(PathBuf::from);
        let (ca_file, cert_file, key_file) = (file(&REDIS_CA_FILE), file(&REDIS_CERT_FILE), file(&REDIS_KEY_FILE));
        let store = store?;
        let set = [
            (&REDIS_CA_FILE, ca_file.is_some()),
            (&REDIS_CERT_FILE, cert_file.is_some()),
            (&REDIS_KEY_FILE, key_file.is_some()),
        ];
        if !store.is_tls() && store.file().is_none() {
            for (setting, _) in set.iter().filter(|(_, is_set)| *is_set) {
                let fault = format!("the store is reached without TLS: set STORE_URL to rediss://, not to {store}");
                self.fault(setting, &fault);
            }
        }
        let client = match (cert_file, key_file) {
            (Some(cert_file), Some(key_file)) => Some(ClientFiles { cert_file, key_file }),
            (None, None) => None,
            (Some(_), None) => {
                self.fault(&REDIS_CERT_FILE, "REDIS_KEY_FILE, the certificate's key, is not set");
                None
            }
            (None, Some(_)) => {
                self.fault(&REDIS_KEY_FILE, "REDIS_CERT_FILE, the certificate of that key, is not set");
                None
            }
        };
        Some(store.with_tls(Tls { ca_file, client }))
    }

    pub(super) fn zip_url(&mut self, flag: Option<String>, allow_http: Option<String>) -> Option<Origin> {
        let from_flag = flag.as_ref().is_some_and(|url| !url.is_empty());
        let allow_http = self.parse(allow_http, &ZIP_ALLOW_HTTP, yes_or_no);
        let text = self.text(flag, &ZIP_URL)?;
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
        self.fault(&ZIP_URL, &fault);
        None
    }

    pub(super) fn loading(&mut self, flags: LoadingFlags) -> Loading {
        let (key, pin, max) = (flags.plugin_public_key, flags.zip_sha256, flags.zip_max_bytes);
        let public_key = self.parse_if_set(key, &PLUGIN_PUBLIC_KEY, |key| key.parse());
        let zip_sha256 = self.parse_if_set(pin, &ZIP_SHA256, sha256_digits);
        Loading {
            state_dir: self.text(flags.state_dir, &STATE_DIR).map(PathBuf::from),
            trust: Trust { public_key, zip_sha256 },
            zip_max_bytes: self.parse(max, &settings::ZIP_MAX_BYTES, bytes),
            python_plugin: self.text(flags.python_plugin, &PYTHON_PLUGIN).map(PathBuf::from),
        }
    }

    fn output_key(&mut self, flag: Option<String>) -> Option<String> {
        let key = self.text(flag, &REDIS_OUTPUT_KEY);
        if key.is_none() {
            self.fault(&REDIS_OUTPUT_KEY, "it is required: the key that results are written to");
        }
        key
    }

    pub(super) fn output(&mut self, key: &str) -> Option<Keys> {
        Keys::of(key).map_err(|error| self.fault(&REDIS_OUTPUT_KEY, &error.to_string())).ok()
    }

    /// The patterns of input and output.
    pub(super) fn pattern(
        &mut self,
        input: &str,
        output: &str,
        trigger: TriggerKind,
        store: Option<&Address>,
    ) -> Option<(Pattern, Pattern)> {
        if trigger == TriggerKind::Stream {
            self.fault(&REDIS_INPUT_KEY, "a pattern can't be read as a stream: use poll or push");
        }
        if store.is_some_and(|store| store.file().is_some()) {
            self.fault(&REDIS_INPUT_KEY, "a SQLite file has no patterns: name one key, or use a Redis");
        }
        let fault = |reader: &mut Self, setting, fault: String| reader.fault(setting, &fault);
        let read: Pattern = input.parse().map_err(|why| fault(self, &REDIS_INPUT_KEY, why)).ok()?;
        let written: Pattern = output
            .parse()
            .map_err(|why| {
                let why = format!("{why}, which stands for the same text as in the input key {input:?}");
                fault(self, &REDIS_OUTPUT_KEY, why);
            })
            .ok()?;
        if let Ok(Some(key)) = looping_key(&read, output) {
            let why = format!("the input key {input:?} may match the key {key:?} that is written: a loop");
            self.fault(&REDIS_OUTPUT_KEY, &why);
        }
        Some((read, written))
    }

    /// A stream for the results, which is none of the keys that are read or written already.
    pub(super) fn output_stream(&mut self, flag: Option<String>, taken: &[&str], is_plain: bool) -> Option<String> {
        let stream = self.text(flag, &REDIS_OUTPUT_STREAM)?;
        if taken.contains(&stream.as_str()) {
            let fault = format!("the key {stream:?} is read or written already: name another one");
            self.fault(&REDIS_OUTPUT_STREAM, &fault);
        }
        if !is_plain {
            self.fault(&REDIS_OUTPUT_STREAM, "it needs a Redis, and an input key that is no pattern");
        }
        Some(stream)
    }

    /// Sees that what one commit works on is in one slot of a cluster.
    pub(super) fn one_slot(&mut self, output: &str, input: Option<&str>, output_stream: Option<&str>) {
        if let Some(input) = input.filter(|input| slot(input) != slot(output)) {
            let advice = tagged(output, input);
            let fault = format!("the stream {input:?} is in another slot of the cluster than {output:?}: {advice}");
            self.fault(&REDIS_OUTPUT_KEY, &fault);
        }
        if let Some(stream) = output_stream.filter(|stream| slot(stream) != slot(output)) {
            let advice = tagged(stream, output);
            let fault = format!("{stream:?} is in another slot of the cluster than {output:?}: {advice}");
            self.fault(&REDIS_OUTPUT_STREAM, &fault);
        }
    }

    /// How a stream is read.
    pub(super) fn streams(&mut self, flags: StreamFlags, stream: &str) -> Streams {
        let group = Group {
            stream: stream.to_owned(),
            name: self.text_or_default(flags.stream_group, &STREAM_GROUP),
            consumer: self.text_or_default(flags.stream_consumer, &STREAM_CONSUMER),
        };
        let batch = |text: &str| at_least_one(text, BATCH_MAX);
        Streams {
            group,
            batch: self.parse(flags.stream_batch, &STREAM_BATCH, batch) as usize,
            claim_idle: self.parse(flags.stream_claim_idle, &STREAM_CLAIM_IDLE, seconds_or_never),
        }
    }

    pub(super) fn retries(&mut self, max_attempts: Option<String>) -> Retries {
        let any = |text: &str| at_least_one(text, u32::MAX);
        Retries { max_attempts: self.parse(max_attempts, &MAX_ATTEMPTS, any), dead_max: self.dead_max() }
    }

    /// How many events are kept aside.
    pub(super) fn dead_max(&mut self) -> usize {
        self.parse(None, &DEAD_MAX, |text| at_least_one(text, u32::MAX)) as usize
    }

    pub(super) fn limits(&mut self) -> Limits {
        let mut limit = |setting| usize::try_from(self.parse(None, setting, bytes)).unwrap_or(usize::MAX);
        Limits { input: limit(&INPUT_MAX_BYTES), output: limit(&OUTPUT_MAX_BYTES), env: limit(&ENV_MAX_BYTES) }
    }

    pub(super) fn period(&mut self, flag: Option<String>) -> Duration {
        let setting = match self.text(None, &MONITORING_PERIOD) {
            None if self.text(None, &INTERVAL).is_some() => &INTERVAL,
            _ => &MONITORING_PERIOD,
        };
        self.parse(flag, setting, seconds)
    }
}

/// What puts a key where another one is.
fn tagged(key: &str, other: &str) -> String {
    let tagged = format!("{{{other}}}:{key}");
    match slot(&tagged) == slot(other) {
        true => format!("name it {tagged:?}, whose hash tag is that key"),
        false => "give both the same hash tag, as {a}:in and {a}:out have".to_owned(),
    }
}
