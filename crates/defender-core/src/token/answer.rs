//! What the token endpoint answers.

use super::cache::Token;
use super::refusal::refusal;
use crate::config::Config;
use crate::contract::{Delay, Failure, Fault};
use crate::failure::{excerpt, is_markup, quote, request_id, see};
use crate::http::ResponseHead;
use crate::json::Node;
use crate::secret::Secret;
use crate::tick::Now;

/// The life of a token whose answer states none that makes sense, in nanoseconds: five minutes. Known lives are an hour
/// and longer; if one is shorter, the API's 401 ends it.
pub const DEFAULT_LIFETIME: u64 = 5 * 60 * 1_000_000_000;

/// The longest life that is believed, in nanoseconds: one day, as long-lived tokens have it.
pub const MAX_LIFETIME: u64 = 24 * 3600 * 1_000_000_000;

/// Reads an answer of the token endpoint that has arrived `now`.
///
/// `expires_in` decides, counted from the arrival on the monotonic clock; numbers may be written as strings, as v1 does.
/// `expires_on` and `not_before` are ignored: in the sample of Microsoft's page they are equal. So are unknown members.
///
/// # Errors
///
/// What a refusal means follows from its body rather than from its status, since the same error comes with 400 and 401.
/// A body that is cut off is [`Failure::Unavailable`], an answer without a usable token [`Failure::Rejected`].
pub fn read_token(head: &ResponseHead, body: &[u8], now: Now, config: &Config) -> Result<Token, Failure> {
    let parsed = Node::read(body.strip_prefix(b"\xef\xbb\xbf").unwrap_or(body));
    let refused = parsed.as_ref().is_ok_and(|value| value.get("error").is_some_and(|error| *error != Node::Null));
    if refused || !(200..300).contains(&head.status) {
        return Err(refusal(head, body, parsed.ok().as_ref(), now, config));
    }
    match parsed {
        Ok(value) => token(&value, now, config).map_err(|why| unreadable(head, &why, OTHER_ENDPOINT, config)),
        Err(error) if error.is_eof() && body.trim_ascii_start().starts_with(b"{") => {
            Err(Failure::Unavailable(Delay { after: None, fault: truncated(head, body.len(), config) }))
        }
        Err(_) => Err(unreadable(head, &format!("it answered {}", described(head, body, config)), PROXY, config)),
    }
}

/// The token of a successful answer, or why there is none: a clause.
fn token(value: &Node, now: Now, config: &Config) -> Result<Token, String> {
    let bearer = match value.get("access_token") {
        Some(Node::Text(bearer)) if !bearer.is_empty() => bearer,
        _ => return Err("its answer holds no `access_token`".to_owned()),
    };
    // A header takes visible ASCII; a line break in it would begin another one.
    if !bearer.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err("the `access_token` holds characters that no header may carry".to_owned());
    }
    match value.get("token_type") {
        None | Some(Node::Null) => {}
        Some(Node::Text(kind)) if kind.trim().eq_ignore_ascii_case("bearer") => {}
        Some(Node::Text(kind)) => {
            let bearer = Secret::new(bearer);
            let secrets = [config.credential.secrets(), vec![&bearer]].concat();
            return Err(format!("the token's type is \"{}\" where Bearer is needed", quote(kind, &secrets)));
        }
        Some(_) => return Err("the token's type is not a string".to_owned()),
    }
    let lifetime = value
        .get("expires_in")
        .and_then(seconds)
        .map_or(DEFAULT_LIFETIME, |seconds| seconds.saturating_mul(1_000_000_000).min(MAX_LIFETIME));
    Ok(Token::new(Secret::new(bearer), now, lifetime))
}

/// A number of whole seconds above zero, as a number or a string.
fn seconds(value: &Node) -> Option<u64> {
    let seconds = match value {
        Node::Whole(seconds) => Some(*seconds),
        Node::Text(text) => text.trim().parse().ok(),
        _ => None,
    };
    seconds.filter(|seconds| *seconds > 0)
}

/// What to do where the answer is no JSON.
const PROXY: &str = "A proxy's page is the usual culprit: let this host through it; then check `endpoints.token`.";

/// What to do where it is JSON.
const OTHER_ENDPOINT: &str = "Microsoft's login answers with a Bearer token as `access_token`: check `endpoints.token`, and what stands in between.";

fn unreadable(head: &ResponseHead, why: &str, hint: &str, config: &Config) -> Failure {
    Failure::Rejected(fault(
        head,
        "token.unreadable",
        format!(
            "The token endpoint {} gave no usable token for tenant {} (HTTP {}): {why}.",
            config.token_endpoint.host, config.tenant_id, head.status
        ),
        hint,
        "tokenunreadable",
        config,
    ))
}

fn truncated(head: &ResponseHead, bytes: usize, config: &Config) -> Fault {
    fault(
        head,
        "token.truncated",
        format!(
            "The answer of the token endpoint {} for tenant {} broke off after {bytes} bytes (HTTP {}).",
            config.token_endpoint.host, config.tenant_id, head.status
        ),
        "It passes by itself. If it goes on, look for a proxy or firewall that cuts connections.",
        "tokentruncated",
        config,
    )
}

/// What a successful answer is that is no JSON: quoted only where it is a page, since it may hold the token.
fn described(head: &ResponseHead, body: &[u8], config: &Config) -> String {
    let media_type = head.header("content-type");
    let secrets = config.credential.secrets();
    if body.is_empty() || is_markup(None, &String::from_utf8_lossy(body)) {
        return excerpt(media_type, body, &secrets);
    }
    let kind = media_type.map(|kind| quote(kind, &secrets) + ", ").unwrap_or_default();
    format!("{kind}{} bytes that are not JSON", body.len())
}

fn fault(head: &ResponseHead, code: &str, message: String, hint: &str, section: &str, config: &Config) -> Fault {
    Fault {
        code: code.to_owned(),
        message,
        hint: Some(see(hint, section)),
        status: Some(head.status),
        request_id: request_id(None, head, config),
        checkpoint: None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_config::{at, config};
    use crate::token::TokenCache;

    fn read(body: &str) -> Result<Token, Failure> {
        let head =
            ResponseHead { status: 200, headers: vec![("Content-Type".to_owned(), "application/json".to_owned())] };
        read_token(&head, body.as_bytes(), at(1000), &config())
    }

    fn lifetime(body: &str) -> u64 {
        // The margin is five minutes, and these lives are longer than ten.
        (read(body).unwrap().usable_for() + DEFAULT_LIFETIME) / 1_000_000_000
    }

    #[test]
    fn the_answers_of_v1_and_v2_and_of_microsofts_page_are_read() {
        for body in [
            r#"{"token_type":"Bearer","expires_in":"3599","ext_expires_in":"3599","expires_on":"1767229199","not_before":"1767225300","resource":"https://graph.windows.net","access_token":"abc.def"}"#,
            r#"{"token_type":"Bearer","expires_in":3599,"ext_expires_in":3599,"access_token":"abc.def"}"#,
            "{\n \"token_type\": \"Bearer\",\n \"expires_in\": 3599,\n \"ext_expires_in\": 0,\n \"expires_on\": 1488720683,\n \
             \"not_before\": 1488720683,\n \"access_token\":\"abc.def\"\n}\r\n",
            "\u{feff}{\"token_type\":\"bearer\",\"expires_in\":\" 3599 \",\"access_token\":\"abc.def\",\"new\":{\"a\":[1]}}",
            r#"{"expires_in":3599,"access_token":"abc.def","error":null}"#,
        ] {
            assert_eq!(read(body).unwrap().bearer().expose(), "abc.def", "{body}");
            assert_eq!(lifetime(body), 3599, "{body}");
        }
    }

    #[test]
    fn a_token_lives_from_its_arrival_whatever_expires_on_says() {
        let mut cache = TokenCache::new();
        cache.store(
            read(r#"{"expires_in":3599,"expires_on":"1","not_before":99999999999,"access_token":"t"}"#).unwrap(),
        );
        assert!(cache.bearer(at(1000 + 3298)).is_some());
        assert!(cache.bearer(at(1000 + 3299)).is_none());
    }

    #[test]
    fn a_life_that_makes_no_sense_is_five_minutes_and_a_very_long_one_is_a_day() {
        for value in ["null", "0", "-5", "\"\"", "\"soon\"", "\"0\"", "[]", "{}", "true", "1e400000", "0.5"] {
            let body = format!(r#"{{"expires_in":{value},"access_token":"t"}}"#);
            if let Ok(token) = read(&body) {
                assert_eq!(token.usable_for(), DEFAULT_LIFETIME, "{value}");
            } else {
                assert_eq!(value, "1e400000", "no number of JSON's");
            }
        }
        assert_eq!(read(r#"{"access_token":"t"}"#).unwrap().usable_for(), DEFAULT_LIFETIME);
        for value in ["86401", "18446744073709551615", "\"18446744073709551615\""] {
            assert_eq!(lifetime(&format!(r#"{{"expires_in":{value},"access_token":"t"}}"#)), 86_400, "{value}");
        }
    }

    #[test]
    fn an_answer_without_a_usable_token_is_rejected_and_not_quoted() {
        for (body, part) in [
            (r#"{"token_type":"Bearer","expires_in":3599}"#, "no `access_token`"),
            (r#"{"access_token":""}"#, "no `access_token`"),
            (r#"{"access_token":null}"#, "no `access_token`"),
            (r#"{"access_token":["kanarie"]}"#, "no `access_token`"),
            (r#""kanarie""#, "no `access_token`"),
            (r#"["kanarie"]"#, "no `access_token`"),
            (r#"{"access_token":"kanarie\r\nX-Evil: 1"}"#, "no header may carry"),
            (r#"{"access_token":"kanarie b"}"#, "no header may carry"),
            (r#"{"access_token":"kanarié"}"#, "no header may carry"),
            (r#"{"token_type":"mac","access_token":"kanarie"}"#, "type is \"mac\""),
            (r#"{"token_type":"mac kanarie","access_token":"kanarie"}"#, "type is \"mac [redacted]\""),
            (r#"{"token_type":"mac kanarie~9Q+/=&% \u00e9's","access_token":"t1"}"#, "type is \"mac [redacted]\""),
            (r#"{"token_type":7,"access_token":"kanarie"}"#, "type is not a string"),
            ("", "application/json, an empty body"),
            ("access_token=kanarie", "application/json, 20 bytes that are not JSON"),
            (r#"{"access_token":"kanarie",}"#, "27 bytes that are not JSON"),
            ("<html><title>Log in first</title>", "\"Log in first\""),
        ] {
            let mut failure = read(body).unwrap_err();
            assert_eq!(failure.kind(), "rejected", "{body}");
            let fault = failure.fault_mut().unwrap();
            assert_eq!(fault.code, "token.unreadable");
            assert!(fault.message.contains(part), "{body}: {}", fault.message);
            assert!(fault.message.contains("login.microsoftonline.com") && fault.message.contains("contoso.example"));
            assert!(!format!("{failure:?}").contains("kanari"), "{failure:?}");
        }
    }

    #[test]
    fn an_answer_that_breaks_off_passes_by_itself_wherever_it_does() {
        let body = r#"{"token_type":"Bearer","expires_in":3599,"access_token":"kanarie\u00e9"}"#;
        for end in 1..body.len() {
            let mut failure = read(&body[..end]).unwrap_err();
            assert_eq!(failure.kind(), "unavailable", "{}", &body[..end]);
            assert_eq!(failure.fault_mut().unwrap().code, "token.truncated");
            assert!(!format!("{failure:?}").contains("kan"), "{failure:?}");
        }
    }
}
