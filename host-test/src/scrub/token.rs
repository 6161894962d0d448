//! What is kept of a signed token (JWT): for what, for whom and how long it is, and nothing else.

use ::base64::Engine as _;
use ::base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Map, Value};

/// What is kept of the header.
const HEADER: [&str; 2] = ["alg", "typ"];

/// The claims that a source may read. The others say who signed in, from where, and more that is nobody's business.
const CLAIMS: [&str; 14] =
    ["aud", "appid", "azp", "exp", "iat", "idtyp", "iss", "nbf", "roles", "scope", "scp", "tid", "ver", "wids"];

/// A shorter signature is none.
const SHORTEST_SIGNATURE: usize = 8;

/// The signature of a signed token, where it is one.
pub(super) fn signature(token: &str) -> Option<&str> {
    let [header, _, signature] = token.split('.').collect::<Vec<_>>()[..] else { return None };
    (header.starts_with("eyJ") && signature.len() >= SHORTEST_SIGNATURE).then_some(signature)
}

/// What may be kept of a signed token, encoded; the signature goes behind it.
pub(super) fn without_signature(token: &str) -> Option<String> {
    signature(token)?;
    let (header, rest) = token.split_once('.')?;
    let (claims, _) = rest.split_once('.')?;
    Some(format!("{}.{}", kept(header, &HEADER)?, kept(claims, &CLAIMS)?))
}

fn kept(part: &str, names: &[&str]) -> Option<String> {
    let object: Map<String, Value> = serde_json::from_slice(&URL_SAFE_NO_PAD.decode(part).ok()?).ok()?;
    let kept: Map<String, Value> = object.into_iter().filter(|(name, _)| names.contains(&name.as_str())).collect();
    Some(URL_SAFE_NO_PAD.encode(Value::Object(kept).to_string()))
}
