//! The one seam that every request of a component goes through.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use http_body_util::BodyExt as _;
use wasmtime_wasi_http::{Error, RequestOptions, WasiBody, WasiHttpHooks};

use crate::body::GuardedBody;
use crate::limits::Limits;
use crate::policy::{Denial, Policy};
use crate::transport::{Timeouts, Transport};

/// What one instance's requests were, as the host saw it.
#[derive(Debug, Default)]
struct Traffic {
    /// Sent and refused alike, in this call.
    requests: u32,
    /// How many one call may make.
    allowed: u32,
    denials: Vec<Denial>,
}

/// Denials kept for the operator; a component that asks for more in one call says nothing new.
const KEPT_DENIALS: usize = 8;

/// Policy, limits and transport of one instance.
#[derive(Clone)]
pub(crate) struct Hooks {
    policy: Arc<Policy>,
    transport: Arc<dyn Transport>,
    timeouts: Timeouts,
    header_bytes: usize,
    body_bytes: u64,
    traffic: Arc<Mutex<Traffic>>,
}

type Done = Box<dyn Future<Output = Result<(), Error>> + Send>;
type Sent = Result<(http::Response<WasiBody>, Done), Error>;

impl Hooks {
    pub(crate) fn new(policy: Arc<Policy>, transport: Arc<dyn Transport>, limits: &Limits) -> Self {
        Self {
            policy,
            transport,
            timeouts: limits.timeouts,
            header_bytes: limits.header_bytes,
            body_bytes: limits.body_bytes,
            traffic: Arc::default(),
        }
    }

    /// Begins a call that may make so many requests.
    pub(crate) fn begin(&self, allowed: u32) {
        *self.traffic() = Traffic { requests: 0, allowed, denials: Vec::new() };
    }

    /// How many requests the call made, refused ones included.
    pub(crate) fn requests(&self) -> u32 {
        self.traffic().requests
    }

    /// Why requests of this call were refused.
    pub(crate) fn denials(&self) -> Vec<Denial> {
        self.traffic().denials.clone()
    }

    // A thread that panicked while it counted leaves a count that is still one.
    fn traffic(&self) -> MutexGuard<'_, Traffic> {
        self.traffic.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn admit(&self, uri: &http::Uri) -> Result<(), Error> {
        let mut traffic = self.traffic();
        traffic.requests = traffic.requests.saturating_add(1);
        let verdict = if traffic.requests > traffic.allowed {
            let reason = format!("the budget of {} requests in one call is used up", traffic.allowed);
            Err(Denial { reason, hint: None })
        } else {
            self.policy.check(uri)
        };
        let Err(denial) = verdict else { return Ok(()) };
        // The path and the query may hold what is nobody's business.
        tracing::warn!(host = uri.host(), hint = denial.hint.as_deref(), "request refused: {denial}");
        if traffic.denials.len() < KEPT_DENIALS {
            traffic.denials.push(denial);
        }
        Err(Error::HttpRequestDenied)
    }

    async fn exchange(self, request: http::Request<WasiBody>, timeouts: Timeouts) -> Sent {
        self.admit(request.uri())?;
        let head = timeouts.connect.saturating_add(timeouts.first_byte);
        let response = tokio::time::timeout(head, self.transport.send(request, timeouts))
            .await
            .map_err(|_| Error::ConnectionReadTimeout)??;
        let size: usize = response.headers().iter().map(|(name, value)| name.as_str().len() + value.len() + 4).sum();
        if size > self.header_bytes {
            return Err(Error::HttpResponseHeaderSectionSize(u32::try_from(size).ok()));
        }
        let (limit, between_bytes) = (self.body_bytes, timeouts.between_bytes);
        let response = response.map(|body| GuardedBody::new(body, limit, between_bytes).boxed_unsync());
        Ok((response, Box::new(async { Ok(()) })))
    }
}

impl WasiHttpHooks for Hooks {
    fn send_request(
        &mut self,
        request: http::Request<WasiBody>,
        options: Option<RequestOptions>,
        _: Done,
    ) -> Box<dyn Future<Output = Sent> + Send> {
        let timeouts = self.timeouts.bound(options);
        Box::new(self.clone().exchange(request, timeouts))
    }
}
