//! What the body of a request has to be.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;

use crate::difference::{Difference, hidden};
use crate::interaction::read_values;
use crate::node::{Node, Object};
use crate::pattern::Pattern;
use crate::problem::Problem;

/// The body of a recorded request.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub enum RecordedBody {
    /// None.
    #[default]
    Empty,
    /// The members of a form, decoded, in any order.
    Form(Vec<(String, Pattern)>),
    /// A JSON document, compared value by value.
    Json(JsonBody),
    /// A text.
    Text(Pattern),
    /// Exactly these bytes.
    Bytes(Vec<u8>),
}

/// A JSON document in which some values are patterns.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct JsonBody {
    /// The document. Members compare in any order, items of a list in theirs, numbers as they are written.
    pub value: Value,
    /// JSON Pointers of texts in it that only have to be of this form.
    pub patterns: Vec<(String, Pattern)>,
}

impl RecordedBody {
    /// The members of the form, where it is one.
    pub fn form(&self) -> &[(String, Pattern)] {
        match self {
            Self::Form(members) => members,
            _ => &[],
        }
    }

    pub(crate) fn read(object: &Object<'_>) -> Result<Self, Problem> {
        let patterns = object.get("patterns");
        let Some((kind, node)) = object.at_most_one(&["form", "json", "text", "base64"])? else {
            return match patterns {
                Some(node) => Err(node.problem("there is no `json` that these could be in", "add `json`, the body")),
                None => Ok(Self::Empty),
            };
        };
        if let (Some(node), false) = (patterns, kind == "json") {
            let hint = "write {\"pattern\": \"te*t\"} in place of the value itself";
            return Err(node.problem("`patterns` are for `json` only", hint));
        }
        Ok(match kind {
            "form" => Self::Form(read_values(node, false)?),
            "json" => Self::Json(JsonBody::read(node, patterns)?),
            "text" => Self::Text(Pattern::read(node, false)?),
            _ => Self::Bytes(STANDARD.decode(node.string()?).map_err(|error| {
                let hint = "encode the bytes with the standard alphabet and padding";
                node.problem(format!("this is no base64: {error}"), hint)
            })?),
        })
    }
}

impl JsonBody {
    fn read(node: &Node<'_>, patterns: Option<&Node<'_>>) -> Result<Self, Problem> {
        let value: Value = serde_json::from_str(node.raw())
            .map_err(|error| node.problem(format!("it cannot be read: {error}"), "write a JSON document"))?;
        let mut body = Self { value, patterns: Vec::new() };
        for (pointer, node) in patterns.map(Node::members).transpose()?.unwrap_or_default() {
            if !body.value.pointer(&pointer).is_some_and(Value::is_string) {
                let hint = "name a text of the body by its JSON Pointer, such as `/filter/since`";
                return Err(node.problem(format!("`{pointer}` is no text of `json`"), hint));
            }
            let form = node.string()?;
            body.patterns.push((pointer, Pattern::Glob(form)));
        }
        Ok(body)
    }

    fn pattern(&self, pointer: &str) -> Option<&Pattern> {
        self.patterns.iter().find(|(known, _)| known == pointer).map(|(_, pattern)| pattern)
    }
}

/// Every value of a document that is not as recorded, by its JSON Pointer.
pub(crate) fn compare_json(recorded: &JsonBody, got: &Value, found: &mut Vec<Difference>) {
    Comparison { recorded, found }.values("", "", Some(&recorded.value), Some(got));
}

struct Comparison<'a> {
    recorded: &'a JsonBody,
    found: &'a mut Vec<Difference>,
}

impl Comparison<'_> {
    fn values(&mut self, pointer: &str, name: &str, expected: Option<&Value>, got: Option<&Value>) {
        match (expected, got) {
            (Some(Value::Object(expected)), Some(Value::Object(got))) => {
                let others = got.keys().filter(|name| !expected.contains_key(*name));
                for member in expected.keys().chain(others) {
                    let below = format!("{pointer}/{}", member.replace('~', "~0").replace('/', "~1"));
                    self.values(&below, member, expected.get(member), got.get(member));
                }
            }
            (Some(Value::Array(expected)), Some(Value::Array(got))) => {
                for index in 0..expected.len().max(got.len()) {
                    self.values(&format!("{pointer}/{index}"), name, expected.get(index), got.get(index));
                }
            }
            _ => self.leaf(pointer, name, expected, got),
        }
    }

    fn leaf(&mut self, pointer: &str, name: &str, expected: Option<&Value>, got: Option<&Value>) {
        let pattern = self.recorded.pattern(pointer);
        let matches = match (pattern, got) {
            (Some(pattern), Some(Value::String(text))) => pattern.matches(text),
            _ => expected == got,
        };
        if matches {
            return;
        }
        let part = if pointer.is_empty() { "json".to_owned() } else { format!("json {pointer}") };
        let expected = pattern.map(ToString::to_string).or_else(|| expected.map(ToString::to_string));
        self.found.push(hidden(&part, name, expected, got.map(ToString::to_string)));
    }
}
