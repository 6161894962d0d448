//! Pages that are turned, and turned again until they show the same.

use super::one_tick::AT;
use super::updates::{START, alert, answer, keys, read};
use super::*;

/// Whether an answer names a next page, after so many rows of so many.
type Link = fn(usize, usize) -> bool;

/// A service of alerts at these stamps, which are their ids, in pages of so many, whatever `$top` says.
fn paged(rows: &[String], url: &str, page: usize, link: impl Fn(usize, usize) -> bool) -> Answer {
    let url = read(url);
    let from = url.split("skip=").nth(1).map_or(0, |skip| skip.split('&').next().unwrap().parse().unwrap());
    let bound = |operator: &str| {
        let text = url.split(&format!("DateTime {operator} ")).nth(1)?;
        Tick::parse(text.get(..28)?)
    };
    let (since, until) = match (bound("ge"), bound("le")) {
        (Some(since), Some(until)) => (since, until),
        _ => {
            let bounds = url.split("since=").nth(1).unwrap().split('&').next().unwrap();
            let (since, until) = bounds.split_once('_').unwrap();
            (Tick::parse(since).unwrap(), Tick::parse(until).unwrap())
        }
    };
    let shown: Vec<_> =
        rows.iter().filter(|row| Tick::parse(row).is_some_and(|at| since <= at && at <= until)).collect();
    let on_page: Vec<_> = shown.iter().skip(from).take(page).map(|at| alert(at, at)).collect();
    let next = format!(
        "https://graph.microsoft.com/v1.0/security/alerts_v2?since={since}_{until}&skip={}",
        from + on_page.len()
    );
    answer(&on_page, (!on_page.is_empty() && link(from + on_page.len(), shown.len())).then_some(&*next))
}

fn stamps(count: i64) -> Vec<String> {
    let first = Tick::parse("2026-01-01T11:00:01Z").unwrap();
    (0..count).map(|n| first.plus(n * 3_000_000).to_string()).collect()
}

#[test]
fn pages_cut_shorter_than_asked_for_are_found_out() {
    // By a link; without one; with one in every answer that has rows, whether or not there are more.
    let links: [(&str, Link); 3] =
        [("by link", |shown, all| shown < all), ("silent", |_, _| false), ("always", |_, _| true)];
    for (name, link) in links {
        for count in [49, 50, 51, 100, 300, 1000] {
            let rows = stamps(count);
            let mut rig = Rig::of("graph", &format!(r#"{START},"limit":500"#), &Position::Resume(None));
            let budget = Budget { max_requests: 2000, ..BUDGET };
            let (mut seen, mut caps) = (Vec::new(), 0);
            loop {
                match rig.poll(budget, |url| paged(&rows, url, 50, link)) {
                    Ok(batch) => {
                        caps += batch.notices.iter().filter(|notice| notice.code == "answer.cap").count();
                        assert!(batch.gaps.is_empty(), "{name} {count}: {:?}", batch.gaps);
                        seen.extend(batch.events.iter().map(|event| event.subject.clone()));
                        if batch.next != NextPoll::Now {
                            break;
                        }
                    }
                    Err(failure) => assert_eq!(failure.kind(), "throttled", "{name} {count}"),
                }
                rig.advance(60);
            }
            seen.sort_unstable();
            assert_eq!(seen, rows, "{name} {count}");
            assert_eq!(caps, usize::from(name == "silent" && count > 50), "{name} {count}");
            assert!(rig.requests.len() < 250, "{name} {count}: {} requests", rig.requests.len());
            let third = rig.requests.iter().find(|url| read(url).contains("skip=100"));
            assert_eq!(third, None, "{name} {count}: two pages show that there is more than one");
        }
    }
}

/// The whole milliseconds before and behind a stamp that is one.
pub(super) fn before(at: &str) -> Tick {
    Tick::parse(at).unwrap().minus(TICKS_PER_SECOND / 1000)
}

pub(super) fn behind(at: &str) -> Tick {
    Tick::parse(at).unwrap().plus(TICKS_PER_SECOND / 1000)
}

#[test]
fn a_tick_whose_pages_never_come_alike_is_a_gap() {
    let ids = ["a", "b", "c", "d", "e", "f", "g"];
    let at = "2026-01-01T11:30:00Z";
    // The order differs each time; or a page repeats a row of the one before and leaves another one out, always alike.
    for repeats in [false, true] {
        let mut rig = Rig::of("graph", &format!(r#"{START},"limit":2"#), &Position::Resume(None));
        let mut asked = 0;
        let mut gaps = Vec::new();
        let mut first_pages = 0;
        for _ in 0..4 {
            let polled = rig.poll(BUDGET, |url| {
                asked += 1;
                let url = read(url);
                first_pages += usize::from(url.contains(
                    "ge 2026-01-01T11:29:59.9990000Z and lastUpdateDateTime le 2026-01-01T11:30:00.0010000Z",
                ));
                let is_shown = !url.contains("le 2026-01-01T11:2") && !url.contains("ge 2026-01-01T11:30:00.0010000");
                let skip: usize = url.split("skip=").nth(1).map_or(0, |skip| skip.parse().unwrap());
                let shift = if repeats { usize::from(skip > 0) } else { asked };
                let place = |n: usize| if repeats { (n - shift) % 7 } else { (n * 3 + shift) % 7 };
                let page = (skip..7).take(2).map(|n| alert(ids[place(n)], at));
                let page: Vec<_> = if is_shown { page.collect() } else { Vec::new() };
                let next = format!("https://graph.microsoft.com/v1.0/security/alerts_v2?skip={}", skip + 2);
                answer(&page, (is_shown && skip + 2 < 7).then_some(&*next))
            });
            if let Ok(batch) = polled {
                gaps.extend(batch.gaps);
                if batch.next != NextPoll::Now {
                    break;
                }
            }
            rig.advance(60);
        }
        let [gap] = &gaps[..] else { panic!("{gaps:?}") };
        assert_eq!((&gap.cause, gap.since, gap.until), (&GapCause::Truncated, before(at), behind(at)), "{gap:?}");
        assert!(gap.detail.contains("other rows each time"), "{}", gap.detail);
        assert_eq!(first_pages, 6, "the slice, and five passes");
    }
}

/// A service of alerts with these ids and stamps, which cuts bounds to so many characters of a stamp, and pages to so many rows
/// without a word.
pub(super) fn cutting(rows: &[(&str, &str)], url: &str, bounds: usize, page: usize) -> Answer {
    let url = read(url);
    let bound = |operator: &str| Tick::parse(&url.split(operator).nth(1).unwrap()[..bounds]).unwrap();
    let (since, until) = (bound(" ge "), bound(" le "));
    let skip = url.split("$skip=").nth(1).map_or(0, |skip| skip.parse().unwrap());
    let shown = rows.iter().filter(|(_, at)| (since..=until).contains(&Tick::parse(at).unwrap()));
    answer(&shown.skip(skip).take(page).map(|(id, at)| alert(id, at)).collect::<Vec<_>>(), None)
}

/// How long a stamp is, and how long one to the millisecond.
pub(super) const TICKS: usize = 28;
const MILLISECONDS: usize = 23;

#[test]
fn a_tick_is_whole_when_two_passes_saw_the_same_rows_once_each_in_whatever_order() {
    let at = "2026-01-01T11:30:00Z";
    let range = Position::Range(Tick::parse(at).unwrap(), Tick::parse(at).unwrap().plus(1));
    let link = "https://graph.microsoft.com/v1.0/security/alerts_v2?skip=x";
    // By the number of the pass: the rows of its pages. The slice is the first.
    let unordered: fn(usize) -> [&'static str; 2] = |pass| [["ab", "c"], ["ca", "b"], ["bc", "a"]][pass % 3];
    let repeating: fn(usize) -> [&'static str; 2] = |_| ["a", "a"];
    for (pages, passes, gaps) in [(unordered, 2, 0), (repeating, 5, 1)] {
        let mut rig = Rig::of("graph", "", &range);
        let mut begun = 0;
        let batch = rig
            .poll(BUDGET, |url| {
                let is_first = !url.contains("skip=");
                begun += usize::from(is_first);
                let page = pages(begun)[usize::from(!is_first)];
                let rows: Vec<_> = page.chars().map(|id| alert(&id.to_string(), at)).collect();
                answer(&rows, is_first.then_some(link))
            })
            .unwrap();
        assert_eq!((begun, batch.gaps.len()), (1 + passes, gaps), "{:?}", batch.gaps);
        assert!(batch.gaps.iter().all(|gap| gap.detail.contains("other rows each time")), "{:?}", batch.gaps);
    }
}

#[test]
fn a_range_is_halved_where_its_rows_take_more_than_a_page_and_bounds_can_tell_the_halves_apart() {
    let first = Tick::parse("2026-01-01T11:30:00Z").unwrap();
    for (last, until, is_halved) in [(10_000, 20_000, false), (30_000, 40_000, true)] {
        let rows: Vec<_> = [0, 1, last].map(|n| first.plus(n).to_string()).to_vec();
        let mut rig = Rig::of("graph", "", &Position::Range(first, first.plus(until)));
        let batch = rig.poll(BUDGET, |url| paged(&rows, url, 2, |shown, all| shown < all)).unwrap();
        assert_eq!(batch.counters.iter().any(|(name, _)| *name == "splits"), is_halved, "{:?}", batch.counters);
        assert_eq!((batch.events.len(), batch.gaps.len()), (3, 0), "{until}: {:?}", rig.requests);
    }
}

#[test]
fn a_range_whose_passes_never_come_alike_is_halved() {
    let rows = ["2026-01-01T11:10:00Z", "2026-01-01T11:50:00Z"];
    let mut rig = Rig::of("graph", START, &Position::Resume(None));
    let mut passes = 0;
    let batch = rig
        .poll(BUDGET, |url| {
            let url = read(url);
            if url.contains("skip") {
                return answer(&[], None);
            }
            // The whole range shows one of the two, by turns, and always names a page that has no rows.
            let is_whole = url.contains("ge 2026-01-01T11:00") && url.contains("le 2026-01-01T11:59");
            let shown = match is_whole {
                true => passes % 2,
                false => usize::from(url.contains("le 2026-01-01T11:59")),
            };
            passes += usize::from(is_whole);
            let link = "https://graph.microsoft.com/v1.0/security/alerts_v2?$skiptoken=x";
            answer(&[alert(rows[shown], rows[shown])], is_whole.then_some(link))
        })
        .unwrap();
    let mut seen: Vec<_> = batch.events.iter().map(|event| event.subject.as_str()).collect();
    seen.sort_unstable();
    assert_eq!((seen, passes, batch.gaps.len()), (rows.to_vec(), 6, 0), "{:?}", batch.gaps);
}

#[test]
fn a_page_of_one_row_is_gone_on_after() {
    let rows = ["a", "b", "c"].map(|id| (id, AT));
    let mut rig = Rig::of("graph", &format!(r#"{START},"limit":1"#), &Position::Resume(None));
    let batch = rig.poll(Budget { max_requests: 200, ..BUDGET }, |url| cutting(&rows, url, MILLISECONDS, 1)).unwrap();
    assert_eq!(batch.events.len(), 3);
    assert!(rig.requests.iter().any(|url| url.ends_with("$skip=1")), "{:?}", rig.requests);
}

#[test]
fn a_pass_of_a_single_page_is_not_repeated() {
    let mut rig = Rig::of("graph", START, &Position::Resume(None));
    let rows = [alert("a", "2026-01-01T11:10:00Z"), alert("b", "2026-01-01T11:50:00Z")];
    let mut asked = 0;
    let batch = rig
        .poll(BUDGET, |_| {
            asked += 1;
            answer(&rows, (asked == 1).then_some("https://graph.microsoft.com/v1.0/security/alerts_v2?$skiptoken=x"))
        })
        .unwrap();
    assert_eq!((keys(&batch).len(), rig.requests.len(), batch.gaps.len()), (2, 2, 0), "{:?}", rig.requests);
}

#[test]
fn a_pass_whose_only_page_is_full_is_halved() {
    // What moves a slice to passes is a link; by then a row has come that fills the page, and the service names no further one.
    let rows = stamps(4);
    let mut rig = Rig::of("graph", &format!(r#"{START},"limit":3"#), &Position::Resume(None));
    let mut asked = 0;
    let batch = rig
        .poll(BUDGET, |url| {
            asked += 1;
            let is_first = asked == 1;
            let page = if is_first { 2 } else { 3 };
            if url.contains("skip=") { answer(&[], None) } else { paged(&rows, url, page, |_, _| is_first) }
        })
        .unwrap();
    let mut seen: Vec<_> = batch.events.iter().map(|event| event.subject.clone()).collect();
    seen.sort_unstable();
    assert_eq!((seen, batch.gaps.len()), (rows, 0), "{:?}", batch.gaps);
}

#[test]
fn ten_rows_are_the_least_that_are_taken_for_the_largest_page() {
    for (page, cap) in [(9, None), (10, Some(10))] {
        let rows = stamps(15);
        let mut rig = Rig::of("graph", &format!(r#"{START},"limit":500"#), &Position::Resume(None));
        // Three pages are read: the slice's, and both of the first pass.
        rig.poll(Budget { max_requests: 4, ..BUDGET }, |url| paged(&rows, url, page, |shown, all| shown < all))
            .unwrap();
        assert_eq!(rig.machine.state.as_ref().unwrap().cap, cap, "{page}: {:?}", rig.requests);
    }
}

#[test]
fn the_refusal_of_a_further_page_says_nothing_against_the_order() {
    let mut rig = Rig::of("graph", START, &Position::Resume(None));
    let rows = stamps(4);
    let answered = |url: &str| {
        if url.contains("skip=") {
            (400, Vec::new(), String::new())
        } else {
            paged(&rows, url, 2, |shown, all| shown < all)
        }
    };
    let batch = rig.poll(Budget { max_requests: 200, ..BUDGET }, answered).unwrap();
    assert_eq!((batch.events.len(), batch.gaps.len()), (4, 0), "it is halved: {:?}", batch.gaps);
    let first_pages = rig.requests.iter().filter(|url| !url.contains("skip="));
    assert!(first_pages.clone().all(|url| url.contains("$orderby")), "{:?}", rig.requests);
}

#[test]
fn a_service_that_reads_bounds_to_the_millisecond_hides_no_row_at_a_seam() {
    for at in ["2026-01-01T11:29:59.9995Z", "2026-01-01T11:30:00.0000Z", "2026-01-01T11:30:00.0004567Z"] {
        let members = r#","start":"2026-01-01T11:00:00Z","slice":"PT30M""#;
        let mut rig = Rig::of("graph", members, &Position::Resume(None));
        let batch = rig.poll(BUDGET, |url| cutting(&[("a", at)], url, MILLISECONDS, 100)).unwrap();
        let asked: Vec<_> = rig.requests.iter().map(|url| read(url)).collect();
        assert_eq!((keys(&batch).len(), asked.len()), (1, 2), "{at}: {asked:?}");
        assert!(asked[1].contains("ge 2026-01-01T11:30:00.0000000Z"), "{asked:?}");
    }
}

#[test]
fn what_lies_within_a_millisecond_is_read_whole_where_bounds_tell_no_less_apart() {
    let at = ["11:30:00.1230000Z", "11:30:00.1230001Z", "11:30:00.1234567Z", "11:30:00.1234567Z", "11:30:00.1239999Z"];
    let at = at.map(|at| format!("2026-01-01T{at}"));
    let rows: Vec<_> = ["a", "b", "c", "d", "e"].into_iter().zip(at.iter().map(String::as_str)).collect();
    for bounds in [TICKS, MILLISECONDS] {
        let mut rig = Rig::of("graph", &format!(r#"{START},"limit":2"#), &Position::Resume(None));
        let batch = rig.poll(BUDGET, |url| cutting(&rows, url, bounds, 2)).unwrap();
        let mut seen: Vec<_> = batch.events.iter().map(|event| event.subject.as_str()).collect();
        seen.sort_unstable();
        assert_eq!((seen, batch.gaps), (vec!["a", "b", "c", "d", "e"], Vec::new()), "{bounds}");
        let off = |url: &&String| read(url).matches("0000Z").count() < 2;
        assert_eq!(rig.requests.iter().find(off), None, "bounds are whole milliseconds");
        assert!(rig.requests.len() < 20, "{} requests", rig.requests.len());
    }
}

#[test]
fn nothing_beside_a_range_is_delivered_and_nothing_of_it_is_hidden_where_bounds_are_cut() {
    let (since, until) = ("2026-01-01T11:00:00.0003Z", "2026-01-01T11:10:00.0003Z");
    let rows = [
        ("before", "2026-01-01T11:00:00.0002999Z"),
        ("first", since),
        ("last", "2026-01-01T11:10:00.0002999Z"),
        ("behind", until),
    ];
    for bounds in [TICKS, MILLISECONDS] {
        let range = Position::Range(Tick::parse(since).unwrap(), Tick::parse(until).unwrap());
        let mut rig = Rig::of("graph", "", &range);
        let batch = rig.poll(BUDGET, |url| cutting(&rows, url, bounds, 100)).unwrap();
        let seen: Vec<_> = batch.events.iter().map(|event| event.subject.as_str()).collect();
        assert_eq!(seen, ["first", "last"], "{bounds}");
    }
}

#[test]
fn what_lies_beside_a_slice_is_in_the_range_of_the_gap_that_tells_of_it() {
    let at = "2026-01-01T11:10:00.0005Z";
    // What is too large is told with all that was asked for, and what came without its alerts with its own stamp.
    for (large, cause) in [(2000, GapCause::Unreadable), (400, GapCause::Partial)] {
        let mut rig = Rig::of("incidents", START, &Position::Resume(None));
        rig.machine.limits.event_bytes = 300;
        // The round ends in the midst of the millisecond.
        let state = State::begin(&rig.machine.config, None, rig.now.wall);
        let end = Tick::parse("2026-01-01T11:10:00.0003Z").unwrap();
        let round = Some(Round { until: end, at: state.start, end });
        rig.machine.resume(&State { round, ..state }.to_text()).unwrap();
        let row = alert("7", at);
        let padding = |size: usize| row.replacen('{', &format!(r#"{{"alerts":["{}"],"#, "x".repeat(size)), 1);
        let batch = rig
            .poll(BUDGET, |url| {
                let is_large = url.contains("$expand") || large > 1000;
                let is_shown = read(url).contains("ge 2026-01-01T11:00:00.0000000Z");
                let shown = is_shown.then(|| if is_large { padding(large) } else { row.clone() });
                answer(shown.as_slice(), None)
            })
            .unwrap();
        let gap = batch.gaps.iter().find(|gap| gap.cause == cause).unwrap_or_else(|| panic!("{:?}", batch.gaps));
        let stamp = Tick::parse(at).unwrap();
        assert!(gap.since <= stamp && stamp < gap.until, "{gap:?}");
    }
}

#[test]
fn rows_of_one_tick_that_are_cut_in_silence_are_read_by_skip() {
    let ids: Vec<_> = (0..130).map(|n| format!("{n:03}")).collect();
    // A page of fewer than ten rows teaches no cap: of the tick alone nothing is known.
    for (page, count) in [(50, 49), (50, 50), (50, 51), (50, 99), (50, 130), (7, 6), (7, 7), (7, 8), (7, 20)] {
        let rows: Vec<_> = ids[..count].iter().map(|id| (id.as_str(), AT)).collect();
        let mut rig = Rig::of("graph", START, &Position::Resume(None));
        rig.machine.limits.suspicious_rows = u32::try_from(page).unwrap();
        let state = State::begin(&rig.machine.config, None, rig.now.wall);
        let (at, end) = (before(AT), behind(AT));
        rig.machine.resume(&State { round: Some(Round { until: end, at, end }), ..state }.to_text()).unwrap();
        let batch = rig.poll(BUDGET, |url| cutting(&rows, url, TICKS, page)).unwrap();
        let mut seen: Vec<_> = batch.events.iter().map(|event| event.subject.as_str()).collect();
        seen.sort_unstable();
        assert_eq!(
            (seen, batch.gaps),
            (ids[..count].iter().map(String::as_str).collect(), Vec::new()),
            "{page} {count}"
        );
    }
}

#[test]
fn as_many_rows_as_were_proven_to_be_all_are_doubted_and_fewer_are_not() {
    let rows: Vec<_> = stamps(60);
    let rows: Vec<_> = rows.iter().map(|at| (at.as_str(), at.as_str())).collect();
    let mut rig = Rig::of("graph", &format!(r#"{START},"overlap":"PT3H""#), &Position::Resume(None));
    // Two passes over a page and what is not behind it.
    for (count, requests) in [(60, 5), (59, 1), (60, 5), (49, 1)] {
        rig.requests.clear();
        let batch = rig.poll(BUDGET, |url| cutting(&rows[..count], url, TICKS, 100)).unwrap();
        assert_eq!((rig.requests.len(), batch.gaps), (requests, Vec::new()), "{count}");
        rig.advance(300);
    }
}

#[test]
fn a_range_that_is_as_full_as_a_page_by_the_second_reading_is_halved() {
    let rows: Vec<_> = stamps(3);
    let rows: Vec<_> = rows.iter().map(|at| (at.as_str(), at.as_str())).collect();
    let mut rig = Rig::of("graph", START, &Position::Resume(None));
    rig.machine.limits.suspicious_rows = 2;
    let state = State::begin(&rig.machine.config, None, rig.now.wall);
    rig.machine.resume(&State { cap: Some(3), ..state }.to_text()).unwrap();
    let mut asked = 0;
    let batch = rig.poll(BUDGET, |url| {
        asked += 1;
        cutting(&rows[usize::from(asked == 1)..], url, TICKS, 100)
    });
    let batch = batch.unwrap();
    assert_eq!((batch.events.len(), batch.gaps), (3, Vec::new()));
}

#[test]
fn a_range_whose_further_rows_are_refused_is_halved_before_it_is_a_gap() {
    let rows: Vec<_> = stamps(60);
    let rows: Vec<_> = rows.iter().map(|at| (at.as_str(), at.as_str())).collect();
    let mut rig = Rig::of("graph", START, &Position::Resume(None));
    let batch = rig
        .poll(BUDGET, |url| {
            if url.contains("$skip=") { (400, Vec::new(), String::new()) } else { cutting(&rows, url, TICKS, 50) }
        })
        .unwrap();
    assert_eq!((batch.events.len(), batch.gaps), (60, Vec::new()));
}

#[test]
fn rows_that_come_in_another_order_each_time_are_missed_by_no_cut() {
    let rows: Vec<_> = stamps(130);
    let mut asked = 0;
    let mut rig = Rig::of("graph", START, &Position::Resume(None));
    let mut seen = Vec::new();
    for _ in 0..4 {
        let polled = rig.poll(BUDGET, |url| {
            asked += 1;
            let mut rows: Vec<_> = rows.iter().map(|at| (at.as_str(), at.as_str())).collect();
            rows.sort_by_key(|(_, at)| (Tick::parse(at).unwrap().0 / 3_000_000 * (asked * 2 + 1)) % 131);
            cutting(&rows, url, TICKS, 50)
        });
        if let Ok(batch) = polled {
            assert_eq!(batch.gaps, []);
            seen.extend(batch.events.into_iter().map(|event| event.subject));
        }
        rig.advance(60);
    }
    seen.sort_unstable();
    assert_eq!(seen, rows);
}

#[test]
fn a_service_that_ignores_skip_is_asked_for_shorter_ranges_and_not_for_ever() {
    let spread = stamps(30);
    let spread: Vec<_> = spread.iter().map(|at| (at.as_str(), at.as_str())).collect();
    let ids: Vec<_> = (0..30).map(|n| n.to_string()).collect();
    let at_once: Vec<_> = ids.iter().map(|id| (id.as_str(), AT)).collect();
    for (rows, gaps) in [(spread, 0), (at_once, 1)] {
        let mut rig = Rig::of("graph", START, &Position::Resume(None));
        rig.machine.limits.suspicious_rows = 10;
        let budget = Budget { max_requests: 200, ..BUDGET };
        let mut rows = rows;
        let batch = rig
            .poll(budget, |url| {
                // Nor has it an order of its own.
                rows.reverse();
                cutting(&rows, &url.replace("$skip", "$ignored"), TICKS, 100)
            })
            .unwrap();
        assert_eq!((batch.events.len(), batch.gaps.len()), (30, gaps), "{:?}", batch.gaps);
        assert!(batch.notices.iter().all(|notice| notice.code != "answer.cap"), "{:?}", batch.notices);
        assert!(matches!(batch.next, NextPoll::After(_)));
        assert!(rig.requests.len() < 60, "{} requests", rig.requests.len());
    }
}

#[test]
fn a_delay_between_two_passes_of_a_longer_range_halves_it_so_that_one_request_between_delays_is_enough() {
    let rows = ["11:10:00", "11:30:00", "11:50:00"].map(|at| format!("2026-01-01T{at}Z"));
    let rows: Vec<_> = rows.iter().map(|at| (at.as_str(), at.as_str())).collect();
    for is_kept in [true, false] {
        let mut rig = Rig::of("graph", START, &Position::Resume(None));
        let (mut seen, mut asked, mut is_done) = (0, 0, false);
        for _ in 0..20 {
            rig.machine.limits.suspicious_rows = 2;
            let polled = rig.poll(BUDGET, |url| {
                asked += 1;
                match asked % 2 {
                    0 => (429, vec![("retry-after", "5".to_owned())], String::new()),
                    _ => cutting(&rows, url, TICKS, 100),
                }
            });
            if let Ok(batch) = polled {
                seen += batch.events.len();
                is_done |= batch.next == NextPoll::After(300_000_000_000);
            }
            if is_done {
                break;
            }
            if !is_kept {
                let last = Position::Resume(rig.machine.last.clone());
                rig.machine = Machine::new(rig.machine.config.clone(), &last).unwrap();
            }
            rig.advance(10);
        }
        assert_eq!((seen, is_done), (3, true), "{is_kept}: {:?}", rig.requests);
    }
}

#[test]
fn a_page_as_full_as_it_was_asked_for_or_fuller_than_was_known_teaches_no_cap() {
    let rows = stamps(13);
    let rows: Vec<_> = rows.iter().map(|at| (at.as_str(), at.as_str())).collect();
    for (cap, limit, page) in [(None, 12, 12), (Some(12), 100, 100)] {
        let mut rig = Rig::of("graph", &format!(r#"{START},"limit":{limit}"#), &Position::Resume(None));
        rig.machine.limits.suspicious_rows = 10;
        let state = State::begin(&rig.machine.config, None, rig.now.wall);
        rig.machine.resume(&State { cap, ..state }.to_text()).unwrap();
        let mut asked = 0;
        let batch = rig
            .poll(BUDGET, |url| {
                asked += 1;
                // By the first pass there are more rows than before.
                cutting(&rows[..if asked == 1 { 11 } else { 13 }], url, TICKS, page)
            })
            .unwrap();
        assert_eq!((batch.events.len(), batch.gaps), (13, Vec::new()), "{limit}");
        assert!(batch.notices.iter().all(|notice| notice.code != "answer.cap"), "{limit}: {:?}", batch.notices);
    }
}
