//! The limit: a loop of the Redis client that does what the host does with the server, and nothing else.

use std::collections::{BTreeSet, HashMap};

use anyhow::{Context, Result};
use redis::aio::MultiplexedConnection;
use redis::streams::StreamReadReply;
use redis::{AsyncConnectionConfig, Client, PushInfo, PushKind, Script, Value, cmd, pipe};
use tokio::sync::mpsc;

use crate::watcher::keys;

/// Copies `in` to `out` whenever it is written.
pub fn push(url: &str) -> Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let (told, mut pushes) = mpsc::unbounded_channel::<PushInfo>();
        let mut server = tracked(url, "in", told).await?;
        loop {
            let bytes: Option<Vec<u8>> = cmd("GET").arg("in").query_async(&mut server).await?;
            if let Some(bytes) = bytes {
                cmd("SET").arg("out").arg(bytes).exec_async(&mut server).await?;
            }
            while pushes.recv().await.context("the connection ended")?.kind != PushKind::Invalidate {}
        }
    })
}

/// A connection that is told of writes to keys that begin so.
pub async fn tracked(url: &str, prefix: &str, told: mpsc::UnboundedSender<PushInfo>) -> Result<MultiplexedConnection> {
    let client = Client::open(format!("{url}?protocol=resp3"))?;
    let config = AsyncConnectionConfig::new().set_push_sender(told);
    let mut server = client.get_multiplexed_async_connection_with_config(&config).await?;
    cmd("CLIENT")
        .arg("TRACKING")
        .arg("ON")
        .arg("BCAST")
        .arg("NOLOOP")
        .arg("PREFIX")
        .arg(prefix)
        .exec_async(&mut server)
        .await?;
    Ok(server)
}

/// Takes `events` in batches: writes output, history, progress and acknowledgement of each in one transaction, while the
/// next one is read.
pub fn stream(url: &str, batch: usize) -> Result<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
    runtime.block_on(async {
        let client = Client::open(url)?;
        let mut writer = client.get_multiplexed_async_connection().await?;
        let mut reader = client.get_multiplexed_async_connection().await?;
        cmd("XGROUP")
            .arg("CREATE")
            .arg("events")
            .arg("plugin-host")
            .arg("0")
            .arg("MKSTREAM")
            .exec_async(&mut writer)
            .await?;
        let (give, mut batches) = mpsc::channel::<StreamReadReply>(1);
        tokio::spawn(async move {
            loop {
                let mut read = cmd("XREADGROUP");
                read.arg("GROUP").arg("plugin-host").arg("main").arg("COUNT").arg(batch).arg("BLOCK").arg(200);
                read.arg("STREAMS").arg("events").arg(">");
                match read.query_async::<Option<StreamReadReply>>(&mut reader).await {
                    Ok(Some(reply)) => {
                        if give.send(reply).await.is_err() {
                            return;
                        }
                    }
                    Ok(None) => {}
                    Err(error) => return eprintln!("{error}"),
                }
            }
        });
        while let Some(reply) = batches.recv().await {
            for stream in reply.keys {
                let mut commit = pipe();
                commit.atomic();
                let mut acknowledge = cmd("XACK");
                acknowledge.arg("events").arg("plugin-host");
                let mut last = Vec::new();
                for entry in &stream.ids {
                    if let Some(Value::BulkString(data)) = entry.map.get("data") {
                        // A result is about a third of its input.
                        let result = &data[..data.len() / 3];
                        commit
                            .cmd("XADD")
                            .arg("out:history")
                            .arg("MAXLEN")
                            .arg(720)
                            .arg("*")
                            .arg("data")
                            .arg(result)
                            .ignore();
                        last = result.to_vec();
                    }
                    acknowledge.arg(&entry.id);
                }
                commit.cmd("SET").arg("out").arg(&last).ignore();
                commit
                    .cmd("HSET")
                    .arg("out:env")
                    .arg("last_event")
                    .arg(stream.ids.last().map_or("", |entry| &entry.id))
                    .ignore();
                commit.add_command(acknowledge).ignore();
                commit.query_async::<()>(&mut writer).await?;
            }
        }
        Ok(())
    })
}

/// Commits a result for each key `in:*` that is written, by the host's own script: reads and writes up to 256 keys in one
/// pipeline each.
pub fn pattern(url: &str) -> Result<()> {
    let script = Script::new(include_str!("../../../store/src/redis/commit.lua"));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let (told, mut pushes) = mpsc::unbounded_channel::<PushInfo>();
        let mut server = tracked(url, "in:", told).await?;
        script.prepare_invoke().load_async(&mut server).await?;
        let mut due: BTreeSet<String> = cmd("KEYS").arg("in:*").query_async(&mut server).await?;
        let mut sequences: HashMap<String, u64> = HashMap::new();
        loop {
            let named =
                |push: &PushInfo| keys(push).iter().map(|key| String::from_utf8_lossy(key).into_owned()).collect();
            while let Ok(push) = pushes.try_recv() {
                due.append(&mut named(&push));
            }
            if due.is_empty() {
                due.append(&mut named(&pushes.recv().await.context("the connection ended")?));
                continue;
            }
            let taken: Vec<String> = std::iter::from_fn(|| due.pop_first()).take(256).collect();
            let inputs: Vec<Option<Vec<u8>>> = cmd("MGET").arg(&taken).query_async(&mut server).await?;
            let mut commits = pipe();
            for (key, input) in taken.iter().zip(inputs) {
                let name = key.strip_prefix("in:").unwrap_or(key);
                let sequence = sequences.entry(key.clone()).or_default();
                let mut commit = script.key(format!("out:{name}"));
                commit.key(format!("{{out:{name}}}:env")).key(format!("{{out:{name}}}:history"));
                // Ten texts are the fields of the env.
                commit.arg(*sequence).arg(*sequence + 1).arg(12).arg(10);
                commit.arg("last_event").arg(key).arg("handler").arg("bare");
                commit.arg("plugin_version").arg("1").arg("saved_at").arg("now").arg("env").arg("1").arg(1);
                // A result is about a third of its input.
                let input = input.unwrap_or_default();
                commit.arg(&input[..input.len() / 3]).arg("").arg("").arg("").arg("");
                commits.invoke_script(&commit);
                *sequence += 1;
            }
            commits.query_async::<Vec<(String, u64)>>(&mut server).await?;
        }
    })
}
