//! `/livez`, `/readyz`, `/status` and `/metrics`, on a thread of its own: a call that takes long must not look like a
//! dead host.

use std::net::TcpListener;
use std::sync::Arc;
use std::thread;

use anyhow::{Context, Result};
use axum::extract::State as Shared;
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use tokio::sync::{mpsc, oneshot};

use crate::metrics;
use crate::status::{Board, Snapshot};

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
                axum::serve(listener, routes).await
            });
            if let Err(error) = served {
                tracing::error!("HTTP ended: {error}");
            }
        })
        .context("can't start the HTTP server")?;
    Ok(())
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
