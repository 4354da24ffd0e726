//! `/livez`, `/readyz`, `/status` and `/metrics`, on a thread of its own: a call that takes long must not look like a
//! dead host.

use std::net::TcpListener;
use std::sync::Arc;
use std::thread;

use anyhow::{Context, Result};
use axum::extract::State as Shared;
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::response::IntoResponse;
use axum::routing::get;
use axum::{Json, Router};

use crate::metrics;
use crate::status::{Board, State, Status};

/// Serves until the process ends.
///
/// # Errors
///
/// The address can't be listened on.
pub fn serve(address: &str, board: Arc<Board>) -> Result<()> {
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
        .with_state(board);
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

async fn ready(Shared(board): Shared<Arc<Board>>) -> (StatusCode, String) {
    let status = board.snapshot();
    match status.state {
        State::Running => (StatusCode::OK, "ready\n".to_owned()),
        _ => {
            let reason = status.reason.unwrap_or_else(|| "it is starting or stopping".to_owned());
            (StatusCode::SERVICE_UNAVAILABLE, format!("not ready: {reason}\n"))
        }
    }
}

async fn status(Shared(board): Shared<Arc<Board>>) -> Json<Status> {
    Json(board.snapshot())
}

async fn metrics(Shared(board): Shared<Arc<Board>>) -> impl IntoResponse {
    ([(CONTENT_TYPE, metrics::CONTENT_TYPE)], metrics::text(board.snapshot()))
}
