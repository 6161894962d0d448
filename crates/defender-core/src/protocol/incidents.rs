//! The incidents API of Defender XDR, for those who cannot use Microsoft Graph.
//!
//! Sources: Microsoft Learn, "List incidents API in Microsoft Defender XDR", and "Microsoft Defender XDR for US Government
//! customers".

use super::{COMMERCIAL, Family, GCC, GCC_HIGH_AND_DOD, Host, OData, Paging, Protocol, Quota, WORLDWIDE};
use crate::config::{Cloud, TokenVersion};
use crate::row::Records;

pub(crate) static XDR_INCIDENTS: Protocol = Protocol {
    name: "incidents",
    title: "the incidents API of Defender XDR",
    things: "incidents",
    endpoint: "incidents endpoint",
    no_answer: "http.not-incidents",
    kind: "incident",
    hosts: &[
        host("api.security.microsoft.com", COMMERCIAL),
        host("api-gcc.security.microsoft.us", GCC),
        host("api-gov.security.microsoft.us", GCC_HIGH_AND_DOD),
    ],
    families: &[Family { prefix: "", domain: "api.security.microsoft.com", clouds: COMMERCIAL }],
    routes: &["api/incidents"],
    audiences: &[
        ("https://api.security.microsoft.com", COMMERCIAL),
        ("https://api-gcc.security.microsoft.us", GCC),
        ("https://api-gov.security.microsoft.us", GCC_HIGH_AND_DOD),
        // What others ask for.
        ("https://security.microsoft.com/mtp", WORLDWIDE),
        ("https://security.microsoft.us/mtp", GCC_HIGH_AND_DOD),
    ],
    token_version: TokenVersion::V2,
    records: Records::Incidents,
    forbidden: (
        "the application lacks the permission Incident.Read.All, or an administrator of the tenant has not consented to it",
        "In the Entra portal open 'App registrations', the application, 'API permissions'; add Incident.Read.All of Microsoft Threat Protection as an \
         application permission, and have an administrator grant consent.",
    ),
    forbidden_though_permitted: super::FORBIDDEN_THOUGH_PERMITTED,
    refused_token: super::REFUSED_TOKEN,
    refused_request: super::REFUSED_REQUEST,
    odata: Some(OData {
        updated: "lastUpdateTime",
        created: "createdTime",
        expand: None,
        orders: false,
        paging: Paging::Skip,
        page: (100, 100),
        suspicious: 50,
        prefer: None,
        severity: &[],
        status: &[
            ("active", "Active"),
            ("inProgress", "InProgress"),
            ("resolved", "Resolved"),
            ("redirected", "Redirected"),
        ],
        service_source: &[],
    }),
    quotas: &[Quota { calls: 50, seconds: 60 }, Quota { calls: 1500, seconds: 3600 }],
    says_partial: false,
    takes_over: &[],
};

const fn host(name: &'static str, clouds: &'static [Cloud]) -> Host {
    Host { name, clouds, region: None }
}
