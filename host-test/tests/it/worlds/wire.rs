//! The network and the clocks of a component, which are the simulation's.

use std::collections::VecDeque;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use defender_core::http::{Method, Request, ResponseHead, TransportFailure, TransportFailureKind};
use defender_core::tick::Now;
use http_body::{Body, Frame};
use http_body_util::BodyExt as _;
use simulation::{Line, Piece, Stop};
use source_host::{Clock, HttpError, Timeouts, Transport, WasiBody};
use tokio::sync::oneshot;

/// What is waited for, on both sides.
#[derive(Clone, Default)]
pub(super) struct Wire(Arc<Mutex<State>>);

#[derive(Default)]
struct State {
    now: Option<Now>,
    asked: VecDeque<Asked>,
    /// Who polls the component.
    waker: Option<Waker>,
    /// The number of the last answer, and whether the component holds a part of it.
    answer: u64,
    is_held: bool,
}

enum Asked {
    Send(Request, oneshot::Sender<Result<(u64, ResponseHead), TransportFailure>>),
    Read(u64, oneshot::Sender<Piece>),
}

impl Wire {
    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap()
    }

    pub(super) fn set_clock(&self, now: Now) {
        self.state().now = Some(now);
    }

    /// Who is woken when something is asked.
    pub(super) fn wakes(&self, waker: &Waker) {
        self.state().waker = Some(waker.clone());
    }

    pub(super) fn holds_answer(&self) -> bool {
        self.state().is_held
    }

    /// What the instance that is gone asked for is of no interest.
    pub(super) fn hang_up(&self) {
        let mut state = self.state();
        state.asked.clear();
        state.is_held = false;
    }

    fn ask(&self, asked: Asked) {
        let mut state = self.state();
        state.asked.push_back(asked);
        if let Some(waker) = &state.waker {
            waker.wake_by_ref();
        }
    }

    /// Lets the simulation answer what was asked first; false where nothing was.
    pub(super) fn serve(&self, line: &mut Line<'_>) -> Result<bool, Stop> {
        let Some(asked) = self.state().asked.pop_front() else { return Ok(false) };
        match asked {
            Asked::Send(request, reply) => {
                let answer = line.send(&request)?;
                let mut state = self.state();
                state.answer += 1;
                state.is_held = answer.is_ok();
                state.now = Some(line.now());
                let answer = answer.map(|head| (state.answer, head));
                drop(state);
                // Nobody may be waiting any more.
                let _ = reply.send(answer);
            }
            // An answer that was given up is read no further.
            Asked::Read(answer, reply) if answer == self.state().answer && !reply.is_closed() => {
                let piece = line.read()?;
                let mut state = self.state();
                state.is_held = matches!(piece, Piece::Chunk(_));
                state.now = Some(line.now());
                drop(state);
                let _ = reply.send(piece);
            }
            Asked::Read(..) => {}
        }
        line.step()?;
        Ok(true)
    }
}

impl Clock for Wire {
    fn wall(&self) -> Duration {
        let (seconds, nanoseconds) = self.state().now.map_or((0, 0), |now| now.wall.to_unix());
        Duration::new(seconds.try_into().unwrap_or_default(), nanoseconds)
    }

    fn monotonic(&self) -> Duration {
        Duration::from_nanos(self.state().now.map_or(0, |now| now.monotonic))
    }
}

#[async_trait]
impl Transport for Wire {
    async fn send(&self, request: http::Request<WasiBody>, _: Timeouts) -> Result<http::Response<WasiBody>, HttpError> {
        let (head, body) = request.into_parts();
        let body = body.collect().await?.to_bytes().to_vec();
        let named = ["accept", "authorization", "content-type", "prefer"];
        let value = |name: &str| Some(head.headers.get(name)?.to_str().ok()?.to_owned());
        let request = Request {
            method: if head.method == http::Method::POST { Method::Post } else { Method::Get },
            url: head.uri.to_string(),
            headers: named.into_iter().filter_map(|name| Some((name, value(name)?))).collect(),
            body,
        };
        let (reply, answer) = oneshot::channel();
        self.ask(Asked::Send(request, reply));
        let (number, head) =
            answer.await.map_err(|_| HttpError::ConnectionTerminated)?.map_err(|failure| http_error(failure.kind))?;
        let mut response = http::Response::builder().status(head.status);
        for (name, value) in head.headers {
            response = response.header(name, value);
        }
        let body = LineBody { wire: self.clone(), number, awaited: None };
        response.body(body.boxed_unsync()).map_err(|error| HttpError::InternalError(Some(error.to_string())))
    }
}

/// The body of one answer.
struct LineBody {
    wire: Wire,
    number: u64,
    awaited: Option<oneshot::Receiver<Piece>>,
}

impl Drop for LineBody {
    fn drop(&mut self) {
        let mut state = self.wire.state();
        if state.answer == self.number {
            state.is_held = false;
        }
    }
}

impl Body for LineBody {
    type Data = Bytes;
    type Error = HttpError;

    fn poll_frame(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, HttpError>>> {
        let Self { wire, number, awaited } = self.get_mut();
        let piece = awaited.get_or_insert_with(|| {
            let (reply, piece) = oneshot::channel();
            wire.ask(Asked::Read(*number, reply));
            piece
        });
        let Poll::Ready(piece) = Pin::new(piece).poll(context) else { return Poll::Pending };
        *awaited = None;
        Poll::Ready(match piece {
            Ok(Piece::Chunk(bytes)) => Some(Ok(Frame::data(bytes.into()))),
            Ok(Piece::End) => None,
            Ok(Piece::Failed(failure)) => Some(Err(http_error(failure.kind))),
            Err(_) => Some(Err(HttpError::ConnectionTerminated)),
        })
    }
}

fn http_error(kind: TransportFailureKind) -> HttpError {
    match kind {
        TransportFailureKind::Denied => HttpError::HttpRequestDenied,
        TransportFailureKind::Dns => HttpError::DnsError { rcode: None, info_code: None },
        TransportFailureKind::Connect => HttpError::ConnectionRefused,
        TransportFailureKind::Tls => HttpError::TlsProtocolError,
        TransportFailureKind::Timeout => HttpError::ConnectionReadTimeout,
        TransportFailureKind::TooLarge => HttpError::HttpResponseBodySize(None),
        TransportFailureKind::Broken => HttpError::ConnectionTerminated,
    }
}
