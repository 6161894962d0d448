//! What a token that only the host sees says of itself, in the words that components have for it.
//!
//! Sources: RFC 7519, section 4.1; Microsoft Learn, "Access token claims reference" and "Assign a managed identity access to an
//! application role".

use std::time::Duration;

use serde_json::{Map, Value};

use super::report::one_line;
use crate::secrets::claims;

/// So many roles or scopes are shown; some applications have a hundred.
const SHOWN: usize = 8;

/// What is to be told of a token.
#[derive(Debug, Eq, PartialEq)]
pub(super) struct Told {
    /// For whom it is, of which tenant, with what, and how long: a sentence.
    pub(super) sentence: String,
    /// What is wrong with it and what to do: sentences.
    pub(super) warning: Option<String>,
}

/// What a signed token (JWT) says; nothing of any other. Of the token itself nothing is told.
pub(super) fn told(token: &str, is_of_identity: bool, now: Duration) -> Option<Told> {
    let claims = claims(token)?;
    let (roles, scopes) = (roles(&claims), scopes(&claims));
    let permissions = match (&*roles, &*scopes) {
        ([], []) => "no permission".to_owned(),
        (roles, []) => format!("the permissions {}", listed(roles)),
        (_, scopes) => format!("the user's permissions {}", listed(scopes)),
    };
    let text = |name: &str| claims.get(name).and_then(Value::as_str).map_or("nobody it names".to_owned(), one_line);
    let sentence = format!(
        "The token is for {}, of the tenant {}, with {permissions}{}.",
        text("aud"),
        text("tid"),
        life(&claims, now)
    );
    let warning = (roles.is_empty() && scopes.is_empty()).then(|| {
        let remedy = if is_of_identity {
            "The service principal of the managed identity needs an app role assignment, which \
             New-MgServicePrincipalAppRoleAssignment of Microsoft Graph PowerShell makes: there is no app registration to \
             click in. Tokens of up to a day later may still lack it. See docs/secrets.md#managed-identities."
        } else {
            "See under 'API permissions' of the app registration that gets it that a permission of the API is listed and granted."
        };
        format!("The token holds no permission at all (neither `roles` nor `scp`). {remedy}")
    });
    Some(Told { sentence, warning })
}

fn roles(claims: &Map<String, Value>) -> Vec<String> {
    let roles = claims.get("roles").and_then(Value::as_array);
    roles.into_iter().flatten().filter_map(Value::as_str).map(one_line).collect()
}

fn scopes(claims: &Map<String, Value>) -> Vec<String> {
    let scopes = claims.get("scp").and_then(Value::as_str).unwrap_or_default();
    scopes.split_whitespace().map(one_line).collect()
}

fn life(claims: &Map<String, Value>, now: Duration) -> String {
    let Some(ends) = claims.get("exp").and_then(Value::as_u64) else { return String::new() };
    let now = now.as_secs();
    match ends.checked_sub(now) {
        Some(left) => format!(", for another {} min", left / 60),
        None => format!(", and ended {} min ago", (now - ends) / 60),
    }
}

fn listed(permissions: &[String]) -> String {
    let shown = permissions.iter().take(SHOWN).map(String::as_str).collect::<Vec<_>>().join(", ");
    match permissions.len().saturating_sub(SHOWN) {
        0 => shown,
        more => format!("{shown} and {more} more"),
    }
}

#[cfg(test)]
mod tests {
    use base64::Engine as _;
    use base64::engine::general_purpose::URL_SAFE_NO_PAD;

    use super::*;

    fn of(claims: &str, is_of_identity: bool) -> Option<Told> {
        let [header, claims] = [r#"{"alg":"RS256"}"#, claims].map(|part| URL_SAFE_NO_PAD.encode(part));
        told(&format!("{header}.{claims}.canary-signature"), is_of_identity, Duration::from_secs(1_800_000_000))
    }

    #[test]
    fn a_token_says_for_whom_it_is_with_what_and_how_long() {
        for (claims, sentence) in [
            (
                r#"{"aud":"https://a.example","tid":"t","roles":["A.Read","B.Read"],"exp":1800003599}"#,
                "The token is for https://a.example, of the tenant t, with the permissions A.Read, B.Read, for another 59 min.",
            ),
            (
                r#"{"aud":"a","tid":"t","scp":"A.Read B.Read","exp":1799999880}"#,
                "The token is for a, of the tenant t, with the user's permissions A.Read, B.Read, and ended 2 min ago.",
            ),
            (
                r#"{"tid":"t","roles":["0","1","2","3","4","5","6","7","8","9"]}"#,
                "The token is for nobody it names, of the tenant t, with the permissions 0, 1, 2, 3, 4, 5, 6, 7 and 2 more.",
            ),
        ] {
            let expected = Told { sentence: sentence.to_owned(), warning: None };
            assert_eq!(of(claims, true), Some(expected));
        }
        assert_eq!(told("opaque", true, Duration::ZERO), None);
    }

    #[test]
    fn a_token_without_a_permission_is_warned_of_with_who_grants_it() {
        for (is_of_identity, remedy) in
            [(true, "New-MgServicePrincipalAppRoleAssignment"), (false, "'API permissions' of the app registration")]
        {
            for claims in [r#"{"aud":"a"}"#, r#"{"aud":"a","roles":[],"scp":""}"#] {
                let told = of(claims, is_of_identity).unwrap();
                assert!(told.sentence.contains("with no permission"), "{told:?}");
                let warning = told.warning.unwrap();
                assert!(warning.contains(remedy) && warning.contains("neither `roles` nor `scp`"), "{warning}");
            }
        }
    }
}
