//! What a component gets to see of secrets, and where they go.

use std::sync::Arc;

use serde_json::json;
use source_host::{
    Batch, Budget, Component, Failure, Grants, Limits, LiveTransport, Misplanned, Payload, Position, Proxy,
    SecretValue, Secrets, Source, SourceParts, SystemClock, Tls,
};

use crate::issuer::{CLAIMS, ENCODED_SECRET, Issuer, OPAQUE, SIGNATURE, is_clean};
use crate::memory::Memories;
use crate::server::{Answer, SECRET, Server};
use crate::setup::component;

const BUDGET: Budget = Budget { max_events: 100, max_bytes: 1 << 20, max_requests: 10, max_duration: 10_000_000_000 };

/// A service with items, its token endpoint, and a source of both in memories that can be read.
struct Rig {
    server: Server,
    issuer: Issuer,
    memories: Memories,
    source: Source,
}

impl Rig {
    /// With placeholders, or with the literal secret in the configuration, as any other host would have it.
    async fn new(token: &str, misbehave: Option<&str>, literal: bool) -> Self {
        let (server, issuer, memories) = (Server::start(), Issuer::start(token), Memories::default());
        server.grow_to(3);
        server.accept(token);
        let component = memories.component();
        let source = source(&component, &server, Some(&issuer), misbehave, literal).await;
        Self { server, issuer, memories, source }
    }

    async fn poll(&mut self) -> Result<Batch, Failure> {
        self.source.poll(&Position::Resume(None), &BUDGET).await.unwrap()
    }

    fn in_memory(&self, canaries: &[&str]) -> bool {
        canaries.iter().any(|canary| self.memories.hold(canary))
    }
}

async fn source(
    component: &Component,
    server: &Server,
    issuer: Option<&Issuer>,
    misbehave: Option<&str>,
    literal: bool,
) -> Source {
    let mut secrets = Secrets::new().unwrap();
    let kept = Arc::new(SecretValue::new(SECRET));
    let secret = if literal { SECRET.to_owned() } else { secrets.hold("/secret", kept) };
    let token = issuer.map(Issuer::url);
    let config = json!({ "origin": server.origin(), "token": token, "secret": secret, "misbehave": misbehave });
    let (config, limits) = (config.to_string(), Limits::default());
    let origins = [Some(server.origin()), issuer.map(Issuer::origin)];
    let grants = Grants::none().and(origins.into_iter().flatten().map(|origin| origin.parse().unwrap()));
    let (plan, policy) = Source::review(component, &config, &grants, &limits).await.unwrap();
    let vault = secrets.planned(&plan, &policy).unwrap();
    assert!(!format!("{vault:?}").contains("canary"));
    let transport = Arc::new(LiveTransport::new(&Tls::new(None).unwrap(), &Proxy::none()));
    let parts = SourceParts { config, policy, transport, clock: Arc::new(SystemClock::default()), limits };
    Source::new(component, parts).with_secrets(vault)
}

fn jwt() -> String {
    format!("{CLAIMS}.{SIGNATURE}")
}

#[tokio::test]
async fn the_service_gets_secret_and_token_and_neither_is_ever_in_the_memory_of_the_component() {
    for (token, secret_part) in [(OPAQUE, OPAQUE), (&jwt(), SIGNATURE)] {
        for literal in [true, false] {
            let mut rig = Rig::new(token, None, literal).await;
            for _ in 0..2 {
                assert_eq!(rig.poll().await.unwrap().events.len(), 3);
            }
            let sent = rig.issuer.requests();
            let right = |request: &String| request.ends_with(&format!("&client_secret={ENCODED_SECRET}"));
            assert!(sent.len() == 1 && right(&sent[0]), "{sent:?}");
            for canary in [SECRET, secret_part] {
                // With a literal both are, so the search finds what is there.
                assert_eq!(rig.memories.hold(canary), literal, "{canary}");
            }
            assert!(literal || !rig.memories.hold(ENCODED_SECRET));
            assert!(rig.memories.hold(&token[..token.len() - secret_part.len()]), "a JWT's claims are shown");
        }
    }
}

#[tokio::test]
async fn a_secret_that_is_a_token_reaches_the_service_and_never_the_memory_of_the_component() {
    for literal in [true, false] {
        let (server, memories) = (Server::start(), Memories::default());
        server.grow_to(3);
        let mut source = source(&memories.component(), &server, None, None, literal).await;
        for _ in 0..2 {
            assert_eq!(source.poll(&Position::Resume(None), &BUDGET).await.unwrap().unwrap().events.len(), 3);
        }
        assert_eq!(memories.hold(SECRET), literal);
    }
}

/// The places in which a component puts what is not to go there, and how the refusal names them.
const SMUGGLED: [(&str, &str); 13] = [
    ("secret-in-query", "in the URL of a request"),
    ("secret-in-header", "in the header `x-secret`"),
    ("secret-in-field", "in the form field \"other\""),
    ("secret-in-part", "in the form field \"client_secret\""),
    ("secret-at-api", "in the form field \"client_secret\""),
    ("secret-in-json", "in the body, which is no posted form,"),
    ("secret-as-bearer", "in the header `authorization`"),
    ("secret-put", "in the body, which is no posted form,"),
    ("token-in-query", "in the URL of a request"),
    ("token-in-header", "in the header `x-token`"),
    ("token-in-form", "in the form field \"client_secret\""),
    ("token-at-issuer", "in the header `authorization`"),
    ("token-changed", "is none that this host handed out"),
];

#[tokio::test]
async fn a_placeholder_anywhere_else_is_refused_and_nothing_is_sent() {
    for (misbehave, place) in SMUGGLED {
        let (server, issuer) = (Server::start(), Issuer::start(OPAQUE));
        server.accept(OPAQUE);
        let mut source = source(component(), &server, Some(&issuer), Some(misbehave), false).await;
        source.poll(&Position::Resume(None), &BUDGET).await.unwrap().unwrap();
        let denials = source.denials();
        assert!(denials.len() == 1 && denials[0].reason.contains(place), "{misbehave}: {denials:?}");
        assert!(!denials[0].reason.contains("canary"), "{denials:?}");
        // What the honest half of the component asks for, and no more.
        assert_eq!((issuer.requests().len(), server.requests().len()), (1, 1), "{misbehave}");
    }
}

#[tokio::test]
async fn no_answer_of_a_token_endpoint_brings_a_token_or_the_secret_into_the_component() {
    let token = |body: &str| body.replace('T', OPAQUE);
    let many = format!("{{{}\"z\":1}}", token(r#""access_token":"T","#).repeat(20));
    let json = "content-type: application/json\r\n";
    for (status, headers, body) in [
        (200, json, token(r#"{"access_token":"T","access_token":"T","refresh_token":"T"}"#)),
        (200, json, token(r#"{"access\u005ftoken":"T"}"#)),
        (200, json, token(r#"{"result":[{"access_token":"T"}]}"#)),
        (200, json, token(r#"{"access_token":{"value":"T"}}"#)),
        (200, json, token(r#"{"access_token":["T"]}"#)),
        (200, json, token(r#"{"access_token":"T","raw":"Bearer T"}"#)),
        (200, json, token(r#"[{"access_token":"T"}]"#)),
        (200, json, token(r#""T""#)),
        (200, json, token(r#"{"access_token":"T""#)),
        (206, json, token(r#"cess_token":"T"}"#)),
        (200, "content-type: application/x-www-form-urlencoded\r\n", token("access_token=T&x=1")),
        (200, "content-type: text/html\r\n", token("<html><input name=access_token value='T'>")),
        (200, json, token(&format!(r#"{{"access_token":"T","pad":"{}"}}"#, "x".repeat(300_000)))),
        (200, "content-length: 9999\r\n", token(r#"{"access_token":"T","pad":"#)),
        (200, "content-encoding: unknown\r\n", token(r#"{"access_token":"T"}"#)),
        (200, json, many),
        (200, json, format!(r#"{{"access_token":"x.y","echo":"{SECRET}"}}"#)),
        (400, json, format!(r#"{{"error":"no client {ENCODED_SECRET}"}}"#)),
        (400, json, SECRET.replace('/', "\\/")),
        (400, "content-type: text/html\r\n", format!("<p>{SECRET}</p>")),
        (401, &format!("x-echo: {SECRET}\r\n"), String::new()),
    ] {
        for literal in [true, false] {
            let mut rig = Rig::new(OPAQUE, None, literal).await;
            rig.issuer.next_answer(status, headers, &body);
            let said = format!("{:?}", rig.poll().await);
            let canaries = [SECRET, OPAQUE, ENCODED_SECRET];
            if !literal {
                assert!(is_clean(said.as_bytes()), "{body}: {said}");
                assert!(!rig.in_memory(&canaries), "{status} {body}");
            } else if !headers.contains("x-echo") {
                assert!(rig.in_memory(&[OPAQUE, SECRET]), "the test would find nothing: {status} {body}");
            }
        }
    }
}

#[tokio::test]
async fn an_error_of_the_token_endpoint_reaches_the_component_as_it_is() {
    let mut rig = Rig::new(OPAQUE, None, false).await;
    let said = r#"{ "error" : "invalid_client", "codes":[7000215], "access_token": null, "text": "\u00fc\/" }"#;
    rig.issuer.next_answer(401, "", said);
    let Err(Failure::Unauthenticated(fault)) = rig.poll().await else { panic!("the secret was accepted") };
    assert_eq!(fault.message, said);
}

#[tokio::test]
async fn an_api_that_says_the_token_back_says_it_to_nobody() {
    let mut rig = Rig::new(&jwt(), None, false).await;
    let body = format!(r#"{{"id":1,"time":1,"name":"{} {SIGNATURE}"}}"#, jwt());
    let head = format!("HTTP/1.1 200 OK\r\nx-echo: {}\r\ncontent-length: {}\r\n\r\n", jwt(), body.len());
    rig.server.next_answer(Answer::Raw(format!("{head}{body}").into_bytes()));
    let batch = rig.poll().await.unwrap();
    let Payload::Text(event) = &batch.events[0].body else { panic!("no text") };
    let stars = "*".repeat(SIGNATURE.len());
    assert_eq!(*event, format!(r#"{{"id":1,"name":"{CLAIMS}.{stars} {stars}"}}"#));
    assert!(!rig.in_memory(&[SIGNATURE]));
}

#[tokio::test]
async fn a_fresh_instance_asks_for_a_token_again() {
    let mut rig = Rig::new(OPAQUE, None, false).await;
    rig.poll().await.unwrap();
    rig.source.discard_instance();
    rig.poll().await.unwrap();
    assert_eq!((rig.issuer.requests().len(), rig.source.instances()), (2, 2));
    assert!(!rig.in_memory(&[SECRET, OPAQUE]));
}

#[tokio::test]
async fn a_plan_has_to_say_where_each_secret_goes_and_only_to_granted_origins() {
    let (server, issuer) = (Server::start(), Issuer::start(OPAQUE));
    for (misbehave, pointer, expected) in [
        (None, "/other", Misplanned::Unused { pointer: "/other".to_owned() }),
        (Some("plan-nowhere"), "/secret", Misplanned::NoOrigin { pointer: "/secret".to_owned() }),
    ] {
        let mut secrets = Secrets::new().unwrap();
        let secret = secrets.hold(pointer, Arc::new(SecretValue::new(SECRET)));
        let config =
            json!({ "origin": server.origin(), "token": issuer.url(), "secret": secret, "misbehave": misbehave });
        let plan = Source::plan(component(), &config.to_string(), &Limits::default()).await.unwrap().unwrap();
        let policy = source_host::Policy::planned(&plan).unwrap();
        assert_eq!(secrets.planned(&plan, &policy).unwrap_err(), expected);
    }
    let mut secrets = Secrets::new().unwrap();
    let secret = secrets.hold("/secret", Arc::new(SecretValue::new(SECRET)));
    let config = json!({ "origin": server.origin(), "token": issuer.url(), "secret": secret }).to_string();
    let plan = Source::plan(component(), &config, &Limits::default()).await.unwrap().unwrap();
    let only_api = source_host::Policy::of(vec![server.origin().parse().unwrap()]);
    let refused = secrets.planned(&plan, &only_api).unwrap_err();
    assert_eq!(refused, Misplanned::NotGranted { pointer: "/secret".to_owned(), origin: issuer.origin() });
    assert!(refused.hint().contains(&format!("allow = [\"{}\"]", issuer.origin())), "{}", refused.hint());
}
