//! What the service answers whose things are updated in place.

use defender_core::http::Request;
use defender_core::tick::{Now, TICKS_PER_SECOND, Tick};

use super::asked::Range;
use super::service::{Answer, body_of, placed};
use super::setup::Setup;
use crate::bytes::Bytes;
use crate::canary;

/// Rows in or about the range that is asked for, in some form of an answer.
pub(super) fn any(bytes: &mut Bytes<'_>, request: &Request, setup: &Setup, range: Option<Range>, now: Now) -> Answer {
    let Range { since, until, top } = range.unwrap_or(Range { since: now.wall, until: now.wall, top: 1 });
    let mut rows = Vec::new();
    let (form, count) = (bytes.byte(), bytes.pick(&[0, 1, 2, 3, 4, 6, 10, 40]));
    let spread = bytes.below(4);
    for index in 0..count {
        // A long answer is made by arithmetic, so that few bytes make it.
        let byte = if count <= 10 { usize::from(bytes.byte()) } else { index * 7 + usize::from(form) };
        rows.push(any_object(byte, spread, since, until, usize::from(form) / 64, request, setup));
    }
    if form & 32 == 0 {
        rows.truncate(top);
    }
    Answer::new(200, body_of(bytes, request, form, &rows, now).into_bytes())
}

fn any_object(
    byte: usize,
    spread: usize,
    since: Tick,
    until: Tick,
    padding: usize,
    request: &Request,
    setup: &Setup,
) -> String {
    let (id, place, at) = placed(byte, spread, since, until);
    let text = "\u{e9}".repeat([0, 10, 60, 300][padding % 4]);
    let updated = setup.api.updated;
    match (spread, byte) {
        (3, 0x10) => "null".to_owned(),
        (3, 0x11) => format!(r#"{{"{}":[],"{updated}":"soon","title":"{text}"}}"#, setup.api.id),
        (3, 0x12) => format!(r#"{{"{updated}":"{at}"}}"#),
        (3, 0x13) => format!("[\"{text}\"]"),
        (3, 0x14) => format!(r#"{{"{}":"\ud800","incidentId":1e999}}"#, setup.api.id),
        (3, 0x15) => r#"{"id":"x" "title":"y"}"#.to_owned(),
        (3, 0x16) => format!(r#"{{"{}":"no-stamp","title":"{text}"}}"#, setup.api.id),
        _ => object(&format!("a{id}:{place}"), at, &text, request, setup),
    }
}

/// One thing. What is expanded makes it larger.
fn object(id: &str, at: Tick, text: &str, request: &Request, setup: &Setup) -> String {
    let api = setup.api;
    // The stamp that is asked for is the one that lies in the range.
    let other = at.plus(TICKS_PER_SECOND);
    let (updated, created) = if setup.is_first_seen { (other, at) } else { (at, other) };
    let expanded = api.expand.filter(|_| request.url.contains("$expand"));
    let expanded = expanded.map_or(String::new(), |name| format!(r#","{name}":[{{"x":"{text}{text}"}}]"#));
    format!(
        r#"{{"{}":"{id}","{}":"{updated}","{}":"{created}","title":"{text}"{expanded}}}"#,
        api.id, api.updated, api.created
    )
}

/// A page as the documents have it, of things that are there for good: a crowd on one tick, and one before and one after it.
pub(super) fn page(request: &Request, setup: &Setup, range: Option<Range>, now: Now) -> Answer {
    let Range { since, until, top } = range.unwrap_or(Range { since: now.wall, until: now.wall, top: 1 });
    let tick = Tick::parse("2026-01-01T11:00:00.0000001Z").unwrap_or_default();
    let all = (0..setup.crowd).map(|index| (index, tick));
    let all = all.chain([(98, tick.minus(TICKS_PER_SECOND)), (99, tick.plus(60 * TICKS_PER_SECOND))]);
    let mut found: Vec<_> = all.filter(|(_, at)| (since..=until).contains(at)).collect();
    found.sort_by_key(|(index, at)| (*at, *index));
    let skip: usize = ["$skip=", canary::LINK].iter().find_map(|mark| number_after(&request.url, mark)).unwrap_or(0);
    let text = "\u{e9}".repeat(setup.crowd % 4 * 20);
    // Pages may be cut shorter than they were asked for.
    let top = if setup.crowd < 12 { top } else { top.min(3) };
    let rows = found.iter().skip(skip).take(top);
    let rows: Vec<_> = rows.map(|(index, at)| object(&format!("c{index}"), *at, &text, request, setup)).collect();
    let next = skip + rows.len();
    let rows = rows.join(",");
    let body = if setup.api.links && next < found.len() {
        let here = request.url.split('?').next().unwrap_or_default();
        format!(r#"{{"value":[{rows}],"@odata.nextLink":"{here}?$skiptoken={}{next}"}}"#, canary::LINK)
    } else {
        format!(r#"{{"value":[{rows}]}}"#)
    };
    Answer::new(200, body.into_bytes())
}

fn number_after(url: &str, mark: &str) -> Option<usize> {
    url.split(mark).nth(1)?.split('&').next()?.parse().ok()
}
