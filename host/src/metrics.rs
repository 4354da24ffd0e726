//! What the host tells of itself as Prometheus reads it: the same facts as [`Status`](crate::status::Status), in the
//! OpenMetrics text format.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt::Error;
use std::time::{SystemTime, UNIX_EPOCH};

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric, MetricEncoder, NoLabelSet};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;
use prometheus_client::metrics::info::Info;
use prometheus_client::registry::{Registry, Unit};

use crate::plugin::Step;
use crate::status::{DURATIONS, Figures, Snapshot};

/// The media type of [`text`].
pub const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// The metrics as text.
pub fn text(snapshot: Snapshot) -> String {
    let mut registry = Registry::with_prefix("plugin_host");
    registry.register_collector(Box::new(snapshot));
    let mut text = String::new();
    // Writing to a string can't fail.
    prometheus_client::encoding::text::encode(&mut text, &registry).ok();
    text
}

impl Collector for Snapshot {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), Error> {
        let (status, figures) = (&self.status, &self.figures);
        let to = &mut encoder;
        let host = [("version", status.host_version.clone())];
        one(to, "build", "The host, with its version", &Info::new(host))?;
        if let Some(plugin) = &status.plugin {
            let plugin = [
                ("name", plugin.name.clone()),
                ("version", plugin.version.clone()),
                ("sha256", plugin.sha256.clone()),
                ("handler", status.handler.clone()),
            ];
            one(to, "plugin", "The plugin that is called: its name, version, sha256 and handler", &Info::new(plugin))?;
        }
        let ready = i64::from(status.state.is_ready());
        one(to, "ready", "1 while the host works, or stands by for another one", &ConstGauge::new(ready))?;

        counter(to, "calls", "Calls of the handler, failed ones included", status.calls)?;
        counter(to, "call_failures", "Failed calls of the handler", status.failures)?;
        let help = "Calls of the handler by outcome: success, or what failed (input, error, panic, output, env, crash, timeout)";
        by(to, "call_outcomes", help, "outcome", &figures.outcomes)?;
        let help = "How long calls took, of a batch the mean; without those that ended the worker";
        let durations = Durations(figures);
        let unit = Some(&Unit::Seconds);
        durations.encode(to.encode_descriptor("call_duration", help, unit, durations.metric_type())?)?;
        if let Some(at) = figures.input_at {
            let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs_f64();
            let age = ConstGauge::new((now - at).max(0.0));
            age.encode(to.encode_descriptor(
                "input_age",
                "Time since a handler was called; absent before the first call, and grows while the host stands by",
                unit,
                age.metric_type(),
            )?)?;
        }
        counter(to, "dead_letters", "Events that were set aside", status.dead)?;
        gauge(to, "env_bytes", "The size of the env that was committed last", figures.env_bytes)?;
        counter(to, "store_errors", "Failed operations of the store", figures.store_errors)?;

        counter(to, "reloads", "New versions of the plugin that were put in place", status.reloads)?;
        let failed: BTreeMap<_, _> =
            Step::ALL.map(|step| (step.as_str(), status.failed_reloads.get(&step).copied().unwrap_or_default())).into();
        let help = "New versions of the plugin that were not taken, by the step that failed";
        by(to, "failed_reloads", help, "step", &failed)?;
        let mapped = status.mapped_libraries as u64;
        let help = "Libraries that are mapped, replaced versions included; a worker with more than 64 is replaced";
        gauge(to, "mapped_libraries", help, mapped)?;
        let help = "Starts of a new worker by reason: the signal (sigsegv, sigabrt, ...), exit, timeout, refused; lease (another \
                    host took the place), libraries and new-version are planned";
        by(to, "restarts", help, "reason", &status.restarts)?;
        for (name, help, count) in [
            ("keys", "Patterns: keys that match", status.keys),
            ("envs", "Patterns: those of the keys whose env is in memory", status.envs),
        ] {
            if let Some(count) = count {
                gauge(to, name, help, count as u64)?;
            }
        }
        Ok(())
    }
}

/// The histogram of calls' durations.
struct Durations<'a>(&'a Figures);

impl EncodeMetric for Durations<'_> {
    fn encode(&self, mut encoder: MetricEncoder<'_>) -> Result<(), Error> {
        let counts = self.0.durations;
        let bounds = DURATIONS.into_iter().chain([f64::INFINITY]);
        let buckets: Vec<_> = bounds.zip(counts).collect();
        encoder.encode_histogram::<NoLabelSet>(self.0.duration_sum, counts.iter().sum(), &buckets, None)
    }

    fn metric_type(&self) -> MetricType {
        MetricType::Histogram
    }
}

fn counter(encoder: &mut DescriptorEncoder<'_>, name: &str, help: &str, count: u64) -> Result<(), Error> {
    one(encoder, name, help, &ConstCounter::new(count))
}

fn gauge(encoder: &mut DescriptorEncoder<'_>, name: &str, help: &str, number: u64) -> Result<(), Error> {
    one(encoder, name, help, &ConstGauge::new(number))
}

/// A family of counters.
fn by<K: AsRef<str>>(
    encoder: &mut DescriptorEncoder<'_>,
    name: &str,
    help: &str,
    label: &'static str,
    counts: &BTreeMap<K, u64>,
) -> Result<(), Error> {
    let mut family = encoder.encode_descriptor(name, help, None, MetricType::Counter)?;
    for (value, count) in counts {
        ConstCounter::new(*count).encode(family.encode_family(&[(label, Cow::Borrowed(value.as_ref()))])?)?;
    }
    Ok(())
}

fn one(encoder: &mut DescriptorEncoder<'_>, name: &str, help: &str, metric: &impl EncodeMetric) -> Result<(), Error> {
    let encoder = encoder.encode_descriptor(name, help, None, metric.metric_type())?;
    metric.encode(encoder)
}
