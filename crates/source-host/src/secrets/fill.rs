//! Secrets and tokens on their way out.

use std::fmt::Write as _;
use std::sync::Arc;

use bytes::Bytes;
use http::header::{ACCEPT_ENCODING, AUTHORIZATION, CONTENT_LENGTH, RANGE, TRANSFER_ENCODING};
use http::request::Parts;
use http::{HeaderValue, Method, Request, Uri};
use http_body_util::{BodyExt as _, Full};
use wasmtime_wasi_http::{Error, WasiBody};

use super::SecretValue;
use super::answer::{Filled, Sent};
use super::form;
use super::token::Found;
use super::vault::{Secret, Use, Vault};
use crate::bindings::SecretPlace;
use crate::body::whole;
use crate::origin::Origin;
use crate::policy::Denial;

/// The largest body of a request that a source with secrets sends, in bytes. It is looked through before it is sent.
const LARGEST_REQUEST: usize = 1 << 20;

/// What is quoted of the name of a form field, in characters.
const LONGEST_NAME: usize = 64;

/// Why a request was not sent.
pub(crate) enum Refusal {
    /// It would have carried a placeholder to where none belongs.
    Denied(Denial),
    /// A secret is not there now, or the one that came in its place could not be stored.
    Missing(Denial),
    /// Its body, or that of its answer, broke off.
    Failed(Error),
}

impl Vault {
    /// Fills in the secrets and the token that the plan allows in this request, and refuses it where a placeholder
    /// stands anywhere else.
    pub(crate) async fn fill(&self, request: Request<WasiBody>) -> Result<(Request<WasiBody>, Sent), Refusal> {
        let (mut head, body) = request.into_parts();
        let origin = origin(&head.uri).map_err(Refusal::Denied)?;
        let mut sent = Sent::default();
        if self.mint.is_in(head.uri.to_string()) || self.mint.is_in(head.method.as_str()) {
            return Err(self.misplaced("the URL", &origin));
        }
        let as_made = head.clone();
        self.fill_headers(&mut head, &origin, &mut sent).await?;
        let too_large = Error::HttpRequestBodySize(Some(LARGEST_REQUEST as u64));
        let bytes: Bytes = whole(body, LARGEST_REQUEST, too_large).await.map_err(Refusal::Failed)?.into();
        let filled = if self.mint.is_in(&bytes) {
            if head.method != Method::POST || !form::is_form(&head.headers) {
                return Err(self.misplaced("the body, which is no posted form,", &origin));
            }
            self.fill_form(&bytes, &origin, &head.uri, &mut sent).await?.into()
        } else {
            bytes.clone()
        };
        // A request without a body says nothing of its length.
        if !filled.is_empty() {
            head.headers.remove(TRANSFER_ENCODING);
            head.headers.insert(CONTENT_LENGTH, filled.len().into());
        }
        if sent.is_secret() {
            sent.as_made = Some((as_made, bytes));
            // In another coding, or in pieces, what comes back could not be looked through.
            head.headers.remove(ACCEPT_ENCODING);
            head.headers.remove(RANGE);
        }
        Ok((Request::from_parts(head, whole_body(filled)), sent))
    }

    async fn fill_headers(&self, head: &mut Parts, origin: &Origin, sent: &mut Sent) -> Result<(), Refusal> {
        for (name, value) in &mut head.headers {
            if self.mint.is_in(name.as_str()) || (self.mint.is_in(value.as_bytes()) && name != AUTHORIZATION) {
                return Err(self.misplaced(&format!("the header `{name}`"), origin));
            }
            if !self.mint.is_in(value.as_bytes()) {
                continue;
            }
            let misplaced = || self.misplaced("the header `authorization`", origin);
            let credential = value.to_str().ok().and_then(|value| value.split_once(' '));
            let bearer = credential.filter(|(scheme, _)| scheme.eq_ignore_ascii_case("Bearer"));
            let (_, shown) = bearer.ok_or_else(misplaced)?;
            let token = match self.secrets.iter().find(|secret| secret.placeholder == shown) {
                Some(secret) => secret.as_bearer(origin, &head.uri, sent).await?.ok_or_else(misplaced)?,
                None => self.token(shown, origin)?,
            };
            let mut filled = HeaderValue::try_from(format!("Bearer {}", token.expose())).map_err(|_| misplaced())?;
            filled.set_sensitive(true);
            *value = filled;
            sent.tokens.push(token);
        }
        Ok(())
    }

    /// The token that this stands for.
    fn token(&self, shown: &str, origin: &Origin) -> Result<SecretValue, Refusal> {
        match self.tokens().find(shown, origin) {
            Found::Real(token) => Ok(token),
            Found::Elsewhere => Err(self.misplaced("the header `authorization`", origin)),
            Found::Unknown => {
                let reason =
                    format!("the token in a request to {origin} is none that this host handed out or still has");
                let hint = "a component asks for another token where it has none that is good".to_owned();
                Err(Refusal::Denied(Denial { reason, hint: Some(hint) }))
            }
        }
    }

    async fn fill_form(&self, body: &[u8], origin: &Origin, url: &Uri, sent: &mut Sent) -> Result<Vec<u8>, Refusal> {
        let mut filled: Vec<u8> = Vec::with_capacity(body.len());
        for (index, field) in form::fields(body).enumerate() {
            if index > 0 {
                filled.push(b'&');
            }
            if !self.mint.is_in(field.whole) {
                filled.extend_from_slice(field.whole);
                continue;
            }
            let name: String = field.name.chars().take(LONGEST_NAME).collect();
            let place = || self.misplaced(&format!("the form field {name:?}"), origin);
            let secret =
                self.secrets.iter().find(|secret| secret.placeholder.as_bytes() == field.value).ok_or_else(place)?;
            let is_field = |place: &SecretPlace| matches!(place, SecretPlace::FormField(name) if *name == field.name);
            let planned = secret.planned_at(origin, is_field).ok_or_else(place)?;
            let value = secret.source.value(url).await.map_err(Refusal::Missing)?;
            filled.extend_from_slice(&field.with(value.expose()));
            sent.secrets.push(Filled {
                placeholder: secret.placeholder.clone(),
                form_field: field.name.clone(),
                value,
                source: Arc::clone(&secret.source),
            });
            sent.captures.extend_from_slice(&planned.captures);
            sent.bearer_at.extend_from_slice(&planned.bearer_at);
        }
        Ok(filled)
    }

    fn misplaced(&self, place: &str, origin: &Origin) -> Refusal {
        let reason =
            format!("the placeholder of a secret stands in {place} of a request to {origin}, where none is filled in");
        let mut planned = String::new();
        for secret in &self.secrets {
            for Use { origin, place, bearer_at, .. } in &secret.uses {
                let separator = if planned.is_empty() { "" } else { ", " };
                let place = match place {
                    SecretPlace::FormField(name) => format!("in the form field `{name}`"),
                    SecretPlace::Bearer => "as `Authorization: Bearer`".to_owned(),
                };
                // A `String` takes everything.
                let _ = write!(planned, "{separator}`{}` {place} to {origin}", secret.pointer);
                for origin in bearer_at {
                    let _ = write!(planned, ", and its token as `Authorization: Bearer` to {origin}");
                }
            }
        }
        let hint = format!("the plan allows {planned}; a component that needs more has to name it in its plan");
        Refusal::Denied(Denial { reason, hint: Some(hint) })
    }
}

pub(super) fn whole_body(bytes: Bytes) -> WasiBody {
    Full::new(bytes).map_err(|never| match never {}).boxed_unsync()
}

impl Secret {
    /// Its value for the header `Authorization` of a request; none where the plan does not send it so.
    async fn as_bearer(&self, origin: &Origin, url: &Uri, sent: &mut Sent) -> Result<Option<SecretValue>, Refusal> {
        if self.planned_at(origin, |place| matches!(place, SecretPlace::Bearer)).is_none() {
            return Ok(None);
        }
        let value = self.source.value(url).await.map_err(Refusal::Missing)?;
        if !value.expose().bytes().all(|byte| byte.is_ascii_graphic()) {
            let reason = format!("the secret `{}` holds characters that no header may carry", self.pointer);
            let hint = "put the token alone there, without `Bearer` before it".to_owned();
            return Err(Refusal::Missing(Denial { reason, hint: Some(hint) }));
        }
        sent.bearers.push((Arc::clone(&self.source), value.clone()));
        Ok(Some(value))
    }
}

fn origin(url: &Uri) -> Result<Origin, Denial> {
    Origin::new(url.scheme_str().unwrap_or_default(), url.host().unwrap_or_default(), url.port_u16())
        .map_err(|error| Denial { reason: error.to_string(), hint: None })
}
