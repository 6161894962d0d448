//! Keeps secrets out of what is quoted.

use crate::secret::Secret;

/// What stands in place of a secret.
pub(crate) const MARK: &str = "[redacted]";

/// The shortest beginning of a secret that is taken for one, in bytes, where a quotation was cut.
const CUT_SECRET: usize = 8;

/// The longest escape that a cut may go through, in bytes: `\u0026`.
const LONGEST_ESCAPE: usize = 6;

/// The shortest run of mixed characters that is taken for a secret or a token, in bytes. Client secrets have 40.
const OPAQUE_RUN: usize = 32;

/// The text without these secrets, in clear or as a form, a URL, JSON or HTML carries them; and without the beginning of one
/// where the text was cut off.
pub(crate) fn redact(text: &str, secrets: &[&Secret]) -> String {
    let secrets = secrets.iter().map(|secret| secret.expose()).filter(|secret| !secret.is_empty());
    secrets.fold(text.to_owned(), |text, secret| without(&text, secret))
}

fn without(text: &str, secret: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(next) = rest.chars().next() {
        // What is written in clear may look like an escape, and the other way about.
        let ways = [(false, false), (false, true), (true, false), (true, true)];
        let written =
            ways.into_iter().find_map(|(may_be_cut, escapes_first)| written(rest, secret, may_be_cut, escapes_first));
        let length = written.unwrap_or(next.len_utf8());
        shown.push_str(if written.is_some() { MARK } else { &rest[..length] });
        rest = &rest[length..];
    }
    shown
}

/// How many bytes a secret takes that this text begins with; or the beginning of one that was cut, at the end of the text,
/// before an ellipsis, and where a quotation ends.
#[inline(never)]
fn written(text: &str, secret: &str, may_be_cut: bool, escapes_first: bool) -> Option<usize> {
    let (mut rest, mut found, mut cut) = (text, 0, None);
    for letter in secret.chars() {
        // Before each letter, since one that is written in clear may be what a cut left of an escape.
        cut = end_of_cut(text, rest, found).or(cut);
        let clear = rest.starts_with(letter).then_some(letter.len_utf8());
        let length =
            if escapes_first { escaped(rest, letter).or(clear) } else { clear.or_else(|| escaped(rest, letter)) };
        let Some(length) = length else { break };
        (rest, found) = (&rest[length..], found + letter.len_utf8());
    }
    let taken = text.len() - rest.len();
    if found == secret.len() {
        return Some(taken);
    }
    cut.filter(|_| may_be_cut)
}

/// Where the beginning of a secret ends that was cut where this rest of the text begins, or in an escape there.
fn end_of_cut(text: &str, rest: &str, found: usize) -> Option<usize> {
    if found < CUT_SECRET {
        return None;
    }
    let left = rest.split(['…', '"']).next().unwrap_or(rest);
    (left.is_empty() || begins_escape(left)).then(|| text.len() - rest.len() + left.len())
}

/// Whether this is what a cut through an escape leaves.
fn begins_escape(text: &str) -> bool {
    let Some(rest) = text.strip_prefix(['%', '\\', '&']) else { return false };
    text.len() < LONGEST_ESCAPE && rest.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'#')
}

/// How many bytes an escape of this letter takes that the text begins with.
#[inline(never)]
fn escaped(text: &str, letter: char) -> Option<usize> {
    let number = |digits: &str, radix| u32::from_str_radix(digits, radix).ok();
    let mut utf_8 = [0; 4];
    let mut utf_16 = [0; 2];
    match text.as_bytes().first()? {
        // In a form a plus is a blank, and what was read as one may have been a plus.
        b'+' => (letter == ' ').then_some(1),
        b' ' if letter == '+' => Some(1),
        b'%' if letter == '+' && text.starts_with("%20") => Some(3),
        b'%' => letter.encode_utf8(&mut utf_8).bytes().try_fold(0, |at, byte| {
            let digits = text.get(at..at + 3)?.strip_prefix('%')?;
            (number(digits, 16)? == u32::from(byte)).then_some(at + 3)
        }),
        b'\\' if text.starts_with("\\u") => letter.encode_utf16(&mut utf_16).iter().try_fold(0, |at, unit| {
            let digits = text.get(at..at + 6)?.strip_prefix("\\u")?;
            (number(digits, 16)? == u32::from(*unit)).then_some(at + 6)
        }),
        b'\\' => {
            let meant = match text.as_bytes().get(1)? {
                b'b' => '\u{8}',
                b'f' => '\u{c}',
                b'n' => '\n',
                b'r' => '\r',
                b't' => '\t',
                other => char::from(*other),
            };
            (meant == letter && meant.is_ascii()).then_some(2)
        }
        b'&' => {
            let (name, _) = text[1..].split_once(';')?;
            let meant = match name {
                "amp" => '&',
                "quot" => '"',
                "apos" => '\'',
                "lt" => '<',
                "gt" => '>',
                _ => {
                    let digits = name.strip_prefix('#')?;
                    let (digits, radix) = digits.strip_prefix(['x', 'X']).map_or((digits, 10), |digits| (digits, 16));
                    char::from_u32(number(digits, radix)?)?
                }
            };
            (meant == letter).then_some(name.len() + 2)
        }
        _ => None,
    }
}

/// The text without what looks like a secret: a value named as one, the word behind `Bearer`, and long runs of upper
/// case, lower case and digits, as tokens and client secrets are.
pub(crate) fn redact_lookalikes(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    let mut name = String::new();
    let mut rest = text;
    while !rest.is_empty() {
        let separator = rest.len() - rest.trim_start_matches(|c| !in_run(c)).len();
        let (between, tail) = rest.split_at(separator);
        let run_end = tail.find(|c| !in_run(c)).unwrap_or(tail.len());
        let (run, tail) = tail.split_at(run_end);
        let secret = is_opaque(run) || is_value_of_secret(&name, between, run);
        shown.push_str(between);
        shown.push_str(if secret { MARK } else { run });
        name = run.to_ascii_lowercase();
        rest = tail;
    }
    shown
}

fn in_run(c: char) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, '-' | '.' | '_' | '~' | '+' | '/' | '%')
}

fn is_opaque(run: &str) -> bool {
    let has = |test: fn(&u8) -> bool| run.as_bytes().iter().any(test);
    // A URL's host and path begin with two slashes; they are what a person needs to see.
    run.len() >= OPAQUE_RUN
        && !run.starts_with("//")
        && has(u8::is_ascii_uppercase)
        && has(u8::is_ascii_lowercase)
        && has(u8::is_ascii_digit)
}

fn is_value_of_secret(name: &str, between: &str, run: &str) -> bool {
    match name {
        // 'Bearer authentication' is a phrase, and `Bearer realm=` a challenge.
        "bearer" => run.len() >= CUT_SECRET && run.bytes().any(|byte| byte.is_ascii_digit()),
        "access_token" | "client_assertion" | "client_secret" | "refresh_token" => {
            between.contains(['=', ':']) && between.chars().all(|c| matches!(c, '=' | ':' | '"' | '\'' | ' ' | '\\'))
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_config::CANARY;
    use crate::token::form_encoded;

    #[test]
    fn a_secret_goes_however_it_is_written() {
        let secret = Secret::new(CANARY);
        let form = form_encoded(CANARY);
        let json = serde_json::to_string(CANARY).unwrap();
        for text in [CANARY, &form, &form.replace("%20", "+"), &json] {
            let shown = redact(&format!("before {text} after {text}"), &[&secret]);
            assert_eq!(shown.matches(MARK).count(), 2, "{shown}");
            assert!(shown.starts_with("before ") && !shown.contains("9Q"), "{shown}");
        }
    }

    #[test]
    fn the_beginning_of_a_secret_goes_where_the_text_was_cut() {
        let secret = Secret::new("abcdefghijklmnop");
        assert_eq!(redact("it is abcdefghij… and abcdefghijkl", &[&secret]), "it is [redacted]… and [redacted]");
        assert_eq!(redact("it said \"abcdefghijkl\".", &[&secret]), "it said \"[redacted]\".");
        assert_eq!(redact("it is abcdefg", &[&secret]), "it is abcdefg");
    }

    #[test]
    fn each_letter_of_a_secret_may_be_written_in_its_own_way() {
        let secret = Secret::new("ab/c+d ef=\u{e9}\u{1f600}&'\"\\x\n");
        for text in [
            r#"ab\/c+d+ef=é😀&'\"\\x\n"#,
            r#"ab\u002Fc\u002bd ef\u003d\u00e9\ud83d\uDE00\u0026\u0027\u0022\u005cx\u000a"#,
            "ab%2fc%2Bd%20ef%3D%C3%A9%F0%9F%98%80%26%27%22%5Cx%0A",
            "ab&#47;c&#x2B;d ef=&#xe9;&#128512;&amp;&apos;&quot;\\x\n",
            "a%62/c+d&#32;ef=\u{e9}\u{1f600}\\u0026'\\\"\\x%0a",
        ] {
            assert_eq!(redact(&format!("<{text}>"), &[&secret]), "<[redacted]>", "{text}");
        }
        for text in ["ab/c-d ef", "ab%2", "ab\\u002", "ab&#47", "ab%zz", "ab\\q", "ab&no;", "é", "ab%é", "ab&#x110000;"]
        {
            assert_eq!(redact(text, &[&secret]), text);
        }
    }

    #[test]
    fn what_looks_like_an_escape_may_be_the_secret_itself() {
        for (secret, text) in
            [("&amp;x", "&amp;x"), ("&amp;x", "&amp;amp;x"), ("%41+b", "%41+b"), ("\\u0041", "\\u0041")]
        {
            assert_eq!(redact(&format!("<{text}>"), &[&Secret::new(secret)]), "<[redacted]>", "{secret} as {text}");
        }
    }

    #[test]
    fn a_cut_may_go_through_an_escape() {
        let secret = Secret::new("abcdefgh/ijkl");
        for cut in ["abcdefgh%2", "abcdefgh%", "abcdefgh\\u002", "abcdefgh\\", "abcdefgh&#4", "abcdefgh%2fij"] {
            assert_eq!(
                redact(&format!("it is {cut}… and {cut}"), &[&secret]),
                "it is [redacted]… and [redacted]",
                "{cut}"
            );
        }
        assert_eq!(redact("abcdefgh and more", &[&secret]), "abcdefgh and more");
        for (secret, cut) in
            [("abcdefgh% x", "abcdefgh%2"), ("abcdefgh\\ x", "abcdefgh\\u00"), ("abcdefgh&;x", "abcdefgh&#3")]
        {
            assert_eq!(redact(&format!("said \"{cut}\"."), &[&Secret::new(secret)]), "said \"[redacted]\".", "{cut}");
        }
    }

    #[test]
    fn an_empty_secret_changes_nothing() {
        assert_eq!(redact("text", &[&Secret::new("")]), "text");
    }

    #[test]
    fn what_looks_like_a_secret_goes_and_what_a_person_needs_stays() {
        for (text, expected) in [
            ("Authorization: Bearer abc.def-123", "Authorization: Bearer [redacted]"),
            ("Bearer realm=\"\", error=\"invalid_token\"", "Bearer realm=\"\", error=\"invalid_token\""),
            ("Bearer authentication is required", "Bearer authentication is required"),
            ("{\"access_token\":\"short\",\"x\":1}", "{\"access_token\":\"[redacted]\",\"x\":1}"),
            ("a=1&client_secret=x%2By&b=2", "a=1&client_secret=[redacted]&b=2"),
            (
                "must contain 'client_assertion' or 'client_secret'.",
                "must contain 'client_assertion' or 'client_secret'.",
            ),
            ("got eyJ0eXAiOiJKV1QiLCJhbGciOiJSUzI1NiIsIng1dCI6.eyJhIjoxfQ.c2ln here", "got [redacted] here"),
            (
                "https://wdatp-alertexporter-us.gcc.securitycenter.windows.us/api/Alerts2 failed",
                "https://wdatp-alertexporter-us.gcc.securitycenter.windows.us/api/Alerts2 failed",
            ),
            ("app '11111111-2222-3333-4444-555555555555'", "app '11111111-2222-3333-4444-555555555555'"),
        ] {
            assert_eq!(redact_lookalikes(text), expected);
        }
    }
}
