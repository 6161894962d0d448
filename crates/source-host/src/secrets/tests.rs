//! A vault with two secrets between a request and its answer.

use http::header::{ACCEPT_ENCODING, AUTHORIZATION, CONTENT_LENGTH, CONTENT_TYPE};
use http::{Request, Response};
use http_body_util::{BodyExt as _, Full};
use wasmtime_wasi_http::WasiBody;

use super::answer::Sent;
use super::*;
use crate::bindings::{PlannedOrigin, SecretUse};

const FORM: &str = "application/x-www-form-urlencoded";
const LOGIN: &str = "https://login.example/token";
const API: &str = "https://api.example/items";

/// A vault of the secrets `/one` and `/two`, and their placeholders.
fn vault() -> (Vault, [String; 2]) {
    let mut secrets = Secrets::new().unwrap();
    let placeholders = ["one", "two"]
        .map(|name| secrets.hold(format!("/{name}"), Arc::new(SecretValue::new(format!("{name}+canary ü")))));
    let origin = |host: &str| PlannedOrigin {
        scheme: "https".to_owned(),
        host: host.to_owned(),
        port: 443,
        purpose: String::new(),
    };
    let planned = |name: &str| SecretUse {
        pointer: format!("/{name}"),
        origin: 0,
        form_field: name.to_owned(),
        captures: vec!["id_token".to_owned()],
        bearer_at: vec![1],
    };
    let plan = AccessPlan {
        origins: vec![origin("login.example"), origin("api.example")],
        secrets: vec![planned("one"), planned("two")],
        identity: String::new(),
        accepts: Vec::new(),
        effective_config: "{}".to_owned(),
        notes: Vec::new(),
    };
    let vault = secrets.planned(&plan, &Policy::planned(&plan).unwrap()).unwrap();
    (vault, placeholders)
}

fn body(bytes: impl Into<bytes::Bytes>) -> WasiBody {
    Full::new(bytes.into()).map_err(|never| match never {}).boxed_unsync()
}

fn post(url: &str, form: String) -> Request<WasiBody> {
    let request = Request::post(url).header(CONTENT_TYPE, FORM).header(CONTENT_LENGTH, form.len());
    request.header(ACCEPT_ENCODING, "br").body(body(form)).unwrap()
}

async fn filled(vault: &Vault, request: Request<WasiBody>) -> (http::request::Parts, String, Sent) {
    let Ok((request, sent)) = vault.fill(request).await else { panic!("it was refused") };
    let (head, body) = request.into_parts();
    let bytes = body.collect().await.unwrap().to_bytes();
    (head, String::from_utf8(bytes.to_vec()).unwrap(), sent)
}

#[tokio::test]
async fn both_secrets_of_a_form_are_filled_in_and_everything_else_stays_as_it_is() {
    let (vault, [one, two]) = vault();
    let (head, form, _) = filled(&vault, post(LOGIN, format!("a=b+c&%6Fne={one}&two={two}&=&d"))).await;
    assert_eq!(form, "a=b+c&%6Fne=one%2Bcanary%20%C3%BC&two=two%2Bcanary%20%C3%BC&=&d");
    assert_eq!(head.headers[CONTENT_LENGTH], form.len().to_string());
    assert!(!head.headers.contains_key(ACCEPT_ENCODING));
    let (head, form, sent) = filled(&vault, post(API, "a=%zz".to_owned())).await;
    assert_eq!(
        (form.as_str(), &head.headers[ACCEPT_ENCODING], sent.is_secret()),
        ("a=%zz", &"br".parse().unwrap(), false)
    );
    let (head, _, _) = filled(&vault, Request::get(API).body(body("")).unwrap()).await;
    assert!(head.headers.is_empty());
}

#[tokio::test]
async fn a_secret_in_the_field_of_another_or_for_another_port_is_refused() {
    let (vault, [one, _]) = vault();
    for (url, form) in [
        (LOGIN, format!("two={one}")),
        (LOGIN, format!("one={one}%20")),
        (LOGIN, format!("{one}=one")),
        (LOGIN, format!("one={}", &one[1..])),
        ("https://login.example:444/token", format!("one={one}")),
        ("https://login.example.evil.example/token", format!("one={one}")),
    ] {
        assert!(matches!(vault.fill(post(url, form.clone())).await, Err(Refusal::Denied(_))), "{url} {form}");
    }
}

#[tokio::test]
async fn a_request_that_is_too_large_to_be_looked_through_is_not_sent() {
    let (vault, _) = vault();
    let large = "x".repeat((1 << 20) + 1);
    assert!(matches!(vault.fill(post(API, large)).await, Err(Refusal::Failed(_))));
}

#[tokio::test]
async fn the_members_that_the_plan_names_are_tokens_for_the_planned_origins() {
    let (vault, [one, _]) = vault();
    let (_, _, sent) = filled(&vault, post(LOGIN, format!("one={one}"))).await;
    let answer = r#"{"id_token":"canary-1","refresh_token":"canary-2","other":"one+canary ü"}"#;
    let answer = Response::builder().header("x-echo", "one%2bcanary%20%c3%bc; canary-1").body(body(answer)).unwrap();
    let (head, answer) = vault.receive(answer, &sent).await.unwrap().into_parts();
    let answer = answer.collect().await.unwrap().to_bytes();
    let read: serde_json::Value = serde_json::from_slice(&answer).unwrap();
    assert_eq!(read["other"], one.as_str());
    let id_token = read["id_token"].as_str().unwrap();
    assert_eq!(head.headers["x-echo"], format!("{one}; {id_token}"));
    assert_eq!(head.headers[CONTENT_LENGTH], answer.len().to_string());
    assert!(!String::from_utf8_lossy(&answer).contains("canary"));

    let bearer = |url: &str, scheme: &str| {
        Request::get(url).header(AUTHORIZATION, format!("{scheme} {id_token}")).body(body("")).unwrap()
    };
    let (head, _, _) = filled(&vault, bearer(API, "bearer")).await;
    let sent = &head.headers[AUTHORIZATION];
    assert!(sent == "Bearer canary-1" && sent.is_sensitive());
    for refused in [bearer(LOGIN, "Bearer"), bearer(API, "Basic"), bearer(API, "Bearer ")] {
        assert!(matches!(vault.fill(refused).await, Err(Refusal::Denied(_))));
    }
    vault.forget_tokens();
    assert!(matches!(vault.fill(bearer(API, "Bearer")).await, Err(Refusal::Denied(_))));
}

#[test]
fn nothing_that_holds_secrets_shows_them() {
    let (vault, [one, _]) = vault();
    for shown in
        [format!("{vault:?}"), format!("{:?}", SecretValue::new("canary")), format!("{:?}", Secrets::new().unwrap())]
    {
        assert!(!shown.contains("canary") && !shown.contains(&one), "{shown}");
    }
}
