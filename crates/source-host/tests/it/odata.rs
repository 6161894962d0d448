//! The APIs of Defender and of Microsoft Graph as they document themselves, and strict about it: what a request has too much, too
//! little or wrong is remembered, and refused.
//!
//! Sources: OASIS, "OData Version 4.01, Part 2: URL Conventions"; Microsoft Learn, "List alerts" of Defender for Endpoint, "List
//! alerts_v2" and "List incidents" of Microsoft Graph, "List incidents" of Defender XDR, and "The OAuth 2.0 client credentials flow".

use std::collections::BTreeMap;
use std::io::{BufReader, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{SystemTime, UNIX_EPOCH};

use chrono::{DateTime, SubsecRound as _, TimeDelta, Utc};
use serde_json::{Map, Value, json};

use crate::server::SECRET;
use crate::wire::{Request, accept};

pub(crate) const TENANT: &str = "11111111-1111-4111-8111-111111111111";
pub(crate) const CLIENT: &str = "22222222-2222-4222-8222-222222222222";

/// One API: where it is, what it wants to be asked, and what it calls things.
#[derive(Debug)]
pub(crate) struct Api {
    /// The word of `api` in the configuration.
    pub(crate) name: &'static str,
    pub(crate) path: &'static str,
    pub(crate) audience: &'static str,
    pub(crate) id: &'static str,
    pub(crate) created: &'static str,
    pub(crate) updated: &'static str,
    /// What comes where `$expand` asks for it alone.
    expands: Option<&'static str>,
    orders: bool,
    /// The largest `$top`.
    cap: usize,
    prefer: Option<&'static str>,
    /// Whether a full page names the next one, so that `$skip` is asked for by nobody.
    links: bool,
}

const PREFER: Option<&str> = Some("include-unknown-enum-members");

pub(crate) static ALERTS: Api = Api {
    name: "alerts",
    path: "/api/alerts",
    audience: "https://api.securitycenter.microsoft.com",
    id: "id",
    created: "alertCreationTime",
    updated: "lastUpdateTime",
    expands: Some("evidence"),
    orders: false,
    cap: 10_000,
    prefer: None,
    links: false,
};

pub(crate) static GRAPH: Api = Api {
    name: "graph",
    path: "/v1.0/security/alerts_v2",
    audience: "https://graph.microsoft.com",
    id: "id",
    created: "createdDateTime",
    updated: "lastUpdateDateTime",
    expands: None,
    orders: true,
    cap: 1000,
    prefer: PREFER,
    links: true,
};

pub(crate) static INCIDENTS: Api =
    Api { name: "incidents", path: "/v1.0/security/incidents", expands: Some("alerts"), cap: 50, ..GRAPH };

pub(crate) static XDR: Api = Api {
    name: "incidents",
    path: "/api/incidents",
    audience: "https://api.security.microsoft.com",
    id: "incidentId",
    created: "createdTime",
    updated: "lastUpdateTime",
    expands: None,
    cap: 100,
    ..ALERTS
};

/// One alert or incident: its id and its two stamps.
#[derive(Clone, Debug)]
pub(crate) struct Thing {
    pub(crate) id: u64,
    pub(crate) created: DateTime<Utc>,
    pub(crate) updated: DateTime<Utc>,
}

impl Thing {
    /// One that came to be so many seconds ago, and has not been updated since.
    pub(crate) fn seconds_ago(id: u64, seconds: i64) -> Self {
        let at = seconds_ago(seconds);
        Self { id, created: at, updated: at }
    }
}

/// So many seconds ago, in ticks of 100 ns.
pub(crate) fn seconds_ago(seconds: i64) -> DateTime<Utc> {
    (now() - TimeDelta::seconds(seconds)).trunc_subsecs(7)
}

/// A stamp as the services write them.
pub(crate) fn stamp(at: DateTime<Utc>) -> String {
    format!("{}.{:07}Z", at.format("%Y-%m-%dT%H:%M:%S"), at.timestamp_subsec_nanos() / 100)
}

#[derive(Default)]
pub(crate) struct State {
    pub(crate) things: Vec<Thing>,
    /// Those of the SIEM API.
    pub(crate) detections: Vec<Thing>,
    /// The queries to the API, as they read.
    pub(crate) queries: Vec<String>,
    violations: Vec<String>,
}

/// The service, with its token endpoint, on loopback.
#[derive(Clone)]
pub(crate) struct Service {
    pub(crate) api: &'static Api,
    pub(crate) origin: String,
    state: Arc<Mutex<State>>,
}

impl Service {
    pub(crate) fn start(api: &'static Api) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let origin = format!("http://{}", listener.local_addr().unwrap());
        let service = Self { api, origin, state: Arc::default() };
        let accepting = service.clone();
        accept(listener, move |stream| accepting.serve(stream));
        service
    }

    pub(crate) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    #[track_caller]
    pub(crate) fn assert_all_right(&self) {
        let violations = &self.state().violations;
        assert!(violations.is_empty(), "{violations:#?}");
    }

    /// A thing as the API shows it, with what can be expanded or without.
    fn shown(&self, thing: &Thing, is_expanded: bool) -> Value {
        let api = self.api;
        let mut members = Map::new();
        let id = if api.id == "id" { Value::from(format!("da{}", thing.id)) } else { Value::from(thing.id) };
        members.insert(api.id.to_owned(), id);
        members.insert(api.created.to_owned(), stamp(thing.created).into());
        members.insert(api.updated.to_owned(), stamp(thing.updated).into());
        if let Some(expands) = api.expands.filter(|_| is_expanded) {
            members.insert(expands.to_owned(), json!([{ "of": thing.id }]));
        }
        Value::Object(members)
    }

    fn serve(&self, mut stream: TcpStream) {
        let Some(request) = Request::read(&mut BufReader::new(stream.try_clone().unwrap())) else { return };
        let answered = if request.path.ends_with("/token") { self.token(&request) } else { self.answer(&request) };
        let (status, body) = answered.unwrap_or_else(|violation| {
            let mut state = self.state();
            state.violations.push(format!("{violation}: {}", request.path));
            (400, json!({ "error": { "code": "BadRequest", "message": violation } }))
        });
        let (body, date) = (body.to_string(), now().format("%a, %d %b %Y %H:%M:%S GMT"));
        let head = format!(
            "HTTP/1.1 {status} Status\r\ncontent-type: application/json\r\ndate: {date}\r\nconnection: close\r\ncontent-length: {}\r\n\r\n",
            body.len()
        );
        // A client that went away has its reasons.
        drop(stream.write_all((head + &body).as_bytes()));
    }

    fn token(&self, request: &Request) -> Result<(u16, Value), String> {
        let form = pairs(std::str::from_utf8(&request.body).unwrap());
        let scope = format!("{}/.default", self.api.audience);
        let target = match request.path.strip_prefix(&format!("/{TENANT}")) {
            Some("/oauth2/v2.0/token") => ("scope", &*scope),
            Some("/oauth2/token") => ("resource", "https://graph.windows.net"),
            _ => return Err("no such token endpoint".to_owned()),
        };
        let expected = BTreeMap::from([
            ("client_id", CLIENT),
            ("client_secret", SECRET),
            ("grant_type", "client_credentials"),
            target,
        ]);
        let expected: BTreeMap<_, _> = expected.into_iter().map(|(name, value)| (name.into(), value.into())).collect();
        if form != expected {
            return Err(format!("the form of a token request: {:?}", form.keys()));
        }
        let token = format!("canary-token-for-{}", target.1);
        Ok((200, json!({ "token_type": "Bearer", "expires_in": 3599, "access_token": token })))
    }

    fn answer(&self, request: &Request) -> Result<(u16, Value), String> {
        let (path, query) = request.path.split_once('?').unwrap_or((&request.path, ""));
        if query.contains([' ', '+', '\'']) {
            return Err("a query that is not encoded".to_owned());
        }
        let query = pairs(query);
        let header = |name: &str| request.headers.get(name).map(String::as_str);
        if header("accept") != Some("application/json") {
            return Err("what is accepted".to_owned());
        }
        if path == "/api/alerts" && query.contains_key("sinceTimeUtc") {
            let right = header("authorization") == Some("Bearer canary-token-for-https://graph.windows.net");
            return if right { Ok((200, self.detections(&query))) } else { Err("the token".to_owned()) };
        }
        if path != self.api.path {
            return Err("no such path".to_owned());
        }
        let bearer = format!("Bearer canary-token-for-{}/.default", self.api.audience);
        if header("authorization") != Some(bearer.as_str()) || header("prefer") != self.api.prefer {
            return Err("the token, or what is preferred".to_owned());
        }
        let mut state = self.state();
        state.queries.push(query.iter().map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>().join("&"));
        self.page(&state.things, &query).map(|page| (200, page))
    }

    /// What the SIEM API answers: the detections of the range, both ends included.
    fn detections(&self, query: &BTreeMap<String, String>) -> Value {
        let bound = |name: &str| query.get(name).and_then(|text| time(text));
        let (since, until) = (bound("sinceTimeUtc").unwrap(), bound("untilTimeUtc").unwrap());
        let state = self.state();
        let within = state.detections.iter().filter(|thing| since <= thing.updated && thing.updated <= until);
        let shown = within.map(|thing| {
            let (id, at) = (format!("da{}", thing.id), stamp(thing.updated));
            json!({ "AlertId": id, "FullId": format!("{id}:one"), "AlertTime": at, "LastProcessedTimeUtc": at })
        });
        shown.collect()
    }

    /// One page of what is asked for.
    fn page(&self, things: &[Thing], query: &BTreeMap<String, String>) -> Result<Value, String> {
        let api = self.api;
        let number = |name: &str| query.get(name).map(|text| text.parse::<usize>().map_err(|_| name.to_owned()));
        let top = number("$top").ok_or("no `$top`")??;
        let skip = number("$skip").transpose()?.unwrap_or(0);
        let filter = query.get("$filter").ok_or("no `$filter`")?;
        let (stamp, since, until) = range(filter).ok_or_else(|| format!("the filter `{filter}`"))?;
        let of = |thing: &Thing| if stamp == api.created { thing.created } else { thing.updated };
        let known = ["$filter", "$top", "$skip", "$expand", "$orderby"];
        let is_right = query.keys().all(|name| known.contains(&name.as_str()))
            && (stamp == api.created || stamp == api.updated)
            && (1..=api.cap).contains(&top)
            // The smallest request may do without an order.
            && query.get("$orderby").is_none_or(|order| api.orders && order == stamp)
            && query.get("$expand").is_none_or(|expand| api.expands == Some(expand.as_str()));
        if !is_right {
            return Err("a parameter".to_owned());
        }
        let mut found: Vec<&Thing> = things.iter().filter(|&thing| since <= of(thing) && of(thing) <= until).collect();
        found.sort_by_key(|thing| (of(thing), thing.id));
        let page = found.iter().skip(skip).take(top);
        let rows: Vec<Value> = page.map(|thing| self.shown(thing, query.contains_key("$expand"))).collect();
        let mut body = json!({ "@odata.context": format!("{}/$metadata", self.origin), "value": rows });
        if api.links && found.len() > skip + top {
            let next = BTreeMap::from_iter(query.iter().map(|(name, value)| (name.clone(), value.clone())));
            let next = BTreeMap::from_iter(next.into_iter().chain([("$skip".to_owned(), (skip + top).to_string())]));
            let encode = |text: &str| {
                percent_encoding::utf8_percent_encode(text, percent_encoding::NON_ALPHANUMERIC).to_string()
            };
            let next: Vec<_> = next.iter().map(|(name, value)| format!("{name}={}", encode(value))).collect();
            body["@odata.nextLink"] = format!("{}{}?{}", self.origin, api.path, next.join("&")).into();
        }
        Ok(body)
    }
}

/// A filter of two closed bounds on one stamp, and nothing else.
fn range(filter: &str) -> Option<(&str, DateTime<Utc>, DateTime<Utc>)> {
    let (lower, upper) = filter.split_once(" and ")?;
    let (stamp, since) = lower.split_once(" ge ")?;
    let until = upper.strip_prefix(stamp)?.strip_prefix(" le ")?;
    Some((stamp, time(since)?, time(until)?))
}

fn time(text: &str) -> Option<DateTime<Utc>> {
    DateTime::parse_from_rfc3339(text).ok().map(|time| time.to_utc())
}

/// The pairs of a form or a query, decoded.
fn pairs(text: &str) -> BTreeMap<String, String> {
    let decoded = |text: &str| percent_encoding::percent_decode_str(text).decode_utf8().unwrap().into_owned();
    text.split('&')
        .filter_map(|pair| pair.split_once('='))
        .map(|(name, value)| (decoded(name), decoded(value)))
        .collect()
}

fn now() -> DateTime<Utc> {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    DateTime::from_timestamp(since.as_secs().cast_signed(), since.subsec_nanos()).unwrap()
}
