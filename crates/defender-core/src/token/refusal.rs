//! What it means that the token endpoint issues no token.

use crate::aadsts::{self, Kind, WAIT};
use crate::config::{Config, CredentialKind};
use crate::contract::{Delay, Diagnostic, Failure, Fault, Level};
use crate::failure::{excerpt, quote, redirect_target, request_id, see};
use crate::http::ResponseHead;
use crate::json::Node;
use crate::tick::Now;

/// The least wait after the service has found a request loop (AADSTS50196), in nanoseconds: a quarter of an hour.
pub const REQUEST_LOOP_DELAY: u64 = 15 * 60 * 1_000_000_000;

/// The section of the errors page about what the catalogue does not hold.
const UNLISTED: &str = "errors-without-a-listed-aadsts-code";

/// Where Microsoft explains a code whose digits follow.
const EXPLAINED: &str = "https://login.microsoftonline.com/error?code=";

/// What is so, in the words of a message, and what to do.
struct Verdict {
    code: String,
    kind: Kind,
    meaning: &'static str,
    hint: String,
}

/// What a refusal means. A listed AADSTS code decides; without one a status that stands for time (408, 429, 5xx); then
/// `error`; then the status. The text of `error_description` is for people: it is searched for a code where
/// `error_codes` is missing, and nothing else depends on it.
pub(crate) fn refusal(head: &ResponseHead, body: &[u8], parsed: Option<&Node>, now: Now, config: &Config) -> Failure {
    let member = |name: &str| parsed.and_then(|value| value.get(name)).and_then(Node::as_text);
    let (error, description) = (member("error"), member("error_description"));
    let aadsts = parsed.and_then(|value| aadsts_code(value, description));
    let Verdict { code, kind, meaning, hint } = verdict(head, aadsts, error, config);

    let said = match description.or(error) {
        Some(text) => {
            format!("\"{}\"", quote(without_trailer(text), &config.credential.secrets()).trim_end_matches('.'))
        }
        None => excerpt(head.header("content-type"), body, &config.credential.secrets()),
    };
    let listed = aadsts.map(|code| format!(", AADSTS{code}")).unwrap_or_default();
    let mut message = format!(
        "The token endpoint {} issued no token for tenant {} (HTTP {}{listed}): {meaning}. It answered: {said}.",
        config.token_endpoint.host, config.tenant_id, head.status
    );
    let request_id = request_id(member("trace_id").or_else(|| member("correlation_id")), head, config);
    if let Kind::Config(pointer) = kind {
        // A diagnostic has no member for it.
        if let Some(id) = request_id {
            message.push_str(&format!(" Trace ID: {id}."));
        }
        let pointer = Some(pointer.to_owned());
        return Failure::InvalidConfig(vec![Diagnostic {
            level: Level::Error,
            code,
            pointer,
            message,
            hint: Some(hint),
        }]);
    }
    let status = Some(head.status);
    let fault = Fault { code, message, hint: Some(hint), status, request_id, checkpoint: None };
    let after = head.retry_after(now.wall);
    match kind {
        Kind::Credential | Kind::ClientSecret => Failure::Unauthenticated(fault),
        Kind::Permission => Failure::Forbidden(fault),
        Kind::Transient if head.status == 429 => Failure::Throttled(Delay { after, fault }),
        Kind::Transient => Failure::Unavailable(Delay { after, fault }),
        Kind::Loop => Failure::Throttled(Delay { after: Some(after.unwrap_or(0).max(REQUEST_LOOP_DELAY)), fault }),
        Kind::Request | Kind::Config(_) => Failure::Rejected(fault),
    }
}

fn verdict(head: &ResponseHead, aadsts: Option<u32>, error: Option<&str>, config: &Config) -> Verdict {
    let credential = config.credential.kind();
    let application = config.credential.application().map(|(kind, _)| kind);
    if let Some(entry) = aadsts.and_then(aadsts::lookup) {
        let section = format!("aadsts{}", entry.code);
        let is_about_another = entry.kind == Kind::ClientSecret && application != Some(CredentialKind::ClientSecret);
        return Verdict {
            code: format!("AADSTS{}", entry.code),
            kind: entry.kind,
            meaning: entry.meaning,
            hint: see(if is_about_another { application.unwrap_or(credential).remedy() } else { entry.hint }, &section),
        };
    }
    let status = head.status;
    let code = |own: String| aadsts.map_or(own, |code| format!("AADSTS{code}"));
    let by_status = |kind, meaning, hint: &str, section| Verdict {
        code: code(format!("token.status-{status}")),
        kind,
        meaning,
        hint: see(hint, section),
    };
    match status {
        429 => return by_status(Kind::Transient, "it was asked too often", WAIT, "tokenstatus-429"),
        408 | 500..=599 => return by_status(Kind::Transient, "the service fails", WAIT, "tokenstatus-5xx"),
        300..=399 => {
            let target = redirect_target(head, config);
            return Verdict {
                code: "token.redirect".to_owned(),
                kind: Kind::Request,
                meaning: "it wants to send the request on, and the credential does not go elsewhere",
                hint: see(
                    &format!("The target is {target}. If you trust it, set `endpoints.token`; else look for a proxy."),
                    "tokenredirect",
                ),
            };
        }
        _ => {}
    }
    if let Some((word, kind, meaning, hint)) = WORDS.iter().find(|(word, ..)| Some(*word) == error) {
        let own = format!("token.{}", word.replace('_', "-"));
        let hint = hint.unwrap_or(credential.remedy());
        // A code tells more than `error`, which covers much under one name.
        let looked_up = aadsts.map(|code| format!("Look AADSTS{code} up at {EXPLAINED}{code}; if it says no more: "));
        let hint = format!("{}{hint}", looked_up.unwrap_or_default());
        return Verdict { code: code(own), kind: *kind, meaning, hint: see(&hint, UNLISTED) };
    }
    let check = "Check `endpoints.token`, and whether a proxy stands in between.";
    match status {
        401 => by_status(Kind::Credential, "the credential is refused", credential.remedy(), UNLISTED),
        403 => by_status(Kind::Permission, "it is not permitted", check, UNLISTED),
        _ => by_status(Kind::Request, "the request is refused for no known reason", check, UNLISTED),
    }
}

const CHECK_AUDIENCE: &str = "If `endpoints.audience` is set, check it.";
const CHECK_REQUEST: &str = "Check `token_version` and `endpoints.token`; if they are right, report this as a bug.";

/// The values of `error` that tell something by themselves, and what to do: nothing where the credential says it. Source:
/// RFC 6749, section 5.2; Microsoft Learn, "Error codes for token endpoint errors".
const WORDS: &[(&str, Kind, &str, Option<&str>)] = &[
    ("access_denied", Kind::Permission, "access is denied", Some("Have an administrator look up the sign-in logs.")),
    ("consent_required", Kind::Permission, "consent is missing", Some("Have an administrator grant consent.")),
    (
        "interaction_required",
        Kind::Permission,
        "a policy asks for more",
        Some("Have an administrator look up the sign-in logs."),
    ),
    ("invalid_client", Kind::Credential, "the credential is not valid", None),
    ("invalid_grant", Kind::Credential, "the refresh token or the assertion is not valid", None),
    (
        "invalid_instance",
        Kind::Config("/endpoints/token"),
        "the authority is not known",
        Some("Check `endpoints.token`."),
    ),
    ("invalid_request", Kind::Request, "the request is malformed", Some(CHECK_REQUEST)),
    ("invalid_resource", Kind::Config("/endpoints/audience"), "the audience is not known", Some(CHECK_AUDIENCE)),
    ("invalid_scope", Kind::Config("/endpoints/audience"), "the scope is not valid", Some(CHECK_AUDIENCE)),
    ("invalid_target", Kind::Config("/endpoints/audience"), "the audience is not known", Some(CHECK_AUDIENCE)),
    ("invalid_tenant", Kind::Config("/tenant_id"), "the tenant is not known", Some("Check `tenant_id` and `cloud`.")),
    ("server_error", Kind::Transient, "the service fails", Some(WAIT)),
    ("temporarily_unavailable", Kind::Transient, "the service is busy", Some(WAIT)),
    ("unauthorized_client", Kind::Credential, "the application may not ask this way", None),
    ("unsupported_grant_type", Kind::Request, "the endpoint does not know the grant", Some(CHECK_REQUEST)),
];

/// The code of an error body: a listed one of `error_codes`, else the first of them, else the first in the description.
fn aadsts_code(value: &Node, description: Option<&str>) -> Option<u32> {
    let number = |code: &Node| match code {
        Node::Whole(code) => u32::try_from(*code).ok(),
        Node::Text(text) => text.trim().parse().ok(),
        _ => None,
    };
    let codes: Vec<u32> = match value.get("error_codes") {
        Some(Node::List(codes)) => codes.iter().filter_map(number).collect(),
        Some(code) => number(code).into_iter().collect(),
        None => Vec::new(),
    };
    let listed = codes.iter().find(|code| aadsts::lookup(**code).is_some());
    listed.or(codes.first()).copied().or_else(|| {
        let digits = description?.split_once("AADSTS")?.1;
        let end = digits.find(|c: char| !c.is_ascii_digit()).unwrap_or(digits.len());
        digits[..end].parse().ok()
    })
}

/// The description without the code in front and the ids and time behind, which the message has in other places.
fn without_trailer(description: &str) -> &str {
    let end = description.find("Trace ID:").unwrap_or(description.len());
    let text = &description[..end];
    let coded = text.strip_prefix("AADSTS").and_then(|rest| rest.split_once(':'));
    coded.filter(|(code, _)| code.bytes().all(|byte| byte.is_ascii_digit())).map_or(text, |(_, rest)| rest)
}

#[cfg(test)]
mod tests;
