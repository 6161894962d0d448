//! The network: pooled connections, verified TLS, no redirects, and no address that the policy forbids.

mod failure;
mod resolver;
mod tls;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use http_body::Body as _;
use http_body_util::{BodyDataStream, BodyExt as _, Limited};
use reqwest::{Client, Url};
use wasmtime_wasi_http::{Error, WasiBody};

use crate::policy::Policy;
use crate::transport::{Timeouts, Transport};
use failure::explain;
use resolver::PolicedResolver;

pub use tls::{Tls, TlsError};

/// Request bodies up to this size are sent from memory, with their length and a second try on a connection that the
/// server had just closed.
const BUFFERED_REQUEST: u64 = 64 << 10;

const IDLE_CONNECTIONS: usize = 4;
const IDLE_FOR: Duration = Duration::from_secs(30);

/// The network, for one source: connections are not shared between sources, so neither are their credentials.
///
/// A proxy of the environment (`HTTPS_PROXY`, `NO_PROXY`) is used; it looks names up by itself, so the rule on inner
/// addresses ends there. Compressed answers arrive decoded.
pub struct LiveTransport {
    policy: Arc<Policy>,
    tls: Tls,
    /// By connect timeout in seconds, which is a property of a client; sources use one or two.
    clients: Mutex<BTreeMap<u64, Client>>,
}

impl LiveTransport {
    /// The network behind this policy.
    #[must_use]
    pub fn new(policy: &Policy, tls: &Tls) -> Self {
        Self { policy: Arc::new(policy.clone()), tls: tls.clone(), clients: Mutex::default() }
    }

    fn client(&self, connect: Duration) -> Result<Client, Error> {
        let seconds = connect.as_secs().max(1);
        let mut clients = self.clients.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(client) = clients.get(&seconds) {
            return Ok(client.clone());
        }
        let client = Client::builder()
            .tls_backend_preconfigured(self.tls.client_config())
            .redirect(reqwest::redirect::Policy::none())
            .referer(false)
            .user_agent(concat!("source-host/", env!("CARGO_PKG_VERSION")))
            .dns_resolver(Arc::new(PolicedResolver::new(Arc::clone(&self.policy))))
            .connect_timeout(Duration::from_secs(seconds))
            .pool_max_idle_per_host(IDLE_CONNECTIONS)
            .pool_idle_timeout(IDLE_FOR)
            .build()
            .map_err(|error| {
                tracing::error!("the HTTP client cannot be made: {error}");
                Error::ConfigurationError
            })?;
        clients.insert(seconds, client.clone());
        Ok(client)
    }
}

impl std::fmt::Debug for LiveTransport {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("LiveTransport").field("policy", &self.policy).finish_non_exhaustive()
    }
}

#[async_trait]
impl Transport for LiveTransport {
    async fn send(
        &self,
        request: http::Request<WasiBody>,
        timeouts: Timeouts,
    ) -> Result<http::Response<WasiBody>, Error> {
        let (mut head, body) = request.into_parts();
        let url = same_url(&head.uri)?;
        // The client writes it, or its counterpart in HTTP/2, from the URL.
        head.headers.remove(http::header::HOST);
        let mut outgoing = reqwest::Request::new(head.method, url);
        *outgoing.headers_mut() = head.headers;
        *outgoing.body_mut() = request_body(body, outgoing.headers()).await?;
        let host = head.uri.host().unwrap_or_default().to_owned();
        let response =
            self.client(timeouts.connect)?.execute(outgoing).await.map_err(|error| explain(&error, &host))?;
        let response = http::Response::<reqwest::Body>::from(response);
        Ok(response.map(|body| body.map_err(move |error| explain(&error, &host)).boxed_unsync()))
    }
}

/// The URL that was checked, as the client's own type. Two parsers may disagree on where a host ends; then it is not
/// sent.
fn same_url(uri: &http::Uri) -> Result<Url, Error> {
    let url = Url::parse(&uri.to_string()).map_err(|_| Error::HttpRequestUriInvalid)?;
    let same = url.host_str().zip(uri.host()).is_some_and(|(a, b)| a.eq_ignore_ascii_case(b))
        && url.scheme() == uri.scheme_str().unwrap_or_default()
        && url.username().is_empty()
        && url.password().is_none()
        && uri.port_u16().is_none_or(|port| url.port_or_known_default() == Some(port));
    if same { Ok(url) } else { Err(Error::HttpRequestUriInvalid) }
}

async fn request_body(body: WasiBody, headers: &http::HeaderMap) -> Result<Option<reqwest::Body>, Error> {
    if body.is_end_stream() {
        return Ok(None);
    }
    let length = headers.get(http::header::CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse::<u64>().ok());
    if length.is_some_and(|length| length <= BUFFERED_REQUEST) {
        let limit = usize::try_from(BUFFERED_REQUEST).unwrap_or(usize::MAX);
        let whole = Limited::new(body, limit).collect().await.map_err(|_| Error::HttpRequestBodySize(None))?;
        return Ok(Some(whole.to_bytes().into()));
    }
    Ok(Some(reqwest::Body::wrap_stream(BodyDataStream::new(body))))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_that_two_parsers_read_differently_is_not_sent() {
        for good in ["https://api.example.com/a%20b?c=d%2Be", "http://127.0.0.1:8080/", "https://[::1]:8443/x"] {
            assert!(same_url(&good.parse().unwrap()).is_ok(), "{good}");
        }
        for odd in ["http://0x7f.1/", "http://127.1/", "https://user@api.example.com/"] {
            assert!(same_url(&odd.parse().unwrap()).is_err(), "{odd}");
        }
    }
}
