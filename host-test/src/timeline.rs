//! What happened in a run, in the order of its time.

use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use scenario::{Answer, Canaries, Interaction, Request, Response};

use crate::layout::laid_out;

/// The bytes of a body that are shown.
const SHOWN_BODY: usize = 16 << 10;

/// What happened in a run.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Timeline {
    /// Every request, in the order of their arrival.
    pub(crate) exchanges: Vec<Exchange>,
    /// Every poll.
    pub(crate) polls: Vec<Span>,
}

/// A request that was made, with its secrets, which its `Debug` leaves out, and what answers it.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Exchange {
    /// Since the run began.
    pub(crate) at: Duration,
    pub(crate) request: Request,
    /// None where nothing does.
    pub(crate) interaction: Option<Arc<Interaction>>,
}

/// When a poll was, and what belongs to it.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Span {
    /// Since the run began.
    pub(crate) began: Duration,
    /// Since the run began.
    pub(crate) ended: Duration,
    /// Which requests.
    pub(crate) requests: Range<usize>,
    /// Which lines of the events.
    pub(crate) lines: Range<usize>,
}

/// A request and what came back, without a secret.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Asked {
    /// Since the run began.
    pub(crate) at: Duration,
    /// Until the answer began.
    pub(crate) took: Duration,
    /// Its first line is the method and the URL.
    pub(crate) request: Message,
    pub(crate) answer: Answered,
}

/// What came back.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Answered {
    /// Its first line is the status; the second part says how the body ended where it did not end well.
    Response(Message, Option<String>),
    /// A connection that failed, by the word for it in `traffic.json`.
    Failure(&'static str),
    /// Nothing: it was not recorded.
    Unmatched,
}

/// A request or an answer as a person reads it.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Message {
    pub(crate) line: String,
    pub(crate) headers: String,
    pub(crate) body: String,
}

impl Asked {
    pub(crate) fn of(exchange: &Exchange, canaries: &Canaries) -> Self {
        let Exchange { at, request, interaction } = exchange;
        let (took, answer) = match interaction.as_ref().map(|interaction| &interaction.answer) {
            None => (Duration::ZERO, Answered::Unmatched),
            Some(Answer::Failure(failure)) => (failure.latency, Answered::Failure(failure.kind.word())),
            Some(Answer::Response(response)) => {
                (response.latency, Answered::Response(Message::of_response(response, canaries), ending(response)))
            }
        };
        Self { at: *at, took, request: Message::of_request(request, canaries), answer }
    }
}

impl Message {
    fn of_request(request: &Request, canaries: &Canaries) -> Self {
        let line = canaries.hide(&format!("{} {}", request.method, request.url));
        Self { line, headers: headers(&request.headers, canaries), body: body(&request.body, canaries) }
    }

    fn of_response(response: &Response, canaries: &Canaries) -> Self {
        let line = response.status.to_string();
        Self { line, headers: headers(&response.headers, canaries), body: body(&response.body, canaries) }
    }
}

fn headers(headers: &[(String, String)], canaries: &Canaries) -> String {
    headers.iter().map(|(name, value)| format!("{name}: {}\n", canaries.hide(value))).collect()
}

/// A body as text, JSON with a member a line. What is cut off is hidden first: half a secret would not be found.
fn body(bytes: &[u8], canaries: &Canaries) -> String {
    let text = String::from_utf8_lossy(bytes);
    let text = laid_out(&text).unwrap_or_else(|| text.into_owned());
    let mut shown = canaries.hide(&text);
    if shown.len() > SHOWN_BODY {
        let whole = shown.len();
        shown.truncate(shown.floor_char_boundary(SHOWN_BODY));
        shown.push_str(&format!("\n... and {} more bytes", whole - shown.len()));
    }
    shown
}

fn ending(response: &Response) -> Option<String> {
    let told = |what: &str, at: usize| format!("{what} after {at} of {} bytes", response.body.len());
    let cut = response.cut.map(|at| told("the connection breaks", at));
    cut.or_else(|| response.stall.map(|at| told("nothing more comes", at)))
}
