//! Log records: the host's own and those that plugins make with the `log` crate, as text or JSON on standard error.

use std::io;

use log::{Level, LevelFilter};
use plugin_api::abi::LogSink;
use tracing::level_filters::LevelFilter as HostFilter;
use tracing_subscriber::EnvFilter;

use crate::config::LogFormat;

/// Starts writing log records. `filter` is what `RUST_LOG` holds; without it, `info`.
pub fn start(format: LogFormat, filter: Option<&str>) {
    let filter =
        EnvFilter::builder().with_default_directive(HostFilter::INFO.into()).parse_lossy(filter.unwrap_or_default());
    let subscriber = tracing_subscriber::fmt().with_env_filter(filter).with_writer(io::stderr);
    match format {
        LogFormat::Text => subscriber.with_target(false).with_ansi(false).init(),
        LogFormat::Json => subscriber.json().with_target(false).with_span_list(false).init(),
    }
}

/// Takes the records of plugins.
pub fn plugin_sink() -> LogSink {
    let level = match HostFilter::current().into_level() {
        None => LevelFilter::Off,
        Some(tracing::Level::ERROR) => LevelFilter::Error,
        Some(tracing::Level::WARN) => LevelFilter::Warn,
        Some(tracing::Level::INFO) => LevelFilter::Info,
        Some(tracing::Level::DEBUG) => LevelFilter::Debug,
        Some(tracing::Level::TRACE) => LevelFilter::Trace,
    };
    LogSink { level, write }
}

fn write(plugin: &str, level: Level, module: &str, message: &str) {
    match level {
        Level::Error => tracing::error!(plugin, module, "{message}"),
        Level::Warn => tracing::warn!(plugin, module, "{message}"),
        Level::Info => tracing::info!(plugin, module, "{message}"),
        Level::Debug => tracing::debug!(plugin, module, "{message}"),
        Level::Trace => tracing::trace!(plugin, module, "{message}"),
    }
}
