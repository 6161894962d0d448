//! As much of JSON Schema as says which kinds of values a member takes.

use serde_json::Value;

/// Schemas that refer to each other in a circle are followed so far.
const DEEPEST: u8 = 16;

/// Reads a schema.
///
/// # Errors
///
/// It is no JSON object.
pub(super) fn read(schema: &str) -> Result<Value, String> {
    match serde_json::from_str(schema) {
        Ok(value @ Value::Object(_)) => Ok(value),
        Ok(_) => Err("it is no object".to_owned()),
        Err(error) => Err(format!("it is no JSON: {error}")),
    }
}

/// What the schema says of a member of the configuration.
pub(super) fn member<'a>(root: &'a Value, name: &str) -> Option<&'a Value> {
    root.get("properties")?.get(name)
}

/// The members that are marked as secrets.
pub(super) fn secrets(root: &Value) -> impl Iterator<Item = &str> {
    let members = root.get("properties").and_then(Value::as_object);
    let is_secret = |schema: &Value| schema.get("writeOnly") == Some(&Value::Bool(true));
    members.into_iter().flatten().filter(move |(_, schema)| is_secret(schema)).map(|(name, _)| name.as_str())
}

/// Whether values of the kind of `value` are allowed, as far as types, enumerations and combinations tell.
pub(super) fn allows(root: &Value, schema: &Value, value: &Value) -> bool {
    allows_at(root, schema, value, 0)
}

fn allows_at(root: &Value, schema: &Value, value: &Value, depth: u8) -> bool {
    let Value::Object(rules) = schema else { return schema != &Value::Bool(false) };
    let all = |schemas: &Value| {
        schemas.as_array().is_none_or(|list| list.iter().all(|s| allows_at(root, s, value, depth + 1)))
    };
    let any = |schemas: &Value| {
        schemas.as_array().is_none_or(|list| list.iter().any(|s| allows_at(root, s, value, depth + 1)))
    };
    rules.iter().all(|(rule, argument)| match rule.as_str() {
        _ if depth > DEEPEST => true,
        "type" => match argument {
            Value::Array(kinds) => kinds.iter().any(|kind| is_kind(kind, value)),
            kind => is_kind(kind, value),
        },
        "enum" => argument.as_array().is_none_or(|values| values.contains(value)),
        "const" => argument == value,
        "anyOf" | "oneOf" => any(argument),
        "allOf" => all(argument),
        "$ref" => referred(root, argument).is_none_or(|schema| allows_at(root, schema, value, depth + 1)),
        _ => true,
    })
}

fn referred<'a>(root: &'a Value, reference: &Value) -> Option<&'a Value> {
    root.pointer(reference.as_str()?.strip_prefix('#')?)
}

fn is_kind(kind: &Value, value: &Value) -> bool {
    match kind.as_str() {
        Some("string") => value.is_string(),
        Some("number") => value.is_number(),
        Some("integer") => value.is_i64() || value.is_u64(),
        Some("boolean") => value.is_boolean(),
        Some("array") => value.is_array(),
        Some("object") => value.is_object(),
        Some("null") => value.is_null(),
        _ => true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds_are_told_through_references_and_combinations() {
        let root = serde_json::json!({
            "$defs": {"text": {"type": "string"}, "loop": {"$ref": "#/$defs/loop"}},
            "properties": {
                "a": {"$ref": "#/$defs/text"},
                "b": {"oneOf": [{"type": ["array", "null"]}, {"enum": ["x"]}]},
                "c": {"$ref": "#/$defs/loop"},
                "d": {"allOf": [{"type": "integer"}], "writeOnly": true}
            }
        });
        let allows = |name: &str, value: Value| allows(&root, member(&root, name).unwrap(), &value);
        assert!(allows("a", "text".into()) && !allows("a", 7.into()));
        assert!(allows("b", Value::Null) && allows("b", "x".into()) && !allows("b", "y".into()));
        assert!(allows("c", 7.into()));
        assert!(allows("d", 7.into()) && !allows("d", serde_json::json!(1.5)));
        assert_eq!(secrets(&root).collect::<Vec<_>>(), ["d"]);
    }
}
