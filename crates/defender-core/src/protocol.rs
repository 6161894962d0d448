//! The APIs that the source reads: where each is, what it calls its things, and what it allows.
//!
//! One file for each product of Microsoft's. What they have in common is decided elsewhere, by what is written here.

mod alerts;
mod graph;
mod incidents;
mod siem;

pub(crate) use alerts::ALERTS;
pub(crate) use graph::{GRAPH_ALERTS, GRAPH_INCIDENTS};
pub(crate) use incidents::XDR_INCIDENTS;
pub(crate) use siem::SIEM;

use crate::config::{Cloud, Region, TokenVersion};
use crate::row::Records;

/// All protocols. Where two have one name, the first is the one to use unless an endpoint says otherwise.
pub(crate) static PROTOCOLS: [&Protocol; 5] = [&SIEM, &ALERTS, &GRAPH_ALERTS, &GRAPH_INCIDENTS, &XDR_INCIDENTS];

pub(crate) const WORLDWIDE: &[Cloud] = &[Cloud::Commercial, Cloud::Gcc];
const COMMERCIAL: &[Cloud] = &[Cloud::Commercial];
const GCC: &[Cloud] = &[Cloud::Gcc];
const GCC_HIGH: &[Cloud] = &[Cloud::GccHigh];
const DOD: &[Cloud] = &[Cloud::Dod];
pub(crate) const GCC_HIGH_AND_DOD: &[Cloud] = &[Cloud::GccHigh, Cloud::Dod];
const US_GOVERNMENT: &[Cloud] = &[Cloud::Gcc, Cloud::GccHigh, Cloud::Dod];

/// What to check where an API other than SIEM's refuses a fresh token, or a request.
const REFUSED_TOKEN: &str = "Check that `api`, `cloud` and `endpoints.audience` belong together; `source-host check` shows what \
    the token is for.";
const FORBIDDEN_THOUGH_PERMITTED: (&str, &str) = (
    "the token holds the permission, so the tenant may lack the product, or the user the role or the device groups",
    "Check that the tenant is licensed for the product and that it is set up; for a user who logged in, the roles and the \
     device groups in the Defender portal.",
);
const REFUSED_REQUEST: &str =
    "Check `limit` and the filters of the configuration, and whether a proxy stands in between.";

/// How one API is spoken.
#[derive(Debug, Eq, PartialEq)]
pub struct Protocol {
    /// The word of `api` in the configuration, and a part of the identity.
    pub name: &'static str,
    /// What a sentence calls it.
    pub title: &'static str,
    /// What it answers with, as a plural.
    pub things: &'static str,
    /// What a sentence calls its endpoint.
    pub(crate) endpoint: &'static str,
    /// What an answer of something else is called in a code.
    pub(crate) no_answer: &'static str,
    /// What one of these is called in an event.
    pub kind: &'static str,
    /// Its hosts. The first of a cloud and a region is the one that is asked by default.
    pub(crate) hosts: &'static [Host],
    /// What further hosts of it are called.
    pub(crate) families: &'static [Family],
    /// The path without slashes around it, and after it other spellings that mean the same.
    pub(crate) routes: &'static [&'static str],
    /// What a token is for. The first of a cloud is the one that is asked for by default.
    pub(crate) audiences: &'static [(&'static str, &'static [Cloud])],
    /// The token endpoint by default.
    pub(crate) token_version: TokenVersion,
    /// What its records look like.
    pub(crate) records: Records,
    /// Why it may forbid what was asked, as a clause, and what to do about it.
    pub(crate) forbidden: (&'static str, &'static str),
    /// The same where the token holds the permission.
    pub(crate) forbidden_though_permitted: (&'static str, &'static str),
    /// What to check where it refuses a fresh token.
    pub(crate) refused_token: &'static str,
    /// What to check where it refuses a request.
    pub(crate) refused_request: &'static str,
    /// How it is asked where it speaks OData.
    pub(crate) odata: Option<OData>,
    /// How often it may be asked.
    pub(crate) quotas: &'static [Quota],
    /// Whether 206 means that a part of the answer is missing.
    pub(crate) says_partial: bool,
    /// The APIs whose checkpoints it reads on from.
    pub(crate) takes_over: &'static [&'static str],
}

/// One host of an API.
#[derive(Debug, Eq, PartialEq)]
pub(crate) struct Host {
    pub(crate) name: &'static str,
    pub(crate) clouds: &'static [Cloud],
    /// The region whose data it serves, where it serves those of one alone.
    pub(crate) region: Option<Region>,
}

/// What the hosts of an API have in common.
#[derive(Debug, Eq, PartialEq)]
pub(crate) struct Family {
    pub(crate) prefix: &'static str,
    pub(crate) domain: &'static str,
    pub(crate) clouds: &'static [Cloud],
}

/// How an API is asked that speaks OData. Its things are updated in place, and each of them shows its last version.
#[derive(Debug, Eq, PartialEq)]
pub(crate) struct OData {
    /// The member that says when a thing was updated last.
    pub(crate) updated: &'static str,
    /// The member that says when it came to be.
    pub(crate) created: &'static str,
    /// What `$expand` asks for.
    pub(crate) expand: Option<&'static str>,
    /// Whether `$orderby` is asked for.
    pub(crate) orders: bool,
    /// How the rows beyond a full answer are asked for.
    pub(crate) paging: Paging,
    /// `$top` by default, and at the most.
    pub(crate) page: (u32, u32),
    /// From how many rows on an answer without a link may have been cut below `$top` without a word.
    pub(crate) suspicious: u32,
    /// The header `Prefer`.
    pub(crate) prefer: Option<&'static str>,
    /// The words of each filter: as the configuration has them, and as the API does.
    pub(crate) severity: Words,
    pub(crate) status: Words,
    pub(crate) service_source: Words,
}

/// The words of a filter as the configuration has them, which are those of Microsoft Graph, and as the API has them.
pub(crate) type Words = &'static [(&'static str, &'static str)];

/// How the rows beyond a full answer are asked for.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Paging {
    /// By the link `@odata.nextLink` in the answer; by `$skip` where a full page has none, since it is not
    /// sure to come where `$top` was given.
    Links,
    /// By `$skip`, since no link comes where `$top` was given.
    Skip,
}

/// So many calls in so many seconds, of one application in one tenant.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Quota {
    pub(crate) calls: u32,
    pub(crate) seconds: u32,
}

impl Family {
    /// Whether a host is called like those of the family.
    pub(crate) fn has(&self, host: &str) -> bool {
        let is_within = host == self.domain || host.strip_suffix(self.domain).is_some_and(|rest| rest.ends_with('.'));
        is_within && host.starts_with(self.prefix)
    }
}

impl Protocol {
    /// The host that is asked by default.
    pub(crate) fn host(&self, cloud: Cloud, region: Option<Region>) -> Option<&'static str> {
        let is_home = |host: &&Host| host.clouds.contains(&cloud) && host.region == region;
        self.hosts.iter().find(is_home).map(|host| host.name)
    }

    /// Whether its things are updated in place, so that one may leave the range that is being read.
    pub(crate) fn updates_in_place(&self) -> bool {
        self.odata.is_some()
    }

    /// What a token is for by default.
    pub(crate) fn audience(&self, cloud: Cloud) -> &'static str {
        self.audiences.iter().find(|(_, clouds)| clouds.contains(&cloud)).map_or("", |(audience, _)| audience)
    }

    /// Whether Microsoft names this host for the API.
    pub(crate) fn has_host(&self, host: &str) -> bool {
        self.hosts.iter().any(|known| known.name == host)
    }

    /// Whether it is at this host, for all that is known of how its hosts are called.
    pub(crate) fn serves(&self, host: &str) -> bool {
        self.has_host(host) || self.families.iter().any(|family| family.has(host))
    }

    /// What checkpoints of this API belong to, in a tenant.
    pub(crate) fn identity(name: &str, tenant_id: &str) -> String {
        format!("microsoft-defender/{name}/{tenant_id}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_protocol_has_a_host_and_an_audience_in_every_cloud() {
        for protocol in PROTOCOLS {
            for cloud in [Cloud::Commercial, Cloud::Gcc, Cloud::GccHigh, Cloud::Dod] {
                let region = (protocol.name == "siem").then_some(Region::Us);
                assert!(protocol.host(cloud, region).is_some(), "{} {cloud:?}", protocol.title);
                assert!(protocol.audience(cloud).starts_with("https://"), "{} {cloud:?}", protocol.title);
            }
        }
    }

    #[test]
    fn a_default_page_is_within_the_cap() {
        for odata in PROTOCOLS.iter().filter_map(|protocol| protocol.odata.as_ref()) {
            assert!(odata.page.0 <= odata.page.1, "{odata:?}");
        }
    }
}
