//! How a connection fails before an answer comes.

use std::time::Duration;

use crate::nearest::nearest;
use crate::node::Node;
use crate::problem::Problem;
use crate::response::read_duration;

/// A connection that fails before an answer comes.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct RecordedFailure {
    /// How it fails.
    pub kind: FailureKind,
    /// How long that takes.
    pub latency: Duration,
}

macro_rules! kinds {
    ($($(#[$meaning:meta])+ $kind:ident = $word:literal | $code:literal,)+) => {
        /// How a connection fails: one for each `error-code` of `wasi:http`.
        #[derive(Clone, Copy, Debug, Eq, PartialEq)]
        pub enum FailureKind {
            $($(#[$meaning])+ $kind,)+
        }

        impl FailureKind {
            /// Each of them, in the order of `wasi:http`.
            pub const ALL: &'static [Self] = &[$(Self::$kind,)+];

            /// The word for it in `traffic.json`.
            pub fn word(self) -> &'static str {
                match self { $(Self::$kind => $word,)+ }
            }

            /// What `wasi:http` calls it, in lower case.
            pub fn code(self) -> &'static str {
                match self { $(Self::$kind => $code,)+ }
            }
        }
    };
}

kinds! {
    /// The name server does not answer in time.
    DnsTimeout = "dns-timeout" | "dns-timeout",
    /// The host name does not resolve.
    Dns = "dns" | "dns-error",
    /// There is no such destination.
    DestinationNotFound = "destination-not-found" | "destination-not-found",
    /// The destination cannot be had now.
    DestinationUnavailable = "destination-unavailable" | "destination-unavailable",
    /// The host's policy forbids the address.
    DestinationIpProhibited = "destination-ip-prohibited" | "destination-ip-prohibited",
    /// No way leads to the address.
    DestinationIpUnroutable = "destination-ip-unroutable" | "destination-ip-unroutable",
    /// The connection is refused.
    Refused = "refused" | "connection-refused",
    /// The connection is reset.
    Reset = "reset" | "connection-terminated",
    /// The connection is not made in time.
    ConnectTimeout = "connect-timeout" | "connection-timeout",
    /// The answer does not begin in time.
    Timeout = "timeout" | "connection-read-timeout",
    /// The request is not taken in time.
    WriteTimeout = "connection-write-timeout" | "connection-write-timeout",
    /// The host has too many connections.
    ConnectionLimit = "connection-limit-reached" | "connection-limit-reached",
    /// The TLS handshake fails.
    Tls = "tls" | "tls-protocol-error",
    /// The certificate is not trusted.
    Certificate = "certificate" | "tls-certificate-error",
    /// The server breaks off the TLS handshake with an alert.
    TlsAlert = "tls-alert-received" | "tls-alert-received",
    /// The host's policy refuses the request.
    Denied = "denied" | "http-request-denied",
    /// The request has to say how long it is.
    LengthRequired = "http-request-length-required" | "http-request-length-required",
    /// The body of the request is too large.
    RequestBodySize = "http-request-body-size" | "http-request-body-size",
    /// The method is none.
    MethodInvalid = "http-request-method-invalid" | "http-request-method-invalid",
    /// The URL is none.
    UriInvalid = "http-request-uri-invalid" | "http-request-uri-invalid",
    /// The URL is too long.
    UriTooLong = "http-request-uri-too-long" | "http-request-uri-too-long",
    /// The headers of the request are too large.
    RequestHeaderSectionSize = "http-request-header-section-size" | "http-request-header-section-size",
    /// One header of the request is too large.
    RequestHeaderSize = "http-request-header-size" | "http-request-header-size",
    /// The trailers of the request are too large.
    RequestTrailerSectionSize = "http-request-trailer-section-size" | "http-request-trailer-section-size",
    /// One trailer of the request is too large.
    RequestTrailerSize = "http-request-trailer-size" | "http-request-trailer-size",
    /// The answer ends before it is whole.
    Incomplete = "http-response-incomplete" | "http-response-incomplete",
    /// The headers of the answer are too large.
    HeaderSectionSize = "http-response-header-section-size" | "http-response-header-section-size",
    /// One header of the answer is too large.
    HeaderSize = "http-response-header-size" | "http-response-header-size",
    /// The body of the answer is too large.
    BodySize = "http-response-body-size" | "http-response-body-size",
    /// The trailers of the answer are too large.
    TrailerSectionSize = "http-response-trailer-section-size" | "http-response-trailer-section-size",
    /// One trailer of the answer is too large.
    TrailerSize = "http-response-trailer-size" | "http-response-trailer-size",
    /// The transfer coding of the answer is not known.
    TransferCoding = "http-response-transfer-coding" | "http-response-transfer-coding",
    /// The content coding of the answer is not known, or broken.
    ContentCoding = "http-response-content-coding" | "http-response-content-coding",
    /// The answer as a whole does not come in time.
    ResponseTimeout = "http-response-timeout" | "http-response-timeout",
    /// The server does not change the protocol.
    UpgradeFailed = "http-upgrade-failed" | "http-upgrade-failed",
    /// What comes back is not HTTP.
    Protocol = "protocol" | "http-protocol-error",
    /// The request goes round in a circle.
    LoopDetected = "loop-detected" | "loop-detected",
    /// The host is not set up as it should be.
    Configuration = "configuration-error" | "configuration-error",
    /// Something else is wrong with the host.
    Internal = "internal-error" | "internal-error",
}

impl FailureKind {
    /// What a word of `traffic.json` stands for, or the name of a code of `wasi:http`, in whatever case.
    pub fn of_word(word: &str) -> Option<Self> {
        let is = |known: &str| known.eq_ignore_ascii_case(word);
        Self::ALL.iter().copied().find(|kind| is(kind.word()) || is(kind.code()))
    }

    /// Whether time ran out: then its latency says for how long somebody waited.
    pub fn is_timeout(self) -> bool {
        matches!(
            self,
            Self::DnsTimeout | Self::ConnectTimeout | Self::Timeout | Self::WriteTimeout | Self::ResponseTimeout
        )
    }

    /// Every word, the short ones first.
    pub fn words() -> impl Iterator<Item = &'static str> {
        let is_short = |kind: &&Self| kind.word() != kind.code();
        let (short, codes): (Vec<Self>, Vec<Self>) = Self::ALL.iter().partition(is_short);
        short.into_iter().chain(codes).map(Self::word)
    }
}

impl RecordedFailure {
    pub(crate) fn read(node: &Node<'_>) -> Result<Self, Problem> {
        if node.is_string() {
            return Ok(Self { kind: read_kind(node)?, latency: Duration::ZERO });
        }
        let object = node.object(&["kind", "latency"])?;
        let kind = read_kind(object.need("kind", "how the connection fails, such as \"refused\"")?)?;
        Ok(Self { kind, latency: object.read("latency", read_duration)?.unwrap_or_default() })
    }
}

fn read_kind(node: &Node<'_>) -> Result<FailureKind, Problem> {
    let word = node.string()?;
    FailureKind::of_word(&word).ok_or_else(|| {
        let codes = FailureKind::ALL.iter().map(|kind| kind.code());
        let known = FailureKind::words().collect::<Vec<_>>().join(", ");
        let hint = match nearest(&word, FailureKind::words().chain(codes)) {
            Some(near) => format!("did you mean `{near}`? Known are {known}"),
            None => format!("write one of {known}"),
        };
        node.problem(format!("`{word}` is no way for a connection to fail"), hint)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_word_stands_for_one_kind_and_so_does_each_code_in_any_case() {
        for kind in FailureKind::ALL {
            assert_eq!(FailureKind::of_word(kind.word()), Some(*kind));
            assert_eq!(FailureKind::of_word(&kind.code().to_uppercase()), Some(*kind));
        }
        assert_eq!(FailureKind::words().count(), FailureKind::ALL.len());
        assert_eq!(FailureKind::words().next(), Some("dns"));
        assert_eq!(FailureKind::of_word("bored"), None);
    }
}
