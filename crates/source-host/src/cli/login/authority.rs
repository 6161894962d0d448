//! Who issues the tokens of a source: its endpoints, what they are asked for, and what they answer.

use std::fmt::Write as _;
use std::sync::Arc;

use bytes::Bytes;
use http::header::{ACCEPT, CONTENT_LENGTH, CONTENT_TYPE};
use http::response::Parts;
use http::{Request, Uri};
use http_body_util::{BodyExt as _, Full, Limited};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::{Map, Value};
use source_host::{HttpError, SecretPlace, SecretSource, SecretUse, SecretValue, Source, Timeouts, Transport};

use super::super::config::{Config, SourceTable};
use super::super::open::{Components, Network, grants};
use super::super::report::Report;
use super::super::secrets::{config_without_secrets, source_of};
use super::refusal::{Judge, Refusal};
use super::{REFRESH_TOKEN, no_refresh_token};
use crate::hooks::MOST_REPETITIONS;
use crate::secrets::{Scrubber, has_another};

/// The largest answer, in bytes.
const LARGEST_ANSWER: usize = 256 << 10;

/// What a query and a form carry as it is.
const ESCAPED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// What stands before an assertion. Source: RFC 7523, section 2.2.
const ASSERTION_TYPE: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";

/// The endpoints of one source.
pub(super) struct Authority {
    /// The JSON Pointer of the member that the refresh token is for.
    pub(super) pointer: String,
    pub(super) client_id: String,
    /// What the tokens are for: `resource` of version 1 and its value, or `scope` of version 2.
    pub(super) target: (&'static str, String),
    /// The URL of the token endpoint up to its last slash, which its neighbours begin with.
    base: String,
    /// What proves an application that is no public client, by the field that it goes into.
    proof: Vec<(String, Arc<dyn SecretSource>)>,
    transport: Arc<dyn Transport>,
    timeouts: Timeouts,
    judge: Judge,
}

/// What came of a request for tokens.
pub(super) enum Answer {
    /// The refresh token.
    Tokens(SecretValue),
    /// No refresh token.
    Refused(Refusal),
    /// No answer: a clause.
    Silence(String),
}

impl Authority {
    /// Works out whom the configuration of a source sends to the refresh token, without a token.
    pub(super) async fn of(
        table: &SourceTable,
        config: &Config,
        components: &mut Components,
        network: &Network,
    ) -> Result<Self, Report> {
        let component = components.load(table.component.as_deref())?;
        let json = config_without_secrets(table);
        let (plan, policy) = Source::review(&component, &json, &grants(table), &config.host.limits).await?;
        let in_form = |secret: &SecretUse| match &secret.place {
            SecretPlace::FormField(name) => Some((name.clone(), secret.pointer.clone())),
            SecretPlace::Bearer => None,
        };
        let (refresh_token, others): (Vec<_>, Vec<_>) =
            plan.secrets.iter().filter_map(in_form).partition(|(name, _)| name == REFRESH_TOKEN);
        let refresh_token = refresh_token.into_iter().next();
        let (_, pointer) = refresh_token.ok_or_else(|| no_refresh_token(&table.name))?;
        let effective: Value = serde_json::from_str(&plan.effective_config).unwrap_or_default();
        let text = |at: &str| {
            let value = effective.pointer(at).and_then(Value::as_str).map(str::to_owned);
            value.ok_or_else(|| {
                Report::failed(format!("the component does not say `{at}` in its effective configuration"))
                    .hint("this login is for components that say whom a user signs in to, as defender-source does")
            })
        };
        let (token, audience) = (text("/endpoints/token")?, text("/endpoints/audience")?);
        let target = match text("/token_version")?.as_str() {
            "v1" => ("resource", audience),
            _ => ("scope", format!("{audience}/.default offline_access")),
        };
        let base = token.strip_suffix("token").filter(|base| base.ends_with('/')).ok_or_else(|| {
            Report::wrong(format!("the token endpoint {token} does not end in /token"))
                .hint("the addresses to log in at stand beside it: leave `endpoints.token` out, or correct it")
        })?;
        let url: Uri = token.parse().map_err(|error| Report::wrong("the token endpoint is no URL").because(error))?;
        policy.check(&url)?;
        let mut proof = Vec::new();
        for (field, pointer) in others {
            proof.extend(source_of(table, &plan, &pointer)?.map(|source| (field, source)));
        }
        Ok(Self {
            pointer,
            client_id: text("/client_id")?,
            target,
            base: base.to_owned(),
            proof,
            transport: Arc::<source_host::LiveTransport>::clone(&network.transport),
            timeouts: config.host.limits.timeouts,
            judge: Judge { component, config: json, policy, limits: config.host.limits.clone() },
        })
    }

    /// Whether the endpoints are those of version 1.
    pub(super) fn is_v1(&self) -> bool {
        self.target.0 == "resource"
    }

    /// The URL of a neighbour of the token endpoint, with a query.
    pub(super) fn url(&self, neighbour: &str, query: &[(&str, &str)]) -> String {
        format!("{}{neighbour}?{}", self.base, encoded(query))
    }

    /// Asks for tokens, in the name of the application, with what a person granted it: again where what proves the
    /// application was refused and has another value.
    pub(super) async fn redeem(&self, grant: &[(&str, &str)]) -> Result<Answer, Report> {
        let (mut answer, mut sent) = self.redeem_once(grant).await?;
        for _ in 0..MOST_REPETITIONS {
            if !matches!(&answer, Answer::Refused(refusal) if refusal.word() == "invalid_client") {
                break;
            }
            if !has_another(self.proof.iter().map(|(_, source)| source).zip(&sent)).await {
                break;
            }
            (answer, sent) = self.redeem_once(grant).await?;
        }
        Ok(answer)
    }

    /// What came of one request, and what proved the application in it.
    async fn redeem_once(&self, grant: &[(&str, &str)]) -> Result<(Answer, Vec<SecretValue>), Report> {
        let mut sent = Vec::new();
        let mut fields = vec![("client_id", self.client_id.clone()), (self.target.0, self.target.1.clone())];
        let mut scrubber = Scrubber::default();
        let url = format!("{}token", self.base);
        let uri: Uri = url.parse().map_err(|error| Report::wrong("the token endpoint is no URL").because(error))?;
        for (field, source) in &self.proof {
            let value = source.value(&uri).await?;
            scrubber.add(value.expose(), "***");
            if field == "client_assertion" {
                fields.push(("client_assertion_type", ASSERTION_TYPE.to_owned()));
            }
            fields.push((field, value.expose().to_owned()));
            sent.push(value);
        }
        let fields: Vec<(&str, &str)> =
            fields.iter().map(|(name, value)| (*name, value.as_str())).chain(grant.iter().copied()).collect();
        for (_, value) in grant {
            scrubber.add(value, "***");
        }
        let (head, body) = match self.post(&url, &fields).await {
            Ok(answered) => answered,
            Err(error) => return Ok((Answer::Silence(format!("{url} gave no answer: {error}")), sent)),
        };
        let answer: Map<String, Value> = serde_json::from_slice(&body).unwrap_or_default();
        if head.status.is_success()
            && let Some(token) = answer.get(REFRESH_TOKEN).and_then(Value::as_str).filter(|token| !token.is_empty())
        {
            return Ok((Answer::Tokens(SecretValue::new(token)), sent));
        }
        Ok((Answer::Refused(Refusal::new(&url, &head, &body, &scrubber)), sent))
    }

    /// Asks for a code that a person types elsewhere.
    pub(super) async fn device_code(&self) -> Result<Map<String, Value>, Report> {
        let fields = [("client_id", self.client_id.as_str()), (self.target.0, self.target.1.as_str())];
        let url = format!("{}devicecode", self.base);
        let asked = "no device code came";
        let (head, body) = self.post(&url, &fields).await.map_err(|error| {
            Report::failed(asked)
                .because(format!("{url} gave no answer: {error}"))
                .hint("check the network, and `endpoints.token`")
        })?;
        if head.status.is_success()
            && let Ok(answer) = serde_json::from_slice(&body)
        {
            return Ok(answer);
        }
        Err(self.explain(asked, &Refusal::new(&url, &head, &body, &Scrubber::default())).await)
    }

    /// What a person is told of a refusal.
    pub(super) async fn explain(&self, what: &str, refusal: &Refusal) -> Report {
        self.judge.explain(what, refusal, self.proof.is_empty()).await
    }

    async fn post(&self, url: &str, fields: &[(&str, &str)]) -> Result<(Parts, Bytes), HttpError> {
        let form = encoded(fields);
        let request = Request::post(url)
            .header(CONTENT_TYPE, "application/x-www-form-urlencoded")
            .header(ACCEPT, "application/json")
            .header(CONTENT_LENGTH, form.len())
            .body(Full::from(form).map_err(|never| match never {}).boxed_unsync())
            .map_err(|_| HttpError::HttpRequestUriInvalid)?;
        let patience = self.timeouts.connect.saturating_add(self.timeouts.first_byte);
        let asked = tokio::time::timeout(patience, self.transport.send(request, self.timeouts));
        let answer = asked.await.map_err(|_| HttpError::ConnectionReadTimeout)??;
        let (head, body) = answer.into_parts();
        let body = Limited::new(body, LARGEST_ANSWER).collect();
        let body = tokio::time::timeout(self.timeouts.between_bytes, body);
        let body = body.await.map_err(|_| HttpError::ConnectionReadTimeout)?;
        let body = body.map_err(|_| HttpError::HttpResponseBodySize(None))?.to_bytes();
        Ok((head, body))
    }
}

fn encoded(fields: &[(&str, &str)]) -> String {
    let mut text = String::new();
    for (name, value) in fields {
        let separator = if text.is_empty() { "" } else { "&" };
        // A `String` takes everything.
        let _ = write!(text, "{separator}{name}={}", utf8_percent_encode(value, ESCAPED));
    }
    text
}
