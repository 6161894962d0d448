//! What an answer other than what was asked for means, and who acts on it.
//!
//! Every message says what happened, at which host and why; every hint says what to do next and names a section of
//! `docs/errors.md`. What a server sent is quoted short and without secrets.
//!
//! Source of the documented causes: Microsoft Learn, "Pull Microsoft Defender for Endpoint detections using SIEM REST
//! API", section *Error codes*.

mod excerpt;
mod redact;
mod transport;

#[cfg(test)]
mod errors_page;

pub use self::excerpt::{EXCERPT_CHARS, excerpt};
pub(crate) use self::excerpt::{is_markup, one_line, quote};
pub(crate) use self::redact::redact;
pub use self::transport::transport_failure;
use crate::api_codes::{self, ApiCode};
use crate::config::Config;
use crate::contract::{Delay, Diagnostic, Failure, Fault};
use crate::http::ResponseHead;
use crate::json::Node;
use crate::protocol::Quota;
use crate::secret::Secret;
use crate::tick::Now;

impl Failure {
    /// The fault, in the cases that have one: a checkpoint is attached to it.
    pub fn fault_mut(&mut self) -> Option<&mut Fault> {
        match self {
            Self::Unauthenticated(fault)
            | Self::Forbidden(fault)
            | Self::Rejected(fault)
            | Self::UnusableCheckpoint(fault)
            | Self::Internal(fault) => Some(fault),
            Self::Throttled(delay) | Self::Unavailable(delay) => Some(&mut delay.fault),
            Self::InvalidConfig(_) | Self::BudgetTooSmall(_) => None,
        }
    }

    /// The name of the case, as `wit/source.wit` has it.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::InvalidConfig(_) => "invalid-config",
            Self::Unauthenticated(_) => "unauthenticated",
            Self::Forbidden(_) => "forbidden",
            Self::Throttled(_) => "throttled",
            Self::Unavailable(_) => "unavailable",
            Self::Rejected(_) => "rejected",
            Self::UnusableCheckpoint(_) => "unusable-checkpoint",
            Self::BudgetTooSmall(_) => "budget-too-small",
            Self::Internal(_) => "internal",
        }
    }

    /// Takes a secret out of everything that is shown, for one that was not known where the failure was made: the
    /// bearer token, which a server may have sent back.
    pub fn redact(&mut self, secret: &Secret) {
        let clean = |text: &mut String| *text = redact(text, &[secret]);
        if let Self::InvalidConfig(diagnostics) = self {
            for Diagnostic { message, hint, .. } in diagnostics {
                clean(message);
                hint.iter_mut().for_each(clean);
            }
        } else if let Some(Fault { message, hint, request_id, .. }) = self.fault_mut() {
            clean(message);
            hint.iter_mut().chain(request_id).for_each(clean);
        }
    }
}

/// What any answer of the API's endpoint other than 200 means. A 401 is the final one: the caller has already
/// tried a fresh token, where it can ask for one.
pub fn api_failure(head: &ResponseHead, body_start: &[u8], now: Now, config: &Config) -> Failure {
    refusal(head, body_start, now, config, None)
}

/// The same, where it is known whether the token holds the permission that is asked for.
pub(crate) fn refusal(
    head: &ResponseHead,
    body_start: &[u8],
    now: Now,
    config: &Config,
    is_permitted: Option<bool>,
) -> Failure {
    let (host, tenant) = (&config.api_endpoint.host, &config.tenant_id);
    let protocol = config.protocol;
    let Said { text: said, request_id: named, code } = said(head, body_start, config);
    let (means, advice) = match code {
        Some(ApiCode { code, meaning, hint }) => (format!(" `{code}` means: {meaning}."), *hint),
        None => (String::new(), ""),
    };
    let status = head.status;
    let fault = |code: String, what: String, hint: &str, section: &str| Fault {
        code,
        message: format!("The {} {host} {what} (HTTP {status}). It answered: {said}.{means}", protocol.endpoint),
        hint: Some(see(format!("{advice} {hint}").trim_start(), section)),
        status: Some(status),
        request_id: request_id(named.as_deref(), head, config),
        checkpoint: None,
    };
    let coded =
        |what: &str, hint: &str, section: &str| fault(format!("http.status-{status}"), what.to_owned(), hint, section);
    let delayed = |fault| Delay { after: head.retry_after(now.wall), fault };
    match status {
        401 if config.credential.access_token().is_some() => Failure::Unauthenticated(coded(
            &format!(
                "refused the access token of the configuration: it has expired, is not for tenant {tenant} or not for the \
                 audience {}, or the request is malformed, which the service answers alike",
                config.audience
            ),
            config.credential.kind().remedy(),
            "httpstatus-401",
        )),
        401 => Failure::Unauthenticated(coded(
            &format!(
                "refused a fresh token that {} issued to tenant {tenant} for the audience {}: the token is not valid \
                 there, or the request is malformed, which the service answers alike",
                config.token_endpoint.host, config.audience
            ),
            protocol.refused_token,
            "httpstatus-401",
        )),
        403 => {
            let (why, hint) = match is_permitted {
                None => protocol.forbidden,
                Some(true) => protocol.forbidden_though_permitted,
                // Which one it lacks, and where to grant it, stands beside.
                Some(false) => ("its token lacks the permission", ""),
            };
            let what = format!("does not let the application read the {} of tenant {tenant}: {why}", protocol.things);
            Failure::Forbidden(coded(&what, hint, "httpstatus-403"))
        }
        404 => Failure::Rejected(coded(
            "has nothing at the path that was asked for",
            &format!(
                "Check {}`cloud` and `endpoints.api`: the path is `/{}`.",
                if protocol.hosts.iter().any(|host| host.region.is_some()) { "`region`, " } else { "" },
                protocol.routes.first().copied().unwrap_or_default()
            ),
            "httpstatus-404",
        )),
        429 => Failure::Throttled(delayed(coded(
            "was asked too often",
            "It passes by itself. If it goes on, look for other programs that use this application.",
            "httpstatus-429",
        ))),
        408 | 500..=599 => Failure::Unavailable(delayed(coded(
            "failed to answer",
            "It passes by itself: the next poll asks for less at a time. If it goes on, give the request id to \
             Microsoft's support.",
            "httpstatus-5xx",
        ))),
        // Not modified leads nowhere: a cache that nobody asked answers so.
        300..=303 | 305..=399 => Failure::Rejected(fault(
            "http.redirect".to_owned(),
            format!("wants to send the request on to {}, where the token does not go", redirect_target(head, config)),
            "Set `endpoints.api` to the new address if you trust it; a proxy's login page is the usual culprit.",
            "httpredirect",
        )),
        400..=499 => Failure::Rejected(coded("refused the request", protocol.refused_request, "httpstatus-4xx")),
        _ => Failure::Rejected(coded(
            "answered with a status that it does not document",
            &format!(
                "Check that `endpoints.api` names the {}, and that no proxy stands in between.",
                protocol.endpoint
            ),
            "httpstatus-2xx",
        )),
    }
}

/// What a 200 means whose body is something other than what was asked for. `start` is the beginning of the body.
pub fn no_answer(head: &ResponseHead, start: &[u8], config: &Config) -> Failure {
    let secrets = config.credential.secrets();
    let coding =
        head.header("content-encoding").map(str::trim).filter(|coding| !coding.eq_ignore_ascii_case("identity"));
    let (said, hint) = match coding {
        // Nobody asked for it, and packed bytes tell a reader nothing.
        Some(coding) => (
            format!("a body in the content coding `{}`", quote(coding, &secrets)),
            "Have the proxy that compresses answers send them as they are, or the host unpack them.",
        ),
        None => (
            excerpt(head.header("content-type"), start, &secrets),
            "A proxy's page is the usual culprit: let this host through it; then check `endpoints.api`.",
        ),
    };
    Failure::Rejected(Fault {
        code: config.protocol.no_answer.to_owned(),
        message: format!(
            "The {} {} answered HTTP {} with something other than {}: {}.",
            config.protocol.endpoint, config.api_endpoint.host, head.status, config.protocol.things, said
        ),
        hint: Some(see(hint, "httpnot-detections")),
        status: Some(head.status),
        request_id: request_id(None, head, config),
        checkpoint: None,
    })
}

/// Why a further page of an answer is not read. Its link is not shown: it may hold a token.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum PageFault {
    /// The link leads to another origin, or is no URL.
    Elsewhere,
    /// The link was followed before, or there is no end of them.
    Endless,
    /// The service refuses it, as one that has run out while the page before it was delivered.
    Refused,
}

/// What an answer in pages means that cannot be read to its end. `start` is the beginning of the body of a refusal.
pub fn page_failure(fault: PageFault, head: &ResponseHead, start: &[u8], config: &Config) -> Failure {
    let host = &config.api_endpoint.host;
    let (code, message, hint, section) = match fault {
        PageFault::Elsewhere => (
            "paging.elsewhere",
            format!("The next page of an answer of {host} is elsewhere, where the token does not go."),
            "If a gateway stands in between, let it rewrite `@odata.nextLink`, or set `endpoints.api` to the host that the \
             link names.",
            "pagingelsewhere",
        ),
        PageFault::Endless => (
            "paging.endless",
            format!("The pages of an answer of {host} have no end: a link came again, or there were too many."),
            "It passes by itself: the next poll asks for less at a time. If it goes on, look for a gateway or cache that \
             answers one page for another.",
            "pagingendless",
        ),
        PageFault::Refused => (
            "paging.refused",
            format!(
                "The {} {host} refused the next page of its answer (HTTP {}). It answered: {}.",
                config.protocol.endpoint,
                head.status,
                said(head, start, config).text
            ),
            "It passes by itself: the next poll asks anew, for less at a time. If it goes on, give the request id to \
             Microsoft's support.",
            "pagingrefused",
        ),
    };
    let fault_of = Fault {
        code: code.to_owned(),
        message,
        hint: Some(see(hint, section)),
        status: Some(head.status),
        request_id: request_id(None, head, config),
        checkpoint: None,
    };
    match fault {
        PageFault::Elsewhere => Failure::Rejected(fault_of),
        PageFault::Endless | PageFault::Refused => Failure::Unavailable(Delay { after: None, fault: fault_of }),
    }
}

/// What a poll ends with that has used up a quota, which has room again in so many nanoseconds.
pub(crate) fn quota_failure((quota, left): (Quota, u64), config: &Config) -> Failure {
    let Quota { calls, seconds } = quota;
    let fault = Fault {
        code: "quota.used-up".to_owned(),
        message: format!(
            "The source has made as many calls of {} as Microsoft allows, {calls} in {seconds} s, and asks again when it may.",
            config.protocol.title
        ),
        hint: Some(see(
            "It passes by itself. A longer `slice`, a shorter `overlap` or a longer `poll_interval` takes \
             fewer calls.",
            "quotaused-up",
        )),
        ..Fault::default()
    };
    Failure::Throttled(Delay { after: Some(left), fault })
}

/// A hint that ends with the section of the errors page to read on in.
pub(crate) fn see(hint: &str, section: &str) -> String {
    format!("{hint} See docs/errors.md#{section}.").trim_start().to_owned()
}

/// The id that the body names, or else the one of the headers, fit to be shown.
pub(crate) fn request_id(in_body: Option<&str>, head: &ResponseHead, config: &Config) -> Option<String> {
    let id = in_body.map(str::to_owned).or_else(|| head.request_id())?;
    let id = one_line(&redact(&id, &config.credential.secrets()));
    // Known ids have 36 characters.
    Some(id.chars().take(100).collect::<String>()).filter(|id| !id.is_empty())
}

/// The origin that a redirect names: what follows it may hold what is nobody's business.
pub(crate) fn redirect_target(head: &ResponseHead, config: &Config) -> String {
    let Some(location) = head.header("location").map(str::trim) else {
        return "an address that it does not name".into();
    };
    let Some((scheme, rest)) = location.split_once("//") else { return "another path of its own".into() };
    let authority = rest.split(['/', '?', '#', '\\']).next().unwrap_or_default();
    let host = authority.rsplit('@').next().unwrap_or_default();
    quote(&format!("{scheme}//{host}"), &config.credential.secrets())
}

/// What the service said.
struct Said {
    /// Fit to be quoted.
    text: String,
    /// The request id that it named.
    request_id: Option<String>,
    /// The code that it gave, where it is a known one.
    code: Option<&'static ApiCode>,
}

/// Sources of the envelopes `{"error": {"code", "message", "target"}}` and `{"error": {"code", "message", "innerError":
/// {"request-id"}}}`: Microsoft Learn, "Common REST API error codes" and "Microsoft Graph error responses".
fn said(head: &ResponseHead, body: &[u8], config: &Config) -> Said {
    let secrets = config.credential.secrets();
    if let Ok(value) = Node::read(body) {
        let member = |name: &str| value.get("error")?.get(name)?.as_text();
        let mut said = String::new();
        for part in [member("code"), member("message")].into_iter().flatten() {
            said.push_str(if said.is_empty() { "\"" } else { ": " });
            said.push_str(&quote(part, &secrets));
        }
        if !said.is_empty() {
            let inner = || value.get("error")?.get("innerError")?.get("request-id")?.as_text();
            return Said {
                text: said.trim_end_matches('.').to_owned() + "\"",
                request_id: member("target").or_else(inner).map(str::to_owned),
                code: member("code").and_then(api_codes::lookup),
            };
        }
    }
    let challenge = head.header("www-authenticate").filter(|_| body.is_empty());
    let text = match challenge {
        Some(challenge) => quote(challenge, &secrets),
        None => excerpt(head.header("content-type"), body, &secrets),
    };
    Said { text, request_id: None, code: None }
}

#[cfg(test)]
mod tests;
