//! The text of a configuration, in and out.

use super::problems::Problems;
use crate::json::{Node, quote};

/// Prints one JSON object, indented by two blanks a level.
pub(crate) struct Printer {
    text: String,
    depth: usize,
}

impl Printer {
    /// Begins the object.
    pub(crate) fn new() -> Self {
        Self { text: "{".to_owned(), depth: 1 }
    }

    /// A member that is a string.
    #[inline(never)]
    pub(crate) fn text(&mut self, name: &str, value: &str) {
        self.name(name);
        quote(value, &mut self.text);
    }

    /// A member that is a number.
    #[inline(never)]
    pub(crate) fn number(&mut self, name: &str, value: u32) {
        self.name(name);
        self.text.push_str(&value.to_string());
    }

    /// A member that is a list of strings.
    #[inline(never)]
    pub(crate) fn texts(&mut self, name: &str, values: &[impl AsRef<str>]) {
        self.name(name);
        self.text.push('[');
        for (index, value) in values.iter().enumerate() {
            self.text.push_str(if index == 0 { "" } else { ", " });
            quote(value.as_ref(), &mut self.text);
        }
        self.text.push(']');
    }

    /// Begins a member that is an object: what follows belongs to it.
    pub(crate) fn open(&mut self, name: &str) {
        self.name(name);
        self.text.push('{');
        self.depth += 1;
    }

    /// Ends the innermost object.
    pub(crate) fn close(&mut self) {
        self.depth -= 1;
        if !self.text.ends_with('{') {
            self.line();
        }
        self.text.push('}');
    }

    /// Ends the whole.
    pub(crate) fn finish(mut self) -> String {
        self.close();
        self.text
    }

    fn name(&mut self, name: &str) {
        if !self.text.ends_with('{') {
            self.text.push(',');
        }
        self.line();
        quote(name, &mut self.text);
        self.text.push_str(": ");
    }

    fn line(&mut self) {
        self.text.push('\n');
        for _ in 0..self.depth {
            self.text.push_str("  ");
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
    match Node::read(text.as_bytes()) {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_printed_is_read_back() {
        let mut printer = Printer::new();
        printer.text("a", "two\n\"3\" \u{e9}");
        printer.open("b");
        printer.open("c");
        printer.close();
        printer.texts("d", &["x".to_owned(), "y".to_owned()]);
        printer.close();
        printer.number("e", 5);
        let printed = printer.finish();
        let expected = r#"{"a":"two\n\"3\" \u00e9","b":{"c":{},"d":["x","y"]},"e":5}"#;
        let read = |text| serde_json::from_str::<serde_json::Value>(text).unwrap();
        assert_eq!(read(&printed), read(expected), "{printed}");
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
