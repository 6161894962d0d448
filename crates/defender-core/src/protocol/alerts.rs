//! The Alerts API of Defender for Endpoint.
//!
//! Sources: Microsoft Learn, "List alerts API", "Alert resource type", "Supported Microsoft Defender for Endpoint APIs"
//! (the geographic hosts), and "Microsoft Defender for Endpoint for US Government customers".

use super::{COMMERCIAL, Family, GCC, GCC_HIGH_AND_DOD, Host, OData, Paging, Protocol, Quota, WORLDWIDE, Words};
use crate::config::{Cloud, Region, TokenVersion};
use crate::row::Records;

pub(crate) static ALERTS: Protocol = Protocol {
    name: "alerts",
    title: "the Alerts API of Defender for Endpoint",
    things: "alerts",
    endpoint: "alerts endpoint",
    no_answer: "http.not-alerts",
    kind: "alert",
    hosts: &[
        host("api.security.microsoft.com", COMMERCIAL, None),
        host("us.api.security.microsoft.com", COMMERCIAL, Some(Region::Us)),
        host("eu.api.security.microsoft.com", COMMERCIAL, Some(Region::Eu)),
        host("uk.api.security.microsoft.com", COMMERCIAL, Some(Region::Uk)),
        host("au.api.security.microsoft.com", COMMERCIAL, Some(Region::Au)),
        host("swa.api.security.microsoft.com", COMMERCIAL, Some(Region::Swa)),
        host("ina.api.security.microsoft.com", COMMERCIAL, Some(Region::Ina)),
        host("aea.api.security.microsoft.com", COMMERCIAL, Some(Region::Aea)),
        host("api-gcc.securitycenter.microsoft.us", GCC, None),
        host("api-gov.securitycenter.microsoft.us", GCC_HIGH_AND_DOD, None),
        // What they were called before.
        host("api.securitycenter.microsoft.com", COMMERCIAL, None),
        host("api-us.securitycenter.microsoft.com", COMMERCIAL, Some(Region::Us)),
        host("api-eu.securitycenter.microsoft.com", COMMERCIAL, Some(Region::Eu)),
        host("api-uk.securitycenter.microsoft.com", COMMERCIAL, Some(Region::Uk)),
        host("api.securitycenter.windows.com", COMMERCIAL, None),
    ],
    families: &[
        Family { prefix: "", domain: "api.security.microsoft.com", clouds: COMMERCIAL },
        Family { prefix: "api-", domain: "securitycenter.microsoft.com", clouds: COMMERCIAL },
    ],
    routes: &["api/alerts", "api/v1.0/alerts"],
    audiences: &[
        ("https://api.securitycenter.microsoft.com", &[Cloud::Commercial]),
        ("https://api-gcc.securitycenter.microsoft.us", GCC),
        ("https://api-gov.securitycenter.microsoft.us", GCC_HIGH_AND_DOD),
        // What it was called before, and what others ask for.
        ("https://api.securitycenter.windows.com", COMMERCIAL),
        ("https://api.security.microsoft.com", COMMERCIAL),
        ("https://securitycenter.onmicrosoft.com/windowsatpservice", WORLDWIDE),
        ("https://securitycenter.onmicrosoft.us/windowsatpservice", GCC_HIGH_AND_DOD),
    ],
    token_version: TokenVersion::V2,
    records: Records::Alerts,
    forbidden: (
        "the application lacks the permission Alert.Read.All, or an administrator of the tenant has not consented to it",
        "In the Entra portal open 'App registrations', the application, 'API permissions'; add Alert.Read.All of WindowsDefenderATP as an \
         application permission, and have an administrator grant consent.",
    ),
    forbidden_though_permitted: super::FORBIDDEN_THOUGH_PERMITTED,
    refused_token: super::REFUSED_TOKEN,
    refused_request: super::REFUSED_REQUEST,
    odata: Some(OData {
        updated: "lastUpdateTime",
        created: "alertCreationTime",
        expand: Some("evidence"),
        orders: false,
        paging: Paging::Skip,
        page: (1000, 10_000),
        suspicious: 1000,
        prefer: None,
        severity: SEVERITY,
        status: &[("new", "New"), ("inProgress", "InProgress"), ("resolved", "Resolved")],
        service_source: &[],
    }),
    quotas: &[Quota { calls: 100, seconds: 60 }, Quota { calls: 1500, seconds: 3600 }],
    says_partial: false,
    takes_over: &["siem"],
};

const SEVERITY: Words = &[("informational", "Informational"), ("low", "Low"), ("medium", "Medium"), ("high", "High")];

const fn host(name: &'static str, clouds: &'static [Cloud], region: Option<Region>) -> Host {
    Host { name, clouds, region }
}
