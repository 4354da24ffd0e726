//! The lease: a key of plain bytes, the holder's token and how long it takes it for, with a time to live.

use std::time::Duration;

use super::Sqlite;
use super::tables::{self, Kind};
use crate::error::Outcome;
use crate::lease::{BELIEVED_TIMES, Lease, holder_of, value_of};

impl Sqlite {
    pub async fn take_lease(&self, key: &str, token: &str, time_to_live: Duration) -> Outcome<Lease> {
        let (key, token) = (key.to_owned(), token.to_owned());
        self.writing(move |transaction| {
            tables::expect(transaction, &key, Kind::Bytes)?;
            if let (Some(value), Some(left)) =
                (tables::bytes(transaction, &key)?, tables::time_left(transaction, &key)?)
            {
                let value = String::from_utf8_lossy(&value);
                let (holder, period) = holder_of(&value).unwrap_or((&value, milliseconds(time_to_live)));
                if holder != token && left <= period.saturating_mul(BELIEVED_TIMES) {
                    let expires_in = Duration::from_millis(u64::try_from(left).unwrap_or(0));
                    return Ok(Lease::Of { token: holder.to_owned(), expires_in });
                }
            }
            let value = value_of(&token, milliseconds(time_to_live));
            tables::put(transaction, &key, "", value.as_bytes(), Some(time_to_live))?;
            Ok(Lease::Held)
        })
        .await
    }

    pub async fn release(&self, key: &str, token: &str) -> Outcome<()> {
        let (key, token) = (key.to_owned(), token.to_owned());
        self.writing(move |transaction| {
            tables::expect(transaction, &key, Kind::Bytes)?;
            match tables::bytes(transaction, &key)? {
                Some(value) if is_of(&String::from_utf8_lossy(&value), &token) => tables::remove(transaction, &key),
                _ => Ok(()),
            }
        })
        .await
    }
}

fn milliseconds(time_to_live: Duration) -> i64 {
    i64::try_from(time_to_live.as_millis()).unwrap_or(i64::MAX)
}

fn is_of(value: &str, token: &str) -> bool {
    holder_of(value).map_or(value, |(holder, _)| holder) == token
}
