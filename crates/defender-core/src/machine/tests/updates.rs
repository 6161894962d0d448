//! What is updated in place: each version is an event, whose missing part comes later.

use super::passes::TICKS;
use super::*;
use crate::contract::Gap;

pub(super) const START: &str = r#","start":"2026-01-01T11:00:00Z","slice":"PT2H""#;

/// A request, with its query as it reads.
pub(super) fn read(url: &str) -> String {
    percent_encoding::percent_decode_str(url).decode_utf8().unwrap().into_owned()
}

pub(super) fn alert(id: &str, updated: &str) -> String {
    format!(r#"{{"id":"{id}","createdDateTime":"2026-01-01T10:00:00Z","lastUpdateDateTime":"{updated}"}}"#)
}

pub(super) fn answer(rows: &[String], link: Option<&str>) -> Answer {
    let link = link.map(|link| format!(r#","@odata.nextLink":"{link}""#)).unwrap_or_default();
    ok(format!(r#"{{"@odata.context":"x","value":[{}]{link}}}"#, rows.join(",")))
}

pub(super) fn keys(batch: &Batch) -> Vec<&str> {
    batch.events.iter().map(|event| event.key.as_str()).collect()
}

/// Whether a request asks for what lies at this stamp.
pub(super) fn covers(url: &str, at: &str) -> bool {
    let url = read(url);
    let bound = |operator: &str| Tick::parse(url.split(operator).nth(1).unwrap().get(..28).unwrap()).unwrap();
    (bound(" ge ")..=bound(" le ")).contains(&Tick::parse(at).unwrap())
}

#[test]
fn each_api_is_asked_in_its_own_words() {
    for (api, members, expected) in [
        (
            "alerts",
            r#","severity":["high","low"]"#,
            "https://api.security.microsoft.com/api/alerts?$filter=lastUpdateTime ge 2026-01-01T11:00:00.0000000Z and \
             lastUpdateTime le 2026-01-01T11:59:00.0000000Z and (severity eq 'High' or severity eq 'Low')\
             &$expand=evidence&$top=1000",
        ),
        (
            "alerts",
            r#","emit":"first-seen","limit":7,"region":"eu""#,
            "https://eu.api.security.microsoft.com/api/alerts?$filter=alertCreationTime ge 2026-01-01T11:00:00.0000000Z and \
             alertCreationTime le 2026-01-01T11:59:00.0000000Z&$expand=evidence&$top=7",
        ),
        (
            "graph",
            r#","status":"new","service_source":["microsoftDefenderForEndpoint"]"#,
            "https://graph.microsoft.com/v1.0/security/alerts_v2?$filter=lastUpdateDateTime ge 2026-01-01T11:00:00.0000000Z \
             and lastUpdateDateTime le 2026-01-01T11:59:00.0000000Z and (status eq 'new') and (serviceSource eq \
             'microsoftDefenderForEndpoint')&$orderby=lastUpdateDateTime&$top=100",
        ),
        (
            "incidents",
            r#","expand":"off","limit":7"#,
            "https://graph.microsoft.com/v1.0/security/incidents?$filter=lastUpdateDateTime ge 2026-01-01T11:00:00.0000000Z \
             and lastUpdateDateTime le 2026-01-01T11:59:00.0000000Z&$orderby=lastUpdateDateTime&$top=7",
        ),
        (
            "incidents",
            r#","emit":"first-seen""#,
            "https://graph.microsoft.com/v1.0/security/incidents?$filter=createdDateTime ge 2026-01-01T11:00:00.0000000Z \
             and createdDateTime le 2026-01-01T11:59:00.0000000Z&$orderby=createdDateTime&$expand=alerts&$top=50",
        ),
        (
            "incidents",
            r#","endpoints":{"api":"api.security.microsoft.com"},"status":"active""#,
            "https://api.security.microsoft.com/api/incidents?$filter=lastUpdateTime ge 2026-01-01T11:00:00.0000000Z and \
             lastUpdateTime le 2026-01-01T11:59:00.0000000Z and (status eq 'Active')&$top=100",
        ),
    ] {
        let mut rig = Rig::of(api, &format!("{START}{members}"), &Position::Resume(None));
        rig.poll(BUDGET, |_| answer(&[], None)).unwrap();
        assert_eq!(rig.requests.iter().map(|url| read(url)).collect::<Vec<_>>(), [expected]);
        assert!(!rig.requests[0].contains([' ', '\'', '(']), "{}", rig.requests[0]);
    }
}

#[test]
fn graph_is_asked_for_words_that_came_later() {
    for (api, prefers) in [("siem", false), ("alerts", false), ("graph", true), ("incidents", true)] {
        let region = if api == "siem" { r#","region":"eu""# } else { "" };
        let mut rig = Rig::of(api, region, &Position::Resume(None));
        rig.machine.begin(BUDGET, rig.now).unwrap();
        let Output::Send(_) = rig.machine.step(rig.now) else { panic!("{api}") };
        rig.machine.handle(Input::ResponseHead(ResponseHead { status: 200, headers: Vec::new() }), rig.now);
        let token = br#"{"token_type":"Bearer","expires_in":"3599","access_token":"opaque-token"}"#;
        rig.machine.handle(Input::BodyChunk(token), rig.now);
        rig.machine.handle(Input::BodyEnd, rig.now);
        let Output::Send(request) = rig.machine.step(rig.now) else { panic!("{api}") };
        let prefer = request.headers.iter().find(|(name, _)| *name == "prefer").map(|(_, value)| value.as_str());
        assert_eq!(prefer, prefers.then_some("include-unknown-enum-members"), "{api}");
    }
}

#[test]
fn where_the_order_is_refused_it_is_asked_for_no_more() {
    let mut rig = Rig::of("graph", START, &Position::Resume(None));
    let refused =
        |url: &str| if url.contains("$orderby") { (400, Vec::new(), String::new()) } else { answer(&[], None) };
    rig.poll(BUDGET, refused).unwrap();
    rig.advance(300);
    rig.poll(BUDGET, refused).unwrap();
    let ordered: Vec<_> = rig.requests.iter().map(|url| url.contains("$orderby")).collect();
    assert_eq!(ordered, [true, false, false]);
    // A request that is refused for something else is so without it as well.
    let mut rig = Rig::of("graph", START, &Position::Resume(None));
    let failure = rig.poll(BUDGET, |_| (400, Vec::new(), String::new())).unwrap_err();
    assert_eq!((failure.kind(), rig.requests.len()), ("rejected", 2));
}

#[test]
fn each_version_is_an_event_and_the_first_one_alone_if_so_configured() {
    for (emit, expected) in [
        ("every-update", vec!["da1_2@2026-01-01T11:30:00.0000000Z", "da1_2@2026-01-01T12:01:00.5000000Z"]),
        ("first-seen", vec!["da1_2"]),
    ] {
        let members = format!(r#","start":"2026-01-01T09:00:00Z","slice":"P1D","overlap":"PT3H","emit":"{emit}""#);
        let mut rig = Rig::of("graph", &members, &Position::Resume(None));
        let mut seen = Vec::new();
        for updated in ["2026-01-01T11:30:00Z", "2026-01-01T11:30:00.0Z", "2026-01-01T12:01:00.5Z"] {
            let batch = rig.poll(BUDGET, |_| answer(&[alert("da1_2", updated)], None)).unwrap();
            for event in &batch.events {
                assert_eq!((event.kind, &*event.subject, event.attributes.len()), ("alert", "da1_2", 0));
                assert_eq!(event.occurred, Tick::parse("2026-01-01T10:00:00Z"));
                let visible = if emit == "first-seen" { event.occurred } else { Tick::parse(updated) };
                assert_eq!(event.visible, visible);
                seen.push(event.key.clone());
            }
            rig.advance(300);
        }
        assert_eq!(seen, expected);
    }
}

#[test]
fn an_answer_as_full_as_a_page_is_halved_and_no_page_is_turned() {
    for link in [None, Some("https://graph.microsoft.com/v1.0/security/alerts_v2?$skiptoken=x")] {
        let mut rig = Rig::of("graph", &format!(r#"{START},"limit":2"#), &Position::Resume(None));
        let rows = [alert("a", "2026-01-01T11:10:00Z"), alert("b", "2026-01-01T11:50:00Z")];
        let mut asked = 0;
        let batch = rig
            .poll(BUDGET, |_| {
                asked += 1;
                match asked {
                    1 => answer(&rows, link),
                    2 => answer(&rows[..1], None),
                    _ => answer(&rows[1..], None),
                }
            })
            .unwrap();
        assert_eq!(keys(&batch).len(), 2);
        assert!(rig.requests.iter().all(|url| url.contains("$filter=") && !url.contains("skip")), "{:?}", rig.requests);
        assert_eq!(rig.requests.len(), 3, "{:?}", rig.requests);
        assert!(batch.counters.contains(&("splits", 1)) && batch.gaps.is_empty());
    }
}

#[test]
fn a_partial_answer_is_a_gap_and_read_again_for_a_day() {
    let mut rig = Rig::of("graph", START, &Position::Resume(None));
    let partial = |rows: &[String]| {
        let (_, _, body) = answer(rows, None);
        (206, vec![("warning", "199 - \"Microsoft/WDATP/401/228\"".to_owned())], body)
    };
    let row = alert("a", "2026-01-01T11:10:00Z");
    let first = rig.poll(BUDGET, |_| partial(std::slice::from_ref(&row))).unwrap();
    assert_eq!((keys(&first).len(), first.gaps.len(), &first.gaps[0].cause), (1, 1, &GapCause::Partial));
    assert_eq!(first.watermark, None);
    rig.advance(2 * 3600);
    let second = rig.poll(BUDGET, |_| partial(std::slice::from_ref(&row))).unwrap();
    assert!(read(&rig.requests[1]).contains("ge 2026-01-01T11:00:00.0000000Z"), "{:?}", rig.requests);
    assert_eq!(keys(&second), Vec::<&str>::new());
    assert!(second.gaps.iter().all(|gap| gap.since >= first.gaps[0].until), "what was told is not told again");
    rig.advance(300);
    let late = alert("b", "2026-01-01T11:11:00Z");
    let third = rig
        .poll(BUDGET, |url| {
            let is_first = read(url).contains("ge 2026-01-01T11:00:00");
            if is_first { answer(&[row.clone(), late.clone()], None) } else { answer(&[], None) }
        })
        .unwrap();
    assert_eq!(keys(&third), ["b@2026-01-01T11:11:00.0000000Z"]);
    assert!(third.watermark.is_some() && third.gaps.is_empty());
    // One that stays partial is left behind after a day.
    for _ in 0..30 {
        rig.advance(3600);
        rig.poll(BUDGET, |_| partial(&[])).unwrap();
    }
    assert!(rig.machine.state.as_ref().unwrap().reread > Tick::parse("2026-01-01T12:00:00Z").unwrap());
}

#[test]
fn what_is_read_again_is_told_where_a_part_of_what_follows_was_missing_first() {
    let members = r#","start":"2026-01-01T11:30:00Z","slice":"PT5M","overlap":"PT3H""#;
    let mut rig = Rig::of("graph", members, &Position::Resume(None));
    let mut told: Vec<Gap> = Vec::new();
    for begins in ["11:50", "11:30", "11:40"] {
        let missing_from = Tick::parse(&format!("2026-01-01T{begins}:00Z")).unwrap();
        let batch = rig.poll(BUDGET, |url| {
            let since = Tick::parse(&read(url).split(" ge ").nth(1).unwrap()[..TICKS]).unwrap();
            (if since >= missing_from { 206 } else { 200 }, Vec::new(), answer(&[], None).2)
        });
        told.extend(batch.unwrap().gaps);
        rig.advance(300);
    }
    // Each begins where the one before ended, and the first where reading again does.
    assert_eq!(told[0].since, Tick::parse("2026-01-01T11:30:00Z").unwrap(), "{told:?}");
    assert!(told.windows(2).all(|pair| pair[0].until == pair[1].since), "{told:?}");
    assert_eq!(told[told.len() - 1].until, Tick::parse("2026-01-01T12:09:00Z").unwrap(), "{told:?}");
}

#[test]
fn an_api_that_does_not_say_partial_is_not_believed_to() {
    let mut rig = Rig::of("alerts", START, &Position::Resume(None));
    let refused = rig.poll(BUDGET, |_| (206, Vec::new(), "[]".to_owned())).unwrap_err();
    assert_eq!(refused.kind(), "rejected");
}

#[test]
fn no_more_calls_are_made_than_the_api_allows() {
    let mut rig = Rig::of("alerts", r#","start":"2025-12-01","slice":"PT5M""#, &Position::Resume(None));
    let budget = Budget { max_requests: 10_000, ..BUDGET };
    let row = |url: &str| {
        let stamp = read(url).split("ge ").nth(1).unwrap()[..28].to_owned();
        let stamp = Tick::parse(&stamp).unwrap().plus(1);
        answer(&[format!(r#"{{"id":"{stamp}","lastUpdateTime":"{stamp}"}}"#)], None)
    };
    let batch = rig.poll(budget, row).unwrap();
    assert_eq!((rig.requests.len(), batch.next), (100, NextPoll::Now));
    let Err(Failure::Throttled(delay)) = rig.poll(budget, row) else { panic!("the quota is used up") };
    assert_eq!((&*delay.fault.code, delay.after), ("quota.used-up", Some(60_000_000_000)));
    assert!(delay.fault.message.contains("100 in 60 s"), "{}", delay.fault.message);
    rig.advance(59);
    assert!(rig.poll(budget, row).is_err());
    rig.advance(1);
    rig.poll(budget, row).unwrap();
    assert_eq!(rig.requests.len(), 200);
    // A fresh instance of the same configuration goes on counting, where the host hands over what is kept.
    let mut fresh = Machine::new(rig.machine.config.clone(), &Position::Resume(None)).unwrap();
    fresh.take_tokens(&mut rig.machine);
    rig.machine = fresh;
    assert!(rig.poll(budget, row).is_err());
}

#[test]
fn what_is_refused_is_asked_for_without_an_order_where_there_was_one() {
    for (api, asked) in [("graph", 2), ("alerts", 1)] {
        let mut rig = Rig::of(api, START, &Position::Resume(None));
        let failure = rig.poll(BUDGET, |_| (400, Vec::new(), String::new())).unwrap_err();
        assert_eq!((failure.kind(), rig.requests.len()), ("rejected", asked), "{:?}", rig.requests);
    }
}

#[test]
fn a_probe_asks_for_as_little_as_there_is() {
    let mut rig = Rig::of("incidents", START, &Position::Resume(None));
    rig.machine = Machine::probe(rig.machine.config.clone());
    rig.poll(BUDGET, |_| answer(&[], None)).unwrap();
    let [url] = &rig.requests[..] else { panic!("{:?}", rig.requests) };
    assert!(!url.contains("$expand") && !url.contains("$orderby") && url.ends_with("$top=1"), "{url}");
}

#[test]
fn what_lies_at_the_end_of_a_slice_is_taken_where_it_is_shown() {
    let at = "2026-01-01T11:30:00.0000000Z";
    let members = r#","start":"2026-01-01T11:00:00Z","slice":"PT30M""#;
    let mut rig = Rig::of("graph", members, &Position::Resume(None));
    let (row, mut asked) = (alert("7", at), 0);
    let batch = rig
        .poll(BUDGET, |_| {
            asked += 1;
            // It is updated before the slice that it begins is asked for.
            answer(if asked == 1 { std::slice::from_ref(&row) } else { &[] }, None)
        })
        .unwrap();
    assert_eq!((keys(&batch), asked), (vec![&*format!("7@{at}")], 2));
}

#[test]
fn a_part_that_is_missing_is_told_of_once_as_far_as_the_ranges_of_the_next_round_reach() {
    // The seams of the rounds differ, or meet where the first one ended.
    for (start, minutes, expected) in [
        ("11:00", 5, [["11:00", "11:30"], ["11:30", "11:59"], ["11:59", "12:04"]].as_slice()),
        ("11:29", 31, &[["11:29", "11:59"], ["11:59", "12:30"]]),
    ] {
        let members = format!(r#","start":"2026-01-01T{start}:00Z","slice":"PT30M""#);
        let mut rig = Rig::of("graph", &members, &Position::Resume(None));
        let mut told = Vec::new();
        for _ in 0..2 {
            let batch = rig.poll(BUDGET, |_| (206, Vec::new(), answer(&[], None).2)).unwrap();
            told.extend(batch.gaps.iter().map(|gap| (gap.since.to_string(), gap.until.to_string())));
            rig.advance(minutes * 60);
        }
        let told: Vec<_> = told.iter().map(|(since, until)| [&since[11..16], &until[11..16]]).collect();
        assert_eq!(told, expected);
    }
}
