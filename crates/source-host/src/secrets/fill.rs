//! Secrets and tokens on their way out.

use std::fmt::Write as _;
use std::sync::Arc;

use bytes::Bytes;
use http::header::{ACCEPT_ENCODING, AUTHORIZATION, CONTENT_LENGTH, RANGE, TRANSFER_ENCODING};
use http::{HeaderMap, HeaderValue, Method, Request, Uri};
use http_body::Body as _;
use http_body_util::{BodyExt as _, Full};
use wasmtime_wasi_http::{Error, WasiBody};

use super::answer::{Filled, Sent};
use super::form;
use super::token::Found;
use super::vault::{Use, Vault};
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
        self.fill_headers(&mut head.headers, &origin, &mut sent)?;
        let body = if body.is_end_stream() {
            body
        } else {
            let too_large = Error::HttpRequestBodySize(Some(LARGEST_REQUEST as u64));
            let bytes = whole(body, LARGEST_REQUEST, too_large).await.map_err(Refusal::Failed)?;
            let bytes = if self.mint.is_in(&bytes) {
                if head.method != Method::POST || !form::is_form(&head.headers) {
                    return Err(self.misplaced("the body, which is no posted form,", &origin));
                }
                let filled = self.fill_form(&bytes, &origin, &head.uri, &mut sent).await?;
                sent.as_made = Some((head.clone(), bytes.into()));
                filled
            } else {
                bytes
            };
            // A request without a body says nothing of its length.
            if !bytes.is_empty() {
                head.headers.remove(TRANSFER_ENCODING);
                head.headers.insert(CONTENT_LENGTH, bytes.len().into());
            }
            whole_body(bytes.into())
        };
        if sent.is_secret() {
            // In another coding, or in pieces, what comes back could not be looked through.
            head.headers.remove(ACCEPT_ENCODING);
            head.headers.remove(RANGE);
        }
        Ok((Request::from_parts(head, body), sent))
    }

    fn fill_headers(&self, headers: &mut HeaderMap, origin: &Origin, sent: &mut Sent) -> Result<(), Refusal> {
        for (name, value) in headers {
            if self.mint.is_in(name.as_str()) || (self.mint.is_in(value.as_bytes()) && name != AUTHORIZATION) {
                return Err(self.misplaced(&format!("the header `{name}`"), origin));
            }
            if !self.mint.is_in(value.as_bytes()) {
                continue;
            }
            let credential = value.to_str().ok().and_then(|value| value.split_once(' '));
            let bearer = credential.filter(|(scheme, _)| scheme.eq_ignore_ascii_case("Bearer"));
            let Some((_, shown)) = bearer else { return Err(self.misplaced("the header `authorization`", origin)) };
            match self.tokens().find(shown, origin) {
                Found::Real(token) => {
                    let mut filled = HeaderValue::try_from(format!("Bearer {}", token.expose()))
                        .map_err(|_| self.misplaced("the header `authorization`", origin))?;
                    filled.set_sensitive(true);
                    *value = filled;
                    sent.tokens.push(token);
                }
                Found::Elsewhere => return Err(self.misplaced("the header `authorization`", origin)),
                Found::Unknown => {
                    let reason =
                        format!("the token in a request to {origin} is none that this host handed out or still has");
                    let hint = "a component asks for another token where it has none that is good".to_owned();
                    return Err(Refusal::Denied(Denial { reason, hint: Some(hint) }));
                }
            }
        }
        Ok(())
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
            let fits = |planned: &&Use| planned.origin == *origin && planned.form_field == field.name;
            let planned = secret.uses.iter().find(fits).ok_or_else(place)?;
            let value = secret.source.value(url).await.map_err(Refusal::Missing)?;
            filled.extend_from_slice(&field.with(value.expose()));
            sent.secrets.push(Filled {
                placeholder: secret.placeholder.clone(),
                form_field: planned.form_field.clone(),
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
            for Use { origin, form_field, bearer_at, .. } in &secret.uses {
                let separator = if planned.is_empty() { "" } else { ", " };
                // A `String` takes everything.
                let _ = write!(planned, "{separator}`{}` in the form field `{form_field}` to {origin}", secret.pointer);
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

fn origin(url: &Uri) -> Result<Origin, Denial> {
    Origin::new(url.scheme_str().unwrap_or_default(), url.host().unwrap_or_default(), url.port_u16())
        .map_err(|error| Denial { reason: error.to_string(), hint: None })
}
