//! The command line.

use std::path::{Path, PathBuf};

use clap::Parser;
use store::{ClientFiles, Tls};

use crate::profile::{Profile, Secret};
use crate::state::{Login, View};

/// Shows what a plugin-host makes of its inputs: gauges, bars and history, also through SSH.
///
/// With none of the first four options it opens what was open last, else the file that `plugin-host dev` writes in this
/// folder's target folder or one above, or beside a module in Python, else a form.
#[derive(Debug, Clone, Parser)]
#[command(name = "plugin-viewer", version)]
pub struct Args {
    /// Go through this host: an alias or name, as for the command ssh, which is what connects
    #[arg(long, value_name = "ALIAS", allow_hyphen_values = true)]
    pub ssh: Option<String>,

    /// The store: redis://HOST:PORT[/DB] or rediss://…, with --ssh as that host sees it; without --ssh also
    /// redis+sentinel://…, redis+cluster://…, unix:PATH or sqlite:PATH
    /// [default with --ssh: redis://127.0.0.1:6379]
    #[arg(long, value_name = "URL")]
    pub store: Option<String>,

    /// The key that the host writes its results to, or a pattern with one *, such as 'report:*': then all machines are
    /// listed, and one is opened at a click [default: metrics-output]
    #[arg(long, value_name = "KEY")]
    pub output_key: Option<String>,

    /// The key that holds the raw input; with a pattern its * stands for the same text [default: metrics, or metrics:*]
    #[arg(long, value_name = "KEY")]
    pub input_key: Option<String>,

    /// Seconds between results [default: what the host says, else 5]
    #[arg(long, value_name = "SECONDS")]
    pub period: Option<String>,

    /// Play a file that was exported, or any file with one JSON result a line
    #[arg(long, value_name = "FILE", conflicts_with_all = ["ssh", "store"])]
    pub replay: Option<PathBuf>,

    /// Play it this many times as fast
    #[arg(long, value_name = "FACTOR", default_value_t = 1.0, requires = "replay", value_parser = speed)]
    pub speed: f64,

    /// The page to begin with
    #[arg(long, value_enum, default_value_t)]
    pub page: View,

    /// Write a picture of the window to this PNG file once there is something to see, after a minute at most, and end
    #[arg(long, value_name = "FILE")]
    pub screenshot: Option<PathBuf>,
}

impl Args {
    /// The profile that the options name; none where none of them is given.
    pub fn profile(&self) -> Option<Profile> {
        let given = [&self.ssh, &self.store, &self.output_key, &self.input_key].iter().any(|option| option.is_some());
        given.then(|| Profile {
            name: String::new(),
            ssh: self.ssh.clone().unwrap_or_default(),
            store: self.store.clone().unwrap_or_default(),
            username: String::new(),
            output_key: self.output_key.clone().unwrap_or_default(),
            input_key: self.input_key.clone().unwrap_or_default(),
            period: self.period.clone().unwrap_or_default(),
        })
    }
}

/// User and password, as the environment has them; an empty variable counts as unset.
pub fn login(variable: impl Fn(&str) -> Option<String>) -> Login {
    let set = |name: &str| variable(name).filter(|text| !text.is_empty());
    let secret = match (set("REDIS_PASSWORD"), set("REDIS_PASSWORD_FILE")) {
        (Some(text), _) => Secret::Text(text),
        (None, Some(path)) => Secret::File(path.into()),
        (None, None) => Secret::None,
    };
    Login { username: set("REDIS_USERNAME"), secret }
}

/// The files for `rediss://`, as the environment has them.
///
/// # Errors
///
/// A certificate without its key, or a key without its certificate.
pub fn tls(variable: impl Fn(&str) -> Option<String>) -> Result<Tls, String> {
    let file = |name: &str| variable(name).filter(|text| !text.is_empty()).map(PathBuf::from);
    let client = match (file("REDIS_CERT_FILE"), file("REDIS_KEY_FILE")) {
        (Some(cert_file), Some(key_file)) => Some(ClientFiles { cert_file, key_file }),
        (None, None) => None,
        _ => return Err("set both REDIS_CERT_FILE and REDIS_KEY_FILE, or neither".to_owned()),
    };
    Ok(Tls { ca_file: file("REDIS_CA_FILE"), client })
}

/// The profile of the file that `plugin-host dev` writes, if it is there: in the target folder of `folder` or of one
/// above it, or beside a module in Python.
pub fn dev_profile(folder: &Path, target: Option<&Path>) -> Option<Profile> {
    let targets = target.map(Path::to_owned).into_iter().chain(folder.ancestors().map(|folder| folder.join("target")));
    let folders = targets.map(|target| target.join("plugin-host")).chain([folder.join(".plugin-host")]);
    let file = folders.map(|folder| folder.join("dev.db")).find(|file| file.is_file())?;
    Some(Profile { name: "dev".to_owned(), store: format!("sqlite:{}", file.display()), ..Profile::default() })
}

fn speed(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(factor) if (0.1..=10_000.0).contains(&factor) => Ok(factor),
        _ => Err("it is not between 0.1 and 10000".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_line_is_well_formed() {
        Args::command().debug_assert();
    }

    #[test]
    fn an_alias_alone_is_enough() {
        let args = Args::parse_from(["plugin-viewer", "--ssh", "web"]);
        assert!(args.profile().unwrap().target(Secret::None).is_ok());
        assert_eq!(Args::parse_from(["plugin-viewer"]).profile(), None);
    }

    #[test]
    fn an_alias_with_a_dash_reaches_the_check_that_refuses_it() {
        let args = Args::parse_from(["plugin-viewer", "--ssh", "-oProxyCommand=x"]);
        assert!(args.profile().unwrap().target(Secret::None).unwrap_err()[0].contains("dash"));
    }

    #[test]
    fn the_file_of_dev_is_found_from_below() {
        let folder = tempfile::tempdir().unwrap();
        let below = folder.path().join("plugins/metrics");
        std::fs::create_dir_all(&below).unwrap();
        assert_eq!(dev_profile(&below, None), None);
        let database = folder.path().join("target/plugin-host/dev.db");
        std::fs::create_dir_all(database.parent().unwrap()).unwrap();
        std::fs::write(&database, "").unwrap();
        let profile = dev_profile(&below, None).unwrap();
        assert_eq!(profile.store, format!("sqlite:{}", database.display()));

        let beside_a_module = folder.path().join("module/.plugin-host/dev.db");
        std::fs::create_dir_all(beside_a_module.parent().unwrap()).unwrap();
        std::fs::write(&beside_a_module, "").unwrap();
        std::fs::remove_file(&database).unwrap();
        let profile = dev_profile(&folder.path().join("module"), None).unwrap();
        assert_eq!(profile.store, format!("sqlite:{}", beside_a_module.display()));
    }

    #[test]
    fn a_certificate_needs_its_key() {
        let only = |set: &'static str| move |name: &str| (name == set).then(|| "/a.pem".to_owned());
        assert_eq!(tls(only("REDIS_CA_FILE")).unwrap().ca_file, Some("/a.pem".into()));
        assert!(tls(only("REDIS_CERT_FILE")).is_err() && tls(only("REDIS_KEY_FILE")).is_err());
    }

    #[test]
    fn an_empty_variable_counts_as_unset() {
        let variables = |name: &str| match name {
            "REDIS_PASSWORD" => Some(String::new()),
            "REDIS_PASSWORD_FILE" => Some("/run/secret".to_owned()),
            _ => None,
        };
        assert_eq!(login(variables), Login { username: None, secret: Secret::File("/run/secret".into()) });
    }
}
