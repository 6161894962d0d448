//! Rows beside the slice, and those without a place in time.

use super::*;

#[test]
fn rows_in_the_margins_are_the_neighbours_and_rows_beyond_them_are_delivered() {
    let mut rig = Rig::new(r#","start":"2026-01-01T11:30:00Z""#, &Position::Resume(None));
    let (since, until) = (Tick::parse("2026-01-01T11:30:00Z").unwrap(), Tick::parse("2026-01-01T11:59:00Z").unwrap());
    let rows: Vec<_> = [
        ("before-it", since.minus(2)),
        ("margin-before", since.minus(1)),
        ("first", since),
        ("last", until.minus(1)),
        ("end", until),
        ("margin-behind", until.plus(1)),
        ("behind-it", until.plus(2)),
    ]
    .map(|(id, at)| row(id, &at.to_string()))
    .into();
    let batch = rig.poll(BUDGET, |_| ok(format!("[{}]", rows.join(",")))).unwrap();
    let keys: Vec<_> = batch.events.iter().map(|event| event.subject.as_str()).collect();
    assert_eq!(keys, ["before-it", "first", "last", "behind-it"]);
}

#[test]
fn a_row_without_a_stamp_that_comes_with_every_answer_is_delivered_once() {
    let mut rig = Rig::new(r#","start":"PT30M","overlap":"PT10M""#, &Position::Resume(None));
    let mut delivered = 0;
    for _ in 0..30 {
        delivered += rig.poll(BUDGET, |_| ok(r#"[{"FullId":"a"}]"#)).unwrap().events.len();
        rig.advance(300);
    }
    assert_eq!(delivered, 1);
}

#[test]
fn a_row_from_outside_its_slice_that_comes_with_every_answer_is_delivered_once() {
    let mut rig = Rig::new(r#","start":"PT30M","overlap":"PT10M""#, &Position::Resume(None));
    for at in ["2025-12-24T00:00:00Z", "2026-06-01T00:00:00Z"] {
        let body = format!("[{}]", row(at, at));
        let mut delivered = 0;
        for _ in 0..30 {
            delivered += rig.poll(BUDGET, |_| ok(body.clone())).unwrap().events.len();
            rig.advance(300);
        }
        assert_eq!(delivered, 1, "{at}");
    }
}

#[test]
fn a_row_that_comes_again_with_a_later_stamp_is_delivered_once() {
    let mut rig = Rig::new(r#","start":"PT30M","overlap":"PT10M""#, &Position::Resume(None));
    let mut delivered = 0;
    for _ in 0..30 {
        // The service goes on stamping it anew for two hours.
        let at = rig.now.wall.minus(120 * TICKS_PER_SECOND).min(Tick::parse("2026-01-01T14:00:00Z").unwrap());
        let body = format!("[{}]", row("a", &at.to_string()));
        let since =
            |url: &str| Tick::parse(url.split("sinceTimeUtc=").nth(1).unwrap().split('&').next().unwrap()).unwrap();
        let batch = rig.poll(BUDGET, |url| if since(url) <= at { ok(body.clone()) } else { ok("[]") });
        delivered += batch.unwrap().events.len();
        rig.advance(300);
    }
    assert_eq!(delivered, 1);
}

#[test]
fn the_gap_of_a_record_that_is_too_large_covers_the_margins() {
    let mut rig = Rig::new(r#","start":"2026-01-01T11:30:00Z""#, &Position::Resume(None));
    rig.machine.limits.event_bytes = 100;
    let batch = rig.poll(BUDGET, |_| ok(format!(r#"[{{"x":"{}"}}]"#, "x".repeat(100)))).unwrap();
    let gaps: Vec<_> = batch.gaps.iter().map(|gap| (gap.since.to_string(), gap.until.to_string())).collect();
    assert_eq!(gaps, [("2026-01-01T11:29:59.9999999Z".to_owned(), "2026-01-01T11:59:00.0000002Z".to_owned())]);
}

#[test]
fn a_tick_that_cannot_be_read_is_given_up_with_the_third_strike() {
    let mut rig = Rig::new(r#","start":"2026-01-01T11:30:00Z""#, &Position::Resume(None));
    let at = Tick::parse("2026-01-01T11:30:00Z").unwrap();
    let mut state = State::begin(&rig.machine.config, None, rig.now.wall);
    state.round = Some(Round { until: at.plus(10), at, end: at.plus(1) });
    (state.length, state.failures) = (1, crate::progress::PATIENCE + 1);
    rig.machine.resume(&state.to_text()).unwrap();
    let own = "sinceTimeUtc=2026-01-01T11:29:59.9999999Z";
    let batch = rig.poll(Budget { max_requests: 7, ..BUDGET }, |url| {
        if url.contains(own) { (500, Vec::new(), String::new()) } else { ok("[]") }
    });
    let gaps = batch.unwrap().gaps;
    assert_eq!(gaps.iter().map(|gap| (gap.since, gap.until)).collect::<Vec<_>>(), [(at, at.plus(1))]);
    assert_eq!(rig.requests.iter().filter(|url| url.contains(own)).count(), 3, "{:?}", rig.requests);
}
