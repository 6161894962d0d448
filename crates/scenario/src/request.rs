//! A request as it was sent, taken apart for comparison.

use std::fmt;

use http::Uri;
use percent_encoding::percent_decode_str;

/// A request as whoever replays a scenario saw it.
#[derive(Clone, Eq, PartialEq)]
pub struct Request {
    /// The method, in capitals.
    pub method: String,
    /// The absolute URL.
    pub url: String,
    /// Names in any case, and values.
    pub headers: Vec<(String, String)>,
    /// The whole body; empty for none.
    pub body: Vec<u8>,
}

/// Shows neither header values nor the body, since both may hold secrets.
impl fmt::Debug for Request {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Request").field("method", &self.method).field("url", &self.url).finish_non_exhaustive()
    }
}

impl Request {
    /// The values of a header, in order.
    pub(crate) fn header(&self, name: &str) -> Vec<&str> {
        self.headers
            .iter()
            .filter(|(other, _)| other.eq_ignore_ascii_case(name))
            .map(|(_, value)| value.as_str())
            .collect()
    }
}

/// An absolute URL in the parts that are compared one by one.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Address {
    /// Scheme, host and port, in lower case, the port left out where it is the scheme's own.
    pub origin: String,
    /// The path as it is written; `/` where there is none.
    pub path: String,
    /// Decoded names and values, in order.
    pub query: Vec<(String, String)>,
}

impl Address {
    /// Takes an absolute `http` or `https` URL apart; `None` for anything else.
    pub fn parse(url: &str) -> Option<Self> {
        let uri: Uri = url.parse().ok()?;
        let scheme = uri.scheme_str()?.to_ascii_lowercase();
        let own_port = match scheme.as_str() {
            "http" => 80,
            "https" => 443,
            _ => return None,
        };
        let host = uri.host()?.to_ascii_lowercase();
        let origin = match uri.port_u16() {
            Some(port) if port != own_port => format!("{scheme}://{host}:{port}"),
            _ => format!("{scheme}://{host}"),
        };
        let path = if uri.path().is_empty() { "/" } else { uri.path() };
        Some(Self { origin, path: path.to_owned(), query: decode_form(uri.query().unwrap_or_default()) })
    }
}

/// Decodes `application/x-www-form-urlencoded` text, which a query is as well. Bytes that are not UTF-8 become
/// replacement characters, and then match nothing that was recorded.
///
/// Source: WHATWG URL Standard, section 5.1.
pub fn decode_form(text: &str) -> Vec<(String, String)> {
    let decode = |part: &str| percent_decode_str(&part.replace('+', " ")).decode_utf8_lossy().into_owned();
    text.split('&')
        .filter(|member| !member.is_empty())
        .map(|member| {
            let (name, value) = member.split_once('=').unwrap_or((member, ""));
            (decode(name), decode(value))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_is_compared_without_its_spelling() {
        let plain = Address::parse("https://api.example/a?x=1%3A2&y=").unwrap();
        assert_eq!(Address::parse("HTTPS://API.example:443/a?x=1:2&y").unwrap(), plain);
        assert_ne!(Address::parse("https://api.example:8443/a?x=1:2&y").unwrap(), plain);
    }

    #[test]
    fn a_form_keeps_odd_characters_and_empty_values() {
        let members = decode_form("client_secret=a%2Bb%2F%3D%26%25+%C3%A9&empty=&alone");
        assert_eq!(
            members,
            [("client_secret", "a+b/=&% é"), ("empty", ""), ("alone", "")]
                .map(|(name, value)| (name.to_owned(), value.to_owned()))
        );
    }

    #[test]
    fn what_is_no_absolute_url_has_no_parts() {
        for url in ["", "/api/alerts", "ftp://example/", "https://", "https://bad host/"] {
            assert_eq!(Address::parse(url), None, "{url}");
        }
    }
}
