//! The body of an answer on its way to a component: capped, and timed between its pieces.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use http_body_util::BodyExt as _;
use tokio::time::{Instant, Sleep};
use wasmtime_wasi_http::{Error, WasiBody};

/// A body as a whole, its trailers left out; `too_large` where it has more than `limit` bytes.
pub(crate) async fn whole(mut body: WasiBody, limit: usize, too_large: Error) -> Result<Vec<u8>, Error> {
    let mut bytes = Vec::new();
    while let Some(frame) = body.frame().await {
        let Ok(piece) = frame?.into_data() else { continue };
        if piece.len() > limit - bytes.len() {
            return Err(too_large);
        }
        bytes.extend_from_slice(&piece);
    }
    Ok(bytes)
}

/// A body that fails when it grows too large or stalls.
pub(crate) struct GuardedBody {
    inner: WasiBody,
    limit: u64,
    read: u64,
    between_bytes: Duration,
    stalled: Pin<Box<Sleep>>,
    armed: bool,
    /// Names the source in what is logged.
    span: tracing::Span,
}

impl GuardedBody {
    pub(crate) fn new(inner: WasiBody, limit: u64, between_bytes: Duration) -> Self {
        let stalled = Box::pin(tokio::time::sleep(between_bytes));
        Self { inner, limit, read: 0, between_bytes, stalled, armed: false, span: tracing::Span::current() }
    }
}

impl Body for GuardedBody {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        let this = self.get_mut();
        match Pin::new(&mut this.inner).poll_frame(cx) {
            Poll::Ready(Some(Ok(frame))) => {
                this.armed = false;
                this.read = this.read.saturating_add(frame.data_ref().map_or(0, |data| data.len() as u64));
                if this.read > this.limit {
                    // A component is told that the body broke off, and no more.
                    let _of_source = this.span.enter();
                    tracing::warn!(
                        hint = "if such an answer is meant to be read, raise `max_answer_bytes` under [host]",
                        "an answer has more than {} bytes, and is given up",
                        this.limit
                    );
                    return Poll::Ready(Some(Err(Error::HttpResponseBodySize(Some(this.limit)))));
                }
                Poll::Ready(Some(Ok(frame)))
            }
            Poll::Ready(other) => Poll::Ready(other),
            Poll::Pending => {
                // Only the wait for the peer counts, not the time in which nobody asked.
                if !this.armed {
                    this.stalled.as_mut().reset(Instant::now() + this.between_bytes);
                    this.armed = true;
                }
                match this.stalled.as_mut().poll(cx) {
                    Poll::Ready(()) => {
                        let _of_source = this.span.enter();
                        tracing::warn!(
                            hint = "if the service is that slow, raise `between_bytes_timeout` under [host]",
                            "an answer stopped half-way for {:?}, and is given up",
                            this.between_bytes
                        );
                        Poll::Ready(Some(Err(Error::ConnectionReadTimeout)))
                    }
                    Poll::Pending => Poll::Pending,
                }
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}
