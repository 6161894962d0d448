//! A recorded body on its way to a component.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use http_body::{Body, Frame};
use scenario::{ChunkSizes, Ending, Response};
use source_host::HttpError;
use tokio::time::{Sleep, sleep};

/// The chunks of a recorded body, what passes before each, and how it ends.
pub(crate) struct RecordedBody {
    chunks: VecDeque<Bytes>,
    pause: Duration,
    /// The pause that is under way.
    pausing: Option<Pin<Box<Sleep>>>,
    end: End,
}

enum End {
    Complete,
    /// After one more turn of the runtime, in which a server sends what it has so far.
    BreakSoon(BrokenOff),
    Broken(BrokenOff),
    Stalled,
}

/// How a connection broke in the middle of a body.
#[derive(Clone, Copy, Debug)]
pub(crate) enum BrokenOff {
    /// The recording says so.
    Cut,
    /// Less came than `content-length` said.
    Short,
}

impl std::fmt::Display for BrokenOff {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("the recorded connection breaks here")
    }
}

impl std::error::Error for BrokenOff {}

impl From<BrokenOff> for HttpError {
    fn from(broken: BrokenOff) -> Self {
        match broken {
            BrokenOff::Cut => Self::ConnectionTerminated,
            BrokenOff::Short => Self::HttpResponseIncomplete,
        }
    }
}

impl From<Infallible> for BrokenOff {
    fn from(never: Infallible) -> Self {
        match never {}
    }
}

impl RecordedBody {
    /// `sizes` are the scenario's, for answers that have none of their own.
    pub(crate) fn new(response: &Response, sizes: &ChunkSizes) -> Self {
        let chunks = response.arriving(sizes).into_iter().map(Bytes::copy_from_slice).collect();
        let end = match response.ending() {
            Ending::Complete => End::Complete,
            Ending::Broken => End::BreakSoon(BrokenOff::Cut),
            Ending::Short => End::BreakSoon(BrokenOff::Short),
            Ending::Stalled => End::Stalled,
        };
        Self { chunks, pause: response.pause, pausing: None, end }
    }
}

impl Body for RecordedBody {
    type Data = Bytes;
    type Error = BrokenOff;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BrokenOff>>> {
        if !self.chunks.is_empty() && !self.pause.is_zero() {
            let pause = self.pause;
            ready!(self.pausing.get_or_insert_with(|| Box::pin(sleep(pause))).as_mut().poll(cx));
            self.pausing = None;
        }
        if let Some(chunk) = self.chunks.pop_front() {
            return Poll::Ready(Some(Ok(Frame::data(chunk))));
        }
        match self.end {
            End::Complete => Poll::Ready(None),
            End::BreakSoon(how) => {
                self.end = End::Broken(how);
                cx.waker().wake_by_ref();
                Poll::Pending
            }
            End::Broken(how) => {
                self.end = End::Complete;
                Poll::Ready(Some(Err(how)))
            }
            // Nothing wakes it: whoever reads has a deadline, or waits for ever as with a real server.
            End::Stalled => Poll::Pending,
        }
    }
}
