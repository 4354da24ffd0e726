//! This machine's raw figures, with psutil's field names: what the metrics plugin takes in.
//!
//! Made for the trigger `timer`; the input is not looked at. CPU percentages are of the time since the last call,
//! whose CPU times are kept in `env`; the first call gives zeros. What the fields are: see the crate `figures`.
#![forbid(unsafe_code)]

use figures::{CpuTimes, Figures};
use plugin_api::{Context, Result, Value};

/// Reads the figures, and keeps the CPU times for the next call.
fn handler(_: Value, context: &mut Context<CpuTimes>) -> Result<Figures> {
    let (figures, times) = figures::read(&context.env)?;
    context.env = times;
    Ok(figures)
}

plugin_api::export!(handler);

#[cfg(test)]
mod tests {
    use plugin_api::{json, testing};

    #[test]
    fn each_call_goes_on_from_the_last_cpu_times() {
        let mut handler = testing::Handler::new(super::handler);
        let first = handler.call(&json!(null)).unwrap();
        assert_eq!(first["cpu_percent-0"], 0.0);
        assert!(first["virtual_memory-total"].as_u64().is_some_and(|bytes| bytes > 0));
        let times = handler.env();
        assert!(times["0"].as_array().is_some_and(|ticks| ticks.len() == 10), "{times}");

        let mut restarted = testing::Handler::new(super::handler).with_env(&times).unwrap();
        restarted.call(&json!(null)).unwrap();
    }
}
