//! What a configuration means, worked out without I/O: whom the source talks to, with which secret, and what an operator
//! should know before the first poll.

use crate::config::duration::{Iso, MINUTE};
use crate::config::{
    Config, Filters, Node, OLD_SIEM_AUDIENCE, SIEM_AUDIENCE, SingleRequest, Start, is_guid, is_known_api_host,
    is_known_login_host,
};
use crate::contract::{AccessPlan, Diagnostic, Level, Origin, SecretUse};

/// An overlap below this is said to be short: detections are seen to be processed minutes after they happened.
const SHORT_OVERLAP: i64 = 15 * MINUTE;

/// From so many requests on, the cost of reading the overlap again at every poll is told.
const MANY_REQUESTS: i64 = 50;

impl Config {
    /// The origins, the use of the secret, the identity, the configuration with its defaults, and the notes. The codes
    /// of the notes begin with `plan.`.
    pub fn plan(&self) -> AccessPlan {
        let origin = |endpoint: &crate::config::Endpoint, purpose| Origin {
            scheme: endpoint.scheme.clone(),
            host: endpoint.host.clone(),
            port: endpoint.port,
            purpose,
        };
        AccessPlan {
            origins: vec![origin(&self.token_endpoint, "token"), origin(&self.api_endpoint, "api")],
            secrets: vec![SecretUse {
                pointer: "/client_secret",
                origin: 0,
                form_field: "client_secret",
                captures: vec!["access_token"],
                bearer_at: vec![1],
            }],
            identity: self.identity(),
            accepts: Vec::new(),
            effective_config: self.effective(),
            notes: self.notes(),
        }
    }

    /// The configuration with every default written out and without its secret. With the secret put back it reads as
    /// the same configuration.
    fn effective(&self) -> String {
        let mut members = vec![
            ("tenant_id", Node::text(&self.tenant_id)),
            ("client_id", Node::text(&self.client_id)),
            ("api", Node::text("siem")),
            ("cloud", Node::text(self.cloud.name())),
        ];
        members.extend(self.region.map(|region| ("region", Node::text(region.name()))));
        members.push(("token_version", Node::text(self.token_version.name())));
        let endpoints = vec![
            ("token", Node::text(&self.token_endpoint.url)),
            ("api", Node::text(&self.api_endpoint.url)),
            ("audience", Node::text(&self.audience)),
        ];
        members.push(("endpoints", object(endpoints)));
        if let Some(request) = &self.request {
            members.push(("request", single_request(request)));
        } else {
            let start = match self.start {
                Start::Now => "now".to_owned(),
                Start::Ago(ticks) => Iso(ticks).to_string(),
                Start::At(time) => time.to_string(),
            };
            members.push(("start", Node::Text(start)));
            let durations = [
                ("overlap", self.overlap),
                ("settle", self.settle),
                ("slice", self.slice),
                ("poll_interval", self.poll_interval),
            ];
            members.extend(durations.map(|(name, ticks)| (name, Node::Text(Iso(ticks).to_string()))));
            members.extend(self.limit.map(|limit| ("limit", Node::Whole(u64::from(limit)))));
            let names = ["machinegroups", "device_created_machine_tags", "cloud_created_machine_tags"];
            members.extend(filters(&self.filters, names));
        }
        members.push(("format", Node::text(self.format.name())));
        let mut text = String::new();
        object(members).print(0, &mut text);
        text
    }

    fn notes(&self) -> Vec<Diagnostic> {
        let mut notes = vec![note(
            Level::Warning,
            "plan.siem-deprecated",
            "/api",
            "Microsoft deprecated the SIEM API on 31 December 2023 and may turn it off without notice.",
            "Plan the move to its successor, the Microsoft Graph security API (alerts_v2).",
        )];
        self.note_credentials(&mut notes);
        self.note_endpoints(&mut notes);
        match &self.request {
            Some(request) => note_request(request, &mut notes),
            None => self.note_running(&mut notes),
        }
        notes
    }

    fn note_credentials(&self, notes: &mut Vec<Diagnostic>) {
        if is_guid(self.client_secret.expose()) {
            notes.push(note(
                Level::Warning,
                "plan.client-secret-is-an-id",
                "/client_secret",
                "`client_secret` looks like a GUID, as the ID of a secret does; its value does not.",
                "Copy the column Value of the secret. It is shown only once: make a new secret if it is gone.",
            ));
        }
        if self.client_id == self.tenant_id {
            notes.push(note(
                Level::Warning,
                "plan.client-is-tenant",
                "/client_id",
                "`client_id` and `tenant_id` are the same value.",
                "Copy the application (client) ID and the directory (tenant) ID anew; they differ.",
            ));
        }
    }

    fn note_endpoints(&self, notes: &mut Vec<Diagnostic>) {
        let token = &self.token_endpoint.host;
        if !is_known_login_host(token) {
            notes.push(note(
                Level::Warning,
                "plan.token-host",
                "/endpoints/token",
                format!("The client secret is sent to {token}, which is not a sign-in host of Microsoft."),
                "Make sure that this host is yours, or leave `endpoints.token` out.",
            ));
        }
        let api = &self.api_endpoint.host;
        if !is_known_api_host(api) {
            notes.push(note(
                Level::Warning,
                "plan.api-host",
                "/endpoints/api",
                format!(
                    "The access token is sent to {api}, which is not a host that Microsoft names for the SIEM API."
                ),
                "Make sure that this host is yours, or leave `endpoints.api` out.",
            ));
        }
        if ![SIEM_AUDIENCE, OLD_SIEM_AUDIENCE].contains(&self.audience.trim_end_matches('/')) {
            notes.push(note(
                Level::Warning,
                "plan.audience",
                "/endpoints/audience",
                "The token is asked for an audience that Microsoft does not name for the SIEM API, which may refuse it.",
                format!("Leave `endpoints.audience` out for {SIEM_AUDIENCE}."),
            ));
        }
    }

    fn note_running(&self, notes: &mut Vec<Diagnostic>) {
        if self.start == Start::Now {
            notes.push(note(
                Level::Note,
                "plan.start-now",
                "/start",
                "`start` is now: nothing that became visible before the first poll is read.",
                "Write a duration such as PT2H, or a time, to begin in the past.",
            ));
        }
        if self.overlap < SHORT_OVERLAP {
            notes.push(note(
                Level::Warning,
                "plan.short-overlap",
                "/overlap",
                format!("`overlap` is {}: a detection that shows up later than that is lost.", Iso(self.overlap)),
                format!("Write {} or more; the default is PT1H.", Iso(SHORT_OVERLAP)),
            ));
        }
        // `slice` is a minute at the least.
        let requests = self.overlap / self.slice.max(1);
        if requests >= MANY_REQUESTS {
            notes.push(note(
                Level::Warning,
                "plan.many-requests",
                "/slice",
                format!("Every poll reads the overlap again, in about {requests} requests."),
                "Make `slice` longer or `overlap` shorter: Microsoft allows its Defender APIs about 100 calls a minute.",
            ));
        }
        if self.limit.is_some() {
            notes.push(note(
                Level::Note,
                "plan.limit",
                "/limit",
                "`limit` caps one answer, and no more: what an answer left out is asked for again, in shorter slices.",
                "For the newest detections only, use `request.limit`.",
            ));
        }
    }
}

fn note_request(request: &SingleRequest, notes: &mut Vec<Diagnostic>) {
    if request.until.is_none() || request.limit.is_some() {
        notes.push(note(
            Level::Note,
            "plan.request",
            "/request",
            "This `request` depends on when it is made: it cannot be resumed, and a fresh instance says so in a gap.",
            "Give `sinceTimeUtc` and `untilTimeUtc`, without `limit`, for one that can be.",
        ));
    }
}

fn note(level: Level, code: &str, pointer: &str, message: impl Into<String>, hint: impl Into<String>) -> Diagnostic {
    let (code, pointer, message) = (code.to_owned(), Some(pointer.to_owned()), message.into());
    Diagnostic { level, code, pointer, message, hint: Some(hint.into()) }
}

fn single_request(request: &SingleRequest) -> Node {
    let mut members = Vec::new();
    members.extend(request.since.map(|time| ("sinceTimeUtc", Node::Text(time.to_string()))));
    members.extend(request.until.map(|time| ("untilTimeUtc", Node::Text(time.to_string()))));
    members.extend(request.ago.as_ref().map(|(written, _)| ("ago", Node::text(written))));
    members.extend(request.limit.map(|limit| ("limit", Node::Whole(u64::from(limit)))));
    members.extend(filters(&request.filters, ["machinegroups", "DeviceCreatedMachineTags", "CloudCreatedMachineTags"]));
    object(members)
}

fn filters(filters: &Filters, names: [&'static str; 3]) -> impl Iterator<Item = (&'static str, Node)> {
    let lists = [&filters.machinegroups, &filters.device_created_machine_tags, &filters.cloud_created_machine_tags];
    names.into_iter().zip(lists.map(|list| Node::List(list.iter().map(Node::text).collect())))
}

fn object(members: Vec<(&'static str, Node)>) -> Node {
    Node::Object(members.into_iter().map(|(name, value)| (name.to_owned(), value)).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The plan of the least configuration for the commercial cloud, with these members added or changed.
    fn planned(changes: &str) -> (Config, AccessPlan) {
        let text = format!(
            r#"{{"tenant_id": "contoso.example", "client_id": "0c8d1f72-91ab-4c3d-8e5f-6a7b8c9d0e1f", "api": "siem",
            {}{changes}}}"#,
            if changes.contains("client_secret") { "" } else { r#""client_secret": "hush~hush~hush""# }
        );
        let config = Config::parse(&text).unwrap_or_else(|problems| panic!("{text}: {problems:?}"));
        let plan = config.plan();
        (config, plan)
    }

    fn codes(changes: &str) -> Vec<String> {
        planned(changes).1.notes.into_iter().map(|note| note.code).collect()
    }

    #[test]
    fn a_plan_names_both_origins_and_where_the_secret_goes() {
        let (_, plan) = planned(r#", "region": "eu""#);
        let origins: Vec<_> =
            plan.origins.iter().map(|o| (o.purpose, o.scheme.as_str(), o.host.as_str(), o.port)).collect();
        let expected = [
            ("token", "https", "login.microsoftonline.com", 443),
            ("api", "https", "wdatp-alertexporter-eu.windows.com", 443),
        ];
        assert_eq!(origins, expected);
        let secret = &plan.secrets[0];
        assert_eq!((secret.pointer, secret.origin, secret.form_field), ("/client_secret", 0, "client_secret"));
        assert_eq!((&secret.captures[..], &secret.bearer_at[..]), (&["access_token"][..], &[1][..]));
        assert_eq!(plan.identity, "microsoft-defender/siem/contoso.example");
        assert!(plan.accepts.is_empty());
    }

    #[test]
    fn the_identity_outlives_every_change_but_the_tenant() {
        let (_, plan) = planned(r#", "region": "eu""#);
        let (_, changed) =
            planned(r#", "region": "us", "token_version": "v2", "overlap": "PT2H", "machinegroups": "x""#);
        assert_eq!(plan.identity, changed.identity);
    }

    #[test]
    fn the_effective_configuration_reads_as_the_same_one_once_the_secret_is_back() {
        for changes in [
            r#", "region": "eu""#,
            r#", "cloud": "gcc""#,
            r#", "cloud": "dod", "region": "us", "token_version": "v2", "start": "now", "format": "csv", "limit": 9"#,
            r#", "endpoints": {"api": "http://[::1]:8080/gate", "token": "http://localhost:81/t"}"#,
            r#", "region": "uk", "start": "2020-09-12", "machinegroups": ["a", "b \"c\""], "settle": "PT0.5S""#,
            r#", "region": "uk", "request": {}"#,
            r#", "region": "uk", "request": {"ago": "P1W", "limit": 2, "DeviceCreatedMachineTags": "t"}"#,
            r#", "region": "uk", "request": {"sinceTimeUtc": "2016-09-12T00:00:00.000", "untilTimeUtc": "2016-09-13"}"#,
        ] {
            let changes = changes.replace("/gate", "/gate/api/alerts");
            let (config, plan) = planned(&changes);
            let effective = &plan.effective_config;
            assert!(!effective.contains("hush"), "{effective}");
            let with_secret = effective.replacen('{', "{\"client_secret\": \"hush~hush~hush\",", 1);
            assert_eq!(Config::parse(&with_secret), Ok(config), "{effective}");
        }
    }

    #[test]
    fn an_effective_configuration_shows_every_default() {
        let (_, plan) = planned(r#", "region": "eu""#);
        let effective: serde_json::Value = serde_json::from_str(&plan.effective_config).unwrap();
        for (member, value) in [
            ("cloud", "commercial"),
            ("token_version", "v1"),
            ("start", "PT2H"),
            ("overlap", "PT1H"),
            ("settle", "PT1M"),
            ("slice", "PT1H"),
            ("poll_interval", "PT5M"),
            ("format", "raw"),
        ] {
            assert_eq!(effective[member], value, "{member}");
        }
        assert_eq!(effective["endpoints"]["audience"], SIEM_AUDIENCE);
        assert_eq!(effective["endpoints"]["api"], "https://wdatp-alertexporter-eu.windows.com/api/alerts");
    }

    #[test]
    fn an_operator_is_told_what_to_look_at() {
        let always = "plan.siem-deprecated";
        assert_eq!(codes(r#", "region": "eu""#), [always]);
        for (changes, code) in [
            (
                r#""client_secret": "c2c97daa-9f6a-47a5-9a0d-1d1e1f202122", "region": "eu""#,
                "plan.client-secret-is-an-id",
            ),
            (r#", "region": "eu", "start": "now""#, "plan.start-now"),
            (r#", "region": "eu", "overlap": "PT10M""#, "plan.short-overlap"),
            (r#", "region": "eu", "overlap": "P3D""#, "plan.many-requests"),
            (r#", "region": "eu", "limit": 100"#, "plan.limit"),
            (r#", "region": "eu", "request": {"ago": "PT10M"}"#, "plan.request"),
            (r#", "region": "eu", "endpoints": {"token": "https://login.example/token"}"#, "plan.token-host"),
            (r#", "endpoints": {"api": "gateway.example"}"#, "plan.api-host"),
            (r#", "region": "eu", "endpoints": {"audience": "https://graph.microsoft.com"}"#, "plan.audience"),
        ] {
            assert_eq!(codes(changes), [always, code], "{changes}");
        }
        let client = "0c8d1f72-91ab-4c3d-8e5f-6a7b8c9d0e1f";
        let text = format!(
            r#"{{"tenant_id": "{client}", "client_id": "{client}", "client_secret": "s", "api": "siem", "region": "eu"}}"#
        );
        let notes = Config::parse(&text).unwrap().plan().notes;
        assert!(notes.iter().any(|note| note.code == "plan.client-is-tenant"), "{notes:?}");
    }

    #[test]
    fn a_request_of_one_fixed_range_needs_no_note() {
        let range = r#", "region": "eu", "request": {"sinceTimeUtc": "2020-01-01", "untilTimeUtc": "2020-01-02"}"#;
        assert_eq!(codes(range), ["plan.siem-deprecated"]);
    }
}
