//! What the host tells of itself as Prometheus reads it: the same facts as [`Status`], in the OpenMetrics text format.

use std::fmt::Error;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric};
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;
use prometheus_client::metrics::info::Info;
use prometheus_client::registry::Registry;

use crate::plugin::Step;
use crate::status::{State, Status};

/// The media type of [`text`].
pub const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// The metrics as text.
pub fn text(status: Status) -> String {
    let mut registry = Registry::with_prefix("plugin_host");
    registry.register_collector(Box::new(status));
    let mut text = String::new();
    // Writing to a string can't fail.
    prometheus_client::encoding::text::encode(&mut text, &registry).ok();
    text
}

impl Collector for Status {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), Error> {
        let host = [("version", self.host_version)];
        one(&mut encoder, "build", "The host", &Info::new(host))?;
        if let Some(plugin) = &self.plugin {
            let plugin = [
                ("name", plugin.name.clone()),
                ("version", plugin.version.clone()),
                ("sha256", plugin.sha256.clone()),
                ("handler", self.handler.clone()),
            ];
            one(&mut encoder, "plugin", "The plugin that is called", &Info::new(plugin))?;
        }
        let ready = i64::from(self.state == State::Running);
        one(
            &mut encoder,
            "ready",
            "1 while the host calls the handler when the trigger says so",
            &ConstGauge::new(ready),
        )?;
        one(&mut encoder, "calls", "Calls of the handler, failed ones included", &ConstCounter::new(self.calls))?;
        one(&mut encoder, "call_failures", "Failed calls of the handler", &ConstCounter::new(self.failures))?;
        let reloads = ConstCounter::new(self.reloads);
        one(&mut encoder, "reloads", "New versions of the plugin that were put in place", &reloads)?;
        let mapped = ConstGauge::new(self.mapped_libraries as i64);
        one(&mut encoder, "mapped_libraries", "Libraries that are mapped, replaced versions included", &mapped)?;
        let failed = ConstCounter::new(0_u64);
        let help = "New versions of the plugin that were not taken, by the step that failed";
        let mut family = encoder.encode_descriptor("failed_reloads", help, None, failed.metric_type())?;
        for step in Step::ALL {
            let count = self.failed_reloads.get(&step).copied().unwrap_or_default();
            ConstCounter::new(count).encode(family.encode_family(&[("step", step.as_str())])?)?;
        }
        Ok(())
    }
}

fn one(encoder: &mut DescriptorEncoder<'_>, name: &str, help: &str, metric: &impl EncodeMetric) -> Result<(), Error> {
    let encoder = encoder.encode_descriptor(name, help, None, metric.metric_type())?;
    metric.encode(encoder)
}
