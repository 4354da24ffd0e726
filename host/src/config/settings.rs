//! Every variable that the host reads, with its flag, its default and what it means. The parser takes no other, `--help`
//! shows them, and `docs/reference.md` is written from them.

/// A variable, and the flag that wins over it.
#[derive(Debug, Clone, Copy)]
pub struct Setting {
    /// The variable's name.
    pub variable: &'static str,
    /// The flag, with its dashes; empty where there is none.
    pub flag: &'static str,
    /// The value that holds where none is given, as text that the parser reads; none where `otherwise` says what holds.
    pub default: Option<&'static str>,
    /// What holds where none is given and there is no such value.
    pub otherwise: Option<&'static str>,
    /// What it means: in Markdown, on one line.
    pub meaning: &'static str,
}

/// Settings that belong together.
#[derive(Debug)]
pub struct Topic {
    /// What they are about.
    pub name: &'static str,
    /// They.
    pub settings: &'static [&'static Setting],
}

impl Setting {
    /// What `--help` says of the flag.
    pub(crate) fn help(&self) -> String {
        let variable = match self.variable == MONITORING_PERIOD.variable {
            true => format!("{} or {}", MONITORING_PERIOD.variable, INTERVAL.variable),
            false => self.variable.to_owned(),
        };
        format!("{} [env: {variable}]{}", plain(self.meaning), self.shown_default())
    }

    fn shown_default(&self) -> String {
        match self.default.or(self.otherwise) {
            Some(default) => format!(" [default: {default}]"),
            None => String::new(),
        }
    }
}

/// The variables that have no flag, for `--help`.
pub(crate) fn without_flags() -> String {
    let mut text = "Variables without flags:".to_owned();
    for setting in TOPICS.iter().flat_map(|topic| topic.settings).filter(|setting| setting.flag.is_empty()) {
        let line = format!("\n  {:<21} {}{}", setting.variable, plain(setting.meaning), setting.shown_default());
        text.push_str(&line);
    }
    text
}

/// Markdown as a terminal shows it.
fn plain(markdown: &str) -> String {
    markdown.replace('`', "")
}

/// Makes a constant of each setting, named as its variable, and a list of all: `= "…"` is a default that the parser reads,
/// `else "…"` says what holds otherwise.
macro_rules! settings {
    ($($topic:literal {
        $($name:ident $flag:literal $(= $default:literal)? $(else $otherwise:literal)? : $meaning:literal;)*
    })*) => {
        $($(
            pub(crate) const $name: Setting = Setting {
                variable: stringify!($name),
                flag: $flag,
                default: settings!(@maybe $($default)?),
                otherwise: settings!(@maybe $($otherwise)?),
                meaning: $meaning,
            };
        )*)*

        /// All of them.
        pub const TOPICS: &[Topic] = &[$(Topic { name: $topic, settings: &[$(&$name),*] }),*];
    };
    (@maybe) => { None };
    (@maybe $text:literal) => { Some($text) };
}

settings! {
    "Store" {
        STORE_URL "--store" else "made of REDIS_HOST, REDIS_PORT":
            "Where data lies: `redis://[USER[:PASSWORD]@]HOST[:PORT][/DB]`; \
             `redis+sentinel://[USER[:PASSWORD]@]HOST[:PORT],…/MASTER[/DB]`, whose sentinels are asked for the master of that \
             name; `redis+cluster://[USER[:PASSWORD]@]HOST[:PORT],…`, some of a cluster's servers; each of these with \
             `rediss` for TLS; `unix:PATH[?db=N]`; `sqlite:PATH`. A flag with a password is refused";
        REDIS_HOST "" = "localhost": "The Redis to use where `STORE_URL` is unset";
        REDIS_PORT "" = "6379": "Its port; `tcp://HOST:PORT`, as Kubernetes injects it, is understood";
        REDIS_USERNAME "": "The user to sign in as";
        REDIS_PASSWORD "": "The password; never given as a flag, which every user of the machine could read";
        REDIS_PASSWORD_FILE "": "A file that holds the password, read at each connection";
        REDIS_CA_FILE "" else "the system's": "Certificates of the authorities to trust for `rediss://`";
        REDIS_CERT_FILE "": "A certificate to show to a Redis that asks for one";
        REDIS_KEY_FILE "": "The key of that certificate";
    }
    "Data" {
        REDIS_INPUT_KEY "--input-key" = "metrics": "The key to read, the stream, or a pattern with one `*`";
        REDIS_OUTPUT_KEY "--output-key":
            "The key to write results to; required. With a pattern as input its `*` stands for the same text";
        REDIS_OUTPUT_STREAM "--output-stream": "A stream that each result is appended to as well, field `data`";
        ENV_IDLE "--env-idle" = "600":
            "Patterns: seconds after which an env that was not touched leaves memory; it stays in the store";
        HISTORY_LENGTH "--history-length" = "720": "Results kept in the history, 0 for none";
    }
    "Trigger" {
        TRIGGER "--trigger" = "poll":
            "When to call the handler: `poll` (look every period, call when the bytes changed), `push` (as soon as the key is \
             written), `stream` (each entry of a stream, in a consumer group: its field `data`, else a JSON object of its \
             fields) or `timer` (every period, with the input `null`)";
        MONITORING_PERIOD "--period" = "5": "Seconds between looks, fractions allowed";
        INTERVAL "--period" = "5": "Another name of `MONITORING_PERIOD`, which wins";
        STREAM_GROUP "--stream-group" = "plugin-host": "The consumer group";
        STREAM_CONSUMER "--stream-consumer" = "main": "The consumer in the group; any but `main` has an env of its own";
        STREAM_BATCH "--stream-batch" = "100": "Entries that are called and committed at once";
        STREAM_CLAIM_IDLE "--stream-claim-idle" = "60":
            "Seconds after which another consumer's entry that was not acknowledged is taken over, 0 for never";
    }
    "Plugin" {
        HANDLER_PATH "--plugin" else "/opt/plugin, or else /opt/usermodule.py":
            "The plugin: a shared library, a ZIP, a module in Python (`.py`), or a folder that holds one of them";
        HANDLER_FUNCTION "--handler" = "handler":
            "The handler: its symbol, or `library.symbol` where a folder or ZIP holds several; in Python `function`, or \
             `module.function`";
        RELOAD_PERIOD "--reload-period" = "1": "Seconds between looks for a new version of the plugin, 0 for never";
        PLUGIN_PUBLIC_KEY "--plugin-public-key":
            "A minisign public key: whatever has no matching signature beside it (`FILE.minisig`) is refused";
        PYTHON_PLUGIN "--python-plugin" else "libpython_handler.so beside this program":
            "The plugin that loads modules in Python";
        STATE_DIR "--state-dir" else "the temporary folder":
            "Where a private folder for copies of plugins is made, and where it stands which events are being called";
    }
    "ZIP" {
        ZIP_URL "--zip-url":
            "A ZIP to load the plugin from, instead of a path: `https://` or `file://`. User and password can stand in the \
             variable only";
        ZIP_SHA256 "--zip-sha256": "The SHA-256 that the ZIP must have";
        ZIP_REFRESH "--zip-refresh" = "0": "Seconds between questions whether the ZIP at the URL has changed, 0 for never";
        ZIP_MAX_BYTES "--zip-max-bytes" = "64MiB":
            "The largest ZIP that is taken, in bytes or with KiB, MiB or GiB; unpacked it may have four times as many";
        ZIP_ALLOW_HTTP "--zip-allow-http" = "false":
            "Whether the ZIP may come over `http://`, where everybody on the way can change it";
    }
    "Failures" {
        HANDLER_TIMEOUT "--handler-timeout" = "30":
            "Seconds that a call may take; over it, the process that calls is replaced";
        MAX_ATTEMPTS "--max-attempts" = "3": "Calls of one event before it is set aside";
        DEAD_MAX "" = "1000": "Events that are kept aside";
        LEASE_PERIOD "--lease-period" = "5":
            "Seconds after which the place of a silent host is free for another with the same output key";
        INPUT_MAX_BYTES "" = "16MiB": "Bytes of one event; more fails the call";
        OUTPUT_MAX_BYTES "" = "16MiB": "Bytes of one result; more fails the call";
        ENV_MAX_BYTES "" = "16MiB": "Bytes of one env; more fails the call";
        MEMORY_LIMIT "" else "80 % of the cgroup's limit":
            "Bytes that the process that calls may allocate, 32MiB at least";
    }
    "Operation" {
        HTTP_ADDR "--http" = "127.0.0.1:8080":
            "Where `/livez`, `/readyz`, `/status` (JSON) and `/metrics` (Prometheus) are served, or `off`";
        LOG_FORMAT "--log-format" = "text": "How log records are written, on standard error: `text` or `json`";
        RUST_LOG "" = "info": "Which log records are written";
        SSL_CERT_FILE "" else "the system's": "Certificates of the authorities to trust for `https://`";
        HTTPS_PROXY "": "The proxy to take for `https://`";
        HTTP_PROXY "": "The proxy to take for `http://`";
        NO_PROXY "": "The hosts that need none";
    }
}
