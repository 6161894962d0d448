//! Configurations.

use defender_core::config::{Config, CredentialKind, Emit, Selection};
use defender_core::contract::{Budget, Position, SecretPlace};
use defender_core::tick::{Now, Tick};
use defender_core::{Machine, Output};
use serde_json::Value;

use crate::failure::check_diagnostic;
use crate::{Reached, canary};

/// A text is a configuration whose plan says the same in other words, or it is told what is wrong with it, without its
/// secret. A valid one can be polled with.
///
/// `@J@` stands for a secret as JSON carries it.
pub fn configuration(data: &[u8]) -> Reached {
    let bytes = canary::with_secrets(data);
    let text = String::from_utf8_lossy(&bytes);
    let config = match Config::parse(&text) {
        Ok(config) => config,
        Err(problems) => {
            assert!(!problems.is_empty());
            let is_whole = secret_is_one_value(&text);
            for problem in &problems {
                if is_whole {
                    check_diagnostic(problem);
                }
                assert!(problem.code.starts_with("config."), "{problem:?}");
                assert!(!problem.message.is_empty() && problem.message.len() < 4096, "{}", problem.message.len());
            }
            return Reached::from(["refused"]);
        }
    };
    let mut reached = Reached::from(["valid"]);
    reached.insert(if config.request.is_some() { "request" } else { "running" });
    reached.insert(config.protocol.title);
    reached.extend((config.emit == Emit::FirstSeen).then_some("first-seen"));
    reached.extend((config.selection != Selection::default()).then_some("selection"));
    let kind = config.credential.kind();
    reached.insert(kind.name());
    let plan = config.plan();
    let secret = Value::from(config.credential.secret().expose());
    if secret_is_one_value(&text) {
        canary::check(&plan);
        canary::check(&config);
    }
    let mut with_secret = plan.effective_config.replacen('{', &format!("{{\"{}\":{secret},", kind.name()), 1);
    if let Some((beside, secret)) = config.credential.application().filter(|(beside, _)| *beside != kind) {
        let secret = Value::from(secret.expose());
        with_secret = with_secret.replacen('{', &format!("{{\"{}\":{secret},", beside.name()), 1);
    }
    assert_eq!(Config::parse(&with_secret).as_ref(), Ok(&config), "{with_secret}");
    assert_eq!(plan.identity, config.identity());
    assert_eq!(plan.accepts, config.accepts());
    for origin in &plan.origins {
        assert!(origin.scheme == "https" || (origin.scheme == "http" && is_loopback(&origin.host)), "{origin:?}");
        assert!(!origin.host.is_empty() && !origin.host.contains(['/', '@', '?', '#', '\\', ' ']), "{origin:?}");
    }
    assert!(!plan.secrets.is_empty());
    for secret in &plan.secrets {
        let is_bearer = matches!(secret.place, SecretPlace::Bearer);
        assert_eq!(is_bearer, kind == CredentialKind::AccessToken, "{secret:?}");
    }
    // The token endpoint, unless there is a token.
    let origin = format!("{}://{}", plan.origins[0].scheme, plan.origins[0].host);
    let now = Now { wall: Tick::parse("2026-01-01T12:00:00Z").unwrap_or_default(), monotonic: 0 };
    let budget = Budget { max_events: 1, max_bytes: 1, max_requests: 2, max_duration: 1 };
    let mut machine = Machine::new(config, &Position::Resume(None)).expect("a valid configuration makes a machine");
    machine.begin(budget, now).expect("the least budget is sufficient");
    match machine.step(now) {
        Output::Send(request) => assert!(request.url.starts_with(&origin), "{request:?}"),
        Output::Done(Ok(_)) => {
            reached.insert("nothing-to-ask");
        }
        other => panic!("{other:?}"),
    }
    reached
}

fn is_loopback(host: &str) -> bool {
    host == "localhost" || host == "[::1]" || host.starts_with("127.") || host.ends_with(".localhost")
}

/// Whether the canary is written in no other place than as the whole value of the secret: what stands elsewhere is
/// shown, and rightly.
fn secret_is_one_value(text: &str) -> bool {
    let quoted = Value::from(canary::SECRET).to_string();
    let whole = text.matches(quoted.as_str()).count();
    let Ok(Value::Object(members)) = serde_json::from_str(text) else { return text.matches("kanarie9Q").count() == 0 };
    let is_whole = |kind: &CredentialKind| members.get(kind.name()).and_then(Value::as_str) == Some(canary::SECRET);
    let is_secret = CredentialKind::ALL.iter().any(is_whole);
    whole == text.matches("kanarie9Q").count() && (is_secret && whole == 1 || whole == 0) && !text.contains("sijsje7T")
}
