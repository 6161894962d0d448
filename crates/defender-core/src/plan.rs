//! What a configuration means, worked out without I/O: whom the source talks to, with which secret, and what an operator
//! should know before the first poll.

use crate::config::duration::{Iso, MINUTE};
use crate::config::{
    Config, CredentialKind, Emit, Endpoint, Filters, Printer, Selection, SingleRequest, Start, is_guid,
    is_known_login_host, is_placeholder,
};
use crate::contract::{AccessPlan, Diagnostic, Level, Origin, SecretPlace, SecretUse};
use crate::secret::Secret;

/// An overlap below this is said to be short: detections are seen to be processed minutes after they happened.
const SHORT_OVERLAP: i64 = 15 * MINUTE;

/// From so many requests on, the cost of reading the overlap again at every poll is told.
const MANY_REQUESTS: i64 = 50;

impl Config {
    /// The origins, the use of the credential, the identity, the configuration with its defaults, and the notes. The codes
    /// of the notes begin with `plan.`.
    pub fn plan(&self) -> AccessPlan {
        let (mut origins, mut secrets) = (Vec::new(), Vec::new());
        // An access token is sent as it is, and needs no token endpoint.
        if self.credential.access_token().is_some() {
            let (pointer, place) = (CredentialKind::AccessToken.pointer(), SecretPlace::Bearer);
            secrets.push(SecretUse { pointer, origin: 0, place, captures: Vec::new(), bearer_at: Vec::new() });
        } else {
            origins.push(origin(&self.token_endpoint, "token"));
        }
        let application = self.credential.application().map(|(kind, _)| kind);
        let refresh_token = self.credential.refresh_token().map(|_| CredentialKind::RefreshToken);
        for kind in [application, refresh_token].into_iter().flatten() {
            let Some(form_field) = kind.form_field() else { continue };
            // A host keeps what replaces a refresh token: the member of the answer that is named as the field.
            let captures = match kind {
                CredentialKind::RefreshToken => vec!["access_token", "refresh_token"],
                _ => vec!["access_token"],
            };
            let (pointer, place) = (kind.pointer(), SecretPlace::FormField(form_field));
            secrets.push(SecretUse { pointer, origin: 0, place, captures, bearer_at: vec![1] });
        }
        origins.push(origin(&self.api_endpoint, "api"));
        AccessPlan {
            origins,
            secrets,
            identity: self.identity(),
            accepts: self.accepts(),
            effective_config: self.effective(),
            notes: self.notes(),
        }
    }

    /// The configuration with every default written out and without its credential. With that put back it reads as
    /// the same configuration.
    fn effective(&self) -> String {
        let mut json = Printer::new();
        json.text("tenant_id", &self.tenant_id);
        json.text("client_id", &self.client_id);
        json.text("api", self.protocol.name);
        json.text("cloud", self.cloud.name());
        if let Some(region) = self.region {
            json.text("region", region.name());
        }
        json.text("token_version", self.token_version.name());
        json.open("endpoints");
        json.text("token", &self.token_endpoint.url);
        json.text("api", &self.api_endpoint.url);
        json.text("audience", &self.audience);
        json.close();
        match &self.request {
            Some(request) => print_request(request, &mut json),
            None => self.print_running(&mut json),
        }
        json.text("format", self.format.name());
        json.finish()
    }

    fn print_running(&self, json: &mut Printer) {
        let start = match self.start {
            Start::Now => "now".to_owned(),
            Start::Ago(ticks) => Iso(ticks).to_string(),
            Start::At(time) => time.to_string(),
        };
        json.text("start", &start);
        for (name, ticks) in [
            ("overlap", self.overlap),
            ("settle", self.settle),
            ("slice", self.slice),
            ("poll_interval", self.poll_interval),
        ] {
            json.text(name, &Iso(ticks).to_string());
        }
        if let Some(limit) = self.limit {
            json.number("limit", limit);
        }
        if self.protocol.odata.is_some() {
            json.text("emit", self.emit.name());
            if self.protocol.name != "graph" {
                json.text("expand", self.expand.name());
            }
            let Selection { severity, status, service_source } = &self.selection;
            let lists = [("severity", severity), ("status", status), ("service_source", service_source)];
            // Not every API has every filter.
            for (name, words) in lists.into_iter().filter(|(_, words)| !words.is_empty()) {
                json.texts(name, words);
            }
            return;
        }
        let names = ["machinegroups", "device_created_machine_tags", "cloud_created_machine_tags"];
        print_filters(&self.filters, names, json);
    }

    fn notes(&self) -> Vec<Diagnostic> {
        let mut notes = Vec::new();
        let mut add = |applies: bool, note: &Note, value: &str| {
            if applies {
                notes.push(note.about(value));
            }
        };
        add(self.protocol.odata.is_none(), &SIEM_DEPRECATED, "");
        let kind = self.credential.kind();
        let is_an_id = |(kind, value): (_, &Secret)| kind == CredentialKind::ClientSecret && is_guid(value.expose());
        add(self.credential.application().is_some_and(is_an_id), &CLIENT_SECRET_IS_AN_ID, "");
        // Those of Microsoft have dots.
        let is_literal = |token: &Secret| !is_placeholder(token.expose());
        add(self.credential.refresh_token().is_some_and(is_literal), &REFRESH_TOKEN, "");
        add(self.credential.access_token().is_some_and(is_literal), &ACCESS_TOKEN, "");
        add(self.client_id == self.tenant_id, &CLIENT_IS_TENANT, "");
        let (token, api) = (&self.token_endpoint.host, &self.api_endpoint.host);
        add(kind != CredentialKind::AccessToken && !is_known_login_host(token), &TOKEN_HOST, token);
        add(!self.protocol.has_host(api), &API_HOST, api);
        let is_known = |(audience, _): &(&str, _)| *audience == self.audience.trim_end_matches('/');
        add(!self.protocol.audiences.iter().any(is_known), &AUDIENCE, self.protocol.title);
        if let Some(request) = &self.request {
            add(!request.can_be_made_again(), &REQUEST, "");
            return notes;
        }
        add(self.start == Start::Now, &START_NOW, "");
        let selects = self.selection != Selection::default();
        add(self.emit == Emit::FirstSeen && selects, &FIRST_SEEN, &Iso(self.overlap).to_string());
        add(self.overlap < SHORT_OVERLAP, &SHORT_OVERLAP_NOTE, &Iso(self.overlap).to_string());
        // `slice` is a minute at the least.
        let requests = self.overlap / self.slice.max(1);
        add(requests >= MANY_REQUESTS, &MANY_REQUESTS_NOTE, &requests.to_string());
        add(self.limit.is_some() && self.protocol.odata.is_none(), &LIMIT, "");
        notes
    }
}

/// A note in the plan. In the message, `{}` stands for a value of the configuration.
struct Note {
    level: Level,
    code: &'static str,
    pointer: &'static str,
    message: &'static str,
    hint: &'static str,
}

impl Note {
    fn about(&self, value: &str) -> Diagnostic {
        Diagnostic {
            level: self.level,
            code: self.code.to_owned(),
            pointer: Some(self.pointer.to_owned()),
            message: self.message.replace("{}", value),
            hint: Some(self.hint.to_owned()),
        }
    }
}

static SIEM_DEPRECATED: Note = Note {
    level: Level::Warning,
    code: "plan.siem-deprecated",
    pointer: "/api",
    message: "Microsoft deprecated the SIEM API on 31 December 2023 and may turn it off without notice.",
    hint: "Move to `api` = `graph` or `alerts`, which read on from the checkpoint of `siem`: give the source one of them in place.",
};

static CLIENT_SECRET_IS_AN_ID: Note = Note {
    level: Level::Warning,
    code: "plan.client-secret-is-an-id",
    pointer: "/client_secret",
    message: "`client_secret` looks like a GUID, as the ID of a secret does; its value does not.",
    hint: "Copy the column Value of the secret. It is shown only once: make a new secret if it is gone.",
};

static ACCESS_TOKEN: Note = Note {
    level: Level::Warning,
    code: "plan.access-token",
    pointer: "/access_token",
    message: "`access_token` is written out, so that it is not renewed: the source ends when it expires, after about an hour.",
    hint: "Let the host renew it: with source-host, access_token = { managed_identity = {} } or { file = \"PATH\" } under \
        [source.secrets]; or use another credential.",
};

static REFRESH_TOKEN: Note = Note {
    level: Level::Warning,
    code: "plan.refresh-token",
    pointer: "/refresh_token",
    message: "`refresh_token` is written out, so that what replaces it is not stored: the source ends when it expires, after \
        90 days.",
    hint: "Let the host keep it: with source-host, refresh_token = { keep = \"PATH\" } under [source.secrets].",
};

static CLIENT_IS_TENANT: Note = Note {
    level: Level::Warning,
    code: "plan.client-is-tenant",
    pointer: "/client_id",
    message: "`client_id` and `tenant_id` are the same value.",
    hint: "Copy the application (client) ID and the directory (tenant) ID anew; they differ.",
};

static TOKEN_HOST: Note = Note {
    level: Level::Warning,
    code: "plan.token-host",
    pointer: "/endpoints/token",
    message: "The credential is sent to {}, which is not a sign-in host of Microsoft.",
    hint: "Make sure that this host is yours, or leave `endpoints.token` out.",
};

static API_HOST: Note = Note {
    level: Level::Warning,
    code: "plan.api-host",
    pointer: "/endpoints/api",
    message: "The access token is sent to {}, which is not a host that Microsoft names for this API.",
    hint: "Make sure that this host is yours, or leave `endpoints.api` out.",
};

static AUDIENCE: Note = Note {
    level: Level::Warning,
    code: "plan.audience",
    pointer: "/endpoints/audience",
    message: "The token is asked for an audience that Microsoft does not name for {}, which may refuse it.",
    hint: "Leave `endpoints.audience` out.",
};

static REQUEST: Note = Note {
    level: Level::Note,
    code: "plan.request",
    pointer: "/request",
    message: "This `request` depends on when it is made: it cannot be resumed, and a fresh instance says so in a gap.",
    hint: "Give `sinceTimeUtc` and `untilTimeUtc`, without `limit`, for one that can be.",
};

static START_NOW: Note = Note {
    level: Level::Note,
    code: "plan.start-now",
    pointer: "/start",
    message: "`start` is now: nothing that became visible before the first poll is read.",
    hint: "Write a duration such as PT2H, or a time, to begin in the past.",
};

static FIRST_SEEN: Note = Note {
    level: Level::Warning,
    code: "plan.first-seen-filter",
    pointer: "/emit",
    message: "What comes to match the filters later than {} after it came to be is never delivered: `emit` is `first-seen`, \
        which looks at nothing older.",
    hint: "Take the filters out and filter the events, or write `every-update`.",
};

static SHORT_OVERLAP_NOTE: Note = Note {
    level: Level::Warning,
    code: "plan.short-overlap",
    pointer: "/overlap",
    message: "`overlap` is {}: a detection that shows up later than that is lost.",
    hint: "Write PT15M or more; the default is PT1H.",
};

static MANY_REQUESTS_NOTE: Note = Note {
    level: Level::Warning,
    code: "plan.many-requests",
    pointer: "/slice",
    message: "Every poll reads the overlap again, in about {} requests.",
    hint: "Make `slice` longer or `overlap` shorter: Microsoft allows its Defender APIs about 100 calls a minute.",
};

static LIMIT: Note = Note {
    level: Level::Note,
    code: "plan.limit",
    pointer: "/limit",
    message: "`limit` caps one answer, and no more: what an answer left out is asked for again, in shorter slices.",
    hint: "For the newest detections only, use `request.limit`.",
};

fn origin(endpoint: &Endpoint, purpose: &'static str) -> Origin {
    Origin { scheme: endpoint.scheme.clone(), host: endpoint.host.clone(), port: endpoint.port, purpose }
}

fn print_request(request: &SingleRequest, json: &mut Printer) {
    json.open("request");
    for (name, time) in [("sinceTimeUtc", request.since), ("untilTimeUtc", request.until)] {
        if let Some(time) = time {
            json.text(name, &time.to_string());
        }
    }
    if let Some((written, _)) = &request.ago {
        json.text("ago", written);
    }
    if let Some(limit) = request.limit {
        json.number("limit", limit);
    }
    print_filters(&request.filters, ["machinegroups", "DeviceCreatedMachineTags", "CloudCreatedMachineTags"], json);
    json.close();
}

fn print_filters(filters: &Filters, names: [&str; 3], json: &mut Printer) {
    let lists = [&filters.machinegroups, &filters.device_created_machine_tags, &filters.cloud_created_machine_tags];
    for (name, list) in names.into_iter().zip(lists) {
        json.texts(name, list);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The plan of the least configuration for the commercial cloud, with these members added or changed.
    fn planned(changes: &str) -> (Config, AccessPlan) {
        let text = format!(
            r#"{{"tenant_id": "contoso.example", "client_id": "0c8d1f72-91ab-4c3d-8e5f-6a7b8c9d0e1f", "api": "siem",
            {}{changes}}}"#,
            if CredentialKind::ALL.iter().any(|kind| changes.contains(&format!("\"{}\"", kind.name()))) {
                ""
            } else {
                r#""client_secret": "hush~hush~hush""#
            }
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
        let place = SecretPlace::FormField("client_secret");
        assert_eq!((secret.pointer, secret.origin, secret.place), ("/client_secret", 0, place));
        assert_eq!((&secret.captures[..], &secret.bearer_at[..]), (&["access_token"][..], &[1][..]));
        assert_eq!(plan.identity, "microsoft-defender/siem/contoso.example");
        assert!(plan.accepts.is_empty());
    }

    #[test]
    fn an_assertion_goes_where_a_client_secret_goes_and_an_access_token_needs_the_api_alone() {
        for kind in [CredentialKind::Certificate, CredentialKind::FederatedToken, CredentialKind::ClientAssertion] {
            let (_, plan) = planned(&format!(r#""{}": "placeholder", "region": "eu""#, kind.name()));
            let secret = &plan.secrets[0];
            let place = SecretPlace::FormField("client_assertion");
            assert_eq!((secret.pointer, secret.origin, secret.place), (kind.pointer(), 0, place));
            assert_eq!((&secret.captures[..], &secret.bearer_at[..]), (&["access_token"][..], &[1][..]));
        }
        let (_, plan) =
            planned(r#""access_token": "a.b.c", "region": "eu", "endpoints": {"token": "https://a.example/t"}"#);
        let uses: Vec<_> = plan.secrets.iter().map(|secret| (secret.pointer, secret.origin, secret.place)).collect();
        assert_eq!(uses, [("/access_token", 0, SecretPlace::Bearer)]);
        assert!(plan.secrets[0].captures.is_empty() && plan.secrets[0].bearer_at.is_empty());
        assert_eq!(plan.origins.iter().map(|origin| origin.purpose).collect::<Vec<_>>(), ["api"]);
        assert!(plan.notes.iter().all(|note| note.code != "plan.token-host"), "{:?}", plan.notes);
    }

    #[test]
    fn a_refresh_token_is_captured_anew_and_what_proves_the_application_goes_with_it() {
        let (_, plan) = planned(r#""refresh_token": "placeholder-1", "region": "eu""#);
        let fields: Vec<_> = plan.secrets.iter().map(|secret| (secret.place, &secret.captures[..])).collect();
        let refresh_token = SecretPlace::FormField("refresh_token");
        assert_eq!(fields, [(refresh_token, &["access_token", "refresh_token"][..])]);
        let (_, plan) = planned(r#""refresh_token": "0.A-literal", "certificate": "placeholder-2", "region": "eu""#);
        let fields: Vec<_> = plan.secrets.iter().map(|secret| (secret.pointer, secret.place)).collect();
        let client_assertion = SecretPlace::FormField("client_assertion");
        assert_eq!(fields, [("/certificate", client_assertion), ("/refresh_token", refresh_token)]);
        assert!(plan.notes.iter().any(|note| note.code == "plan.refresh-token"), "{:?}", plan.notes);
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
        assert_eq!(effective["endpoints"]["audience"], "https://graph.windows.net");
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
            (r#""access_token": "eyJ.eyJ.sig", "region": "eu""#, "plan.access-token"),
            (r#", "region": "eu", "start": "now""#, "plan.start-now"),
            (r#", "region": "eu", "overlap": "PT10M""#, "plan.short-overlap"),
            (r#", "region": "eu", "overlap": "P3D""#, "plan.many-requests"),
            (r#", "region": "eu", "limit": 100"#, "plan.limit"),
            (r#", "region": "eu", "request": {"ago": "PT10M"}"#, "plan.request"),
            (r#", "region": "eu", "request": {"sinceTimeUtc": "2026-01-01"}"#, "plan.request"),
            (r#", "region": "eu", "request": {"untilTimeUtc": "2026-01-01"}"#, "plan.request"),
            (r#", "region": "eu", "endpoints": {"token": "https://login.example/token"}"#, "plan.token-host"),
            (r#", "endpoints": {"api": "gateway.example"}"#, "plan.api-host"),
            (r#", "region": "eu", "endpoints": {"audience": "api://something"}"#, "plan.audience"),
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
