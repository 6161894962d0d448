//! What an access token says of itself, for whoever has to find out why it is refused. Nothing is decided by it: a token is
//! for the service to judge.
//!
//! Sources: RFC 7519, section 4.1; Microsoft Learn, "Access token claims reference"; for the permissions "List alerts" of
//! Defender for Endpoint, "List alerts_v2" and "List incidents" of Microsoft Graph, and "List incidents" of Defender XDR.

use crate::base64;
use crate::config::{Config, is_guid};
use crate::contract::{Diagnostic, Level};
use crate::failure::quote;
use crate::json::Node;
use crate::secret::Secret;
use crate::tick::{Now, TICKS_PER_SECOND, Tick};

/// So many roles or scopes are shown; some applications have a hundred.
const SHOWN: usize = 8;

/// How far the clocks may differ before an end in the past is told, in seconds.
const SKEW: i64 = 60;

/// The claims that matter here.
#[derive(Debug, Eq, PartialEq)]
pub(crate) struct Claims {
    /// Whom it is for: a URI, or the ID of an application.
    audience: Option<String>,
    /// The directory that issued it.
    tenant: Option<String>,
    /// Permissions of an application.
    roles: Vec<String>,
    /// Permissions of a user; none in a token of an application.
    scopes: Option<Vec<String>>,
    /// When it ends, in seconds since 1970.
    expires: Option<u64>,
}

/// An API whose permissions are known.
struct Api {
    /// What its audiences have in common, in each cloud.
    host: &'static str,
    /// The application that it is, which stands in place of a URI in the tokens of some.
    id: &'static str,
    /// As 'APIs my organization uses' lists it.
    name: &'static str,
    /// The least permission of an application first, then that of a user, each with those that include it.
    permissions: fn(path: &str) -> [&'static [&'static str]; 2],
}

/// In this order: what the later ones have in common is a part of the earlier ones.
static APIS: &[Api] = &[
    Api {
        host: "securitycenter.",
        id: "fc780465-2017-40d4-a0c5-307022471b92",
        name: "WindowsDefenderATP",
        permissions: |_| [&["Alert.Read.All", "Alert.ReadWrite.All"], &["Alert.Read", "Alert.ReadWrite"]],
    },
    Api {
        host: "graph.microsoft.",
        id: "00000003-0000-0000-c000-000000000000",
        name: "Microsoft Graph",
        permissions: |path| {
            let all: &[_] = if path.contains("/incidents") {
                &["SecurityIncident.Read.All", "SecurityIncident.ReadWrite.All"]
            } else {
                &["SecurityAlert.Read.All", "SecurityAlert.ReadWrite.All"]
            };
            [all, all]
        },
    },
    Api {
        host: "security.microsoft.",
        id: "8ee8fdad-f234-4243-8f3b-15c294843740",
        name: "Microsoft Threat Protection",
        permissions: |_| [&["Incident.Read.All", "Incident.ReadWrite.All"], &["Incident.Read", "Incident.ReadWrite"]],
    },
];

/// The audience of the SIEM API. Which permission it looks for in a token is not documented.
const AZURE_AD_GRAPH: (&str, &str) = ("graph.windows.net", "00000002-0000-0000-c000-000000000000");

impl Claims {
    /// The claims of a signed token (JWT); none of any other, which is opaque. The signature is not looked at: it is the
    /// service's, and a host may keep it to itself.
    pub(crate) fn read(bearer: &Secret) -> Option<Self> {
        let mut parts = bearer.expose().split('.');
        let (_, claims, _, None) = (parts.next()?, parts.next()?, parts.next()?, parts.next()) else { return None };
        let claims = claims.replace('-', "+").replace('_', "/");
        let claims = Node::read(&base64::decode(claims.trim_end_matches('='))?).ok()?;
        if !matches!(claims, Node::Object(_)) {
            return None;
        }
        let text = |name: &str| claims.get(name).and_then(Node::as_text);
        let shown = |text: &str| quote(text, &[bearer]);
        let roles = match claims.get("roles") {
            Some(Node::List(roles)) => roles.iter().filter_map(Node::as_text).map(shown).collect(),
            _ => Vec::new(),
        };
        let expires = match claims.get("exp") {
            Some(Node::Whole(seconds)) => Some(*seconds),
            _ => None,
        };
        Some(Self {
            audience: text("aud").map(shown),
            tenant: text("tid").map(shown),
            roles,
            scopes: text("scp").map(|scopes| scopes.split_whitespace().map(shown).collect()),
            expires,
        })
    }

    /// What it is, in one sentence.
    pub(crate) fn sentence(&self, now: Now) -> String {
        let or_none = |value: &Option<String>| value.clone().unwrap_or_else(|| "nobody it names".to_owned());
        let permissions = match &self.scopes {
            Some(scopes) => format!("the user's permissions {}", listed(scopes)),
            None if self.roles.is_empty() => "no permission (`roles`)".to_owned(),
            None => format!("the permissions {}", listed(&self.roles)),
        };
        let life = match self.seconds_left(now) {
            Some(left) if left >= 0 => format!(", for another {} min", left / 60),
            Some(left) => format!(", and ended {} min ago", -left / 60),
            None => String::new(),
        };
        let (audience, tenant) = (or_none(&self.audience), or_none(&self.tenant));
        format!("The token is for {audience}, of the tenant {tenant}, with {permissions}{life}.")
    }

    /// What looks wrong with it, the likeliest cause of a refusal first.
    pub(crate) fn findings(&self, config: &Config, now: Now) -> Vec<Diagnostic> {
        let mut findings = Vec::new();
        let mut add = |code: &str, pointer: Option<&str>, message: String, hint: String| {
            let (code, pointer, hint) = (code.to_owned(), pointer.map(str::to_owned), Some(hint));
            findings.push(Diagnostic { level: Level::Warning, code, pointer, message, hint });
        };
        if let Some(left) = self.seconds_left(now).filter(|left| *left < -SKEW) {
            let message = format!("By this machine's clock the token ended {} min ago.", -left / 60);
            let hint = "Set this machine's clock; where `access_token` is written out, get a new one.";
            add("claims.expired", None, message, hint.to_owned());
        }
        if let Some(audience) = self.audience.as_deref().filter(|audience| is_for_another(audience, &config.audience)) {
            let message = format!("The token is for {audience}, and the API wants one for {}.", config.audience);
            let hint = "If `endpoints.audience` is set, leave it out; where `access_token` is written out, get one for this audience.";
            add("claims.audience", Some("/endpoints/audience"), message, hint.to_owned());
        }
        let tenant = self.tenant.as_deref().filter(|_| is_guid(&config.tenant_id));
        if let Some(tenant) = tenant.filter(|tenant| !tenant.eq_ignore_ascii_case(&config.tenant_id)) {
            let message = format!("The token is of the tenant {tenant}, and `tenant_id` is {}.", config.tenant_id);
            let hint = "Copy 'Directory (tenant) ID' from the overview of the app registration into `tenant_id`.";
            add("claims.tenant", Some("/tenant_id"), message, hint.to_owned());
        }
        if let Some((message, hint)) = self.missing(config) {
            add("claims.permission", None, message, hint);
        }
        findings
    }

    /// Whether it holds the permission that the API of this configuration asks for; none where that is not known.
    pub(crate) fn permits(&self, config: &Config) -> Option<bool> {
        let lacks = self.missing(config).is_some();
        (lacks || api_of(config).is_some()).then_some(!lacks)
    }

    /// The permission that it lacks, and where to grant it.
    fn missing(&self, config: &Config) -> Option<(String, String)> {
        let api = api_of(config);
        let [of_application, of_user] = api.map(|api| (api.permissions)(&config.api_endpoint.url)).unwrap_or_default();
        let (kind, held, wanted) = match &self.scopes {
            Some(scopes) => ("Delegated permissions", scopes, of_user),
            None => ("Application permissions", &self.roles, of_application),
        };
        let holds = |wanted: &&str| held.iter().any(|held| held == wanted);
        let Some((api, least)) = api.zip(wanted.first()) else {
            // Which one it would be is not known for this audience.
            let message = "The token holds no permission at all (neither `roles` nor `scp`).".to_owned();
            let hint = "Under 'API permissions' of the app registration, see that a permission to read alerts is listed, and \
                that 'Status' says it is granted: else 'Grant admin consent'.";
            return (held.is_empty()).then(|| (message, hint.to_owned()));
        };
        if wanted.iter().any(holds) {
            return None;
        }
        let message = format!("The token lacks the permission {least} of the API '{}'.", api.name);
        let hint = format!(
            "In the Microsoft Entra admin center open 'App registrations', the application, 'API permissions', 'Add a \
             permission', 'APIs my organization uses', '{}', '{kind}', tick {least}; then 'Grant admin consent'. A new token \
             has it after some minutes.",
            api.name
        );
        Some((message, hint))
    }

    fn seconds_left(&self, now: Now) -> Option<i64> {
        let ends = i64::try_from(self.expires?).ok()?;
        Some(ends.saturating_sub(since_1970(now.wall)))
    }
}

/// The API whose permissions count: that of the protocol, for an audience that belongs to any, since some APIs take tokens of
/// another one.
fn api_of(config: &Config) -> Option<&'static Api> {
    let api = |audience: &str| APIS.iter().find(|api| audience.contains(api.host) || audience == api.id);
    api(&config.audience)?;
    config.protocol.audiences.first().and_then(|(audience, _)| api(audience))
}

fn since_1970(time: Tick) -> i64 {
    let epoch = Tick::parse("1970-01-01T00:00:00Z").unwrap_or_default();
    (time.0 - epoch.0) / TICKS_PER_SECOND
}

/// Whether a token for this audience is of no use to an API that wants the other: an ID that is not known may be anybody's.
fn is_for_another(audience: &str, wanted: &str) -> bool {
    let id = |uri: &str| {
        let known = APIS.iter().map(|api| (api.host, api.id)).chain([AZURE_AD_GRAPH]);
        known.into_iter().find(|(host, id)| uri.contains(host) || uri == *id).map(|(_, id)| id)
    };
    let is_same = audience.trim_end_matches('/').eq_ignore_ascii_case(wanted.trim_end_matches('/'));
    if is_same || (is_guid(audience) && id(audience).is_none()) {
        return false;
    }
    id(audience).is_none() || id(audience) != id(wanted)
}

fn listed(permissions: &[String]) -> String {
    let shown = permissions.iter().take(SHOWN).map(String::as_str).collect::<Vec<_>>().join(", ");
    match permissions.len().saturating_sub(SHOWN) {
        0 => shown,
        more => format!("{shown} and {more} more"),
    }
}

#[cfg(test)]
mod tests {
    use ::base64::Engine as _;
    use ::base64::prelude::{BASE64_URL_SAFE, BASE64_URL_SAFE_NO_PAD};

    use super::*;
    use crate::protocol::{PROTOCOLS, Protocol};
    use crate::test_config::{at, config};

    const TENANT: &str = "72b0c1d2-86f1-41af-91ab-2d7cd011db00";

    fn token(claims: &str) -> Secret {
        Secret::new(format!("eyJ.{}.token-3f0c-0", BASE64_URL_SAFE_NO_PAD.encode(claims)))
    }

    fn claims(members: &str) -> Claims {
        // 2026-01-01T01:00:00Z, an hour after `at(0)`.
        Claims::read(&token(&format!(r#"{{"exp":1767229200,"tid":"{TENANT}"{members}}}"#))).unwrap()
    }

    /// Codes of what is found where the API at this path wants tokens for this audience.
    fn found(audience: &str, path: &str, members: &str) -> Vec<Diagnostic> {
        let mut config = config();
        config.tenant_id = TENANT.to_owned();
        config.audience = audience.to_owned();
        let is_meant = |protocol: &&&'static Protocol| {
            protocol.audiences.iter().any(|(known, _)| *known == audience) && protocol.routes.contains(&&path[1..])
        };
        config.protocol = PROTOCOLS.iter().find(is_meant).copied().unwrap_or(config.protocol);
        config.api_endpoint.url = format!("https://api.example{path}");
        claims(members).findings(&config, at(0))
    }

    fn codes(audience: &str, path: &str, members: &str) -> Vec<String> {
        found(audience, path, members).into_iter().map(|finding| finding.code).collect()
    }

    #[test]
    fn a_token_of_an_application_says_whose_it_is_for_whom_with_what_and_for_how_long() {
        let claims = claims(r#","aud":"https://graph.microsoft.com","roles":["A.Read","B.Read"]"#);
        assert_eq!(
            claims.sentence(at(59)),
            format!(
                "The token is for https://graph.microsoft.com, of the tenant {TENANT}, with the permissions A.Read, B.Read, for \
                 another 59 min."
            )
        );
        assert!(claims.sentence(at(3600 + 120)).ends_with("and ended 2 min ago."));
        let many: Vec<String> = (0..10).map(|n| n.to_string()).collect();
        assert_eq!(listed(&many), "0, 1, 2, 3, 4, 5, 6, 7 and 2 more");
        let none = Claims::read(&token("{}")).unwrap();
        assert_eq!(
            none.sentence(at(0)),
            "The token is for nobody it names, of the tenant nobody it names, with no permission (`roles`)."
        );
    }

    #[test]
    fn what_is_no_signed_token_is_opaque_and_padding_does_no_harm() {
        for opaque in ["", "opaque", "a.b", "a.b.c", "a.e30.c.d", "a.W10.c", "a.bnVsbA.c"] {
            assert_eq!(Claims::read(&Secret::new(opaque)), None, "{opaque}");
        }
        let padded = format!("a.{}.c", BASE64_URL_SAFE.encode(r#"{"aud":"?>~"}"#));
        assert_eq!(Claims::read(&Secret::new(padded)).unwrap().audience.as_deref(), Some("?>~"));
    }

    #[test]
    fn a_permission_that_is_missing_is_named_with_where_to_click() {
        const DEFENDER: &str = "https://api.securitycenter.microsoft.com";
        for (audience, path, name, of_application, of_user) in [
            (DEFENDER, "/api/alerts", "WindowsDefenderATP", "Alert.Read.All", "Alert.Read"),
            (
                "https://api-gov.securitycenter.microsoft.us",
                "/api/alerts",
                "WindowsDefenderATP",
                "Alert.Read.All",
                "Alert.Read",
            ),
            (
                "https://graph.microsoft.com",
                "/v1.0/security/alerts_v2",
                "Microsoft Graph",
                "SecurityAlert.Read.All",
                "SecurityAlert.Read.All",
            ),
            (
                "https://graph.microsoft.us",
                "/v1.0/security/incidents",
                "Microsoft Graph",
                "SecurityIncident.Read.All",
                "SecurityIncident.Read.All",
            ),
            // It takes the tokens of another one.
            ("https://api.security.microsoft.com", "/api/alerts", "WindowsDefenderATP", "Alert.Read.All", "Alert.Read"),
            (
                "https://api.security.microsoft.com",
                "/api/incidents",
                "Microsoft Threat Protection",
                "Incident.Read.All",
                "Incident.Read",
            ),
        ] {
            for (held, kind, wanted) in [
                (r#""roles":["Other.Read.All"]"#, "Application permissions", of_application),
                (r#""scp":"Other.Read User.Read""#, "Delegated permissions", of_user),
            ] {
                let found = found(audience, path, &format!(r#","aud":"{audience}",{held}"#));
                assert_eq!(found.len(), 1, "{found:?}");
                assert_eq!(found[0].message, format!("The token lacks the permission {wanted} of the API '{name}'."));
                let hint = found[0].hint.as_deref().unwrap();
                for word in
                    ["'API permissions'", &format!("'{name}', '{kind}', tick {wanted};"), "'Grant admin consent'"]
                {
                    assert!(hint.contains(word), "{hint}");
                }
            }
            for held in [of_application.to_owned(), of_application.replace(".Read.", ".ReadWrite.")] {
                assert!(codes(audience, path, &format!(r#","aud":"{audience}","roles":["x","{held}"]"#)).is_empty());
            }
            let of_user = format!(r#","aud":"{audience}","scp":"x {of_user}","roles":["Other"]"#);
            assert!(codes(audience, path, &of_user).is_empty(), "{of_user}");
        }
        // Of the SIEM API it is not known which permission it looks for.
        let siem = "https://graph.windows.net";
        assert_eq!(codes(siem, "/api/alerts", r#","aud":"https://graph.windows.net/""#), ["claims.permission"]);
        assert!(codes(siem, "/api/alerts", r#","aud":"https://graph.windows.net/","roles":["Anything"]"#).is_empty());
    }

    #[test]
    fn a_token_for_another_audience_or_of_another_tenant_is_told_at_its_member() {
        let roles = r#""roles":["Alert.Read.All"]"#;
        let of =
            |audience: &str, wanted: &str| codes(wanted, "/api/alerts", &format!(r#","aud":"{audience}",{roles}"#));
        let (defender, graph) = ("https://api.securitycenter.microsoft.com", "https://graph.windows.net");
        for (audience, wanted) in [
            (graph, defender),
            (defender, graph),
            ("00000002-0000-0000-c000-000000000000", defender),
            ("https://other.example", graph),
            (graph, "https://other.example"),
        ] {
            assert_eq!(of(audience, wanted), ["claims.audience"], "{audience} {wanted}");
        }
        for (audience, wanted) in [
            ("https://api.securitycenter.microsoft.com/", defender),
            ("fc780465-2017-40d4-a0c5-307022471b92", defender),
            ("00000002-0000-0000-c000-000000000000", graph),
            ("11111111-1111-4111-8111-111111111111", graph),
        ] {
            assert!(of(audience, wanted).is_empty(), "{audience} {wanted}");
        }
        let mut config = config();
        let other = claims(r#","aud":"https://graph.windows.net","roles":["x"]"#);
        assert!(other.findings(&config, at(0)).is_empty(), "a domain is not compared");
        config.tenant_id = "11111111-1111-4111-8111-111111111111".to_owned();
        let found = other.findings(&config, at(0));
        assert_eq!((found.len(), found[0].pointer.as_deref()), (1, Some("/tenant_id")), "{found:?}");
    }

    #[test]
    fn a_token_that_has_ended_by_this_clock_is_told_but_for_a_minute() {
        let claims = claims(r#","aud":"https://graph.windows.net","roles":["x"]"#);
        assert!(claims.findings(&config(), at(3660)).is_empty());
        let found = claims.findings(&config(), at(3661));
        assert_eq!(found[0].message, "By this machine's clock the token ended 1 min ago.");
    }
}
