//! A validator of JSON Schema (2020-12), as far as the schema of the configuration goes: an unknown keyword is a failure.
//!
//! By hand, since those that there are would bring dozens of crates; the patterns are matched as ECMAScript has them.

use std::collections::HashMap;

use regress::Regex;
use serde_json::{Map, Value};

pub(super) struct Validator {
    root: Value,
    patterns: HashMap<String, Regex>,
}

impl Validator {
    pub(super) fn new(schema: &str) -> Self {
        let root = serde_json::from_str(schema).unwrap();
        let mut patterns = HashMap::new();
        collect_patterns(&root, &mut patterns);
        Self { root, patterns }
    }

    pub(super) fn accepts(&self, value: &Value) -> bool {
        self.fits(&self.root, value)
    }

    fn fits(&self, schema: &Value, value: &Value) -> bool {
        match schema {
            Value::Bool(fits) => *fits,
            Value::Object(keywords) => {
                keywords.iter().all(|(word, content)| self.obeys(keywords, word, content, value))
            }
            _ => panic!("{schema} is no schema"),
        }
    }

    /// Whether a value obeys one keyword of a schema.
    fn obeys(&self, schema: &Map<String, Value>, word: &str, content: &Value, value: &Value) -> bool {
        let each = || content.as_array().unwrap().iter();
        match word {
            "$ref" => {
                self.fits(self.root.pointer(content.as_str().unwrap().strip_prefix('#').unwrap()).unwrap(), value)
            }
            "allOf" => each().all(|part| self.fits(part, value)),
            "anyOf" => each().any(|part| self.fits(part, value)),
            "oneOf" => each().filter(|part| self.fits(part, value)).count() == 1,
            "not" => !self.fits(content, value),
            "if" => !self.fits(content, value) || schema.get("then").is_none_or(|then| self.fits(then, value)),
            "type" => match content {
                Value::Array(types) => types.iter().any(|name| is_of_type(value, name.as_str().unwrap())),
                _ => is_of_type(value, content.as_str().unwrap()),
            },
            "const" => content == value,
            "enum" => each().any(|known| known == value),
            "pattern" => {
                value.as_str().is_none_or(|text| self.patterns[content.as_str().unwrap()].find(text).is_some())
            }
            "maxLength" => value.as_str().is_none_or(|text| text.chars().count() <= size(content)),
            "minimum" => value.as_f64().is_none_or(|number| number >= content.as_f64().unwrap()),
            "maximum" => value.as_f64().is_none_or(|number| number <= content.as_f64().unwrap()),
            "items" => value.as_array().is_none_or(|items| items.iter().all(|item| self.fits(content, item))),
            "properties" => value.as_object().is_none_or(|members| {
                let properties = content.as_object().unwrap();
                members.iter().all(|(name, value)| properties.get(name).is_none_or(|part| self.fits(part, value)))
            }),
            "additionalProperties" => value.as_object().is_none_or(|members| {
                let properties = schema["properties"].as_object().unwrap();
                members.iter().all(|(name, value)| properties.contains_key(name) || self.fits(content, value))
            }),
            "required" => {
                value.as_object().is_none_or(|members| each().all(|name| members.contains_key(name.as_str().unwrap())))
            }
            "dependentSchemas" => value.as_object().is_none_or(|members| {
                let dependents = content.as_object().unwrap().iter();
                dependents.filter(|(name, _)| members.contains_key(*name)).all(|(_, part)| self.fits(part, value))
            }),
            // Said by `if`, or said to people alone; `format` asserts nothing unless a validator is told so.
            "then" if schema.contains_key("if") => true,
            "$schema" | "$defs" | "title" | "description" | "default" | "examples" | "format" | "writeOnly" => true,
            _ => panic!("the keyword {word} is not known here"),
        }
    }
}

fn collect_patterns(schema: &Value, patterns: &mut HashMap<String, Regex>) {
    match schema {
        Value::Array(parts) => parts.iter().for_each(|part| collect_patterns(part, patterns)),
        Value::Object(parts) => {
            for (name, part) in parts {
                if let ("pattern", Some(pattern)) = (name.as_str(), part.as_str()) {
                    patterns.entry(pattern.to_owned()).or_insert_with(|| Regex::new(pattern).unwrap());
                }
                collect_patterns(part, patterns);
            }
        }
        _ => {}
    }
}

fn is_of_type(value: &Value, name: &str) -> bool {
    match name {
        "array" => value.is_array(),
        "integer" => value.as_f64().is_some_and(|number| number.fract() == 0.0),
        "object" => value.is_object(),
        "string" => value.is_string(),
        _ => panic!("the type {name} is not known here"),
    }
}

fn size(content: &Value) -> usize {
    usize::try_from(content.as_u64().unwrap()).unwrap()
}

#[test]
fn each_keyword_accepts_and_refuses() {
    for (schema, good, bad) in [
        (r#"{"type": "integer"}"#, "[1, 2.0, -3]", r#"[1.5, "1", null, true]"#),
        (r#"{"type": ["string", "array"]}"#, r#"["", []]"#, "[{}, 1]"),
        (r#"{"type": "object"}"#, "[{}]", "[[]]"),
        (r#"{"const": "a"}"#, r#"["a"]"#, r#"["b", null]"#),
        (r#"{"enum": ["a", "b"]}"#, r#"["a", "b"]"#, r#"["c", ["a"]]"#),
        (r#"{"pattern": "^(?!b)."}"#, r#"["a", 1]"#, r#"["b", ""]"#),
        (r#"{"maxLength": 2}"#, r#"["éé", 100]"#, r#"["abc"]"#),
        (r#"{"minimum": 1, "maximum": 2}"#, r#"[1, 2, "0"]"#, "[0, 3]"),
        (r#"{"items": {"const": 1}}"#, "[[], [1, 1], 2]", "[[1, 2]]"),
        (r#"{"properties": {"a": false}}"#, r#"[{}, {"b": 1}, 1]"#, r#"[{"a": 1}]"#),
        (r#"{"properties": {"a": true}, "additionalProperties": false}"#, r#"[{"a": 1}]"#, r#"[{"b": 1}]"#),
        (r#"{"required": ["a"]}"#, r#"[{"a": null}, 1]"#, r#"[{"b": 1}]"#),
        (r#"{"dependentSchemas": {"a": {"required": ["b"]}}}"#, r#"[{}, {"a": 1, "b": 1}]"#, r#"[{"a": 1}]"#),
        (r#"{"allOf": [{"minimum": 1}, {"maximum": 2}]}"#, "[1]", "[0, 3]"),
        (r#"{"anyOf": [{"const": 1}, {"const": 2}]}"#, "[1, 2]", "[3]"),
        (r#"{"oneOf": [{"minimum": 1}, {"maximum": 2}]}"#, "[0, 3]", "[1, 2]"),
        (r#"{"not": {"const": 1}}"#, "[2]", "[1]"),
        (r#"{"if": {"minimum": 5}, "then": {"const": 7}}"#, "[1, 7]", "[6]"),
        (r##"{"$defs": {"a": {"const": 1}}, "$ref": "#/$defs/a"}"##, "[1]", "[2]"),
    ] {
        let validator = Validator::new(schema);
        for (values, expected) in [(good, true), (bad, false)] {
            for value in serde_json::from_str::<Vec<Value>>(values).unwrap() {
                assert_eq!(validator.accepts(&value), expected, "{schema}: {value}");
            }
        }
    }
}
