//! The lease: a key of plain bytes, the holder's token and how long it takes it for, with a time to live that the server
//! measures.

use std::time::Duration;

use super::script::{RELEASE, TAKE_LEASE};
use super::{Redis, milliseconds};
use crate::error::{Cause, Outcome};
use crate::lease::{BELIEVED_TIMES, Lease};

impl Redis {
    pub async fn take_lease(&self, key: &str, token: &str, time_to_live: Duration) -> Outcome<Lease> {
        let milliseconds = milliseconds(time_to_live);
        let mut take = TAKE_LEASE.key(key);
        take.arg(token).arg(milliseconds).arg(BELIEVED_TIMES);
        let (word, holder, left): (String, Vec<u8>, u64) =
            self.connection.use_for(key, async |server| take.invoke_async(server).await).await?;
        match word.as_str() {
            "held" => Ok(Lease::Held),
            "of" => Ok(Lease::Of {
                token: String::from_utf8_lossy(&holder).into_owned(),
                expires_in: Duration::from_millis(left),
            }),
            _ => Err(Cause::WrongType { key: key.to_owned() }),
        }
    }

    pub async fn release(&self, key: &str, token: &str) -> Outcome<()> {
        let mut release = RELEASE.key(key);
        release.arg(token);
        let word: String = self.connection.use_for(key, async |server| release.invoke_async(server).await).await?;
        match word.as_str() {
            "free" => Ok(()),
            _ => Err(Cause::WrongType { key: key.to_owned() }),
        }
    }
}
