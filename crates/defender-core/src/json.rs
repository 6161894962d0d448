//! JSON as it was written: members in their order, and twice where they were written twice.
//!
//! Everything but the records of an answer is read through this one type: each further type that serde reads costs the
//! component some kilobytes.

use std::fmt;

use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};

/// One JSON value. No `Debug`, since any of them may be a secret.
#[derive(Clone, PartialEq)]
pub(crate) enum Node {
    /// `null`.
    Null,
    /// `true` or `false`.
    Bool(bool),
    /// A whole number that is not negative.
    Whole(u64),
    /// Any other number: nothing takes one, so its value is not kept.
    OtherNumber,
    /// A string.
    Text(String),
    /// An array.
    List(Vec<Self>),
    /// An object.
    Object(Vec<(String, Self)>),
}

impl Node {
    /// Reads a text that holds one value.
    ///
    /// # Errors
    ///
    /// What is wrong with its syntax, and where.
    #[inline(never)]
    pub(crate) fn read(text: &[u8]) -> Result<Self, serde_json::Error> {
        serde_json::from_slice(text)
    }

    /// The last member of this name.
    #[inline(never)]
    pub(crate) fn get(&self, name: &str) -> Option<&Self> {
        let Self::Object(members) = self else { return None };
        members.iter().rfind(|(given, _)| given == name).map(|(_, value)| value)
    }

    /// The text of a string.
    pub(crate) fn as_text(&self) -> Option<&str> {
        if let Self::Text(text) = self { Some(text) } else { None }
    }

    /// What kind of value it is, for a message.
    pub(crate) fn kind(&self) -> &'static str {
        match self {
            Self::Null => "null",
            Self::Bool(_) => "true or false",
            Self::Whole(_) | Self::OtherNumber => "a number",
            Self::Text(_) => "a string",
            Self::List(_) => "a list",
            Self::Object(_) => "an object",
        }
    }
}

/// Appends a text as a JSON string.
#[inline(never)]
pub(crate) fn quote(text: &str, out: &mut String) {
    out.push('"');
    for c in text.chars() {
        let escape = match c {
            '"' | '\\' => c,
            '\u{8}' => 'b',
            '\t' => 't',
            '\n' => 'n',
            '\u{c}' => 'f',
            '\r' => 'r',
            '\0'..='\u{1f}' => 'u',
            _ => {
                out.push(c);
                continue;
            }
        };
        out.push('\\');
        out.push(escape);
        if escape == 'u' {
            out.push_str(if c < '\u{10}' { "000" } else { "001" });
            out.push(char::from_digit(u32::from(c) % 16, 16).unwrap_or_default());
        }
    }
    out.push('"');
}

impl<'de> Deserialize<'de> for Node {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(NodeVisitor)
    }
}

struct NodeVisitor;

impl<'de> Visitor<'de> for NodeVisitor {
    type Value = Node;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any JSON value")
    }

    fn visit_unit<E>(self) -> Result<Node, E> {
        Ok(Node::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Node, E> {
        Ok(Node::Bool(value))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Node, E> {
        Ok(Node::Whole(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Node, E> {
        Ok(u64::try_from(value).map_or(Node::OtherNumber, Node::Whole))
    }

    fn visit_f64<E>(self, _: f64) -> Result<Node, E> {
        Ok(Node::OtherNumber)
    }

    fn visit_str<E>(self, text: &str) -> Result<Node, E> {
        Ok(Node::Text(text.to_owned()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Node, A::Error> {
        let mut items = Vec::new();
        while let Some(item) = list.next_element()? {
            items.push(item);
        }
        Ok(Node::List(items))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut object: A) -> Result<Node, A::Error> {
        let mut members = Vec::new();
        // The name is read as a node too, which spares a second type; a name is always a string.
        while let Some((name, value)) = object.next_entry::<Node, Node>()? {
            members.push((if let Node::Text(name) = name { name } else { String::new() }, value));
        }
        Ok(Node::Object(members))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_member_that_is_there_twice_is_kept_twice_and_the_last_one_counts() {
        let Ok(node) = Node::read(br#"{"a": 1, "b": -2, "a": 3.5, "c": "x"}"#) else { panic!("an object is read") };
        let Node::Object(members) = &node else { panic!("an object is an object") };
        let shown: Vec<_> = members.iter().map(|(name, value)| (name.as_str(), value.kind())).collect();
        assert_eq!(shown, [("a", "a number"), ("b", "a number"), ("a", "a number"), ("c", "a string")]);
        assert!(node.get("a") == Some(&Node::OtherNumber) && node.get("d").is_none());
        assert_eq!(node.get("c").and_then(Node::as_text), Some("x"));
    }

    #[test]
    fn a_quoted_text_is_what_serde_json_writes() {
        let every_low: String = (0..0x80_u8).map(char::from).collect();
        for text in ["", "plain", "\u{e9}\u{1f511}\u{2028}", &every_low] {
            let mut quoted = String::new();
            quote(text, &mut quoted);
            assert_eq!(quoted, serde_json::to_string(text).unwrap());
            assert_eq!(Node::read(quoted.as_bytes()).unwrap().as_text(), Some(text));
        }
    }
}
