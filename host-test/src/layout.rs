//! JSON with a member a line, for a person: in the order in which it came, and with its numbers as they are.

use serde::de::IgnoredAny;

/// The same JSON, laid out; `None` where it is none.
pub(crate) fn laid_out(json: &str) -> Option<String> {
    serde_json::from_str::<IgnoredAny>(json).ok()?;
    let mut out = String::with_capacity(json.len() * 2);
    let mut depth = 0_usize;
    let mut letters = json.chars().filter(|letter| !letter.is_ascii_whitespace() || *letter == ' ').peekable();
    while let Some(letter) = letters.next() {
        match letter {
            '"' => {
                let mut text = String::from('"');
                let mut is_escaped = false;
                for letter in letters.by_ref() {
                    text.push(letter);
                    match letter {
                        '"' if !is_escaped => break,
                        _ => is_escaped = letter == '\\' && !is_escaped,
                    }
                }
                out.push_str(&plain(&text));
            }
            '{' | '[' => {
                let end = if letter == '{' { '}' } else { ']' };
                while letters.next_if_eq(&' ').is_some() {}
                out.push(letter);
                if letters.next_if_eq(&end).is_some() {
                    out.push(end);
                } else {
                    depth += 1;
                    line(&mut out, depth);
                }
            }
            '}' | ']' => {
                depth = depth.saturating_sub(1);
                line(&mut out, depth);
                out.push(letter);
            }
            ',' => {
                out.push(',');
                line(&mut out, depth);
            }
            ':' => out.push_str(": "),
            ' ' => {}
            other => out.push(other),
        }
    }
    Some(out)
}

/// A text with no more escapes than it needs, so that a secret in it is found.
fn plain(text: &str) -> String {
    let plain = serde_json::from_str::<String>(text).and_then(|decoded| serde_json::to_string(&decoded));
    plain.unwrap_or_else(|_| text.to_owned())
}

fn line(out: &mut String, depth: usize) {
    out.push('\n');
    out.extend(std::iter::repeat_n("  ", depth));
}

#[cfg(test)]
mod tests {
    use super::laid_out;

    #[test]
    fn members_keep_their_order_and_texts_their_letters() {
        let json =
            "{\"b\" : 1.50,\n\t\"a\":[ ],\"c d\":{ },\"e\":[\"{,: \\\" \\\\\",{\"x\":null}], \"z\":\"\\u00e9\\/\"}\n";
        assert_eq!(
            laid_out(json).unwrap(),
            "{\n  \"b\": 1.50,\n  \"a\": [],\n  \"c d\": {},\n  \"e\": [\n    \"{,: \\\" \\\\\",\n    {\n      \"x\": null\n    }\n  ],\n  \"z\": \"é/\"\n}"
        );
        assert_eq!(laid_out("7").as_deref(), Some("7"));
        assert_eq!(laid_out("{\"a\": 1"), None);
    }
}
