//! The APIs of the model, as Microsoft documents them: where each is, what its members are called, and what it refuses.

/// One API.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Api {
    /// The SIEM API: detections, which never change.
    Siem,
    /// The Alerts API of Defender for Endpoint.
    Alerts,
    /// The alerts of Microsoft Graph.
    Graph,
    /// The incidents of Microsoft Graph.
    Incidents,
    /// The incidents of Defender XDR.
    Xdr,
}

/// How an API is asked whose things are updated in place.
#[derive(Debug, Eq, PartialEq)]
pub(crate) struct Facts {
    /// Where it is.
    pub(crate) url: &'static str,
    /// The members of a record: its id, when it was updated last, when it came to be, which product it is of.
    pub(crate) id: &'static str,
    pub(crate) updated: &'static str,
    pub(crate) created: &'static str,
    pub(crate) source: &'static str,
    /// The member that is there where `$expand` asks for it.
    pub(crate) expand: Option<&'static str>,
    /// The member with what belongs to a thing where nobody has to ask for it.
    pub(crate) parts: Option<&'static str>,
    /// Whether it is Microsoft Graph's: `$orderby` is asked for, further pages come as links, and 206 is told.
    pub(crate) is_graph: bool,
    /// The largest `$top`.
    pub(crate) most: usize,
    /// From how many rows on an answer below `$top` is doubted that names no further page.
    pub(crate) doubted: usize,
    /// So many calls in so many seconds.
    pub(crate) quotas: &'static [(usize, u64)],
    /// The words of `severity`, of `status` and of the product.
    pub(crate) severities: &'static [&'static str],
    pub(crate) statuses: &'static [&'static str],
    pub(crate) sources: &'static [&'static str],
    /// Which of the three a filter may name.
    pub(crate) filters: &'static [Filter],
    /// The kind of an event.
    pub(crate) kind: &'static str,
}

/// What a filter may choose by, beside the time.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Filter {
    Severity,
    Status,
    Source,
}

const SOURCES: &[&str] = &["microsoftDefenderForEndpoint", "microsoftDefenderForIdentity", "microsoftSentinel"];

static ALERTS: Facts = Facts {
    url: "https://api.security.microsoft.com/api/alerts",
    id: "id",
    updated: "lastUpdateTime",
    created: "alertCreationTime",
    source: "detectionSource",
    expand: Some("evidence"),
    parts: None,
    is_graph: false,
    most: 10_000,
    doubted: 1000,
    quotas: &[(100, 60), (1500, 3600)],
    severities: &["Informational", "Low", "Medium", "High"],
    statuses: &["New", "InProgress", "Resolved"],
    sources: &["WindowsDefenderAv", "CustomTI", "Manual"],
    filters: &[Filter::Severity, Filter::Status],
    kind: "alert",
};

static GRAPH: Facts = Facts {
    url: "https://graph.microsoft.com/v1.0/security/alerts_v2",
    id: "id",
    updated: "lastUpdateDateTime",
    created: "createdDateTime",
    source: "serviceSource",
    expand: None,
    parts: Some("evidence"),
    is_graph: true,
    most: 1000,
    doubted: 50,
    quotas: &[(150, 60)],
    severities: &["informational", "low", "medium", "high"],
    statuses: &["new", "inProgress", "resolved"],
    sources: SOURCES,
    filters: &[Filter::Severity, Filter::Status, Filter::Source],
    kind: "alert",
};

static INCIDENTS: Facts = Facts {
    url: "https://graph.microsoft.com/v1.0/security/incidents",
    id: "id",
    updated: "lastUpdateDateTime",
    created: "createdDateTime",
    source: "serviceSource",
    expand: Some("alerts"),
    parts: None,
    is_graph: true,
    most: 50,
    doubted: 50,
    quotas: &[(150, 60)],
    severities: &["informational", "low", "medium", "high"],
    statuses: &["active", "inProgress", "resolved", "redirected"],
    sources: SOURCES,
    filters: &[Filter::Severity, Filter::Status],
    kind: "incident",
};

static XDR: Facts = Facts {
    url: "https://api.security.microsoft.com/api/incidents",
    id: "incidentId",
    updated: "lastUpdateTime",
    created: "createdTime",
    source: "redirectIncidentId",
    expand: None,
    parts: Some("alerts"),
    is_graph: false,
    most: 100,
    doubted: 50,
    quotas: &[(50, 60), (1500, 3600)],
    severities: &["Informational", "Low", "Medium", "High"],
    statuses: &["Active", "InProgress", "Resolved", "Redirected"],
    sources: &["7", "8", "9"],
    filters: &[Filter::Status],
    kind: "incident",
};

impl Api {
    /// All of them.
    pub const ALL: [Self; 5] = [Self::Siem, Self::Alerts, Self::Graph, Self::Incidents, Self::Xdr];

    /// The API of a seed: every other one is of the SIEM API, and the rest are spread evenly.
    pub fn of(seed: u64) -> Self {
        match seed % 8 {
            1 => Self::Alerts,
            3 => Self::Graph,
            5 => Self::Incidents,
            7 => Self::Xdr,
            _ => Self::Siem,
        }
    }

    /// Its name, where one is given.
    pub fn name(self) -> &'static str {
        match self {
            Self::Siem => "siem",
            Self::Alerts => "alerts",
            Self::Graph => "graph",
            Self::Incidents => "incidents",
            Self::Xdr => "xdr-incidents",
        }
    }

    /// The API of this name.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|api| api.name() == name)
    }

    /// How it is asked; none of the SIEM API, which has no OData.
    pub(crate) fn facts(self) -> Option<&'static Facts> {
        match self {
            Self::Siem => None,
            Self::Alerts => Some(&ALERTS),
            Self::Graph => Some(&GRAPH),
            Self::Incidents => Some(&INCIDENTS),
            Self::Xdr => Some(&XDR),
        }
    }

    /// What a link to a further page begins with, and its number follows. It is a secret that must show up nowhere.
    pub(crate) fn skip_token(self) -> String {
        let url = self.facts().map_or("https://wdatp-alertexporter-eu.windows.com/api/alerts", |facts| facts.url);
        format!("{url}?$skiptoken=kanarie-page-")
    }
}
