//! A checkpoint of the SIEM API is read on from by its successors.

use super::*;

/// What a source of the SIEM API stored that had read up to 11:59.
fn of_siem(members: &str) -> String {
    let mut rig = Rig::new(members, &Position::Resume(None));
    rig.poll(BUDGET, |_| ok(format!("[{}]", row("da1_2", "2026-01-01T11:58:00Z")))).unwrap().checkpoint
}

#[test]
fn a_successor_begins_an_overlap_before_what_would_have_been_read_again() {
    for (api, member) in [("alerts", "lastUpdateTime"), ("graph", "lastUpdateDateTime")] {
        let before = Position::Resume(Some(of_siem("")));
        let mut rig = Rig::of(api, r#","slice":"P1D","overlap":"PT30M""#, &before);
        assert!(
            rig.machine
                .config
                .plan()
                .accepts
                .contains(&"microsoft-defender/siem/11111111-1111-4111-8111-111111111111".to_owned())
        );
        let body = format!(r#"{{"value":[{{"id":"da1_2","{member}":"2026-01-01T11:58:00Z"}}]}}"#);
        let batch = rig.poll(BUDGET, |_| ok(body.clone())).unwrap();
        // It had read up to 11:59, and would have read again from 10:59 on.
        assert!(rig.requests[0].contains("ge%202026-01-01T10:29:00.0000000Z%20and"), "{:?}", rig.requests);
        let told = batch.notices.iter().find(|notice| notice.code == "checkpoint.taken-over").unwrap();
        assert!(told.message.contains("microsoft-defender/siem/") && told.message.contains("10:29:00"), "{told:?}");
        let events: Vec<_> = batch.events.iter().map(|event| (event.kind, &*event.subject)).collect();
        assert_eq!(events, [("alert", "da1_2")], "a detection that was delivered is no alert that was");
        let own = Rig::of(api, "", &Position::Resume(Some(batch.checkpoint)));
        assert!(own.machine.state.is_some());
    }
}

#[test]
fn a_failure_of_the_first_poll_stores_what_was_taken_over() {
    let before = Position::Resume(Some(of_siem("")));
    let mut rig = Rig::of("graph", "", &before);
    let Err(Failure::Unavailable(delay)) = rig.poll(BUDGET, |_| (503, Vec::new(), String::new())) else { panic!() };
    let stored = delay.fault.checkpoint.unwrap();
    assert!(stored.contains("microsoft-defender/graph/"), "{stored}");
    let machine = Machine::new(rig.machine.config.clone(), &Position::Resume(Some(stored))).unwrap();
    assert_eq!(machine.state.unwrap().start, Tick::parse("2026-01-01T09:59:00Z").unwrap());
}

#[test]
fn other_checkpoints_are_not_taken_over() {
    let siem = of_siem("");
    let refused = |api: &str, text: &str| {
        let config = Rig::of(api, "", &Position::Resume(None)).machine.config;
        match Machine::new(config, &Position::Resume(Some(text.to_owned()))) {
            Err(Failure::UnusableCheckpoint(fault)) => fault.code,
            other => panic!("{api}: {other:?}"),
        }
    };
    assert_eq!(refused("incidents", &siem), "checkpoint.foreign");
    assert_eq!(refused("graph", &of_siem(r#","request":{"ago":"PT1H"}"#)), "checkpoint.mode");
    let graph = Rig::of("graph", "", &Position::Resume(None)).poll(BUDGET, |_| ok("[]")).unwrap().checkpoint;
    assert_eq!(refused("alerts", &graph), "checkpoint.foreign");
    let mut of_another = Rig::new("", &Position::Resume(None));
    of_another.machine.config.tenant_id = "contoso.example".to_owned();
    let of_another = of_another.poll(BUDGET, |_| ok("[]")).unwrap().checkpoint;
    assert_eq!(refused("graph", &of_another), "checkpoint.foreign");
}

#[test]
fn a_start_that_no_answer_has_measured_is_measured_still() {
    let mut siem = Rig::new("", &Position::Resume(None));
    let Err(Failure::Unavailable(delay)) = siem.poll(BUDGET, |_| (503, Vec::new(), String::new())) else { panic!() };
    let before = Position::Resume(delay.fault.checkpoint);
    let mut rig = Rig::of("graph", "", &before);
    let hour_ago = (200, vec![("date", "Thu, 01 Jan 2026 11:00:00 GMT".to_owned())], "[]".to_owned());
    rig.poll(BUDGET, |_| hour_ago.clone()).unwrap();
    // Two hours before now, an overlap of one, and the local clock is an hour ahead.
    assert_eq!(rig.machine.state.unwrap().start, Tick::parse("2026-01-01T08:00:00Z").unwrap());
}
