//! What a Redis server's or client's error means to an operator.

use std::time::Duration;

use redis::{ErrorKind, RedisError};

use crate::error::Cause;

const NO_RIGHT: &str = "give the user the rights to these keys and to TYPE, GET, SET, DEL, HGET, HGETALL, HSET, XADD, \
     XREVRANGE, PING, EVALSHA and SCRIPT LOAD, for streams also to XGROUP, XREADGROUP, XAUTOCLAIM, XPENDING, XACK and \
     XTRIM, for patterns to SCAN and MGET, in a cluster to CLUSTER SLOTS (ACL SETUSER)";

/// The cause behind `error`, which came of an operation on `key` that had `limit` to end.
pub(super) fn cause_of(error: &RedisError, key: &str, limit: Duration) -> Cause {
    if error.is_timeout() {
        return Cause::TimedOut(limit);
    }
    match error.kind() {
        ErrorKind::Io | ErrorKind::Parse => {
            return Cause::Unreachable(format!("{error}: see whether a Redis runs there"));
        }
        ErrorKind::AuthenticationFailed => return Cause::Denied(wrong_login()),
        _ => {}
    }
    let denied = |advice: &str| Cause::Denied(format!("{error}: {advice}"));
    let unavailable = |advice: &str| Cause::Unavailable(format!("{error}: {advice}"));
    match error.code().unwrap_or_default() {
        "WRONGTYPE" => Cause::WrongType { key: key.to_owned() },
        "WRONGPASS" => Cause::Denied(wrong_login()),
        "NOAUTH" => denied("set REDIS_PASSWORD or REDIS_PASSWORD_FILE"),
        // Redis 7.0 gives a right that is missing inside a script no code of its own.
        "ERR" if error.to_string().contains("user executing the script can't") => denied(NO_RIGHT),
        "NOPERM" => denied(NO_RIGHT),
        "DENIED" => denied("set a password on the server, or turn its protected mode off"),
        "LOADING" => unavailable("it answers once its data are in memory"),
        "READONLY" => unavailable("this is a replica: name the primary"),
        "MASTERDOWN" => unavailable("this is a replica without its primary: name the primary"),
        "OOM" => unavailable("raise its maxmemory or remove keys"),
        "MISCONF" => unavailable("see its log: it can't save to its disk"),
        "NOREPLICAS" => unavailable("it asks for more replicas than it has (min-replicas-to-write)"),
        "BUSY" => unavailable("a script of someone else's runs on it: wait, or end it with SCRIPT KILL"),
        "UNBLOCKED" => unavailable("it has become a replica"),
        "MOVED" | "ASK" => unavailable("this is a server of a Redis Cluster: write redis+cluster:// in its address"),
        "CLUSTERDOWN" => unavailable("the cluster is failing over, or has lost servers: see CLUSTER INFO"),
        "TRYAGAIN" => unavailable("the keys' slot is being moved to another server of the cluster"),
        "CROSSSLOT" => Cause::Other(format!(
            "{error}: the keys of one operation must be in the same slot of the cluster; give them a common hash tag, as \
             in {{metrics}}:in and {{metrics}}:out"
        )),
        "ERR" if error.to_string().contains("cluster support disabled") => {
            Cause::Other(format!("{error}: this is no server of a Redis Cluster: write redis:// in its address"))
        }
        _ => Cause::Other(error.to_string()),
    }
}

fn wrong_login() -> String {
    "wrong user name or password: set REDIS_PASSWORD or REDIS_PASSWORD_FILE, and REDIS_USERNAME if \
     the server has users, to the server's"
        .to_owned()
}
