//! `/livez`, `/readyz`, `/status` and `/metrics`, on a thread of its own: a call that takes long must not look like a
//! dead host.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::net::TcpListener;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result};
use axum::extract::State as Shared;
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::net::TcpStream;
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;
use tokio::time::sleep;

use crate::metrics;
use crate::status::{Board, Snapshot};

/// The most connections at once: far more than probes and Prometheus make.
const MOST_CONNECTIONS: usize = 64;

/// How long a connection may take until a whole request has come.
const REQUEST_WITHIN: Duration = Duration::from_secs(10);

/// How long it is waited where no connection can be taken, as too many files are open for example.
const PAUSE: Duration = Duration::from_secs(1);

/// Whom to ask how the host is doing.
#[derive(Clone)]
pub enum Telling {
    /// The worker's board, in the same process.
    Board(Arc<Board>),
    /// The supervisor, which asks the worker.
    Supervisor(mpsc::Sender<oneshot::Sender<Snapshot>>),
}

impl Telling {
    /// None while the host ends.
    async fn snapshot(&self) -> Option<Snapshot> {
        match self {
            Telling::Board(board) => Some(board.snapshot()),
            Telling::Supervisor(supervisor) => {
                let (answer, answered) = oneshot::channel();
                supervisor.send(answer).await.ok()?;
                answered.await.ok()
            }
        }
    }
}

/// Serves until the process ends.
///
/// # Errors
///
/// The address can't be listened on.
pub fn serve(address: &str, telling: Telling) -> Result<()> {
    let listener = TcpListener::bind(address)
        .and_then(|listener| listener.set_nonblocking(true).map(|()| listener))
        .with_context(|| format!("can't listen on {address}: set HTTP_ADDR to a free address, or to off"))?;
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_all().build().context("can't start the HTTP server")?;
    let routes = Router::new()
        .route("/livez", get(|| async { "alive\n" }))
        .route("/readyz", get(ready))
        .route("/status", get(status))
        .route("/metrics", get(metrics))
        .with_state(telling);
    thread::Builder::new()
        .name("http".to_owned())
        .spawn(move || {
            let served = runtime.block_on(async {
                let listener = tokio::net::TcpListener::from_std(listener)?;
                accept(&listener, &routes).await
            });
            let Err(error): Result<Infallible, std::io::Error> = served;
            tracing::error!("HTTP ended: {error}");
        })
        .context("can't start the HTTP server")?;
    Ok(())
}

/// Takes connections. Where there are too many the oldest ends, so that whoever holds many open keeps no probe from its
/// answer.
async fn accept(listener: &tokio::net::TcpListener, routes: &Router) -> std::io::Result<Infallible> {
    let mut open: VecDeque<JoinHandle<()>> = VecDeque::new();
    loop {
        let stream = match listener.accept().await {
            Ok((stream, _)) => stream,
            Err(error) => {
                tracing::debug!("no connection is taken: {error}");
                sleep(PAUSE).await;
                continue;
            }
        };
        open.retain(|connection| !connection.is_finished());
        if open.len() >= MOST_CONNECTIONS
            && let Some(oldest) = open.pop_front()
        {
            oldest.abort();
        }
        open.push_back(tokio::spawn(answer_each(stream, routes.clone())));
    }
}

/// Answers one request after another, until the client goes or takes too long.
async fn answer_each(stream: TcpStream, routes: Router) {
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new()).header_read_timeout(REQUEST_WITHIN);
    // How it ended is the client's to know.
    http.serve_connection(TokioIo::new(stream), TowerToHyperService::new(routes)).await.ok();
}

async fn ready(Shared(telling): Shared<Telling>) -> (StatusCode, String) {
    match telling.snapshot().await.map(|snapshot| snapshot.status) {
        Some(status) if status.state.is_ready() => (StatusCode::OK, "ready\n".to_owned()),
        status => {
            let reason = status.and_then(|status| status.reason);
            let reason = reason.unwrap_or_else(|| "it is starting or stopping".to_owned());
            (StatusCode::SERVICE_UNAVAILABLE, format!("not ready: {reason}\n"))
        }
    }
}

async fn status(Shared(telling): Shared<Telling>) -> Response {
    answer(telling.snapshot().await.map(|snapshot| Json(snapshot.status)))
}

async fn metrics(Shared(telling): Shared<Telling>) -> Response {
    let text = telling.snapshot().await.map(metrics::text);
    answer(text.map(|text| ([(CONTENT_TYPE, metrics::CONTENT_TYPE)], text)))
}

fn answer(told: Option<impl IntoResponse>) -> Response {
    told.map_or_else(
        || (StatusCode::SERVICE_UNAVAILABLE, "the host is stopping\n").into_response(),
        IntoResponse::into_response,
    )
}
