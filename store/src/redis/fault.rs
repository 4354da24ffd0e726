//! What a Redis server's or client's error means to an operator.

use std::time::Duration;

use redis::{ErrorKind, RedisError};

use super::script;
use crate::error::Cause;

const NO_RIGHT: &str = "give the user (ACL SETUSER) the right to that command, and to the keys: the input, and of an output \
     KEY also {KEY}:*. In all a host needs TYPE, SET, HGET, HGETALL, HSET, XADD, EVALSHA and SCRIPT LOAD; for a key STRLEN, \
     GETRANGE and GET, for the lease PTTL and DEL too, to be told of writes CLIENT TRACKING; for a pattern SCAN, STRLEN and \
     GETRANGE; for a stream XGROUP CREATE, XREADGROUP, XAUTOCLAIM, XPENDING, XACK, XTRIM and XRANGE; to set aside XTRIM, to \
     replay XRANGE, XREVRANGE, XLEN and XDEL; in a cluster CLUSTER SLOTS and GET";

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
        "NOPERM" => denied(NO_RIGHT),
        _ if is_right_of_script(error) => {
            let text = error.detail().unwrap_or_default();
            let reason = text.split_once(" script: ").map_or(text, |(reason, _)| reason);
            let command = script::failed_command(text).unwrap_or_else(|| "a command in a script".to_owned());
            Cause::Denied(format!("{command}: {reason}: {NO_RIGHT}"))
        }
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

/// Whether a script was refused a right, which has no code of its own: in the words of Redis 7.0, then of 7.2.
fn is_right_of_script(error: &RedisError) -> bool {
    let text = error.detail().unwrap_or_default();
    ["user executing the script can't", "ACL failure in script"].iter().any(|words| text.contains(words))
}

fn wrong_login() -> String {
    "wrong user name or password: set REDIS_PASSWORD or REDIS_PASSWORD_FILE, and REDIS_USERNAME if \
     the server has users, to the server's"
        .to_owned()
}
