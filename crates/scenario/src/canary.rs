//! The secrets of a scenario, each of which must show up in no output.

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::Value;

use crate::interaction::{Answer, Interaction};
use crate::pattern::Pattern;
use crate::request_body::RecordedBody;
use crate::traffic::Traffic;

/// Names whose values are secrets, as form members, headers, query members, and members of JSON.
pub const SECRET_MEMBERS: [&str; 25] = [
    "access_token",
    "api-key",
    "api_key",
    "apikey",
    "assertion",
    "authorization",
    "certificate",
    "client_assertion",
    "client_secret",
    "code",
    "code_verifier",
    "cookie",
    "device_code",
    "federated_token",
    "id_token",
    "ocp-apim-subscription-key",
    "password",
    "private_key",
    "proxy-authorization",
    "refresh_token",
    "session_token",
    "set-cookie",
    "x-api-key",
    "x-auth-token",
    "x-identity-header",
];

/// A secret shorter than this would be found in an output by chance, so it cannot be looked for.
pub(crate) const SHORTEST_SECRET: usize = 8;

/// Whether values of this name are never shown. `clientSecret` and `client-secret` are `client_secret`.
pub fn is_secret(name: &str) -> bool {
    let plain = |name: &str| -> Vec<u8> {
        name.bytes().filter(|byte| !b"-_".contains(byte)).map(|byte| byte.to_ascii_lowercase()).collect()
    };
    let name = plain(name);
    SECRET_MEMBERS.iter().any(|secret| plain(secret) == name)
}

/// The secrets of a scenario.
#[derive(Clone, Default, Eq, PartialEq)]
pub struct Canaries {
    secrets: Vec<(String, String)>,
}

/// Says where the secrets come from, and none of them.
impl std::fmt::Debug for Canaries {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list().entries(self.secrets.iter().map(|(origin, _)| origin)).finish()
    }
}

impl Canaries {
    /// Finds the secrets of a configuration and of everything that was recorded.
    pub(crate) fn collect(config: &str, traffic: &Traffic) -> Self {
        let mut canaries = Self::default();
        if let Ok(config) = serde_json::from_str(config) {
            canaries.add_members("config.json", &config);
        }
        for interaction in traffic.interactions() {
            canaries.add_interaction(interaction);
        }
        canaries
    }

    /// These and one more, which is left out where it is too short to be looked for.
    #[must_use]
    pub fn and(mut self, origin: &str, secret: &str) -> Self {
        if secret.len() >= SHORTEST_SECRET {
            self.add(origin.to_owned(), secret);
        }
        self
    }

    /// Where in the scenario the first secret that `output` shows comes from, if it shows one: as it is, or encoded as
    /// JSON or a form would have it.
    pub fn find(&self, output: &[u8]) -> Option<&str> {
        let shows = |text: &String| output.windows(text.len()).any(|window| window == text.as_bytes());
        self.secrets.iter().find(|(_, secret)| spellings(secret).iter().any(shows)).map(|(origin, _)| origin.as_str())
    }

    /// The text with `[secret]` in place of every secret, however it is encoded.
    pub fn hide(&self, text: &str) -> String {
        let mut shown = text.to_owned();
        // The signature of a token is part of the token: the longer one goes first.
        let mut secrets: Vec<&str> = self.secrets.iter().map(|(_, secret)| secret.as_str()).collect();
        secrets.sort_by_key(|secret| std::cmp::Reverse(secret.len()));
        for spelling in secrets.into_iter().flat_map(spellings) {
            shown = shown.replace(&spelling, "[secret]");
        }
        shown
    }

    /// Where the secrets come from that are too short to be looked for.
    pub(crate) fn too_short(&self) -> impl Iterator<Item = &str> {
        self.secrets.iter().filter(|(_, secret)| secret.len() < SHORTEST_SECRET).map(|(origin, _)| origin.as_str())
    }

    fn add(&mut self, origin: String, secret: &str) {
        let known = self.secrets.iter().any(|(_, other)| other == secret);
        if secret.is_empty() || known {
            return;
        }
        // The signature alone makes a token worth stealing; its other parts are no secrets.
        if let [_, _, signature] = secret.split('.').collect::<Vec<_>>()[..]
            && signature.len() >= SHORTEST_SECRET
        {
            self.secrets.push((format!("the signature of {origin}"), signature.to_owned()));
        }
        self.secrets.push((origin, secret.to_owned()));
    }

    fn add_interaction(&mut self, interaction: &Interaction) {
        let place = format!("interaction {} of traffic.json", interaction.number);
        let request = &interaction.request;
        for (name, pattern) in request.body.form().iter().chain(&request.headers).chain(&request.query) {
            if let (true, Pattern::Exact(value)) = (is_secret(name), pattern) {
                let value = value.strip_prefix("Bearer ").unwrap_or(value);
                self.add(format!("`{name}` in the request of {place}"), value);
            }
        }
        if let RecordedBody::Json(body) = &request.body {
            self.add_members(&format!("the request of {place}"), &body.value);
        }
        let Answer::Response(response) = &interaction.answer else { return };
        for (name, value) in &response.headers {
            if is_secret(name) {
                self.add(format!("`{name}` in the response of {place}"), value);
            }
        }
        if let Ok(body) = serde_json::from_slice(&response.body) {
            self.add_members(&format!("the response of {place}"), &body);
        }
    }

    fn add_members(&mut self, place: &str, value: &Value) {
        let Value::Object(members) = value else { return };
        for (name, value) in members {
            if let (true, Value::String(secret)) = (is_secret(name) && name != "code", value) {
                self.add(format!("`{name}` in {place}"), secret);
            }
        }
    }
}

/// What RFC 3986 does not leave alone.
pub const RESERVED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// A secret as it is, and as a form and JSON have it, each once: most are the same in all of them.
fn spellings(secret: &str) -> Vec<String> {
    let in_form = utf8_percent_encode(secret, NON_ALPHANUMERIC).to_string();
    let as_sent = utf8_percent_encode(secret, RESERVED).to_string();
    let in_json = Value::from(secret).to_string();
    let mut spellings = vec![secret.to_owned(), in_form, as_sent, in_json.trim_matches('"').to_owned()];
    spellings.sort();
    spellings.dedup();
    spellings
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_found_however_it_is_encoded() {
        let canaries =
            Canaries::collect(r#"{"client_secret": "a+b/\"c\"=longer", "tenant_id": "t"}"#, &Traffic::default());
        for output in ["x a+b/\"c\"=longer y", "secret=a%2Bb%2F%22c%22%3Dlonger&", r#"{"m":"a+b/\"c\"=longer"}"#] {
            assert_eq!(canaries.find(output.as_bytes()), Some("`client_secret` in config.json"), "{output}");
            assert_eq!(canaries.find(canaries.hide(output).as_bytes()), None, "{output}");
        }
        assert_eq!(canaries.hide("x a+b/\"c\"=longer y"), "x [secret] y");
        assert_eq!(canaries.find(b"nothing of the kind"), None);
    }

    #[test]
    fn the_signature_of_a_token_is_a_secret_of_its_own_and_its_claims_are_none() {
        let canaries = Canaries::collect(r#"{"access_token": "aGVhZGVy.Y2xhaW1z.c2lnbmF0dXJl"}"#, &Traffic::default());
        let place = "the signature of `access_token` in config.json";
        assert_eq!(canaries.find(b"it ends in c2lnbmF0dXJl"), Some(place));
        assert_eq!(canaries.find(b"aGVhZGVy.Y2xhaW1z"), None);
    }

    #[test]
    fn secrets_are_not_shown_by_debug() {
        let canaries = Canaries::collect(r#"{"client_secret": "very-secret-value"}"#, &Traffic::default());
        assert!(!format!("{canaries:?}").contains("very-secret-value"));
    }
}
