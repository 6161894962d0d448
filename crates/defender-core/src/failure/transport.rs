//! What it means that no answer came.

use super::{quote, see};
use crate::config::{Config, Endpoint};
use crate::contract::{Delay, Failure, Fault};
use crate::http::{TransportFailure, TransportFailureKind};

const TOKEN_ENDPOINT: &str = "token endpoint";

/// What it means that the request to this URL, or to this host, had no answer or half of one.
pub fn transport_failure(failure: &TransportFailure, url: &str, config: &Config) -> Failure {
    let endpoint = asked(url, config);
    let (purpose, host, origin) = match endpoint {
        Some((purpose, endpoint)) => (purpose, endpoint.host.clone(), origin(endpoint)),
        None => ("server", quote(host_of(url), &config.credential.secrets()), "its origin".to_owned()),
    };
    // Of a token there is no less to ask for.
    let has_slices = purpose != TOKEN_ENDPOINT;
    let (code, what, hint) = match failure.kind {
        TransportFailureKind::Denied => (
            "denied",
            "was not asked: this host's policy does not allow it",
            format!(
                "Allow {origin} where the source runs, in source-host by `allow` of the [[source]], or correct the address."
            ),
        ),
        TransportFailureKind::Dns => (
            "dns",
            "was not found: its name does not resolve",
            "Check the address, and the name server that this machine asks.".to_owned(),
        ),
        TransportFailureKind::Connect => (
            "connect",
            "was not reached: there is no connection to it",
            format!("Let this machine through to {origin}, directly or by a proxy."),
        ),
        TransportFailureKind::Tls => (
            "tls",
            "was not trusted: TLS failed",
            "Where a proxy opens TLS, add its certificate authority to this machine's trusted roots; else check this \
             machine's clock and the address."
                .to_owned(),
        ),
        TransportFailureKind::Timeout => (
            "timeout",
            "did not answer in time",
            if has_slices {
                "It passes by itself: the next poll asks for less at a time. If it goes on, shorten `slice` or allow more time."
            } else {
                "It passes by itself. If it goes on, look for a proxy or firewall that holds it up, or allow more time."
            }
            .to_owned(),
        ),
        TransportFailureKind::TooLarge => (
            "too-large",
            "answered with more than this host lets through",
            if has_slices {
                "It is asked again for less at a time. If it goes on, shorten `slice` or raise the host's limit."
            } else {
                "It passes by itself. If it goes on, make sure that the address is the one that is meant."
            }
            .to_owned(),
        ),
        TransportFailureKind::Broken => (
            "broken",
            "broke off in the middle of the exchange",
            "It passes by itself. If it goes on, look for a proxy or firewall that cuts connections.".to_owned(),
        ),
    };
    let detail = quote(&failure.detail, &config.credential.secrets());
    let detail = if detail.is_empty() { String::new() } else { format!(" ({})", detail.trim_end_matches('.')) };
    let fault = Fault {
        code: format!("transport.{code}"),
        message: format!("The {purpose} {host} {what}{detail}."),
        hint: Some(see(&hint, &format!("transport{code}"))),
        ..Fault::default()
    };
    match failure.kind {
        TransportFailureKind::Denied => Failure::Rejected(fault),
        TransportFailureKind::Dns
        | TransportFailureKind::Connect
        | TransportFailureKind::Tls
        | TransportFailureKind::Timeout
        | TransportFailureKind::TooLarge
        | TransportFailureKind::Broken => Failure::Unavailable(Delay { after: None, fault }),
    }
}

/// The endpoint that a URL, with or without a query, or a bare host belongs to.
fn asked<'a>(url: &str, config: &'a Config) -> Option<(&'static str, &'a Endpoint)> {
    let endpoints = [(TOKEN_ENDPOINT, &config.token_endpoint), (config.protocol.endpoint, &config.api_endpoint)];
    let path = url.split('?').next().unwrap_or_default();
    let by_url = endpoints.iter().find(|(_, endpoint)| endpoint.url == path);
    by_url.or_else(|| endpoints.iter().find(|(_, endpoint)| endpoint.host == host_of(url))).copied()
}

fn origin(endpoint: &Endpoint) -> String {
    let Endpoint { scheme, host, port, .. } = endpoint;
    match (scheme.as_str(), port) {
        ("https", 443) | ("http", 80) => format!("{scheme}://{host}"),
        _ => format!("{scheme}://{host}:{port}"),
    }
}

/// The host of a URL, with its port where it states one; a bare host as it is.
fn host_of(url: &str) -> &str {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    authority.rsplit('@').next().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_config::{CANARY, config};

    fn failed(kind: TransportFailureKind, detail: &str, url: &str) -> (Failure, Fault) {
        let mut failure = transport_failure(&TransportFailure { kind, detail: detail.to_owned() }, url, &config());
        let fault = failure.fault_mut().cloned().unwrap();
        (failure, fault)
    }

    #[test]
    fn every_kind_of_transport_failure_says_who_acts() {
        use TransportFailureKind::{Broken, Connect, Denied, Dns, Timeout, Tls, TooLarge};
        for (kind, name, code, part) in [
            (Denied, "rejected", "transport.denied", "policy does not allow"),
            (Dns, "unavailable", "transport.dns", "does not resolve"),
            (Connect, "unavailable", "transport.connect", "no connection"),
            (Tls, "unavailable", "transport.tls", "TLS failed"),
            (Timeout, "unavailable", "transport.timeout", "in time"),
            (TooLarge, "unavailable", "transport.too-large", "more than this host lets through"),
            (Broken, "unavailable", "transport.broken", "broke off"),
        ] {
            let url = "https://wdatp-alertexporter-eu.windows.com/api/alerts?limit=1";
            let (failure, fault) = failed(kind, "os error 7.", url);
            assert_eq!(failure.kind(), name);
            assert_eq!(fault.code, code);
            assert_eq!(fault.status, None);
            let start = "The detections endpoint wdatp-alertexporter-eu.windows.com ";
            assert!(fault.message.starts_with(start) && fault.message.contains(part), "{}", fault.message);
            assert!(fault.message.ends_with("(os error 7)."), "{}", fault.message);
        }
    }

    #[test]
    fn the_endpoint_is_named_by_url_or_by_host() {
        let message = |url| failed(TransportFailureKind::Dns, "", url).1.message;
        for url in ["login.microsoftonline.com", "https://login.microsoftonline.com/contoso.example/oauth2/token"] {
            assert_eq!(
                message(url),
                "The token endpoint login.microsoftonline.com was not found: its name does not resolve."
            );
        }
        assert_eq!(
            message("https://me:pw@other.example:81/x?y#z"),
            "The server other.example:81 was not found: its name does not resolve."
        );
    }

    #[test]
    fn only_the_detections_are_asked_for_less_at_a_time() {
        for kind in [TransportFailureKind::Timeout, TransportFailureKind::TooLarge] {
            let slices = |url| failed(kind, "", url).1.hint.unwrap().contains("slice");
            assert!(slices("https://wdatp-alertexporter-eu.windows.com/api/alerts"), "{kind:?}");
            assert!(!slices("https://login.microsoftonline.com/contoso.example/oauth2/token"), "{kind:?}");
        }
    }

    #[test]
    fn two_endpoints_on_one_host_are_told_apart_by_their_url() {
        let mut config = config();
        for (endpoint, port) in [(&mut config.token_endpoint, 81), (&mut config.api_endpoint, 82)] {
            *endpoint = Endpoint {
                url: format!("http://127.0.0.1:{port}/x"),
                scheme: "http".to_owned(),
                host: "127.0.0.1".to_owned(),
                port,
            };
        }
        let refused = TransportFailure { kind: TransportFailureKind::Denied, detail: String::new() };
        let mut failure = transport_failure(&refused, "http://127.0.0.1:82/x?limit=1", &config);
        let fault = failure.fault_mut().unwrap();
        assert!(fault.message.starts_with("The detections endpoint 127.0.0.1 "), "{}", fault.message);
        assert!(fault.hint.as_deref().unwrap().starts_with("Allow http://127.0.0.1:82 "), "{:?}", fault.hint);
    }

    #[test]
    fn the_hosts_detail_is_one_line_without_the_secret() {
        let (failure, fault) = failed(TransportFailureKind::Broken, &format!("a\r\nb {CANARY}"), CANARY);
        assert!(fault.message.ends_with("(a b [redacted])."), "{}", fault.message);
        assert!(!format!("{failure:?}").contains("kanarie"));
    }
}
