//! A master, its replica, and the three sentinels that watch over them.

use std::fmt::Write;

use super::{RedisOptions, RedisServer, eventually};

/// What the sentinels call the master.
const NAME: &str = "plugins";

/// A master with a replica, and three sentinels that put the replica in its place two seconds after it is gone.
#[derive(Debug)]
pub struct SentinelSet {
    servers: [RedisServer; 2],
    sentinels: Vec<RedisServer>,
}

impl SentinelSet {
    /// Starts them, and waits until all of them know each other. Servers and sentinels are what the options say; a
    /// password asked for by the sentinels is that of the servers.
    ///
    /// # Panics
    ///
    /// Where that takes too long; as [`RedisOptions::start`].
    pub fn start(server: &RedisOptions, sentinel: &RedisOptions) -> SentinelSet {
        let server = server.clone().arg("--repl-diskless-sync-delay").arg("0");
        let server = match server.password.clone() {
            Some(password) => server.arg("--masterauth").arg(&password),
            None => server,
        };
        let servers = [server.clone().start(), server.start()];
        let master = servers[0].port();
        let mut lines = format!("sentinel monitor {NAME} 127.0.0.1 {master} 2\n");
        // They ask each second: with less than two a server that was just put in its place is soon taken for dead.
        for (setting, value) in [("down-after-milliseconds", 2_000), ("failover-timeout", 3_000)] {
            writeln!(lines, "sentinel {setting} {NAME} {value}").expect("a text takes all");
        }
        if let Some(password) = servers[0].password() {
            writeln!(lines, "sentinel auth-pass {NAME} {password}").expect("a text takes all");
        }
        servers[1].run::<()>(&["REPLICAOF", "127.0.0.1", &master.to_string()]);
        let in_sync = || servers[0].run::<String>(&["INFO", "replication"]).contains("state=online");
        assert!(eventually(in_sync), "the replica doesn't follow");
        let sentinels: Vec<_> = (0..3).map(|_| sentinel.clone().sentinel(&lines).start()).collect();
        for sentinel in &sentinels {
            let knows_all = || {
                let info = sentinel.run::<String>(&["INFO", "sentinel"]);
                info.contains("status=ok") && info.contains("slaves=1,sentinels=3")
            };
            assert!(eventually(knows_all), "the sentinels don't find each other");
        }
        SentinelSet { servers, sentinels }
    }

    /// `redis+sentinel://…` of all of them, with the servers' password if they have one.
    pub fn url(&self) -> String {
        let login = self.servers[0].password().map(|password| format!(":{password}@")).unwrap_or_default();
        let sentinels: Vec<_> =
            self.sentinels.iter().map(|sentinel| format!("127.0.0.1:{}", sentinel.port())).collect();
        format!("redis+sentinel://{login}{}/{NAME}", sentinels.join(","))
    }

    /// The server that was the master at the start.
    pub fn first(&mut self) -> &mut RedisServer {
        &mut self.servers[0]
    }

    /// The server that was the replica at the start.
    pub fn second(&mut self) -> &mut RedisServer {
        &mut self.servers[1]
    }

    /// The sentinels, in the order of the address.
    pub fn sentinels(&mut self) -> &mut [RedisServer] {
        &mut self.sentinels
    }
}
