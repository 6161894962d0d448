//! The local clock beside the service's.

use super::*;

/// An answer without rows, of a service whose clock says this.
fn dated(time: &str) -> Answer {
    (200, vec![("date", format!("Thu, 01 Jan 2026 {time} GMT"))], "[]".to_owned())
}

/// The notices of a poll at which the local clock is so many ticks ahead of noon, by the service's clock.
fn told(rig: &mut Rig, ahead: i64) -> Vec<String> {
    rig.now.wall = Tick::parse(NOW).unwrap().plus(ahead);
    let batch = rig.poll(BUDGET, |_| dated("12:00:00")).unwrap();
    batch.notices.into_iter().map(|notice| format!("{}: {}", notice.code, notice.message)).collect()
}

const MINUTE: i64 = 60 * TICKS_PER_SECOND;

#[test]
fn a_difference_of_more_than_a_minute_is_told_and_again_where_it_changes_by_more_than_a_minute() {
    let mut rig = Rig::new(r#","start":"2026-01-01T11:00:00Z""#, &Position::Resume(None));
    let none = Vec::<String>::new;
    let ahead = |seconds| vec![format!("clock.skew: the local clock is {seconds} s ahead of the service's")];
    assert_eq!(told(&mut rig, MINUTE), none());
    assert_eq!(told(&mut rig, -MINUTE), none());
    assert_eq!(told(&mut rig, MINUTE + 1), ahead(60));
    assert_eq!(told(&mut rig, 2 * MINUTE + 1), none());
    assert_eq!(told(&mut rig, 2 * MINUTE + 2), ahead(120));
    assert_eq!(told(&mut rig, 0), none());
    assert_eq!(told(&mut rig, -2 * MINUTE), ["clock.skew: the local clock is 120 s behind the service's"]);
}

#[test]
fn a_start_moves_with_a_clock_that_is_more_than_a_minute_ahead_and_with_no_other() {
    for (seconds, begins) in [(60, "11:30:00"), (61, "11:28:59"), (-61, "11:30:00")] {
        let mut rig = Rig::new(r#","start":"PT30M""#, &Position::Resume(None));
        let service = rig.now.wall.minus(seconds * TICKS_PER_SECOND).to_string();
        let batch = rig.poll(BUDGET, |_| dated(&service[11..19])).unwrap();
        assert!(
            batch.checkpoint.contains(&format!(r#""start":"2026-01-01T{begins}.0000000Z""#)),
            "{}",
            batch.checkpoint
        );
        assert_eq!(rig.requests.len(), if seconds == 61 { 2 } else { 1 });
    }
}

#[test]
fn a_start_that_a_check_corrects_leaves_no_check_behind() {
    let mut rig = Rig::new(r#","start":"PT30M""#, &Position::Resume(None));
    rig.machine.limits.suspicious_rows = 2;
    let body = format!("[{},{}]", row("a", "2026-01-01T11:40:00Z"), row("b", "2026-01-01T11:50:00Z"));
    let earlier = format!("[{}]", row("c", "2026-01-01T09:40:00Z"));
    let mut answers = [ok(body), dated("10:00:00"), ok(earlier)].into_iter();
    let batch = rig.poll(BUDGET, |_| answers.next().unwrap_or_else(|| ok("[]"))).unwrap();
    assert_eq!(batch.events.len(), 3);
    assert!(batch.notices.iter().all(|notice| notice.code != "answer.cap"), "{:?}", batch.notices);
    let asked = |begin: &str| {
        rig.requests.iter().filter(|url| url.contains(&format!("sinceTimeUtc=2026-01-01T{begin}"))).count()
    };
    assert_eq!((asked("11:29:59"), asked("09:29:59"), asked("11:50:00")), (2, 1, 0), "{:?}", rig.requests);
    assert!(rig.machine.suspect.is_none());
}

#[test]
fn nothing_is_asked_for_that_lies_after_the_services_now() {
    // The local clock is thirty days ahead.
    let mut rig = Rig::new(r#","start":"PT2H""#, &Position::Resume(None));
    let dated = || (200, vec![("date", "Tue, 02 Dec 2025 12:00:00 GMT".to_owned())], "[]".to_owned());
    for _ in 0..3 {
        let batch = rig.poll(BUDGET, |_| dated()).unwrap();
        assert!(matches!(batch.next, NextPoll::After(_)), "{batch:?}");
        rig.advance(1);
    }
    assert!(rig.requests.len() < 12, "{} requests", rig.requests.len());
    assert!(rig.requests.iter().skip(1).all(|url| url.contains("untilTimeUtc=2025-12-02T")), "{:?}", rig.requests);
}

#[test]
fn a_clock_that_was_never_set_fixes_no_start() {
    for (members, is_refused) in [("", true), (r#","start":"now""#, true), (r#","start":"2025-12-31""#, false)] {
        let mut rig = Rig::new(members, &Position::Resume(None));
        let right = rig.now.wall;
        rig.now.wall = Tick::parse("1970-01-01T00:00:07Z").unwrap();
        let polled = rig.poll(BUDGET, |_| ok("[]"));
        if !is_refused {
            assert!(matches!(polled.unwrap().next, NextPoll::After(_)), "{members}");
            continue;
        }
        let Err(Failure::Unavailable(delay)) = polled else { panic!("{members}: {polled:?}") };
        assert_eq!((&*delay.fault.code, delay.fault.checkpoint), ("clock.implausible", None));
        assert!(delay.fault.message.contains("1970-01-01"), "{}", delay.fault.message);
        assert!(delay.fault.hint.is_some_and(|hint| hint.contains("set the clock")));
        rig.now.wall = right;
        rig.requests.clear();
        rig.poll(BUDGET, |_| ok("[]")).unwrap();
        assert!(rig.requests.iter().all(|url| url.contains("sinceTimeUtc=2026-01-01T")), "{:?}", rig.requests);
    }
}

#[test]
fn a_range_and_the_earliest_time_that_a_clock_may_say_need_no_later_clock() {
    let range =
        Position::Range(Tick::parse("2020-01-01T00:00:00Z").unwrap(), Tick::parse("2020-01-02T00:00:00Z").unwrap());
    for (clock, position) in [("1970-01-01T00:00:07Z", range), (MADE_AFTER, Position::Resume(None))] {
        let mut rig = Rig::new("", &position);
        rig.now.wall = Tick::parse(clock).unwrap();
        rig.poll(BUDGET, |_| ok("[]")).unwrap();
    }
}

#[test]
fn what_lies_ahead_of_the_clock_of_the_service_is_not_asked_for_where_the_local_one_is_far_ahead() {
    for (service, last, ends) in [("10:00:00", "09:30:00", "09:59:00"), ("11:59:30", "11:30:00", "11:59:00")] {
        let mut rig = Rig::new(r#","start":"2026-01-01T09:00:00Z","slice":"PT30M""#, &Position::Resume(None));
        rig.poll(BUDGET, |_| dated(service)).unwrap();
        let url = rig.requests.last().unwrap();
        let bound = |name: &str| Tick::parse(url.split(name).nth(1).unwrap().split('&').next().unwrap()).unwrap();
        let at = |time: &str| Tick::parse(&format!("2026-01-01T{time}Z")).unwrap();
        assert_eq!(bound("sinceTimeUtc=").plus(1), at(last), "{service}: {:?}", rig.requests);
        assert_eq!(bound("untilTimeUtc=").minus(1), at(ends), "{service}: {:?}", rig.requests);
    }
}
