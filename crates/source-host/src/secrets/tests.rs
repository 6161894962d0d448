//! A vault with two secrets between a request and its answer.

use std::sync::Mutex;

use http::header::{ACCEPT_ENCODING, AUTHORIZATION, CONTENT_LENGTH, CONTENT_TYPE};
use http::{Request, Response};
use http_body_util::{BodyExt as _, Full};
use wasmtime_wasi_http::WasiBody;

use super::answer::Sent;
use super::*;
use crate::bindings::{PlannedOrigin, SecretPlace, SecretUse};

const FORM: &str = "application/x-www-form-urlencoded";
const LOGIN: &str = "https://login.example/token";
const API: &str = "https://api.example/items";

/// A vault of the secrets `/one` and `/two`, and their placeholders.
fn vault() -> (Vault, [String; 2]) {
    let mut secrets = Secrets::new().unwrap();
    let placeholders = ["one", "two"]
        .map(|name| secrets.hold(format!("/{name}"), Arc::new(SecretValue::new(format!("{name}+canary ü")))));
    let planned = |name: &str| SecretUse {
        pointer: format!("/{name}"),
        origin: 0,
        place: SecretPlace::FormField(name.to_owned()),
        captures: vec!["id_token".to_owned()],
        bearer_at: vec![1],
    };
    let plan = AccessPlan { secrets: vec![planned("one"), planned("two")], ..plan() };
    let vault = secrets.planned(&plan, &Policy::planned(&plan).unwrap()).unwrap();
    (vault, placeholders)
}

/// A plan of two origins, for tokens and for items, that sends no secret yet.
fn plan() -> AccessPlan {
    let origin = |host: &str| PlannedOrigin {
        scheme: "https".to_owned(),
        host: host.to_owned(),
        port: 443,
        purpose: String::new(),
    };
    AccessPlan {
        origins: vec![origin("login.example"), origin("api.example")],
        secrets: Vec::new(),
        identity: String::new(),
        accepts: Vec::new(),
        effective_config: "{}".to_owned(),
        notes: Vec::new(),
    }
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

async fn received(vault: &Vault, answer: Response<WasiBody>, sent: &mut Sent) -> Response<WasiBody> {
    let Ok(Received::Answer(answer)) = vault.receive(answer, sent, true).await else { panic!("it was not handed on") };
    answer
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
    let (_, _, mut sent) = filled(&vault, post(LOGIN, format!("one={one}"))).await;
    let answer = r#"{"id_token":"canary-1","refresh_token":"canary-2","other":"one+canary ü"}"#;
    let answer = Response::builder().header("x-echo", "one%2bcanary%20%c3%bc; canary-1").body(body(answer)).unwrap();
    let (head, answer) = received(&vault, answer, &mut sent).await.into_parts();
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

#[tokio::test]
async fn what_is_withheld_is_as_long_as_what_came_and_json_where_that_was_json_and_never_an_empty_list() {
    let (vault, [one, _]) = vault();
    for (said, handed_on) in [
        ("canary=1", "********"),
        ("{\"id_token\":\"canary", "*******************"),
        ("[\"canary\"]", "\"withheld by the host: the answer is no JSON object\""),
        ("\u{feff}[]", "\"withheld by the host: the answer is no JSON object\""),
        ("5", "\"withheld by the host: the answer is no JSON object\""),
    ] {
        let (_, _, mut sent) = filled(&vault, post(LOGIN, format!("one={one}"))).await;
        let (head, answer) = received(&vault, Response::new(body(said)), &mut sent).await.into_parts();
        assert_eq!(answer.collect().await.unwrap().to_bytes(), handed_on, "{said}");
        assert_eq!(head.headers[CONTENT_LENGTH], handed_on.len().to_string());
    }
}

/// A refresh token that is kept where storing may fail.
struct Kept {
    value: Mutex<String>,
    stores: bool,
}

#[async_trait]
impl SecretSource for Kept {
    async fn value(&self, _: &http::Uri) -> Result<SecretValue, Denial> {
        Ok(SecretValue::new(self.value.lock().unwrap().clone()))
    }

    async fn rotated(&self, sent: &SecretValue, issued: SecretValue) -> Result<(), Denial> {
        let mut value = self.value.lock().unwrap();
        assert_eq!(*value, sent.expose());
        if !self.stores {
            return Err(Denial { reason: "the disk is full".to_owned(), hint: None });
        }
        *value = issued.expose().to_owned();
        Ok(())
    }
}

fn refreshing(stores: bool) -> (Vault, String, Arc<Kept>) {
    let kept = Arc::new(Kept { value: Mutex::new("canary-r1".to_owned()), stores });
    let mut secrets = Secrets::new().unwrap();
    let placeholder = secrets.hold("/refresh_token", Arc::<Kept>::clone(&kept));
    let secret = SecretUse {
        pointer: "/refresh_token".to_owned(),
        origin: 0,
        place: SecretPlace::FormField("refresh_token".to_owned()),
        captures: Vec::new(),
        bearer_at: vec![1],
    };
    let plan = AccessPlan { secrets: vec![secret], ..plan() };
    let vault = secrets.planned(&plan, &Policy::planned(&plan).unwrap()).unwrap();
    (vault, placeholder, kept)
}

#[tokio::test]
async fn a_refresh_token_that_was_issued_is_stored_and_has_the_placeholder_of_the_old_one() {
    let (vault, placeholder, kept) = refreshing(true);
    for (sent_as, issued) in [("canary-r1", "canary-r2"), ("canary-r2", "eyJhbGciOiJub25lIn0.eyJhIjoxfQ.canary")] {
        let (_, form, mut sent) = filled(&vault, post(LOGIN, format!("refresh_token={placeholder}"))).await;
        assert_eq!(form, format!("refresh_token={sent_as}"));
        let answer =
            format!("\u{feff}{{\"access_token\":\"canary-a\",\"refresh_token\":\"{issued}\",\"old\":\"{sent_as}\"}}");
        let answer = Response::builder().header("x-echo", issued).body(body(answer)).unwrap();
        let answer = received(&vault, answer, &mut sent).await;
        assert_eq!(*kept.value.lock().unwrap(), issued);
        assert_eq!(answer.headers()["x-echo"], placeholder);
        let text = String::from_utf8(answer.into_body().collect().await.unwrap().to_bytes().to_vec()).unwrap();
        let read: serde_json::Value = serde_json::from_str(text.trim_start_matches('\u{feff}')).unwrap();
        assert_eq!((&read["refresh_token"], &read["old"]), (&placeholder.clone().into(), &placeholder.clone().into()));
        assert!(!text.contains("canary"), "{text}");
        // It is no bearer token.
        let bearer = Request::get(API).header(AUTHORIZATION, format!("Bearer {placeholder}")).body(body("")).unwrap();
        assert!(matches!(vault.fill(bearer).await, Err(Refusal::Denied(_))));
    }
}

#[tokio::test]
async fn nothing_of_an_answer_is_seen_whose_refresh_token_could_not_be_stored_and_errors_replace_none() {
    let (vault, placeholder, kept) = refreshing(false);
    let (_, _, mut sent) = filled(&vault, post(LOGIN, format!("refresh_token={placeholder}"))).await;
    let answer = r#"{"access_token":"canary-a","refresh_token":"canary-r2"}"#;
    let refused = vault.receive(Response::new(body(answer)), &mut sent, true).await;
    assert!(matches!(refused, Err(Refusal::Missing(denial)) if denial.reason == "the disk is full"));
    let refused = Response::builder().status(400).body(body(answer)).unwrap();
    assert!(vault.receive(refused, &mut sent, true).await.is_ok());
    // The same one again is nothing to store.
    let same = Response::new(body(r#"{"access_token":"canary-a","refresh_token":"canary-r1"}"#));
    assert!(vault.receive(same, &mut sent, true).await.is_ok());
    assert_eq!(*kept.value.lock().unwrap(), "canary-r1");
}

/// A secret with a spare one.
struct Spared(Mutex<Vec<&'static str>>);

#[async_trait]
impl SecretSource for Spared {
    async fn value(&self, _: &http::Uri) -> Result<SecretValue, Denial> {
        Ok(SecretValue::new(self.0.lock().unwrap()[0]))
    }

    async fn refused(&self, sent: &SecretValue) -> bool {
        let mut left = self.0.lock().unwrap();
        assert_eq!(left[0], sent.expose());
        left.len() > 1 && !left.remove(0).is_empty()
    }
}

#[tokio::test]
async fn a_secret_that_was_refused_is_followed_by_the_spare_one_in_the_same_request() {
    let mut secrets = Secrets::new().unwrap();
    let placeholder = secrets.hold("/client_secret", Arc::new(Spared(Mutex::new(vec!["canary-1", "canary-2"]))));
    let secret = SecretUse {
        pointer: "/client_secret".to_owned(),
        origin: 0,
        place: SecretPlace::FormField("client_secret".to_owned()),
        captures: Vec::new(),
        bearer_at: vec![1],
    };
    let plan = AccessPlan { secrets: vec![secret], ..plan() };
    let vault = secrets.planned(&plan, &Policy::planned(&plan).unwrap()).unwrap();
    let refusal = r#"{"error":"invalid_client","error_description":"AADSTS7000222: canary-1"}"#;
    let answer = |status: u16, text: &str| Response::builder().status(status).body(body(text.to_owned())).unwrap();
    let made = format!("a=b&client_secret={placeholder}");
    let (_, form, mut sent) = filled(&vault, post(LOGIN, made.clone())).await;
    assert_eq!(form, "a=b&client_secret=canary-1");
    // Any other refusal, and a success, is nothing to send it again for.
    for (status, text) in
        [(400, r#"{"error":"invalid_grant"}"#), (500, refusal), (200, refusal), (401, "invalid_client")]
    {
        received(&vault, answer(status, text), &mut sent).await;
    }
    let Ok(Received::Again(again)) = vault.receive(answer(401, refusal), &mut sent, true).await else {
        panic!("no spare")
    };
    assert_eq!((again.method(), again.uri().to_string().as_str()), (&http::Method::POST, LOGIN));
    let (head, form, mut sent) = filled(&vault, again).await;
    assert_eq!((form.as_str(), &head.headers[CONTENT_TYPE]), ("a=b&client_secret=canary-2", &FORM.parse().unwrap()));
    let told = received(&vault, answer(401, refusal), &mut sent).await;
    assert_eq!(told.status(), 401, "there is no third one");
}

/// A vault of the token `/token`, which is sent to the API as it is, and its placeholder.
fn bearing(token: Arc<dyn SecretSource>) -> (Vault, String) {
    let mut secrets = Secrets::new().unwrap();
    let placeholder = secrets.hold("/token", token);
    let (captures, bearer_at) = (Vec::new(), Vec::new());
    let secret = SecretUse { pointer: "/token".to_owned(), origin: 1, place: SecretPlace::Bearer, captures, bearer_at };
    let plan = AccessPlan { secrets: vec![secret], ..plan() };
    (secrets.planned(&plan, &Policy::planned(&plan).unwrap()).unwrap(), placeholder)
}

fn bearer(url: &str, scheme: &str, token: &str) -> Request<WasiBody> {
    Request::get(url).header(AUTHORIZATION, format!("{scheme}{token}")).body(body("")).unwrap()
}

#[tokio::test]
async fn a_token_of_the_configuration_is_filled_into_the_header_for_its_origin_and_nowhere_else() {
    let (vault, token) = bearing(Arc::new(SecretValue::new("canary+/=.token")));
    let (head, text, mut sent) = filled(&vault, bearer(API, "bearer ", &token)).await;
    assert_eq!((&head.headers[AUTHORIZATION], text.as_str()), (&"Bearer canary+/=.token".parse().unwrap(), ""));
    assert!(head.headers[AUTHORIZATION].is_sensitive() && sent.is_secret());
    let echo = Response::builder().header("x-echo", "canary+/=.token").body(body("[\"canary+/=.token\"]")).unwrap();
    let (head, told) = received(&vault, echo, &mut sent).await.into_parts();
    let told = told.collect().await.unwrap().to_bytes();
    assert_eq!((&head.headers["x-echo"], &told[..]), (&"*".repeat(15).parse().unwrap(), &b"[\"***************\"]"[..]));

    let in_header = Request::get(API).header("x-token", token.as_str()).body(body("")).unwrap();
    for request in [
        bearer(LOGIN, "Bearer ", &token),
        bearer("https://api.example:444/items", "Bearer ", &token),
        bearer("http://api.example/items", "Bearer ", &token),
        bearer(API, "Basic ", &token),
        bearer(API, "", &token),
        bearer(API, "Bearer ", &format!("{token}0")),
        bearer(API, "Bearer x", &token),
        bearer(&format!("{API}?t={token}"), "Bearer ", "x"),
        in_header,
        post(API, format!("token={token}")),
        post(LOGIN, format!("access_token={token}")),
    ] {
        let (method, uri) = (request.method().clone(), request.uri().clone());
        let Err(Refusal::Denied(denial)) = vault.fill(request).await else { panic!("{method} {uri} was sent") };
        assert!(!format!("{denial:?}").contains("canary"), "{denial:?}");
    }
    let Err(Refusal::Denied(denial)) = vault.fill(bearer(LOGIN, "Bearer ", &token)).await else { panic!("sent") };
    let hint = "the plan allows `/token` as `Authorization: Bearer` to https://api.example;";
    assert!(denial.hint.as_ref().unwrap().starts_with(hint), "{denial:?}");
}

#[tokio::test]
async fn a_request_whose_token_was_refused_is_sent_once_more_with_another_one_if_there_is_one() {
    let (vault, token) = bearing(Arc::new(Spared(Mutex::new(vec!["canary-1", "canary-2"]))));
    let answer = |status: u16| Response::builder().status(status).body(body("{\"error\":\"invalid_client\"}")).unwrap();
    let request = Request::post(API).header(AUTHORIZATION, format!("Bearer {token}")).body(body("[1]")).unwrap();
    let (_, _, mut sent) = filled(&vault, request).await;
    for status in [200, 403, 500] {
        received(&vault, answer(status), &mut sent).await;
    }
    let Ok(Received::Answer(_)) = vault.receive(answer(401), &mut sent, false).await else { panic!("repeated") };
    let Ok(Received::Again(again)) = vault.receive(answer(401), &mut sent, true).await else { panic!("no other") };
    let (head, text, mut sent) = filled(&vault, again).await;
    assert_eq!((&head.headers[AUTHORIZATION], text.as_str()), (&"Bearer canary-2".parse().unwrap(), "[1]"));
    assert_eq!(received(&vault, answer(401), &mut sent).await.status(), 401, "there is no third one");

    let (vault, token) = bearing(Arc::new(SecretValue::new("canary of two words")));
    let Err(Refusal::Missing(denial)) = vault.fill(bearer(API, "Bearer ", &token)).await else { panic!("sent") };
    assert!(denial.reason.contains("no header may carry") && !denial.reason.contains("canary"), "{denial}");
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
