//! Checkpoints.

use defender_core::checkpoint::State;
use defender_core::contract::{Budget, Failure, NextPoll, Position};
use defender_core::http::ResponseHead;
use defender_core::tick::{Now, TICKS_PER_SECOND, Tick};
use defender_core::{Input, Machine, Output};
use twox_hash::XxHash64;

use crate::Reached;
use crate::failure::{check, configs};

/// A text is a checkpoint that is written again as it was read, or it is refused with a reason; as it stands, and with a
/// checksum that is right. One that is accepted can be read on from, however odd its values.
///
/// The text is that of a checkpoint without its checksum, or with it.
pub fn checkpoint(data: &[u8]) -> Reached {
    let text = String::from_utf8_lossy(data);
    let mut reached = Reached::new();
    read(&text, &mut reached);
    let body = text.rsplit_once(",\"sum\":").map_or(&*text, |(body, _)| body);
    read(&format!("{body},\"sum\":\"{:016x}\"}}", XxHash64::oneshot(0, body.as_bytes())), &mut reached);
    reached
}

fn read(text: &str, reached: &mut Reached) {
    for config in configs() {
        let (identity, accepts) = (config.identity(), config.accepts());
        let is_single = config.request.is_some();
        let state = match State::from_text_of(text, &identity, &accepts) {
            Ok(state) => state,
            Err(failure) => {
                assert!(matches!(failure, Failure::UnusableCheckpoint(_)), "{failure:?}");
                check(failure);
                reached.insert("refused");
                assert!(Machine::new(config.clone(), &Position::Resume(Some(text.to_owned()))).is_err());
                continue;
            }
        };
        reached.insert(if state.frozen { "frozen" } else { "accepted" });
        reached.extend(state.plain.then_some("plain"));
        reached.extend(state.partial.map(|_| "partial"));
        let written = state.to_text();
        let copy = State::from_text(&written, &state.identity).expect("what is written is read back");
        assert_eq!(copy.to_text(), written);
        match Machine::new(config.clone(), &Position::Resume(Some(text.to_owned()))) {
            Ok(machine) => {
                // A request that failed before it was sent has the checkpoint of a source that has not begun.
                assert!(is_single == state.asked.is_some() || is_single && state.is_untouched());
                let is_taken_over = state.identity != identity;
                reached.insert(match (is_taken_over, is_single) {
                    (true, _) => "taken-over",
                    (false, true) => "read-on-request",
                    (false, false) => "read-on",
                });
                read_on(machine, &identity, is_taken_over.then_some(&state));
            }
            Err(failure) => assert_eq!(check(failure), "unusable-checkpoint"),
        }
    }
}

/// A service that has nothing answers a few polls. What was taken over begins no later than the other source would have read
/// on, and from its first batch on belongs to the new one.
fn read_on(mut machine: Machine, identity: &str, other: Option<&State>) {
    let wall = Tick::parse("2026-01-01T12:00:00Z").unwrap_or_default();
    let mut now = Now { wall, monotonic: 0 };
    let budget = Budget { max_events: 10, max_bytes: 1000, max_requests: 20, max_duration: u64::MAX };
    for _ in 0..3 {
        machine.begin(budget, now).expect("nothing is left to be told");
        let mut body: Option<&[u8]> = None;
        let batch = loop {
            match machine.step(now) {
                Output::Done(done) => break done.expect("nothing fails"),
                Output::Send(request) => {
                    let is_token = request.url.contains("/oauth2/");
                    body = Some(if is_token { br#"{"access_token":"t"}"# } else { b"[]" });
                    machine.handle(Input::ResponseHead(ResponseHead { status: 200, headers: Vec::new() }), now);
                }
                Output::ReadBody => match body.take() {
                    Some(bytes) => machine.handle(Input::BodyChunk(bytes), now),
                    None => machine.handle(Input::BodyEnd, now),
                },
            }
        };
        assert!(batch.events.is_empty());
        let state = State::from_text(&batch.checkpoint, identity).expect("a batch has a checkpoint of this source");
        if let Some(other) = other {
            assert!(
                state.start <= other.reread.min(other.cursor) && state.bound == other.bound,
                "{state:?} after {other:?}"
            );
        }
        if batch.next != NextPoll::Now {
            break;
        }
        now = Now { wall: now.wall.plus(TICKS_PER_SECOND), monotonic: now.monotonic + 1_000_000_000 };
    }
}
