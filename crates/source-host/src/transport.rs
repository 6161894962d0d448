//! What carries a component's requests: the network, or a recording.

use std::time::Duration;

use async_trait::async_trait;
use wasmtime_wasi_http::{Error, RequestOptions, WasiBody};

/// How long one request may wait.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Timeouts {
    /// For a connection, TLS included.
    pub connect: Duration,
    /// For the head of the answer, after the connection stands.
    pub first_byte: Duration,
    /// For each next piece of its body.
    pub between_bytes: Duration,
}

impl Default for Timeouts {
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(10),
            first_byte: Duration::from_secs(120),
            between_bytes: Duration::from_secs(60),
        }
    }
}

impl Timeouts {
    /// What a component asks for, and no more than this.
    pub(crate) fn bound(self, asked: Option<RequestOptions>) -> Self {
        let asked = asked.unwrap_or_default();
        let bound = |limit: Duration, asked: Option<Duration>| asked.map_or(limit, |asked| asked.min(limit));
        Self {
            connect: bound(self.connect, asked.connect_timeout.map(step)),
            first_byte: bound(self.first_byte, asked.first_byte_timeout),
            between_bytes: bound(self.between_bytes, asked.between_bytes_timeout),
        }
    }
}

/// The next of a few steps: 125 ms, and what doubling makes of it. A transport has a client with connections of its own for
/// each connect timeout, and a component that asks for another one each time is not to have as many of them.
fn step(asked: Duration) -> Duration {
    let mut step = SHORTEST_STEP;
    while step < asked {
        step = step.saturating_mul(2);
    }
    step
}

const SHORTEST_STEP: Duration = Duration::from_millis(125);

/// What carries a component's requests.
///
/// The host stands in front of it: a request that arrives here has passed the policy, `connect` + `first_byte` bound the
/// call, and the answer's body is capped and timed on its way to the component. A transport keeps the connect timeout
/// itself, follows no redirect, and streams bodies both ways where they may be large.
#[async_trait]
pub trait Transport: Send + Sync + 'static {
    /// Sends one request and returns as soon as the head of the answer is there.
    ///
    /// Dropping the future abandons the request.
    ///
    /// # Errors
    ///
    /// Whatever `wasi:http` has a case for; the component sees exactly that one.
    async fn send(
        &self,
        request: http::Request<WasiBody>,
        timeouts: Timeouts,
    ) -> Result<http::Response<WasiBody>, Error>;
}

/// For calls that are pure.
pub(crate) struct NoTransport;

#[async_trait]
impl Transport for NoTransport {
    async fn send(&self, _: http::Request<WasiBody>, _: Timeouts) -> Result<http::Response<WasiBody>, Error> {
        Err(Error::HttpRequestDenied)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn a_component_chooses_among_a_few_connect_timeouts_up_to_the_limit() {
        let connect = |asked: Duration| {
            let options = RequestOptions { connect_timeout: Some(asked), ..RequestOptions::default() };
            Timeouts::default().bound(Some(options)).connect
        };
        let chosen: BTreeSet<Duration> = (0..20_000).map(|asked| connect(Duration::from_millis(asked))).collect();
        assert_eq!(chosen.len(), 8, "{chosen:?}");
        for asked in [0, 1, 125, 126, 9_000, 10_000, u64::MAX] {
            let asked = Duration::from_millis(asked);
            // As long as it asks for, and no longer than it may be.
            assert!(connect(asked) >= asked.min(Timeouts::default().connect));
            assert!(connect(asked) <= Timeouts::default().connect);
        }
    }
}
