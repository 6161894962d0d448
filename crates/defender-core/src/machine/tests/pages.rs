//! Answers in pages.

use super::*;
use crate::contract::Delay;

const HERE: &str = "https://wdatp-alertexporter-eu.windows.com/api/alerts?$skiptoken=token-of-page-";

/// One page: its rows, and what its link is.
fn page(rows: &[String], link: &str) -> Answer {
    ok(format!(r#"{{"value":[{}],"@odata.nextLink":{link}}}"#, rows.join(",")))
}

fn number(url: &str) -> Option<usize> {
    url.strip_prefix(HERE).map(|number| number.parse().unwrap())
}

/// Rows of one minute, a second apart.
fn rows(count: usize) -> Vec<String> {
    (0..count).map(|n| row(&format!("r{n}"), &format!("2026-01-01T11:30:{n:02}Z"))).collect()
}

/// A service that shows a range of these rows, so many to a page.
fn service(all: &[String], size: usize) -> impl FnMut(&str) -> Answer {
    let mut chosen: Vec<String> = Vec::new();
    move |url| {
        let from = number(url).unwrap_or_else(|| {
            let bound =
                |name| url.split(name).nth(1).and_then(|rest| Tick::parse(rest.split('&').next().unwrap())).unwrap();
            let (since, until) = (bound("sinceTimeUtc="), bound("untilTimeUtc="));
            let at =
                |row: &&String| Tick::parse(row.split("Utc\":\"").nth(1).unwrap().trim_end_matches("\"}")).unwrap();
            chosen = all.iter().filter(|row| since <= at(row) && at(row) <= until).cloned().collect();
            0
        });
        let end = chosen.len().min(from + size);
        let link = if end < chosen.len() { format!("\"{HERE}{end}\"") } else { "null".to_owned() };
        page(&chosen[from..end], &link)
    }
}

fn keys(batch: &Batch) -> Vec<&str> {
    batch.events.iter().map(|event| event.key.as_str()).collect()
}

#[test]
fn the_pages_of_an_answer_are_one_answer() {
    let mut rig = Rig::new("", &Position::Resume(None));
    let all = rows(7);
    let mut answer = service(&all, 3);
    let mut early = true;
    let batch = rig
        .poll(BUDGET, |url| {
            // The slice of the first hour is empty.
            if std::mem::take(&mut early) { ok("[]") } else { answer(url) }
        })
        .unwrap();
    assert_eq!(keys(&batch), ["r0:x", "r1:x", "r2:x", "r3:x", "r4:x", "r5:x", "r6:x"]);
    assert_eq!(rig.requests.iter().filter_map(|url| number(url)).collect::<Vec<_>>(), [3, 6]);
    assert!(matches!(batch.next, NextPoll::After(_)), "{:?}", batch.next);
}

#[test]
fn the_cursor_moves_with_the_last_page_and_by_the_clock_of_the_first() {
    let mut rig = Rig::new(r#","start":"2026-01-01T11:20:00Z","settle":"PT0S""#, &Position::Resume(None));
    let budget = Budget { max_requests: 2, ..BUDGET };
    let all = rows(5);
    let mut answer = service(&all, 2);
    // By the service's clock the second page comes half an hour after the first.
    let mut dated = |url: &str| {
        let (status, _, body) = answer(url);
        let minute = if number(url).is_none() { 40 } else { 59 };
        (status, vec![("date", format!("Thu, 01 Jan 2026 11:{minute}:00 GMT"))], body)
    };
    let first = rig.poll(budget, &mut dated).unwrap();
    assert_eq!((keys(&first), first.next), (vec!["r0:x", "r1:x"], NextPoll::Now));
    assert!(first.checkpoint.contains(r#""cursor":"2026-01-01T11:20:00.0000000Z""#), "{}", first.checkpoint);
    let rest = rig.poll(BUDGET, &mut dated).unwrap();
    assert_eq!(keys(&rest), ["r2:x", "r3:x", "r4:x"]);
    assert!(rest.checkpoint.contains(r#""cursor":"2026-01-01T11:40:00.0000000Z""#), "{}", rest.checkpoint);
}

#[test]
fn a_fresh_instance_at_each_poll_gets_through_with_two_requests() {
    let mut rig = Rig::new(r#","start":"PT40M""#, &Position::Resume(None));
    let budget = Budget { max_requests: 2, ..BUDGET };
    let all = rows(20);
    let mut delivered = Vec::new();
    for _ in 0..200 {
        let batch = rig.poll(budget, service(&all, 3)).unwrap();
        delivered.extend(batch.events.iter().map(|event| event.key.clone()));
        if batch.next != NextPoll::Now {
            delivered.sort_unstable();
            let mut expected: Vec<_> = (0..20).map(|n| format!("r{n}:x")).collect();
            expected.sort_unstable();
            assert_eq!(delivered, expected, "each of them once");
            return;
        }
        let position = Position::Resume(Some(batch.checkpoint));
        rig.machine = Machine::new(rig.machine.config.clone(), &position).unwrap();
    }
    panic!("no end; delivered {delivered:?}");
}

#[test]
fn a_page_that_fails_lets_the_slice_be_asked_for_again_in_halves() {
    for (status, body, kind, code) in [
        (429, "", "throttled", "http.status-429"),
        (410, "gone", "unavailable", "paging.refused"),
        (503, "", "unavailable", "http.status-503"),
        (401, "", "unauthenticated", "http.status-401"),
        (200, "<html>", "rejected", "http.not-detections"),
        (200, r#"{"value":[{"#, "unavailable", "transport.broken"),
    ] {
        let mut rig = Rig::new(r#","start":"PT40M""#, &Position::Resume(None));
        let all = rows(6);
        let mut answer = service(&all, 4);
        let failing =
            |url: &str| if number(url).is_some() { (status, Vec::new(), body.to_owned()) } else { answer(url) };
        let batch = rig.poll(BUDGET, failing).unwrap();
        assert_eq!(keys(&batch), ["r0:x", "r1:x", "r2:x", "r3:x"], "{status}");
        let mut told = rig.poll(BUDGET, |_| panic!("the failure is told first")).unwrap_err();
        assert_eq!((told.kind(), told.fault_mut().unwrap().code.as_str()), (kind, code));
        rig.requests.clear();
        let rest = rig.poll(BUDGET, service(&all, 4)).unwrap();
        assert_eq!(keys(&rest), ["r4:x", "r5:x"], "{status}");
        assert!(rig.requests[0].contains("sinceTimeUtc=2026-01-01T11:19:59.9999999Z"), "{:?}", rig.requests);
        assert!(!rig.requests[0].contains("untilTimeUtc=2026-01-01T11:59:00"), "{:?}", rig.requests);
    }
}

#[test]
fn a_link_that_cannot_be_followed_is_an_error_that_does_not_show_it() {
    let elsewhere = [
        "\"https://elsewhere.example/api/alerts?$skiptoken=secret-of-link\"",
        "\"http://wdatp-alertexporter-eu.windows.com/api/alerts?$skiptoken=secret-of-link\"",
        "\"https://wdatp-alertexporter-eu.windows.com:8443/api/alerts?$skiptoken=secret-of-link\"",
        "\"https://secret-of-link@wdatp-alertexporter-eu.windows.com/api/alerts\"",
        "\"//elsewhere.example/secret-of-link\"",
        "\"?$skiptoken=secret-of-link\"",
        "\"\\ud800secret-of-link\"",
        "[\"secret-of-link\"]",
        "17",
    ];
    for link in elsewhere {
        let mut rig = Rig::new("", &Position::Resume(None));
        let failure = rig.poll(BUDGET, |_| page(&[], link)).unwrap_err();
        let Failure::Rejected(fault) = &failure else { panic!("{link}: {failure:?}") };
        assert_eq!((fault.code.as_str(), rig.requests.len()), ("paging.elsewhere", 1), "{link}");
        assert!(fault.checkpoint.as_ref().is_some_and(|text| text.contains("\"round\"")), "{fault:?}");
        assert!(!format!("{failure:?}").contains("secret-of-link"), "{failure:?}");
    }
}

#[test]
fn a_link_that_comes_again_and_pages_without_end_are_errors() {
    let mut rig = Rig::new("", &Position::Resume(None));
    let failure = rig.poll(BUDGET, |_| page(&[], &format!("\"{HERE}1\""))).unwrap_err();
    let Failure::Unavailable(Delay { fault, .. }) = &failure else { panic!("{failure:?}") };
    assert_eq!((fault.code.as_str(), rig.requests.len()), ("paging.endless", 2));
    assert!(!format!("{failure:?}").contains("token-of-page"), "{failure:?}");

    let mut rig = Rig::new("", &Position::Resume(None));
    let mut next = 0;
    let budget = Budget { max_requests: u32::MAX, ..BUDGET };
    let failure = rig.poll(budget, |_| {
        next += 1;
        page(&[], &format!("\"{HERE}{next}\""))
    });
    let Err(Failure::Unavailable(Delay { fault, .. })) = failure else { panic!("{failure:?}") };
    assert_eq!((fault.code.as_str(), rig.requests.len()), ("paging.endless", 10_001));
}

#[test]
fn what_a_server_repeats_of_a_link_is_not_shown() {
    for status in [400, 500, 200] {
        let mut rig = Rig::new("", &Position::Resume(None));
        let failure = rig.poll(BUDGET, |url| match number(url) {
            None => page(&[], &format!("\"{HERE}77\"")),
            Some(_) => (status, Vec::new(), format!(r#"{{"error":{{"message":"no {url}"}}}}"#)),
        });
        let shown = format!("{:?}", failure.unwrap_err());
        assert!(!shown.contains("token-of-page") && shown.contains("redacted"), "{shown}");
    }
}

/// A service that shows no more than the newest `most` of these rows for any range, two to a page.
fn capped(all: &[String], most: usize) -> impl FnMut(&str) -> Answer {
    let mut whole = service(all, usize::MAX / 2);
    let mut cut: Vec<String> = Vec::new();
    move |url| {
        let from = number(url).unwrap_or_else(|| {
            let (_, _, body) = whole(url);
            let shown: Vec<String> = all.iter().filter(|row| body.contains(row.as_str())).cloned().collect();
            cut = shown[shown.len().saturating_sub(most)..].to_vec();
            0
        });
        let end = cut.len().min(from + 2);
        let link = if end < cut.len() { format!("\"{HERE}{end}\"") } else { "null".to_owned() };
        page(&cut[from..end], &link)
    }
}

#[test]
fn no_form_of_what_a_link_holds_is_shown() {
    let link = "https://wdatp-alertexporter-eu.windows.com/api/alerts/part~of~path/8letters?$skiptoken=to%2Fken%2B+of%20page&x=8letter=";
    for repeated in [
        "to%2Fken%2B+of%20page",
        "to/ken+ of page",
        "to/ken++of page",
        r"to\/ken+ of page",
        r"to\u002Fken\u002b of page",
        "to%2fken%2b%20of%20page",
        "part~of~path",
        "part%7Eof%7Epath",
        "8letters",
        "8letter=",
    ] {
        let mut rig = Rig::new(r#","start":"PT30M""#, &Position::Resume(None));
        let failure = rig.poll(BUDGET, |url| match url.contains("skiptoken") {
            false => page(&[], &format!("\"{link}\"")),
            true => (400, Vec::new(), format!("no page for <{repeated}> here")),
        });
        let shown = format!("{:?}", failure.unwrap_err());
        assert!(shown.contains("no page for <[redacted]> here"), "{repeated}: {shown}");
        assert!(shown.contains("wdatp-alertexporter-eu.windows.com"), "{shown}");
    }
    // A link as it stands in a body that is no answer.
    let mut rig = Rig::new(r#","start":"PT30M""#, &Position::Resume(None));
    let body = r#"{"@odata.nextLink":"\/api\/alerts\/part~of~path?$skiptoken=to\u002fken%2Bofpage&x=7letter"}"#;
    let shown = format!("{:?}", rig.poll(BUDGET, |_| ok(body)).unwrap_err());
    assert!(shown.contains("http.not-detections") && shown.contains(r"7letter"), "{shown}");
    assert!(!shown.contains("of~path") && !shown.contains("ofpage"), "{shown}");
}

#[test]
fn limit_and_cap_count_the_rows_of_all_pages() {
    // Four of the newest are what each lets through, in two pages: older ones are missing.
    for (limit, cap) in [(r#","limit":4"#, None), ("", Some(4))] {
        let mut rig = Rig::new(&format!(r#","start":"PT40M"{limit}"#), &Position::Resume(None));
        let state = State { cap, ..State::begin(&rig.machine.config, None, rig.now.wall) };
        rig.machine.resume(&state.to_text()).unwrap();
        let batch = rig.poll(BUDGET, capped(&rows(6), 4)).unwrap();
        let mut delivered = keys(&batch);
        delivered.sort_unstable();
        assert_eq!(delivered, ["r0:x", "r1:x", "r2:x", "r3:x", "r4:x", "r5:x"], "{limit}");
        assert!(batch.counters.iter().any(|(name, _)| *name == "splits"), "{:?}", batch.counters);
    }
}

#[test]
fn a_single_request_reads_all_pages() {
    let members = r#","request":{"sinceTimeUtc":"2026-01-01T11:00:00Z","untilTimeUtc":"2026-01-01T12:00:00Z"}"#;
    let mut rig = Rig::new(members, &Position::Resume(None));
    let all = rows(5);
    let batch = rig.poll(BUDGET, service(&all, 2)).unwrap();
    assert_eq!((batch.events.len(), batch.next), (5, NextPoll::Ended));
}

#[test]
fn a_link_stands_before_the_rows_or_after_them_escaped_or_not() {
    for body in [
        r#"{"@odata.nextLink":"/api/alerts?x=1\u0026y=2","value":[]}"#,
        r#"{"value":[],"@odata.nextLink":"https:\/\/wdatp-alertexporter-eu.windows.com/api/alerts?x=1&y=2"}"#,
        r#"{"n":{"@odata.nextLink":"https://no.example"},"value":[{}] , "@odata.nextLink" : "HTTPS://wdatp-alertexporter-EU.windows.com:443/api/alerts?x=1&y=2" , "m":[{"@odata.nextLink":7}]}"#,
    ] {
        let mut rig = Rig::new("", &Position::Resume(None));
        let mut is_first = true;
        let _ = rig.poll(BUDGET, |_| ok(if std::mem::take(&mut is_first) { body } else { "[]" })).unwrap();
        let followed = rig.requests.get(1).map(String::as_str);
        assert_eq!(followed, Some("https://wdatp-alertexporter-eu.windows.com/api/alerts?x=1&y=2"), "{body}");
    }
    for body in [
        r#"{"@odata.nextLink":"","value":[]}"#,
        r#"{"value":[],"nextLink":"x","@odata.nextLink":null}"#,
        r#"{"n":{"a":1,"@odata.nextLink":"https://no.example"},"value":[]}"#,
        r#"{"s":"x,","value":[],"t":"\",\"@odata.nextLink\":7,"}"#,
    ] {
        let mut rig = Rig::new(r#","start":"PT30M""#, &Position::Resume(None));
        let _ = rig.poll(BUDGET, |_| ok(body)).unwrap();
        assert_eq!(rig.requests.len(), 1, "{body}");
    }
}

#[test]
fn a_link_that_ran_out_is_no_reason_to_stop() {
    for status in [400, 404, 410] {
        let mut rig = Rig::new("", &Position::Resume(None));
        let failure = rig.poll(BUDGET, |url| match number(url) {
            None => page(&[], &format!("\"{HERE}1\"")),
            Some(_) => (status, Vec::new(), r#"{"error":{"code":"Expired","message":"gone"}}"#.to_owned()),
        });
        let Err(Failure::Unavailable(Delay { fault, after: None })) = failure else { panic!("{failure:?}") };
        assert_eq!((fault.code.as_str(), fault.status), ("paging.refused", Some(status)));
        assert!(fault.message.contains("gone"), "{}", fault.message);
        // Of a request of our own it is for good.
        let mut rig = Rig::new("", &Position::Resume(None));
        let failure = rig.poll(BUDGET, |_| (status, Vec::new(), String::new()));
        assert!(matches!(failure, Err(Failure::Rejected(_))), "{failure:?}");
    }
}

#[test]
fn a_start_that_a_later_page_corrects_leaves_no_page_behind() {
    let mut rig = Rig::new(r#","start":"PT30M""#, &Position::Resume(None));
    // The first page comes without `Date`; by the second one the local clock is two hours ahead.
    let batch = rig.poll(BUDGET, |url| match number(url) {
        Some(_) => (200, vec![("date", "Thu, 01 Jan 2026 10:00:00 GMT".to_owned())], "[]".to_owned()),
        None if url.contains("sinceTimeUtc=2026-01-01T11:29:59") => page(&[], &format!("\"{HERE}1\"")),
        None if url.contains("sinceTimeUtc=2026-01-01T09:29:59") => page(&[row("a", "2026-01-01T09:40:00Z")], "null"),
        None => ok("[]"),
    });
    assert_eq!(keys(&batch.unwrap()), ["a:x"]);
    assert_eq!(rig.requests.iter().filter(|url| number(url).is_some()).count(), 1, "{:?}", rig.requests);
}

#[test]
fn a_link_is_found_however_its_member_is_written_and_whatever_stands_beside_it() {
    let all = rows(2);
    for (first, name, last) in [
        ("", r"@odata\u002enextLink", ""),
        ("", r"\u0040odata.nextLin\u006b", ""),
        ("", "@odata.nextLink", r#","@odata.nextLink":null"#),
        ("", "@odata.nextLink", r#","@odata.nextLink":"""#),
        (r#""@odata.nextLink":null,"#, "@odata.nextLink", ""),
        ("", "@odata.nextLink", &format!(r#","@odata.nextLink":"{HERE}1""#)),
    ] {
        let mut rig = Rig::new(r#","start":"PT40M""#, &Position::Resume(None));
        let batch = rig.poll(BUDGET, |url| match number(url) {
            None => ok(format!(r#"{{{first}"value":[{}],"{name}":"{HERE}1"{last}}}"#, all[0])),
            Some(_) => page(&all[1..], "null"),
        });
        assert_eq!(keys(&batch.unwrap()), ["r0:x", "r1:x"], "{first}{name}{last}");
    }
    let mut rig = Rig::new("", &Position::Resume(None));
    let two = format!(r#"{{"value":[],"@odata.nextLink":"{HERE}1","@odata.nextLink":"{HERE}2"}}"#);
    let Failure::Rejected(fault) = rig.poll(BUDGET, |_| ok(two.clone())).unwrap_err() else { panic!("two links") };
    assert_eq!(fault.code, "paging.elsewhere");
}

#[test]
fn a_link_is_followed_as_it_was_written_up_to_its_greatest_length() {
    let longest = 16 * 1024 - 2;
    let long = |length: usize| format!("{HERE}{}", "7".repeat(length - HERE.len()));
    for (link, followed) in [
        (r#"/api/alerts?x=\"1"#.to_owned(), Some("https://wdatp-alertexporter-eu.windows.com/api/alerts?x=%221")),
        (long(longest), Some(long(longest).as_str())),
        (long(longest + 1), None),
        (long(longest + 2000), None),
    ] {
        let mut rig = Rig::new(r#","start":"PT30M""#, &Position::Resume(None));
        let mut is_first = true;
        let first = page(&[], &format!("\"{link}\""));
        let told = rig.poll(BUDGET, |_| if std::mem::take(&mut is_first) { first.clone() } else { ok("[]") });
        assert_eq!(rig.requests.get(1).map(String::as_str), followed, "{} bytes", link.len());
        assert_eq!(told.err().map(|failure| failure.kind()), followed.is_none().then_some("rejected"));
    }
}

#[test]
fn the_link_of_a_record_that_comes_alone_is_followed() {
    let mut rig = Rig::new(r#","start":"PT40M""#, &Position::Resume(None));
    let all = rows(2);
    let batch = rig.poll(BUDGET, |url| match number(url) {
        None => ok(all[0].replacen('{', &format!(r#"{{"@odata.nextLink":"{HERE}1","#), 1)),
        Some(_) => ok(all[1].clone()),
    });
    let batch = batch.unwrap();
    assert_eq!((keys(&batch), rig.requests.len()), (vec!["r0:x", "r1:x"], 2));
    rig.advance(300);
    let failure = rig.poll(BUDGET, |_| ok(format!(r#"{{"@odata.nextLink":"{HERE}1"}}"#))).unwrap_err();
    assert_eq!(failure.kind(), "rejected", "a link alone is no detection");
    assert!(!format!("{failure:?}").contains("token-of-page"), "{failure:?}");
}

#[test]
fn a_second_array_of_records_is_no_answer() {
    let mut rig = Rig::new("", &Position::Resume(None));
    let body = format!(r#"{{"value":[],"value":[{}]}}"#, row("a", "2026-01-01T11:45:00Z"));
    assert_eq!(rig.poll(BUDGET, |_| ok(body.clone())).unwrap_err().kind(), "unavailable");
}

#[test]
fn a_request_that_would_be_another_one_is_not_repeated_when_a_page_of_its_answer_fails() {
    let mut rig = Rig::new(r#","request":{"ago":"PT1H"}"#, &Position::Resume(None));
    let all = rows(2);
    let mut answer = service(&all, 1);
    let first = rig.poll(BUDGET, |url| match number(url) {
        None => {
            let link = format!("\"{HERE}1\"");
            page(&all[..1], &link)
        }
        Some(_) => (429, vec![("retry-after", "1800".to_owned())], String::new()),
    });
    assert_eq!(keys(&first.unwrap()), ["r0:x"]);
    rig.requests.clear();
    rig.advance(3_600);
    let mut told = Vec::new();
    for _ in 0..3 {
        match rig.poll(BUDGET, |url| answer(url)) {
            Ok(batch) => {
                told.extend(batch.gaps.into_iter().map(|gap| gap.cause));
                if batch.next == NextPoll::Ended {
                    break;
                }
            }
            Err(failure) => assert_eq!(failure.kind(), "throttled"),
        }
    }
    assert_eq!((told, rig.requests.len()), (vec![GapCause::Partial], 0));
}

#[test]
fn the_cursor_moves_by_the_local_clock_of_the_first_page_where_the_service_tells_none() {
    let mut rig = Rig::new(r#","start":"2026-01-01T11:20:00Z","settle":"PT0S""#, &Position::Resume(None));
    let all = rows(4);
    let mut answer = service(&all, 2);
    let first = rig.poll(Budget { max_requests: 2, ..BUDGET }, &mut answer).unwrap();
    assert_eq!(keys(&first), ["r0:x", "r1:x"]);
    rig.advance(2 * 3600);
    let rest =
        rig.poll(
            Budget { max_requests: 1 + 1, ..BUDGET },
            |url| if number(url).is_some() { answer(url) } else { ok("[]") },
        );
    // An hour of overlap before noon, which is when the first page was asked for.
    assert_eq!(rest.unwrap().watermark, None);
}

#[test]
fn a_check_looks_beyond_the_rows_of_all_pages_and_remembers_what_any_of_its_pages_showed() {
    let mut rig = Rig::new(r#","start":"2026-01-01T11:20:00Z""#, &Position::Resume(None));
    rig.machine.limits.suspicious_rows = 4;
    let all = rows(4);
    let late = row("late", "2026-01-01T11:25:00Z");
    let mut asked = 0;
    let batch = rig.poll(BUDGET, |url| {
        asked += 1;
        match asked {
            1 => page(&all[..2], &format!("\"{HERE}1\"")),
            2 => page(&all[2..], "null"),
            // The check below: its first page shows a row, its second one none.
            3 => page(std::slice::from_ref(&late), &format!("\"{HERE}2\"")),
            4 => page(&[], "null"),
            _ => {
                assert!(
                    asked > 5 || url.contains("untilTimeUtc=2026-01-01T11:39:30.0000001Z"),
                    "the older half: {url}"
                );
                ok("[]")
            }
        }
    });
    assert_eq!(keys(&batch.unwrap()).last(), Some(&"late:x"));
    assert!(rig.requests[2].contains("untilTimeUtc=2026-01-01T11:30:00.0000002Z"), "{:?}", rig.requests);
}

#[test]
fn a_neighbour_proves_enough_with_its_first_page() {
    let mut rig = Rig::new(r#","start":"PT30M""#, &Position::Resume(None));
    for _ in 0..3 {
        rig.poll(BUDGET, |_| (500, Vec::new(), String::new())).unwrap_err();
    }
    rig.requests.clear();
    let mut answers = [page(&rows(1), &format!("\"{HERE}1\"")), ok("[]")].into_iter();
    rig.poll(Budget { max_requests: 2, ..BUDGET }, |_| answers.next().unwrap()).unwrap();
    assert!(rig.requests.iter().all(|url| number(url).is_none()), "{:?}", rig.requests);
}

#[test]
fn a_link_in_what_came_in_place_of_an_answer_is_not_repeated() {
    for body in [
        r#"{"@odata.nextLink":"https://elsewhere.example/?skip_5L0k","value":[]}"#,
        r#"{"value":[], "@odata.nextLink" : "/p?$skiptoken=skip_5L0k"#,
    ] {
        for status in [202, 206, 403, 404, 503] {
            let mut rig = Rig::new("", &Position::Resume(None));
            let failure = rig.poll(BUDGET, |_| (status, Vec::new(), body.to_owned())).unwrap_err();
            let told = format!("{failure:?}");
            assert!(told.contains("nextLink") && !told.contains("5L0k"), "{told}");
        }
    }
}
