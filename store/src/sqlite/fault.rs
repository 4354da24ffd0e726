//! What a SQLite error means to an operator.

use rusqlite::ffi::ErrorCode;

use super::file::BUSY_TIMEOUT;
use crate::error::Cause;

/// The cause behind `error`.
pub(super) fn cause_of(error: &rusqlite::Error) -> Cause {
    let Some(code) = error.sqlite_error_code() else {
        return Cause::Corrupt(format!("{error}: the file isn't as this program writes it"));
    };
    let unreachable = |advice: &str| Cause::Unreachable(format!("{error}: {advice}"));
    match code {
        ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked => Cause::TimedOut(BUSY_TIMEOUT),
        ErrorCode::CannotOpen => unreachable("see whether it is a file in a folder that this user may write to"),
        ErrorCode::ReadOnly | ErrorCode::PermissionDenied => {
            unreachable("give this user the right to write to the file and its folder")
        }
        ErrorCode::SystemIoFailure => unreachable("see whether its disk is there and works"),
        ErrorCode::DiskFull => Cause::Unavailable(format!("{error}: make room on its disk")),
        ErrorCode::NotADatabase => Cause::Corrupt(format!("{error}: name another file, or move that one away")),
        ErrorCode::DatabaseCorrupt => Cause::Corrupt(format!("{error}: restore it from a backup, or move it away")),
        _ => Cause::Other(error.to_string()),
    }
}
