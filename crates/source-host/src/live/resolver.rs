//! Looks names up, and drops the addresses that a policy forbids, at the moment of dialling.

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use reqwest::dns::{Addrs, Name, Resolve, Resolving};

use crate::policy::{Denial, Policy};

/// Looks names up within a policy.
pub(super) struct PolicedResolver {
    policy: Arc<Policy>,
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
    pub(super) fn new(policy: Arc<Policy>) -> Self {
        Self { policy }
    }
}

impl Resolve for PolicedResolver {
    fn resolve(&self, name: Name) -> Resolving {
        let policy = Arc::clone(&self.policy);
        Box::pin(async move {
            let host = name.as_str();
            let found = tokio::net::lookup_host((host, 0))
                .await
                .map_err(|error| LookupError::NotFound(format!("{host} cannot be looked up: {error}")))?;
            let permitted = permitted(&policy, host, found.map(|address| address.ip()))?;
            Ok(Box::new(permitted.into_iter().map(|address| SocketAddr::new(address, 0))) as Addrs)
        })
    }
}

fn permitted(policy: &Policy, host: &str, found: impl Iterator<Item = IpAddr>) -> Result<Vec<IpAddr>, LookupError> {
    // Requests go to the policy's hosts only, so another name is that of the operator's own proxy.
    if !policy.has_host(host) {
        return Ok(found.collect());
    }
    let mut addresses = Vec::new();
    let mut denied = None;
    for address in found {
        match policy.check_address(host, address) {
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
        let policy = Policy::of(vec!["https://api.example.com".parse().unwrap()]);
        let look = |host: &str, found: &[&str]| {
            permitted(&policy, host, found.iter().map(|text| text.parse().unwrap())).map(|found| found.len())
        };
        assert!(matches!(look("api.example.com", &["20.0.0.1", "10.0.0.1"]), Ok(1)));
        assert!(matches!(look("api.example.com", &["169.254.169.254"]), Err(LookupError::Prohibited(_))));
        assert!(matches!(look("api.example.com", &[]), Err(LookupError::NotFound(_))));
        assert!(matches!(look("proxy.corp.example", &["10.0.0.1"]), Ok(1)));
    }
}
