//! A recorded body on its way to a component.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::{Body, Frame};
use scenario::{ChunkSizes, Response};

/// The chunks of a recorded body, and how it ends.
pub(crate) struct RecordedBody {
    chunks: VecDeque<Bytes>,
    end: End,
}

enum End {
    Complete,
    /// After one more turn of the runtime, in which a server sends what it has so far.
    CutSoon,
    Cut,
    Stalled,
}

/// The connection broke in the middle of a body.
#[derive(Debug)]
pub(crate) struct Cut;

impl std::fmt::Display for Cut {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("the recorded connection breaks here")
    }
}

impl std::error::Error for Cut {}

impl From<Infallible> for Cut {
    fn from(never: Infallible) -> Self {
        match never {}
    }
}

impl RecordedBody {
    /// `sizes` are the scenario's, for answers that have none of their own.
    pub(crate) fn new(response: &Response, sizes: &ChunkSizes) -> Self {
        let chunks = response.arriving(sizes).into_iter().map(Bytes::copy_from_slice).collect();
        let end = match response {
            Response { cut: Some(_), .. } => End::CutSoon,
            Response { stall: Some(_), .. } => End::Stalled,
            _ => End::Complete,
        };
        Self { chunks, end }
    }
}

impl Body for RecordedBody {
    type Data = Bytes;
    type Error = Cut;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Cut>>> {
        if let Some(chunk) = self.chunks.pop_front() {
            return Poll::Ready(Some(Ok(Frame::data(chunk))));
        }
        match self.end {
            End::Complete => Poll::Ready(None),
            End::CutSoon => {
                self.end = End::Cut;
                cx.waker().wake_by_ref();
                Poll::Pending
            }
            End::Cut => {
                self.end = End::Complete;
                Poll::Ready(Some(Err(Cut)))
            }
            // Nothing wakes it: whoever reads has a deadline, or waits for ever as with a real server.
            End::Stalled => Poll::Pending,
        }
    }
}
