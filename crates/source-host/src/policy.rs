//! Which requests leave the machine: the origins that the operator accepted, and the addresses behind their names.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::bindings::AccessPlan;
use crate::origin::{Origin, OriginError};

/// The origins that one source may reach. Everything else is refused, request by request.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Policy {
    origins: Vec<Origin>,
}

/// Why a request did not leave the machine.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Denial {
    /// Which rule refused what, in a sentence.
    pub reason: String,
    /// How to allow it, where that is up to the operator.
    pub hint: Option<String>,
}

impl fmt::Display for Denial {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.reason)
    }
}

impl Policy {
    /// Nothing is allowed: for `describe` and `plan`, which are pure.
    #[must_use]
    pub fn deny_all() -> Self {
        Self::default()
    }

    /// These origins and no others.
    #[must_use]
    pub fn of(origins: Vec<Origin>) -> Self {
        Self { origins }
    }

    /// Everything that a plan names, whoever's hosts they are: for a transport that never reaches the network.
    ///
    /// # Errors
    ///
    /// The plan names what is no origin.
    pub fn planned(plan: &AccessPlan) -> Result<Self, OriginError> {
        let origins = plan.origins.iter().map(|origin| Origin::new(&origin.scheme, &origin.host, Some(origin.port)));
        Ok(Self { origins: origins.collect::<Result<_, _>>()? })
    }

    /// What is allowed.
    #[must_use]
    pub fn origins(&self) -> &[Origin] {
        &self.origins
    }

    /// Whether a request to this URL may leave.
    ///
    /// # Errors
    ///
    /// The rule that refuses it.
    pub fn check(&self, uri: &http::Uri) -> Result<(), Denial> {
        let authority = uri.authority().map(http::uri::Authority::as_str).unwrap_or_default();
        if authority.contains('@') {
            return Err(Denial { reason: "a URL with a user name in it is never sent".to_owned(), hint: None });
        }
        let origin = Origin::new(uri.scheme_str().unwrap_or_default(), uri.host().unwrap_or_default(), uri.port_u16())
            .map_err(|error| Denial { reason: error.to_string(), hint: None })?;
        // What is left of the authority is a port, or something that reads as none.
        if uri.port_u16().is_none() && uri.host() != Some(authority) {
            return Err(Denial { reason: format!("the port in {authority} is none"), hint: None });
        }
        if self.origins.contains(&origin) {
            return Ok(());
        }
        Err(Denial {
            reason: format!("{origin} is not among the origins of this source's plan"),
            hint: Some(format!(
                "the plan allows {}; a component that needs more has to name it in its plan",
                Listed(&self.origins)
            )),
        })
    }

    /// Whether a connection to `address` may be made for a request to `host`.
    ///
    /// A name may lead to a public address only, so that nobody's DNS turns a source against the machine or the network
    /// that it runs on. An address that is written out was granted as such, and `localhost` is written out.
    ///
    /// # Errors
    ///
    /// The rule that refuses it.
    pub fn check_address(&self, host: &str, address: IpAddr) -> Result<(), Denial> {
        let Some(kind) = reserved(address) else { return Ok(()) };
        let loopback = kind == "loopback" && host.eq_ignore_ascii_case("localhost");
        if loopback || self.origins.iter().any(|origin| origin.host == host && origin.address() == Some(address)) {
            return Ok(());
        }
        Err(Denial {
            reason: format!("{host} leads to the {kind} address {address}, which a name may not"),
            hint: Some(format!("if that is meant, use the address itself, and write it so into `allow`: {address}")),
        })
    }

    /// Whether this host is one of the allowed ones. Others that are dialled are the operator's own proxies.
    pub(crate) fn has_host(&self, host: &str) -> bool {
        self.origins.iter().any(|origin| origin.host.eq_ignore_ascii_case(host))
    }
}

struct Listed<'a>(&'a [Origin]);

impl fmt::Display for Listed<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.is_empty() {
            return f.write_str("nothing");
        }
        for (index, origin) in self.0.iter().enumerate() {
            write!(f, "{}{origin}", if index == 0 { "" } else { ", " })?;
        }
        Ok(())
    }
}

/// What kind of address this is, where it is none of the public internet.
fn reserved(address: IpAddr) -> Option<&'static str> {
    match address {
        IpAddr::V4(address) => reserved_v4(address),
        IpAddr::V6(address) => match embedded_v4(address) {
            Some(inner) => reserved_v4(inner),
            None => reserved_v6(address),
        },
    }
}

fn reserved_v4(address: Ipv4Addr) -> Option<&'static str> {
    let [a, b, ..] = address.octets();
    match (a, b) {
        (127, _) => Some("loopback"),
        (169, 254) => Some("link-local"),
        (10, _) | (172, 16..=31) | (192, 168) => Some("private"),
        (100, 64..=127) => Some("carrier-internal"),
        (0, _) => Some("unspecified"),
        (192, 0) if address.octets()[2] == 0 => Some("reserved"),
        (198, 18 | 19) => Some("benchmark"),
        (224..=239, _) => Some("multicast"),
        (240..=255, _) => Some("reserved"),
        _ => None,
    }
}

fn reserved_v6(address: Ipv6Addr) -> Option<&'static str> {
    let first = address.segments()[0];
    match first {
        _ if address.is_loopback() => Some("loopback"),
        _ if address.is_unspecified() => Some("unspecified"),
        0xfe80..=0xfebf => Some("link-local"),
        0xfc00..=0xfdff => Some("private"),
        0xfec0..=0xfeff => Some("private"),
        0xff00..=0xffff => Some("multicast"),
        _ => None,
    }
}

/// The IPv4 address inside one of IPv6: mapped, NAT64 (RFC 6052) or 6to4.
fn embedded_v4(address: Ipv6Addr) -> Option<Ipv4Addr> {
    if let Some(mapped) = address.to_ipv4_mapped() {
        return Some(mapped);
    }
    let s = address.segments();
    let from = |high: u16, low: u16| Ipv4Addr::from((u32::from(high) << 16) | u32::from(low));
    match s {
        [0x64, 0xff9b, 0, 0, 0, 0, high, low] => Some(from(high, low)),
        [0x2002, high, low, ..] => Some(from(high, low)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn policy(origins: &[&str]) -> Policy {
        Policy::of(origins.iter().map(|text| text.parse().unwrap()).collect())
    }

    #[test]
    fn scheme_host_and_port_all_have_to_match() {
        let policy = policy(&["https://api.example.com", "http://127.0.0.1:8080"]);
        for allowed in ["https://api.example.com/a?b", "https://API.example.com:443/", "http://127.0.0.1:8080/x"] {
            assert_eq!(policy.check(&allowed.parse().unwrap()), Ok(()), "{allowed}");
        }
        for refused in [
            "http://api.example.com/",
            "https://api.example.com:8443/",
            "https://api.example.com.evil.example/",
            "https://evil.example/api.example.com",
            "https://user@api.example.com/",
            "https://api.example.com./",
            "http://127.0.0.1/",
            "http://2130706433:8080/",
            "/relative",
        ] {
            assert!(policy.check(&refused.parse().unwrap()).is_err(), "{refused}");
        }
    }

    #[test]
    fn a_name_never_leads_to_an_inner_address() {
        let policy = policy(&["https://api.example.com"]);
        for inner in [
            "127.0.0.1",
            "10.1.2.3",
            "172.31.0.1",
            "192.168.1.1",
            "169.254.169.254",
            "100.64.0.1",
            "0.0.0.0",
            "::1",
            "::",
            "fe80::1",
            "fd00::1",
            "::ffff:127.0.0.1",
            "64:ff9b::a9fe:a9fe",
            "2002:7f00:1::",
            "224.0.0.1",
            "255.255.255.255",
        ] {
            assert!(policy.check_address("api.example.com", inner.parse().unwrap()).is_err(), "{inner}");
        }
        for public in ["20.190.151.7", "2603:1006:2000::1", "172.32.0.1"] {
            assert_eq!(policy.check_address("api.example.com", public.parse().unwrap()), Ok(()), "{public}");
        }
    }

    #[test]
    fn an_address_that_is_written_out_is_reached() {
        let policy = policy(&["https://10.0.0.5:8443", "http://localhost:8080", "http://[::1]:9000"]);
        assert_eq!(policy.check_address("10.0.0.5", "10.0.0.5".parse().unwrap()), Ok(()));
        assert_eq!(policy.check_address("localhost", "::1".parse().unwrap()), Ok(()));
        assert_eq!(policy.check_address("[::1]", "::1".parse().unwrap()), Ok(()));
        assert!(policy.check_address("10.0.0.5", "10.0.0.6".parse().unwrap()).is_err());
        assert!(policy.check_address("localhost", "10.0.0.5".parse().unwrap()).is_err());
    }
}
