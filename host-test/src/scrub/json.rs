//! The texts of a JSON document, and where they are, so that a document keeps every other byte.

use std::ops::Range;

/// A text or a number of a document.
#[derive(Debug, Eq, PartialEq)]
pub(super) struct Piece {
    pub(super) at: Range<usize>,
    /// The text, unescaped; a number as it is written.
    pub(super) text: String,
    /// The nearest name above it; empty for none.
    pub(super) name: String,
    pub(super) kind: Kind,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Kind {
    Name,
    Text,
    Number,
}

/// Whether a document is meant to be JSON, broken off or not.
pub(super) fn is_json(document: &str) -> bool {
    document.trim_start().starts_with(['{', '[', '"'])
}

/// The document with other texts in place of those for which `instead` has one. A number is replaced by a text.
pub(super) fn rewritten(document: &str, mut instead: impl FnMut(&Piece) -> Option<String>) -> String {
    let mut rewritten = String::with_capacity(document.len());
    let mut end = 0;
    for piece in pieces(document) {
        let Some(text) = instead(&piece) else { continue };
        rewritten.push_str(&document[end..piece.at.start]);
        let quoted = serde_json::Value::from(text).to_string();
        // A text that was broken off stays so.
        let is_open = piece.kind != Kind::Number && !closed(&document[piece.at.clone()]);
        rewritten.push_str(if is_open { &quoted[..quoted.len() - 1] } else { &quoted });
        end = piece.at.end;
    }
    rewritten.push_str(&document[end..]);
    rewritten
}

fn closed(written: &str) -> bool {
    let Some(inner) = written.get(1..).and_then(|rest| rest.strip_suffix('"')) else { return false };
    let escapes = inner.bytes().rev().take_while(|byte| *byte == b'\\').count();
    escapes % 2 == 0
}

/// The pieces in their order. A document that is broken off, or no JSON further on, has those that can be told.
pub(super) fn pieces(document: &str) -> Vec<Piece> {
    let bytes = document.as_bytes();
    let mut pieces: Vec<Piece> = Vec::new();
    // The name above each list and object that is open.
    let mut open: Vec<String> = Vec::new();
    let mut name = String::new();
    let mut at = 0;
    while let Some(byte) = bytes.get(at) {
        let start = at;
        match byte {
            b'"' => {
                at = text_end(bytes, at);
                let text = unescaped(&document[start..at]);
                let is_name = bytes[at..].iter().find(|byte| !byte.is_ascii_whitespace()) == Some(&b':');
                let kind = if is_name { Kind::Name } else { Kind::Text };
                let above = if is_name { open.last() } else { Some(&name) };
                pieces.push(Piece {
                    at: start..at,
                    text: text.clone(),
                    name: above.cloned().unwrap_or_default(),
                    kind,
                });
                if is_name {
                    name = text;
                }
            }
            b'-' | b'0'..=b'9' => {
                let length = bytes[at..].iter().take_while(|byte| b"+-.eE0123456789".contains(byte)).count();
                at += length;
                let text = document[start..at].to_owned();
                pieces.push(Piece { at: start..at, text, name: name.clone(), kind: Kind::Number });
            }
            b'{' | b'[' => {
                open.push(name.clone());
                at += 1;
            }
            b'}' | b']' => {
                name = open.pop().unwrap_or_default();
                at += 1;
            }
            b',' => {
                // Of a list, what is above it names each of its items.
                name = open.last().cloned().unwrap_or_default();
                at += 1;
            }
            _ => at += 1,
        }
    }
    pieces
}

/// The end of the text that begins here; the end of the document where it is broken off.
fn text_end(bytes: &[u8], start: usize) -> usize {
    let mut at = start + 1;
    while let Some(byte) = bytes.get(at) {
        match byte {
            b'"' => return at + 1,
            b'\\' => at += 2,
            _ => at += 1,
        }
    }
    bytes.len()
}

fn unescaped(written: &str) -> String {
    serde_json::from_str(written).unwrap_or_else(|_| {
        let inner = written.get(1..).unwrap_or_default();
        let inner = if closed(written) { &inner[..inner.len() - 1] } else { inner };
        match super::view::json_escapes(inner.as_bytes()) {
            Some(view) => String::from_utf8_lossy(&view.bytes).into_owned(),
            None => inner.to_owned(),
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_found_with_the_name_above_them_however_they_are_nested() {
        let document = r#"{"a":"b","c":{"d":["e",{"f":1},"g\"\u00e9"],"h":-2.5e3},"i":"j"}"#;
        let told: Vec<(String, String)> = pieces(document)
            .into_iter()
            .filter(|piece| piece.kind != Kind::Name)
            .map(|piece| (piece.name, piece.text))
            .collect();
        let expected = [("a", "b"), ("d", "e"), ("f", "1"), ("d", "g\"é"), ("h", "-2.5e3"), ("i", "j")];
        assert_eq!(told, expected.map(|(name, text)| (name.to_owned(), text.to_owned())));
    }

    #[test]
    fn a_document_keeps_every_byte_but_those_of_the_texts_that_are_replaced() {
        let instead =
            |piece: &Piece| (piece.name == "s").then(|| "new\"".to_owned()).filter(|_| piece.kind != Kind::Name);
        for (document, expected) in [
            (r#"{ "s" :  "old\\" , "t":1.50 }"#, r#"{ "s" :  "new\"" , "t":1.50 }"#),
            (r#"{"s":17,"t":["s"]}"#, r#"{"s":"new\"","t":["s"]}"#),
            (r#"{"s":"broken of"#, r#"{"s":"new\""#),
            (r#"{"s":"broken\"#, r#"{"s":"new\""#),
            (r#"{"s":"#, r#"{"s":"#),
        ] {
            assert_eq!(rewritten(document, instead), expected, "{document}");
        }
    }
}
