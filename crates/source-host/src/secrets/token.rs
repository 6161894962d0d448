//! The tokens that secrets were exchanged for.

use std::collections::VecDeque;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Map, Value};

use super::SecretValue;
use super::placeholder::Mint;
use crate::origin::Origin;

/// Tokens kept for a source. One is in use at a time; an older one may be in a request that is under way.
const KEPT: usize = 16;

/// The shortest signature that is taken for one, in characters. Those that Microsoft makes have 342.
const SHORTEST_SIGNATURE: usize = 20;

/// The tokens of one source, the newest last.
#[derive(Default)]
pub(super) struct Tokens(VecDeque<Token>);

/// A token, what the component has of it, and where it may be sent.
struct Token {
    real: SecretValue,
    shown: String,
    bearer_at: Vec<Origin>,
}

/// What became of a token that a component wants to send.
pub(super) enum Found {
    /// The real one.
    Real(SecretValue),
    /// There is one, and it is not for this origin.
    Elsewhere,
    /// There is none.
    Unknown,
}

impl Tokens {
    /// Keeps a token and returns what the component gets of it; none where it is no bearer token.
    pub(super) fn keep(&mut self, real: &str, bearer_at: &[Origin], mint: &Mint) -> Option<String> {
        if !real.bytes().all(|byte| byte.is_ascii_graphic()) {
            return None;
        }
        if let Some(known) = self.0.iter_mut().find(|known| known.real.expose() == real) {
            known.bearer_at.extend_from_slice(bearer_at);
            return Some(known.shown.clone());
        }
        let shown = real[..secret_part(real)].to_owned() + &mint.placeholder("token");
        if self.0.len() == KEPT {
            self.0.pop_front();
        }
        let bearer_at = bearer_at.to_vec();
        self.0.push_back(Token { real: SecretValue::new(real), shown: shown.clone(), bearer_at });
        Some(shown)
    }

    /// The token that the component has this of.
    pub(super) fn find(&self, shown: &str, origin: &Origin) -> Found {
        match self.0.iter().find(|token| token.shown == shown) {
            None => Found::Unknown,
            Some(token) if token.bearer_at.contains(origin) => Found::Real(token.real.clone()),
            Some(_) => Found::Elsewhere,
        }
    }

    pub(super) fn clear(&mut self) {
        self.0.clear();
    }
}

/// Where the part of a token begins that must not be known. Header and claims of a signed JWT may: they say for whom and
/// how long it is, and are worth nothing without the signature. Of any other token it is all.
pub(super) fn secret_part(token: &str) -> usize {
    let Some((signed, signature)) = token.rsplit_once('.') else { return 0 };
    let Some((header, claims)) = signed.split_once('.') else { return 0 };
    let is_signature = signature.len() >= SHORTEST_SIGNATURE && URL_SAFE_NO_PAD.decode(signature).is_ok();
    let is_jwt = object(header).is_some_and(|header| header.get("alg").is_some_and(Value::is_string));
    if is_signature && is_jwt && object(claims).is_some() { signed.len() + 1 } else { 0 }
}

/// When a signed JWT says that it ends, in time since 1970; none for any other token. Source: RFC 7519, section 4.1.4.
pub(crate) fn expiry(token: &str) -> Option<Duration> {
    claims(token)?.get("exp")?.as_u64().map(Duration::from_secs)
}

/// What a signed JWT says; none of any other token. The signature is the service's to look at.
pub(crate) fn claims(token: &str) -> Option<Map<String, Value>> {
    object(token.rsplit_once('.')?.0.split_once('.')?.1)
}

fn object(part: &str) -> Option<Map<String, Value>> {
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(part).ok()?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    const SIGNATURE: &str = "c2lnbmF0dXJlLWNhbmFyeS0xMjM0NTY3";

    fn jwt(header: &str, claims: &str) -> String {
        format!("{}.{}.{SIGNATURE}", URL_SAFE_NO_PAD.encode(header), URL_SAFE_NO_PAD.encode(claims))
    }

    fn origin(text: &str) -> Origin {
        text.parse().unwrap()
    }

    #[test]
    fn header_and_claims_of_a_signed_jwt_are_shown_and_nothing_of_any_other_token() {
        let token = jwt(r#"{"alg":"RS256"}"#, r#"{"aud":"x"}"#);
        assert_eq!(&token[secret_part(&token)..], SIGNATURE);
        let short = token.replace(SIGNATURE, "c2ln");
        let five = format!("{token}.a.b");
        let (no_header, no_claims) = (jwt("{}", "{}"), jwt(r#"{"alg":"RS256"}"#, "[1]"));
        for opaque in
            [&short, &five, &no_header, &no_claims, "opaque", "id.secret.part-that-is-as-long-as-one", "..", ""]
        {
            assert_eq!(secret_part(opaque), 0, "{opaque}");
        }
    }

    #[test]
    fn a_token_is_found_by_what_the_component_has_and_only_for_its_origins() {
        let (mut tokens, mint) = (Tokens::default(), Mint::new().unwrap());
        let (api, other) = (origin("https://api.example"), origin("https://other.example"));
        let shown = tokens.keep("opaque-canary", std::slice::from_ref(&api), &mint).unwrap();
        assert!(!shown.contains("canary") && mint.is_in(&shown), "{shown}");
        assert!(matches!(tokens.find(&shown, &api), Found::Real(real) if real.expose() == "opaque-canary"));
        assert!(matches!(tokens.find(&shown, &other), Found::Elsewhere));
        assert!(matches!(tokens.find(&format!("{shown}0"), &api), Found::Unknown));
        assert!(matches!(tokens.find("opaque-canary", &api), Found::Unknown));
        assert_eq!(tokens.keep("opaque-canary", std::slice::from_ref(&other), &mint), Some(shown.clone()));
        assert!(matches!(tokens.find(&shown, &other), Found::Real(_)));
        assert_eq!(tokens.keep("no\ntoken", &[api], &mint), None);
    }

    #[test]
    fn so_many_are_kept_and_the_oldest_goes() {
        let (mut tokens, mint, api) = (Tokens::default(), Mint::new().unwrap(), origin("https://api.example"));
        let shown: Vec<_> =
            (0..=KEPT).map(|n| tokens.keep(&n.to_string(), std::slice::from_ref(&api), &mint).unwrap()).collect();
        assert!(matches!(tokens.find(&shown[0], &api), Found::Unknown));
        assert!(shown[1..].iter().all(|shown| matches!(tokens.find(shown, &api), Found::Real(_))));
        tokens.clear();
        assert!(matches!(tokens.find(&shown[1], &api), Found::Unknown));
    }
}
