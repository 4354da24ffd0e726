//! Many keys at once: what is read and committed of a pattern's keys goes to the server in one pipeline.

use std::collections::HashMap;

use ::redis::{Pipeline, RedisError, Value, cmd, from_redis_value, pipe};

use super::{COMMIT, Redis, fault, invocation, settled};
use crate::commit::{Commit, Committed, Saved};
use crate::error::Outcome;
use crate::keys::Keys;

impl Redis {
    pub async fn keys_like(&self, pattern: &str, cursor: u64, about: usize) -> Outcome<(Vec<String>, u64)> {
        let mut scan = cmd("SCAN");
        scan.arg(cursor).arg("MATCH").arg(pattern).arg("COUNT").arg(about).arg("TYPE").arg("string");
        let (next, keys): (u64, Vec<Vec<u8>>) =
            self.connection.use_for("", async |server| scan.query_async(server).await).await?;
        Ok((keys.into_iter().filter_map(|key| String::from_utf8(key).ok()).collect(), next))
    }

    pub async fn read_each(&self, keys: &[&str]) -> Outcome<Vec<Option<Vec<u8>>>> {
        let mut get = cmd("MGET");
        get.arg(keys);
        self.connection.use_for("", async |server| get.query_async(server).await).await
    }

    pub async fn saved_each(&self, keys: &[&Keys]) -> Outcome<Vec<Outcome<Option<Saved>>>> {
        let mut all = pipe();
        for keys in keys {
            all.cmd("HGETALL").arg(&keys.env);
        }
        let answers = self.each(&all).await?;
        Ok(answers
            .into_iter()
            .zip(keys)
            .map(|(answer, keys)| {
                let fields: HashMap<String, Vec<u8>> = self.told(answer, &keys.env)?;
                Saved::from_fields(fields)
            })
            .collect())
    }

    /// The scripts in one pipeline. They are named by their hash; a server that doesn't know it has run none of them.
    pub async fn commit_each(&self, commits: &[Commit<'_>]) -> Outcome<Vec<Outcome<Committed>>> {
        let mut all = pipe();
        for commit in commits {
            all.invoke_script(&invocation(commit)?);
        }
        let mut answers = self.each(&all).await?;
        if answers.iter().any(is_unknown_script) {
            self.connection.use_for("", async |server| COMMIT.prepare_invoke().load_async(server).await).await?;
            let unknown: Vec<_> = answers.iter().map(is_unknown_script).collect();
            let mut again = pipe();
            for (commit, _) in commits.iter().zip(&unknown).filter(|(_, unknown)| **unknown) {
                again.invoke_script(&invocation(commit)?);
            }
            let mut later = self.each(&again).await?.into_iter();
            for (answer, _) in answers.iter_mut().zip(unknown).filter(|(_, unknown)| *unknown) {
                *answer = later.next().unwrap_or(Value::Nil);
            }
        }
        let told = |(answer, commit): (Value, &Commit<'_>)| self.told(answer, &commit.keys.output).and_then(settled);
        Ok(answers.into_iter().zip(commits).map(told).collect())
    }

    /// The answers to a pipeline, each for itself: an error of one is none of the others.
    async fn each(&self, all: &Pipeline) -> Outcome<Vec<Value>> {
        if all.is_empty() {
            return Ok(Vec::new());
        }
        let mut all = all.clone();
        all.ignore_errors();
        self.connection.use_for("", async |server| all.query_async(server).await).await
    }

    fn told<T: ::redis::FromRedisValue>(&self, answer: Value, key: &str) -> Outcome<T> {
        let told = answer.extract_error().and_then(|value| from_redis_value(value).map_err(RedisError::from));
        told.map_err(|error| fault::cause_of(&error, key, self.connection.answer_within()))
    }
}

fn is_unknown_script(answer: &Value) -> bool {
    matches!(answer, Value::ServerError(error) if error.code() == "NOSCRIPT")
}
