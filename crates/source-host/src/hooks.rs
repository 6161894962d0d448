//! The one seam that every request of a component goes through.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use http_body_util::BodyExt as _;
use tracing::Instrument as _;
use wasmtime_wasi_http::{Error, RequestOptions, WasiBody, WasiHttpHooks};

use crate::body::GuardedBody;
use crate::limits::Limits;
use crate::policy::{Denial, Policy};
use crate::secrets::{Received, Refusal, Vault};
use crate::transport::{Timeouts, Transport};

/// What one instance's requests were, as the host saw it.
#[derive(Debug, Default)]
struct Traffic {
    /// Sent and refused alike, in this call.
    requests: u32,
    /// How many one call may make.
    allowed: u32,
    denials: Vec<Denial>,
    /// Why a secret was not there.
    missing: Option<Denial>,
    /// What the last request was answered with, where it was.
    status: Option<u16>,
}

/// How often one request is sent again with other secrets.
pub(crate) const MOST_REPETITIONS: usize = 2;

/// Denials kept for the operator; a component that asks for more in one call says nothing new.
const KEPT_DENIALS: usize = 8;

/// Policy, secrets, limits and transport of one instance.
#[derive(Clone)]
pub(crate) struct Hooks {
    policy: Arc<Policy>,
    vault: Option<Arc<Vault>>,
    transport: Arc<dyn Transport>,
    timeouts: Timeouts,
    header_bytes: usize,
    body_bytes: u64,
    traffic: Arc<Mutex<Traffic>>,
}

type Done = Box<dyn Future<Output = Result<(), Error>> + Send>;
type Sent = Result<(http::Response<WasiBody>, Done), Error>;

impl Traffic {
    fn deny(&mut self, host: Option<&str>, denial: Denial) -> Error {
        // The path and the query may hold what is nobody's business.
        tracing::warn!(host, hint = denial.hint.as_deref(), "request refused: {denial}");
        if self.denials.len() < KEPT_DENIALS {
            self.denials.push(denial);
        }
        Error::HttpRequestDenied
    }
}

impl Hooks {
    pub(crate) fn new(
        policy: Arc<Policy>,
        vault: Option<Arc<Vault>>,
        transport: Arc<dyn Transport>,
        limits: &Limits,
    ) -> Self {
        Self {
            policy,
            vault,
            transport,
            timeouts: limits.timeouts,
            header_bytes: limits.header_bytes,
            body_bytes: limits.body_bytes,
            traffic: Arc::default(),
        }
    }

    /// Begins a call that may make so many requests.
    pub(crate) fn begin(&self, allowed: u32) {
        *self.traffic() = Traffic { allowed, ..Traffic::default() };
    }

    /// How many requests the call made, refused ones included.
    pub(crate) fn requests(&self) -> u32 {
        self.traffic().requests
    }

    /// Why requests of this call were refused.
    pub(crate) fn denials(&self) -> Vec<Denial> {
        self.traffic().denials.clone()
    }

    /// Why a secret of a request of this call was not there.
    pub(crate) fn missing_secret(&self) -> Option<Denial> {
        self.traffic().missing.clone()
    }

    /// What the last request of this call was answered with, where it was.
    pub(crate) fn status(&self) -> Option<u16> {
        self.traffic().status
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
        Err(traffic.deny(uri.host(), denial))
    }

    fn refuse(&self, host: Option<&str>, refusal: Refusal) -> Error {
        match refusal {
            Refusal::Denied(denial) => self.traffic().deny(host, denial),
            Refusal::Missing(denial) => {
                self.traffic().missing = Some(denial);
                // Where secrets are kept is not the component's business.
                Error::InternalError(Some("the host cannot read or store a secret of this source now".to_owned()))
            }
            Refusal::Failed(error) => error,
        }
    }

    async fn exchange(self, request: http::Request<WasiBody>, timeouts: Timeouts) -> Sent {
        self.admit(request.uri())?;
        let Some(vault) = self.vault.clone() else { return self.transmit(request, timeouts).await };
        let host = request.uri().host().map(str::to_owned);
        let refused = |refusal| self.refuse(host.as_deref(), refusal);
        let mut request = request;
        // Once more where a secret was refused that has another value.
        for left in (0..=MOST_REPETITIONS).rev() {
            let (filled, mut sent) = vault.fill(request).await.map_err(refused)?;
            let (response, done) = self.transmit(filled, timeouts).await?;
            request = match vault.receive(response, &mut sent, left > 0).await.map_err(refused)? {
                Received::Answer(response) => return Ok((response, done)),
                Received::Again(request) => request,
            };
        }
        Err(Error::LoopDetected)
    }

    async fn transmit(&self, request: http::Request<WasiBody>, timeouts: Timeouts) -> Sent {
        self.traffic().status = None;
        let head = timeouts.connect.saturating_add(timeouts.first_byte);
        let host = request.uri().host().map(str::to_owned);
        let response = tokio::time::timeout(head, self.transport.send(request, timeouts)).await.map_err(|_| {
            // A component is told that no byte came in time, and not who ran out of patience.
            tracing::warn!(
                host,
                hint = "if the service is that slow, raise `first_byte_timeout` under [host]",
                "no answer came within {head:?}, and the request is given up"
            );
            Error::ConnectionReadTimeout
        })??;
        self.traffic().status = Some(response.status().as_u16());
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
        // It runs as a task of its own, and what it logs is to name the source all the same.
        Box::new(self.clone().exchange(request, timeouts).in_current_span())
    }
}
