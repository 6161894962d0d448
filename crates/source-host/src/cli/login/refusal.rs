//! What an endpoint answers in place of what it was asked for, and what that means.
//!
//! The component judges it, as it does what its own requests for tokens are answered with: so a login and `source-host
//! check` say the same of an error code, and only the component knows them. What is about the login alone is said here.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use http::header::{CONTENT_TYPE, RETRY_AFTER};
use http::{HeaderMap, StatusCode};
use http_body_util::{BodyExt as _, Full};
use serde_json::{Map, Value, json};
use source_host::{
    Component, Delay, Failure, Fault, HttpError, Limits, Policy, Source, SourceParts, SystemClock, Timeouts, Transport,
    WasiBody,
};

use super::super::report::{Report, one_line, sentence};
use crate::secrets::Scrubber;

/// What Microsoft's support asks for: members of an answer, and headers.
const IDS: [&str; 6] =
    ["trace_id", "correlation_id", "x-ms-request-id", "request-id", "client-request-id", "x-ms-correlation-id"];

/// Known ids have 36 characters.
const LONGEST_ID: usize = 100;

/// An answer without what was asked for.
pub(super) struct Refusal {
    /// Who answered.
    url: String,
    status: StatusCode,
    /// Those that mean something.
    headers: HeaderMap,
    body: Bytes,
    /// Of its body; none where that is no JSON object.
    members: Map<String, Value>,
}

/// Who judges refusals: the component with the configuration of the source.
pub(super) struct Judge {
    pub(super) component: Component,
    pub(super) config: String,
    pub(super) policy: Policy,
    pub(super) limits: Limits,
}

impl Refusal {
    /// What came from a URL. Nothing stays of what the scrubber knows.
    pub(super) fn new(url: &str, head: &http::response::Parts, body: &Bytes, scrubber: &Scrubber) -> Self {
        let known = IDS.iter().copied().chain([CONTENT_TYPE.as_str(), RETRY_AFTER.as_str()]);
        let mut headers = HeaderMap::new();
        for name in known {
            let value = head.headers.get(name).map(|value| value.as_bytes());
            let value = value.map(|value| scrubber.bytes(value).unwrap_or_else(|| value.to_vec()));
            if let Some(value) = value.and_then(|value| value.try_into().ok()) {
                headers.insert(name, value);
            }
        }
        let body = scrubber.bytes(body).map_or_else(|| body.clone(), Bytes::from);
        // A page of a proxy is an answer as well, without members.
        let members = serde_json::from_slice(&body).unwrap_or_default();
        Self { url: url.to_owned(), status: head.status, headers, body, members }
    }

    /// What a browser brought back from a URL in place of a code: a redirect.
    pub(super) fn brought_back(url: &str, error: &str, description: &str) -> Self {
        let body = json!({ "error": error, "error_description": description });
        let members = body.as_object().cloned().unwrap_or_default();
        let (status, headers) = (StatusCode::FOUND, HeaderMap::new());
        Self { url: url.to_owned(), status, headers, body: body.to_string().into(), members }
    }

    /// The word of `error`; nothing where there is none.
    pub(super) fn word(&self) -> &str {
        self.member("error")
    }

    /// Whether the same may be answered in another way a moment later. A success without a token is of something in between.
    pub(super) fn passes(&self) -> bool {
        let status = self.status;
        let is_of_another = status.is_success() && !self.members.contains_key("access_token");
        is_of_another || status.is_server_error() || [408, 429].contains(&status.as_u16())
    }

    /// What came, as a sentence without its end.
    pub(super) fn said(&self) -> String {
        let Self { url, status, .. } = self;
        let said = [self.word(), self.member("error_description")].map(one_line);
        let said = said.into_iter().filter(|said| !said.is_empty()).collect::<Vec<_>>().join(": ");
        let answered = format!("{url} answered HTTP {}", status.as_u16());
        match self.headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()) {
            _ if !said.is_empty() => format!("{answered}: {said}"),
            Some(of_type) if self.members.is_empty() => format!("{answered} with {}", one_line(of_type)),
            _ => answered,
        }
    }

    fn member(&self, name: &str) -> &str {
        self.members.get(name).and_then(Value::as_str).unwrap_or_default()
    }

    fn ids(&self) -> Option<String> {
        let id = |name: &&str| {
            let value = Some(self.member(name)).filter(|value| !value.is_empty());
            let value = value.or_else(|| self.headers.get(*name)?.to_str().ok())?;
            Some(format!("{name} {}", one_line(value).chars().take(LONGEST_ID).collect::<String>()))
        };
        let ids: Vec<String> = IDS.iter().filter_map(id).collect();
        (!ids.is_empty()).then(|| format!("for Microsoft's support: {}", ids.join(", ")))
    }

    /// What to do where it is about the login. `is_public`: nothing proves the application.
    fn hint(&self, is_public: bool) -> Option<Hint> {
        let text = match self.word() {
            "access_denied" | "authorization_declined" | "consent_required" => {
                "a person said no, or may not consent: have an administrator grant consent under 'API permissions' of the \
                 app registration, and log in again"
            }
            "expired_token" | "code_expired" => "the code was not used in time: begin again",
            // To the component it is a refresh token.
            "invalid_grant" | "bad_verification_code" => {
                "the code was used before, has ended, or is of another login: begin again"
            }
            "invalid_client" | "unauthorized_client" => {
                "check `client_id`; an application that is no public client needs its `client_secret` or `certificate` \
                 beside `refresh_token`, any other 'Allow public client flows' under 'Authentication' of the app \
                 registration"
            }
            // To the component it is a redirect, which says nothing of the word that came with it.
            _ if self.status == StatusCode::FOUND => {
                "compare `tenant_id`, `client_id` and `endpoints` with the app registration"
            }
            _ => return None,
        };
        // The component would speak of a credential, and the next step may be to need none.
        Some(Hint { text, prevails: is_public && self.word() == "invalid_client" })
    }
}

/// What to do about a refusal.
struct Hint {
    text: &'static str,
    /// Whether it counts for more than what the component says of the code.
    prevails: bool,
}

impl Judge {
    /// What a person is told of a refusal: that, why, and what to do. `is_public`: nothing proves the application.
    pub(super) async fn explain(&self, what: &str, refusal: &Refusal, is_public: bool) -> Report {
        let report = if refusal.status.is_success() {
            not_what_was_asked_for(what, refusal)
        } else {
            let failure = self.judge(refusal).await;
            match (failure, refusal.hint(is_public)) {
                (Some(failure), None) => told(what, failure, refusal),
                (Some(failure), Some(hint)) if is_listed(&failure) && !hint.prevails => told(what, failure, refusal),
                (_, hint) => {
                    let report = Report::refused(what).because(refusal.said());
                    hint.into_iter().fold(report, |report, hint| report.hint(hint.text))
                }
            }
        };
        refusal.ids().into_iter().fold(report, Report::because)
    }

    /// What the component makes of this answer to a request for a token; none where it fails itself.
    async fn judge(&self, refusal: &Refusal) -> Option<Failure> {
        let answered =
            Answered { status: refusal.status, headers: refusal.headers.clone(), body: refusal.body.clone() };
        let parts = SourceParts {
            config: self.config.clone(),
            policy: self.policy.clone(),
            transport: Arc::new(answered),
            clock: Arc::new(SystemClock::default()),
            limits: self.limits.clone(),
        };
        match Source::new(&self.component, parts).probe().await {
            Ok(probed) => probed.err(),
            Err(error) => {
                tracing::warn!("the component does not say what the refusal means: {error}");
                None
            }
        }
    }
}

/// A network on which everything is answered alike.
struct Answered {
    status: StatusCode,
    headers: HeaderMap,
    body: Bytes,
}

#[async_trait]
impl Transport for Answered {
    async fn send(&self, _: http::Request<WasiBody>, _: Timeouts) -> Result<http::Response<WasiBody>, HttpError> {
        let body = Full::from(self.body.clone()).map_err(|never| match never {}).boxed_unsync();
        let mut response = http::Response::new(body);
        *response.status_mut() = self.status;
        *response.headers_mut() = self.headers.clone();
        Ok(response)
    }
}

/// A success without what it is the success of.
fn not_what_was_asked_for(what: &str, refusal: &Refusal) -> Report {
    let report = Report::failed(what).because(refusal.said());
    if refusal.members.is_empty() {
        return report.because("that is a page, and not the JSON that the endpoint answers with").hint(
            "something in between answers in its place, usually a proxy or a captive portal: open the address from this \
             machine, and see `proxy` under [host]; else check `endpoints.token`",
        );
    }
    report
        .because("it holds no refresh token")
        .hint("begin again; where an answer holds no refresh token, the application lacks the scope `offline_access`")
}

fn told(what: &str, failure: Failure, refusal: &Refusal) -> Report {
    match failure {
        Failure::InvalidConfig(diagnostics) => {
            let report = Report::wrong(what).because(refusal.said());
            diagnostics.iter().fold(report, |report, diagnostic| report.because(sentence(diagnostic)))
        }
        Failure::Throttled(delay) => passing(what, "throttles", &delay, refusal),
        Failure::Unavailable(delay) => passing(what, "is unavailable", &delay, refusal),
        Failure::Unauthenticated(fault)
        | Failure::Forbidden(fault)
        | Failure::Rejected(fault)
        | Failure::UnusableCheckpoint(fault)
        | Failure::Internal(fault) => {
            let report = Report::refused(what).because(refusal.said()).because(meaning(&fault));
            fault.hint.into_iter().fold(report, Report::hint)
        }
        Failure::BudgetTooSmall(_) => Report::refused(what).because(refusal.said()),
    }
}

/// Nobody asks again by themselves, other than in a run.
fn passing(what: &str, state: &str, Delay { after, fault }: &Delay, refusal: &Refusal) -> Report {
    let begin = match after.map(Duration::from_nanos).filter(|after| !after.is_zero()) {
        Some(after) => format!("begin again in {} s, as it asks", after.as_secs_f64().ceil()),
        None => "begin again in a minute or two".to_owned(),
    };
    let read_on = fault.hint.as_deref().and_then(|hint| hint.find(" See ").map(|at| &hint[at..]));
    Report::failed(what)
        .because(refusal.said())
        .because(format!("it {state} now. {}", meaning(fault)))
        .hint(read_on.map_or_else(|| begin.clone(), |read_on| format!("{begin}.{read_on}")))
}

fn meaning(Fault { code, message, .. }: &Fault) -> String {
    format!("{code}: {message}")
}

/// Whether there is a section about this very code to read on in.
fn is_listed(failure: &Failure) -> bool {
    let about = |code: &str, hint: Option<&str>| {
        hint.is_some_and(|hint| hint.ends_with(&format!("#{}.", code.to_ascii_lowercase())))
    };
    match failure {
        Failure::InvalidConfig(diagnostics) => {
            diagnostics.iter().any(|diagnostic| about(&diagnostic.code, diagnostic.hint.as_deref()))
        }
        Failure::Throttled(Delay { fault, .. })
        | Failure::Unavailable(Delay { fault, .. })
        | Failure::Unauthenticated(fault)
        | Failure::Forbidden(fault)
        | Failure::Rejected(fault)
        | Failure::UnusableCheckpoint(fault)
        | Failure::Internal(fault) => about(&fault.code, fault.hint.as_deref()),
        Failure::BudgetTooSmall(_) => false,
    }
}
