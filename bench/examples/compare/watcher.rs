//! Writes inputs and sees when their results come, told by the server.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use redis::aio::MultiplexedConnection;
use redis::{PushInfo, PushKind, Value, cmd, pipe};
use tokio::sync::mpsc;
use tokio::time::timeout;

use crate::bare::tracked;

/// Writes and waits.
pub struct Watcher {
    runtime: tokio::runtime::Runtime,
    server: MultiplexedConnection,
    told: mpsc::UnboundedReceiver<PushInfo>,
}

impl Watcher {
    /// Is told of writes to keys that begin with `prefix`.
    pub fn new(url: &str, prefix: &str) -> Result<Watcher> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let (sender, told) = mpsc::unbounded_channel();
        let server = runtime.block_on(tracked(url, prefix, sender))?;
        Ok(Watcher { runtime, server, told })
    }

    /// Writes `input` to a key, and gives how long it takes until the key `output` is written.
    pub fn latency(&mut self, key: &str, input: &str, output: &str) -> Result<Duration> {
        let Watcher { runtime, server, told } = self;
        runtime.block_on(async {
            while told.try_recv().is_ok() {}
            let started = Instant::now();
            cmd("SET").arg(key).arg(input).exec_async(server).await?;
            loop {
                let push = timeout(Duration::from_secs(20), told.recv()).await?.context("the connection ended")?;
                if keys(&push).contains(&output.as_bytes()) {
                    return Ok(started.elapsed());
                }
            }
        })
    }

    /// Writes `rate` inputs a second for so long, key after key, and gives how long each result took. Of a key that is
    /// written again before its result the newer writing counts.
    pub fn latencies_at(
        &mut self,
        rate: usize,
        time: Duration,
        mut next: impl FnMut(usize) -> (String, String, String),
    ) -> Result<Vec<Duration>> {
        let Watcher { runtime, server, told } = self;
        runtime.block_on(async {
            let (started, mut written, mut latencies) = (Instant::now(), 0, Vec::new());
            let mut open: HashMap<Vec<u8>, Instant> = HashMap::new();
            let mut tick = tokio::time::interval(Duration::from_millis(5));
            while started.elapsed() < time || (!open.is_empty() && started.elapsed() < time * 2) {
                tokio::select! {
                    _ = tick.tick(), if started.elapsed() < time => {
                        let due = (started.elapsed().as_secs_f64() * rate as f64) as usize;
                        let mut writes = pipe();
                        let now = Instant::now();
                        for number in written..due {
                            let (key, input, output) = next(number);
                            writes.cmd("SET").arg(key).arg(input).ignore();
                            open.insert(output.into_bytes(), now);
                        }
                        if written < due {
                            writes.query_async::<()>(server).await?;
                        }
                        written = due;
                    }
                    push = told.recv() => {
                        let push = push.context("the connection ended")?;
                        latencies.extend(keys(&push).iter().filter_map(|key| open.remove(*key)).map(|at| at.elapsed()));
                    }
                }
            }
            anyhow::ensure!(open.is_empty(), "{} results never came", open.len());
            Ok(latencies)
        })
    }

    /// Runs a command.
    pub fn ask<T: redis::FromRedisValue>(&mut self, words: &[&str]) -> Result<T> {
        let Watcher { runtime, server, .. } = self;
        let (name, rest) = words.split_first().context("no command")?;
        runtime.block_on(async { Ok(cmd(name).arg(rest).query_async(server).await?) })
    }

    /// Sends many writes.
    pub fn send(&mut self, writes: &redis::Pipeline) -> Result<()> {
        let Watcher { runtime, server, .. } = self;
        runtime.block_on(async { Ok(writes.query_async::<()>(server).await?) })
    }
}

/// The keys that the server says were written.
pub fn keys(push: &PushInfo) -> Vec<&[u8]> {
    match (&push.kind, push.data.first()) {
        (PushKind::Invalidate, Some(Value::Array(keys))) => keys
            .iter()
            .filter_map(|key| if let Value::BulkString(bytes) = key { Some(bytes.as_slice()) } else { None })
            .collect(),
        _ => Vec::new(),
    }
}
