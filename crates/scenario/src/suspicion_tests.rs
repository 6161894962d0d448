use super::*;

const JWT: &str = "eyJhbGciOiJSUzI1NiJ9.eyJhdWQiOiJhIn0.c2lnbmF0dXJlLXRoYXQtaXMtcmVhbA";

fn found(text: &str) -> Vec<String> {
    suspicions(Path::new("traffic.json"), text)
        .into_iter()
        .map(|problem| format!("{}:{}: {}", problem.line.unwrap_or_default(), problem.pointer, problem.message))
        .collect()
}

#[test]
fn what_looks_like_a_real_secret_is_found_with_its_place() {
    let aad = "Xy78Q~abcdefghijklmnopqrstuvwxyz0123456789";
    for (text, place, what) in [
        (format!("{{\n\"a\": [\"x {JWT}.\"]}}"), "2:/a/0", "a signed token (JWT)"),
        (r#"{"m": "Authorization: Bearer 0123456789abcdefghij"}"#.to_owned(), "1:/m", "what follows `Bearer`"),
        (format!(r#"{{"m": "it is {aad}"}}"#), "1:/m", "a client secret of Microsoft Entra ID"),
        (r#"{"form": {"client_secret": "hunter2"}}"#.to_owned(), "1:/form/client_secret", "a value of `client_secret`"),
        (r#"{"form": {"code": "abc"}}"#.to_owned(), "1:/form/code", "a value of `code`"),
        (
            r#"{"headers": {"Set-Cookie": ["a=; Path=/", "b=c; Domain=redacted.example"]}}"#.to_owned(),
            "1:/headers/Set-Cookie/1",
            "a value of `Set-Cookie`",
        ),
        (
            r#"{"headers": {"authorization": {"pattern": "Bearer abc*"}}}"#.to_owned(),
            "1:/headers/authorization/pattern",
            "a value of `authorization`",
        ),
        (r#"{"authorization": "Basic dXNlcjpwYXNz"}"#.to_owned(), "1:/authorization", "a value of `authorization`"),
        (r#"{"next": "https://a.example/?b=1&sig=abc%3D"}"#.to_owned(), "1:/next", "`sig` in a link"),
        (
            r#"{"response": {"base64": "QmVhcmVyIDAxMjM0NTY3ODlhYmNkZWZnaGlq"}}"#.to_owned(),
            "1:/response/base64",
            "what follows `Bearer`",
        ),
        (format!("{{}}\n{{\"key\": \"{JWT}\"}}"), "2:/key", "a signed token (JWT)"),
        ("no JSON\n-----BEGIN RSA PRIVATE KEY-----".to_owned(), "2:", "a private key"),
    ] {
        assert_eq!(found(&text), [format!("{place}: this looks like a real secret: {what}")], "{text}");
    }
}

#[test]
fn a_placeholder_an_error_s_code_and_any_value_are_none() {
    for text in [
        r#"{"form": {"client_secret": "redacted-client-secret-1", "code": {"pattern": "*"}}}"#,
        r#"{"access_token": "eyJhbGciOiJSUzI1NiJ9.eyJhdWQiOiJhIn0.redacted-access-token-1"}"#,
        r#"{"authorization": {"pattern": "Bearer *"}, "client_secret": "", "password": null}"#,
        r#"{"authorization": "Basic dXNlcjpyZWRhY3RlZC1wYXNzd29yZC0x"}"#,
        r#"{"set-cookie": ["a=; Max-Age=0", "b=redacted-cookie-1; Path=/"]}"#,
        r#"{"www-authenticate": "Bearer realm=\"a\", error=\"invalid_token_0123456789\""}"#,
        r#"{"error": {"code": "InvalidAuthenticationToken"}, "m": "no Bearer token was sent 0"}"#,
        r#"{"next": "https://a.example/?code=redacted-code-1&since=2"}"#,
        r#"{"error_uri": "https://a.example/error?code=7000215"}"#,
        r#"{"m": "1Q~ and x1Q~short"}"#,
    ] {
        assert_eq!(found(text), [""; 0], "{text}");
    }
}

#[test]
fn a_scenario_that_holds_a_real_secret_is_refused_with_what_to_do() {
    let folder = tempfile::tempdir().unwrap();
    let interaction = r#"{"why": "w", "request": {"method": "GET", "url": "https://a.example/"},
        "response": {"status": 200, "file": "body.txt"}}"#;
    for (name, text) in [
        ("scenario.json", r#"{"why": "w", "from": "f", "starts": "2026-03-02T09:00:00Z"}"#.to_owned()),
        ("config.json", "{\n\"client_secret\": \"hunter2-hunter2\"}".to_owned()),
        ("traffic.json", format!("{{\"interactions\": [{interaction}]}}")),
        ("body.txt", format!("<p>{JWT}</p>")),
    ] {
        std::fs::write(folder.path().join(name), text).unwrap();
    }
    let error = crate::Scenario::load(folder.path()).unwrap_err().to_string();
    let error = error.replace(&format!("{}/", folder.path().display()), "");
    assert!(
        error.starts_with(
            "config.json:2: /client_secret: this looks like a real secret: a value of `client_secret`\n  hint: put an \
             invented one in its place that says so, by one of `canary`, "
        ),
        "{error}"
    );
    assert!(
        error.contains("traffic.json:2: /interactions/0/response/file: this looks like a real secret: a signed token"),
        "{error}"
    );
    assert!(!error.contains("hunter2-hunter2") && !error.contains(JWT), "{error}");
}
