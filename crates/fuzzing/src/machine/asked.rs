//! What the instance asked for, and what holds of every request.

use defender_core::http::Request;
use defender_core::tick::{Now, TICKS_PER_SECOND, Tick, Ticks};

use super::api::Api;
use super::service::is_for_token;
use crate::{Reached, canary};

/// The shortest slice of what is updated in place, in ticks.
pub(super) const LEAST: Ticks = 2 * TICKS_PER_SECOND / 1000;

/// A range of stamps, both ends of it included.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Range {
    pub(super) since: Tick,
    pub(super) until: Tick,
    /// The rows of a page.
    pub(super) top: usize,
}

impl Range {
    /// Whether nothing shorter is asked for: two milliseconds, since a service may read bounds no finer.
    fn is_least(self) -> bool {
        self.until.0 - self.since.0 <= LEAST
    }
}

/// What the instance has asked an API for, which knows the calls of those before it that handed on their token.
#[derive(Debug, Default)]
pub(super) struct Asked {
    /// The last range that was asked for other than by a link.
    pub(super) range: Option<Range>,
    /// When the calls were made, on the monotonic clock.
    calls: Vec<u64>,
}

impl Asked {
    /// The quota is kept, what a request names is planned, and a page beyond the first is one of the range before.
    pub(super) fn see(&mut self, request: &Request, api: &Api, is_first_seen: bool, now: Now, reached: &mut Reached) {
        check_secrets(request, api);
        if is_for_token(request) {
            return;
        }
        self.calls.push(now.monotonic);
        for (most, seconds) in api.quotas {
            let recent = |at: &&u64| now.monotonic - **at < seconds * 1_000_000_000;
            let count = self.calls.iter().filter(recent).count();
            assert!(count <= *most, "{count} calls in {seconds} s");
        }
        if !api.updates() {
            assert!(!request.url.contains("$skip="), "{}", request.url);
            return;
        }
        if request.url.contains(canary::LINK) {
            let Some(range) = self.range else { panic!("a link without a page before it: {}", request.url) };
            reached.insert(if range.is_least() { "page-of-a-least-range-by-link" } else { "page-by-link" });
            return;
        }
        let Some(range) = range_of(&request.url, api, is_first_seen) else { panic!("no range: {}", request.url) };
        assert!(range.since <= range.until, "{}", request.url);
        assert!(api.expand.is_some() || !request.url.contains("$expand"), "{}", request.url);
        let prefers = request.headers.iter().any(|(name, _)| *name == "prefer");
        assert_eq!(prefers, api.origin.contains("graph"), "{request:?}");
        if request.url.contains("$skip=") {
            assert_eq!(self.range, Some(range), "a page of another range: {}", request.url);
            reached.insert("page-by-skip");
        } else if self.range == Some(range) && range.is_least() {
            reached.insert("least-range-again");
        }
        reached.extend((api.expand.is_some() && !request.url.contains("$expand")).then_some("without-expand"));
        self.range = Some(range);
    }

    /// The instance is gone; the next one knows of its calls or not.
    pub(super) fn restart(&mut self, knows_calls: bool) {
        self.range = None;
        if !knows_calls {
            self.calls.clear();
        }
    }
}

/// What a planned request of an API that speaks `OData` asks for.
fn range_of(url: &str, api: &Api, is_first_seen: bool) -> Option<Range> {
    let stamp = if is_first_seen { api.created } else { api.updated };
    let filter = url.strip_prefix(api.origin)?.strip_prefix("?$filter=")?;
    let (filter, rest) = filter.split_once('&')?;
    let bounds = filter.strip_prefix(stamp)?.strip_prefix("%20ge%20")?;
    let (since, bounds) = bounds.split_once("%20and%20")?;
    let until = bounds.strip_prefix(stamp)?.strip_prefix("%20le%20")?.split('%').next()?;
    let top = rest.split("$top=").nth(1)?.split('&').next()?.parse().ok()?;
    Some(Range { since: Tick::parse(since)?, until: Tick::parse(until)?, top })
}

/// The secret goes to the token endpoint alone, the token to the endpoint of the API alone.
fn check_secrets(request: &Request, api: &Api) {
    canary::check(request);
    let form = canary::find(&request.body, b"kanarie9Q").is_some();
    let bearer = request.headers.iter().any(|(_, value)| value.contains(canary::TOKEN));
    let is_for_token = is_for_token(request);
    assert!(form == is_for_token && bearer != is_for_token, "{request:?}");
    let origin = if is_for_token { "https://login.microsoftonline.com/" } else { host_of(api.origin) };
    assert!(request.url.starts_with(origin) && !request.url.contains("kanarie9Q"), "{request:?}");
}

/// An origin with the slash behind it.
fn host_of(url: &'static str) -> &'static str {
    let path = url.match_indices('/').nth(2).map_or(url.len(), |(at, _)| at + 1);
    &url[..path]
}
