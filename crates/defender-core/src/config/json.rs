//! JSON as it was written: members in their order, and twice where they were written twice.

use std::fmt;

use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};

use super::problems::Problems;

/// One JSON value. No `Debug`, since any of them may be a secret.
#[derive(Clone, PartialEq)]
pub(crate) enum Node {
    /// `null`.
    Null,
    /// `true` or `false`.
    Bool(bool),
    /// A whole number that is not negative.
    Whole(u64),
    /// Any other number: nothing in a configuration takes one, so its value is not kept.
    OtherNumber,
    /// A string.
    Text(String),
    /// An array.
    List(Vec<Self>),
    /// An object.
    Object(Vec<(String, Self)>),
}

impl Node {
    /// A string value.
    pub(crate) fn text(text: impl Into<String>) -> Self {
        Self::Text(text.into())
    }

    /// What kind of value it is, for a message.
    pub(super) fn kind(&self) -> &'static str {
        match self {
            Self::Null => "null",
            Self::Bool(_) => "true or false",
            Self::Whole(_) | Self::OtherNumber => "a number",
            Self::Text(_) => "a string",
            Self::List(_) => "a list",
            Self::Object(_) => "an object",
        }
    }

    /// Appends it to `out`, indented by two blanks a level.
    pub(crate) fn print(&self, depth: usize, out: &mut String) {
        match self {
            Self::Null | Self::OtherNumber => out.push_str("null"),
            Self::Bool(value) => out.push_str(if *value { "true" } else { "false" }),
            Self::Whole(value) => out.push_str(&value.to_string()),
            Self::Text(text) => out.push_str(&serde_json::Value::from(text.as_str()).to_string()),
            Self::List(items) => {
                out.push('[');
                for (index, item) in items.iter().enumerate() {
                    out.push_str(if index == 0 { "" } else { ", " });
                    item.print(depth + 1, out);
                }
                out.push(']');
            }
            Self::Object(members) => {
                out.push('{');
                for (index, (name, value)) in members.iter().enumerate() {
                    out.push_str(if index == 0 { "\n" } else { ",\n" });
                    out.push_str(&"  ".repeat(depth + 1));
                    Self::text(name).print(0, out);
                    out.push_str(": ");
                    value.print(depth + 1, out);
                }
                if !members.is_empty() {
                    out.push('\n');
                    out.push_str(&"  ".repeat(depth));
                }
                out.push('}');
            }
        }
    }
}

/// Reads a text that must be one JSON object, or says what is wrong with it.
pub(super) fn parse_object(text: &str, problems: &mut Problems) -> Option<Vec<(String, Node)>> {
    const EXPECTED: &str = "Write one JSON object: {\"tenant_id\": \"...\", \"client_id\": \"...\", ...}.";
    if text.trim().is_empty() {
        problems.report("config.json", None, "The configuration is empty.".to_owned(), EXPECTED);
        return None;
    }
    if text.starts_with('\u{feff}') {
        let message = "The configuration begins with a byte order mark, which JSON does not allow.".to_owned();
        problems.report("config.json", None, message, "Save the file as UTF-8 without a byte order mark (BOM).");
        return None;
    }
    match serde_json::from_str::<Node>(text) {
        Ok(Node::Object(members)) => Some(members),
        Ok(other) => {
            let message = format!("The configuration is {}, not an object.", other.kind());
            problems.report("config.json", Some(String::new()), message, EXPECTED);
            None
        }
        Err(error) => {
            // What serde_json says of syntax never quotes the text, so it cannot quote a secret.
            let said = error.to_string();
            let reason = said.split(" at line ").next().unwrap_or_default();
            let message = format!(
                "The configuration is not valid JSON at line {}, column {}: {reason}.",
                error.line(),
                error.column()
            );
            problems.report("config.json", None, message, syntax_hint(reason));
            None
        }
    }
}

fn syntax_hint(reason: &str) -> &'static str {
    for (start, hint) in [
        ("EOF", "The text ends too early: close every string, list and object."),
        ("trailing comma", "Take the last comma out: JSON has none before a closing bracket."),
        ("trailing characters", "Take out what follows the closing brace."),
        ("key must be a string", "Put every name in double quotes; JSON has no comments."),
        ("control character", "A string must not run over a line end: write \\n, or remove the line break."),
        ("invalid escape", "A backslash in a string is written twice: \\\\."),
        ("expected `,`", "A comma, a colon or a closing bracket is missing just before this place."),
        ("expected `:`", "A colon is missing between a name and its value."),
        ("recursion limit", "The configuration is never nested that deeply."),
    ] {
        if reason.starts_with(start) {
            return hint;
        }
    }
    "Look at this place: strings stand in double quotes, and JSON has no comments."
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
        Ok(Node::text(text))
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
        while let Some(member) = object.next_entry()? {
            members.push(member);
        }
        Ok(Node::Object(members))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_printed_is_read_back() {
        let text = r#"{"a":[1,"two\n\"3\"",null,true,{}],"b":{"c":{"d":"é"}},"a":2}"#;
        let node: Node = serde_json::from_str(text).unwrap();
        let mut printed = String::new();
        node.print(0, &mut printed);
        assert!(serde_json::from_str::<Node>(&printed).unwrap() == node, "{printed}");
        let Node::Object(members) = node else { panic!("an object was read") };
        assert_eq!(members.iter().filter(|(name, _)| name == "a").count(), 2, "both members of one name are kept");
    }

    #[test]
    fn malformed_json_is_told_with_line_and_column_and_without_its_text() {
        for (text, place, hint) in [
            ("", "is empty", "one JSON object"),
            ("  \n", "is empty", "one JSON object"),
            ("\u{feff}{}", "byte order mark", "UTF-8"),
            ("[]", "is a list", "one JSON object"),
            ("\"text\"", "is a string", "one JSON object"),
            ("{\"client_secret\": \"hush-hush\"", "line 1, column 29", "ends too early"),
            ("{\n  \"client_secret\": \"hush-hush\",\n}", "line 3, column 1", "last comma"),
            ("{\"client_secret\": \"hush-hush\"} x", "line 1, column 32", "follows the closing brace"),
            ("{client_secret: \"hush-hush\"}", "line 1, column 2", "double quotes"),
            ("{\"client_secret\": \"hush-\nhush\"}", "line 2, column 0", "line end"),
            ("{\"client_secret\": \"hush\\-hush\"}", "line 1, column", "backslash"),
            ("tenant_id = \"x\"", "line 1, column", "double quotes"),
        ] {
            let mut problems = Problems::default();
            assert!(parse_object(text, &mut problems).is_none(), "{text}");
            let told = problems.finish(&[]);
            assert_eq!(told.len(), 1, "{text}");
            assert!(told[0].message.contains(place), "{text}: {}", told[0].message);
            assert!(told[0].hint.as_deref().unwrap_or_default().contains(hint), "{text}: {:?}", told[0].hint);
            assert!(!format!("{told:?}").contains("hush"), "{told:?}");
        }
    }
}
