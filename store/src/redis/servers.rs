//! What an address leads to: a server that holds everything, or the masters of a cluster. Each operation is led to the
//! one that has its key.

use std::sync::Arc;
use std::time::Duration;

use redis::{RedisResult, cmd};

use super::cluster::Cluster;
use super::connection::Connection;
use super::link::Entry;
use super::server::Server;
use crate::address::{self, Layout};
use crate::error::Outcome;
use crate::options::Options;
use crate::watch::Watch;

pub(super) enum Servers {
    One(Connection),
    Cluster(Cluster),
}

impl Servers {
    pub fn new(servers: address::Servers, options: Options) -> Servers {
        let address::Servers { layout, login, tls } = servers;
        let entry = Arc::new(Entry { login, tls, options });
        match layout {
            Layout::One(whom) => Servers::One(Connection::new(whom, entry, 0)),
            Layout::Cluster(named) => Servers::Cluster(Cluster::new(named, entry)),
        }
    }

    /// How long an answer may take.
    pub fn answer_within(&self) -> Duration {
        match self {
            Servers::One(connection) => connection.answer_within(),
            Servers::Cluster(cluster) => cluster.answer_within(),
        }
    }

    /// Makes new connections that also tell of the writes that `watch` wants to know of.
    pub async fn watch(&self, watch: Watch) -> Outcome<Watch> {
        match self {
            Servers::One(connection) => connection.watch(watch).await,
            Servers::Cluster(cluster) => cluster.watch(watch).await,
        }
    }

    /// Runs one operation, which works on `key` and others in its slot. It isn't tried again, unless a server of a
    /// cluster has said that it hasn't done it, and who will.
    pub async fn use_for<T>(
        &self,
        key: &str,
        operation: impl AsyncFnOnce(&mut Server) -> RedisResult<T> + Clone,
    ) -> Outcome<T> {
        match self {
            Servers::One(connection) => connection.use_for(key, operation).await,
            Servers::Cluster(cluster) => cluster.use_for(key, operation).await,
        }
    }

    /// Asks for an answer; in a cluster of each master that tells of writes, so that all of these are connected.
    pub async fn ping(&self) -> Outcome<()> {
        let ping = async |server: &mut Server| cmd("PING").exec_async(server).await;
        match self {
            Servers::One(connection) => connection.use_for("", ping).await,
            Servers::Cluster(cluster) => cluster.use_for_watched(ping).await,
        }
    }
}
