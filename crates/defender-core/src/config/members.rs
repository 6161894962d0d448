//! Every member of the configuration, once: the reader obeys these tables, and the JSON Schema is printed from them.

use super::duration::{DAY, MINUTE};
use super::{Cloud, Emit, Expand, Format, Region, TokenVersion};
use crate::tick::{TICKS_PER_SECOND, Ticks};

/// One member of an object.
pub(super) struct Member {
    /// Its name.
    pub(super) name: &'static str,
    /// What it may hold.
    pub(super) kind: Kind,
    /// Whether it must, may, or may not always be there.
    pub(super) need: Need,
    /// The values of `api` that it belongs to; none where it belongs to all.
    pub(super) apis: &'static [&'static str],
    /// The value where it is left out, as it would be written.
    pub(super) default: Option<&'static str>,
    /// A value that is right, as it would be written.
    pub(super) example: &'static str,
    /// What it means, in sentences. Outside tests only where a message says it, see [`member`].
    pub(super) about: &'static str,
}

/// What a member may hold.
pub(super) enum Kind {
    /// A GUID or a domain name.
    Tenant,
    /// A GUID.
    Guid,
    /// A text that is never shown.
    Secret,
    /// One of a few words.
    Choice(&'static [&'static str]),
    /// A full URL.
    Url,
    /// A host, an origin or a full URL.
    Location,
    /// A URI or a GUID that is only compared, never fetched.
    Audience,
    /// `now`, a duration or a time.
    Start,
    /// A duration of a sane length.
    Duration(Bounds),
    /// A duration that is sent as it was written.
    Ago,
    /// A time.
    Time,
    /// A whole number from 1 to [`MAX_LIMIT`].
    Limit,
    /// A text or a list of texts.
    Texts,
    /// One of a few words or a list of them, which the protocols list.
    Words,
    /// An object of these members.
    Object(&'static [Member]),
}

/// When a member is there.
#[derive(Clone, Copy, Eq, PartialEq)]
pub(super) enum Need {
    /// Always.
    Required,
    /// If one likes.
    Optional,
    /// If one likes, though never together with `request`.
    WithoutRequest,
}

/// The least and the greatest length of a duration, and why.
pub(super) struct Bounds {
    pub(super) least: Ticks,
    pub(super) why_least: &'static str,
    pub(super) most: Ticks,
    pub(super) why_most: &'static str,
}

/// The most rows that may be asked for in one answer: far above what one answer was ever seen to hold.
pub(super) const MAX_LIMIT: u32 = 1_000_000;

/// The longest time to look back: longer than the service exists or keeps anything.
pub(super) const MAX_AGO: Ticks = 3650 * DAY;

/// The values of `api`.
pub(super) const APIS: &[&str] = &["siem", "alerts", "graph", "incidents"];

/// The APIs whose things are updated in place.
const OF_UPDATES: &[&str] = &["alerts", "graph", "incidents"];

const fn member(name: &'static str, kind: Kind, need: Need, about: &'static str) -> Member {
    // The other ones only the schema shows, so they need no place in the component.
    let is_told = cfg!(test) || matches!(need, Need::Required) || matches!(kind, Kind::Choice(_));
    Member { name, kind, need, apis: &[], default: None, example: "", about: if is_told { about } else { "" } }
}

impl Member {
    const fn default(self, default: &'static str) -> Self {
        Self { default: Some(default), example: default, ..self }
    }

    const fn example(self, example: &'static str) -> Self {
        Self { example, ..self }
    }

    const fn of(self, apis: &'static [&'static str]) -> Self {
        Self { apis, ..self }
    }
}

/// The configuration itself.
pub(super) static MEMBERS: &[Member] = &[
    member(
        "tenant_id",
        Kind::Tenant,
        Need::Required,
        "The directory (tenant) whose data is read: its GUID, or one of its verified domain names.",
    )
    .example("5b5cf0ab-6c4e-4f8a-9d0a-0f2b3c4d5e6f"),
    member("client_id", Kind::Guid, Need::Required, "The application (client) ID that the tenant registered: a GUID.")
        .example("0c8d1f72-91ab-4c3d-8e5f-6a7b8c9d0e1f"),
    member(
        "client_secret",
        Kind::Secret,
        Need::Optional,
        "The value of a client secret of that application, or a placeholder that the host replaces. One credential is \
         required: this, or one of the five that follow.",
    )
    .example("placeholder-of-the-host"),
    member(
        "certificate",
        Kind::Secret,
        Need::Optional,
        "A placeholder that the host replaces by an assertion, signed with the key of the application's certificate for \
         each token request. Never the certificate or its key.",
    )
    .example("placeholder-of-the-host"),
    member(
        "federated_token",
        Kind::Secret,
        Need::Optional,
        "A placeholder that the host replaces by the token of another issuer that the application trusts (workload \
         identity federation), or such a token.",
    )
    .example("placeholder-of-the-host"),
    member(
        "client_assertion",
        Kind::Secret,
        Need::Optional,
        "A signed assertion (JWT) that proves the application, or a placeholder that the host replaces.",
    )
    .example("placeholder-of-the-host"),
    member(
        "refresh_token",
        Kind::Secret,
        Need::Optional,
        "A placeholder that the host replaces by the refresh token of a user who logged in, and whose rotation it stores; or \
         such a token, which is never replaced then. An application that is no public client needs one of the members above \
         beside it.",
    )
    .example("placeholder-of-the-host"),
    member(
        "access_token",
        Kind::Secret,
        Need::Optional,
        "An access token for the API, sent as it is: no other is asked for. One that is written out ends the source when it expires.",
    )
    .example("header.claims.signature"),
    member(
        "api",
        Kind::Choice(APIS),
        Need::Required,
        "Which API is read: siem, the SIEM (detections) API, which Microsoft is retiring; alerts, the Alerts API of Defender \
         for Endpoint; graph, the alerts of Microsoft Graph; incidents, those of Microsoft Graph or, where endpoints.api names \
         it, of Defender XDR. It is never guessed.",
    )
    .example("siem"),
    member(
        "region",
        Kind::Choice(Region::NAMES),
        Need::Optional,
        "The region that holds the tenant's data. The SIEM API is in us, eu and uk, and needs it in the commercial cloud \
         unless endpoints.api names the host; it is never guessed. With the Alerts API it picks a host nearby.",
    )
    .example("us")
    .of(&["siem", "alerts"]),
    member(
        "cloud",
        Kind::Choice(Cloud::NAMES),
        Need::Optional,
        "The cloud that the tenant lives in. The hosts for tokens and for the API follow from it.",
    )
    .default("commercial"),
    member(
        "token_version",
        Kind::Choice(TokenVersion::NAMES),
        Need::Optional,
        "The token endpoint: v1 sends resource, as Microsoft's page for the SIEM API does, and is the default there; v2 sends \
         scope, and is the default for the others.",
    )
    .example("v2"),
    member("endpoints", Kind::Object(ENDPOINTS), Need::Optional, "Other endpoints than those of the cloud and the region."),
    member(
        "start",
        Kind::Start,
        Need::WithoutRequest,
        "Where the very first poll begins: now, so long before it, or at a time. A time without a zone is UTC.",
    )
    .default("PT2H"),
    member(
        "overlap",
        Kind::Duration(Bounds {
            least: 0,
            why_least: "",
            most: 30 * DAY,
            why_most: "every poll reads all of it again",
        }),
        Need::WithoutRequest,
        "How late a detection may show up and still be found: so much of the past is read again by every poll.",
    )
    .default("PT1H"),
    member(
        "settle",
        Kind::Duration(Bounds {
            least: 0,
            why_least: "",
            most: DAY,
            why_most: "every detection is held back for that long",
        }),
        Need::WithoutRequest,
        "How much of the most recent past is left for the next poll, since the service is still filling it.",
    )
    .default("PT1M"),
    member(
        "slice",
        Kind::Duration(Bounds {
            least: MINUTE,
            why_least: "shorter slices would need thousands of requests for a day; the source shortens a slice by itself \
                        where an answer is too large",
            most: 30 * DAY,
            why_most: "one answer would have to hold everything",
        }),
        Need::WithoutRequest,
        "The longest range of time that one request asks for.",
    )
    .default("PT1H"),
    member(
        "poll_interval",
        Kind::Duration(Bounds {
            least: TICKS_PER_SECOND,
            why_least: "Microsoft allows its Defender APIs about 100 calls a minute",
            most: DAY,
            why_most: "detections would wait for longer than that",
        }),
        Need::WithoutRequest,
        "The wait between a poll that caught up and the next one.",
    )
    .default("PT5M"),
    member(
        "limit",
        Kind::Limit,
        Need::WithoutRequest,
        "The most records that one answer may hold. An answer that reaches it is asked for again in shorter slices, so that \
         nothing is lost. Not sent by default with the SIEM API; $top of the others, 1000 for alerts, 100 for graph and the \
         most that is allowed, 50 or 100, for incidents.",
    )
    .example("50"),
    member(
        "emit",
        Kind::Choice(Emit::NAMES),
        Need::Optional,
        "Which versions of an alert or incident are events: every-update, each one that is met; first-seen, the first one.",
    )
    .default("every-update")
    .of(OF_UPDATES),
    member(
        "expand",
        Kind::Choice(Expand::NAMES),
        Need::Optional,
        "Whether alerts come with their evidence, or incidents with their alerts: on; or off, where the service fails over \
         them or they are not needed.",
    )
    .default("on")
    .of(&["alerts", "incidents"]),
    member(
        "severity",
        Kind::Words,
        Need::Optional,
        "Only what has one of these severities; by default all.",
    )
    .example("high")
    .of(OF_UPDATES),
    member(
        "status",
        Kind::Words,
        Need::Optional,
        "Only what has one of these states while it is read; by default all. What leaves them is not told of.",
    )
    .example("resolved")
    .of(OF_UPDATES),
    member(
        "service_source",
        Kind::Words,
        Need::Optional,
        "Only alerts of these products; by default of all.",
    )
    .example("microsoftDefenderForEndpoint")
    .of(&["graph"]),
    texts(
        "machinegroups",
        Need::WithoutRequest,
        "Only detections on devices of these device groups; by default of all groups.",
        "UKMachines",
    ),
    texts(
        "device_created_machine_tags",
        Need::WithoutRequest,
        "Only detections on devices with such a tag set in their own registry; by default on all devices.",
        "finance",
    ),
    texts(
        "cloud_created_machine_tags",
        Need::WithoutRequest,
        "Only detections on devices with such a tag set in the portal; by default on all devices.",
        "tier-0",
    ),
    member(
        "request",
        Kind::Object(REQUEST),
        Need::Optional,
        "One single request as the SIEM API documents it, in place of a running source: no cursor, no overlap, and then the end.",
    )
    .of(&["siem"]),
    member(
        "format",
        Kind::Choice(Format::NAMES),
        Need::Optional,
        "What an event's body holds: raw, the bytes that the service sent; csv, one CSV row, with the SIEM API alone.",
    )
    .default("raw"),
];

/// The member `endpoints`.
pub(super) static ENDPOINTS: &[Member] = &[
    member(
        "token",
        Kind::Url,
        Need::Optional,
        "The token endpoint as a full URL; http:// only to a loopback address. By default that of the cloud and the tenant.",
    )
    .example("https://login.microsoftonline.com/5b5cf0ab-6c4e-4f8a-9d0a-0f2b3c4d5e6f/oauth2/token"),
    member(
        "api",
        Kind::Location,
        Need::Optional,
        "Where the API is: a host, an origin, or a full URL with the path of the API at its end; http:// only to a loopback \
         address. By default the host of the cloud and the region.",
    )
    .example("https://wdatp-alertexporter-us.windows.com/api/alerts"),
    member(
        "audience",
        Kind::Audience,
        Need::Optional,
        "What the token is for: sent as resource, or as scope with /.default behind it. By default that of the API and the \
         cloud.",
    )
    .example("https://graph.windows.net"),
];

/// The member `request`, with the API's own names. Source: the parameter table on Microsoft's page.
pub(super) static REQUEST: &[Member] = &[
    member(
        "sinceTimeUtc",
        Kind::Time,
        Need::Optional,
        "Only detections that became visible from this time on. Without it and ago, the service takes the last two hours.",
    )
    .example("2020-09-12T00:00:00Z"),
    member(
        "untilTimeUtc",
        Kind::Time,
        Need::Optional,
        "Only detections that became visible up to this time. Without it, the service takes the present.",
    )
    .example("2020-09-13T00:00:00Z"),
    member("ago", Kind::Ago, Need::Optional, "The range from so long ago up to now; excludes both times.").example("PT10M"),
    member(
        "limit",
        Kind::Limit,
        Need::Optional,
        "The newest so many: where there are more, the service leaves the older ones out.",
    )
    .example("20"),
    texts(
        "machinegroups",
        Need::Optional,
        "Only detections on devices of these device groups; by default of all groups.",
        "UKMachines",
    ),
    texts(
        "DeviceCreatedMachineTags",
        Need::Optional,
        "Only detections on devices with such a tag set in their own registry; by default on all devices.",
        "finance",
    ),
    texts(
        "CloudCreatedMachineTags",
        Need::Optional,
        "Only detections on devices with such a tag set in the portal; by default on all devices.",
        "tier-0",
    ),
];

const fn texts(name: &'static str, need: Need, about: &'static str, example: &'static str) -> Member {
    member(name, Kind::Texts, need, about).example(example).of(&["siem"])
}

/// Members that would choose a flow, and whether their values are secret. The password grant hands a user's password to this
/// program and fails where more than it is asked for; the implicit grant puts tokens into URLs and has no refresh token.
/// Microsoft's page rules both out for this API, and OAuth 2.0 dropped them since. Source: RFC 9700, sections 2.1.2 and 2.4.
pub(super) static OF_REFUSED_FLOWS: &[(&str, bool)] =
    &[("grant_type", false), ("password", true), ("response_type", false), ("username", false)];

/// What is said of them.
pub(super) const REFUSED_FLOW: (&str, &str) = (
    "chooses a flow, and there are two, which the credentials choose: client credentials and authorization code; the password \
     grant and the implicit grant are not supported",
    "Take it out. For client credentials give `client_secret`, `certificate` or `federated_token`; for the authorization code \
     of a user, or a device code, log in once with `source-host login`, which keeps the `refresh_token`.",
);

/// The member of this name.
pub(super) fn find(table: &'static [Member], name: &str) -> Option<&'static Member> {
    table.iter().find(|member| member.name == name)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::PROTOCOLS;

    #[test]
    fn every_member_is_described_and_shown() {
        for member in [MEMBERS, ENDPOINTS, REQUEST].into_iter().flatten() {
            assert!(member.about.ends_with('.'), "{}", member.name);
            assert_eq!(member.example.is_empty(), matches!(member.kind, Kind::Object(_)), "{}", member.name);
        }
    }

    #[test]
    fn no_member_is_both_known_and_of_a_refused_flow() {
        for (name, _) in OF_REFUSED_FLOWS {
            assert!(find(MEMBERS, name).is_none(), "{name}");
        }
    }

    #[test]
    fn every_protocol_has_a_word_of_api() {
        assert!(APIS.iter().all(|api| PROTOCOLS.iter().any(|protocol| protocol.name == *api)));
        assert!(PROTOCOLS.iter().all(|protocol| APIS.contains(&protocol.name)));
    }
}
