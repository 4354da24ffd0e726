//! What each network interface moved, out of /proc/net/dev.

use procfs::{FromRead, net::InterfaceDeviceStatus};

use crate::Error;

/// What an interface moved since it is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Counters {
    /// Bytes sent.
    pub bytes_sent: u64,
    /// Bytes received.
    pub bytes_recv: u64,
    /// Packets sent.
    pub packets_sent: u64,
    /// Packets received.
    pub packets_recv: u64,
    /// Faults while receiving.
    pub errin: u64,
    /// Faults while sending.
    pub errout: u64,
    /// Packets that came and were dropped.
    pub dropin: u64,
    /// Packets that were to be sent and were dropped.
    pub dropout: u64,
}

/// Each interface's name and counters, by name.
pub(crate) fn parse(net_dev: &str) -> Result<Vec<(String, Counters)>, Error> {
    let InterfaceDeviceStatus(interfaces) = FromRead::from_read(net_dev.as_bytes())
        .map_err(|error| Error::Unexpected { path: "/proc/net/dev", expected: format!("counters ({error})") })?;
    let mut named: Vec<_> = interfaces
        .into_values()
        .map(|status| {
            let counters = Counters {
                bytes_sent: status.sent_bytes,
                bytes_recv: status.recv_bytes,
                packets_sent: status.sent_packets,
                packets_recv: status.recv_packets,
                errin: status.recv_errs,
                errout: status.sent_errs,
                dropin: status.recv_drop,
                dropout: status.sent_drop,
            };
            (status.name, counters)
        })
        .collect();
    named.sort_by(|(one, _), (other, _)| one.cmp(other));
    Ok(named)
}

#[cfg(test)]
mod tests {
    use super::*;

    const NET_DEV: &str = "\
Inter-|   Receive                                                |  Transmit
 face |bytes    packets errs drop fifo frame compressed multicast|bytes    packets errs drop fifo colls carrier compressed
    lo:    3193      29    0    0    0     0          0         0     3193      29    0    0    0     0       0          0
  eth0: 18446744073709551615 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16
";

    #[test]
    fn counters_come_from_their_columns() {
        let parsed = parse(NET_DEV).unwrap();
        let names: Vec<_> = parsed.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(names, ["eth0", "lo"]);
        let expected = Counters {
            bytes_sent: 9,
            bytes_recv: u64::MAX,
            packets_sent: 10,
            packets_recv: 2,
            errin: 3,
            errout: 11,
            dropin: 4,
            dropout: 12,
        };
        assert_eq!(parsed[0].1, expected);
    }

    #[test]
    fn what_is_not_linux_is_named() {
        let error = parse("one\ntwo\neth0: many\n").unwrap_err().to_string();
        assert!(error.starts_with("/proc/net/dev has no counters"), "{error}");
    }
}
