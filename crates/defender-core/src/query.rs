//! Requests to the detections endpoint.
//!
//! Source: Microsoft Learn, "Pull Microsoft Defender for Endpoint detections using SIEM REST API", section *Request*.

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

use crate::config::{Config, Filters};
use crate::http::{Method, Request};
use crate::secret::Secret;
use crate::tick::Tick;

/// What a query escapes: everything but RFC 3986's unreserved characters and the colon, which stamps hold.
const ESCAPED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~').remove(b':');

/// The parameters that the API documents.
#[derive(Clone, Debug, Default)]
pub(crate) struct Query<'a> {
    /// `sinceTimeUtc`: the lower bound on `LastProcessedTimeUtc`.
    pub(crate) since: Option<Tick>,
    /// `untilTimeUtc`: the upper bound.
    pub(crate) until: Option<Tick>,
    /// `ago`: an ISO 8601 duration up to now.
    pub(crate) ago: Option<&'a str>,
    /// `limit`: the newest so many.
    pub(crate) limit: Option<u32>,
    /// `machinegroups` and both tags, repeated.
    pub(crate) filters: Option<&'a Filters>,
}

/// The request for the detections of a query.
pub(crate) fn detections_request(config: &Config, query: &Query<'_>, bearer: &Secret) -> Request {
    let mut url = config.api_endpoint.url.clone();
    let mut push = |name: &str, value: &str| {
        url.push(if url.contains('?') { '&' } else { '?' });
        url.push_str(name);
        url.push('=');
        url.extend(utf8_percent_encode(value, ESCAPED));
    };
    if let Some(limit) = query.limit {
        push("limit", &limit.to_string());
    }
    if let Some(since) = query.since {
        push("sinceTimeUtc", &since.to_string());
    }
    if let Some(until) = query.until {
        push("untilTimeUtc", &until.to_string());
    }
    if let Some(ago) = query.ago {
        push("ago", ago);
    }
    if let Some(filters) = query.filters {
        for (name, values) in [
            ("machinegroups", &filters.machinegroups),
            ("DeviceCreatedMachineTags", &filters.device_created_machine_tags),
            ("CloudCreatedMachineTags", &filters.cloud_created_machine_tags),
        ] {
            for value in values {
                push(name, value);
            }
        }
    }
    request_to(url, bearer)
}

/// The request for what a URL of the API names.
pub(crate) fn request_to(url: String, bearer: &Secret) -> Request {
    let authorization = format!("Bearer {}", bearer.expose());
    let headers = vec![("accept", "application/json".to_owned()), ("authorization", authorization)];
    Request { method: Method::Get, url, headers, body: Vec::new() }
}
