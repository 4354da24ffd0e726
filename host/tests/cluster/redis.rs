//! A Redis beside the cluster, and what it is asked.

use std::process::{Child, Command, Stdio};

use serde_json::Value;

use crate::support::wait_for;

/// A Redis outside of the cluster, on all addresses of the node.
pub struct Outside {
    child: Child,
    pub url: String,
    _folder: tempfile::TempDir,
}

impl Outside {
    /// One that asks for no password.
    pub fn start() -> Outside {
        Outside::start_with(&[], "redis://127.0.0.1:6379")
    }

    pub fn with_password(password: &str) -> Outside {
        Outside::start_with(&["--requirepass", password], &format!("redis://:{password}@127.0.0.1:6379"))
    }

    fn start_with(arguments: &[&str], url: &str) -> Outside {
        let folder = tempfile::tempdir().unwrap();
        let child = Command::new("redis-server")
            .args(["--bind", "0.0.0.0", "--protected-mode", "no", "--save", "", "--dir"])
            .arg(folder.path())
            .args(arguments)
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        let redis = Outside { child, url: url.to_owned(), _folder: folder };
        wait_for("a Redis", || try_ask(&redis.url, &["PING"]));
        redis
    }
}

impl Drop for Outside {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

/// What a Redis says to a command; none where it can't be asked.
pub fn try_ask(url: &str, words: &[&str]) -> Option<::redis::Value> {
    let mut connection = ::redis::Client::open(url).unwrap().get_connection().ok()?;
    ::redis::cmd(words[0]).arg(&words[1..]).query(&mut connection).ok()
}

pub fn ask(url: &str, words: &[&str]) -> ::redis::Value {
    try_ask(url, words).unwrap_or_else(|| panic!("{words:?} failed"))
}

/// The JSON in a key.
pub fn result(url: &str, key: &str) -> Option<Value> {
    let mut connection = ::redis::Client::open(url).unwrap().get_connection().ok()?;
    let bytes: Option<Vec<u8>> = ::redis::cmd("GET").arg(key).query(&mut connection).ok()?;
    Some(serde_json::from_slice(&bytes?).unwrap())
}
