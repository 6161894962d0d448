//! Requests to the endpoint of the API.
//!
//! Sources: Microsoft Learn, "Pull Microsoft Defender for Endpoint detections using SIEM REST API", section *Request*; for the
//! others OASIS, "OData Version 4.01, Part 2: URL Conventions", and the pages that `protocol` names.

use std::fmt::Write as _;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

use crate::config::{Config, Emit, Filters};
use crate::http::{Method, Request};
use crate::protocol::{OData, Words};
use crate::secret::Secret;
use crate::tick::Tick;

/// What a query escapes: everything but RFC 3986's unreserved characters and the colon, which stamps hold.
const ESCAPED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~').remove(b':');

/// What is asked for.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Query<'a> {
    /// The lower bound on the visible time.
    pub(crate) since: Option<Tick>,
    /// The upper bound.
    pub(crate) until: Option<Tick>,
    /// `ago`: an ISO 8601 duration up to now.
    pub(crate) ago: Option<&'a str>,
    /// `limit`, the newest so many; `$top`, the page size.
    pub(crate) limit: Option<u32>,
    /// `machinegroups` and both tags, repeated.
    pub(crate) filters: Option<&'a Filters>,
    /// Whether `$orderby` is left out.
    pub(crate) is_unordered: bool,
    /// Whether `$expand` is left out.
    pub(crate) is_plain: bool,
    /// `$skip`: so many rows are left out.
    pub(crate) skip: u32,
}

/// Where the records of a query are.
pub(crate) fn url_of(config: &Config, query: &Query<'_>) -> String {
    let mut url = Url(config.api_endpoint.url.clone());
    match &config.protocol.odata {
        Some(odata) => push_odata(&mut url, config, odata, query),
        None => push_detections(&mut url, query),
    }
    url.0
}

/// The request for what a URL of the API names.
pub(crate) fn request_to(config: &Config, url: String, bearer: &Secret) -> Request {
    let mut headers = vec![("accept", "application/json".to_owned())];
    if let Some(prefer) = config.protocol.odata.as_ref().and_then(|odata| odata.prefer) {
        headers.push(("prefer", prefer.to_owned()));
    }
    headers.push(("authorization", format!("Bearer {}", bearer.expose())));
    Request { method: Method::Get, url, headers, body: Vec::new() }
}

/// A URL that takes parameters.
struct Url(String);

impl Url {
    fn push(&mut self, name: &str, value: &str) {
        self.0.push(if self.0.contains('?') { '&' } else { '?' });
        self.0.push_str(name);
        self.0.push('=');
        self.0.extend(utf8_percent_encode(value, ESCAPED));
    }
}

/// The parameters that the SIEM API documents.
fn push_detections(url: &mut Url, query: &Query<'_>) {
    if let Some(limit) = query.limit {
        url.push("limit", &limit.to_string());
    }
    if let Some(since) = query.since {
        url.push("sinceTimeUtc", &since.to_string());
    }
    if let Some(until) = query.until {
        url.push("untilTimeUtc", &until.to_string());
    }
    if let Some(ago) = query.ago {
        url.push("ago", ago);
    }
    let Some(filters) = query.filters else { return };
    for (name, values) in [
        ("machinegroups", &filters.machinegroups),
        ("DeviceCreatedMachineTags", &filters.device_created_machine_tags),
        ("CloudCreatedMachineTags", &filters.cloud_created_machine_tags),
    ] {
        for value in values {
            url.push(name, value);
        }
    }
}

fn push_odata(url: &mut Url, config: &Config, odata: &OData, query: &Query<'_>) {
    let stamp = match config.emit {
        Emit::EveryUpdate => odata.updated,
        Emit::FirstSeen => odata.created,
    };
    url.push("$filter", &filter(config, odata, stamp, query));
    if odata.orders && !query.is_unordered {
        url.push("$orderby", stamp);
    }
    if let Some(expand) = config.expanded().filter(|_| !query.is_plain) {
        url.push("$expand", expand);
    }
    if let Some(limit) = query.limit {
        url.push("$top", &limit.to_string());
    }
    if query.skip > 0 {
        url.push("$skip", &query.skip.to_string());
    }
}

/// Both bounds of the stamp, and one alternative of words for each filter.
fn filter(config: &Config, odata: &OData, stamp: &str, query: &Query<'_>) -> String {
    let bounds = [("ge", query.since), ("le", query.until)];
    let bounds = bounds.into_iter().filter_map(|(operator, at)| Some(format!("{stamp} {operator} {}", at?)));
    let mut filter = bounds.collect::<Vec<_>>().join(" and ");
    for (name, chosen, words) in [
        ("severity", &config.selection.severity, odata.severity),
        ("status", &config.selection.status, odata.status),
        ("serviceSource", &config.selection.service_source, odata.service_source),
    ] {
        let mut before = " and (";
        for word in chosen {
            let _ = write!(filter, "{before}{name} eq '{}'", spelled(words, word));
            before = " or ";
        }
        if !chosen.is_empty() {
            filter.push(')');
        }
    }
    filter
}

/// A word of the configuration as the API has it.
fn spelled(words: Words, word: &str) -> &'static str {
    words.iter().find(|(ours, _)| *ours == word).map_or("", |(_, theirs)| theirs)
}
