//! Which endpoint is named where both are on one host.

use super::*;
use crate::contract::Delay;
use crate::http::{TransportFailure, TransportFailureKind};

#[test]
fn the_endpoint_that_broke_off_is_named_although_both_are_on_one_host() {
    for (breaks, named) in [("/oauth2/token", "The token endpoint"), ("/api/alerts", "The detections endpoint")] {
        let members = r#","endpoints":{"token":"http://127.0.0.1:1/oauth2/token","api":"http://127.0.0.1:1"}"#;
        let mut rig = Rig::new(members, &Position::Resume(None));
        rig.machine.begin(BUDGET, rig.now).unwrap();
        let mut body = r#"{"token_type":"Bearer","expires_in":"3599","access_token":"opaque-token"}"#;
        let failure = loop {
            match rig.machine.step(rig.now) {
                Output::Done(done) => break done.unwrap_err(),
                Output::Send(request) if request.url.contains(breaks) => {
                    let failure = TransportFailure { kind: TransportFailureKind::Broken, detail: String::new() };
                    rig.machine.handle(Input::TransportFailed(failure), rig.now);
                }
                Output::Send(_) => {
                    rig.machine.handle(Input::ResponseHead(ResponseHead { status: 200, headers: Vec::new() }), rig.now);
                }
                Output::ReadBody if body.is_empty() => rig.machine.handle(Input::BodyEnd, rig.now),
                Output::ReadBody => rig.machine.handle(Input::BodyChunk(std::mem::take(&mut body).as_bytes()), rig.now),
            }
        };
        let Failure::Unavailable(Delay { fault, .. }) = failure else { panic!("{failure:?}") };
        assert!(fault.message.starts_with(named), "{}", fault.message);
    }
}
