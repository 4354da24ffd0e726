//! What an address leads to: a server that holds everything, or the masters of a cluster. Each operation is led to the
//! one that has its key.

use std::sync::Arc;
use std::time::Duration;

use redis::{Cmd, FromRedisValue, Pipeline, RedisResult, Value, cmd};

use super::cluster::Cluster;
use super::connection::{Connection, is_broken};
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

    /// The answers to commands, one for each of `keys`, and each for itself: an error of one is none of the others. What
    /// goes to one server goes there in one pipeline.
    pub async fn each(&self, keys: &[&str], mut all: Pipeline) -> Outcome<Vec<Outcome<Value>>> {
        if keys.is_empty() {
            return Ok(Vec::new());
        }
        match self {
            Servers::One(connection) => {
                all.ignore_errors();
                let told = connection.use_for("", async |server| answers(server, &all).await).await?;
                Ok(told.into_iter().map(Ok).collect())
            }
            Servers::Cluster(cluster) => cluster.each(keys, &all).await,
        }
    }

    /// Asks one of the servers that hold keys, from the 0th on, with one command; gives also whether it is the last one.
    pub async fn query_nth<T: FromRedisValue>(&self, place: u64, command: &Cmd) -> Outcome<(T, bool)> {
        match self {
            Servers::One(connection) => Ok((connection.query(command).await?, true)),
            Servers::Cluster(cluster) => cluster.query_nth(place, command).await,
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

/// What a server answers to commands whose errors stand among the answers. One that shows that a new connection could do
/// better is that of all: which of the others ran then, whoever asks must find out anyway.
pub(super) async fn answers(server: &mut Server, all: &Pipeline) -> RedisResult<Vec<Value>> {
    let answers: Vec<Value> = all.query_async(server).await?;
    let errors = answers.iter().filter(|answer| matches!(answer, Value::ServerError(_)));
    match errors.filter_map(|answer| answer.clone().extract_error().err()).find(is_broken) {
        Some(error) => Err(error),
        None => Ok(answers),
    }
}
