//! Short, safe quotations of what a server sent.

use super::redact::{redact, redact_lookalikes};
use crate::secret::Secret;

/// The longest quotation, in characters.
pub const EXCERPT_CHARS: usize = 200;

/// How much of a body is looked at, in bytes.
const LOOKED_AT: usize = 16 * 1024;

/// What a body is, for a person: its media type and the beginning of its text, on one line, at most [`EXCERPT_CHARS`]
/// characters of it.
///
/// A page of HTML or XML is reduced to its title, or else to its text. These secrets, and whatever looks like a token,
/// are left out.
pub fn excerpt(media_type: Option<&str>, body: &[u8], secrets: &[&Secret]) -> String {
    let kind = media_type.map(|kind| quote(kind, secrets)).filter(|kind| !kind.is_empty());
    let kind = kind.map(|kind| kind + ", ").unwrap_or_default();
    let text = String::from_utf8_lossy(body.get(..LOOKED_AT).unwrap_or(body));
    let quoted = if is_markup(media_type, &text) {
        quote(&markup_text(&text), secrets)
    } else {
        quote(text.trim_start_matches('\u{feff}'), secrets)
    };
    if body.is_empty() {
        format!("{kind}an empty body")
    } else if quoted.is_empty() {
        format!("{kind}{} bytes without text", body.len())
    } else if quoted.len() > 1 && quoted.starts_with('"') && quoted.ends_with('"') {
        // A string of JSON stands in quotes already.
        format!("{kind}{quoted}")
    } else {
        format!("{kind}\"{quoted}\"")
    }
}

/// Foreign text, on one line, without these secrets and what looks like one, at most [`EXCERPT_CHARS`] characters of it.
pub(crate) fn quote(text: &str, secrets: &[&Secret]) -> String {
    // A secret may hold what `one_line` changes, so it goes first.
    let line = one_line(&redact(text, secrets));
    cut(redact_lookalikes(&line))
}

/// Words apart by one blank: no line breaks, no control characters, nothing that turns the direction of writing.
pub(crate) fn one_line(text: &str) -> String {
    let mut line = String::new();
    let unprintable = |c: char| {
        c.is_whitespace()
            || c.is_control()
            || matches!(c, '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}')
    };
    for word in text.split(unprintable).filter(|word| !word.is_empty()) {
        if !line.is_empty() {
            line.push(' ');
        }
        line.push_str(word);
    }
    line
}

fn cut(mut text: String) -> String {
    if let Some((end, _)) = text.char_indices().nth(EXCERPT_CHARS) {
        text.truncate(end);
        text.push('…');
    }
    text
}

pub(crate) fn is_markup(media_type: Option<&str>, text: &str) -> bool {
    let named = media_type.is_some_and(|kind| {
        let kind = kind.to_ascii_lowercase();
        kind.contains("html") || kind.contains("xml")
    });
    named || text.trim_start_matches('\u{feff}').trim_start().starts_with('<')
}

/// The title of a page, or else its text without tags, scripts and styles.
fn markup_text(page: &str) -> String {
    // Lower-casing ASCII alone keeps every offset.
    let lower = page.to_ascii_lowercase();
    if let Some(title) = element(page, &lower, "title").filter(|title| !title.trim().is_empty()) {
        return unescaped(title);
    }
    let mut text = String::new();
    let mut at = 0;
    while let Some(open) = lower[at..].find('<').map(|found| at + found) {
        text.push_str(&page[at..open]);
        text.push(' ');
        let end = ["script", "style"]
            .iter()
            .find(|name| lower[open + 1..].starts_with(**name))
            .map_or(">".to_owned(), |name| format!("</{name}>"));
        match lower[open..].find(&end) {
            Some(close) => at = open + close + end.len(),
            None => return unescaped(&text),
        }
    }
    text.push_str(&page[at..]);
    unescaped(&text)
}

/// What stands between the first tag of this name and its end, or the end of the page where it was cut off.
fn element<'a>(page: &'a str, lower: &str, name: &str) -> Option<&'a str> {
    let tag = lower.find(&format!("<{name}"))?;
    let start = tag + lower[tag..].find('>')? + 1;
    let end = lower[start..].find('<').map_or(page.len(), |length| start + length);
    page.get(start..end)
}

fn unescaped(text: &str) -> String {
    let pairs = [("&nbsp;", " "), ("&lt;", "<"), ("&gt;", ">"), ("&quot;", "\""), ("&#39;", "'"), ("&amp;", "&")];
    pairs.iter().fold(text.to_owned(), |text, (escaped, plain)| text.replace(escaped, plain))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_config::CANARY;

    fn shown(media_type: &str, body: &str) -> String {
        excerpt(Some(media_type), body.as_bytes(), &[&Secret::new(CANARY)])
    }

    #[test]
    fn a_page_is_reduced_to_its_title_or_its_text() {
        for (body, expected) in [
            ("<!DOCTYPE html><html><HEAD><Title lang=en>Log in\r\n here</Title></HEAD>x", "Log in here"),
            (
                "<html><title> </title><style>b{}</style><p>Access <b>denied</b></p><script>f(1<2)</script>",
                "Access denied",
            ),
            ("<html><title>Cut off", "Cut off"),
            ("<p>a &lt;b&gt; &amp;amp; c", "a <b> &amp; c"),
            ("<Error><Code>Refused</Code><Message>No.</Message></Error>", "Refused No."),
        ] {
            assert_eq!(shown("text/html", body), format!("text/html, \"{expected}\""));
        }
        assert_eq!(shown("text/html", "<br><script>endless"), "text/html, 19 bytes without text");
        assert_eq!(shown("application/json", " <html><title>Proxy</title>"), "application/json, \"Proxy\"");
    }

    #[test]
    fn what_stands_in_quotes_gets_no_others() {
        assert_eq!(shown("application/json", "\"Try later\""), "application/json, \"Try later\"");
        assert_eq!(shown("text/plain", "\""), "text/plain, \"\"\"");
    }

    #[test]
    fn a_quotation_is_one_line_without_control_characters() {
        assert_eq!(
            shown("text/plain", "a\r\nb\tc\u{0}d\u{1b}[31me\u{202e}f\u{85}g"),
            "text/plain, \"a b c d [31me f g\""
        );
    }

    #[test]
    fn a_long_text_is_cut_between_characters() {
        let text = shown("text/plain", &"\u{fc} ".repeat(1000));
        assert_eq!(text.matches('\u{fc}').count(), EXCERPT_CHARS / 2);
        assert!(text.ends_with("…\""), "{text}");
    }

    #[test]
    fn what_is_no_text_is_quoted_without_a_panic() {
        assert_eq!(excerpt(None, b"", &[]), "an empty body");
        assert_eq!(excerpt(Some(" "), b"\r\n\0", &[]), "3 bytes without text");
        assert!(excerpt(None, &[0x1f, 0x8b, 0xff, 0xfe, b'a'], &[]).contains('a'));
        assert!(excerpt(None, &vec![b'<'; 100_000], &[]).contains("without text"));
        assert_eq!(shown("a\r\nb", "x"), "a b, \"x\"");
    }

    #[test]
    fn no_form_of_a_secret_is_quoted() {
        let html = CANARY.replace('&', "&amp;").replace('\'', "&#39;");
        let json = serde_json::to_string(CANARY).unwrap();
        for body in [CANARY, &html, &json, &crate::token::form_encoded(CANARY), &"x".repeat(192)] {
            let padded = format!("<p>{body}{CANARY}");
            assert!(!shown("text/html", &padded).contains("kanarie"), "{padded}");
            let padded = format!("{body}{CANARY}");
            assert!(!shown("text/plain", &padded).contains("kanarie"), "{padded}");
            assert!(!shown(&padded, "x").contains("kanarie"), "{padded}");
        }
    }
}
