//! `plugin-host healthcheck`: asks a running host whether it is ready.

use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use clap::Args;

use super::runtime;
use crate::config::settings::{self, Setting};
use crate::config::variable;
use crate::plugin::http_client;

/// Asks the host on this machine whether it is ready: exit code 0 if so
#[derive(Args)]
pub struct Arguments {
    #[arg(long, value_name = "ADDRESS", help = HTTP.help())]
    http: Option<String>,
}

/// Where to ask.
const HTTP: Setting = Setting { meaning: "Where the host serves HTTP", ..settings::HTTP_ADDR };

/// Asks `/readyz`.
///
/// # Errors
///
/// Nobody answers, or not with 200.
pub fn healthcheck(arguments: Arguments) -> Result<ExitCode> {
    let address =
        arguments.http.or_else(|| variable("HTTP_ADDR")).unwrap_or_else(|| HTTP.default.unwrap_or_default().to_owned());
    if address == "off" {
        bail!("HTTP_ADDR is off: there is nobody to ask");
    }
    // A host that listens on every address is reached on the local one.
    let address = address.replacen("0.0.0.0", "127.0.0.1", 1).replacen("[::]", "[::1]", 1);
    let url = format!("http://{address}/readyz");
    runtime()?.block_on(async {
        // No TLS here, so no certificates of authorities, which a small image may lack.
        let client = http_client().tls_certs_only([]).timeout(Duration::from_secs(3)).no_proxy().build()?;
        let answer = client.get(&url).send().await.with_context(|| format!("no answer from {url}"))?;
        let status = answer.status();
        let text = answer.text().await.with_context(|| format!("no answer from {url}"))?;
        print!("{text}");
        Ok(if status.is_success() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
    })
}
