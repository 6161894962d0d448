//! A component that misbehaves, within limits.

use std::sync::Arc;
use std::time::{Duration, Instant};

use source_host::{
    Budget, CallError, Failure, Limits, LiveTransport, Origin, Policy, Position, Proxy, Source, SourceParts,
    SystemClock, Timeouts, Tls,
};

use crate::server::{Answer, SECRET, Server};
use crate::setup::component;

const BUDGET: Budget = Budget { max_events: 100, max_bytes: 1 << 20, max_requests: 10, max_duration: 10_000_000_000 };

/// The test component on this server.
pub(crate) fn source(server: &Server, misbehave: &str, limits: Limits) -> Source {
    let origin: Origin = server.origin().parse().unwrap();
    let policy = Policy::of(vec![origin]);
    let misbehave = if misbehave.is_empty() { "null".to_owned() } else { format!("\"{misbehave}\"") };
    let config = format!(r#"{{"origin":"{}","secret":"{SECRET}","misbehave":{misbehave}}}"#, server.origin());
    let transport = Arc::new(LiveTransport::new(&Tls::new(None).unwrap(), &Proxy::none()));
    Source::new(component(), SourceParts { config, policy, transport, clock: Arc::new(SystemClock::default()), limits })
}

pub(crate) async fn poll(source: &mut Source) -> Result<Result<source_host::Batch, Failure>, CallError> {
    source.poll(&Position::Resume(None), &BUDGET).await
}

#[tokio::test]
async fn a_batch_comes_through_and_the_next_call_is_on_the_same_instance() {
    let server = Server::start();
    server.grow_to(3);
    let mut source = source(&server, "", Limits::default());
    let batch = poll(&mut source).await.unwrap().unwrap();
    assert_eq!((batch.events.len(), batch.checkpoint.as_str(), source.requests()), (3, "3", 1));
    poll(&mut source).await.unwrap().unwrap();
    assert_eq!(source.instances(), 1);
}

#[tokio::test]
async fn a_component_that_computes_for_ever_is_stopped_while_others_go_on() {
    let server = Server::start();
    server.grow_to(1);
    let limits = Limits { cpu: Duration::from_millis(300), ..Limits::default() };
    let mut spinning = source(&server, "spin", limits);
    let mut honest = source(&server, "", Limits::default());
    let begun = Instant::now();
    // One thread for both: the honest one gets its turns.
    let (stopped, (answered, after)) = tokio::join!(poll(&mut spinning), async {
        let answered = poll(&mut honest).await;
        (answered, begun.elapsed())
    });
    assert_eq!(stopped.unwrap_err(), CallError::Cpu { call: "poll", limit: Duration::from_millis(300) });
    assert_eq!(answered.unwrap().unwrap().events.len(), 1);
    assert!(after < begun.elapsed(), "it waited for the one that spins");
}

#[tokio::test]
async fn a_component_that_wants_all_memory_gets_its_share() {
    let server = Server::start();
    let limits = Limits { memory_bytes: 8 << 20, ..Limits::default() };
    let error = poll(&mut source(&server, "grow", limits)).await.unwrap_err();
    assert_eq!(error, CallError::Memory { call: "poll", limit: 8 << 20 });
    assert!(error.to_string().contains("8 MiB"), "{error}");
}

#[tokio::test]
async fn a_component_that_waits_for_ever_meets_the_deadline() {
    let server = Server::start();
    let limit = Duration::from_millis(100);
    let limits = Limits { call: limit, ..Limits::default() };
    let error = poll(&mut source(&server, "sleep", limits.clone())).await.unwrap_err();
    assert_eq!(error, CallError::Deadline { call: "poll", limit });
    server.next_answer(Answer::Silence);
    assert_eq!(poll(&mut source(&server, "", limits)).await.unwrap_err(), CallError::Deadline { call: "poll", limit });
}

#[tokio::test]
async fn a_trap_is_told_and_the_next_call_gets_a_fresh_instance() {
    let server = Server::start();
    server.next_traps();
    let mut source = source(&server, "", Limits::default());
    assert!(matches!(poll(&mut source).await, Err(CallError::Trapped { call: "poll", .. })));
    assert!(poll(&mut source).await.unwrap().is_ok());
    assert_eq!(source.instances(), 2);
}

#[tokio::test]
async fn a_request_beyond_the_policy_is_refused_and_remembered() {
    let server = Server::start();
    let mut source = source(&server, "ask-foreign", Limits::default());
    poll(&mut source).await.unwrap().unwrap();
    let denials = source.denials();
    assert_eq!(denials[0].reason, "http://127.0.0.1:1 is not among the origins of this source's plan");
    assert_eq!(server.requests(), ["/items?after=0&max=100"]);
}

#[tokio::test]
async fn a_poll_makes_no_more_requests_than_its_budget_allows() {
    let server = Server::start();
    let mut source = source(&server, "flood", Limits::default());
    assert!(matches!(poll(&mut source).await, Ok(Err(Failure::Unavailable(_)))));
    assert_eq!(server.requests().len(), 10);
    assert!(source.denials()[0].reason.contains("budget of 10 requests"));
}

#[tokio::test]
async fn an_answer_over_the_cap_reaches_the_component_as_an_error() {
    let server = Server::start();
    server.add_large(200_000);
    let limits = Limits { body_bytes: 100_000, ..Limits::default() };
    assert!(matches!(poll(&mut source(&server, "", limits)).await, Ok(Err(Failure::Unavailable(_)))));
}

/// Polls a server that answers so, within limits of which one is short, and says what the component was told.
async fn told(answer: Answer, shorten: impl FnOnce(&mut Timeouts)) -> String {
    let server = Server::start();
    let mut limits = Limits::default();
    shorten(&mut limits.timeouts);
    server.next_answer(answer);
    let begun = Instant::now();
    let failed = poll(&mut source(&server, "", limits)).await.unwrap();
    assert!(begun.elapsed() < Duration::from_secs(5), "it took {:?}", begun.elapsed());
    let Err(Failure::Unavailable(delay)) = failed else { panic!("{failed:?}") };
    format!("{}: {}", delay.fault.code, delay.fault.message)
}

const SHORT: Duration = Duration::from_millis(100);

#[tokio::test]
async fn a_server_that_never_answers_meets_the_deadline_for_the_first_byte() {
    // That deadline begins once the connection stands, and the host bounds both together.
    let told = told(Answer::Silence, |timeouts| (timeouts.connect, timeouts.first_byte) = (SHORT, SHORT)).await;
    assert!(told.starts_with("http.transport") && told.contains("ConnectionReadTimeout"), "{told}");
}

#[tokio::test]
async fn an_answer_that_stops_half_way_meets_the_deadline_between_bytes() {
    let half = b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\n{".to_vec();
    let told = told(Answer::Raw(half), |timeouts| timeouts.between_bytes = SHORT).await;
    assert!(told.starts_with("http.body"), "{told}");
}
