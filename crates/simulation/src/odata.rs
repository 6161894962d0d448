//! A request of an API that speaks OData, read as strictly as can be: what is not exactly as documented is refused.

use defender_core::http::Request;
use defender_core::tick::Tick;

use crate::api::{Facts, Filter};

/// What a request asks for.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Query {
    /// The stamps that it asks for, both included.
    pub(crate) first: Tick,
    pub(crate) last: Tick,
    /// The words that a row may have, for each filter.
    pub(crate) words: Vec<(Filter, Vec<String>)>,
    pub(crate) top: usize,
    pub(crate) skip: usize,
    pub(crate) expands: bool,
    /// Whether it asks for the oldest first.
    pub(crate) orders: bool,
}

impl Query {
    /// The query of a request for things of which this stamp counts.
    pub(crate) fn read(request: &Request, facts: &Facts, stamp: &str) -> Result<Self, String> {
        let refuse = |why: &str| Err(format!("400 {why}: {}", request.url));
        let (place, query) = request.url.split_once('?').unwrap_or((&request.url, ""));
        if place != facts.url {
            return refuse("another place");
        }
        let prefer = request.headers.iter().find(|(name, _)| *name == "prefer").map(|(_, value)| value.as_str());
        if prefer != facts.is_graph.then_some("include-unknown-enum-members") {
            return refuse("another `Prefer`");
        }
        let (mut filter, mut top, mut skip, mut expand, mut order) = (None, None, None, None, None);
        for pair in query.split('&') {
            let Some((name, value)) = pair.split_once('=') else { return refuse("a parameter without a value") };
            let Some(value) = decoded(value) else { return refuse("a parameter that is not encoded") };
            let place = match name {
                "$filter" => &mut filter,
                "$top" => &mut top,
                "$skip" => &mut skip,
                "$expand" => &mut expand,
                "$orderby" if facts.is_graph => &mut order,
                _ => return refuse("an unknown parameter"),
            };
            if place.replace(value).is_some() {
                return refuse("a parameter that comes twice");
            }
        }
        if expand.as_deref().is_some_and(|expand| Some(expand) != facts.expand) {
            return refuse("another `$expand`");
        }
        if order.as_deref().is_some_and(|order| order != stamp) {
            return refuse("another `$orderby`");
        }
        let Some(top) = top.as_deref().and_then(whole).filter(|top| (1..=facts.most).contains(top)) else {
            return refuse("`$top` is missing or too large");
        };
        let skip = match skip.as_deref().map(whole) {
            None => 0,
            Some(Some(skip)) if skip > 0 => skip,
            Some(_) => return refuse("`$skip` is no number above 0"),
        };
        let filter = filter.unwrap_or_default();
        let Some((first, last, words)) = read_filter(&filter, facts, stamp) else { return refuse("another `$filter`") };
        Ok(Self { first, last, words, top, skip, expands: expand.is_some(), orders: order.is_some() })
    }
}

type Filtered = (Tick, Tick, Vec<(Filter, Vec<String>)>);

fn read_filter(filter: &str, facts: &Facts, stamp: &str) -> Option<Filtered> {
    let mut terms = filter.split(" and ");
    let first = read_stamp(terms.next()?.strip_prefix(stamp)?.strip_prefix(" ge ")?)?;
    let last = read_stamp(terms.next()?.strip_prefix(stamp)?.strip_prefix(" le ")?)?;
    let mut words: Vec<(Filter, Vec<String>)> = Vec::new();
    for term in terms {
        let several = term.strip_prefix('(').and_then(|term| term.strip_suffix(')'));
        let mut of = None;
        let mut chosen = Vec::new();
        for one in several.unwrap_or(term).split(" or ") {
            let (member, word) = one.split_once(" eq ")?;
            let filter = *facts.filters.iter().find(|filter| facts.member(**filter) == member)?;
            let word = word.strip_prefix('\'')?.strip_suffix('\'')?;
            let is_known = facts.words(filter).contains(&word);
            if !is_known || of.replace(filter).is_some_and(|before| before != filter) {
                return None;
            }
            chosen.push(word.to_owned());
        }
        // Without parentheses `or` would reach beyond the member.
        if chosen.len() > 1 && several.is_none() || words.iter().any(|(filter, _)| Some(*filter) == of) {
            return None;
        }
        words.push((of?, chosen));
    }
    (first <= last).then_some((first, last, words))
}

impl Facts {
    pub(crate) fn member(&self, filter: Filter) -> &'static str {
        match filter {
            Filter::Severity => "severity",
            Filter::Status => "status",
            Filter::Source => self.source,
        }
    }

    pub(crate) fn words(&self, filter: Filter) -> &'static [&'static str] {
        match filter {
            Filter::Severity => self.severities,
            Filter::Status => self.statuses,
            Filter::Source => self.sources,
        }
    }
}

/// A stamp of seven digits, in UTC and without quotes.
fn read_stamp(text: &str) -> Option<Tick> {
    Tick::parse(text).filter(|tick| tick.to_string() == text)
}

fn whole(text: &str) -> Option<usize> {
    text.parse().ok().filter(|number: &usize| number.to_string() == text)
}

/// A value without its percent signs; none where a character stands in it that has to be encoded.
fn decoded(value: &str) -> Option<String> {
    let mut bytes = Vec::new();
    let mut rest = value.bytes();
    while let Some(byte) = rest.next() {
        match byte {
            b'%' => {
                let digits = [rest.next()?, rest.next()?];
                bytes.push(u8::from_str_radix(std::str::from_utf8(&digits).ok()?, 16).ok()?);
            }
            b' ' | b'+' | b'&' | b'#' | b'"' | b'<' | b'>' => return None,
            _ => bytes.push(byte),
        }
    }
    String::from_utf8(bytes).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::Api;
    use defender_core::http::Method;

    const ALERTS: &str = "https://api.security.microsoft.com/api/alerts?";
    const GRAPH: &str = "https://graph.microsoft.com/v1.0/security/alerts_v2?";
    const RANGE: &str =
        "lastUpdateTime%20ge%202026-01-01T00:00:00.0000000Z%20and%20lastUpdateTime%20le%202026-01-01T01:00:00.0000000Z";
    const GRAPH_RANGE: &str = "lastUpdateDateTime%20ge%202026-01-01T00:00:00.0000000Z%20and%20lastUpdateDateTime%20le%202026-01-01T01:00:00.0000000Z";

    fn read(url: &str, api: Api) -> Result<Query, String> {
        let facts = api.facts().unwrap();
        let prefer = facts.is_graph.then(|| ("prefer", "include-unknown-enum-members".to_owned()));
        let request = Request {
            method: Method::Get,
            url: url.to_owned(),
            headers: prefer.into_iter().collect(),
            body: Vec::new(),
        };
        Query::read(&request, facts, facts.updated)
    }

    #[test]
    fn what_is_as_documented_is_read() {
        let words = "%20and%20(severity%20eq%20'High'%20or%20severity%20eq%20'Low')%20and%20status%20eq%20'New'";
        let url = format!("{ALERTS}$filter={RANGE}{words}&$expand=evidence&$top=10000&$skip=20");
        let query = read(&url, Api::Alerts).unwrap();
        assert_eq!((query.top, query.skip, query.expands), (10_000, 20, true));
        let chosen = [(Filter::Severity, vec!["High".into(), "Low".into()]), (Filter::Status, vec!["New".into()])];
        assert_eq!(query.words, chosen);
        assert_eq!(
            (query.first, query.last.0 - query.first.0),
            (Tick::parse("2026-01-01T00:00:00Z").unwrap(), 36_000_000_000)
        );
        let url = format!("{GRAPH}$filter={GRAPH_RANGE}&$orderby=lastUpdateDateTime&$top=1000");
        assert!(read(&url, Api::Graph).is_ok());
    }

    #[test]
    fn what_is_not_exactly_so_is_refused() {
        let range = RANGE.replace("%20", " ");
        for (parameters, api) in [
            (format!("$filter={RANGE}"), Api::Alerts),
            (format!("$filter={RANGE}&$top=0"), Api::Alerts),
            (format!("$filter={RANGE}&$top=10001"), Api::Alerts),
            (format!("$filter={RANGE}&$top=9&$top=9"), Api::Alerts),
            (format!("$filter={RANGE}&$top=9&$skip=0"), Api::Alerts),
            (format!("$filter={RANGE}&$top=9&$expand=alerts"), Api::Alerts),
            (format!("$filter={RANGE}&$top=9&$orderby=lastUpdateTime"), Api::Alerts),
            (format!("$filter={RANGE}&$top=9&$count=true"), Api::Alerts),
            (format!("$filter={range}&$top=9"), Api::Alerts),
            (format!("$filter={}&$top=9", range.replace(' ', "+")), Api::Alerts),
            (format!("$filter={}&$top=9", RANGE.replace("0000000Z", "000Z")), Api::Alerts),
            (format!("$filter={}&$top=9", RANGE.replace("lastUpdateTime", "alertCreationTime")), Api::Alerts),
            (format!("$filter={}&$top=9", RANGE.replace("%20ge%20", "%20gt%20")), Api::Alerts),
            (format!("$filter={RANGE}%20and%20severity%20eq%20'high'&$top=9"), Api::Alerts),
            (format!("$filter={RANGE}%20and%20severity%20eq%20High&$top=9"), Api::Alerts),
            (format!("$filter={RANGE}%20and%20title%20eq%20'High'&$top=9"), Api::Alerts),
            (
                format!("$filter={RANGE}%20and%20severity%20eq%20'High'%20or%20severity%20eq%20'Low'&$top=9"),
                Api::Alerts,
            ),
            (format!("$filter={GRAPH_RANGE}&$orderby=createdDateTime&$top=9"), Api::Graph),
            (format!("$filter={GRAPH_RANGE}&$orderby=lastUpdateDateTime&$top=1001"), Api::Graph),
        ] {
            let place = if api == Api::Graph { GRAPH } else { ALERTS };
            let refused = read(&format!("{place}{parameters}"), api);
            assert!(refused.is_err(), "{parameters}: {refused:?}");
        }
        let elsewhere = format!("{}$filter={RANGE}&$top=9", ALERTS.replace("alerts", "machines"));
        assert!(read(&elsewhere, Api::Alerts).is_err());
    }
}
