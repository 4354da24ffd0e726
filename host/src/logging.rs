//! Log records: the host's own and those that plugins make with the `log` crate, as text or JSON on standard error.

use std::io;

use log::{Level, LevelFilter};
use plugin_api::abi::{LogSink, Source};
use tracing::level_filters::LevelFilter as HostFilter;
use tracing_subscriber::EnvFilter;

use crate::config::LogFormat;

/// Starts writing log records. `filter` is what `RUST_LOG` holds; without it, `info`.
pub fn start(format: LogFormat, filter: Option<&str>) {
    let filter =
        EnvFilter::builder().with_default_directive(HostFilter::INFO.into()).parse_lossy(filter.unwrap_or_default());
    // Records that nobody reads any more are lost; to say so on the same pipe would end the process.
    let subscriber =
        tracing_subscriber::fmt().with_env_filter(filter).with_writer(io::stderr).log_internal_errors(false);
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

fn write(source: Source<'_>, level: Level, module: &str, message: &str) {
    let Source { plugin, handler } = source;
    match level {
        Level::Error => tracing::error!(plugin, handler, module, "{message}"),
        Level::Warn => tracing::warn!(plugin, handler, module, "{message}"),
        Level::Info => tracing::info!(plugin, handler, module, "{message}"),
        Level::Debug => tracing::debug!(plugin, handler, module, "{message}"),
        Level::Trace => tracing::trace!(plugin, handler, module, "{message}"),
    }
}
