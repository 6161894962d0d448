//! Microsoft Defender for Endpoint as a `pipeline:source` component: the contract in front, `wasi:http` behind, the core
//! in the middle.

mod bindings;
mod clock;
mod convert;
mod transport;

use std::cell::RefCell;

use defender_core::config::Config;
use defender_core::contract::{Batch, Failure};
use defender_core::{Input, Machine, Output, Session};

use bindings::contract as wit;
use transport::{Answer, Chunk};

struct DefenderSource;

/// What the instance keeps between calls. Nothing depends on it.
#[derive(Default)]
struct Kept {
    session: Session,
    answer: Option<Answer>,
}

thread_local! {
    static KEPT: RefCell<Kept> = RefCell::default();
}

impl wit::Guest for DefenderSource {
    fn describe() -> wit::Description {
        convert::description(&defender_core::describe())
    }

    fn plan(config: String) -> Result<wit::AccessPlan, Vec<wit::Diagnostic>> {
        Config::parse(&config).map(|config| convert::plan(config.plan())).map_err(convert::diagnostics)
    }

    fn probe(config: String) -> Result<Vec<wit::Diagnostic>, wit::Failure> {
        let probed = defender_core::probe(&config, clock::now()).and_then(|mut machine| drive(&mut machine, &mut None));
        probed.map(|batch| convert::diagnostics(batch.notices)).map_err(convert::failure)
    }

    fn poll(config: String, at: wit::Position, budget: wit::Budget) -> Result<wit::Batch, wit::Failure> {
        KEPT.with_borrow_mut(|kept| {
            let at = convert::position(at);
            let machine = kept.session.begin(&config, &at, convert::budget(budget), clock::now());
            let polled = machine.and_then(|machine| drive(machine, &mut kept.answer));
            if !kept.session.wants_body() {
                kept.answer = None;
            }
            polled.map(convert::batch).map_err(convert::failure)
        })
    }
}

/// Does what the machine says until it is done.
fn drive(machine: &mut Machine, answer: &mut Option<Answer>) -> Result<Batch, Failure> {
    loop {
        match machine.step(clock::now()) {
            Output::Done(done) => return done,
            Output::Send(request) => {
                *answer = None;
                let sent = transport::send(&request);
                let input = match sent {
                    Ok((head, body)) => {
                        *answer = Some(body);
                        Input::ResponseHead(head)
                    }
                    Err(failure) => Input::TransportFailed(failure),
                };
                machine.handle(input, clock::now());
            }
            Output::ReadBody => {
                let chunk = answer.as_ref().map_or(Ok(Chunk::End), Answer::read);
                let input = match &chunk {
                    Ok(Chunk::Bytes(bytes)) => Input::BodyChunk(bytes),
                    Ok(Chunk::End) => Input::BodyEnd,
                    Err(failure) => Input::TransportFailed(failure.clone()),
                };
                machine.handle(input, clock::now());
            }
        }
    }
}
