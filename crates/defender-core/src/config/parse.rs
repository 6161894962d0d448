//! From text to a configuration: what each member means, and what members demand of one another.

use super::endpoint::{self, Url};
use super::json;
use super::members::{APIS, ENDPOINTS, Kind, MEMBERS, Member, Need, OF_REFUSED_FLOWS, find};
use super::problems::{Complaint, Problems, shown};
use super::reader::{Reader, as_ago, as_time};
use super::{
    Cloud, Config, Credential, Emit, Endpoint, Expand, Filters, Format, Region, Selection, SingleRequest, Start,
    TokenVersion,
};
use crate::contract::Diagnostic;
use crate::json::Node;
use crate::protocol::{Protocol, SIEM, Words};
use crate::tick::Tick;

/// The start lies in these years: before the first the service did not exist, from the second on it is a slip.
const START_YEARS: (&str, &str) = ("2010-01-01T00:00:00Z", "2100-01-01T00:00:00Z");

impl Config {
    /// Reads a configuration: one JSON object.
    ///
    /// # Errors
    ///
    /// Every problem at once, each with a code `config.<member>`, a JSON Pointer where one value is to blame, a sentence
    /// and a hint. No secret is among them.
    pub fn parse(text: &str) -> Result<Self, Vec<Diagnostic>> {
        let mut problems = Problems::default();
        let Some(members) = json::parse_object(text, &mut problems) else { return Err(problems.finish(&[])) };
        let config = read(&members, &mut problems);
        if problems.is_empty() { Ok(config) } else { Err(problems.finish(&secrets(&members))) }
    }
}

/// The configuration, which is worth nothing where a problem was added: each value that is missing here was complained
/// about, and something stands in for it, so that the search for problems goes on.
fn read(members: &[(String, Node)], problems: &mut Problems) -> Config {
    let root = Reader::new("", MEMBERS, members);
    root.check(problems);
    let tenant_id = root.text("tenant_id", problems).and_then(|text| problems.keep("/tenant_id", tenant(text)));
    let client_id = root.text("client_id", problems).and_then(|text| problems.keep("/client_id", client(text)));
    let credential = Credential::read(&root, problems);
    let endpoints = root.object("/endpoints", problems).unwrap_or(Reader::new("/endpoints", ENDPOINTS, &[]));
    let protocol = protocol(&root, &endpoints, problems);
    let cloud = root.choice("cloud", problems).and_then(|at| Cloud::ALL.get(at).copied());
    let token_version = token_version(&root, protocol, problems);
    let region = region(&root, protocol, cloud, endpoints.has("api"), problems);
    let token_endpoint = token_endpoint(&endpoints, cloud.zip(token_version), tenant_id.as_deref(), problems);
    let api_endpoint = api_endpoint(&endpoints, protocol, cloud, region, problems);
    let audience = audience(&endpoints, protocol, cloud, problems);
    let start = start(&root, problems);
    let overlap = root.duration("overlap", problems);
    let settle = root.duration("settle", problems);
    let slice = root.duration("slice", problems);
    let poll_interval = root.duration("poll_interval", problems);
    let limit = limit(&root, protocol, problems);
    let emit = root.choice("emit", problems).and_then(|at| Emit::ALL.get(at).copied());
    let expand = root.choice("expand", problems).and_then(|at| Expand::ALL.get(at).copied());
    let selection = selection(&root, protocol, problems);
    let filters = Filters {
        machinegroups: root.texts("machinegroups", problems),
        device_created_machine_tags: root.texts("device_created_machine_tags", problems),
        cloud_created_machine_tags: root.texts("cloud_created_machine_tags", problems),
    };
    let request = request(&root, problems);
    let format = format(&root, protocol, problems);
    Config {
        tenant_id: tenant_id.unwrap_or_default(),
        client_id: client_id.unwrap_or_default(),
        credential: credential.unwrap_or_else(Credential::none),
        protocol: protocol.unwrap_or(&SIEM),
        cloud: cloud.unwrap_or_default(),
        region,
        token_version: token_version.unwrap_or(TokenVersion::V1),
        token_endpoint: token_endpoint.unwrap_or_default(),
        api_endpoint: api_endpoint.unwrap_or_default(),
        audience: audience.unwrap_or_default(),
        start: start.unwrap_or(Start::Now),
        overlap: overlap.unwrap_or_default(),
        settle: settle.unwrap_or_default(),
        slice: slice.unwrap_or_default(),
        poll_interval: poll_interval.unwrap_or_default(),
        limit,
        emit: emit.unwrap_or_default(),
        expand: expand.unwrap_or_default(),
        selection,
        filters,
        request,
        format: format.unwrap_or_default(),
    }
}

fn tenant(text: &str) -> Result<String, Complaint> {
    let lower = text.to_ascii_lowercase();
    if matches!(lower.as_str(), "common" | "organizations" | "consumers") {
        return Err(Complaint::new(
            format!("is \"{lower}\", and an application signs in to one tenant of its own"),
            "Write the directory (tenant) ID, which the overview of the app registration shows.",
        ));
    }
    if endpoint::is_guid(text) || endpoint::is_domain(text) {
        return Ok(lower);
    }
    Err(Complaint::new(
        "is neither a GUID nor a domain name",
        "Write the directory (tenant) ID, such as 5b5cf0ab-6c4e-4f8a-9d0a-0f2b3c4d5e6f, or a verified domain name, such as \
         contoso.onmicrosoft.com.",
    ))
}

fn client(text: &str) -> Result<String, Complaint> {
    if endpoint::is_guid(text) {
        return Ok(text.to_ascii_lowercase());
    }
    Err(Complaint::new(
        "is not a GUID",
        "Write the application (client) ID, such as 0c8d1f72-91ab-4c3d-8e5f-6a7b8c9d0e1f, which the overview of the app \
         registration shows.",
    ))
}

/// The protocol of `api`, after whatever does not belong to it was complained about.
fn protocol(root: &Reader<'_>, endpoints: &Reader<'_>, problems: &mut Problems) -> Option<&'static Protocol> {
    let api = root.choice("api", problems).and_then(|at| APIS.get(at))?;
    root.check_api(api, problems);
    // What is wrong with the URL is told where it is read.
    let url = endpoints.node("api").and_then(Node::as_text).and_then(|text| Url::parse(text, true).ok());
    endpoint::protocol(api, url.as_ref())
}

fn token_version(
    root: &Reader<'_>,
    protocol: Option<&'static Protocol>,
    problems: &mut Problems,
) -> Option<TokenVersion> {
    if root.has("token_version") {
        return root.choice("token_version", problems).and_then(|at| TokenVersion::ALL.get(at).copied());
    }
    protocol.map(|protocol| protocol.token_version)
}

/// The region that was written; one is demanded where the host depends on it.
fn region(
    root: &Reader<'_>,
    protocol: Option<&'static Protocol>,
    cloud: Option<Cloud>,
    has_host: bool,
    problems: &mut Problems,
) -> Option<Region> {
    let needs_one = |cloud| protocol.is_some_and(|protocol| protocol.host(cloud, None).is_none());
    if !root.has("region") {
        if cloud == Some(Cloud::Commercial) && needs_one(Cloud::Commercial) && !has_host {
            problems.add(
                "/region",
                "is missing, and it is never guessed",
                "Write `us`, `eu` or `uk`, where the tenant's data is kept: in the portal under Settings, Microsoft Defender \
                 XDR, Account. The SIEM API has no hosts for other regions.",
            );
        }
        return None;
    }
    let region = root.choice("region", problems).and_then(|at| Region::ALL.get(at).copied())?;
    let (protocol, cloud) = (protocol?, cloud?);
    // Of an API without regions that was complained about already.
    let has_regions = protocol.hosts.iter().any(|host| host.region.is_some());
    if has_regions && protocol.host(cloud, Some(region)).is_none() {
        let served = Region::ALL.iter().copied().filter(|region| protocol.host(cloud, Some(*region)).is_some());
        let served = served.map(Region::name).collect::<Vec<_>>().join("`, `");
        let has = if served.is_empty() { "no regions".to_owned() } else { format!("only `{served}`") };
        let predicate =
            format!("is `{}`, but {} in the cloud `{}` has {has}", region.name(), protocol.title, cloud.name());
        problems.add("/region", predicate, "Leave it out, or correct it or `cloud`.");
        return None;
    }
    has_regions.then_some(region)
}

fn token_endpoint(
    endpoints: &Reader<'_>,
    cloud_and_version: Option<(Cloud, TokenVersion)>,
    tenant: Option<&str>,
    problems: &mut Problems,
) -> Option<Endpoint> {
    const AT: &str = "/endpoints/token";
    if !endpoints.has("token") {
        let (cloud, version) = cloud_and_version?;
        let url = format!("https://{}/{}{}", endpoint::login_host(cloud), tenant?, endpoint::token_suffix(version));
        return Url::parse(&url, false).ok().map(|url| url.endpoint(&url.path));
    }
    let text = endpoints.text("token", problems)?;
    let url = problems.keep(AT, Url::parse(text, false))?;
    let (cloud, version) = cloud_and_version?;
    problems.keep(AT, endpoint::check_token_url(&url, cloud, version, tenant))?;
    Some(url.endpoint(&url.path))
}

fn api_endpoint(
    endpoints: &Reader<'_>,
    protocol: Option<&'static Protocol>,
    cloud: Option<Cloud>,
    region: Option<Region>,
    problems: &mut Problems,
) -> Option<Endpoint> {
    const AT: &str = "/endpoints/api";
    if !endpoints.has("api") {
        let protocol = protocol?;
        // Without a region of its own a government cloud is in the US; the commercial one was complained about.
        let us = cloud.filter(|cloud| *cloud != Cloud::Commercial).map(|_| Region::Us);
        let host = protocol.host(cloud?, region).or_else(|| protocol.host(cloud?, us))?;
        let path = endpoint::api_path("", protocol).ok()?;
        return Url::parse(host, true).ok().map(|url| url.endpoint(&path));
    }
    let text = endpoints.text("api", problems)?;
    let url = problems.keep(AT, Url::parse(text, true))?;
    let protocol = protocol?;
    if let Some(cloud) = cloud {
        problems.keep(AT, endpoint::check_api_host(&url.host, protocol, cloud, region))?;
    }
    let path = problems.keep(AT, endpoint::api_path(&url.path, protocol))?;
    Some(url.endpoint(&path))
}

fn audience(
    endpoints: &Reader<'_>,
    protocol: Option<&'static Protocol>,
    cloud: Option<Cloud>,
    problems: &mut Problems,
) -> Option<String> {
    if !endpoints.has("audience") {
        return Some(protocol?.audience(cloud?).to_owned());
    }
    let text = endpoints.text("audience", problems)?;
    let checked = if text.ends_with("/.default") {
        Err(Complaint::new("ends in /.default", "Take /.default out: token version v2 adds it by itself."))
    } else if text.contains(char::is_whitespace) || !(text.contains("://") || endpoint::is_guid(text)) {
        Err(Complaint::new("is neither a URI nor a GUID", "Leave it out: it follows from `api` and `cloud`."))
    } else {
        match protocol.zip(cloud) {
            Some((protocol, cloud)) => endpoint::check_audience(text, protocol, cloud).map(|()| text.to_owned()),
            None => Ok(text.to_owned()),
        }
    };
    problems.keep("/endpoints/audience", checked)
}

/// The cap on one answer, or the page size of an API that has one.
fn limit(root: &Reader<'_>, protocol: Option<&'static Protocol>, problems: &mut Problems) -> Option<u32> {
    let limit = root.limit("limit", problems);
    let Some(odata) = protocol.and_then(|protocol| protocol.odata.as_ref()) else { return limit };
    let (default, most) = odata.page;
    if let Some(limit) = limit.filter(|limit| *limit > most) {
        let predicate = format!("is {limit}, and the API takes {most} at most");
        problems.add("/limit", predicate, format!("Write a smaller one, or leave it out for {default}."));
    }
    Some(limit.unwrap_or(default))
}

fn selection(root: &Reader<'_>, protocol: Option<&'static Protocol>, problems: &mut Problems) -> Selection {
    let Some((protocol, odata)) = protocol.and_then(|protocol| Some((protocol, protocol.odata.as_ref()?))) else {
        return Selection::default();
    };
    let mut read = |name: &str, words: Words| {
        let is_of_api = find(MEMBERS, name).is_some_and(|member| member.apis.contains(&protocol.name));
        if !root.has(name) || !is_of_api {
            return Vec::new();
        }
        if words.is_empty() {
            problems.add(&root.at(name), "is nothing that this API filters on", "Take it out, and filter the events.");
            return Vec::new();
        }
        root.words(name, words, protocol.title, problems)
    };
    Selection {
        severity: read("severity", odata.severity),
        status: read("status", odata.status),
        service_source: read("service_source", odata.service_source),
    }
}

fn format(root: &Reader<'_>, protocol: Option<&'static Protocol>, problems: &mut Problems) -> Option<Format> {
    let format = root.choice("format", problems).and_then(|at| Format::ALL.get(at).copied())?;
    if let Some(protocol) = protocol.filter(|protocol| format == Format::Csv && protocol.odata.is_some()) {
        let predicate = format!("is `csv`, whose columns are those of detections, and `api` is `{}`", protocol.name);
        problems.add("/format", predicate, "Leave it out for JSON.");
    }
    Some(format)
}

fn start(root: &Reader<'_>, problems: &mut Problems) -> Option<Start> {
    let member = find(MEMBERS, "start")?;
    let text = if root.has("start") { root.text("start", problems)? } else { member.default? };
    problems.keep("/start", as_start(text, member))
}

fn as_start(text: &str, member: &Member) -> Result<Start, Complaint> {
    if text == "now" {
        return Ok(Start::Now);
    }
    if text.starts_with('P') {
        return as_ago(text, member).map(Start::Ago);
    }
    let Ok(time) = as_time(text) else {
        let predicate = format!("is {}, which is neither `now`, nor a duration, nor a time", shown(text));
        return Err(Complaint::new(predicate, "Write now, or PT2H, or 2020-09-12T00:00:00Z, or 2020-09-12."));
    };
    let within = |(first, end)| Tick::parse(first) <= Some(time) && Some(time) < Tick::parse(end);
    if within(START_YEARS) {
        return Ok(Start::At(time));
    }
    let predicate = format!("is {}, and must lie in the years 2010 to 2099", shown(text));
    Err(Complaint::new(
        predicate,
        "The service has nothing older; to read all that it keeps, write a date such as 2020-01-01.",
    ))
}

fn request(root: &Reader<'_>, problems: &mut Problems) -> Option<SingleRequest> {
    if root.has("request") {
        for member in MEMBERS.iter().filter(|member| member.need == Need::WithoutRequest && root.has(member.name)) {
            let hint = match member.name {
                "start" => "Take it out, and use `request.sinceTimeUtc` or `request.ago`.",
                "limit" | "machinegroups" => "Move it into `request`.",
                "device_created_machine_tags" => "Move it into `request`, as `DeviceCreatedMachineTags`.",
                "cloud_created_machine_tags" => "Move it into `request`, as `CloudCreatedMachineTags`.",
                _ => "Take it out: a single request is made once, and reads no range again.",
            };
            problems.add(&root.at(member.name), "has no meaning together with `request`", hint);
        }
    }
    let request = root.object("/request", problems)?;
    let (since, until) = (request.time("sinceTimeUtc", problems), request.time("untilTimeUtc", problems));
    let ago = request.ago("ago", problems);
    if request.has("ago") && (request.has("sinceTimeUtc") || request.has("untilTimeUtc")) {
        let hint = "Keep `ago`, or keep the times: the API does not say what both together mean.";
        problems.add("/request/ago", "stands beside `sinceTimeUtc` or `untilTimeUtc`, and excludes both", hint);
    }
    if let (Some(since), Some(until)) = (since, until)
        && since >= until
    {
        let predicate = format!("is {since}, which is not before `untilTimeUtc`, {until}");
        problems.add("/request/sinceTimeUtc", predicate, "Exchange the two, or make the range longer.");
    }
    Some(SingleRequest {
        since,
        until,
        ago,
        limit: request.limit("limit", problems),
        filters: Filters {
            machinegroups: request.texts("machinegroups", problems),
            device_created_machine_tags: request.texts("DeviceCreatedMachineTags", problems),
            cloud_created_machine_tags: request.texts("CloudCreatedMachineTags", problems),
        },
    })
}

/// The credentials in a configuration, the password of a refused flow among them, so that no message repeats one.
fn secrets(members: &[(String, Node)]) -> Vec<&str> {
    let is_secret = |name: &str| {
        OF_REFUSED_FLOWS.iter().any(|(refused, is_secret)| *refused == name && *is_secret)
            || find(MEMBERS, name).is_some_and(|member| matches!(member.kind, Kind::Secret))
    };
    let credentials = members.iter().filter(|(name, _)| is_secret(name));
    credentials.filter_map(|(_, value)| if let Node::Text(text) = value { Some(text.trim()) } else { None }).collect()
}
