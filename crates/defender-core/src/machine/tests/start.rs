//! The start, which the first poll fixes, and what the cursor runs on.

use super::*;
use crate::http::{TransportFailure, TransportFailureKind};

/// What may come of the first poll's requests.
#[derive(Clone, Debug)]
enum First {
    /// The token endpoint answers so.
    Token(u16, &'static str),
    TokenFails(TransportFailureKind),
    /// The token is good, and the service answers so.
    Detections(u16, String),
    DetectionsFail(TransportFailureKind),
}

const TOKEN: &str = r#"{"token_type":"Bearer","expires_in":"3599","access_token":"t"}"#;

fn poll_once(machine: &mut Machine, budget: Budget, now: Now, first: &First) -> Result<Batch, Failure> {
    machine.begin(budget, now)?;
    let mut body = None;
    loop {
        let request = match machine.step(now) {
            Output::Done(done) => return done,
            Output::ReadBody => {
                match body.take() {
                    Some(text) => machine.handle(Input::BodyChunk(String::as_bytes(&text)), now),
                    None => machine.handle(Input::BodyEnd, now),
                }
                continue;
            }
            Output::Send(request) => request,
        };
        let (status, text) = match (first, request.url.contains("/oauth2/")) {
            (First::Token(status, text), true) => (*status, (*text).to_owned()),
            (First::TokenFails(kind), true) | (First::DetectionsFail(kind), false) => {
                machine.handle(Input::TransportFailed(TransportFailure { kind: *kind, detail: String::new() }), now);
                continue;
            }
            (_, true) => (200, TOKEN.to_owned()),
            (First::Detections(status, text), false) => (*status, text.clone()),
            (First::Token(..) | First::TokenFails(_), false) => panic!("no token came"),
        };
        body = Some(text);
        machine.handle(Input::ResponseHead(ResponseHead { status, headers: Vec::new() }), now);
    }
}

#[test]
fn whatever_comes_of_the_first_poll_the_start_is_fixed_and_a_fresh_instance_goes_on_from_it() {
    use TransportFailureKind::{Broken, Connect, Denied, Dns, Timeout, Tls, TooLarge};
    let mut firsts = vec![
        First::Token(401, r#"{"error":"invalid_client","error_codes":[7000215]}"#),
        First::Token(400, r#"{"error":"x"}"#),
        First::Token(429, ""),
        First::Token(503, ""),
        First::Token(200, "<html>"),
        First::Token(302, ""),
        First::Detections(200, "<html>".to_owned()),
        First::Detections(200, "[{".to_owned()),
        First::Detections(200, r#"{"value":[],"@odata.nextLink":"https://elsewhere.example"}"#.to_owned()),
        First::Detections(200, "[]".to_owned()),
        // Larger than the budget lets through.
        First::Detections(200, format!("[{}]", row("a", "2026-01-01T11:30:00Z"))),
    ];
    firsts.extend([400, 401, 403, 404, 429, 500, 302, 206].map(|status| First::Detections(status, String::new())));
    firsts.extend([Broken, Connect, Denied, Dns, Timeout, Tls, TooLarge].map(First::TokenFails));
    firsts.extend([Broken, Connect, Denied, Dns, Timeout, Tls, TooLarge].map(First::DetectionsFail));
    for (start, fixed) in [("PT1H", "2026-01-01T11:00:00.0000000Z"), ("now", "2026-01-01T12:00:00.0000000Z")] {
        for first in &firsts {
            let mut rig = Rig::new(&format!(r#","start":"{start}""#), &Position::Resume(None));
            let budget = Budget { max_bytes: 10, ..BUDGET };
            let checkpoint = match poll_once(&mut rig.machine, budget, rig.now, first) {
                Ok(batch) => batch.checkpoint,
                Err(mut failure) => {
                    let fault = failure.fault_mut().unwrap_or_else(|| panic!("{first:?}: no checkpoint"));
                    fault.checkpoint.take().unwrap_or_else(|| panic!("{first:?}: no checkpoint"))
                }
            };
            assert!(checkpoint.contains(&format!(r#""start":"{fixed}""#)), "{first:?}: {checkpoint}");
            // A day later a fresh instance begins where the first one did.
            let config = rig.machine.config.clone();
            rig.machine = Machine::new(config, &Position::Resume(Some(checkpoint))).unwrap();
            rig.advance(86_400);
            let _ = rig.poll(BUDGET, |_| ok("[]")).unwrap();
            let since = rig.requests[0].split("sinceTimeUtc=").nth(1).unwrap().split('&').next().unwrap();
            let asked = Tick::parse(since).unwrap().plus(1).to_string();
            assert_eq!(asked, fixed, "{first:?}");
        }
    }
}

#[test]
fn a_budget_that_cannot_be_used_fixes_nothing_since_nothing_is_asked() {
    let mut rig = Rig::new(r#","start":"now""#, &Position::Resume(None));
    let refused = rig.poll(Budget { max_requests: 1, ..BUDGET }, |_| panic!("nothing is asked")).unwrap_err();
    assert!(matches!(refused, Failure::BudgetTooSmall(_)));
    rig.advance(60);
    let batch = rig.poll(BUDGET, |_| ok("[]")).unwrap();
    assert!(batch.checkpoint.contains(r#""start":"2026-01-01T12:01:00.0000000Z""#), "{}", batch.checkpoint);
}

#[test]
fn alert_time_decides_nothing() {
    let mut rig = Rig::new(r#","start":"PT30M""#, &Position::Resume(None));
    let rows = [("a", "2025-12-24T00:00:00Z", "11:31:00"), ("b", "2026-06-01T00:00:00Z", "11:58:59")].map(|(id, alert, at)| {
        format!(r#"{{"AlertTime":"{alert}","AlertId":"{id}","FullId":"{id}:x","LastProcessedTimeUtc":"2026-01-01T{at}Z"}}"#)
    });
    let batch = rig.poll(BUDGET, |_| ok(format!("[{}]", rows.join(",")))).unwrap();
    let seen: Vec<_> = batch.events.iter().map(|event| (event.occurred, event.visible)).collect();
    let at = |text: &str| Some(Tick::parse(text).unwrap());
    let expected = [
        (at("2025-12-24T00:00:00Z"), at("2026-01-01T11:31:00Z")),
        (at("2026-06-01T00:00:00Z"), at("2026-01-01T11:58:59Z")),
    ];
    assert_eq!(seen, expected);
    for part in [r#""cursor":"2026-01-01T11:59:00.0000000Z""#, r#""2026-01-01T11:31":""#, r#""2026-01-01T11:58":""#] {
        assert!(batch.checkpoint.contains(part), "{}", batch.checkpoint);
    }
}
