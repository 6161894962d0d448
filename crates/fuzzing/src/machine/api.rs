//! What the documents of each API say, apart from what the core makes of them.

/// One API as its documents have it.
#[derive(Debug)]
pub(super) struct Api {
    /// The members of a configuration that choose it.
    pub(super) members: &'static str,
    /// The origin of its endpoint.
    pub(super) origin: &'static str,
    pub(super) id: &'static str,
    pub(super) updated: &'static str,
    pub(super) created: &'static str,
    /// What `$expand` brings.
    pub(super) expand: Option<&'static str>,
    /// Whether a full page names the next one.
    pub(super) links: bool,
    /// So many calls in so many seconds.
    pub(super) quotas: &'static [(usize, u64)],
    /// A filter that it takes.
    pub(super) filter: &'static str,
}

pub(super) static SIEM: Api = Api {
    members: r#""api":"siem","region":"eu""#,
    origin: "https://wdatp-alertexporter-eu.windows.com/",
    id: "AlertId",
    updated: "LastProcessedTimeUtc",
    created: "AlertTime",
    expand: None,
    links: true,
    quotas: &[],
    filter: r#""format":"csv""#,
};

static ALERTS: Api = Api {
    members: r#""api":"alerts""#,
    origin: "https://api.security.microsoft.com/api/alerts",
    id: "id",
    updated: "lastUpdateTime",
    created: "alertCreationTime",
    expand: Some("evidence"),
    links: false,
    quotas: &[(100, 60), (1500, 3600)],
    filter: r#""severity":["high","low"]"#,
};

static GRAPH: Api = Api {
    members: r#""api":"graph""#,
    origin: "https://graph.microsoft.com/v1.0/security/alerts_v2",
    id: "id",
    updated: "lastUpdateDateTime",
    created: "createdDateTime",
    expand: None,
    links: true,
    quotas: &[(150, 60)],
    filter: r#""service_source":"microsoftDefenderForIdentity""#,
};

static INCIDENTS: Api = Api {
    members: r#""api":"incidents""#,
    origin: "https://graph.microsoft.com/v1.0/security/incidents",
    expand: Some("alerts"),
    filter: r#""status":"active""#,
    ..GRAPH
};

static XDR_INCIDENTS: Api = Api {
    members: r#""api":"incidents","endpoints":{"api":"api.security.microsoft.com"}"#,
    origin: "https://api.security.microsoft.com/api/incidents",
    id: "incidentId",
    updated: "lastUpdateTime",
    created: "createdTime",
    expand: None,
    links: false,
    quotas: &[(50, 60), (1500, 3600)],
    filter: r#""status":["active","resolved"]"#,
};

/// Each API, and whether the first version of a thing is its only event.
pub(super) static APIS: [(&Api, bool); 9] = [
    (&SIEM, false),
    (&ALERTS, false),
    (&GRAPH, false),
    (&INCIDENTS, false),
    (&XDR_INCIDENTS, false),
    (&ALERTS, true),
    (&GRAPH, true),
    (&INCIDENTS, true),
    (&XDR_INCIDENTS, true),
];

impl Api {
    /// Whether its things are updated in place.
    pub(super) fn updates(&self) -> bool {
        !std::ptr::eq(self, &SIEM)
    }
}
