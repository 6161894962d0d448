//! The security API of Microsoft Graph: alerts of every Defender product, and the incidents that they belong to.
//!
//! Sources: Microsoft Learn, "List alerts_v2", "List incidents", "alert resource type" and "incident resource type" of the
//! security API, "National cloud deployments", "Microsoft Graph service-specific throttling limits", and "Microsoft Graph
//! security API error responses" for the largest `$top`.

use super::{DOD, GCC_HIGH, Host, OData, Paging, Protocol, Quota, WORLDWIDE, Words};
use crate::config::{Cloud, TokenVersion};
use crate::row::Records;

/// Members of an enumeration that came after its first publication are told by their names alone if this is asked for.
const PREFER: Option<&str> = Some("include-unknown-enum-members");

const HOSTS: &[Host] = &[
    host("graph.microsoft.com", WORLDWIDE),
    host("graph.microsoft.us", GCC_HIGH),
    host("dod-graph.microsoft.us", DOD),
];

const AUDIENCES: &[(&str, &[Cloud])] = &[
    ("https://graph.microsoft.com", WORLDWIDE),
    ("https://graph.microsoft.us", GCC_HIGH),
    ("https://dod-graph.microsoft.us", DOD),
];

const SEVERITY: Words = &[
    ("unknown", "unknown"),
    ("informational", "informational"),
    ("low", "low"),
    ("medium", "medium"),
    ("high", "high"),
];

pub(crate) static GRAPH_ALERTS: Protocol = Protocol {
    name: "graph",
    title: "the alerts API of Microsoft Graph",
    things: "alerts",
    endpoint: "alerts endpoint",
    no_answer: "http.not-alerts",
    kind: "alert",
    hosts: HOSTS,
    families: &[],
    routes: &["v1.0/security/alerts_v2"],
    audiences: AUDIENCES,
    token_version: TokenVersion::V2,
    records: Records::Graph,
    forbidden: (
        "the application lacks the permission SecurityAlert.Read.All, or an administrator of the tenant has not consented to it",
        "In the Entra portal open 'App registrations', the application, 'API permissions'; add SecurityAlert.Read.All of Microsoft Graph as an \
         application permission, and have an administrator grant consent.",
    ),
    forbidden_though_permitted: super::FORBIDDEN_THOUGH_PERMITTED,
    refused_token: super::REFUSED_TOKEN,
    refused_request: super::REFUSED_REQUEST,
    odata: Some(OData {
        updated: "lastUpdateDateTime",
        created: "createdDateTime",
        expand: None,
        orders: true,
        paging: Paging::Links,
        page: (100, 1000),
        suspicious: 50,
        prefer: PREFER,
        severity: SEVERITY,
        status: &[("unknown", "unknown"), ("new", "new"), ("inProgress", "inProgress"), ("resolved", "resolved")],
        service_source: &[
            ("microsoftDefenderForEndpoint", "microsoftDefenderForEndpoint"),
            ("microsoftDefenderForIdentity", "microsoftDefenderForIdentity"),
            ("microsoftDefenderForCloudApps", "microsoftDefenderForCloudApps"),
            ("microsoftDefenderForOffice365", "microsoftDefenderForOffice365"),
            ("microsoft365Defender", "microsoft365Defender"),
            ("azureAdIdentityProtection", "azureAdIdentityProtection"),
            ("microsoftAppGovernance", "microsoftAppGovernance"),
            ("dataLossPrevention", "dataLossPrevention"),
            ("microsoftDefenderForCloud", "microsoftDefenderForCloud"),
            ("microsoftSentinel", "microsoftSentinel"),
            ("microsoftInsiderRiskManagement", "microsoftInsiderRiskManagement"),
            ("microsoftThreatIntelligence", "microsoftThreatIntelligence"),
            ("microsoftSecurityForAI", "microsoftSecurityForAI"),
        ],
    }),
    quotas: &[Quota { calls: 150, seconds: 60 }],
    says_partial: true,
    takes_over: &["siem"],
};

pub(crate) static GRAPH_INCIDENTS: Protocol = Protocol {
    name: "incidents",
    title: "the incidents API of Microsoft Graph",
    things: "incidents",
    endpoint: "incidents endpoint",
    no_answer: "http.not-incidents",
    kind: "incident",
    hosts: HOSTS,
    families: &[],
    routes: &["v1.0/security/incidents"],
    audiences: AUDIENCES,
    token_version: TokenVersion::V2,
    records: Records::Graph,
    forbidden: (
        "the application lacks the permission SecurityIncident.Read.All, or an administrator of the tenant has not consented to it",
        "In the Entra portal open 'App registrations', the application, 'API permissions'; add SecurityIncident.Read.All of Microsoft Graph as an \
         application permission, and have an administrator grant consent.",
    ),
    forbidden_though_permitted: super::FORBIDDEN_THOUGH_PERMITTED,
    refused_token: super::REFUSED_TOKEN,
    refused_request: super::REFUSED_REQUEST,
    odata: Some(OData {
        updated: "lastUpdateDateTime",
        created: "createdDateTime",
        expand: Some("alerts"),
        orders: true,
        paging: Paging::Links,
        page: (50, 50),
        suspicious: 50,
        prefer: PREFER,
        severity: SEVERITY,
        status: &[
            ("active", "active"),
            ("inProgress", "inProgress"),
            ("resolved", "resolved"),
            ("redirected", "redirected"),
            ("awaitingAction", "awaitingAction"),
        ],
        service_source: &[],
    }),
    quotas: &[Quota { calls: 150, seconds: 60 }],
    says_partial: true,
    takes_over: &[],
};

const fn host(name: &'static str, clouds: &'static [Cloud]) -> Host {
    Host { name, clouds, region: None }
}
