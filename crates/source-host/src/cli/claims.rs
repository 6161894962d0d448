//! What a token that only the host sees says of itself, in the words that components have for it.
//!
//! Sources: RFC 7519, section 4.1; Microsoft Learn, "Access token claims reference" and "Assign a managed identity access to an
//! application role".

use std::time::Duration;

use serde_json::{Map, Value};

use super::config::is_guid;
use super::report::one_line;
use crate::secrets::claims;

/// So many roles or scopes are shown; some applications have a hundred.
const SHOWN: usize = 8;

/// What is to be told of a token.
#[derive(Debug, Eq, PartialEq)]
pub(super) struct Told {
    /// For whom it is, of which tenant, with what, and how long: a sentence.
    pub(super) sentence: String,
    /// What is wrong with it and what to do: the likeliest cause of a refusal first.
    pub(super) warnings: Vec<String>,
}

/// What a token is to be, as the configuration says: nothing where it does not.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Wanted<'a> {
    pub(super) audience: Option<&'a str>,
    pub(super) tenant: Option<&'a str>,
}

impl<'a> Wanted<'a> {
    /// Of the effective configuration of a plan.
    pub(super) fn of(effective: &'a Value) -> Self {
        let text = |at: &str| effective.pointer(at).and_then(Value::as_str);
        // Any other name of a tenant may be that of the same one.
        Self { audience: text("/endpoints/audience"), tenant: text("/tenant_id").filter(|tenant| is_guid(tenant)) }
    }
}

/// What a signed token (JWT) says; nothing of any other. Of the token itself nothing is told.
pub(super) fn told(token: &str, is_of_identity: bool, wanted: Wanted<'_>, now: Duration) -> Option<Told> {
    let claims = claims(token)?;
    let (roles, scopes) = (roles(&claims), scopes(&claims));
    let of_application = (!roles.is_empty()).then(|| format!("the permissions {}", listed(&roles)));
    let of_user = (!scopes.is_empty()).then(|| format!("the user's permissions {}", listed(&scopes)));
    let permissions: Vec<String> = of_user.into_iter().chain(of_application).collect();
    let text = |name: &str| claims.get(name).and_then(Value::as_str).map(one_line);
    let (audience, tenant) = (text("aud"), text("tid"));
    let for_whom = audience.as_deref().unwrap_or("nobody it names");
    let of_tenant = tenant.as_ref().map(|tenant| format!(", of the tenant {tenant}")).unwrap_or_default();
    let with = if permissions.is_empty() { "no permission".to_owned() } else { permissions.join(", and ") };
    let sentence = format!("The token is for {for_whom}{of_tenant}, with {with}{}.", life(&claims, now));
    let missing = permissions.is_empty().then(|| missing(is_of_identity));
    let warnings = [ended(&claims, now), elsewhere(audience, wanted.audience), foreign(tenant, wanted.tenant), missing];
    Some(Told { sentence, warnings: warnings.into_iter().flatten().collect() })
}

fn ended(claims: &Map<String, Value>, now: Duration) -> Option<String> {
    let ends = claims.get("exp").and_then(Value::as_u64).filter(|ends| *ends < now.as_secs())?;
    Some(format!(
        "The token ended {} min ago by this machine's clock. Whatever gets it has to get the next one before; else set the clock.",
        (now.as_secs() - ends) / 60
    ))
}

fn elsewhere(audience: Option<String>, wanted: Option<&str>) -> Option<String> {
    let (audience, wanted) = (audience?, wanted?);
    let is_same = audience.trim_end_matches('/').eq_ignore_ascii_case(wanted.trim_end_matches('/'));
    // The ID of an application may be that of the API, which the component knows and the host does not.
    (!is_same && !is_guid(&audience)).then(|| {
        format!(
            "The token is for {audience}, and the API wants one for {wanted} (`endpoints.audience`): get one for that, or correct `api` \
             and `endpoints`."
        )
    })
}

fn foreign(tenant: Option<String>, wanted: Option<&str>) -> Option<String> {
    let (tenant, wanted) = (tenant?, wanted?);
    (!tenant.eq_ignore_ascii_case(wanted)).then(|| {
        format!("The token is of the tenant {tenant}, and `tenant_id` is {wanted}: correct the one that is wrong.")
    })
}

fn missing(is_of_identity: bool) -> String {
    let remedy = if is_of_identity {
        "The service principal of the managed identity needs an app role assignment, which \
         New-MgServicePrincipalAppRoleAssignment of Microsoft Graph PowerShell makes: there is no app registration to \
         click in. Tokens of up to a day later may still lack it. See docs/secrets.md#managed-identities."
    } else {
        "See under 'API permissions' of the app registration that gets it that a permission of the API is listed and granted."
    };
    format!("The token holds no permission at all (neither `roles` nor `scp`). {remedy}")
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

    const TENANT: &str = "11111111-1111-4111-8111-111111111111";

    fn of(claims: &str, is_of_identity: bool, wanted: Wanted<'_>) -> Told {
        let [header, claims] = [r#"{"alg":"RS256"}"#, claims].map(|part| URL_SAFE_NO_PAD.encode(part));
        let token = format!("{header}.{claims}.canary-signature");
        told(&token, is_of_identity, wanted, Duration::from_secs(1_800_000_000)).unwrap()
    }

    #[test]
    fn a_token_says_for_whom_it_is_with_what_and_how_long() {
        for (claims, sentence) in [
            (
                r#"{"aud":"https://a.example","tid":"t","roles":["A.Read","B.Read"],"exp":1800003599}"#,
                "The token is for https://a.example, of the tenant t, with the permissions A.Read, B.Read, for another 59 min.",
            ),
            (
                r#"{"aud":"a","tid":"t","scp":"A.Read B.Read","exp":1800000000}"#,
                "The token is for a, of the tenant t, with the user's permissions A.Read, B.Read, for another 0 min.",
            ),
            (
                r#"{"aud":"a","scp":"A.Read","roles":["B.Read"]}"#,
                "The token is for a, with the user's permissions A.Read, and the permissions B.Read.",
            ),
            (
                r#"{"tid":"t","roles":["0","1","2","3","4","5","6","7","8","9"]}"#,
                "The token is for nobody it names, of the tenant t, with the permissions 0, 1, 2, 3, 4, 5, 6, 7 and 2 more.",
            ),
        ] {
            let expected = Told { sentence: sentence.to_owned(), warnings: Vec::new() };
            assert_eq!(of(claims, true, Wanted::default()), expected);
        }
        assert_eq!(told("opaque", true, Wanted::default(), Duration::ZERO), None);
    }

    #[test]
    fn a_token_that_is_not_the_one_that_is_wanted_is_warned_of() {
        let effective = serde_json::json!({ "tenant_id": TENANT, "endpoints": { "audience": "https://a.example" } });
        let warnings =
            |more: &str| of(&format!(r#"{{"roles":["A.Read"]{more}}}"#), false, Wanted::of(&effective)).warnings;
        for (more, words) in [
            (r#","aud":"https://b.example""#, "is for https://b.example, and the API wants one for https://a.example"),
            (
                r#","tid":"22222222-2222-4222-8222-222222222222""#,
                "of the tenant 22222222-2222-4222-8222-222222222222, and",
            ),
            (r#","exp":1799999880"#, "The token ended 2 min ago"),
        ] {
            let warnings = warnings(more);
            assert!(warnings.len() == 1 && warnings[0].contains(words), "{warnings:?}");
        }
        let all = r#","aud":"b","tid":"c","exp":1"#;
        assert_eq!(warnings(all).len(), 3);
        for right in [
            "",
            r#","aud":"https://A.example/","exp":1800000000"#,
            // The ID of the API, perhaps.
            r#","aud":"00000002-0000-0000-c000-000000000000""#,
            r#","tid":"11111111-1111-4111-8111-111111111111""#,
        ] {
            assert_eq!(warnings(right), Vec::<String>::new(), "{right}");
        }
        let domain = serde_json::json!({ "tenant_id": "contoso.example" });
        assert_eq!(of(r#"{"roles":["A.Read"],"tid":"c"}"#, false, Wanted::of(&domain)).warnings, Vec::<String>::new());
    }

    #[test]
    fn a_token_without_a_permission_is_warned_of_with_who_grants_it() {
        for (is_of_identity, remedy) in
            [(true, "New-MgServicePrincipalAppRoleAssignment"), (false, "'API permissions' of the app registration")]
        {
            for claims in [r#"{"aud":"a"}"#, r#"{"aud":"a","roles":[],"scp":""}"#] {
                let told = of(claims, is_of_identity, Wanted::default());
                assert!(told.sentence.contains("with no permission"), "{told:?}");
                let [warning] = &told.warnings[..] else { panic!("{told:?}") };
                assert!(warning.contains(remedy) && warning.contains("neither `roles` nor `scp`"), "{warning}");
            }
        }
    }
}
