//! The store in a Redis server: one command per operation, and one script for the commit.

mod dead;
mod group;
mod lease;
mod many;
mod values;

mod cluster;
mod connection;
mod link;
mod sentinel;
mod server;
mod servers;
mod slots;
mod tls;

mod fault;
mod script;

use std::collections::HashMap;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use ::redis::{ScriptInvocation, cmd};

use crate::address;
use crate::commit::{Commit, Committed, Saved, parse_sequence};
use crate::error::{Cause, Outcome};
use crate::group::Taken;
use crate::keys::Keys;
use crate::options::Options;
use crate::watch::Watch;
use script::COMMIT;
use servers::Servers;

/// The longest time to live: Redis refuses one that overflows when added to the clock's milliseconds.
const LONGEST: i64 = i64::MAX / 2;

pub(crate) struct Redis {
    connection: Servers,
}

impl Redis {
    pub fn new(servers: address::Servers, options: Options) -> Redis {
        Redis { connection: Servers::new(servers, options) }
    }

    pub async fn watch(&self, watch: Watch) -> Outcome<Watch> {
        self.connection.watch(watch).await
    }

    pub async fn now(&self) -> Outcome<SystemTime> {
        let (seconds, microseconds): (u64, u32) =
            self.connection.use_for("", async |server| cmd("TIME").query_async(server).await).await?;
        Ok(UNIX_EPOCH + Duration::new(seconds, microseconds.saturating_mul(1_000)))
    }

    pub async fn ping(&self) -> Outcome<()> {
        self.connection.ping().await
    }

    pub async fn read(&self, key: &str) -> Outcome<Option<Vec<u8>>> {
        self.connection.use_for(key, async |server| cmd("GET").arg(key).query_async(server).await).await
    }

    pub async fn write(&self, key: &str, bytes: &[u8], time_to_live: Option<Duration>) -> Outcome<()> {
        let mut set = cmd("SET");
        set.arg(key).arg(bytes);
        if let Some(time_to_live) = time_to_live {
            set.arg("PX").arg(milliseconds(time_to_live));
        }
        self.connection.use_for(key, async |server| set.exec_async(server).await).await
    }

    pub async fn saved(&self, keys: &Keys) -> Outcome<Option<Saved>> {
        let fields: HashMap<Vec<u8>, Vec<u8>> = self
            .connection
            .use_for(&keys.env, async |server| cmd("HGETALL").arg(&keys.env).query_async(server).await)
            .await?;
        Saved::from_fields(
            fields.into_iter().map(|(name, value)| (String::from_utf8_lossy(&name).into_owned(), value)).collect(),
        )
    }

    pub async fn commit(&self, commit: &Commit<'_>) -> Outcome<Committed> {
        let script = invocation(commit)?;
        let answer =
            self.connection.use_for(&commit.keys.output, async |server| script.invoke_async(server).await).await?;
        settled(answer)
    }

    pub async fn forget(&self, keys: &Keys) -> Outcome<()> {
        let mut unlink = cmd("DEL");
        unlink.arg(&keys.contents()[..]);
        self.connection.use_for(&keys.output, async |server| unlink.exec_async(server).await).await
    }
}

/// A time to live as Redis takes it.
fn milliseconds(time_to_live: Duration) -> i64 {
    i64::try_from(time_to_live.as_millis()).unwrap_or(LONGEST).clamp(1, LONGEST)
}

/// The script with what a commit gives it.
fn invocation(commit: &Commit<'_>) -> Outcome<ScriptInvocation<'static>> {
    let keys = commit.keys;
    let mut script = COMMIT.key(&keys.output);
    script.key(&keys.env).key(&keys.history);
    script.arg(commit.sequence).arg(commit.next_sequence()?).arg(commit.history_length);
    let fields = commit.fields();
    script.arg(2 * fields.len());
    for (name, value) in fields {
        script.arg(name).arg(value);
    }
    script.arg(commit.outputs.len()).arg(&commit.outputs);
    match commit.output_stream {
        Some(stream) => script.arg("1").key(stream),
        None => script.arg(""),
    };
    match &commit.dead {
        Some(dead) => {
            script.key(&keys.dead).arg(dead.most);
            script.arg("data").arg(dead.data).arg("reason").arg(dead.reason);
            script.arg("attempts").arg(dead.attempts).arg("at").arg(dead.at)
        }
        None => script.arg(""),
    };
    match &commit.taken {
        Some(Taken { group, ids }) => {
            script.key(&group.stream).arg(&group.name).arg(&group.consumer);
            script.arg(ids.len()).arg(ids)
        }
        None => script.arg(""),
    };
    match commit.replayed {
        Some(id) => script.key(&keys.replay).arg(id),
        None => script.arg(""),
    };
    Ok(script)
}

/// What the script says.
fn settled((word, detail): (String, Vec<u8>)) -> Outcome<Committed> {
    let text = String::from_utf8_lossy(&detail).into_owned();
    match word.as_str() {
        "applied" => Ok(Committed::Applied),
        "refused" => Ok(Committed::Refused { sequence: parse_sequence(&detail)? }),
        "claimed" => Ok(Committed::Claimed),
        "wrong type" => Err(Cause::WrongType { key: text }),
        _ => Err(Cause::Corrupt(text)),
    }
}
