//! Raw machine figures in; percentages and moving averages out.
//!
//! The input is a flat JSON object with psutil's field names. Per call, all of them rounded to 2 decimals:
//!
//! | result | unit | formula |
//! |---|---|---|
//! | `percent-network-egress` | % | sent / (sent + received) × 100, in bytes since boot: of `eth0`; where there is none, of all interfaces but `lo` together; 0 where nothing moved |
//! | `percent-memory-cache` | % | (cached + buffers) / total × 100, in bytes; 0 where the total is 0 |
//! | `avg-util-cpuN-60sec` | % | mean of the last 12 values of `cpu_percent-N`: 60 s at one every 5 s |
//! | `timestamp` | | as it came, whatever it is |
//! | `num_cpus_monitored` | CPUs | how many `cpu_percent-N` this input has |
//!
//! `timestamp`, `virtual_memory-total`, `virtual_memory-cached` and `virtual_memory-buffers` are required. Bytes are
//! read from `net_io_counters_IFACE-bytes_sent` and `-bytes_recv`, or, as older inputs spell them, with a `1` at the
//! end. Other fields are ignored. `N` is text of the digits 0 to 9: `01` is another CPU than `1`. CPUs come and go;
//! one that comes back goes on with the values that it had.
//!
//! # The same results as Python
//!
//! The results are those of the same formulas in Python (`bench/peer/handler_module.py`), to the last bit: integers
//! add up exactly and divide with one rounding (`number.rs`), floats add up from left to right, and
//! `round(x, 2)` decides by the exact binary value, ties to even (`round.rs`), so that 15.625 gives 15.62. A key that
//! comes twice counts with its last value in its first place; of the two spellings of a counter, the one in the later
//! place counts. An integer beyond 64 bits is taken as the nearest double.
//!
//! A number is what JSON calls one: where Python takes `true` for 1, this is an error. An ill-typed value that
//! no result needs (a counter of `lo`) is no error in either.
#![forbid(unsafe_code)]

mod figure;
mod input;
mod number;
mod reading;

mod calculate;
mod history;
mod report;
mod round;

mod ordered;

use std::convert::Infallible;

use history::History;
use plugin_api::{Context, Result};
use reading::Reading;
use report::Report;

/// One input's results; the last values of each CPU are kept in `env`.
fn handler(input: Reading, context: &mut Context<History>) -> Result<Report> {
    let Reading { timestamp, memory, sent, recv, cpus } = input;
    Ok(Report {
        network_egress: calculate::egress(sent, recv),
        memory_cache: calculate::percent(memory.cached + memory.buffers, memory.total),
        cpu_utilization: cpus.try_map(|name, value| Ok::<_, Infallible>(context.env.mean_with(name, value)))?,
        timestamp,
    })
}

plugin_api::export!(handler);

#[cfg(test)]
mod tests;
