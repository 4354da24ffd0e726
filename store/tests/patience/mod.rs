//! Waiting for a failover, as a host does.

use std::time::{Duration, Instant};

use store::Error;

/// How long a failover may take on a machine that runs many tests at once.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// Tries until it works.
pub async fn until_it_works<T>(mut operation: impl AsyncFnMut() -> Result<T, Error>) -> T {
    let deadline = Instant::now() + PATIENCE;
    loop {
        match operation().await {
            Ok(value) => return value,
            Err(error) => assert!(Instant::now() < deadline, "{error}"),
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}
