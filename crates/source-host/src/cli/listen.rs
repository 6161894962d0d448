//! What `listen` under [host] serves: `/metrics` and `/health`.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use http::header::{ALLOW, CONTENT_TYPE};
use http::{Method, Response, StatusCode};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use source_host::Metrics;
use tokio::net::TcpListener;
use tokio::sync::Semaphore;
use tokio::time::{sleep, timeout};

use super::report::Report;

/// Connections at a time. Who scrapes has one.
const CONNECTIONS: usize = 16;
/// How long a client may take to ask.
const ASKING: Duration = Duration::from_secs(10);
/// How long a connection may last.
const LONGEST: Duration = Duration::from_secs(300);

/// An address that was taken and is not served yet.
pub(crate) struct Listener(TcpListener);

impl Listener {
    /// Takes the address.
    pub(crate) async fn bind(address: SocketAddr) -> Result<Self, Report> {
        let bound = TcpListener::bind(address).await.map_err(|error| {
            Report::failed(format!("cannot listen on {address} for metrics"))
                .because(error)
                .hint("write a free address of this machine as `listen` under [host], or leave it out")
        })?;
        if let Ok(address) = bound.local_addr() {
            tracing::info!(%address, "serving /metrics and /health");
        }
        Ok(Self(bound))
    }

    /// Answers for ever.
    pub(crate) async fn serve(self, metrics: Arc<Metrics>) {
        let room = Arc::new(Semaphore::new(CONNECTIONS));
        loop {
            let Ok(room) = Arc::clone(&room).acquire_owned().await else { return };
            let stream = match self.0.accept().await {
                Ok((stream, _)) => stream,
                Err(error) => {
                    // Out of handles, most likely; others give some back.
                    tracing::warn!("cannot take a connection for metrics: {error}");
                    sleep(Duration::from_secs(1)).await;
                    continue;
                }
            };
            let metrics = Arc::clone(&metrics);
            tokio::spawn(async move {
                let service = service_fn(move |request: http::Request<hyper::body::Incoming>| {
                    let answer = answer(request.method(), request.uri().path(), &metrics);
                    async { Ok::<_, Infallible>(answer) }
                });
                let connection = http1::Builder::new()
                    .timer(TokioTimer::new())
                    .header_read_timeout(ASKING)
                    .serve_connection(TokioIo::new(stream), service);
                // A client that goes away, or writes what is no HTTP, is nobody's to report.
                let _ended = timeout(LONGEST, connection).await;
                drop(room);
            });
        }
    }
}

fn answer(method: &Method, path: &str, metrics: &Metrics) -> Response<String> {
    if method != Method::GET && method != Method::HEAD {
        let mut refused = text(StatusCode::METHOD_NOT_ALLOWED, "text/plain", "only GET is answered\n".to_owned());
        refused.headers_mut().insert(ALLOW, http::HeaderValue::from_static("GET, HEAD"));
        return refused;
    }
    match path {
        "/metrics" => text(StatusCode::OK, "text/plain; version=0.0.4; charset=utf-8", metrics.exposition()),
        "/health" => {
            let health = metrics.health();
            let status = if health.is_ok() { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
            text(status, "application/json", format!("{:#}\n", health.to_json()))
        }
        _ => text(StatusCode::NOT_FOUND, "text/plain", "there are /metrics and /health\n".to_owned()),
    }
}

fn text(status: StatusCode, media_type: &'static str, body: String) -> Response<String> {
    let mut response = Response::new(body);
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, http::HeaderValue::from_static(media_type));
    response
}
