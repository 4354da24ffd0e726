//! How much memory a worker may take.

use std::fs;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// 80 % of the memory limit of this process's cgroup; none where there is none.
pub fn of_cgroup() -> Option<u64> {
    // Version 2, and version 1, as they are mounted in a container.
    let files = ["/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes"];
    let limit: u64 = files.iter().find_map(|file| fs::read_to_string(file).ok())?.trim().parse().ok()?;
    // Version 1 says "none" by a number near the greatest one.
    (limit < 1 << 62).then_some(limit / 5 * 4)
}

/// Bounds what this process can allocate. What is over it fails, and ends a process that doesn't expect that.
pub fn limit_memory(bytes: u64) {
    let now = getrlimit(Resource::Data);
    let bytes = now.maximum.map_or(bytes, |most| bytes.min(most));
    if let Err(error) = setrlimit(Resource::Data, Rlimit { current: Some(bytes), maximum: now.maximum }) {
        tracing::warn!("the memory can't be limited to {bytes} bytes: {error}");
    }
}
