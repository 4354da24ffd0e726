//! Which server is the master, by the word of those that watch over it
//! (<https://redis.io/docs/latest/develop/reference/sentinel-clients/>).

use std::sync::Arc;

use redis::aio::MultiplexedConnection;
use redis::{RedisConnectionInfo, Value, cmd};
use tokio::time::{Instant, timeout_at};

use super::fault;
use super::link::{Entry, Question, first_of};
use crate::address::Endpoint;
use crate::error::{Cause, Outcome};

/// Where the master of this name is, by `deadline`.
pub(super) async fn master(
    sentinels: &[Endpoint],
    name: &str,
    entry: &Arc<Entry>,
    deadline: Instant,
) -> Outcome<Endpoint> {
    let question = |sentinel: &Endpoint| -> Question<Endpoint> {
        let (sentinel, name, entry) = (sentinel.clone(), name.to_owned(), Arc::clone(entry));
        Box::pin(async move {
            let told = |cause: Cause| cause.at(&format_args!("sentinel {sentinel}"));
            match ask(&sentinel, &name, &entry, RedisConnectionInfo::default(), deadline).await {
                // Most sentinels want no login and refuse one that they don't know, so they are first asked without.
                Err(Cause::Denied(_)) => {
                    let login = entry.login().await.map_err(told)?.set_db(0);
                    ask(&sentinel, &name, &entry, login, deadline).await.map_err(told)
                }
                answer => answer.map_err(told),
            }
        })
    };
    let limit = entry.options.connect_within;
    timeout_at(deadline, first_of(sentinels.iter().map(question).collect()))
        .await
        .unwrap_or(Err(Cause::TimedOut(limit)))
}

async fn ask(
    sentinel: &Endpoint,
    name: &str,
    entry: &Entry,
    login: RedisConnectionInfo,
    deadline: Instant,
) -> Outcome<Endpoint> {
    let way = entry.open(sentinel, deadline).await?;
    let mut live = entry.talk(way, login, None).await?;
    let mut question = cmd("SENTINEL");
    question.arg("GET-MASTER-ADDR-BY-NAME").arg(name);
    let answer: Option<(String, u16)> = question
        .query_async(&mut live.server)
        .await
        .map_err(|error| fault::cause_of(&error, "", entry.options.answer_within))?;
    let (host, port) = answer
        .ok_or_else(|| Cause::Unavailable(format!("it knows no master {name:?}: see what SENTINEL MASTERS lists")))?;
    Ok(Endpoint::Tcp(host, port))
}

/// Sees that the server takes itself for a master: until all know of a failover, its predecessor may be named.
pub(super) async fn confirm(server: &mut MultiplexedConnection) -> Outcome<()> {
    // Who has no right to ask is told by the first write.
    let Ok(Value::Array(role)) = cmd("ROLE").query_async(server).await else { return Ok(()) };
    match role.first() {
        Some(Value::BulkString(role)) if role != b"master" => Err(Cause::Unavailable(
            "the sentinels call it the master, and it calls itself a replica: a failover is under way".to_owned(),
        )),
        _ => Ok(()),
    }
}
