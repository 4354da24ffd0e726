//! How the memory is used, out of /proc/meminfo.

use procfs::{FromRead, Meminfo};

use crate::{Error, percent};

/// How the memory is used: bytes, but for `percent`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct VirtualMemory {
    /// All there is.
    pub total: u64,
    /// What programs can still take without swapping.
    pub available: u64,
    /// What is not available, in % of the total, one decimal.
    pub percent: f64,
    /// What is not available.
    pub used: u64,
    /// What nobody uses, not even as a cache.
    pub free: u64,
    /// What was in use recently.
    pub active: u64,
    /// What was not in use recently.
    pub inactive: u64,
    /// Blocks of disks.
    pub buffers: u64,
    /// Pages of files, and what of the kernel's own caches can be given back.
    pub cached: u64,
    /// What several processes share.
    pub shared: u64,
    /// The kernel's own structures.
    pub slab: u64,
}

impl VirtualMemory {
    pub(crate) fn parse(meminfo: &str) -> Result<Self, Error> {
        Meminfo::from_read(meminfo.as_bytes())
            .map(|meminfo| Self::of(&meminfo))
            .map_err(|error| Error::Unexpected { path: "/proc/meminfo", expected: format!("memory figures ({error})") })
    }

    /// As psutil and `free` see it. Where the kernel doesn't say what is available (before 3.14, or 0 in some
    /// containers) it is estimated as free + cached; more than there is means distorted figures of a container, and
    /// then what is free is taken.
    fn of(meminfo: &Meminfo) -> Self {
        let total = meminfo.mem_total;
        let stated = meminfo.mem_available.filter(|&bytes| bytes > 0);
        let available = match stated.unwrap_or(meminfo.mem_free + meminfo.cached) {
            bytes if bytes > total => meminfo.mem_free.min(total),
            bytes => bytes,
        };
        Self {
            total,
            available,
            percent: percent(total - available, total),
            used: total - available,
            free: meminfo.mem_free,
            active: meminfo.active,
            inactive: meminfo.inactive,
            buffers: meminfo.buffers,
            cached: meminfo.cached + meminfo.s_reclaimable.unwrap_or(0),
            shared: meminfo.shmem.unwrap_or(0),
            slab: meminfo.slab,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MEMINFO: &str = "\
MemTotal:        1000 kB
MemFree:          400 kB
MemAvailable:     700 kB
Buffers:           10 kB
Cached:           250 kB
SwapCached:         0 kB
Active:           200 kB
Inactive:         150 kB
SwapTotal:          0 kB
SwapFree:           0 kB
Dirty:              0 kB
Writeback:          0 kB
AnonPages:         90 kB
Mapped:            60 kB
Shmem:             30 kB
Slab:             100 kB
SReclaimable:      50 kB
SUnreclaim:        50 kB
Committed_AS:     100 kB
VmallocTotal:    1000 kB
VmallocUsed:        0 kB
VmallocChunk:       0 kB
";

    #[test]
    fn memory_is_in_bytes_and_reclaimable_slabs_are_cached() {
        let expected = VirtualMemory {
            total: 1000 * 1024,
            available: 700 * 1024,
            percent: 30.0,
            used: 300 * 1024,
            free: 400 * 1024,
            active: 200 * 1024,
            inactive: 150 * 1024,
            buffers: 10 * 1024,
            cached: 300 * 1024,
            shared: 30 * 1024,
            slab: 100 * 1024,
        };
        assert_eq!(VirtualMemory::parse(MEMINFO).unwrap(), expected);
    }

    #[test]
    fn what_is_available_is_estimated_where_the_kernel_does_not_say() {
        for unsaid in ["", "MemAvailable: 0 kB\n"] {
            let meminfo = MEMINFO.replace("MemAvailable:     700 kB\n", unsaid);
            assert_eq!(VirtualMemory::parse(&meminfo).unwrap().available, 650 * 1024);
        }
    }

    #[test]
    fn more_available_than_there_is_means_what_is_free() {
        let meminfo = MEMINFO.replace("  700 kB", "  7000 kB");
        assert_eq!(VirtualMemory::parse(&meminfo).unwrap().available, 400 * 1024);
    }

    #[test]
    fn what_is_not_linux_is_named() {
        let error = VirtualMemory::parse("no memory\n").unwrap_err().to_string();
        assert!(error.starts_with("/proc/meminfo has no memory figures"), "{error}");
    }
}
