//! One request through `wasi:http`, and its answer's body in chunks.
//!
//! waki's own client sets no timeout but the one for connecting, sends a form without `content-length`, which token
//! endpoints refuse, and flattens errors to text; so this speaks to waki's bindings instead.

use std::time::Duration;

use defender_core::http::{Method, Request, ResponseHead, TransportFailure, TransportFailureKind};
use waki::bindings::wasi::clocks::monotonic_clock;
use waki::bindings::wasi::http::outgoing_handler;
use waki::bindings::wasi::http::types::{
    ErrorCode, Fields, FutureIncomingResponse, IncomingBody, IncomingResponse, Method as WasiMethod, OutgoingBody,
    OutgoingRequest, RequestOptions, Scheme,
};
use waki::bindings::wasi::io::poll::{Pollable, poll};
use waki::bindings::wasi::io::streams::{InputStream, StreamError};

const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
const FIRST_BYTE_TIMEOUT: Duration = Duration::from_secs(60);
const BETWEEN_BYTES_TIMEOUT: Duration = Duration::from_secs(30);

/// What is read of a body at a time, in bytes, at the most.
const CHUNK: u64 = 256 * 1024;

/// What `blocking-write-and-flush` takes at the most, in bytes.
const WRITE: usize = 4096;

/// An answer whose body is being read. The fields are dropped in this order, children before their parents.
pub(crate) struct Answer {
    readable: Pollable,
    stream: InputStream,
    _body: IncomingBody,
    _response: IncomingResponse,
}

/// A piece of a body.
pub(crate) enum Chunk {
    Bytes(Vec<u8>),
    End,
}

/// Sends a request and waits for the status and the headers of its answer.
pub(crate) fn send(request: &Request) -> Result<(ResponseHead, Answer), TransportFailure> {
    let options = RequestOptions::new();
    // A host that knows no timeouts says so; the timers here and its own deadline bound the call all the same.
    let _ = options.set_connect_timeout(Some(nanoseconds(CONNECT_TIMEOUT)));
    let _ = options.set_first_byte_timeout(Some(nanoseconds(FIRST_BYTE_TIMEOUT)));
    let _ = options.set_between_bytes_timeout(Some(nanoseconds(BETWEEN_BYTES_TIMEOUT)));
    let outgoing = outgoing(request)?;
    let body = if request.body.is_empty() { None } else { Some(outgoing.body().map_err(|()| refused("a body"))?) };
    let future = outgoing_handler::handle(outgoing, Some(options)).map_err(|code| failure(&code))?;
    let written = body.map_or(Ok(()), |body| write(body, &request.body));
    let response = match wait(&future) {
        Ok(response) => response,
        // Why the body could not be written says more than that no answer came.
        Err(failed) => return Err(written.err().unwrap_or(failed)),
    };
    let head = ResponseHead {
        status: response.status(),
        headers: response.headers().entries().into_iter().map(|(name, value)| (name, lossy(&value))).collect(),
    };
    let body = response.consume().map_err(|()| refused("reading the answer"))?;
    let stream = body.stream().map_err(|()| refused("reading the answer"))?;
    Ok((head, Answer { readable: stream.subscribe(), stream, _body: body, _response: response }))
}

impl Answer {
    /// Waits for the next piece of the body.
    pub(crate) fn read(&self) -> Result<Chunk, TransportFailure> {
        let deadline = monotonic_clock::now().saturating_add(nanoseconds(BETWEEN_BYTES_TIMEOUT));
        loop {
            match self.stream.read(CHUNK) {
                Ok(bytes) if bytes.is_empty() => {
                    if !ready(&self.readable, deadline) {
                        let detail = format!("no further byte came within {} s", BETWEEN_BYTES_TIMEOUT.as_secs());
                        return Err(TransportFailure { kind: TransportFailureKind::Timeout, detail });
                    }
                }
                Ok(bytes) => return Ok(Chunk::Bytes(bytes)),
                Err(StreamError::Closed) => return Ok(Chunk::End),
                // What the error is cannot be asked: one host knows no code here, another dies of the question.
                Err(StreamError::LastOperationFailed(error)) => {
                    let detail = format!("the body broke off: {}", error.to_debug_string());
                    return Err(TransportFailure { kind: TransportFailureKind::Broken, detail });
                }
            }
        }
    }
}

fn outgoing(request: &Request) -> Result<OutgoingRequest, TransportFailure> {
    let (scheme, rest) = request.url.split_once("://").ok_or_else(|| refused("the URL"))?;
    let (authority, path) = rest.split_at(rest.find(['/', '?']).unwrap_or(rest.len()));
    let bytes = |text: &str| text.as_bytes().to_vec();
    let mut headers: Vec<_> = request.headers.iter().map(|(name, value)| ((*name).to_owned(), bytes(value))).collect();
    if !request.body.is_empty() {
        headers.push(("content-length".to_owned(), bytes(&request.body.len().to_string())));
    }
    let headers = Fields::from_list(&headers).map_err(|_| refused("the headers"))?;
    let outgoing = OutgoingRequest::new(headers);
    let method = match request.method {
        Method::Get => WasiMethod::Get,
        Method::Post => WasiMethod::Post,
    };
    let scheme = if scheme == "https" { Scheme::Https } else { Scheme::Http };
    outgoing.set_method(&method).map_err(|()| refused("the method"))?;
    outgoing.set_scheme(Some(&scheme)).map_err(|()| refused("the scheme"))?;
    outgoing.set_authority(Some(authority)).map_err(|()| refused("the host"))?;
    outgoing.set_path_with_query(Some(if path.is_empty() { "/" } else { path })).map_err(|()| refused("the path"))?;
    Ok(outgoing)
}

fn write(body: OutgoingBody, bytes: &[u8]) -> Result<(), TransportFailure> {
    let broken = |what: String| TransportFailure { kind: TransportFailureKind::Broken, detail: what };
    {
        let stream = body.write().map_err(|()| refused("writing the body"))?;
        for piece in bytes.chunks(WRITE) {
            stream
                .blocking_write_and_flush(piece)
                .map_err(|_| broken("the request's body was not taken".to_owned()))?;
        }
    }
    OutgoingBody::finish(body, None).map_err(|code| failure(&code))
}

fn wait(future: &FutureIncomingResponse) -> Result<IncomingResponse, TransportFailure> {
    let deadline = monotonic_clock::now().saturating_add(nanoseconds(CONNECT_TIMEOUT + FIRST_BYTE_TIMEOUT));
    let readable = future.subscribe();
    loop {
        match future.get() {
            Some(Ok(answer)) => return answer.map_err(|code| failure(&code)),
            Some(Err(())) => return Err(refused("taking the answer twice")),
            None if ready(&readable, deadline) => {}
            None => {
                let detail = format!("no answer came within {} s", (CONNECT_TIMEOUT + FIRST_BYTE_TIMEOUT).as_secs());
                return Err(TransportFailure { kind: TransportFailureKind::Timeout, detail });
            }
        }
    }
}

/// Waits for a pollable until a deadline, and says whether it was ready in time.
fn ready(pollable: &Pollable, deadline: u64) -> bool {
    if monotonic_clock::now() >= deadline {
        return pollable.ready();
    }
    let timer = monotonic_clock::subscribe_instant(deadline);
    poll(&[pollable, &timer]).contains(&0)
}

fn refused(what: &str) -> TransportFailure {
    let detail = format!("the host refused {what}");
    TransportFailure { kind: TransportFailureKind::Denied, detail }
}

fn failure(code: &ErrorCode) -> TransportFailure {
    use TransportFailureKind::{Broken, Connect, Denied, Dns, Timeout, Tls, TooLarge};
    let (kind, detail) = match code {
        ErrorCode::HttpRequestDenied => (Denied, "its policy forbids it"),
        ErrorCode::DestinationIpProhibited => (Denied, "its policy forbids the address"),
        ErrorCode::HttpRequestUriInvalid | ErrorCode::HttpRequestUriTooLong => (Denied, "it takes no such URL"),
        ErrorCode::HttpRequestHeaderSectionSize(_) | ErrorCode::HttpRequestHeaderSize(_) => {
            (Denied, "it takes no headers of that size")
        }
        ErrorCode::DnsTimeout => (Dns, "the name server did not answer in time"),
        ErrorCode::DestinationNotFound => (Dns, "no such destination"),
        ErrorCode::DnsError(error) => (Dns, error.rcode.as_deref().unwrap_or("no such name")),
        ErrorCode::ConnectionRefused => (Connect, "connection refused"),
        ErrorCode::ConnectionTimeout => (Connect, "connecting took too long"),
        ErrorCode::ConnectionLimitReached => (Connect, "the host has too many connections open"),
        ErrorCode::DestinationUnavailable | ErrorCode::DestinationIpUnroutable => (Connect, "there is no way to it"),
        ErrorCode::TlsCertificateError => (Tls, "its certificate is not trusted"),
        ErrorCode::TlsProtocolError => (Tls, "the handshake failed"),
        ErrorCode::TlsAlertReceived(_) => (Tls, "it broke off the handshake"),
        ErrorCode::ConnectionReadTimeout | ErrorCode::HttpResponseTimeout => (Timeout, "no byte came in time"),
        ErrorCode::ConnectionWriteTimeout => (Timeout, "it took no byte in time"),
        ErrorCode::HttpResponseBodySize(_) => (TooLarge, "the body is larger than the host lets through"),
        ErrorCode::HttpResponseHeaderSectionSize(_) | ErrorCode::HttpResponseHeaderSize(_) => {
            (TooLarge, "the headers are larger than the host lets through")
        }
        ErrorCode::ConnectionTerminated => (Broken, "the connection was closed"),
        ErrorCode::HttpResponseIncomplete => (Broken, "the answer is incomplete"),
        ErrorCode::HttpProtocolError => (Broken, "it does not speak HTTP as it should"),
        ErrorCode::InternalError(Some(told)) => (Broken, told.as_str()),
        _ => (Broken, "the exchange failed"),
    };
    TransportFailure { kind, detail: detail.to_owned() }
}

fn lossy(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

fn nanoseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}
