//! Takes secrets out of what a server says back.

use memchr::memmem;

use super::form;

/// The shortest secret that is looked for, in bytes: a shorter one stands in every answer by chance.
const SHORTEST: usize = 4;

/// What is looked for, and what is put in its place.
#[derive(Default)]
pub(crate) struct Scrubber {
    /// The longest first, since one may be a part of another.
    needles: Vec<(Vec<u8>, String)>,
}

impl Scrubber {
    /// Looks for this secret, in clear and as forms, JSON and HTML carry it.
    pub(crate) fn add(&mut self, secret: &str, stands_for: &str) {
        if secret.len() < SHORTEST {
            return;
        }
        let encoded = form::encoded(secret);
        let lower = lower_case_escapes(&encoded);
        let json = serde_json::Value::from(secret).to_string();
        let json = json.get(1..json.len() - 1).unwrap_or(secret);
        let html = secret.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;");
        let (apostrophe, plus) = (html.replace('\'', "&#39;"), html.replace('\'', "&#x27;").replace('+', "&#x2B;"));
        let forms = [
            secret,
            &encoded,
            &encoded.replace("%20", "+"),
            &lower,
            &lower.replace("%20", "+"),
            json,
            &json.replace('/', "\\/"),
            &html,
            &apostrophe,
            &plus,
        ];
        self.needles.extend(forms.map(|form| (form.as_bytes().to_vec(), stands_for.to_owned())));
        self.needles.sort_by_key(|(needle, _)| std::cmp::Reverse(needle.len()));
        self.needles.dedup();
    }

    /// The bytes without them; none where there are none.
    pub(crate) fn bytes(&self, bytes: &[u8]) -> Option<Vec<u8>> {
        let mut scrubbed: Option<Vec<u8>> = None;
        for (needle, stands_for) in &self.needles {
            let text = scrubbed.as_deref().unwrap_or(bytes);
            let found: Vec<usize> = memmem::find_iter(text, needle).collect();
            if found.is_empty() {
                continue;
            }
            let mut without = Vec::with_capacity(text.len());
            let mut end = 0;
            for at in found {
                without.extend_from_slice(&text[end..at]);
                without.extend_from_slice(stands_for.as_bytes());
                end = at + needle.len();
            }
            without.extend_from_slice(&text[end..]);
            scrubbed = Some(without);
        }
        scrubbed
    }

    /// The longest form of any of them, in bytes.
    pub(crate) fn longest(&self) -> usize {
        self.needles.first().map_or(0, |(needle, _)| needle.len())
    }

    /// How many bytes at the end may be the beginning of one of them, the rest of which was not read.
    pub(crate) fn begun_at_end(&self, bytes: &[u8]) -> usize {
        let begun = |needle: &[u8]| (1..needle.len()).rev().find(|&length| bytes.ends_with(&needle[..length]));
        self.needles.iter().filter_map(|(needle, _)| begun(needle)).max().unwrap_or(0)
    }

    /// The same of a text.
    pub(super) fn text(&self, text: &str) -> Option<String> {
        // Needles and what replaces them are whole characters.
        self.bytes(text.as_bytes()).map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
    }
}

/// `%2b` in place of `%2B`.
fn lower_case_escapes(encoded: &str) -> String {
    let mut escape = 0;
    let lower = |c: char| {
        escape = if c == '%' { 2 } else { i32::max(escape - 1, -1) };
        if escape >= 0 { c.to_ascii_lowercase() } else { c }
    };
    encoded.chars().map(lower).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_goes_however_it_is_written() {
        let secret = "Ab+/=&% \"'<ü";
        let mut scrubber = Scrubber::default();
        scrubber.add(secret, "P");
        for written in [
            secret,
            "Ab%2B%2F%3D%26%25%20%22%27%3C%C3%BC",
            "Ab%2b%2f%3d%26%25+%22%27%3c%c3%bc",
            "Ab+/=&% \\\"'<ü",
            "Ab+\\/=&% \\\"'<ü",
            "Ab+/=&amp;% &quot;&#39;&lt;ü",
            "Ab&#x2B;/=&amp;% &quot;&#x27;&lt;ü",
        ] {
            assert_eq!(scrubber.text(&format!("a {written}{written} b")).as_deref(), Some("a PP b"), "{written}");
        }
        assert_eq!(scrubber.text("Ab+/=&"), None);
    }

    #[test]
    fn of_secrets_that_hold_each_other_nothing_is_left() {
        let mut scrubber = Scrubber::default();
        scrubber.add("canary", "1");
        scrubber.add("canary-and-more", "2");
        assert_eq!(scrubber.text("canary-and-more canary").as_deref(), Some("2 1"));
        scrubber.add("a", "3");
        scrubber.add("", "4");
        assert_eq!(scrubber.text("an apple"), None);
        assert_eq!(
            (scrubber.longest(), scrubber.begun_at_end(b"x canary-an"), scrubber.begun_at_end(b"x")),
            (15, 9, 0)
        );
    }

    #[test]
    fn only_the_digits_behind_a_percent_sign_change_their_case() {
        assert_eq!(lower_case_escapes("AB%2BAB%C3%BCX"), "AB%2bAB%c3%bcX");
    }
}
