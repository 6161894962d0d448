//! Tests of [`super`], through [`crate::token::read_token`].

use super::*;
use crate::aadsts::CATALOGUE;
use crate::config::Credential;
use crate::test_config::{CANARY, at, config};
use crate::token::{form_encoded, read_token};

fn refused(status: u16, headers: &[(&str, &str)], body: &str) -> Failure {
    refused_of(&config(), status, headers, body)
}

fn refused_of(config: &Config, status: u16, headers: &[(&str, &str)], body: &str) -> Failure {
    let headers = headers.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    let head = ResponseHead { status, headers };
    read_token(&head, body.as_bytes(), at(0), config).unwrap_err()
}

fn fault(status: u16, headers: &[(&str, &str)], body: &str) -> Fault {
    refused(status, headers, body).fault_mut().cloned().unwrap()
}

fn code_and_kind(failure: &Failure) -> (String, &'static str) {
    let code = match failure {
        Failure::InvalidConfig(diagnostics) => diagnostics[0].code.clone(),
        other => other.clone().fault_mut().unwrap().code.clone(),
    };
    (code, failure.kind())
}

const WRONG_SECRET: &str = r#"{"error":"invalid_client","error_description":"AADSTS7000215: That is no secret of ours.\r\nTrace ID: aaaa\r\nCorrelation ID: bbbb\r\nTimestamp: 2026-01-01 00:00:00Z","error_codes":[7000215],"trace_id":"aaaa","correlation_id":"bbbb","error_uri":"https://login.example/error?code=7000215"}"#;

#[test]
fn a_wrong_secret_becomes_sentences_that_say_what_where_why_and_what_to_do() {
    let failure = refused(401, &[("x-ms-request-id", "cccc")], WRONG_SECRET);
    assert_eq!(failure.kind(), "unauthenticated");
    let fault = fault(401, &[("x-ms-request-id", "cccc")], WRONG_SECRET);
    assert_eq!(fault.code, "AADSTS7000215");
    assert_eq!(
        fault.message,
        "The token endpoint login.microsoftonline.com issued no token for tenant contoso.example (HTTP 401, \
         AADSTS7000215): the client secret is wrong. It answered: \"That is no secret of ours\"."
    );
    assert_eq!(
        fault.hint.as_deref(),
        Some(
            "Store the secret's value, not its ID; a secret made a moment ago may take a minute to be known. See \
             docs/errors.md#aadsts7000215."
        )
    );
    assert_eq!(fault.status, Some(401));
    assert_eq!(fault.request_id.as_deref(), Some("aaaa"));
}

#[test]
fn the_body_decides_whatever_the_status() {
    for status in [200, 400, 401, 403, 429, 500] {
        assert_eq!(
            code_and_kind(&refused(status, &[], WRONG_SECRET)),
            ("AADSTS7000215".to_owned(), "unauthenticated"),
            "{status}"
        );
    }
}

#[test]
fn every_listed_code_is_the_failure_that_its_kind_says() {
    for entry in CATALOGUE {
        let body = format!(r#"{{"error":"invalid_request","error_codes":[{}]}}"#, entry.code);
        let failure = refused(400, &[], &body);
        let expected = match entry.kind {
            Kind::Credential | Kind::ClientSecret => "unauthenticated",
            Kind::Config(_) => "invalid-config",
            Kind::Permission => "forbidden",
            Kind::Transient => "unavailable",
            Kind::Loop => "throttled",
            Kind::Request => "rejected",
        };
        assert_eq!(code_and_kind(&failure), (format!("AADSTS{}", entry.code), expected));
        assert!(format!("{failure:?}").contains(&format!("docs/errors.md#aadsts{}.", entry.code)), "{failure:?}");
    }
}

#[test]
fn nobody_without_a_client_secret_is_told_to_renew_one() {
    let codes = CATALOGUE.iter().map(|entry| format!(r#"{{"error":"x","error_codes":[{}]}}"#, entry.code));
    let words = WORDS.iter().map(|(word, ..)| format!(r#"{{"error":"{word}"}}"#));
    let bodies: Vec<String> = codes.chain(words).chain([String::new()]).collect();
    for kind in CredentialKind::ALL {
        let config = Config { credential: Credential::new(kind, "eyJ.eyJ.sig"), ..config() };
        let mut told = 0;
        for body in &bodies {
            let hint = match refused_of(&config, 401, &[], body) {
                Failure::InvalidConfig(mut diagnostics) => diagnostics.remove(0).hint.unwrap(),
                mut other => other.fault_mut().unwrap().hint.take().unwrap(),
            };
            let is_about_secrets = hint.replace("Certificates & secrets", "").contains("secret");
            told += usize::from(is_about_secrets);
        }
        assert_eq!(told > 0, kind == CredentialKind::ClientSecret, "{kind:?}: {told}");
    }
}

#[test]
fn what_proves_the_application_beside_a_refresh_token_is_not_shown_either() {
    let credential =
        Credential::new(CredentialKind::RefreshToken, "0.hush~Q8").beside(CredentialKind::ClientSecret, CANARY);
    let config = Config { credential, ..config() };
    let body = format!(r#"{{"error":"invalid_client","error_description":"AADSTS7000215: No: {CANARY}, 0.hush~Q8"}}"#);
    let failure = format!("{:?}", refused_of(&config, 401, &[], &body));
    assert!(!failure.contains(CANARY) && !failure.contains("hush~Q8"), "{failure}");
    assert!(failure.contains("Store the secret's value"), "{failure}");
}

#[test]
fn a_wrong_value_of_the_configuration_is_named_by_its_pointer() {
    for (code, pointer) in [
        (90002, "/tenant_id"),
        (900_023, "/tenant_id"),
        (700_016, "/client_id"),
        (500_011, "/endpoints/audience"),
        (70011, "/endpoints/audience"),
        (901_002, "/token_version"),
        (900_382, "/cloud"),
    ] {
        let body = format!(r#"{{"error":"x","error_codes":[{code}],"correlation_id":"bbbb"}}"#);
        let Failure::InvalidConfig(diagnostics) = refused(400, &[], &body) else { panic!("{code}") };
        assert_eq!(diagnostics[0].pointer.as_deref(), Some(pointer), "{code}");
        assert!(diagnostics[0].message.ends_with(" Trace ID: bbbb."), "{}", diagnostics[0].message);
    }
}

#[test]
fn a_code_is_found_in_the_description_where_error_codes_is_missing_or_unusable() {
    for codes in ["", r#","error_codes":null"#, r#","error_codes":[]"#, r#","error_codes":["x",-1]"#] {
        let body = format!(r#"{{"error":"invalid_client","error_description":"AADSTS7000222: Too old."{codes}}}"#);
        assert_eq!(fault(400, &[], &body).code, "AADSTS7000222", "{codes}");
    }
    for codes in ["7000222", "[\"7000222\"]", "[1,7000222]"] {
        let body = format!(r#"{{"error":"invalid_client","error_codes":{codes}}}"#);
        assert_eq!(fault(400, &[], &body).code, "AADSTS7000222", "{codes}");
    }
}

#[test]
fn an_unlisted_code_is_shown_and_the_rest_of_the_answer_decides() {
    for (status, error, kind) in [
        (400, "invalid_client", "unauthenticated"),
        (400, "invalid_scope", "invalid-config"),
        (400, "access_denied", "forbidden"),
        (400, "temporarily_unavailable", "unavailable"),
        (400, "brand_new", "rejected"),
        (401, "brand_new", "unauthenticated"),
        (403, "brand_new", "forbidden"),
        (429, "invalid_request", "throttled"),
        (503, "invalid_grant", "unavailable"),
    ] {
        let body =
            format!(r#"{{"error":"{error}","error_description":"AADSTS123456789: News.","error_codes":[123456789]}}"#);
        assert_eq!(
            code_and_kind(&refused(status, &[], &body)),
            ("AADSTS123456789".to_owned(), kind),
            "{status} {error}"
        );
    }
    let unlisted = r#"{"error":"invalid_grant","error_description":"AADSTS123456789: News."}"#;
    let hint = fault(400, &[], unlisted).hint.unwrap();
    assert!(
        hint.starts_with("Look AADSTS123456789 up at https://login.microsoftonline.com/error?code=123456789"),
        "{hint}"
    );
    let huge = r#"{"error":"invalid_client","error_description":"AADSTS99999999999999999999: Huge."}"#;
    assert_eq!(fault(400, &[], huge).code, "token.invalid-client");
}

#[test]
fn every_error_word_is_a_code_of_its_own() {
    for (word, ..) in WORDS {
        let (code, _) = code_and_kind(&refused(400, &[], &format!(r#"{{"error":"{word}"}}"#)));
        assert_eq!(code, format!("token.{}", word.replace('_', "-")));
    }
}

#[test]
fn an_error_needs_no_json() {
    for (status, media_type, body, kind, said) in [
        (429, "text/plain", "Slow down", "throttled", "text/plain, \"Slow down\""),
        (503, "application/json", r#"{"error":"Service Unavailable"}"#, "unavailable", "\"Service Unavailable\""),
        (502, "text/html", "<html><title>Bad gateway</title>", "unavailable", "text/html, \"Bad gateway\""),
        (500, "", "", "unavailable", "It answered: an empty body."),
        (408, "", "", "unavailable", "an empty body"),
        (400, "application/json", r#"{"error":"inval"#, "rejected", "application/json, \"{\"error\":\"inval\""),
        (401, "text/plain", "No", "unauthenticated", "\"No\""),
        (403, "text/html", "<p>Blocked by policy 7", "forbidden", "\"Blocked by policy 7\""),
        (404, "text/html", "<h1>Not found", "rejected", "\"Not found\""),
        (400, "application/json", r#"{"error":{"code":"x"}}"#, "rejected", "{\"code\":\"x\"}"),
        (400, "application/json", r#"{"error":7,"error_description":8,"error_codes":9}"#, "rejected", "AADSTS9"),
    ] {
        let failure = refused(status, &[("Content-Type", media_type)], body);
        assert_eq!(failure.kind(), kind, "{status} {body}");
        let message = failure.clone().fault_mut().unwrap().message.clone();
        assert!(message.contains(said), "{message}");
    }
}

#[test]
fn a_retry_after_is_handed_on_and_a_request_loop_waits_a_quarter_of_an_hour_at_least() {
    let after = |status, headers: &[(&str, &str)], body: &str| match refused(status, headers, body) {
        Failure::Throttled(delay) | Failure::Unavailable(delay) => delay.after,
        other => panic!("{other:?}"),
    };
    let second = 1_000_000_000;
    assert_eq!(after(429, &[("Retry-After", "60")], "Too many"), Some(60 * second));
    assert_eq!(after(429, &[("Retry-After", "Thu, 01 Jan 2026 00:02:00 GMT")], ""), Some(120 * second));
    assert_eq!(after(503, &[], ""), None);
    let in_loop = r#"{"error":"invalid_grant","error_codes":[50196]}"#;
    assert_eq!(after(400, &[], in_loop), Some(900 * second));
    assert_eq!(after(400, &[("Retry-After", "5")], in_loop), Some(900 * second));
    assert_eq!(after(400, &[("Retry-After", "3600")], in_loop), Some(3600 * second));
}

#[test]
fn a_redirect_is_refused_and_names_the_origin_of_its_target_alone() {
    let failure = refused(302, &[("Location", "https://sso.example/x?kanarie")], "");
    assert_eq!(code_and_kind(&failure), ("token.redirect".to_owned(), "rejected"));
    let shown = format!("{failure:?}");
    assert!(shown.contains("https://sso.example.") && !shown.contains("kanarie"), "{shown}");
}

#[test]
fn no_refusal_shows_the_secret() {
    let echo = format!("AADSTS7000215: {CANARY}\r\nSet-Cookie: a {} Bearer abc123def456", form_encoded(CANARY));
    let json = |error: &str| {
        serde_json::json!({"error": error, "error_description": echo, "trace_id": CANARY, "access_token": "abc123def456"})
            .to_string()
    };
    for status in [200, 302, 400, 401, 403, 429, 500] {
        let cut = json(CANARY);
        for body in [&echo, &json("invalid_client"), &json(CANARY), &cut[..cut.len() - 1], &format!("<p>{echo}")] {
            let headers = [("content-type", echo.as_str()), ("location", CANARY), ("request-id", CANARY)];
            let failure = refused(status, &headers, body);
            let shown = format!("{failure:?}");
            assert!(!shown.contains("kanarie") && !shown.contains("abc123"), "{shown}");
            let message = match failure {
                Failure::InvalidConfig(diagnostics) => diagnostics[0].message.clone(),
                mut other => other.fault_mut().unwrap().message.clone(),
            };
            assert!(!message.contains(char::is_control), "{message:?}");
        }
    }
}
