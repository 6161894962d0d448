//! Answers on their way to the component, when their request carried a secret or a token.

use std::borrow::Cow;
use std::sync::Arc;

use bytes::Bytes;
use http::header::{CONTENT_ENCODING, CONTENT_LENGTH, TRAILER, TRANSFER_ENCODING};
use http::request::Parts;
use http::{HeaderMap, HeaderValue, Request, Response, StatusCode};
use http_body_util::{BodyExt as _, Full};
use serde::de::IgnoredAny;
use wasmtime_wasi_http::{Error, WasiBody};

use super::capture::{Kind, Piece, pieces};
use super::fill::{Refusal, whole_body};
use super::mask::{MaskedBody, mask_headers};
use super::scrub::Scrubber;
use super::token::secret_part;
use super::vault::Vault;
use super::{SecretSource, SecretValue};
use crate::body::whole;
use crate::origin::Origin;

/// The largest answer to a request with a secret, in bytes. Tokens have a few thousand.
const LARGEST_ANSWER: usize = 256 << 10;

/// Tokens in one answer.
const MOST_TOKENS: usize = 8;

/// What the component gets of JSON in which a token may stand that nobody can find.
const WITHHELD: &str = "withheld by the host: the answer is no JSON object";

/// What stands for each byte of an answer that is no JSON at all.
const MASK: u8 = b'*';

/// What it gets in place of a token that no header may carry, so that it says just that of it.
const NO_HEADER: &str = "withheld by the host: no header may carry this token";

/// What was filled into one request.
#[derive(Default)]
pub(crate) struct Sent {
    pub(super) secrets: Vec<Filled>,
    /// The members of the answer that are tokens.
    pub(super) captures: Vec<String>,
    /// Where those may be sent.
    pub(super) bearer_at: Vec<Origin>,
    /// Tokens that went out as `Authorization`.
    pub(super) tokens: Vec<SecretValue>,
    /// Those of them that are secrets of the configuration, with where they come from.
    pub(super) bearers: Vec<(Arc<dyn SecretSource>, SecretValue)>,
    /// The request as the component made it, where a secret or a token was filled in.
    pub(super) as_made: Option<(Parts, Bytes)>,
}

/// What became of an answer.
pub(crate) enum Received {
    /// It is handed on.
    Answer(Response<WasiBody>),
    /// A secret was refused, and there is another: the request is to be filled in and sent once more.
    Again(Request<WasiBody>),
}

/// A secret that was filled in.
pub(super) struct Filled {
    /// What stood for it.
    pub(super) placeholder: String,
    /// The field that it went into.
    pub(super) form_field: String,
    pub(super) value: SecretValue,
    pub(super) source: Arc<dyn SecretSource>,
}

impl Sent {
    /// Whether the request carries anything that the component must not have.
    pub(super) fn is_secret(&self) -> bool {
        !self.secrets.is_empty() || !self.tokens.is_empty()
    }
}

impl Vault {
    /// The answer as the component gets it: tokens are swapped for placeholders, and what was sent and comes back is
    /// taken out. What the service issued in place of a secret is stored before. Where one was refused that has another
    /// value, and the request may be repeated, the component gets none of that answer.
    pub(crate) async fn receive(
        &self,
        response: Response<WasiBody>,
        sent: &mut Sent,
        may_repeat: bool,
    ) -> Result<Received, Refusal> {
        let (mut head, mut body) = response.into_parts();
        let bearers = sent.bearers.iter().map(|(source, value)| (source, value));
        if may_repeat
            && head.status == StatusCode::UNAUTHORIZED
            && has_another(bearers).await
            && let Some((head, body)) = sent.as_made.take()
        {
            return Ok(Received::Again(Request::from_parts(head, whole_body(body))));
        }
        if !sent.secrets.is_empty() {
            let too_large = Error::HttpResponseBodySize(Some(LARGEST_ANSWER as u64));
            let document = whole(body, LARGEST_ANSWER, too_large).await.map_err(Refusal::Failed)?;
            let filled = sent.secrets.iter().map(|filled| (&filled.source, &filled.value));
            if may_repeat
                && refuses_client(head.status, &document)
                && has_another(filled).await
                && let Some((head, body)) = sent.as_made.take()
            {
                return Ok(Received::Again(Request::from_parts(head, whole_body(body))));
            }
            let mut scrubber = Scrubber::default();
            for filled in &sent.secrets {
                scrubber.add(filled.value.expose(), &filled.placeholder);
            }
            let coded = head.headers.get(CONTENT_ENCODING).is_some_and(|coding| coding != "identity");
            let issued = if coded || !head.status.is_success() { Vec::new() } else { issued(&document, sent) };
            for (filled, value) in issued.iter().filter(|(filled, value)| filled.value != *value) {
                filled.source.rotated(&filled.value, value.clone()).await.map_err(Refusal::Missing)?;
            }
            let read = if coded { None } else { self.rewrite(&document, head.status, sent, &issued, &mut scrubber) };
            let document = match read {
                Some(rewritten) => rewritten,
                None if document.is_empty() => document,
                // An error says why no token is issued, and holds none.
                None if !head.status.is_success() && !coded => scrubber.bytes(&document).unwrap_or(document),
                None => {
                    tracing::warn!(
                        status = head.status.as_u16(),
                        bytes = document.len(),
                        "an answer to a request with a secret is no JSON object, and was withheld from the component"
                    );
                    withheld(&document)
                }
            };
            scrub_headers(&mut head.headers, &scrubber);
            head.headers.insert(CONTENT_LENGTH, document.len().into());
            for other in [CONTENT_ENCODING, TRAILER, TRANSFER_ENCODING] {
                head.headers.remove(other);
            }
            body = Full::new(Bytes::from(document)).map_err(|never| match never {}).boxed_unsync();
        }
        for token in &sent.tokens {
            let part = token.expose().get(secret_part(token.expose())..).unwrap_or_default().as_bytes();
            if !part.is_empty() {
                mask_headers(&mut head.headers, part);
                body = MaskedBody::new(body, part).boxed_unsync();
            }
        }
        Ok(Received::Answer(Response::from_parts(head, body)))
    }

    /// The document with placeholders in place of tokens and secrets, byte for byte where it holds none; nothing where it
    /// is no JSON, or issues tokens and is no object.
    fn rewrite(
        &self,
        document: &[u8],
        status: StatusCode,
        sent: &Sent,
        issued: &[(&Filled, SecretValue)],
        scrubber: &mut Scrubber,
    ) -> Option<Vec<u8>> {
        let text = std::str::from_utf8(document).ok()?;
        let (mark, text) = match text.strip_prefix('\u{feff}') {
            Some(rest) => ("\u{feff}", rest),
            None => ("", text),
        };
        if status.is_success() && !text.trim_start().starts_with('{') {
            return None;
        }
        let pieces = pieces(text, &sent.captures)?;
        if pieces.iter().filter(|piece| matches!(piece.kind, Kind::Token(_))).count() > MOST_TOKENS {
            return None;
        }
        let mut shown = Vec::new();
        for piece in &pieces {
            if let Kind::Token(token) = &piece.kind {
                // What comes in place of a secret has the same placeholder, and is no bearer token.
                let (handed_out, part) = match issued.iter().find(|(_, value)| value.expose() == token) {
                    Some((filled, _)) => (Some(filled.placeholder.clone()), 0),
                    None if token.is_empty() => (Some(String::new()), 0),
                    None => (self.tokens().keep(token, &sent.bearer_at, &self.mint), secret_part(token)),
                };
                // The token may stand in other members as well, also one that is of no use.
                let instead = handed_out.as_deref().and_then(|handed_out| handed_out.get(part..)).unwrap_or_default();
                scrubber.add(&token[part..], instead);
                shown.push(handed_out);
            }
        }
        let mut shown = shown.into_iter();
        let mut rewritten = mark.to_owned();
        let mut end = 0;
        for Piece { at, kind } in pieces {
            let written = text.get(at.clone())?;
            let instead: Cow<'_, str> = match kind {
                Kind::Token(_) => match shown.next()? {
                    Some(handed_out) => quoted(&handed_out).into(),
                    None => quoted(NO_HEADER).into(),
                },
                Kind::Odd => "null".into(),
                Kind::Text(text) => scrubber.text(&text).map_or(written.into(), |text| quoted(&text).into()),
            };
            rewritten.push_str(text.get(end..at.start)?);
            rewritten.push_str(&instead);
            end = at.end;
        }
        rewritten.push_str(text.get(end..)?);
        Some(rewritten.into_bytes())
    }
}

/// What the component gets of an answer in which a token may stand that nobody can find. It says of the service what it makes
/// of this, so JSON stays JSON, and anything else has as many bytes as it had. JSON becomes a text, and not an empty list: nobody
/// may take that for an answer without rows.
fn withheld(document: &[u8]) -> Vec<u8> {
    let text = document.strip_prefix(b"\xef\xbb\xbf").unwrap_or(document);
    match serde_json::from_slice::<IgnoredAny>(text) {
        Ok(_) => quoted(WITHHELD).into_bytes(),
        Err(_) => vec![MASK; document.len()],
    }
}

/// Whether the answer says that what proves the application is no good. Source: RFC 6749, section 5.2.
fn refuses_client(status: StatusCode, document: &[u8]) -> bool {
    let members: serde_json::Map<_, _> = serde_json::from_slice(document).unwrap_or_default();
    status.is_client_error() && members.get("error").is_some_and(|error| error == "invalid_client")
}

/// Tells each secret that it was refused, and says whether any of them has another value.
pub(crate) async fn has_another(sent: impl Iterator<Item = (&Arc<dyn SecretSource>, &SecretValue)>) -> bool {
    let mut has_another = false;
    for (source, value) in sent {
        has_another |= source.refused(value).await;
    }
    has_another
}

/// What an answer holds in place of secrets that were sent: the member that is named as the field that one went into.
fn issued<'a>(document: &[u8], sent: &'a Sent) -> Vec<(&'a Filled, SecretValue)> {
    let document = document.strip_prefix(b"\xef\xbb\xbf").unwrap_or(document);
    let members: serde_json::Map<_, _> = serde_json::from_slice(document).unwrap_or_default();
    let in_place = |filled: &'a Filled| {
        let value = members.get(&filled.form_field)?.as_str().filter(|value| !value.is_empty())?;
        Some((filled, SecretValue::new(value)))
    };
    let captured = sent.secrets.iter().filter(|filled| sent.captures.contains(&filled.form_field));
    captured.filter_map(in_place).collect()
}

fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

fn scrub_headers(headers: &mut HeaderMap, scrubber: &Scrubber) {
    for value in headers.values_mut() {
        if let Some(scrubbed) = scrubber.bytes(value.as_bytes()) {
            *value = HeaderValue::from_bytes(&scrubbed).unwrap_or(HeaderValue::from_static(""));
        }
    }
}
