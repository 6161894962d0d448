//! A recording behind plain HTTP, for hosts with the real clock.

use std::convert::Infallible;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use scenario::{Answer, ChunkSizes, Interaction, Mismatch, Order, Replay, Scenario};
use tokio::net::{TcpListener, TcpStream};

use crate::body::{BrokenOff, RecordedBody};
use crate::transport::{plain_request, response_head};

type Body = UnsyncBoxBody<Bytes, BrokenOff>;

/// Serves a scenario's interactions on the loopback interface: in any order, any number of times, whatever origin they
/// were recorded at. Latencies are left out; cuts, stalls and chunks are not. A recorded failure closes the connection.
pub struct Server {
    listener: TcpListener,
    state: Arc<State>,
}

struct State {
    replay: Mutex<Replay>,
    chunks: ChunkSizes,
}

impl Server {
    /// Takes a port; 0 takes any that is free.
    ///
    /// # Errors
    ///
    /// The port is taken or not allowed.
    pub async fn bind(scenario: &Scenario, port: u16) -> std::io::Result<Self> {
        let listener = TcpListener::bind(SocketAddr::from((Ipv4Addr::LOCALHOST, port))).await?;
        let traffic = Arc::new(scenario.traffic.at_origin(&base_url(&listener)?));
        let replay = Mutex::new(Replay::new(traffic, Order::Free));
        let chunks = scenario.settings.faults.chunks.clone();
        Ok(Self { listener, state: Arc::new(State { replay, chunks }) })
    }

    /// The URL that stands in for every recorded origin, without a trailing slash.
    ///
    /// # Errors
    ///
    /// The system does not say which port it gave.
    pub fn base_url(&self) -> std::io::Result<String> {
        base_url(&self.listener)
    }

    /// Answers until it is dropped. `told` is called for each request with the interaction that answers it; one that
    /// nothing answers gets a 404.
    ///
    /// # Errors
    ///
    /// The system gives no more connections.
    pub async fn run(
        self,
        told: impl Fn(&str, Result<&Interaction, &Mismatch>) + Clone + Send + 'static,
    ) -> std::io::Result<()> {
        loop {
            let (stream, _) = self.listener.accept().await?;
            tokio::spawn(serve(stream, Arc::clone(&self.state), told.clone()));
        }
    }
}

fn base_url(listener: &TcpListener) -> std::io::Result<String> {
    Ok(format!("http://{}", listener.local_addr()?))
}

async fn serve(
    stream: TcpStream,
    state: Arc<State>,
    told: impl Fn(&str, Result<&Interaction, &Mismatch>) + Clone + Send + 'static,
) {
    let service = service_fn(move |request| {
        let (state, told) = (Arc::clone(&state), told.clone());
        async move { state.answer(request, told).await }
    });
    // A connection that ends early is the client's choice or the recording's, and nobody's to report.
    let _ended = hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
}

impl State {
    async fn answer(
        &self,
        request: http::Request<Incoming>,
        told: impl Fn(&str, Result<&Interaction, &Mismatch>),
    ) -> Result<http::Response<Body>, std::io::Error> {
        let (head, body) = request.into_parts();
        let body = body.collect().await.map_err(std::io::Error::other)?.to_bytes();
        let mut request = plain_request(&head, &body);
        if request.url.starts_with('/') {
            let host = head.headers.get(http::header::HOST).and_then(|host| host.to_str().ok()).unwrap_or_default();
            request.url = format!("http://{host}{}", request.url);
        }
        let what = format!("{} {}", request.method, request.url);
        let taken = self.replay.lock().unwrap_or_else(PoisonError::into_inner).take(&request);
        let interaction = match taken {
            Ok(interaction) => interaction,
            Err(mismatch) => {
                told(&what, Err(&mismatch));
                return not_found(&mismatch).map_err(std::io::Error::other);
            }
        };
        told(&what, Ok(&interaction));
        match &interaction.answer {
            Answer::Failure(failure) => Err(std::io::Error::other(failure.kind.word())),
            Answer::Response(response) => {
                let body = RecordedBody::new(response, &self.chunks).boxed_unsync();
                response_head(response).body(body).map_err(std::io::Error::other)
            }
        }
    }
}

fn not_found(mismatch: &Mismatch) -> http::Result<http::Response<Body>> {
    let body = Full::from(format!("{mismatch}\n")).map_err(|never: Infallible| BrokenOff::from(never)).boxed_unsync();
    http::Response::builder().status(404).header("content-type", "text/plain; charset=utf-8").body(body)
}
