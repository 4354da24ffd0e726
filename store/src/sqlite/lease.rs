//! The lease: a key of plain bytes, the holder's token, with a time to live.

use std::time::Duration;

use super::Sqlite;
use super::tables::{self, Kind};
use crate::error::Outcome;
use crate::lease::{BELIEVED_TIMES, Lease};

impl Sqlite {
    pub async fn take_lease(&self, key: &str, token: &str, time_to_live: Duration) -> Outcome<Lease> {
        let (key, token) = (key.to_owned(), token.to_owned());
        self.writing(move |transaction| {
            tables::expect(transaction, &key, Kind::Bytes)?;
            let believed = i64::try_from(time_to_live.as_millis()).unwrap_or(i64::MAX).saturating_mul(BELIEVED_TIMES);
            let left = tables::time_left(transaction, &key)?.filter(|left| *left <= believed);
            match (tables::bytes(transaction, &key)?, left) {
                (Some(holder), Some(left)) if holder != token.as_bytes() => Ok(Lease::Of {
                    token: String::from_utf8_lossy(&holder).into_owned(),
                    expires_in: Duration::from_millis(u64::try_from(left).unwrap_or(0)),
                }),
                _ => {
                    tables::put(transaction, &key, "", token.as_bytes(), Some(time_to_live))?;
                    Ok(Lease::Held)
                }
            }
        })
        .await
    }

    pub async fn release(&self, key: &str, token: &str) -> Outcome<()> {
        let (key, token) = (key.to_owned(), token.to_owned());
        self.writing(move |transaction| {
            tables::expect(transaction, &key, Kind::Bytes)?;
            match tables::bytes(transaction, &key)? {
                Some(holder) if holder == token.as_bytes() => tables::remove(transaction, &key),
                _ => Ok(()),
            }
        })
        .await
    }
}
