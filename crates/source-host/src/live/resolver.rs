//! Looks names up, and drops the addresses that a name may not lead to, at the moment of dialling.

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use reqwest::dns::{Addrs, Name, Resolve, Resolving};

use crate::address;
use crate::policy::Denial;

/// Looks names up, for all sources.
#[derive(Clone)]
pub(super) struct PolicedResolver {
    /// The operator's own proxy may be anywhere.
    proxy: Option<Arc<str>>,
}

/// Why a name led nowhere. Found again in the source chain of the client's error.
#[derive(Debug)]
pub(super) enum LookupError {
    NotFound(String),
    Prohibited(Denial),
}

impl fmt::Display for LookupError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotFound(reason) => f.write_str(reason),
            Self::Prohibited(denial) => denial.fmt(f),
        }
    }
}

impl std::error::Error for LookupError {}

impl PolicedResolver {
    pub(super) fn new(proxy: Option<&str>) -> Self {
        Self { proxy: proxy.map(Arc::from) }
    }

    /// What of a name's addresses may be dialled.
    fn admitted(&self, host: &str, found: impl Iterator<Item = IpAddr>) -> Result<Vec<IpAddr>, LookupError> {
        let is_proxy = self.proxy.as_deref().is_some_and(|proxy| proxy.eq_ignore_ascii_case(host));
        if is_proxy { Ok(found.collect()) } else { permitted(host, found) }
    }
}

impl Resolve for PolicedResolver {
    fn resolve(&self, name: Name) -> Resolving {
        let resolver = self.clone();
        Box::pin(async move {
            let host = name.as_str();
            let found = tokio::net::lookup_host((host, 0))
                .await
                .map_err(|error| LookupError::NotFound(format!("{host} cannot be looked up: {error}")))?
                .map(|address| address.ip());
            let addresses = resolver.admitted(host, found)?;
            Ok(Box::new(addresses.into_iter().map(|address| SocketAddr::new(address, 0))) as Addrs)
        })
    }
}

fn permitted(host: &str, found: impl Iterator<Item = IpAddr>) -> Result<Vec<IpAddr>, LookupError> {
    let mut addresses = Vec::new();
    let mut denied = None;
    for address in found {
        match address::check(host, address) {
            Ok(()) => addresses.push(address),
            Err(denial) => denied = Some(denial),
        }
    }
    match denied {
        Some(denial) if addresses.is_empty() => Err(LookupError::Prohibited(denial)),
        _ if addresses.is_empty() => Err(LookupError::NotFound(format!("{host} has no address"))),
        _ => Ok(addresses),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_keeps_its_public_addresses_and_loses_the_inner_ones() {
        let look = |host: &str, found: &[&str]| {
            permitted(host, found.iter().map(|text| text.parse().unwrap())).map(|found| found.len())
        };
        assert!(matches!(look("api.example.com", &["20.0.0.1", "10.0.0.1"]), Ok(1)));
        assert!(matches!(look("api.example.com", &["169.254.169.254"]), Err(LookupError::Prohibited(_))));
        assert!(matches!(look("api.example.com", &[]), Err(LookupError::NotFound(_))));
        assert!(matches!(look("localhost", &["127.0.0.1", "::1"]), Ok(2)));
    }

    #[test]
    fn only_the_operator_s_own_proxy_may_have_a_name_inside() {
        let look = |resolver: &PolicedResolver, host: &str| {
            resolver.admitted(host, ["10.0.0.1".parse().unwrap()].into_iter()).map(|found| found.len())
        };
        let resolver = PolicedResolver::new(Some("proxy.example.com"));
        assert!(matches!(look(&resolver, "Proxy.example.com"), Ok(1)));
        for (resolver, host) in [(&resolver, "api.example.com"), (&PolicedResolver::new(None), "proxy.example.com")] {
            assert!(matches!(look(resolver, host), Err(LookupError::Prohibited(_))), "{host}");
        }
    }
}
