//! The credentials: one of them, and what each may hold.

use super::*;
use crate::contract::SecretPlace;

const JWT: &str = "\"eyJ0eXAiOiJKV1QifQ.eyJhIjoxfQ.c2ln-_\"";
const PLACEHOLDER: &str = "\"secret-3f0c_A9-0\"";

#[test]
fn each_credential_is_read_and_none_of_them_is_shown() {
    for kind in CredentialKind::ALL {
        for value in [PLACEHOLDER, JWT] {
            if kind == CredentialKind::Certificate && value == JWT {
                continue;
            }
            let config = config(&[(kind.name(), value)]);
            assert_eq!(config.credential.kind(), kind);
            assert_eq!(format!("\"{}\"", config.credential.secret().expose()), value);
            assert!(!format!("{config:?}").contains(value.trim_matches('"')), "{config:?}");
            let uses = config.plan().secrets;
            let uses: Vec<_> = uses.iter().map(|planned| (planned.pointer, planned.place)).collect();
            let place = kind.form_field().map_or(SecretPlace::Bearer, SecretPlace::FormField);
            assert_eq!(uses, [(kind.pointer(), place)]);
        }
    }
}

#[test]
fn one_credential_is_required_and_two_are_told_at_both_places() {
    assert_problem(
        &[("client_secret", "-")],
        "/client_secret",
        &["is missing", "`certificate`", "`federated_token`", "`client_assertion`", "`access_token`"],
    );
    let told =
        problems(&[("certificate", PLACEHOLDER), ("access_token", "\"x\""), ("client_secret", "\"Hush~Q8hush\"")]);
    let pointers: Vec<_> = told.iter().map(|problem| problem.pointer.as_deref().unwrap()).collect();
    assert_eq!(pointers, ["/client_secret", "/certificate", "/access_token"]);
    for problem in told {
        assert!(problem.message.contains("is not the only credential"), "{problem:?}");
        let hint = problem.hint.unwrap();
        assert!(hint.contains("`client_secret` and `certificate` and `access_token`"), "{hint}");
    }
}

#[test]
fn a_refresh_token_may_stand_beside_one_credential_of_the_application() {
    for kind in CredentialKind::ALL.into_iter().filter(|kind| kind.is_of_application()) {
        let config = config(&[("refresh_token", "\"0.AXhush~Q8\""), (kind.name(), PLACEHOLDER)]);
        assert_eq!(config.credential.kind(), CredentialKind::RefreshToken);
        assert_eq!(config.credential.application().map(|(kind, _)| kind), Some(kind));
        assert_eq!(config.credential.secrets().len(), 2);
        assert!(!format!("{config:?}").contains("hush~Q8"), "{config:?}");
    }
    for others in [&["access_token"][..], &["certificate", "client_secret"], &["certificate", "access_token"]] {
        let mut changes = vec![("refresh_token", PLACEHOLDER)];
        changes.extend(others.iter().map(|name| (*name, PLACEHOLDER)));
        let told = problems(&changes);
        assert_eq!(told.len(), changes.len(), "{told:?}");
        assert!(told.iter().all(|problem| problem.message.contains("is not the only credential")), "{told:?}");
    }
}

#[test]
fn the_password_and_the_implicit_grant_are_refused_with_the_two_flows_that_there_are() {
    for (name, value) in [
        ("username", "\"jay@contoso.example\""),
        ("password", "\"Hush~Q8hush\""),
        ("grant_type", "\"password\""),
        ("response_type", "\"token\""),
    ] {
        for credential in ["-", "\"Other~hush\""] {
            let words =
                ["password grant", "implicit grant", "client credentials", "authorization code", "source-host login"];
            assert_problem(&[(name, value), ("client_secret", credential)], &format!("/{name}"), &words);
        }
    }
}

#[test]
fn what_a_credential_cannot_hold_is_told_with_what_to_do() {
    let pem = "\"-----BEGIN PRIVATE KEY-----\\nush~Q8\\n-----END PRIVATE KEY-----\"";
    for (name, value, words) in [
        ("certificate", pem, ["not a placeholder", "certificate = { pem = \"PATH\" }"]),
        ("certificate", r#"{"pem": "ush~Q8"}"#, ["not a placeholder", "certificate = { pem = \"PATH\" }"]),
        ("certificate", "\"/etc/ush~Q8.pem\"", ["not a placeholder", "certificate = { pem = \"PATH\" }"]),
        ("certificate", JWT, ["not a placeholder", "certificate = { pem = \"PATH\" }"]),
        (
            "federated_token",
            "\"/var/run/token\"",
            ["neither a signed token (JWT)", "federated_token = { file = \"PATH\" }"],
        ),
        ("federated_token", "\"a.b\"", ["neither", "file"]),
        ("federated_token", "\"a.b.c.d\"", ["neither", "file"]),
        ("client_assertion", "\"a..c\"", ["neither", "three parts"]),
        ("client_assertion", "\"ush~Q8.b.c\"", ["neither", "three parts"]),
        ("refresh_token", "\"two ush~Q8\"", ["no refresh token has", "refresh_token = { keep = \"PATH\" }"]),
        ("access_token", "\"Bearer ush~Q8\"", ["no header may carry", "without `Bearer`"]),
        ("access_token", "\"tok\u{e9}n\"", ["no header may carry", "Bearer"]),
    ] {
        assert_problem(&[(name, value)], &format!("/{name}"), &words);
    }
}
