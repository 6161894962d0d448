//! A component, and a server, that do on purpose what the host is there to stop.

use std::time::Duration;

use source_host::{CallError, Denial, Failure, Limits};

use crate::library::{poll, source};
use crate::server::{Answer, Server};
use crate::setup::Setup;

/// What was refused of one poll, which made this many requests that were not.
async fn denials(misbehave: &str, answered: usize) -> Vec<Denial> {
    let server = Server::start();
    let mut source = source(&server, misbehave, Limits::default());
    poll(&mut source).await.unwrap().unwrap();
    assert_eq!(server.requests().len(), answered);
    source.denials()
}

#[tokio::test]
async fn every_request_beside_the_origins_of_the_plan_is_refused_with_its_rule() {
    for (misbehave, rule) in [
        ("ask-foreign", "http://127.0.0.1:1 is not among the origins of this source's plan"),
        ("ask-port", "is not among the origins of this source's plan"),
        ("ask-user", "a URL with a user name in it is never sent"),
    ] {
        let denials = denials(misbehave, 1).await;
        let [denial] = &denials[..] else { panic!("{misbehave}: {denials:?}") };
        assert!(denial.reason.contains(rule), "{misbehave}: {denial}");
        // What the operator can allow comes with how.
        let hint = denial.hint.as_deref().unwrap_or_default();
        assert_eq!(hint.contains("has to name it in its plan"), misbehave != "ask-user", "{misbehave}: {hint}");
    }
}

#[tokio::test]
async fn other_spellings_of_an_address_are_not_that_address() {
    let denials = denials("ask-odd", 1).await;
    assert_eq!(denials.len(), 6, "{denials:?}");
}

#[tokio::test]
async fn a_redirect_to_an_inner_address_is_not_followed() {
    let (server, inner) = (Server::start(), Server::start());
    server.next_answer(Answer::status(302, &format!("location: {}/items\r\n", inner.origin())));
    let failed = poll(&mut source(&server, "", Limits::default())).await.unwrap();
    assert!(matches!(failed, Err(Failure::Unavailable(delay)) if delay.fault.code == "http.status-302"));
    assert!(inner.requests().is_empty());
}

#[tokio::test]
async fn a_component_that_calls_the_host_for_ever_computes_for_too_long() {
    let server = Server::start();
    let limit = Duration::from_millis(300);
    let limits = Limits { cpu: limit, ..Limits::default() };
    let error = poll(&mut source(&server, "spin-calls", limits)).await.unwrap_err();
    assert_eq!(error, CallError::Cpu { call: "poll", limit });
}

#[tokio::test]
async fn a_component_that_hoards_handles_gets_its_share() {
    let server = Server::start();
    let limits = Limits { handles: 50, ..Limits::default() };
    let error = poll(&mut source(&server, "hoard-handles", limits)).await.unwrap_err();
    assert_eq!(error, CallError::Handles { call: "poll", limit: 50 });
}

#[tokio::test]
async fn a_batch_beyond_what_may_be_copied_is_not_taken() {
    let server = Server::start();
    server.grow_to(1);
    let mut source = source(&server, "huge-batch", Limits { memory_bytes: 256 << 20, ..Limits::default() });
    let error = poll(&mut source).await.unwrap_err();
    assert!(matches!(error, CallError::Copied { call: "poll", limit } if limit < 48 << 20), "{error:?}");
}

/// The head of an answer, and how its body goes on.
fn endless(headers: &str, first: &[u8], next: &[u8]) -> Answer {
    let head = format!("HTTP/1.1 200 OK\r\n{headers}\r\n");
    Answer::Endless([head.as_bytes(), first].concat(), next.to_vec())
}

#[tokio::test]
async fn ten_gigabytes_end_at_the_cap_while_they_are_read() {
    let server = Server::start();
    server.grow_to(1);
    let line = [b' '; 1 << 16];
    let limits = Limits { body_bytes: 20 << 20, ..Limits::default() };
    // Read piece by piece and forgotten, and held as a whole, which fits the memory as far as the cap.
    server.next_answer(endless("content-length: 10737418240\r\n", b"", &line));
    let batch = poll(&mut source(&server, "drain", limits.clone())).await.unwrap().unwrap();
    assert_eq!(batch.events.len(), 1);
    server.next_answer(endless("content-length: 10737418240\r\n", b"", &line));
    let failed = poll(&mut source(&server, "", limits)).await.unwrap();
    assert!(matches!(failed, Err(Failure::Unavailable(delay)) if delay.fault.code == "http.body"));
    // Without the cap it is the memory that ends it.
    server.next_answer(endless("content-length: 10737418240\r\n", b"", &line));
    let limits = Limits { memory_bytes: 16 << 20, ..Limits::default() };
    let error = poll(&mut source(&server, "", limits)).await.unwrap_err();
    assert_eq!(error, CallError::Memory { call: "poll", limit: 16 << 20 });
}

#[test]
fn an_answer_that_is_given_up_is_told_with_the_limit_to_raise() {
    let server = Server::start();
    server.grow_to(1);
    let setup = Setup::new(&server, "");
    setup.prepend(
        "[host]\nmax_answer_bytes = 100000\nbetween_bytes_timeout = \"PT0.1S\"\nfirst_byte_timeout = \"PT0.1S\"\n\
         connect_timeout = \"PT1S\"",
    );
    server.next_answer(endless("content-length: 10737418240\r\n", b"", &[b' '; 1 << 16]));
    server.next_answer(Answer::Raw(b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\n{".to_vec()));
    server.next_answer(Answer::Raw(Vec::new()));
    let said = setup.once(&[]).succeeded().stderr;
    for (what, member) in [
        ("no answer came within 1.1s, and the request is given up", "`first_byte_timeout` under [host]"),
        ("an answer has more than 100000 bytes, and is given up", "`max_answer_bytes` under [host]"),
        ("an answer stopped half-way for 100ms, and is given up", "`between_bytes_timeout` under [host]"),
    ] {
        assert!(
            said.lines()
                .any(|line| line.contains(what) && line.contains(member) && line.contains("source=\"counter\"")),
            "no `{what}` in {said}"
        );
    }
}

#[tokio::test]
async fn a_bomb_of_gzip_is_measured_by_what_comes_out() {
    // A member of 1 MiB of zeros, which is a thousandth of that; a stream of gzip may have any number of them.
    let member = zeros();
    assert!(member.len() < 2_000);
    let server = Server::start();
    server.grow_to(1);
    let limits = Limits { body_bytes: 20 << 20, ..Limits::default() };
    for misbehave in ["drain", ""] {
        let chunk = [format!("{:x}\r\n", member.len()).as_bytes(), &member, b"\r\n"].concat();
        server.next_answer(endless("content-encoding: gzip\r\ntransfer-encoding: chunked\r\n", b"", &chunk));
        let polled = poll(&mut source(&server, misbehave, limits.clone())).await.unwrap();
        assert_eq!(polled.is_ok(), misbehave == "drain");
    }
}

/// 1 MiB of zeros as one member of gzip.
fn zeros() -> Vec<u8> {
    use std::io::Write as _;
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    encoder.write_all(&[0; 1 << 20]).unwrap();
    encoder.finish().unwrap()
}

#[tokio::test]
async fn a_flood_of_headers_is_an_error_whether_they_end_or_not() {
    let server = Server::start();
    let header = format!("x-{}: {}\r\n", "a".repeat(50), "b".repeat(1_900));
    // More than may be, fewer than the client reads at most; and without an end.
    server.next_answer(Answer::Raw(
        format!("HTTP/1.1 200 OK\r\ncontent-length: 0\r\n{}\r\n", header.repeat(40)).into_bytes(),
    ));
    server.next_answer(Answer::Endless(b"HTTP/1.1 200 OK\r\n".to_vec(), header.into_bytes()));
    let mut source = source(&server, "", Limits::default());
    for _ in 0..2 {
        let failed = poll(&mut source).await.unwrap();
        let Err(Failure::Unavailable(delay)) = failed else { panic!("{failed:?}") };
        assert!(delay.fault.message.contains("HttpResponseHeaderSectionSize"), "{}", delay.fault.message);
    }
}

#[tokio::test]
async fn an_endless_trickle_meets_the_deadline_of_the_call() {
    let server = Server::start();
    server.next_answer(endless("transfer-encoding: chunked\r\n", b"", b"1\r\n \r\n"));
    let limit = Duration::from_millis(500);
    let limits = Limits { call: limit, cpu: Duration::from_secs(60), ..Limits::default() };
    let error = poll(&mut source(&server, "drain", limits)).await.unwrap_err();
    assert_eq!(error, CallError::Deadline { call: "poll", limit });
}

#[test]
fn a_batch_that_breaks_a_promise_is_neither_delivered_nor_stored() {
    let server = Server::start();
    server.grow_to(2);
    for (misbehave, said) in [
        ("long-checkpoint", "its checkpoint has 1000 bytes, and it promises at most 100"),
        ("empty-key", "2 of its events and gaps have an empty key"),
    ] {
        let setup = Setup::new(&server, &format!("misbehave = \"{misbehave}\""));
        let ended =
            setup.once(&[]).failed(1, &["error: source `counter`: the component does not keep to the contract", said]);
        assert_eq!((ended.stdout.as_str(), setup.checkpoint()), ("", None));
    }
}
