//! Streams in consumer groups: what is read of them, and how an answer becomes entries.

use std::time::Duration;

use ::redis::{Value, cmd, pipe};

use super::Redis;
use super::server::Server;
use crate::dead::parts_of;
use crate::error::{Cause, Outcome};
use crate::group::{Group, StreamEntry};

impl Redis {
    pub async fn append(&self, stream: &str, bytes: &[u8], most: usize) -> Outcome<()> {
        let mut add = cmd("XADD");
        add.arg(stream).arg("MAXLEN").arg("~").arg(most).arg("*").arg("data").arg(bytes);
        self.connection.use_for(stream, async |server| add.exec_async(server).await).await
    }

    pub async fn create_group(&self, group: &Group, after: Option<&str>) -> Outcome<Option<String>> {
        let after = match after {
            Some(id) if parts_of(id).is_some() && self.reaches(&group.stream, id).await? => id,
            _ => "0",
        };
        let mut create = cmd("XGROUP");
        create.arg("CREATE").arg(&group.stream).arg(&group.name).arg(after).arg("MKSTREAM");
        let created = async |server: &mut Server| match create.exec_async(server).await {
            Err(error) if error.code() == Some("BUSYGROUP") => Ok(None),
            created => created.map(|()| Some(after.to_owned())),
        };
        self.connection.use_for(&group.stream, created).await
    }

    /// Whether a stream has an entry of this id or a later one.
    async fn reaches(&self, stream: &str, id: &str) -> Outcome<bool> {
        let mut range = cmd("XRANGE");
        range.arg(stream).arg(id).arg("+").arg("COUNT").arg(1);
        let answer = self.connection.use_for(stream, async |server| range.query_async(server).await).await?;
        Ok(!entries(answer)?.is_empty())
    }

    pub async fn entries_after(
        &self,
        stream: &str,
        after: &str,
        most: usize,
        wait: Duration,
    ) -> Outcome<Vec<StreamEntry>> {
        let mut read = cmd("XREAD");
        read.arg("COUNT").arg(most).arg("BLOCK").arg(u64::try_from(wait.as_millis()).unwrap_or(u64::MAX).max(1));
        read.arg("STREAMS").arg(stream).arg(after);
        let answer = self.connection.use_for(stream, async |server| read.query_async(server).await).await?;
        entries_of_first_stream(answer)
    }

    pub async fn new_entries(&self, group: &Group, most: usize, wait: Duration) -> Outcome<Vec<StreamEntry>> {
        let mut read = cmd("XREADGROUP");
        read.arg("GROUP").arg(&group.name).arg(&group.consumer).arg("COUNT").arg(most);
        read.arg("BLOCK").arg(u64::try_from(wait.as_millis()).unwrap_or(u64::MAX).max(1));
        read.arg("STREAMS").arg(&group.stream).arg(">");
        entries_of_first_stream(self.ask(group, &read).await?)
    }

    pub async fn pending_entries(&self, group: &Group, after: &str, most: usize) -> Outcome<Vec<StreamEntry>> {
        let mut read = cmd("XREADGROUP");
        read.arg("GROUP").arg(&group.name).arg(&group.consumer).arg("COUNT").arg(most);
        read.arg("STREAMS").arg(&group.stream).arg(after);
        entries_of_first_stream(self.ask(group, &read).await?)
    }

    pub async fn claim_entries(
        &self,
        group: &Group,
        idle: Duration,
        from: &str,
        most: usize,
    ) -> Outcome<(Vec<StreamEntry>, String)> {
        let mut claim = cmd("XAUTOCLAIM");
        claim.arg(&group.stream).arg(&group.name).arg(&group.consumer);
        claim.arg(u64::try_from(idle.as_millis()).unwrap_or(u64::MAX)).arg(from).arg("COUNT").arg(most);
        let Value::Array(answer) = self.ask(group, &claim).await? else { return Err(unread()) };
        let mut parts = answer.into_iter();
        match (parts.next(), parts.next()) {
            (Some(next), Some(claimed)) => Ok((self.with_deliveries(group, entries(claimed)?).await?, text(next)?)),
            _ => Err(unread()),
        }
    }

    /// Asks how often each entry was given to somebody: `XAUTOCLAIM` doesn't say so, and counts as once.
    async fn with_deliveries(&self, group: &Group, mut claimed: Vec<StreamEntry>) -> Outcome<Vec<StreamEntry>> {
        let mut all = pipe();
        for StreamEntry { id, .. } in &claimed {
            all.cmd("XPENDING").arg(&group.stream).arg(&group.name).arg(id).arg(id).arg(1);
        }
        let streams = vec![group.stream.as_str(); claimed.len()];
        if claimed.is_empty() {
            return Ok(claimed);
        }
        for (answer, entry) in self.connection.each(&streams, all).await?.into_iter().zip(&mut claimed) {
            // Entry, consumer, how long ago, how often; nothing where somebody has acknowledged it meanwhile.
            let pending: Vec<(Vec<u8>, Vec<u8>, u64, u32)> = self.told(answer?, &group.stream)?;
            entry.deliveries = pending.first().map_or(0, |(.., deliveries)| deliveries.saturating_sub(1));
        }
        Ok(claimed)
    }

    pub async fn acknowledge(&self, group: &Group, ids: &[&str]) -> Outcome<()> {
        let mut acknowledge = cmd("XACK");
        acknowledge.arg(&group.stream).arg(&group.name).arg(ids);
        self.ask(group, &acknowledge).await.map(|_| ())
    }

    async fn ask(&self, group: &Group, command: &::redis::Cmd) -> Outcome<Value> {
        self.connection.use_for(&group.stream, async |server| command.query_async(server).await).await
    }
}

/// The entries in the answer of `XREAD` or `XREADGROUP` for one stream; nothing came where it is nil.
fn entries_of_first_stream(answer: Value) -> Outcome<Vec<StreamEntry>> {
    let found = match answer {
        Value::Nil => return Ok(Vec::new()),
        Value::Map(streams) => streams.into_iter().next().map(|(_, found)| found),
        Value::Array(streams) => match streams.into_iter().next() {
            Some(Value::Array(stream)) => stream.into_iter().nth(1),
            _ => None,
        },
        _ => None,
    };
    entries(found.ok_or_else(unread)?)
}

pub(super) fn entries(found: Value) -> Outcome<Vec<StreamEntry>> {
    let Value::Array(found) = found else { return Err(unread()) };
    found
        .into_iter()
        .map(|entry| {
            let Value::Array(parts) = entry else { return Err(unread()) };
            let mut parts = parts.into_iter();
            let id = text(parts.next().ok_or_else(unread)?)?;
            let fields = match parts.next() {
                Some(Value::Array(words)) => Some(pairs(words)?),
                _ => None,
            };
            Ok(StreamEntry { id, fields, deliveries: 0 })
        })
        .collect()
}

fn pairs(words: Vec<Value>) -> Outcome<Vec<(Vec<u8>, Vec<u8>)>> {
    let mut words = words.into_iter().map(bytes);
    let mut pairs = Vec::with_capacity(words.len() / 2);
    while let (Some(name), Some(value)) = (words.next(), words.next()) {
        pairs.push((name?, value?));
    }
    Ok(pairs)
}

fn text(value: Value) -> Outcome<String> {
    String::from_utf8(bytes(value)?).map_err(|_error| unread())
}

fn bytes(value: Value) -> Outcome<Vec<u8>> {
    match value {
        Value::BulkString(bytes) => Ok(bytes),
        _ => Err(unread()),
    }
}

fn unread() -> Cause {
    Cause::Other("the server's answer is none of a stream's entries".to_owned())
}
