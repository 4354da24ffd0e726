//! Events that were set aside: read back, and moved to where they are called once more.

use ::redis::streams::{StreamId, StreamRangeReply};
use ::redis::{Cmd, cmd};

use super::Redis;
use super::script::REPLAY;
use crate::dead::{DeadEntry, Replayed, parts_of};
use crate::error::{Cause, Outcome};
use crate::keys::Keys;

impl Redis {
    pub async fn dead(&self, key: &str, before: Option<&str>, most: usize) -> Outcome<Vec<DeadEntry>> {
        let last = before.map_or("+".to_owned(), |id| format!("({id}"));
        let mut range = cmd("XREVRANGE");
        range.arg(key).arg(last).arg("-").arg("COUNT").arg(most);
        self.set_aside(key, range).await
    }

    pub async fn replays(&self, key: &str, most: usize) -> Outcome<Vec<DeadEntry>> {
        let mut range = cmd("XRANGE");
        range.arg(key).arg("-").arg("+").arg("COUNT").arg(most);
        self.set_aside(key, range).await
    }

    pub async fn replay(&self, keys: &Keys, id: &str, most: usize) -> Outcome<Replayed> {
        self.move_to(keys, id, &keys.replay, Some(most)).await
    }

    pub async fn replay_to_stream(&self, keys: &Keys, id: &str, stream: &str) -> Outcome<Replayed> {
        self.move_to(keys, id, stream, None).await
    }

    async fn move_to(&self, keys: &Keys, id: &str, target: &str, most: Option<usize>) -> Outcome<Replayed> {
        if parts_of(id).is_none() {
            return Ok(Replayed::Gone);
        }
        let mut script = REPLAY.key(&keys.dead);
        script.key(target).arg(id).arg(most.map(|most| most.to_string()).unwrap_or_default());
        let (word, detail): (String, String) =
            self.connection.use_for(&keys.dead, async |server| script.invoke_async(server).await).await?;
        match word.as_str() {
            "moved" => Ok(Replayed::Moved { id: detail }),
            "gone" => Ok(Replayed::Gone),
            "full" => Ok(Replayed::Full),
            "wrong type" => Err(Cause::WrongType { key: detail }),
            _ => Err(Cause::Corrupt(detail)),
        }
    }

    async fn set_aside(&self, key: &str, range: Cmd) -> Outcome<Vec<DeadEntry>> {
        let reply: StreamRangeReply =
            self.connection.use_for(key, async |server| range.query_async(server).await).await?;
        reply.ids.into_iter().map(entry).collect()
    }
}

fn entry(found: StreamId) -> Outcome<DeadEntry> {
    let text = |name: &str| {
        let bytes: Vec<u8> = found.get(name).unwrap_or_default();
        String::from_utf8_lossy(&bytes).into_owned()
    };
    Ok(DeadEntry {
        data: found
            .get("data")
            .ok_or_else(|| Cause::Corrupt(format!("the entry {} of what was set aside has no field data", found.id)))?,
        reason: text("reason"),
        attempts: text("attempts").parse().unwrap_or_default(),
        at: text("at"),
        id: found.id,
    })
}
