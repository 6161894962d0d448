//! Secrets that must show up nowhere.

use std::fmt::Debug;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

/// The client secret of every configuration here.
pub(crate) const SECRET: &str = "kanarie9Q~+/=&% x";

/// The bearer token that is answered. Shorter than what is taken for a token by its looks.
pub(crate) const TOKEN: &str = "sijsje7T.a-b_c";

/// What a link to a further page holds.
pub(crate) const LINK: &str = "putter5L_skip";

/// What of the three reads the same in clear, in a form, in JSON and in HTML.
const CORES: [&str; 3] = ["kanarie9Q", "sijsje7T", "putter5L"];

const UNRESERVED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// Foreign bytes with the secrets put in where the bytes ask for them: `@S@` for the client secret, `@F@` as a form
/// carries it, `@J@` as JSON does, `@T@` for the token. The bytes themselves cannot write a secret in part.
pub(crate) fn with_secrets(foreign: &[u8]) -> Vec<u8> {
    let mut bytes = foreign.to_vec();
    for core in CORES {
        replace(&mut bytes, core.as_bytes(), b"");
    }
    let json = serde_json::Value::from(SECRET).to_string();
    let form = utf8_percent_encode(SECRET, UNRESERVED).to_string();
    let token = TOKEN.to_owned();
    for (mark, secret) in [("@S@", SECRET), ("@F@", &form), ("@J@", json.trim_matches('"')), ("@T@", &token)] {
        replace(&mut bytes, mark.as_bytes(), secret.as_bytes());
    }
    bytes
}

/// Puts one in place of another, everywhere.
pub(crate) fn replace(bytes: &mut Vec<u8>, from: &[u8], to: &[u8]) {
    let mut at = 0;
    while let Some(found) = find(&bytes[at..], from) {
        bytes.splice(at + found..at + found + from.len(), to.iter().copied());
        at += found + to.len();
        // What is left of and right of a removal may make up another.
        if to.is_empty() {
            at = at.saturating_sub(from.len());
        }
    }
}

/// Where these bytes begin in others.
pub(crate) fn find(bytes: &[u8], part: &[u8]) -> Option<usize> {
    memchr::memmem::find(bytes, part)
}

/// Fails where a secret is shown.
pub(crate) fn check(shown: &impl Debug) {
    check_text(&format!("{shown:?}"));
}

pub(crate) fn check_text(shown: &str) {
    for core in CORES {
        assert!(!shown.contains(core), "a secret is shown: {shown}");
    }
}
