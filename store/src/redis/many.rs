//! Many keys at once: what is read and committed of a pattern's keys goes to each server in one pipeline.

use std::collections::HashMap;

use ::redis::{RedisError, Value, cmd, from_redis_value, pipe};

use super::{Redis, fault, invocation, settled};
use crate::commit::{Commit, Committed, Saved};
use crate::error::{Cause, Outcome};
use crate::keys::Keys;

/// How many bits of a cursor are a server's own: no table has more places than they can count. Those above say which of
/// a cluster's masters it is of.
const OF_SERVER: u32 = 48;

impl Redis {
    pub async fn keys_like(&self, pattern: &str, cursor: u64, about: usize) -> Outcome<(Vec<String>, u64)> {
        self.scan(pattern, "string", cursor, about).await
    }

    pub async fn streams_like(&self, pattern: &str, cursor: u64, about: usize) -> Outcome<(Vec<String>, u64)> {
        self.scan(pattern, "stream", cursor, about).await
    }

    async fn scan(&self, pattern: &str, kind: &str, cursor: u64, about: usize) -> Outcome<(Vec<String>, u64)> {
        let (place, of_server) = (cursor >> OF_SERVER, cursor & ((1 << OF_SERVER) - 1));
        let mut scan = cmd("SCAN");
        scan.arg(of_server).arg("MATCH").arg(pattern).arg("COUNT").arg(about).arg("TYPE").arg(kind);
        let ((next, keys), is_last): ((u64, Vec<Vec<u8>>), bool) = self.connection.query_nth(place, &scan).await?;
        let next = match next {
            0 if is_last => 0,
            0 => (place + 1) << OF_SERVER,
            next => place << OF_SERVER | next,
        };
        Ok((keys.into_iter().filter_map(|key| String::from_utf8(key).ok()).collect(), next))
    }

    pub async fn saved_each(&self, keys: &[&Keys]) -> Outcome<Vec<Outcome<Option<Saved>>>> {
        let mut all = pipe();
        for keys in keys {
            all.cmd("HGETALL").arg(&keys.env);
        }
        let names: Vec<_> = keys.iter().map(|keys| keys.env.as_str()).collect();
        let mut saved = Vec::with_capacity(keys.len());
        for (answer, keys) in self.connection.each(&names, all).await?.into_iter().zip(keys) {
            saved.push(match answer {
                Ok(answer) if was_not_run(&answer) => self.saved(keys).await,
                answer => answer
                    .and_then(|answer| self.told::<HashMap<String, Vec<u8>>>(answer, &keys.env))
                    .and_then(Saved::from_fields),
            });
        }
        Ok(saved)
    }

    /// The scripts are named by their hash; where a server doesn't know it, the first that is sent whole makes it known.
    pub async fn commit_each(&self, commits: &[Commit<'_>]) -> Outcome<Vec<Outcome<Committed>>> {
        let (mut all, mut names, mut refused) = (pipe(), Vec::new(), Vec::with_capacity(commits.len()));
        for commit in commits {
            let script = invocation(commit);
            if let Ok(script) = &script {
                all.invoke_script(script);
                names.push(commit.keys.output.as_str());
            }
            refused.push(script.err());
        }
        let mut answers = self.connection.each(&names, all).await?.into_iter();
        let mut committed = Vec::with_capacity(commits.len());
        for (commit, refused) in commits.iter().zip(refused) {
            let answer = refused.map_or_else(|| answers.next().unwrap_or_else(|| Err(unanswered())), Err);
            committed.push(match answer {
                Ok(answer) if was_not_run(&answer) => self.commit(commit).await,
                answer => answer.and_then(|answer| self.told(answer, &commit.keys.output)).and_then(settled),
            });
        }
        Ok(committed)
    }

    pub(super) fn told<T: ::redis::FromRedisValue>(&self, answer: Value, key: &str) -> Outcome<T> {
        let told = answer.extract_error().and_then(|value| from_redis_value(value).map_err(RedisError::from));
        told.map_err(|error| fault::cause_of(&error, key, self.connection.answer_within()))
    }
}

/// A server has left out what it was asked last.
pub(super) fn unanswered() -> Cause {
    Cause::Unreachable("the server has not answered all that it was asked".to_owned())
}

/// Whether a server has said that it hasn't run a command, and that it, or another one, will if it is asked by itself.
pub(super) fn was_not_run(answer: &Value) -> bool {
    matches!(answer, Value::ServerError(error) if matches!(error.code(), "NOSCRIPT" | "MOVED" | "ASK"))
}
