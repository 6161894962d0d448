//! Secrets that are known by what they look like.

use std::ops::Range;

use crate::placeholder::is_placeholder;

/// A part of a text that looks like a secret.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Shape {
    /// Where it is, in bytes.
    pub at: Range<usize>,
    /// What it looks like.
    pub what: &'static str,
    /// The name that its placeholder gets.
    pub kind: &'static str,
}

/// A shorter credential is a word.
const SHORTEST_CREDENTIAL: usize = 20;
/// A shorter signature is none.
const SHORTEST_SIGNATURE: usize = 16;
/// What follows `Q~` in a client secret of Microsoft Entra ID has so many characters, or a few more.
const SECRET_TAIL: usize = 31;
/// What precedes it: three characters and a digit.
const SECRET_HEAD: usize = 4;

/// The parts of a text that look like secrets, in their order, and none twice: signed tokens, what follows `Bearer`,
/// client secrets of Microsoft Entra ID, private keys. Placeholders are none.
pub fn shapes(text: &str) -> Vec<Shape> {
    let mut found: Vec<Shape> = Vec::new();
    for finder in [tokens, bearers, client_secrets, private_keys] {
        for shape in finder(text) {
            let overlaps = found.iter().any(|other| other.at.start < shape.at.end && shape.at.start < other.at.end);
            if !overlaps && !is_placeholder(&text[shape.at.clone()]) {
                found.push(shape);
            }
        }
    }
    found.sort_by_key(|shape| shape.at.start);
    found
}

/// JSON Web Tokens: base64url of an object, and at least two more parts, of which the last is long.
fn tokens(text: &str) -> Vec<Shape> {
    let part = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
    runs(text, "eyJ", part)
        .filter(|at| {
            let parts: Vec<&str> = text[at.clone()].split('.').collect();
            parts.len() > 2 && parts[2..].iter().any(|part| part.len() >= SHORTEST_SIGNATURE)
        })
        .map(|at| Shape { at, what: "a signed token (JWT)", kind: "token" })
        .collect()
}

/// What follows `Bearer` and could be sent.
fn bearers(text: &str) -> Vec<Shape> {
    let token = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~+/=".contains(&byte);
    text.match_indices("Bearer ")
        .chain(text.match_indices("bearer "))
        .filter_map(|(at, word)| {
            let start = at + word.len();
            let length = text[start..].bytes().take_while(|byte| token(*byte)).count();
            let value = &text[start..start + length];
            let is_credential = length >= SHORTEST_CREDENTIAL
                && value.bytes().any(|byte| byte.is_ascii_digit())
                && !value.trim_end_matches('=').contains('=');
            is_credential.then(|| Shape {
                at: start..start + length,
                what: "what follows `Bearer`",
                kind: "access-token",
            })
        })
        .collect()
}

/// Client secrets of Microsoft Entra ID, which hold `Q~` after three characters and a digit.
fn client_secrets(text: &str) -> Vec<Shape> {
    let letter = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.~".contains(&byte);
    let bytes = text.as_bytes();
    text.match_indices("Q~")
        .filter_map(|(at, mark)| {
            let start = at.checked_sub(SECRET_HEAD)?;
            let tail = bytes[at + mark.len()..].iter().take_while(|byte| letter(**byte)).count();
            let head = bytes[start..at - 1].iter().all(|byte| letter(*byte)) && bytes[at - 1].is_ascii_digit();
            (head && tail >= SECRET_TAIL).then(|| Shape {
                at: start..at + mark.len() + tail,
                what: "a client secret of Microsoft Entra ID",
                kind: "client-secret",
            })
        })
        .collect()
}

fn private_keys(text: &str) -> Vec<Shape> {
    const BEGIN: &str = "-----BEGIN ";
    text.match_indices(BEGIN)
        .filter(|(at, _)| {
            let label = text[at + BEGIN.len()..].split("-----").next().unwrap_or_default();
            label.ends_with("PRIVATE KEY")
        })
        .map(|(at, _)| {
            let rest = &text[at..];
            let end = rest.find("-----END ").and_then(|end| Some(end + 9 + rest[end + 9..].find("-----")? + 5));
            Shape { at: at..at + end.unwrap_or(rest.len()), what: "a private key", kind: "private-key" }
        })
        .collect()
}

/// The longest runs of such bytes that begin with a word.
fn runs<'t>(
    text: &'t str,
    word: &'t str,
    is_part: impl Fn(u8) -> bool + 't,
) -> impl Iterator<Item = Range<usize>> + 't {
    let mut end = 0;
    text.match_indices(word).filter_map(move |(at, _)| {
        if at < end {
            return None;
        }
        end = at + text[at..].bytes().take_while(|byte| is_part(*byte)).count();
        // A full stop ends a sentence.
        let run = text[at..end].trim_end_matches('.');
        Some(at..at + run.len())
    })
}
