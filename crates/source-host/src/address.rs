//! Which addresses a name may lead to, at the moment of dialling.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::policy::Denial;

/// Whether a connection to `address` may be made for a request to `host`.
///
/// A name may lead to a public address only, so that nobody's DNS turns a source against the machine or the network
/// that it runs on. An address that is written out was granted as such, and `localhost` is written out. None of this
/// depends on the source, so sources may share connections.
pub(crate) fn check(host: &str, address: IpAddr) -> Result<(), Denial> {
    let Some(kind) = reserved(address) else { return Ok(()) };
    let literal = host.trim_start_matches('[').trim_end_matches(']').parse() == Ok(address);
    if literal || (kind == "loopback" && host.eq_ignore_ascii_case("localhost")) {
        return Ok(());
    }
    let written = match address {
        IpAddr::V4(address) => address.to_string(),
        IpAddr::V6(address) => format!("[{address}]"),
    };
    Err(Denial {
        reason: format!("{host} leads to the {kind} address {address}, which a name may not"),
        hint: Some(format!(
            "if that is meant, write the address in place of the name, in the source's config and in `allow`, such as \
             https://{written}"
        )),
    })
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
        [0x64, 0xff9b, 0, 0, 0, 0, high, low] | [0x64, 0xff9b, 1, _, _, _, high, low] => Some(from(high, low)),
        // Deprecated forms: `::a.b.c.d`.
        [0, 0, 0, 0, 0, 0, high, low] if high != 0 => Some(from(high, low)),
        [0x2002, high, low, ..] => Some(from(high, low)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_never_leads_to_an_inner_address() {
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
            "64:ff9b:1::a9fe:a9fe",
            "::10.0.0.1",
            "2002:7f00:1::",
            "224.0.0.1",
            "255.255.255.255",
        ] {
            assert!(check("api.example.com", inner.parse().unwrap()).is_err(), "{inner}");
        }
        for public in ["20.190.151.7", "2603:1006:2000::1", "172.32.0.1"] {
            assert_eq!(check("api.example.com", public.parse().unwrap()), Ok(()), "{public}");
        }
    }

    #[test]
    fn a_denial_says_what_to_write() {
        let denial = check("api.example.com", "::1".parse().unwrap()).unwrap_err();
        assert_eq!(denial.to_string(), "api.example.com leads to the loopback address ::1, which a name may not");
        assert!(denial.hint.unwrap().ends_with("such as https://[::1]"));
    }

    #[test]
    fn an_address_that_is_written_out_is_reached() {
        for (host, address) in [("10.0.0.5", "10.0.0.5"), ("localhost", "::1"), ("[::1]", "::1")] {
            assert_eq!(check(host, address.parse().unwrap()), Ok(()), "{host}");
        }
        for (host, address) in [("10.0.0.5", "10.0.0.6"), ("localhost", "10.0.0.5")] {
            assert!(check(host, address.parse().unwrap()).is_err(), "{host}");
        }
    }
}
