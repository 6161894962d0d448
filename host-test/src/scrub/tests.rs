use std::path::Path;

use scenario::Answer;
use serde_json::json;

use super::*;

/// A client secret with every character that some encoding changes.
const SECRET: &str = "c8~Q/a+b=&%\"\\ü <x>";
const TOKEN: &str = "eyJhbGciOiJSUzI1NiIsImtpZCI6ImsifQ.eyJhdWQiOiJhcGkiLCJpcGFkZHIiOiIxMC4xLjIuMyIsImV4cCI6NX0.c2lnbmF0dXJlLW9mLWEtdG9rZW4";

fn scrubbed(interactions: &str, redaction: &Redaction) -> Scrubbed {
    let text = format!("{{\"interactions\": [{interactions}]}}");
    let traffic = Traffic::parse(Path::new("traffic.json"), &text).unwrap();
    let value = json!({ "tenant_id": "0f6f1a8e-3c1d-4d0b-9a5e-5f0c7b1d2e43", "client_secret": SECRET });
    scrub(RawConfig { value, secrets: vec!["/client_secret".to_owned()] }, traffic, redaction, Origin::Foreign)
}

fn text(scrubbed: &Scrubbed) -> String {
    scrubbed.traffic.written().into_iter().map(|(_, bytes)| String::from_utf8_lossy(&bytes).into_owned()).collect()
}

fn answer(body: &str) -> String {
    let body = Value::from(body);
    format!(
        r#"{{"why": "w", "request": {{"method": "GET", "url": "https://api.example/"}},
        "response": {{"status": 200, "headers": {{"content-length": "9"}}, "text": {body}}}}}"#
    )
}

fn body(scrubbed: &Scrubbed) -> String {
    let last = scrubbed.traffic.interactions().last().unwrap();
    let Answer::Response(response) = &last.answer else { panic!("no response") };
    String::from_utf8(response.body.clone()).unwrap()
}

#[test]
fn a_secret_gets_one_placeholder_in_every_encoding() {
    let form = percent_encoding::utf8_percent_encode(SECRET, percent_encoding::NON_ALPHANUMERIC).to_string();
    let encoded = |bytes: &str| ::base64::Engine::encode(&::base64::engine::general_purpose::STANDARD, bytes);
    for (written, expected) in [
        (format!("a {SECRET} b"), "a redacted-client-secret-1 b".to_owned()),
        (format!("x={form}&y"), "x=redacted-client-secret-1&y".to_owned()),
        (
            format!("x={}&y", form.replace("%7E", "%7e").replace("%C3%BC", "%c3%bc")),
            "x=redacted-client-secret-1&y".to_owned(),
        ),
        (format!("x={}", form.replace("%20", "+")), "x=redacted-client-secret-1".to_owned()),
        (form.replace('%', "%25"), "redacted-client-secret-1".to_owned()),
        (format!("m={}", json!(SECRET)), "m=\"redacted-client-secret-1\"".to_owned()),
        (r"c8~Q\/a\u002Bb=&%\u0022\\\u00fc \u003cx\u003e".to_owned(), "redacted-client-secret-1".to_owned()),
        ("c8~Q/a+b=&amp;%&quot;\\&#xFC; &lt;x&gt;".to_owned(), "redacted-client-secret-1".to_owned()),
        (
            format!("Basic {}", encoded(&format!("user:{SECRET}"))),
            format!("Basic {}", encoded("user:redacted-client-secret-1")),
        ),
    ] {
        let scrubbed = scrubbed(&answer(&written), &Redaction::default());
        assert_eq!(body(&scrubbed), expected, "{written}");
        assert_eq!(scrubbed.leak(written.as_bytes()).as_deref(), Some("client_secret"), "{written}");
        assert_eq!(scrubbed.leak(text(&scrubbed).as_bytes()), None);
    }
}

#[test]
fn the_length_that_an_answer_says_changes_as_its_body_does() {
    // 9 were said, and 35 came: what was a lie stays one.
    let scrubbed = scrubbed(&answer(r#"{"access_token":"0123456789abcdef"}"#), &Redaction::default());
    assert_eq!(body(&scrubbed), r#"{"access_token":"redacted-access-token-1"}"#);
    assert!(text(&scrubbed).contains(r#""content-length": "16""#), "{}", text(&scrubbed));
}

#[test]
fn what_the_source_was_given_it_has_to_send_and_what_it_made_may_be_anything() {
    let scrubbed = scrubbed(
        &format!(
            r#"{{"why": "w", "request": {{"method": "POST", "url": "https://login.example/t",
            "form": {{"client_secret": {secret}, "client_assertion": "made-of-a-key-and-the-time", "scope": "a"}},
            "headers": {{"cookie": "s=first-cookie-value"}}}},
            "response": {{"status": 200, "headers": {{"set-cookie": "s=second-cookie-value; Path=/"}},
            "json": {{"access_token": "{TOKEN}", "expires_in": 3599, "code": "x"}}}}}},
            {{"why": "w", "request": {{"method": "POST", "url": "https://api.example/a?$skiptoken=page-two-of-it",
            "headers": {{"authorization": "Bearer {TOKEN}", "cookie": "s=second-cookie-value"}},
            "json": {{"password": "made-again-by-it", "apiKey": {secret}}}}},
            "fail": "dns"}}"#,
            secret = json!(SECRET)
        ),
        &Redaction::default(),
    );
    let written = text(&scrubbed);
    let value: Value = serde_json::from_str(&written).unwrap();
    let (first, second) = (&value["interactions"][0], &value["interactions"][1]);
    assert_eq!(
        first["request"]["form"],
        json!({ "client_secret": "redacted-client-secret-1", "client_assertion": { "pattern": "*" }, "scope": "a" })
    );
    assert_eq!(first["request"]["headers"]["cookie"], json!({ "pattern": "s=*" }));
    assert_eq!(first["response"]["headers"]["set-cookie"], "s=redacted-cookie-2; Path=/");
    assert_eq!(second["request"]["headers"]["cookie"], "s=redacted-cookie-2");
    // The claims that a source may read stay, those on a person do not.
    let token = first["response"]["json"]["access_token"].as_str().unwrap();
    assert_eq!(token, "eyJhbGciOiJSUzI1NiJ9.eyJhdWQiOiJhcGkiLCJleHAiOjV9.redacted-access-token-1");
    assert_eq!(second["request"]["headers"]["authorization"], format!("Bearer {token}"));
    assert_eq!(first["response"]["json"]["code"], "x");
    assert_eq!(second["request"]["query"], json!({ "$skiptoken": { "pattern": "*" } }));
    assert_eq!(second["request"]["patterns"], json!({ "/password": "*" }));
    assert_eq!(second["request"]["json"]["apiKey"], "redacted-client-secret-1");
    for secret in ["c2lnbmF0dXJl", "made-of-a-key", "made-again", "cookie-value", "page-two"] {
        assert!(!written.contains(secret), "{secret} in {written}");
    }
    assert_eq!(suspicions(Path::new("traffic.json"), &written), []);
}

#[test]
fn secrets_of_links_of_looks_and_of_the_operator_are_replaced() {
    let redaction = Redaction {
        names: vec!["Asset-Tag".to_owned()],
        values: vec![("project".to_owned(), SecretValue::new("manhattan-project"))],
        pseudonyms: false,
    };
    let scrubbed = scrubbed(
        &answer(&format!(
            r#"{{"next": "https://u:the-pass-word@a.example/?$skiptoken=abc%2Bdef-ghi&sig=98765432-sig",
            "m": "{TOKEN}. Bearer 0123456789abcdefghijk", "asset_tag": 12345678, "of": "the manhattan-project",
            "inner": "{{\"client_secret\": \"inner-secret-value\"}}", "cut": {{"refresh_token": "broken-off-token"#
        )),
        &redaction,
    );
    let body = body(&scrubbed);
    assert_eq!(
        body,
        r#"{"next": "https://u:redacted-password-1@a.example/?$skiptoken=redacted-skiptoken-1&sig=redacted-sig-1",
            "m": "eyJhbGciOiJSUzI1NiJ9.eyJhdWQiOiJhcGkiLCJleHAiOjV9.redacted-token-1. Bearer redacted-access-token-1", "asset_tag": "redacted-asset-tag-1", "of": "the redacted-project-1",
            "inner": "{\"client_secret\": \"redacted-client-secret-2\"}", "cut": {"refresh_token": "redacted-refresh-token-1"#
    );
}

#[test]
fn pseudonyms_are_the_same_for_the_same_thing_and_hosts_that_are_asked_keep_their_names() {
    let event = json!({
        "ComputerDnsName": "fin-lt-0231.contoso.example", "MachineName": "fin-lt-0231", "UserName": "a.keller",
        "LogOnUsers": "CONTOSO\\a.keller; CONTOSO\\m.ito", "FilePath": "C:\\Users\\a.keller\\x", "Ip": "10.20.4.31;127.0.0.1;fe80::3c1a",
        "Mail": "a.keller@contoso.example", "Tenant": "0F6F1A8E-3C1D-4D0B-9A5E-5F0C7B1D2E43", "hostName": "api.example", "n": "annual a.kellerman",
    });
    let redaction = Redaction { pseudonyms: true, ..Redaction::default() };
    let scrubbed = scrubbed(&answer(&event.to_string()), &redaction);
    let value: Value = serde_json::from_str(&body(&scrubbed)).unwrap();
    assert_eq!(value["ComputerDnsName"], "host-1.domain-1.example");
    assert_eq!(value["MachineName"], "host-1");
    assert_eq!(value["UserName"], value["FilePath"].as_str().unwrap().split('\\').nth(2).unwrap());
    assert!(value["UserName"].as_str().unwrap().starts_with("user-"));
    assert!(value["Mail"].as_str().unwrap().ends_with("@example.com"));
    assert_eq!(value["Ip"], "198.18.0.1;127.0.0.1;2001:db8::1");
    assert_eq!(value["hostName"], "api.example");
    assert_eq!(value["n"], "annual a.kellerman");
    assert!(scenario::is_placeholder(value["Tenant"].as_str().unwrap()));
    assert!(!scrubbed.config.contains("0f6f1a8e"), "{}", scrubbed.config);
    for name in ["contoso", "CONTOSO", "a.keller\"", "m.ito", "10.20.4.31", "fe80"] {
        assert!(!body(&scrubbed).contains(name), "{name}: {}", body(&scrubbed));
    }
}

#[test]
fn what_was_scrubbed_once_is_not_changed_again() {
    let redaction = Redaction { pseudonyms: true, ..Redaction::default() };
    let first = scrubbed(
        &answer(&format!(r#"{{"access_token": "{TOKEN}", "upn": "a@b.example", "ip": "10.1.2.3"}}"#)),
        &redaction,
    );
    let config = RawConfig { value: serde_json::from_str(&first.config).unwrap(), secrets: Vec::new() };
    let again = scrub(config, first.traffic.clone(), &Redaction::default(), Origin::Foreign);
    assert_eq!(again.traffic, first.traffic);
    assert_eq!(again.config, first.config);
}
