//! Finds the texts of a JSON document, and the values of the members that are tokens.

use std::ops::Range;

use serde::de::IgnoredAny;

/// A part of a document, and where it is.
#[derive(Debug, Eq, PartialEq)]
pub(super) struct Piece {
    pub(super) at: Range<usize>,
    pub(super) kind: Kind,
}

/// What a part is.
#[derive(Debug, Eq, PartialEq)]
pub(super) enum Kind {
    /// The text of a member that is a token.
    Token(String),
    /// The value of such a member that is no text and may hold one.
    Odd,
    /// Any other text, the name of a member included.
    Text(String),
}

/// The parts of a document in their order; none where it is no JSON, or holds text that is none. Names are compared as
/// they are meant, whatever escapes they are written with, at every depth, and as often as they are there.
pub(super) fn pieces(document: &str, tokens: &[String]) -> Option<Vec<Piece>> {
    serde_json::from_str::<IgnoredAny>(document).ok()?;
    let bytes = document.as_bytes();
    let mut pieces = Vec::new();
    let mut is_token = false;
    let mut at = 0;
    // The document is known to be JSON: a text that a colon follows is the name of a member.
    while let Some(byte) = bytes.get(at) {
        let end = match byte {
            b'"' => {
                let end = text_end(bytes, at)?;
                let text: String = serde_json::from_str(document.get(at..end)?).ok()?;
                let after = bytes[end..].iter().find(|byte| !byte.is_ascii_whitespace());
                let is_name = after == Some(&b':');
                let becomes_token = is_name && tokens.contains(&text);
                let kind = if is_token && !is_name { Kind::Token(text) } else { Kind::Text(text) };
                pieces.push(Piece { at: at..end, kind });
                is_token = becomes_token;
                end
            }
            b'{' | b'[' if is_token => {
                let end = container_end(bytes, at)?;
                pieces.push(Piece { at: at..end, kind: Kind::Odd });
                is_token = false;
                end
            }
            b'-' | b'0'..=b'9' | b'a'..=b'z' => {
                let rest = &bytes[at..];
                let length = rest.iter().position(|byte| b",]}".contains(byte) || byte.is_ascii_whitespace());
                let end = at + length.unwrap_or(rest.len());
                if is_token && !byte.is_ascii_lowercase() {
                    pieces.push(Piece { at: at..end, kind: Kind::Odd });
                }
                is_token = false;
                end
            }
            _ => at + 1,
        };
        at = end;
    }
    Some(pieces)
}

/// The end of the text that begins here.
fn text_end(bytes: &[u8], start: usize) -> Option<usize> {
    let mut at = start + 1;
    loop {
        match bytes.get(at)? {
            b'"' => return Some(at + 1),
            b'\\' => at += 2,
            _ => at += 1,
        }
    }
}

/// The end of the object or array that begins here.
fn container_end(bytes: &[u8], start: usize) -> Option<usize> {
    let mut depth = 0_usize;
    let mut at = start;
    loop {
        match bytes.get(at)? {
            b'"' => {
                at = text_end(bytes, at)?;
                continue;
            }
            b'{' | b'[' => depth += 1,
            b'}' | b']' => depth -= 1,
            _ => {}
        }
        at += 1;
        if depth == 0 {
            return Some(at);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What the document is once tokens are `T`, odd values `null`, and other texts upper case.
    fn marked(document: &str) -> Option<String> {
        let mut marked = String::new();
        let mut end = 0;
        for Piece { at, kind } in pieces(document, &["access_token".to_owned(), "refresh_token".to_owned()])? {
            marked.push_str(&document[end..at.start]);
            match kind {
                Kind::Token(_) => marked.push('T'),
                Kind::Odd => marked.push_str("null"),
                Kind::Text(text) => marked.push_str(&text.to_uppercase()),
            }
            end = at.end;
        }
        Some(marked + &document[end..])
    }

    #[test]
    fn the_members_that_are_tokens_are_found_wherever_and_however_they_stand() {
        for (document, expected) in [
            (r#"{"access_token":"a","expires_in":3599}"#, r#"{ACCESS_TOKEN:T,EXPIRES_IN:3599}"#),
            (r#"{"access_token" : "a" , "x":"access_token"}"#, r#"{ACCESS_TOKEN : T , X:ACCESS_TOKEN}"#),
            (
                r#"{"access_token":"a","access_token":"b","refresh_token":""}"#,
                r#"{ACCESS_TOKEN:T,ACCESS_TOKEN:T,REFRESH_TOKEN:T}"#,
            ),
            (r#"{"access\u005ftoken":"a\"b\\","\u0061ccess_token":"\u0061"}"#, r#"{ACCESS_TOKEN:T,ACCESS_TOKEN:T}"#),
            (
                r#"{"r":[{"access_token":"a"},"s"],"n":{"refresh_token":"b"}}"#,
                r#"{R:[{ACCESS_TOKEN:T},S],N:{REFRESH_TOKEN:T}}"#,
            ),
            (r#"{"access_token":{"a":"]}","b":["c"]},"d":1}"#, r#"{ACCESS_TOKEN:null,D:1}"#),
            (r#"{"access_token":["a",{"b":"c"}]}"#, r#"{ACCESS_TOKEN:null}"#),
            (r#"{"access_token":-1.5e3,"refresh_token":7}"#, r#"{ACCESS_TOKEN:null,REFRESH_TOKEN:null}"#),
            (
                r#"{"access_token":null,"a":"b","refresh_token":true,"c":"d"}"#,
                r#"{ACCESS_TOKEN:null,A:B,REFRESH_TOKEN:true,C:D}"#,
            ),
            (r#"{"Access_Token":"a"}"#, r#"{ACCESS_TOKEN:A}"#),
            (r#"["access_token","a"]"#, r#"[ACCESS_TOKEN,A]"#),
            (r#""access_token""#, "ACCESS_TOKEN"),
            ("17", "17"),
        ] {
            assert_eq!(marked(document).as_deref(), Some(expected), "{document}");
        }
    }

    #[test]
    fn what_is_no_json_has_no_pieces() {
        for document in [
            "",
            "access_token=a",
            "<html>",
            r#"{"access_token":"a"#,
            r#"{"access_token":"a""#,
            r#"{"access_token":"a"} x"#,
            r#"{access_token:"a"}"#,
            r#"{'access_token':'a'}"#,
            r#"{"a":"\ud800"}"#,
        ] {
            assert_eq!(pieces(document, &["access_token".to_owned()]), None, "{document}");
        }
    }

    #[test]
    fn no_depth_hides_a_token() {
        let document = format!("{}{{\"access_token\":\"a\"}}{}", "[".repeat(100_000), "]".repeat(100_000));
        assert!(marked(&document).unwrap().contains("{ACCESS_TOKEN:T}"));
    }

    #[test]
    fn a_large_document_takes_no_longer_than_its_size_asks_for() {
        let document = format!("{{{}\"z\":1}}", r#""access_token":[[],"\\\""],"#.repeat(10_000));
        assert_eq!(pieces(&document, &["access_token".to_owned()]).unwrap().len(), 20_001);
    }
}
