//! Answers that are held between two polls.

use super::*;

#[test]
fn an_answer_without_a_date_tells_nothing_of_the_time_that_it_was_held() {
    let members = r#","start":"2026-01-01T11:30:00Z","overlap":"PT1H""#;
    let mut rig = Rig::new(members, &Position::Resume(None));
    let body = format!("[{},{}]", row("a", "2026-01-01T11:50:00Z"), row("b", "2026-01-01T11:51:00Z"));
    let first = rig.poll(Budget { max_events: 1, ..BUDGET }, |_| ok(body.clone())).unwrap();
    assert_eq!(first.events.len(), 1);
    rig.advance(3 * 3600);
    let second = rig.poll(BUDGET, |_| panic!("the answer is there")).unwrap();
    assert_eq!((second.events.len(), second.watermark), (1, None));
    rig.advance(300);
    let late = format!("[{},{}", row("c", "2026-01-01T11:52:00Z"), &body[1..]);
    let answer = |url: &str| ok(if url.contains("sinceTimeUtc=2026-01-01T11:29:59") { &late } else { "[]" });
    let third = rig.poll(BUDGET, answer).unwrap();
    let keys: Vec<_> = third.events.iter().map(|event| event.subject.as_str()).collect();
    assert_eq!(keys, ["c"], "it showed up while the answer was held");
}
