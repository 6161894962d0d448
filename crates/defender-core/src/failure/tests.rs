//! Tests of [`super`].

use super::*;
use crate::test_config::{CANARY, at, config};

fn head(status: u16, headers: &[(&str, &str)]) -> ResponseHead {
    let headers = headers.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    ResponseHead { status, headers }
}

fn fault_of(mut failure: Failure) -> Fault {
    failure.fault_mut().cloned().unwrap()
}

#[test]
fn every_status_says_who_acts() {
    for (status, kind, code) in [
        (100, "rejected", "http.status-100"),
        (201, "rejected", "http.status-201"),
        (206, "rejected", "http.status-206"),
        (302, "rejected", "http.redirect"),
        (304, "rejected", "http.status-304"),
        (400, "rejected", "http.status-400"),
        (401, "unauthenticated", "http.status-401"),
        (403, "forbidden", "http.status-403"),
        (404, "rejected", "http.status-404"),
        (407, "rejected", "http.status-407"),
        (408, "unavailable", "http.status-408"),
        (410, "rejected", "http.status-410"),
        (429, "throttled", "http.status-429"),
        (500, "unavailable", "http.status-500"),
        (503, "unavailable", "http.status-503"),
        (599, "unavailable", "http.status-599"),
        (999, "rejected", "http.status-999"),
    ] {
        let failure = api_failure(&head(status, &[]), b"", at(0), &config());
        assert_eq!(failure.kind(), kind, "{status}");
        let fault = fault_of(failure);
        assert_eq!(fault.code, code);
        assert_eq!(fault.status, Some(status));
        assert!(fault.message.contains("wdatp-alertexporter-eu.windows.com"), "{}", fault.message);
        assert!(fault.message.contains(&format!("HTTP {status}")), "{}", fault.message);
        assert!(fault.message.ends_with('.') && fault.hint.unwrap().ends_with('.'));
    }
}

#[test]
fn a_final_401_names_host_tenant_audience_and_both_documented_causes() {
    let message = fault_of(api_failure(&head(401, &[]), b"", at(0), &config())).message;
    for part in [
        "wdatp-alertexporter-eu.windows.com",
        "login.microsoftonline.com",
        "contoso.example",
        "https://graph.windows.net",
        "the token is not valid",
        "the request is malformed",
    ] {
        assert!(message.contains(part), "{part}: {message}");
    }
}

#[test]
fn a_403_names_its_documented_causes_and_the_missing_permission() {
    let message = fault_of(api_failure(&head(403, &[]), b"", at(0), &config())).message;
    for part in ["not managed by its administrator", "state is deleted", "lacks the permission", "contoso.example"] {
        assert!(message.contains(part), "{part}: {message}");
    }
}

#[test]
fn a_challenge_is_quoted_where_there_is_no_body() {
    let challenge = "Bearer error=\"invalid_token\", error_description=\"The audience is invalid\"";
    let message = fault_of(api_failure(&head(401, &[("WWW-Authenticate", challenge)]), b"", at(0), &config())).message;
    assert!(
        message
            .ends_with("It answered: Bearer error=\"invalid_token\", error_description=\"The audience is invalid\".")
    );
}

#[test]
fn both_forms_of_retry_after_become_a_delay() {
    for status in [408, 429, 500, 503] {
        for (value, seconds) in [
            ("60", Some(60)),
            ("Thu, 01 Jan 2026 00:01:30 GMT", Some(90)),
            ("Wed, 31 Dec 2025 23:00:00 GMT", Some(0)),
            ("99999999999", Some(86_400)),
            ("soon", None),
        ] {
            let (Failure::Throttled(delay) | Failure::Unavailable(delay)) =
                api_failure(&head(status, &[("Retry-After", value)]), b"", at(0), &config())
            else {
                panic!("{status} passes by itself");
            };
            assert_eq!(delay.after, seconds.map(|s: u64| s * 1_000_000_000), "{status} {value}");
        }
    }
}

#[test]
fn a_redirect_names_the_origin_of_its_target_alone() {
    for (location, shown) in [
        (Some("https://sso.example:8443/login?ticket=kanarie#kanarie"), "to https://sso.example:8443,"),
        (Some("http://user:kanarie@sso.example/"), "to http://sso.example,"),
        (Some("//sso.example/kanarie"), "to //sso.example,"),
        (Some("/kanarie"), "to another path of its own,"),
        (None, "to an address that it does not name,"),
    ] {
        let headers: Vec<_> = location.iter().map(|location| ("Location", *location)).collect();
        let fault = fault_of(api_failure(&head(307, &headers), b"", at(0), &config()));
        assert!(fault.message.contains(shown), "{}", fault.message);
        assert!(!fault.message.contains("kanarie"), "{}", fault.message);
    }
}

#[test]
fn microsofts_error_envelope_is_quoted_and_its_target_is_the_request_id() {
    let body = br#"{"error":{"code":"InvalidInput","message":"Line one.\r\nLine two","target":"0a1b"}}"#;
    let fault = fault_of(api_failure(&head(400, &[("request-id", "other")]), body, at(0), &config()));
    assert!(fault.message.contains("\"InvalidInput: Line one. Line two\""), "{}", fault.message);
    assert_eq!(fault.request_id.as_deref(), Some("0a1b"));
}

#[test]
fn the_request_id_of_the_headers_is_kept_on_one_line() {
    let fault = fault_of(api_failure(&head(500, &[("X-Ms-Request-Id", "9f\r\n8e")]), b"", at(0), &config()));
    assert_eq!(fault.request_id.as_deref(), Some("9f 8e"));
}

#[test]
fn a_proxys_page_in_place_of_detections_is_named_with_its_status_and_media_type() {
    let answer = head(200, &[("content-type", "text/html; charset=utf-8")]);
    let failure = no_answer(&answer, b"<html><title>Guest network</title>", &config());
    assert_eq!(failure.kind(), "rejected");
    let fault = fault_of(failure);
    assert_eq!(fault.code, "http.not-detections");
    assert!(fault.message.contains("HTTP 200"), "{}", fault.message);
    assert!(fault.message.contains("text/html; charset=utf-8, \"Guest network\""), "{}", fault.message);
}

#[test]
fn a_packed_body_is_told_by_its_coding_and_not_quoted() {
    for (coding, expected) in [("gzip", Some("content coding `gzip`")), (" Identity ", None)] {
        let headers = vec![("Content-Encoding".to_owned(), coding.to_owned())];
        let answer = ResponseHead { status: 200, headers };
        let mut failure = no_answer(&answer, b"\x1f\x8b\x08plainly", &config());
        let fault = failure.fault_mut().unwrap();
        assert_eq!(fault.message.contains("plainly"), expected.is_none(), "{}", fault.message);
        assert!(fault.message.contains(expected.unwrap_or("plainly")), "{}", fault.message);
    }
}

#[test]
fn no_failure_shows_the_secret_or_what_looks_like_a_token() {
    let token = "eyJ0eXAiOiJKV1QiLCJhbGciOiJSUzI1NiJ9.eyJhdWQiOiJodHRwcyJ9.S2FuYXJpZVNpZ25hdHVyZTAx";
    let echo = format!("{CANARY} client_secret={} Bearer {token}", crate::token::form_encoded(CANARY));
    let envelope = serde_json::json!({"error": {"code": echo, "message": echo, "target": CANARY}}).to_string();
    for status in [200, 204, 302, 400, 401, 403, 404, 429, 500] {
        for body in [&echo, &envelope, &format!("<html><title>{echo}</title>"), &String::new()] {
            let answer = head(
                status,
                &[
                    ("content-type", &echo),
                    ("www-authenticate", &echo),
                    ("request-id", CANARY),
                    ("location", &format!("https://{CANARY}/{CANARY}")),
                ],
            );
            for failure in [
                api_failure(&answer, body.as_bytes(), at(0), &config()),
                no_answer(&answer, body.as_bytes(), &config()),
            ] {
                let shown = format!("{failure:?}");
                assert!(!shown.contains("kanarie") && !shown.contains("eyJ"), "{shown}");
            }
        }
    }
}

#[test]
fn a_token_that_became_known_later_is_taken_out_of_every_text() {
    let token = Secret::new("opaque-token-of-a-test");
    let cut = format!("{}opaque-token-of-a-test", "x ".repeat(95));
    let answer = head(401, &[("request-id", "opaque-token-of-a-test")]);
    for body in ["got opaque-token-of-a-test", &cut] {
        let mut failure = api_failure(&answer, body.as_bytes(), at(0), &config());
        failure.redact(&token);
        assert!(!format!("{failure:?}").contains("opaque-t"), "{failure:?}");
    }
    let diagnostic = Diagnostic {
        level: crate::contract::Level::Error,
        code: "config.x".to_owned(),
        pointer: None,
        message: "opaque-token-of-a-test".to_owned(),
        hint: Some("opaque-token-of-a-test".to_owned()),
    };
    let mut failure = Failure::InvalidConfig(vec![diagnostic]);
    failure.redact(&token);
    assert!(!format!("{failure:?}").contains("opaque-t"), "{failure:?}");
}

#[test]
fn a_known_code_of_the_api_is_explained_and_the_request_id_of_either_envelope_is_kept() {
    let graph = r#"{"error":{"code":"Authorization_RequestDenied","message":"Insufficient privileges.","innerError":{"date":"x","request-id":"aaaa","client-request-id":"bbbb"}}}"#;
    let fault = fault_of(api_failure(&head(403, &[("request-id", "cccc")]), graph.as_bytes(), at(0), &config()));
    let means = "\"Authorization_RequestDenied: Insufficient privileges\". `Authorization_RequestDenied` means: the application \
        or the user lacks a permission.";
    assert!(fault.message.ends_with(means), "{}", fault.message);
    assert_eq!(fault.request_id.as_deref(), Some("aaaa"));
    let defender = r#"{"error":{"code":"TooManyRequests","message":"Wait","target":"dddd"}}"#;
    let fault = fault_of(api_failure(&head(429, &[]), defender.as_bytes(), at(0), &config()));
    assert!(
        fault.message.ends_with("`TooManyRequests` means: too many requests came, or took too much time to compute.")
    );
    assert_eq!(fault.request_id.as_deref(), Some("dddd"));
    let disabled = br#"{"error":{"code":"DisabledFeature","message":"Off"}}"#;
    let hint = fault_of(api_failure(&head(403, &[]), disabled, at(0), &config())).hint.unwrap();
    assert!(
        hint.starts_with("Have an administrator turn it on in the Defender portal, under 'Settings'. Have"),
        "{hint}"
    );
    let unknown = br#"{"error":{"code":"SomethingNew","message":"Wait"}}"#;
    assert!(!fault_of(api_failure(&head(429, &[]), unknown, at(0), &config())).message.contains("means"));
}
