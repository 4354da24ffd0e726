//! What to connect to: what may be saved of it, and the secret that may not.

use std::fmt;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use store::{Address, Keys, Pattern};

/// The key that holds the raw input, unless another is named.
pub const INPUT_KEY: &str = "metrics";

/// The keys that hold raw input where the results are those of a pattern, unless others are named.
pub const INPUT_KEYS: &str = "metrics:*";

/// The key that holds the result, unless another is named: the one that `plugin-host dev` writes.
pub const OUTPUT_KEY: &str = "metrics-output";

/// Where `--ssh` looks unless a store is named.
pub const STORE_BEHIND_SSH: &str = "redis://127.0.0.1:6379";

/// A place to watch, as it is saved and typed: it holds no secret.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Profile {
    /// What it is called in the list.
    pub name: String,
    /// The alias or host that `ssh` is given; empty: no SSH.
    pub ssh: String,
    /// The store's address, as seen from the SSH host if there is one; empty: [`STORE_BEHIND_SSH`] with SSH.
    pub store: String,
    /// The ACL user; empty: the server's default user.
    pub username: String,
    /// The key that holds the result, or a pattern of such keys; empty: [`OUTPUT_KEY`].
    pub output_key: String,
    /// The key that holds the raw input; empty: [`INPUT_KEY`], or [`INPUT_KEYS`] with a pattern.
    pub input_key: String,
    /// Seconds between results; empty: what the host says, else 5.
    pub period: String,
}

/// Where a password comes from. It is never saved, and `Debug` hides it.
#[derive(Clone, PartialEq, Eq, Default)]
pub enum Secret {
    /// There is none.
    #[default]
    None,
    /// Typed, or from `REDIS_PASSWORD`.
    Text(String),
    /// `REDIS_PASSWORD_FILE`, read at each connection.
    File(PathBuf),
}

/// A profile that was found to be usable, and its secret.
#[derive(Debug, Clone)]
pub struct Target {
    /// What it was made of.
    pub profile: Profile,
    /// The alias that `ssh` is given.
    pub ssh: Option<String>,
    /// The store, as seen from the SSH host if there is one.
    pub address: Address,
    /// The ACL user.
    pub username: Option<String>,
    /// The password.
    pub secret: Secret,
    /// The result and its companions; of a pattern as if it were a key.
    pub keys: Keys,
    /// The raw input; its `*`, if there is one, stands for the same text as in the pattern.
    pub input_key: String,
    /// The pattern, where the results of many machines are watched.
    pub pattern: Option<Pattern>,
    /// Seconds between results, where the user has said so.
    pub period: Option<f64>,
}

impl Profile {
    /// What it is called: its name, else what it leads to.
    pub fn title(&self) -> String {
        if !self.name.is_empty() {
            return self.name.clone();
        }
        format!("{} in {}", or(&self.output_key, OUTPUT_KEY), self.place())
    }

    /// Where it leads to.
    pub fn place(&self) -> String {
        match (self.ssh.trim(), self.store.trim()) {
            ("", store) => store.to_owned(),
            (ssh, "") => ssh.to_owned(),
            (ssh, store) => format!("{store} on {ssh}"),
        }
    }

    /// Makes it usable.
    ///
    /// # Errors
    ///
    /// All that is wrong with it, each in a sentence that says what to do.
    pub fn target(&self, secret: Secret) -> Result<Target, Vec<String>> {
        let mut faults = Vec::new();
        let ssh = Some(self.ssh.trim()).filter(|alias| !alias.is_empty()).map(str::to_owned);
        if let Some(alias) = &ssh
            && let Err(fault) = check_alias(alias)
        {
            faults.push(fault);
        }
        let address = self.address(ssh.is_some()).map_err(|fault| faults.push(fault)).ok();
        let output_key = or(&self.output_key, OUTPUT_KEY);
        let keys = Keys::of(output_key).map_err(|error| faults.push(error.to_string())).ok();
        let period = self.period().map_err(|fault| faults.push(fault)).ok().flatten();
        let pattern = self.pattern(address.as_ref()).map_err(|fault| faults.push(fault)).ok().flatten();
        let input_key = or(&self.input_key, if pattern.is_some() { INPUT_KEYS } else { INPUT_KEY });
        match (address, keys) {
            (Some(address), Some(keys)) if faults.is_empty() => Ok(Target {
                profile: self.clone(),
                ssh,
                address,
                username: Some(self.username.trim()).filter(|name| !name.is_empty()).map(str::to_owned),
                secret,
                keys,
                input_key: input_key.to_owned(),
                pattern,
                period,
            }),
            _ => Err(faults),
        }
    }

    fn address(&self, through_ssh: bool) -> Result<Address, String> {
        let text = match self.store.trim() {
            "" if through_ssh => STORE_BEHIND_SSH,
            "" => return Err(format!("name the store, for example {STORE_BEHIND_SSH} or sqlite:PATH")),
            text => text,
        };
        let address = Address::parse(text).map_err(|error| error.to_string())?;
        if address.has_password() {
            return Err("the store's address holds a password: leave it out and give it in its own field or in \
                        REDIS_PASSWORD, since addresses are saved and shown"
                .to_owned());
        }
        if through_ssh && (!address.is_one_host() || address.port() == 0) {
            return Err(format!(
                "{address} can't be reached through SSH, which joins TCP connections only, and one at a time: name \
                 redis://HOST:PORT or rediss://HOST:PORT as the SSH host sees it"
            ));
        }
        if through_ssh && address.host().starts_with('-') {
            return Err(format!(
                "the store's host {:?} starts with a dash: ssh would take it for an option",
                address.host()
            ));
        }
        Ok(address)
    }

    /// The pattern, if the output key is one.
    fn pattern(&self, address: Option<&Address>) -> Result<Option<Pattern>, String> {
        let output_key = or(&self.output_key, OUTPUT_KEY);
        if !output_key.contains('*') {
            return Ok(None);
        }
        if address.is_some_and(|address| address.file().is_some()) {
            return Err("a SQLite file has no patterns of keys: name one output key".to_owned());
        }
        if self.input_key.contains('*') {
            self.input_key.trim().parse::<Pattern>()?;
        }
        output_key.parse().map(Some)
    }

    fn period(&self) -> Result<Option<f64>, String> {
        match self.period.trim() {
            "" => Ok(None),
            text => match text.parse::<f64>() {
                Ok(seconds) if (0.01..=86_400.0).contains(&seconds) => Ok(Some(seconds)),
                _ => Err(format!("period {text:?} is not between 0.01 and 86400 seconds")),
            },
        }
    }
}

impl Target {
    /// The same for one of the machines behind the pattern.
    ///
    /// # Errors
    ///
    /// There is no pattern, or the machine's output can't have companion keys.
    pub fn machine(&self, name: &str) -> Result<Target, String> {
        let pattern = self.pattern.as_ref().ok_or("the output key is no pattern")?;
        let keys = Keys::of(&pattern.with(name)).map_err(|error| error.to_string())?;
        Ok(Target { keys, input_key: self.input_key.replacen('*', name, 1), pattern: None, ..self.clone() })
    }
}

/// `text`, or `usual` where there is none.
fn or<'a>(text: &'a str, usual: &'a str) -> &'a str {
    match text.trim() {
        "" => usual,
        text => text,
    }
}

/// Refuses what `ssh` would take for an option or for nothing.
fn check_alias(alias: &str) -> Result<(), String> {
    if alias.starts_with('-') {
        return Err(format!("SSH host {alias:?} starts with a dash: ssh would take it for an option"));
    }
    if alias.chars().any(|c| c.is_control() || c.is_whitespace()) {
        return Err(format!("SSH host {alias:?} holds a space or a control character"));
    }
    Ok(())
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Secret::None => f.write_str("None"),
            Secret::Text(_) => f.write_str("Text(hidden)"),
            Secret::File(path) => write!(f, "File({path:?})"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn profile() -> Profile {
        Profile { store: "redis://db:6380/2".to_owned(), output_key: "out".to_owned(), ..Profile::default() }
    }

    fn faults(profile: &Profile) -> String {
        profile.target(Secret::None).unwrap_err().join("; ")
    }

    #[test]
    fn a_store_and_an_output_key_are_enough() {
        let target = profile().target(Secret::None).unwrap();
        assert_eq!((target.ssh, target.input_key.as_str(), target.period), (None, "metrics", None));
        assert_eq!(target.keys.status, "{out}:status");
    }

    #[test]
    fn behind_ssh_the_store_is_that_hosts_own_redis() {
        let target = Profile { ssh: "web".to_owned(), store: String::new(), ..profile() }.target(Secret::None).unwrap();
        assert_eq!((target.address.host(), target.address.port()), ("127.0.0.1", 6379));
    }

    #[test]
    fn what_ssh_would_take_for_an_option_is_refused() {
        assert!(faults(&Profile { ssh: "-oProxyCommand=x".to_owned(), ..profile() }).contains("dash"));
        let host = Profile { ssh: "web".to_owned(), store: "redis://-oX:1".to_owned(), ..profile() };
        assert!(host.target(Secret::None).is_err());
        assert!(faults(&Profile { ssh: "a b".to_owned(), ..profile() }).contains("space"));
    }

    #[test]
    fn a_file_can_not_be_reached_through_ssh() {
        let file = Profile { ssh: "web".to_owned(), store: "sqlite:dev.db".to_owned(), ..profile() };
        assert!(faults(&file).contains("TCP connections only"));
    }

    #[test]
    fn what_is_not_one_server_can_be_reached_without_ssh_only() {
        for store in ["redis+sentinel://a,b/main", "redis+cluster://a", "unix:/run/redis.sock"] {
            let direct = Profile { store: store.to_owned(), ..profile() };
            assert!(direct.target(Secret::None).is_ok(), "{store}");
            let through = faults(&Profile { ssh: "web".to_owned(), ..direct });
            assert!(through.contains("through SSH") && through.contains("redis://HOST:PORT"), "{through}");
        }
    }

    #[test]
    fn a_pattern_leads_to_its_machines() {
        let pattern = Profile { output_key: "report:*".to_owned(), ..profile() };
        let target = pattern.target(Secret::None).unwrap();
        assert_eq!((target.keys.status.as_str(), target.input_key.as_str()), ("{report:*}:status", "metrics:*"));
        let machine = target.machine("web").unwrap();
        assert_eq!(
            (machine.keys.history.as_str(), machine.input_key.as_str()),
            ("{report:web}:history", "metrics:web")
        );
        assert!(machine.machine("web").is_err() && target.machine("a}b").is_err());
        let twice = Profile { output_key: "*:*".to_owned(), ..profile() };
        assert!(faults(&twice).contains("more than one"));
        let file = Profile { store: "sqlite:dev.db".to_owned(), ..pattern };
        assert!(faults(&file).contains("SQLite"));
    }

    #[test]
    fn a_password_in_an_address_is_refused_and_not_repeated() {
        let faults = faults(&Profile { store: "redis://me:hunter2@db".to_owned(), ..profile() });
        assert!(faults.contains("holds a password") && !faults.contains("hunter2"), "{faults}");
    }

    #[test]
    fn all_faults_are_told_together() {
        let wrong = Profile {
            store: "nonsense".to_owned(),
            period: "0".to_owned(),
            ssh: "-x".to_owned(),
            ..Profile::default()
        };
        assert_eq!(wrong.target(Secret::None).unwrap_err().len(), 3, "{wrong:?}");
    }

    #[test]
    fn a_secret_is_neither_shown_nor_saved() {
        let target = profile().target(Secret::Text("hunter2".to_owned())).unwrap();
        assert!(!format!("{target:?}").contains("hunter2"));
        assert!(!serde_json::to_string(&target.profile).unwrap().contains("hunter2"));
    }
}
