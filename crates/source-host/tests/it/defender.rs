//! The component that is shipped, in memories that a test can search.

use std::sync::Arc;
use std::time::Duration;

use source_host::{Budget, Component, Failure, NextPoll, Position, SecretValue, Secrets, SystemClock};

use crate::issuer::{CLAIMS, ENCODED_SECRET, OPAQUE, SIGNATURE};
use crate::memory::Memories;
use crate::server::SECRET;
use crate::service::{Detection, Service, client_secret, source, token};
use crate::setup::defender;

const BUDGET: Budget = Budget { max_events: 100, max_bytes: 1 << 20, max_requests: 10, max_duration: 10_000_000_000 };

/// Memories that can be searched, the component that lives in them, and the clock of its host.
fn searched() -> (Memories, Component, Arc<SystemClock>) {
    let memories = Memories::default();
    let component = memories.component_of(&defender());
    (memories, component, Arc::new(SystemClock::default()))
}

#[tokio::test]
async fn no_refresh_token_is_ever_in_the_memory_of_the_component_that_is_shipped() {
    // The one that is sent, and the one that comes in its place.
    for literal in [true, false] {
        let (memories, component, clock) = searched();
        let answer = token("a.b.c").replace('}', r#","refresh_token":"0.canary-next"}"#);
        let service = Service::answering(Arc::<SystemClock>::clone(&clock), answer, Vec::new());
        let mut secrets = Secrets::new().unwrap();
        let refresh_token = if literal {
            "0.canary-first".to_owned()
        } else {
            secrets.hold("/refresh_token", Arc::new(SecretValue::new("0.canary-first")))
        };
        let more = format!(r#","refresh_token":"{refresh_token}""#);
        let (mut source, _) =
            source(&component, &service, clock, secrets, &client_secret("of-the-application"), &more).await;
        source.poll(&Position::Resume(None), &BUDGET).await.unwrap().unwrap();
        let form = &service.requests()[0].body;
        let sent = "client_secret=of-the-application&refresh_token=0.canary-first&grant_type=refresh_token";
        assert!(form.ends_with(sent), "{form}");
        // With a literal the first is there, so the search finds it; where the second stood may be written over by then.
        assert_eq!(memories.hold("0.canary-first"), literal);
        assert!(literal || !memories.hold("0.canary-next"));
    }
}

#[tokio::test]
async fn neither_secret_nor_token_is_ever_in_the_memory_of_the_component_that_is_shipped() {
    for (token, secret_part) in [(format!("{CLAIMS}.{SIGNATURE}"), SIGNATURE), (OPAQUE.to_owned(), OPAQUE)] {
        // With a literal both are there, so the search finds what there is to find.
        for literal in [true, false] {
            let (memories, component, clock) = searched();
            let an_hour_ago = source_host::Clock::wall(&*clock).saturating_sub(Duration::from_secs(3_600));
            let service = Service::new(
                Arc::<SystemClock>::clone(&clock),
                &token,
                vec![
                    Detection::processed(an_hour_ago, 1),
                    Detection::processed(an_hour_ago + Duration::from_secs(60), 2),
                ],
            );
            let mut secrets = Secrets::new().unwrap();
            let secret = if literal {
                SECRET.to_owned()
            } else {
                secrets.hold("/client_secret", Arc::new(SecretValue::new(SECRET)))
            };
            let (mut source, _) = source(&component, &service, clock, secrets, &client_secret(&secret), "").await;
            let (mut position, mut events) = (Position::Resume(None), 0);
            loop {
                let batch = source.poll(&position, &BUDGET).await.unwrap().unwrap();
                events += batch.events.len();
                position = Position::Resume(Some(batch.checkpoint));
                if batch.next != NextPoll::Now {
                    break;
                }
            }
            assert_eq!(events, 2);
            let requests = service.requests();
            assert!(requests[0].body.contains(&format!("client_secret={ENCODED_SECRET}")), "{:?}", requests[0]);
            let bearer = format!("Bearer {token}");
            assert!(
                requests[1..].iter().all(|request| request.authorization.as_ref() == Some(&bearer)),
                "{requests:?}"
            );
            for canary in [SECRET, secret_part] {
                assert_eq!(memories.hold(canary), literal, "{canary}");
            }
            assert!(literal || !memories.hold(ENCODED_SECRET));
            assert!(memories.hold(&token[..token.len() - secret_part.len()]), "a JWT's claims are shown");
            assert!(memories.hold("da1:one"), "the search finds what the component read");
        }
    }
}

#[tokio::test]
async fn no_token_of_the_configuration_is_ever_in_the_memory_of_the_component_that_is_shipped() {
    for (token, secret_part) in [(format!("{CLAIMS}.{SIGNATURE}"), SIGNATURE), (OPAQUE.to_owned(), OPAQUE)] {
        for literal in [true, false] {
            let (memories, component, clock) = searched();
            let an_hour_ago = source_host::Clock::wall(&*clock).saturating_sub(Duration::from_secs(3_600));
            let detections = vec![Detection::processed(an_hour_ago, 1)];
            let service = Service::new(Arc::<SystemClock>::clone(&clock), "none", detections);
            let mut secrets = Secrets::new().unwrap();
            let held = if literal {
                token.clone()
            } else {
                secrets.hold("/access_token", Arc::new(SecretValue::new(token.clone())))
            };
            let credential = format!(r#""access_token":"{held}""#);
            let (mut source, plan) = source(&component, &service, clock, secrets, &credential, "").await;
            assert_eq!(plan.origins.len(), 1);
            let warned = plan.notes.iter().any(|note| note.code == "plan.access-token");
            assert_eq!(warned, literal && token.contains('.'), "{:?}", plan.notes);
            let batch = source.poll(&Position::Resume(None), &BUDGET).await.unwrap().unwrap();
            assert_eq!(batch.events.len(), 1);
            let bearer = format!("Bearer {token}");
            let requests = service.requests();
            assert!(requests.iter().all(|request| request.authorization.as_ref() == Some(&bearer)), "{requests:?}");
            assert_eq!((memories.hold(secret_part), memories.hold(&token)), (literal, literal));
        }
    }
}

#[tokio::test]
async fn a_token_that_no_header_may_carry_is_told_as_such_and_not_as_missing() {
    let (memories, component, clock) = searched();
    let service = Service::new(Arc::<SystemClock>::clone(&clock), r"canary\r\nx", Vec::new());
    let mut secrets = Secrets::new().unwrap();
    let secret = secrets.hold("/client_secret", Arc::new(SecretValue::new(SECRET)));
    let (mut source, _) = source(&component, &service, clock, secrets, &client_secret(&secret), "").await;
    let failure = source.poll(&Position::Resume(None), &BUDGET).await.unwrap().unwrap_err();
    let Failure::Rejected(fault) = failure else { panic!("{failure:?}") };
    assert!(fault.message.contains("holds characters that no header may carry"), "{fault:?}");
    assert!(!memories.hold("canary"));
}
