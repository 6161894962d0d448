//! What a poll and an event may be at the most.

use super::*;

#[test]
fn a_poll_whose_time_is_over_hands_out_what_it_has_and_the_next_one_reads_on() {
    let mut rig = Rig::new(r#","start":"PT30M""#, &Position::Resume(None));
    rig.poll(BUDGET, |_| ok("[]")).unwrap();
    rig.advance(300);
    let budget = Budget { max_duration: 1_000_000_000, ..BUDGET };
    rig.machine.begin(budget, rig.now).unwrap();
    assert!(matches!(rig.machine.step(rig.now), Output::Send(_)));
    rig.machine.handle(Input::ResponseHead(ResponseHead { status: 200, headers: Vec::new() }), rig.now);
    assert!(matches!(rig.machine.step(rig.now), Output::ReadBody));
    let first = format!("[{},", row("a", "2026-01-01T11:45:00Z"));
    rig.machine.handle(Input::BodyChunk(first.as_bytes()), rig.now);
    rig.advance(1);
    let Output::Done(Ok(batch)) = rig.machine.step(rig.now) else { panic!("its time is over") };
    assert_eq!((batch.events.len(), batch.next, rig.machine.wants_body()), (1, NextPoll::Now, true));
    rig.machine.begin(budget, rig.now).unwrap();
    assert!(matches!(rig.machine.step(rig.now), Output::ReadBody), "the rest of the same answer");
}

#[test]
fn a_record_that_is_too_large_as_csv_is_a_gap_and_the_others_are_delivered() {
    let mut rig = Rig::new(r#","start":"PT30M","format":"csv""#, &Position::Resume(None));
    rig.machine.limits.event_bytes = 400;
    let unknown: Vec<_> = (0..40).map(|n| format!(r#""m{n}":0"#)).collect();
    let large = format!(r#"{{"FullId":"large",{}}}"#, unknown.join(","));
    assert!(large.len() < 400);
    let body = format!("[{large},{}]", row("a", "2026-01-01T11:45:00Z"));
    let batch = rig.poll(BUDGET, |_| ok(body.clone())).unwrap();
    assert_eq!(batch.events.iter().map(|event| event.key.as_str()).collect::<Vec<_>>(), ["a:x"]);
    assert_eq!(batch.gaps.iter().map(|gap| &gap.cause).collect::<Vec<_>>(), [&GapCause::Unreadable]);
    let hash = twox_hash::XxHash64::oneshot(0, large.as_bytes());
    assert_eq!(batch.gaps[0].key, format!("gap:unreadable:{hash:016x}"), "as of one that is too large as it came");
    rig.advance(300);
    let again = rig.poll(BUDGET, |_| ok(body.clone())).unwrap();
    assert_eq!((again.events.len(), again.gaps.len()), (0, 0), "it is told once");
}

#[test]
fn a_record_of_the_largest_size_is_delivered() {
    let mut rig = Rig::new(r#","start":"PT30M""#, &Position::Resume(None));
    let record = row("a", "2026-01-01T11:45:00Z");
    for (less, events) in [(0, 1), (1, 0)] {
        rig.machine.limits.event_bytes = record.len() - less;
        let body = format!("[{}]", record.replace('a', &less.to_string()));
        rig.advance(300);
        let batch = rig.poll(BUDGET, |_| ok(body.clone())).unwrap();
        assert_eq!((batch.events.len(), batch.gaps.len()), (events, 1 - events));
    }
}

#[test]
fn a_large_record_beside_a_failing_slice_is_no_gap_of_that_slice() {
    let mut rig = Rig::new(r#","start":"PT30M""#, &Position::Resume(None));
    rig.machine.limits.event_bytes = 100;
    let large = format!(r#"[{{"x":"{}"}}]"#, "x".repeat(100));
    for _ in 0..3 {
        rig.poll(BUDGET, |_| (500, Vec::new(), String::new())).unwrap_err();
    }
    let mut answers = [ok(large), (403, Vec::new(), String::new())].into_iter();
    let told = rig.poll(BUDGET, |_| answers.next().unwrap());
    assert_eq!(told.unwrap_err().kind(), "forbidden", "nothing came before it");
}

#[test]
fn no_debug_shows_the_secret_or_the_token() {
    let config = r#"{"tenant_id":"contoso.example","client_id":"22222222-2222-4222-8222-222222222222",
        "client_secret":"kanarie~9Q","api":"siem","region":"eu"}"#;
    let now = Now { wall: Tick::parse(NOW).unwrap(), monotonic: 0 };
    let mut session = crate::Session::default();
    let machine = session.begin(config, &Position::Resume(None), BUDGET, now).unwrap();
    assert!(matches!(machine.step(now), Output::Send(_)));
    machine.handle(Input::ResponseHead(ResponseHead { status: 200, headers: Vec::new() }), now);
    machine.handle(Input::BodyChunk(b"kanarie"), now);
    let shown = format!("{session:?}");
    assert!(shown.contains("Running"), "{shown}");
    assert!(!shown.contains("kanarie") && !shown.contains(&format!("{:?}", b"kanarie")[1..20]), "{shown}");
}
