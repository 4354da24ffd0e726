//! Downloads a ZIP: in bounded time and size, asking first whether it has changed.

use std::time::{Duration, Instant};

use anyhow::{Context, Error, Result, anyhow};
use reqwest::header::{ETAG, HeaderValue, IF_NONE_MATCH};
use reqwest::redirect::Policy;
use reqwest::{Client, ClientBuilder, Response, StatusCode};
use tokio::time::{sleep, timeout};

use super::Found;
use super::found::SIGNATURE_MAX_BYTES;
use super::origin::ZipUrl;

/// How often a download is tried where trying again may help.
const TRIES: u32 = 3;

/// The wait before the second try; it doubles.
const FIRST_WAIT: Duration = Duration::from_millis(500);

/// How long a server may take to accept a connection, and to send the next bytes.
const SILENCE_MAX: Duration = Duration::from_secs(10);

/// How long a download may take as a whole.
const TIME_MAX: Duration = Duration::from_secs(300);

/// After this long a download has to have come at [`RATE_MIN`] at least.
const RATE_AFTER: Duration = Duration::from_secs(10);

/// Bytes a second.
const RATE_MIN: u64 = 1024;

/// How many redirections are followed.
const REDIRECTS_MAX: usize = 5;

/// A ZIP on a web server.
pub(super) struct Download {
    pub(super) url: ZipUrl,
    pub(super) zip_max_bytes: u64,
    /// Whether a signature is asked for, which lies beside the ZIP.
    pub(super) signed: bool,
}

/// A ZIP that was downloaded, and how to ask whether it is still the same.
pub(super) struct Downloaded {
    pub(super) found: Found,
    pub(super) etag: Option<HeaderValue>,
}

/// Why something did not come.
enum Trouble {
    /// Trying again may help.
    Passing(Error),
    /// It will not help soon.
    Lasting(Error),
}

struct Body {
    bytes: Vec<u8>,
    etag: Option<HeaderValue>,
}

impl Download {
    /// Downloads the ZIP, unless the server says that it is the one with this tag still.
    ///
    /// # Errors
    ///
    /// The server can't be reached, refuses, sends too much or too slowly, or leads elsewhere than allowed.
    pub(super) async fn fetch(&self, known: Option<&HeaderValue>) -> Result<Option<Downloaded>> {
        let client = self.client()?;
        let whole = async {
            let Some(body) = get_patiently(&client, &self.url, known, self.zip_max_bytes).await? else {
                return Ok(None);
            };
            let signature = match self.signed {
                true => get_signature(&client, &self.url.signature()).await?,
                false => None,
            };
            let found = Found::downloaded(self.url.to_string(), body.bytes, signature);
            Ok(Some(Downloaded { found, etag: body.etag }))
        };
        timeout(TIME_MAX, whole)
            .await
            .map_err(|_elapsed| anyhow!("it did not come within {} s", TIME_MAX.as_secs()))
            .flatten()
            .with_context(|| format!("can't download {}", self.url))
    }

    fn client(&self) -> Result<Client> {
        let allow_http = self.url.allow_http;
        let redirects = Policy::custom(move |attempt| {
            if attempt.url().scheme() != "https" && !allow_http {
                return attempt.error("it leads to http://, where everybody on the way can change what is loaded");
            }
            match attempt.previous().len() > REDIRECTS_MAX {
                true => attempt.error("it leads from one address to another without end"),
                false => attempt.follow(),
            }
        });
        http_client()
            .redirect(redirects)
            // The address may hold secrets, which are no business of the server that it leads to.
            .referer(false)
            .https_only(!allow_http)
            .connect_timeout(SILENCE_MAX)
            .read_timeout(SILENCE_MAX)
            .build()
            .context("can't start a download")
    }
}

/// A client with this program's name and TLS.
pub(crate) fn http_client() -> ClientBuilder {
    // An error says that it is installed already.
    rustls::crypto::ring::default_provider().install_default().ok();
    Client::builder().user_agent(concat!("plugin-host/", env!("CARGO_PKG_VERSION")))
}

async fn get_signature(client: &Client, url: &ZipUrl) -> Result<Option<Vec<u8>>> {
    match get_patiently(client, url, None, SIGNATURE_MAX_BYTES).await {
        Ok(body) => Ok(body.map(|body| body.bytes)),
        Err(error) if error.downcast_ref() == Some(&Answer(StatusCode::NOT_FOUND)) => Ok(None),
        Err(error) => Err(error).with_context(|| format!("no signature from {url}")),
    }
}

async fn get_patiently(client: &Client, url: &ZipUrl, known: Option<&HeaderValue>, most: u64) -> Result<Option<Body>> {
    let mut wait = FIRST_WAIT;
    for _ in 1..TRIES {
        match get(client, url, known, most).await {
            Ok(body) => return Ok(body),
            Err(Trouble::Lasting(error)) => return Err(error),
            Err(Trouble::Passing(error)) => tracing::info!("{url}: {error:#}; trying again"),
        }
        sleep(wait).await;
        wait *= 2;
    }
    get(client, url, known, most).await.map_err(|trouble| match trouble {
        Trouble::Passing(error) => error.context(format!("tried {TRIES} times")),
        Trouble::Lasting(error) => error,
    })
}

/// What a server said instead of sending something.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("the server answered {0}")]
struct Answer(StatusCode);

/// Asks once; none where the server says that nothing has changed.
async fn get(client: &Client, url: &ZipUrl, known: Option<&HeaderValue>, most: u64) -> Result<Option<Body>, Trouble> {
    let mut request = client.get(url.url.clone());
    if let Some(tag) = known {
        request = request.header(IF_NONE_MATCH, tag);
    }
    let answer = request.send().await.map_err(of_request)?;
    let status = answer.status();
    match status {
        StatusCode::OK => {}
        StatusCode::NOT_MODIFIED if known.is_some() => return Ok(None),
        StatusCode::TOO_MANY_REQUESTS | StatusCode::REQUEST_TIMEOUT => {
            return Err(Trouble::Passing(Answer(status).into()));
        }
        status if status.is_server_error() => return Err(Trouble::Passing(Answer(status).into())),
        status => return Err(Trouble::Lasting(Answer(status).into())),
    }
    let etag = answer.headers().get(ETAG).cloned();
    Ok(Some(Body { bytes: read_body(answer, most).await?, etag }))
}

async fn read_body(mut answer: Response, most: u64) -> Result<Vec<u8>, Trouble> {
    let too_large = || Trouble::Lasting(anyhow!("it has more than {most} bytes, the most that is taken"));
    if answer.content_length().is_some_and(|length| length > most) {
        return Err(too_large());
    }
    let started = Instant::now();
    let mut bytes = Vec::new();
    while let Some(chunk) = answer.chunk().await.map_err(of_request)? {
        bytes.extend_from_slice(&chunk);
        if bytes.len() as u64 > most {
            return Err(too_large());
        }
        let seconds = started.elapsed().as_secs();
        if started.elapsed() > RATE_AFTER && (bytes.len() as u64) < seconds * RATE_MIN {
            return Err(Trouble::Lasting(anyhow!("it comes too slowly: {} bytes in {seconds} s", bytes.len())));
        }
    }
    Ok(bytes)
}

/// An error without the address in it, which may hold secrets.
fn of_request(error: reqwest::Error) -> Trouble {
    let error = error.without_url();
    match error.is_redirect() || error.is_builder() {
        true => Trouble::Lasting(error.into()),
        false => Trouble::Passing(error.into()),
    }
}
