//! The scripts: each is an operation of several commands that the server runs as one.
//!
//! The client names a script by its hash, and sends it whole where the server answers that it doesn't know it: nothing has
//! run then, so this second sending is none of an operation.

use std::sync::LazyLock;

use ::redis::Script;

/// Of each script the commands stand one a line, since an error may give no more than the line.
pub(super) static COMMIT: LazyLock<Script> = LazyLock::new(|| Script::new(COMMIT_LUA));
pub(super) static TAKE_LEASE: LazyLock<Script> = LazyLock::new(|| Script::new(TAKE_LEASE_LUA));
pub(super) static RELEASE: LazyLock<Script> = LazyLock::new(|| Script::new(RELEASE_LUA));
pub(super) static REPLAY: LazyLock<Script> = LazyLock::new(|| Script::new(REPLAY_LUA));

const COMMIT_LUA: &str = include_str!("commit.lua");
const TAKE_LEASE_LUA: &str = include_str!("take_lease.lua");
const RELEASE_LUA: &str = include_str!("release.lua");
const REPLAY_LUA: &str = include_str!("replay.lua");

/// The command that failed, as `SET in the commit's script`: an error of Redis 7.0 gives the script's hash and the line.
pub(super) fn failed_command(error: &str) -> Option<String> {
    let scripts = [
        (&COMMIT, COMMIT_LUA, "the commit's script"),
        (&TAKE_LEASE, TAKE_LEASE_LUA, "the lease's script"),
        (&RELEASE, RELEASE_LUA, "the lease's script"),
        (&REPLAY, REPLAY_LUA, "the replay's script"),
    ];
    let (_, text, name) = scripts.into_iter().find(|(script, ..)| error.contains(script.get_hash()))?;
    let number: String = error.split_once("@user_script:")?.1.chars().take_while(char::is_ascii_digit).collect();
    let line = text.lines().nth(number.parse::<usize>().ok()?.checked_sub(1)?)?;
    let command = line.split_once("redis.call('")?.1.split_once('\'')?.0;
    Some(format!("{command} in {name}"))
}
