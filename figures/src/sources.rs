//! The texts that figures are made of, as this machine has them now.

use std::{
    fs, io,
    path::{Path, PathBuf},
    time::SystemTime,
};

use crate::Error;

/// What was read of this machine, before anything is calculated.
#[derive(Debug, Clone)]
pub struct Sources {
    /// When it was read.
    pub taken: SystemTime,
    /// /proc/stat.
    pub stat: String,
    /// /proc/meminfo.
    pub meminfo: String,
    /// /proc/net/dev.
    pub net_dev: String,
    /// /proc/cpuinfo; empty where there is none.
    pub cpuinfo: String,
    /// What each policy below /sys/devices/system/cpu/cpufreq gives as its current frequency, in kHz.
    pub scaling_cur_freq: Vec<String>,
    /// How many processes /proc lists.
    pub processes: usize,
}

impl Sources {
    /// Reads them all.
    ///
    /// # Errors
    ///
    /// When a file of /proc can't be read. Frequencies may be missing: many virtual machines have none.
    pub fn read() -> Result<Self, Error> {
        Ok(Self {
            taken: SystemTime::now(),
            stat: text("/proc/stat")?,
            meminfo: text("/proc/meminfo")?,
            net_dev: text("/proc/net/dev")?,
            cpuinfo: fs::read_to_string("/proc/cpuinfo").unwrap_or_default(),
            scaling_cur_freq: policies().iter().filter_map(|policy| current_frequency(policy)).collect(),
            processes: processes()?,
        })
    }
}

fn text(path: &'static str) -> Result<String, Error> {
    fs::read_to_string(path).map_err(|source| Error::Read { path, source })
}

/// The folders of the frequency policies; none where the kernel has no control over frequencies.
fn policies() -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir("/sys/devices/system/cpu/cpufreq") else {
        return Vec::new();
    };
    entries.filter_map(|entry| Some(entry.ok()?.path())).filter(|path| path.join("scaling_min_freq").exists()).collect()
}

fn current_frequency(policy: &Path) -> Option<String> {
    ["scaling_cur_freq", "cpuinfo_cur_freq"].iter().find_map(|name| fs::read_to_string(policy.join(name)).ok())
}

fn processes() -> Result<usize, Error> {
    let count = || -> io::Result<usize> {
        let mut count = 0;
        for entry in fs::read_dir("/proc")? {
            let is_process = entry?.file_name().as_encoded_bytes().iter().all(u8::is_ascii_digit);
            count += usize::from(is_process);
        }
        Ok(count)
    };
    count().map_err(|source| Error::Read { path: "/proc", source })
}
