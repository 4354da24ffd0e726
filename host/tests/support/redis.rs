//! A real Redis for one test, and a host that works on it.

use std::process::Command;

use serde_json::Value;
use store::testing::RedisServer;
use store::{Address, Credentials, Keys, Saved, Store};

use super::{Host, plugin, text, wait_for};

/// A Redis and a way to look into it.
pub struct Redis {
    pub server: RedisServer,
    pub store: Store,
    pub keys: Keys,
    pub runtime: tokio::runtime::Runtime,
}

impl Redis {
    pub fn start() -> Redis {
        Redis::with(RedisServer::options().appendonly().arg("--appendfsync").arg("always").start())
    }

    pub fn with(server: RedisServer) -> Redis {
        Redis {
            store: Store::new(Address::parse(&server.url()).unwrap(), Credentials::default()),
            keys: Keys::of("out").unwrap(),
            runtime: tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap(),
            server,
        }
    }

    /// Runs a handler of the fixture with this store.
    pub fn host(&self, handler: &str, variables: &[(&str, &str)]) -> Host {
        let url = self.server.url();
        let mut all = vec![("STORE_URL", url.as_str()), ("HANDLER_FUNCTION", handler)];
        all.extend_from_slice(variables);
        Host::start(&plugin(if handler == "handler" { "metrics" } else { "fixture" }), &all)
    }

    pub fn write(&self, input: &str) {
        // After a restart of the server the first try finds the old connection broken.
        wait_for("a write", || self.runtime.block_on(self.store.write("metrics", input.as_bytes())).ok());
    }

    /// What `redis-cli` says to a command.
    pub fn cli(&self, words: &[&str]) -> String {
        let said =
            Command::new("redis-cli").args(["-p", &self.server.port().to_string()]).args(words).output().unwrap();
        assert!(said.status.success(), "{words:?}: {}", text(&said.stderr));
        text(&said.stdout).trim_end().to_owned()
    }

    /// Sends commands all at once.
    pub fn pipeline(&self, commands: impl IntoIterator<Item = Vec<String>>) {
        let mut pipeline = ::redis::pipe();
        for words in commands {
            pipeline.add_command(::redis::cmd(&words[0]).arg(&words[1..]).take()).ignore();
        }
        let client = ::redis::Client::open(self.server.url()).unwrap();
        pipeline.query::<()>(&mut client.get_connection().unwrap()).unwrap();
    }

    /// Appends entries with these inputs to the stream `events`, all at once.
    pub fn append(&self, inputs: impl IntoIterator<Item = String>) {
        let add = |input| ["XADD", "events", "*", "data"].map(str::to_owned).into_iter().chain([input]).collect();
        self.pipeline(inputs.into_iter().map(add));
    }

    /// Waits until the host has looked at its input twice, so at least once from beginning to end.
    pub fn wait_for_looks(&self) {
        let looks = || -> u64 {
            let stats = Command::new("redis-cli")
                .args(["-p", &self.server.port().to_string(), "info", "commandstats"])
                .output()
                .unwrap();
            let stats = text(&stats.stdout);
            stats
                .split("cmdstat_getrange:calls=")
                .nth(1)
                .and_then(|rest| rest.split(',').next()?.parse().ok())
                .unwrap_or(0)
        };
        let before = looks();
        wait_for("two looks at the input", || Some(()).filter(|()| looks() >= before + 2));
    }

    pub fn output(&self) -> Option<Value> {
        let output = self.runtime.block_on(self.store.read("out")).ok()??;
        Some(serde_json::from_slice(&output).unwrap())
    }

    pub fn saved(&self) -> Option<Saved> {
        self.runtime.block_on(self.store.saved(&self.keys)).ok()?
    }

    /// Writes an env as another host would.
    pub fn set_env(&self, sequence: &str, env: &str) {
        let port = self.server.port().to_string();
        let fields = ["sequence", sequence, "env", env, "last_event", "z", "handler", "h", "plugin_version", "v"];
        let mut cli = Command::new("redis-cli");
        let set = cli.args(["-p", &port, "hset", "{out}:env", "saved_at", "t"]).args(fields).output();
        assert!(set.unwrap().status.success());
    }

    pub fn sequence(&self) -> u64 {
        self.saved().map_or(0, |saved| saved.sequence)
    }

    pub fn wait_for_sequence(&self, sequence: u64) -> Saved {
        wait_for(&format!("commit {sequence}"), || self.saved().filter(|saved| saved.sequence >= sequence))
    }

    pub fn history(&self) -> Vec<Value> {
        self.newest_history(1000)
    }

    /// More than one answer of a store at the usual number of results.
    pub fn whole_history(&self) -> Vec<Value> {
        self.newest_history(10_000_000)
    }

    fn newest_history(&self, newest: usize) -> Vec<Value> {
        let history = self.runtime.block_on(self.store.history(&self.keys, newest)).unwrap();
        history.iter().map(|entry| serde_json::from_slice(&entry.data).unwrap()).collect()
    }

    pub fn status(&self) -> Option<Value> {
        let status = self.runtime.block_on(self.store.status(&self.keys)).ok()??;
        Some(serde_json::from_slice(&status).unwrap())
    }
}
