//! A transport that tells an observer what goes through it.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use async_trait::async_trait;
use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use http_body_util::BodyExt as _;
use wasmtime_wasi_http::{Error, WasiBody};

use crate::observer::{Observer, Step};
use crate::transport::{Timeouts, Transport};

/// Bytes are told in portions of this size, and at the end.
const PORTION: u64 = 1 << 20;

/// Another transport, and who is told of it.
pub(crate) struct Metered {
    inner: Arc<dyn Transport>,
    meter: Meter,
}

#[derive(Clone)]
struct Meter {
    source: Arc<str>,
    observer: Arc<dyn Observer>,
}

impl Meter {
    fn tell(&self, step: &Step<'_>) {
        self.observer.observe(&self.source, step);
    }
}

impl Metered {
    pub(crate) fn new(inner: Arc<dyn Transport>, source: &str, observer: &Arc<dyn Observer>) -> Self {
        Self { inner, meter: Meter { source: source.into(), observer: Arc::clone(observer) } }
    }
}

#[async_trait]
impl Transport for Metered {
    async fn send(
        &self,
        request: http::Request<WasiBody>,
        timeouts: Timeouts,
    ) -> Result<http::Response<WasiBody>, Error> {
        // Where nobody waits for the answer any more, it came to nothing.
        let mut request_of = Unanswered(Some(&self.meter));
        let response = self.inner.send(request, timeouts).await?;
        request_of.0 = None;
        self.meter.tell(&Step::Answered(Some(response.status().as_u16())));
        let meter = self.meter.clone();
        Ok(response.map(|inner| MeteredBody { inner, meter, untold: 0 }.boxed_unsync()))
    }
}

struct Unanswered<'a>(Option<&'a Meter>);

impl Drop for Unanswered<'_> {
    fn drop(&mut self) {
        if let Some(meter) = self.0 {
            meter.tell(&Step::Answered(None));
        }
    }
}

struct MeteredBody {
    inner: WasiBody,
    meter: Meter,
    untold: u64,
}

impl MeteredBody {
    fn tell(&mut self) {
        if self.untold > 0 {
            self.meter.tell(&Step::Received(self.untold));
            self.untold = 0;
        }
    }
}

impl Body for MeteredBody {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        let this = self.get_mut();
        let polled = Pin::new(&mut this.inner).poll_frame(cx);
        if let Poll::Ready(Some(Ok(frame))) = &polled {
            this.untold += frame.data_ref().map_or(0, |data| data.len() as u64);
            if this.untold >= PORTION {
                this.tell();
            }
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}

impl Drop for MeteredBody {
    fn drop(&mut self) {
        self.tell();
    }
}
