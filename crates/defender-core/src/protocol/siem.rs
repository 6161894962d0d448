//! The SIEM API of Defender for Endpoint, which answers with detections that never change.
//!
//! Sources: Microsoft Learn, "Pull Microsoft Defender for Endpoint detections using SIEM REST API" (both families of host
//! names, the audience), and the US Government page of 2021.

use super::{COMMERCIAL, Family, GCC, GCC_HIGH_AND_DOD, Host, Protocol, US_GOVERNMENT};
use crate::config::{Cloud, Region, TokenVersion};
use crate::row::Records;

const FORBIDDEN: (&str, &str) = (
    "one of the tenant's domains is not managed by its administrator, the tenant's state is deleted, or the application \
         lacks the permission to read alerts",
    "Have an administrator enable SIEM integration, grant the application its permission, and check the state of the \
         tenant and its domains.",
);

pub(crate) static SIEM: Protocol = Protocol {
    name: "siem",
    title: "the SIEM API",
    things: "detections",
    endpoint: "detections endpoint",
    no_answer: "http.not-detections",
    kind: "detection",
    hosts: &[
        host("wdatp-alertexporter-us.windows.com", COMMERCIAL, Region::Us),
        host("wdatp-alertexporter-eu.windows.com", COMMERCIAL, Region::Eu),
        host("wdatp-alertexporter-uk.windows.com", COMMERCIAL, Region::Uk),
        host("wdatp-alertexporter-us.gcc.securitycenter.windows.us", GCC, Region::Us),
        host("wdatp-alertexporter-us.securitycenter.windows.us", GCC_HIGH_AND_DOD, Region::Us),
        host("wdatp-alertexporter-us.securitycenter.windows.com", COMMERCIAL, Region::Us),
        host("wdatp-alertexporter-eu.securitycenter.windows.com", COMMERCIAL, Region::Eu),
        host("wdatp-alertexporter-uk.securitycenter.windows.com", COMMERCIAL, Region::Uk),
    ],
    families: &[
        Family { prefix: "", domain: "windows.us", clouds: US_GOVERNMENT },
        Family { prefix: "wdatp-alertexporter-", domain: "windows.com", clouds: COMMERCIAL },
    ],
    routes: &["api/alerts", "api/alert"],
    // The second is what the audience was called until April 2018.
    audiences: &[
        ("https://graph.windows.net", &[Cloud::Commercial, Cloud::Gcc, Cloud::GccHigh, Cloud::Dod]),
        ("https://WDATPAlertExport.Seville.onmicrosoft.com", &[]),
    ],
    token_version: TokenVersion::V1,
    records: Records::Detections,
    forbidden: FORBIDDEN,
    // Which permission it looks for is not documented.
    forbidden_though_permitted: FORBIDDEN,
    refused_token: "Check that the tenant's data lives in the region of this host and that the audience is the one of the \
        SIEM API; then check limits, groups and tags of the configuration.",
    refused_request: "Check limits, groups and tags of the configuration, and whether a proxy stands in between.",
    odata: None,
    quotas: &[],
    says_partial: false,
    takes_over: &[],
};

const fn host(name: &'static str, clouds: &'static [Cloud], region: Region) -> Host {
    Host { name, clouds, region: Some(region) }
}
