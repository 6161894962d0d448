//! The one tick, or the least range, whose rows take more than a page.

use super::passes::{TICKS, before, behind, cutting};
use super::updates::{START, alert, answer, covers, read};
use super::*;

#[test]
fn a_delay_in_the_midst_of_a_tick_is_waited_out_and_the_tick_gone_on_with() {
    let rows = ["a", "b", "c", "d", "e", "f", "g"].map(str::to_owned).to_vec();
    let member = "lastUpdateTime";
    let mut service = Tickful { rows, leaves_after: Vec::new(), asked: 0, member, links: false };
    let mut rig = Rig::of("alerts", &format!(r#"{START},"limit":2"#), &Position::Resume(None));
    let (mut seen, mut pages, mut delays) = (Vec::new(), 0, 0);
    for _ in 0..60 {
        let polled = rig.poll(BUDGET, |url| {
            pages += usize::from(url.contains("skip="));
            // No more than one further page between two delays.
            if url.contains("skip=") && pages % 2 == 0 {
                return (429, vec![("retry-after", "5".to_owned())], String::new());
            }
            service.answer(url)
        });
        delays += usize::from(polled.is_err());
        if let Ok(batch) = polled {
            seen.extend(batch.events.iter().map(|event| event.subject.clone()));
            if batch.next == NextPoll::After(300_000_000_000) {
                break;
            }
        }
        rig.advance(10);
    }
    seen.sort_unstable();
    assert_eq!(seen, ["a", "b", "c", "d", "e", "f", "g"]);
    assert!(pages < 40 && delays > 2, "{pages} pages, {delays} delays");
}

/// The service of one tick: its rows by pages of two, where what is updated leaves it.
struct Tickful {
    rows: Vec<String>,
    /// After so many requests for a page the first row leaves.
    leaves_after: Vec<usize>,
    asked: usize,
    member: &'static str,
    /// Whether pages name their next one.
    links: bool,
}

pub(super) const AT: &str = "2026-01-01T11:30:00Z";

impl Tickful {
    fn answer(&mut self, url: &str) -> Answer {
        let url = read(url);
        let member = self.member;
        let at = Tick::parse(AT).unwrap();
        let bound = |operator: &str| {
            let from = url.find(&format!("{member} {operator} ")).map(|at| at + member.len() + 4);
            from.and_then(|from| Tick::parse(url.get(from..from + 28)?))
        };
        let is_shown = bound("ge").is_none_or(|since| since <= at) && bound("le").is_none_or(|until| at <= until);
        let skip: usize = url.split("skip=").nth(1).map_or(0, |skip| skip.parse().unwrap());
        let shown = if is_shown { self.rows.clone() } else { Vec::new() };
        let page: Vec<_> = shown.iter().skip(skip).take(2).map(|id| self.row(id)).collect();
        let is_more = shown.len() > skip + 2;
        let link = (self.links && is_more)
            .then(|| format!("https://graph.microsoft.com/v1.0/security/alerts_v2?skip={}", skip + 2));
        self.asked += usize::from(skip > 0);
        if self.leaves_after.contains(&self.asked) && skip > 0 {
            self.rows.remove(0);
        }
        answer(&page, link.as_deref())
    }

    fn row(&self, id: &str) -> String {
        let member = self.member;
        format!(r#"{{"id":"{id}","{member}":"{AT}"}}"#)
    }
}

#[test]
fn rows_of_one_tick_that_move_up_while_its_pages_are_turned_are_not_passed_over() {
    for (api, member, links) in [
        ("graph", "lastUpdateDateTime", true),
        ("graph", "lastUpdateDateTime", false),
        ("alerts", "lastUpdateTime", false),
    ] {
        for leaves_after in [vec![], vec![1], vec![1, 3], vec![2]] {
            let ids = ["a", "b", "c", "d", "e", "f", "g"];
            let rows = ids.map(str::to_owned).to_vec();
            let mut service = Tickful { rows, leaves_after: leaves_after.clone(), asked: 0, member, links };
            let mut rig = Rig::of(api, &format!(r#"{START},"limit":2"#), &Position::Resume(None));
            let budget = Budget { max_requests: 200, ..BUDGET };
            let batch = rig.poll(budget, |url| service.answer(url)).unwrap();
            let mut seen: Vec<_> = batch.events.iter().map(|event| event.subject.as_str()).collect();
            seen.sort_unstable();
            assert_eq!(seen, ids, "{api} {leaves_after:?}");
            let skips = rig.requests.iter().filter(|url| url.contains("$skip=")).count();
            assert_eq!(skips == 0, links, "{:?}", rig.requests);
            assert!(rig.requests.len() < 40, "{} requests", rig.requests.len());
            // A page without rows after a full one may be as far as `$skip` goes.
            let in_doubt = !links && service.rows.len().is_multiple_of(2);
            assert_eq!(batch.gaps.len(), usize::from(in_doubt), "{api} {leaves_after:?}: {:?}", batch.gaps);
            assert!(batch.gaps.iter().all(|gap| gap.detail.contains("may be missing")), "{:?}", batch.gaps);
            assert!(matches!(batch.next, NextPoll::After(_)));
        }
    }
}

#[test]
fn what_lies_beyond_the_links_that_a_service_follows_is_a_gap_and_told_once() {
    let rows = ["a", "b", "c", "d", "e"].map(str::to_owned).to_vec();
    let member = "lastUpdateDateTime";
    let mut service = Tickful { rows, leaves_after: Vec::new(), asked: 0, member, links: true };
    let mut rig = Rig::of("graph", &format!(r#"{START},"limit":2"#), &Position::Resume(None));
    let budget = Budget { max_requests: 200, ..BUDGET };
    let mut gaps = Vec::new();
    for _ in 0..2 {
        let mut refused = 0;
        let mut answered = |url: &str| {
            if url.contains("skip=4") {
                refused += 1;
                return (400, Vec::new(), String::new());
            }
            service.answer(url)
        };
        let batch = rig.poll(budget, &mut answered).unwrap();
        gaps.extend(batch.gaps);
        assert!(matches!(batch.next, NextPoll::After(_)), "{:?}", rig.requests);
        assert_eq!(refused, 5, "a link may have run out");
        // The overlap brings it again, to an instance that knows it from the checkpoint.
        rig.machine = Machine::new(rig.machine.config.clone(), &Position::Resume(Some(batch.checkpoint))).unwrap();
        rig.advance(300);
    }
    let [gap] = &gaps[..] else { panic!("{gaps:?}") };
    assert_eq!((&gap.cause, gap.since, gap.until), (&GapCause::Truncated, before(AT), behind(AT)));
    assert!(gap.detail.contains("after 4 rows"), "{}", gap.detail);
}

#[test]
fn what_lies_beyond_the_skip_that_a_service_allows_is_a_gap() {
    let rows = ["a", "b", "c", "d", "e", "f", "g"].map(str::to_owned).to_vec();
    let mut service = Tickful { rows, leaves_after: Vec::new(), asked: 0, member: "lastUpdateTime", links: false };
    let mut rig = Rig::of("alerts", &format!(r#"{START},"limit":2"#), &Position::Resume(None));
    let budget = Budget { max_requests: 200, ..BUDGET };
    let mut refused = 0;
    let batch = rig
        .poll(budget, |url| {
            if url.contains("skip=4") {
                refused += 1;
                return (400, Vec::new(), String::new());
            }
            service.answer(url)
        })
        .unwrap();
    assert_eq!((batch.events.len(), refused), (4, 2), "a single refusal may be a mishap");
    let [gap] = &batch.gaps[..] else { panic!("{:?}", batch.gaps) };
    assert_eq!((&gap.cause, gap.kind, gap.since), (&GapCause::Truncated, "alert", before(AT)));
    assert_eq!(gap.until, behind(AT));
    assert!(gap.detail.contains("after 4 rows"), "{}", gap.detail);
    assert!(matches!(batch.next, NextPoll::After(_)));
}

/// A service of rows at one tick, in pages of two that name the next one as long as they have rows; `answer` makes an answer of
/// the rows of a page, which follows so many.
fn at_one_tick(ids: &[&str], url: &str, answer: impl FnOnce(&[String], Option<&str>, usize) -> Answer) -> Answer {
    let skip: usize = url.split("skip=").nth(1).map_or(0, |skip| skip.parse().unwrap());
    let is_shown = url.contains("skip=") || covers(url, AT);
    let page: Vec<_> = ids.iter().skip(skip).take(if is_shown { 2 } else { 0 }).map(|id| alert(id, AT)).collect();
    let next = format!("https://graph.microsoft.com/v1.0/security/alerts_v2?skip={}", skip + 2);
    answer(&page, (!page.is_empty()).then_some(&*next), skip)
}

/// A reader of the one tick that [`at_one_tick`] serves.
fn of_one_tick(members: &str) -> Rig {
    let at = Tick::parse(AT).unwrap();
    Rig::of("graph", members, &Position::Range(at, at.plus(1)))
}

#[test]
fn pages_that_are_named_as_long_as_they_have_rows_leave_no_doubt() {
    let ids = ["a", "b", "c", "d"];
    let mut rig = of_one_tick(r#","limit":2"#);
    let batch = rig.poll(BUDGET, |url| at_one_tick(&ids, url, |page, link, _| answer(page, link))).unwrap();
    assert_eq!((batch.events.len(), batch.gaps), (4, Vec::new()));
}

#[test]
fn a_part_that_is_missing_on_any_page_is_told_of() {
    let warning = || vec![("warning", "199 - \"a source is down\"".to_owned())];
    for (first, further) in [(206, 200), (200, 206), (206, 206)] {
        let mut rig = of_one_tick(r#","limit":2"#);
        let batch = rig
            .poll(BUDGET, |url| {
                at_one_tick(&["a", "b", "c"], url, |page, link, skip| {
                    let status = if skip == 0 { first } else { further };
                    let headers = if status == 206 { warning() } else { Vec::new() };
                    (status, headers, answer(page, link).2)
                })
            })
            .unwrap();
        let [gap] = &batch.gaps[..] else { panic!("{first} {further}: {:?}", batch.gaps) };
        assert_eq!((&gap.cause, batch.events.len()), (&GapCause::Partial, 3));
        assert!(gap.detail.contains("a source is down"), "{}", gap.detail);
    }
}

#[test]
fn a_link_that_has_run_out_is_not_followed_again() {
    let mut rig = of_one_tick(r#","limit":2"#);
    let (mut begun, mut refused) = (0, 0);
    let batch = rig
        .poll(BUDGET, |url| {
            begun += usize::from(!url.contains("skip="));
            // The links of the first pass are no good any more.
            if begun == 2 && url.contains("skip=") {
                refused += 1;
                return (400, Vec::new(), String::new());
            }
            at_one_tick(&["a", "b", "c"], url, |page, link, _| answer(page, link))
        })
        .unwrap();
    assert_eq!((batch.events.len(), batch.gaps, refused), (3, Vec::new(), 1));
}

#[test]
fn a_refusal_for_good_is_told_whatever_page_it_comes_for() {
    let mut rig = of_one_tick(r#","limit":2"#);
    let failure = rig.poll(BUDGET, |url| {
        if url.contains("skip=") {
            (403, Vec::new(), String::new())
        } else {
            at_one_tick(&["a", "b", "c"], url, |page, link, _| answer(page, link))
        }
    });
    // What came before it is handed out first.
    let failure =
        failure.and_then(|_| rig.poll(BUDGET, |_| panic!("it is told before anything is asked"))).unwrap_err();
    assert_eq!(failure.kind(), "forbidden");

    let at = "2026-01-01T11:30:00Z";
    let mut rig = Rig::of("alerts", START, &Position::Resume(None));
    rig.machine.limits.suspicious_rows = 1;
    let mut asked = 0;
    let mut answered = |_: &str| {
        asked += 1;
        if asked > 1 {
            (400, Vec::new(), String::new())
        } else {
            answer(&[format!(r#"{{"id":"7","lastUpdateTime":"{at}"}}"#)], None)
        }
    };
    let batch = rig.poll(BUDGET, &mut answered).unwrap();
    assert_eq!(batch.events.len(), 1);
    let failure = rig.poll(BUDGET, |_| panic!("it is told before anything is asked")).unwrap_err();
    assert_eq!(failure.kind(), "rejected");
}

#[test]
fn refusals_of_a_further_row_that_come_one_at_a_time_are_mishaps() {
    let rows = ["a", "b", "c", "d", "e", "f", "g"].map(str::to_owned).to_vec();
    let mut service = Tickful { rows, leaves_after: Vec::new(), asked: 0, member: "lastUpdateTime", links: false };
    let mut rig = Rig::of("alerts", &format!(r#"{START},"limit":2"#), &Position::Resume(None));
    let mut pages = 0;
    let batch = rig
        .poll(Budget { max_requests: 200, ..BUDGET }, |url| {
            pages += usize::from(url.contains("skip="));
            if url.contains("skip=") && pages % 2 == 1 { (400, Vec::new(), String::new()) } else { service.answer(url) }
        })
        .unwrap();
    assert_eq!((batch.events.len(), batch.gaps), (7, Vec::new()), "{pages}");
}

#[test]
fn passes_that_differ_in_a_record_that_is_too_large_are_not_alike() {
    let mut rig = of_one_tick("");
    rig.machine.limits.event_bytes = 300;
    // By the number of the pass, the slice being the first.
    let mut begun = 0;
    let batch = rig
        .poll(BUDGET, |url| {
            if url.contains("skip=") {
                return answer(&[], None);
            }
            begun += 1;
            let large = alert(&format!("{}-{}", begun.min(3), "x".repeat(400)), AT);
            answer(&[alert("a", AT), large], Some("https://graph.microsoft.com/v1.0/security/alerts_v2?skip=x"))
        })
        .unwrap();
    assert_eq!((begun, batch.events.len(), batch.gaps.len()), (4, 1, 3), "{:?}", batch.gaps);
}

#[test]
fn one_tick_that_is_cut_in_silence_is_doubted_as_well() {
    let ids: Vec<_> = (0..60).map(|n| n.to_string()).collect();
    let rows: Vec<_> = ids.iter().map(|id| (id.as_str(), AT)).collect();
    let batch = of_one_tick("").poll(BUDGET, |url| cutting(&rows, url, TICKS, 50)).unwrap();
    assert_eq!((batch.events.len(), batch.gaps), (60, Vec::new()));
}

#[test]
fn a_pass_that_meets_no_answer_is_begun_anew_and_proves_nothing_before() {
    let ids = ["a", "b", "c"];
    let mut rig = of_one_tick(r#","limit":2"#);
    let mut asked = Vec::new();
    let (mut events, mut failures) = (0, Vec::new());
    loop {
        let polled = rig.poll(BUDGET, |url| {
            let skip = url.split("skip=").nth(1).unwrap_or("0").to_owned();
            asked.push(skip.clone());
            // The slice, the first page of the first pass, and a page of a proxy.
            if asked.len() == 3 {
                return ok("<html>log in</html>");
            }
            at_one_tick(&ids, url, |page, link, _| answer(page, link))
        });
        match polled {
            Ok(batch) => {
                events += batch.events.len();
                assert!(batch.gaps.is_empty(), "{:?}", batch.gaps);
                if batch.next == NextPoll::Ended {
                    break;
                }
            }
            Err(failure) => failures.push(failure.kind()),
        }
        rig.advance(10);
    }
    assert_eq!((events, failures), (3, vec!["rejected"]), "{asked:?}");
    assert_eq!(asked.join(" "), "0 0 2 0 2 4 0 2 4");
}
