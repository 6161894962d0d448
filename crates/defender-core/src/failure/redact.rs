//! Keeps secrets out of what is quoted.

use crate::json::quote;
use crate::secret::Secret;
use crate::token::form_encoded;

/// What stands in place of a secret.
pub(crate) const MARK: &str = "[redacted]";

/// The shortest beginning of a secret that is taken for one, in bytes, where a quotation was cut.
const CUT_SECRET: usize = 8;

/// The shortest run of mixed characters that is taken for a secret or a token, in bytes. Client secrets have 40.
const OPAQUE_RUN: usize = 32;

/// The text without these secrets, in clear or as a form, JSON or HTML carries them; and without the beginning of one
/// where the text was cut off.
pub(crate) fn redact(text: &str, secrets: &[&Secret]) -> String {
    let mut text = text.to_owned();
    for secret in secrets.iter().map(|secret| secret.expose()).filter(|secret| !secret.is_empty()) {
        let mut json = String::new();
        quote(secret, &mut json);
        let encoded = form_encoded(secret);
        let html = secret.replace('&', "&amp;").replace('"', "&quot;").replace('\'', "&#39;");
        for form in
            [secret, &encoded, &encoded.replace("%20", "+"), json.get(1..json.len() - 1).unwrap_or(secret), &html]
        {
            if text.contains(form) {
                text = text.replace(form, MARK);
            }
            redact_cut(&mut text, form);
        }
    }
    text
}

/// Replaces what a cut left of a secret: at the end of the text, before each ellipsis, and where a quotation ends.
fn redact_cut(text: &mut String, secret: &str) {
    let mut cuts: Vec<usize> = text.match_indices(['…', '"']).map(|(at, _)| at).collect();
    cuts.push(text.len());
    for cut in cuts.into_iter().rev() {
        let left = (CUT_SECRET..secret.len())
            .rev()
            .find(|&length| secret.get(..length).is_some_and(|start| text[..cut].ends_with(start)));
        if let Some(length) = left {
            text.replace_range(cut - length..cut, MARK);
        }
    }
}

/// The text without what looks like a secret: a value named as one, the word behind `Bearer`, and long runs of upper
/// case, lower case and digits, as tokens and client secrets are.
pub(crate) fn redact_lookalikes(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    let mut name = String::new();
    let mut rest = text;
    while !rest.is_empty() {
        let separator = rest.len() - rest.trim_start_matches(|c| !in_run(c)).len();
        let (between, tail) = rest.split_at(separator);
        let run_end = tail.find(|c| !in_run(c)).unwrap_or(tail.len());
        let (run, tail) = tail.split_at(run_end);
        let secret = is_opaque(run) || is_value_of_secret(&name, between, run);
        shown.push_str(between);
        shown.push_str(if secret { MARK } else { run });
        name = run.to_ascii_lowercase();
        rest = tail;
    }
    shown
}

fn in_run(c: char) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, '-' | '.' | '_' | '~' | '+' | '/' | '%')
}

fn is_opaque(run: &str) -> bool {
    let has = |test: fn(&u8) -> bool| run.as_bytes().iter().any(test);
    // A URL's host and path begin with two slashes; they are what a person needs to see.
    run.len() >= OPAQUE_RUN
        && !run.starts_with("//")
        && has(u8::is_ascii_uppercase)
        && has(u8::is_ascii_lowercase)
        && has(u8::is_ascii_digit)
}

fn is_value_of_secret(name: &str, between: &str, run: &str) -> bool {
    match name {
        // 'Bearer authentication' is a phrase, and `Bearer realm=` a challenge.
        "bearer" => run.len() >= CUT_SECRET && run.bytes().any(|byte| byte.is_ascii_digit()),
        "access_token" | "client_assertion" | "client_secret" | "refresh_token" => {
            between.contains(['=', ':']) && between.chars().all(|c| matches!(c, '=' | ':' | '"' | '\'' | ' ' | '\\'))
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_config::CANARY;

    #[test]
    fn a_secret_goes_however_it_is_written() {
        let secret = Secret::new(CANARY);
        let form = form_encoded(CANARY);
        let json = serde_json::to_string(CANARY).unwrap();
        for text in [CANARY, &form, &form.replace("%20", "+"), &json] {
            let shown = redact(&format!("before {text} after {text}"), &[&secret]);
            assert_eq!(shown.matches(MARK).count(), 2, "{shown}");
            assert!(shown.starts_with("before ") && !shown.contains("9Q"), "{shown}");
        }
    }

    #[test]
    fn the_beginning_of_a_secret_goes_where_the_text_was_cut() {
        let secret = Secret::new("abcdefghijklmnop");
        assert_eq!(redact("it is abcdefghij… and abcdefghijkl", &[&secret]), "it is [redacted]… and [redacted]");
        assert_eq!(redact("it said \"abcdefghijkl\".", &[&secret]), "it said \"[redacted]\".");
        assert_eq!(redact("it is abcdefg", &[&secret]), "it is abcdefg");
    }

    #[test]
    fn an_empty_secret_changes_nothing() {
        assert_eq!(redact("text", &[&Secret::new("")]), "text");
    }

    #[test]
    fn what_looks_like_a_secret_goes_and_what_a_person_needs_stays() {
        for (text, expected) in [
            ("Authorization: Bearer abc.def-123", "Authorization: Bearer [redacted]"),
            ("Bearer realm=\"\", error=\"invalid_token\"", "Bearer realm=\"\", error=\"invalid_token\""),
            ("Bearer authentication is required", "Bearer authentication is required"),
            ("{\"access_token\":\"short\",\"x\":1}", "{\"access_token\":\"[redacted]\",\"x\":1}"),
            ("a=1&client_secret=x%2By&b=2", "a=1&client_secret=[redacted]&b=2"),
            (
                "must contain 'client_assertion' or 'client_secret'.",
                "must contain 'client_assertion' or 'client_secret'.",
            ),
            ("got eyJ0eXAiOiJKV1QiLCJhbGciOiJSUzI1NiIsIng1dCI6.eyJhIjoxfQ.c2ln here", "got [redacted] here"),
            (
                "https://wdatp-alertexporter-us.gcc.securitycenter.windows.us/api/Alerts2 failed",
                "https://wdatp-alertexporter-us.gcc.securitycenter.windows.us/api/Alerts2 failed",
            ),
            ("app '11111111-2222-3333-4444-555555555555'", "app '11111111-2222-3333-4444-555555555555'"),
        ] {
            assert_eq!(redact_lookalikes(text), expected);
        }
    }
}
