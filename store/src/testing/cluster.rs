//! A Redis Cluster: three masters with a replica each.

use redis::Value;

use super::{RedisOptions, RedisServer, certificates, eventually, free_port};
use crate::keys::slot;

/// How many of the servers are masters at the start.
const MASTERS: usize = 3;

/// Three masters with a replica each, which takes its master's place a second after that is gone.
#[derive(Debug)]
pub struct RedisCluster {
    /// Three masters with a third of the slots each, then their replicas in the same order.
    servers: Vec<RedisServer>,
}

impl RedisCluster {
    /// Starts them, and waits until all of them know each other.
    ///
    /// # Panics
    ///
    /// Where that takes too long; as [`RedisOptions::start`].
    pub fn start(server: &RedisOptions) -> RedisCluster {
        let servers = (0..2 * MASTERS).map(|_| member(server)).collect();
        let cluster = RedisCluster { servers };
        cluster.join();
        cluster
    }

    fn join(&self) {
        let bounds = [0, 5_461, 10_923, 16_384];
        for (place, server) in self.servers.iter().enumerate() {
            server.run::<()>(&["CLUSTER", "SET-CONFIG-EPOCH", &(place + 1).to_string()]);
            if place < MASTERS {
                let (first, last) = (bounds[place], bounds[place + 1] - 1);
                server.run::<()>(&["CLUSTER", "ADDSLOTSRANGE", &first.to_string(), &last.to_string()]);
            }
            let port = if server.options.tls { server.tls_port() } else { server.port() };
            let (port, bus) = (port.to_string(), bus_port(server));
            self.servers[0].run::<()>(&["CLUSTER", "MEET", "127.0.0.1", &port, &bus]);
        }
        for (place, replica) in self.servers.iter().enumerate().skip(MASTERS) {
            let master: String = self.servers[place - MASTERS].run(&["CLUSTER", "MYID"]);
            let replicates = || {
                let mut replicate = redis::cmd("CLUSTER");
                replicate.arg("REPLICATE").arg(&master).exec(&mut replica.connection()).is_ok()
            };
            assert!(eventually(replicates), "the servers don't find each other");
        }
        for (place, server) in self.servers.iter().enumerate() {
            let knows_all = || {
                let info: String = server.run(&["CLUSTER", "INFO"]);
                let nodes: String = server.run(&["CLUSTER", "NODES"]);
                let in_sync =
                    place < MASTERS || server.run::<String>(&["INFO", "replication"]).contains("master_link_status:up");
                info.contains("cluster_state:ok") && nodes.matches("slave").count() == MASTERS && in_sync
            };
            assert!(eventually(knows_all), "the cluster doesn't come to be");
        }
    }

    /// `redis+cluster://…` of two of the masters, with the servers' password if they have one.
    pub fn url(&self) -> String {
        let login = self.servers[0].password().map(|password| format!(":{password}@")).unwrap_or_default();
        format!("redis+cluster://{login}127.0.0.1:{},127.0.0.1:{}", self.servers[0].port(), self.servers[1].port())
    }

    /// `rediss+cluster://…` of one of the masters, by the name in its certificate.
    pub fn tls_url(&self) -> String {
        self.servers[0].tls_url().replace("rediss:", "rediss+cluster:")
    }

    /// The server that was the master of `key` at the start.
    pub fn first_master(&mut self, key: &str) -> &mut RedisServer {
        let place = (0..MASTERS).find(|place| self.serves(*place, key)).expect("each key has a master");
        &mut self.servers[place]
    }

    /// The server that is the master of `key` now.
    ///
    /// # Panics
    ///
    /// Where there comes to be none.
    pub fn master(&self, key: &str) -> &RedisServer {
        let mut found = None;
        eventually(|| {
            found = (0..self.servers.len()).find(|place| self.serves(*place, key));
            found.is_some()
        });
        &self.servers[found.expect("each key comes to have a master")]
    }

    /// A master other than that of `key`.
    pub fn other_master(&self, key: &str) -> &RedisServer {
        let is_other = |place: &usize| self.servers[*place].child.is_some() && !self.serves(*place, key);
        let place = (0..MASTERS).find(is_other).expect("there are several masters");
        &self.servers[place]
    }

    /// Whether a server runs, and answers for `key`.
    fn serves(&self, place: usize, key: &str) -> bool {
        let server = &self.servers[place];
        server.child.is_some() && {
            let asked: redis::RedisResult<Value> = redis::cmd("EXISTS").arg(key).query(&mut server.connection());
            asked.is_ok()
        }
    }

    /// Begins to move the slot of `key` from a server to another: keys that are not at the first any more are to be asked
    /// for at the second (`ASK`).
    pub fn begin_to_move(&self, key: &str, from: &RedisServer, to: &RedisServer) {
        let slot = slot(key).to_string();
        let (source, target): (String, String) = (from.run(&["CLUSTER", "MYID"]), to.run(&["CLUSTER", "MYID"]));
        to.run::<()>(&["CLUSTER", "SETSLOT", &slot, "IMPORTING", &source]);
        from.run::<()>(&["CLUSTER", "SETSLOT", &slot, "MIGRATING", &target]);
    }

    /// Moves the keys of the slot of `key`.
    pub fn move_keys(&self, key: &str, from: &RedisServer, to: &RedisServer) {
        let keys: Vec<String> = from.run(&["CLUSTER", "GETKEYSINSLOT", &slot(key).to_string(), "1000"]);
        for key in keys {
            from.run::<()>(&["MIGRATE", "127.0.0.1", &to.port().to_string(), &key, "0", "5000"]);
        }
    }

    /// Says that the slot of `key` has been moved: the first server sends on to the second from now on (`MOVED`).
    pub fn end_move(&self, key: &str, from: &RedisServer, to: &RedisServer) {
        let slot = slot(key).to_string();
        let target: String = to.run(&["CLUSTER", "MYID"]);
        for server in [to, from] {
            server.run::<()>(&["CLUSTER", "SETSLOT", &slot, "NODE", &target]);
        }
    }
}

/// A server that takes part. Its port for the others is one of its own, since the usual one may not exist.
fn member(server: &RedisOptions) -> RedisServer {
    let bus = free_port().to_string();
    let mut server = server.clone();
    if let Some(password) = server.password.clone() {
        server = server.arg("--masterauth").arg(&password);
    }
    if server.tls {
        // Their certificates have a name, so that is what they call each other.
        for words in [
            ["--tls-cluster", "yes"],
            ["--cluster-announce-hostname", certificates::SERVER_NAME],
            ["--cluster-preferred-endpoint-type", "hostname"],
        ] {
            server = server.arg(words[0]).arg(words[1]);
        }
    }
    for words in [
        ["--cluster-enabled", "yes"],
        ["--cluster-node-timeout", "1000"],
        ["--cluster-replica-validity-factor", "0"],
        ["--repl-diskless-sync-delay", "0"],
        ["--cluster-port", &bus],
    ] {
        server = server.arg(words[0]).arg(words[1]);
    }
    server.start()
}

fn bus_port(server: &RedisServer) -> String {
    let setting: Vec<String> = server.run(&["CONFIG", "GET", "cluster-port"]);
    setting.into_iter().nth(1).expect("the server has such a port")
}
