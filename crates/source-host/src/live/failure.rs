//! What went wrong on the network, in the words of `wasi:http`.

use std::error::Error as StdError;
use std::io::{self, ErrorKind};

use wasmtime_wasi_http::Error;

use super::resolver::LookupError;
use super::{Proxy, certificate_problem};

/// Finds the innermost cause that says something, and tells the operator what the component cannot be told, such as the
/// proxy that stands in between.
pub(super) fn explain(error: &reqwest::Error, uri: &http::Uri, proxy: &Proxy) -> Error {
    let explained = classify(error);
    let causes: Vec<String> = chain(error).skip(1).map(ToString::to_string).collect();
    let host = uri.host().unwrap_or_default();
    let proxy = proxy.leads(uri).then(|| proxy.to_string());
    let why = certificate_problem(error).map_or_else(|| causes.join(": "), |(problem, _)| problem);
    tracing::warn!(host, proxy, hint = hint(error).as_deref(), "request failed: {explained}: {why}");
    explained
}

/// How the text of an error begins that came about before the proxy had opened its tunnel. It has no public type.
const TUNNEL: &str = "tunnel error: ";

/// What to do, where that is up to whoever runs the host.
fn hint(error: &reqwest::Error) -> Option<String> {
    for cause in chain(error) {
        if let Some(LookupError::Prohibited(denial)) = cause.downcast_ref::<LookupError>() {
            return denial.hint.clone();
        }
        match cause.to_string().strip_prefix(TUNNEL).unwrap_or_default() {
            "failed to create underlying connection" => {
                return Some(
                    "the proxy itself is not reached: correct `proxy` under [host] or HTTPS_PROXY, let this machine through to \
                     it, or name the host in `no_proxy`"
                        .to_owned(),
                );
            }
            "proxy authorization required" => {
                return Some(
                    "the proxy asks for credentials: say where they are with `proxy_credentials` under [host], or write \
                     user:password@ into HTTPS_PROXY"
                        .to_owned(),
                );
            }
            "unsuccessful" => {
                return Some(
                    "the proxy refused: let it pass this host and port, or name the host in `no_proxy`".to_owned(),
                );
            }
            _ => {}
        }
    }
    certificate_problem(error).map(|(_, hint)| hint.to_owned())
}

fn chain<'a>(error: &'a (dyn StdError + 'static)) -> impl Iterator<Item = &'a (dyn StdError + 'static)> {
    let mut next = Some(error);
    std::iter::from_fn(move || {
        let current = next?;
        next = current.source();
        Some(current)
    })
}

fn classify(error: &reqwest::Error) -> Error {
    for cause in chain(error) {
        if let Some(lookup) = cause.downcast_ref::<LookupError>() {
            return match lookup {
                LookupError::Prohibited(_) => Error::DestinationIpProhibited,
                LookupError::NotFound(reason) => Error::DnsError { rcode: Some(reason.clone()), info_code: None },
            };
        }
        if let Some(tls) = cause.downcast_ref::<rustls::Error>() {
            return classify_tls(tls);
        }
        if let Some(io) = cause.downcast_ref::<io::Error>()
            && let Some(explained) = classify_io(io, error.is_connect())
        {
            return explained;
        }
        if let Some(http) = cause.downcast_ref::<hyper::Error>()
            && let Some(explained) = classify_http(http)
        {
            return explained;
        }
    }
    if error.is_timeout() {
        return if error.is_connect() { Error::ConnectionTimeout } else { Error::HttpResponseTimeout };
    }
    // What a decoder finds fault with has no kind of its own.
    if error.is_decode() || (error.is_body() && chain(error).any(|cause| cause.is::<io::Error>())) {
        return Error::HttpResponseContentCoding(None);
    }
    if error.is_connect() {
        return Error::DestinationUnavailable;
    }
    Error::HttpProtocolError
}

fn classify_tls(error: &rustls::Error) -> Error {
    match error {
        rustls::Error::InvalidCertificate(_) | rustls::Error::NoCertificatesPresented => Error::TlsCertificateError,
        rustls::Error::AlertReceived(alert) => {
            Error::TlsAlertReceived { alert_id: Some(u8::from(*alert)), alert_message: Some(format!("{alert:?}")) }
        }
        _ => Error::TlsProtocolError,
    }
}

fn classify_io(error: &io::Error, connecting: bool) -> Option<Error> {
    // What an I/O error wraps is not its source: a TLS error is found inside only, two of them deep.
    if let Some(inner) = error.get_ref() {
        if let Some(tls) = inner.downcast_ref::<rustls::Error>() {
            return Some(classify_tls(tls));
        }
        if let Some(explained) = inner.downcast_ref::<io::Error>().and_then(|inner| classify_io(inner, connecting)) {
            return Some(explained);
        }
    }
    Some(match error.kind() {
        ErrorKind::ConnectionRefused => Error::ConnectionRefused,
        ErrorKind::TimedOut if connecting => Error::ConnectionTimeout,
        ErrorKind::TimedOut => Error::ConnectionReadTimeout,
        ErrorKind::HostUnreachable | ErrorKind::NetworkUnreachable | ErrorKind::NetworkDown => {
            Error::DestinationIpUnroutable
        }
        // This machine has no port left to connect from.
        ErrorKind::AddrNotAvailable => Error::ConnectionLimitReached,
        ErrorKind::ConnectionReset | ErrorKind::ConnectionAborted | ErrorKind::BrokenPipe => {
            Error::ConnectionTerminated
        }
        ErrorKind::UnexpectedEof if connecting => Error::ConnectionTerminated,
        ErrorKind::UnexpectedEof => Error::HttpResponseIncomplete,
        ErrorKind::InvalidData | ErrorKind::InvalidInput if !connecting => Error::HttpResponseContentCoding(None),
        _ => return None,
    })
}

fn classify_http(error: &hyper::Error) -> Option<Error> {
    if error.is_incomplete_message() {
        Some(Error::HttpResponseIncomplete)
    } else if error.is_parse_too_large() {
        Some(Error::HttpResponseHeaderSectionSize(None))
    } else if error.is_parse() || error.is_parse_status() {
        Some(Error::HttpProtocolError)
    } else {
        None
    }
}
