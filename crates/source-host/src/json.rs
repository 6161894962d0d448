//! JSON of a known form, read so that a person is told which member does not fit.

use serde::de::DeserializeOwned;
use serde_path_to_error::Segment;

/// Reads a document of JSON.
///
/// # Errors
///
/// It is no JSON, or something in it is missing, unknown or of another type: a sentence with the place. What stands there is
/// not repeated.
pub fn read_json<T: DeserializeOwned>(text: &[u8]) -> Result<T, String> {
    let mut json = serde_json::Deserializer::from_slice(text);
    let value = serde_path_to_error::deserialize(&mut json).map_err(|error| {
        let pointer = pointer(&error);
        sentence(&pointer, &error.into_inner())
    })?;
    json.end().map_err(|error| error.to_string())?;
    Ok(value)
}

/// Where the error is, as a JSON Pointer.
fn pointer(error: &serde_path_to_error::Error<serde_json::Error>) -> String {
    let segment = |segment: &Segment| match segment {
        Segment::Seq { index } => format!("/{index}"),
        Segment::Map { key } => format!("/{}", key.replace('~', "~0").replace('/', "~1")),
        Segment::Enum { .. } | Segment::Unknown => String::new(),
    };
    error.path().iter().map(segment).collect()
}

fn sentence(pointer: &str, error: &serde_json::Error) -> String {
    let text = error.to_string();
    if !error.is_data() {
        return text;
    }
    let (message, line) = text.rsplit_once(" at line ").unwrap_or((&text, ""));
    let line = line.split(' ').next().filter(|line| !line.is_empty());
    let line = line.map_or_else(String::new, |line| format!(" (line {line})"));
    let place = if pointer.is_empty() { "the document" } else { pointer };
    let told = if let Some(name) = message.strip_prefix("missing field ") {
        format!("{name} is missing in {place}")
    } else if let Some(rest) = message.strip_prefix("unknown field ") {
        format!("there is no {}", rest.replacen(", expected", "; known are", 1))
    } else {
        wrong_type(message).map_or_else(|| format!("{place}: {message}"), |told| format!("{place} {told}"))
    };
    told + &line
}

/// What serde finds, in words for a person.
fn wrong_type(message: &str) -> Option<String> {
    let kinds = ["invalid type: ", "invalid value: ", "invalid length "];
    let rest = kinds.iter().find_map(|kind| message.strip_prefix(kind))?;
    let (found, expected) = rest.rsplit_once(", expected ")?;
    let found = match kind_of(found) {
        Ok(kind) => kind,
        Err("null") => "null",
        Err("map") => "an object",
        // serde fills an object from a list as well, and counts.
        Err(_) => "a list",
    };
    let expected = match expected {
        "a string" => "a text",
        "a map" => "an object",
        "a sequence" => "a list",
        "a boolean" => "true or false",
        "u16" => "a whole number from 0 to 65535",
        "u32" | "u64" | "usize" => "a whole number that is not negative",
        "i64" => "a whole number",
        "f64" => "a number",
        other if other.starts_with("struct ") => "an object",
        other => other,
    };
    Some(format!("is {found}, and {expected} belongs there"))
}

/// What serde found, in a word for a person that every format shares; else serde's own word for it.
pub(crate) fn kind_of(found: &str) -> Result<&'static str, &str> {
    match found.split([' ', '`']).next().unwrap_or_default() {
        "string" => Ok("a text"),
        "integer" if found.contains('-') => Ok("a negative number"),
        "integer" => Ok("a whole number"),
        "floating" => Ok("a number with a fraction"),
        "boolean" => Ok("true or false"),
        other => Err(other),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use serde::Deserialize;

    use super::*;

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Outer {
        #[serde(default, rename = "a/b")]
        _inner: Vec<Inner>,
        #[serde(default, rename = "texts")]
        _texts: BTreeMap<String, String>,
    }

    #[derive(Debug, Deserialize)]
    struct Inner {
        #[serde(rename = "status")]
        _status: u16,
    }

    #[test]
    fn what_does_not_fit_is_told_with_its_place_and_without_what_stands_there() {
        for (text, expected) in [
            ("[7]", "/0 is a whole number, and a list belongs there (line 1)"),
            ("{\"a/b\": [[]]}", "/a~1b/0 is a list, and an object belongs there (line 1)"),
            ("5", "the document is a whole number, and an object belongs there (line 1)"),
            ("{\"texts\": 5}", "/texts is a whole number, and an object belongs there (line 1)"),
            ("{\"texts\": {\"x\": -1.5}}", "/texts/x is a number with a fraction, and a text belongs there (line 1)"),
            ("{\"a/b\": \"canary\"}", "/a~1b is a text, and a list belongs there (line 1)"),
            ("{\"a/b\": [\n{}]}", "`status` is missing in /a~1b/0 (line 2)"),
            ("{\"a/b\": [true]}", "/a~1b/0 is true or false, and an object belongs there (line 1)"),
            (
                "{\"a/b\": [{\"status\": 1}, {\"status\": 70000}]}",
                "/a~1b/1/status is a whole number, and a whole number from 0 to 65535 belongs there (line 1)",
            ),
            (
                "{\"a/b\": [{\"status\": -7}]}",
                "/a~1b/0/status is a negative number, and a whole number from 0 to 65535 belongs there (line 1)",
            ),
            (
                "{\"a/b\": [{\"status\": null}]}",
                "/a~1b/0/status is null, and a whole number from 0 to 65535 belongs there (line 1)",
            ),
            ("{\"text\": {}}", "there is no `text`; known are `a/b` or `texts` (line 1)"),
            ("{", "EOF while parsing an object at line 1 column 1"),
            ("{} {}", "trailing characters at line 1 column 4"),
        ] {
            assert_eq!(read_json::<Outer>(text.as_bytes()).unwrap_err(), expected, "{text}");
        }
    }
}
