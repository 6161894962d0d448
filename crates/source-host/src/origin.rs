//! Where a request goes: scheme, host and port.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

/// A scheme that a source may speak.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Scheme {
    /// To a loopback address only.
    Http,
    /// HTTP over TLS.
    Https,
}

/// Where a request goes.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub struct Origin {
    /// How it is spoken to.
    pub scheme: Scheme,
    /// A host name in lower case or an address, IPv6 in brackets.
    pub host: String,
    /// The TCP port.
    pub port: u16,
}

/// Why a text is no origin.
#[derive(Debug, Eq, PartialEq, thiserror::Error)]
pub enum OriginError {
    /// Neither `http` nor `https`.
    #[error("`{0}` does not begin with https:// (or http://, to a loopback address)")]
    Scheme(String),
    /// More than scheme, host and port, or less.
    #[error(
        "`{0}` is no origin: write scheme, host and port only, such as https://api.example.com or https://10.0.0.5:8443"
    )]
    Shape(String),
    /// Unencrypted to another machine.
    #[error("`{0}` is unencrypted, and http:// is only for a loopback address: write https://")]
    Unencrypted(String),
}

impl Scheme {
    /// As it stands in a URL.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Http => "http",
            Self::Https => "https",
        }
    }

    fn default_port(self) -> u16 {
        match self {
            Self::Http => 80,
            Self::Https => 443,
        }
    }
}

impl Origin {
    /// Puts an origin together from its parts, as a plan or a request names them.
    ///
    /// # Errors
    ///
    /// Another scheme, a host that is none, or `http` to a host that is not this machine.
    pub fn new(scheme: &str, host: &str, port: Option<u16>) -> Result<Self, OriginError> {
        let text = || format!("{scheme}://{host}{}", port.map(|port| format!(":{port}")).unwrap_or_default());
        let scheme = match scheme.to_ascii_lowercase().as_str() {
            "http" => Scheme::Http,
            "https" => Scheme::Https,
            _ => return Err(OriginError::Scheme(text())),
        };
        let host = host.to_ascii_lowercase();
        if !is_host(&host) {
            return Err(OriginError::Shape(text()));
        }
        let origin = Self { scheme, host, port: port.unwrap_or(scheme.default_port()) };
        if scheme == Scheme::Http && !origin.names_loopback() {
            return Err(OriginError::Unencrypted(text()));
        }
        Ok(origin)
    }

    /// The address, where the host is written as one.
    #[must_use]
    pub fn address(&self) -> Option<IpAddr> {
        match self.host.strip_prefix('[').and_then(|host| host.strip_suffix(']')) {
            Some(inner) => inner.parse::<Ipv6Addr>().ok().map(IpAddr::V6),
            None => self.host.parse::<Ipv4Addr>().ok().map(IpAddr::V4),
        }
    }

    /// Whether the host is written as this machine: a loopback address, or the name that RFC 6761 keeps for it.
    #[must_use]
    pub fn names_loopback(&self) -> bool {
        self.host == "localhost" || self.address().is_some_and(|address| address.is_loopback())
    }
}

fn is_host(host: &str) -> bool {
    if let Some(inner) = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')) {
        return inner.parse::<Ipv6Addr>().is_ok();
    }
    // A name whose last label is a number would be read as an address in one of the spellings of old.
    let last_is_number = host.rsplit('.').next().is_some_and(|label| label.starts_with(|c: char| c.is_ascii_digit()));
    host.len() <= 253
        && host.split('.').all(|label| {
            !label.is_empty()
                && label.len() <= 63
                && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_')
        })
        && (!last_is_number || host.parse::<Ipv4Addr>().is_ok())
}

impl FromStr for Origin {
    type Err = OriginError;

    fn from_str(text: &str) -> Result<Self, OriginError> {
        let Some((scheme, rest)) = text.split_once("://") else {
            return Err(OriginError::Scheme(text.to_owned()));
        };
        let rest = rest.strip_suffix('/').unwrap_or(rest);
        let (host, port) = match rest.rsplit_once(':') {
            Some((host, port)) if !port.ends_with(']') => {
                let port = port.parse().map_err(|_| OriginError::Shape(text.to_owned()))?;
                (host, Some(port))
            }
            _ => (rest, None),
        };
        Self::new(scheme, host, port)
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}://{}", self.scheme.as_str(), self.host)?;
        if self.port != self.scheme.default_port() {
            write!(f, ":{}", self.port)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_origin_is_read_and_written_without_its_scheme_s_own_port() {
        for (text, written) in [
            ("https://API.Example.com", "https://api.example.com"),
            ("https://api.example.com:443/", "https://api.example.com"),
            ("https://10.0.0.5:8443", "https://10.0.0.5:8443"),
            ("http://[::1]:8080", "http://[::1]:8080"),
            ("http://[::1]", "http://[::1]"),
            ("http://localhost:80", "http://localhost"),
        ] {
            assert_eq!(text.parse::<Origin>().map(|origin| origin.to_string()), Ok(written.to_owned()));
        }
    }

    #[test]
    fn what_is_more_or_less_than_an_origin_is_refused() {
        for text in [
            "https://",
            "https://a/b",
            "https://u@a.example",
            "https://a:99999",
            "https://0x7f.1",
            "https://127.1",
            "https://a..b",
        ] {
            assert!(matches!(text.parse::<Origin>(), Err(OriginError::Shape(_))), "{text}");
        }
        assert!(matches!("ftp://a.example".parse::<Origin>(), Err(OriginError::Scheme(_))));
        assert!(matches!("api.example.com".parse::<Origin>(), Err(OriginError::Scheme(_))));
        assert!(matches!("http://api.example.com".parse::<Origin>(), Err(OriginError::Unencrypted(_))));
    }
}
