//! What stands in a recording in place of a secret, so that nobody takes it for one.

/// The words of which one stands in every invented secret, in any case. A real one holds none of them by chance.
pub const PLACEHOLDER_WORDS: [&str; 4] = ["canary", "invented", "placeholder", "redacted"];

/// What placeholders begin with that have to look like a GUID.
const GUID: &str = "00000000-0000-4000-8000-";

/// Whether a text says of itself that it is no real secret: it holds one of [`PLACEHOLDER_WORDS`], or is a GUID that
/// [`guid_placeholder`] made.
pub fn is_placeholder(text: &str) -> bool {
    let text = text.to_ascii_lowercase();
    PLACEHOLDER_WORDS.iter().any(|word| text.contains(word)) || text.starts_with(GUID)
}

/// Whether a text is what [`placeholder`] or [`guid_placeholder`] makes. That it holds one of [`PLACEHOLDER_WORDS`] is not
/// enough where a value is known to be a secret: a password may be called after a canary.
pub fn is_made(text: &str) -> bool {
    let is_number = |end: &str| !end.is_empty() && end.bytes().all(|byte| byte.is_ascii_digit());
    let made = text.strip_prefix("redacted-").and_then(|rest| rest.rsplit_once('-'));
    made.is_some_and(|(_, number)| is_number(number)) || text.starts_with(GUID)
}

/// The placeholder of the secret with this number among those of its kind, such as `redacted-client-secret-1`: text of
/// `[a-z0-9-]`, which looks the same in every encoding.
pub fn placeholder(kind: &str, number: usize) -> String {
    let mut word = String::new();
    for letter in kind.chars().flat_map(char::to_lowercase) {
        if letter.is_ascii_alphanumeric() {
            word.push(letter);
        } else if !word.is_empty() && !word.ends_with('-') {
            word.push('-');
        }
    }
    let word = word.trim_end_matches('-');
    format!("redacted-{}-{number}", if word.is_empty() { "secret" } else { word })
}

/// A placeholder for what has to be a GUID.
pub fn guid_placeholder(number: usize) -> String {
    format!("{GUID}{number:012x}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_placeholder_says_that_it_is_one_and_a_real_secret_does_not() {
        for text in [&placeholder("client_secret", 1), &guid_placeholder(300), "eyJ0.eyJ1.Canary-signature"] {
            assert!(is_placeholder(text), "{text}");
        }
        assert!(is_made(&placeholder("client_secret", 1)) && is_made(&guid_placeholder(300)));
        for text in ["Canary-Wharf-1", "redacted", "redacted-", "redacted-by-hand", "x-redacted-1"] {
            assert!(!is_made(text), "{text}");
        }
        for text in ["", "aB38Q~x1", "0f6f1a8e-3c1d-4d0b-9a5e-5f0c7b1d2e43"] {
            assert!(!is_placeholder(text), "{text}");
        }
    }

    #[test]
    fn a_placeholder_needs_no_escape_whatever_its_kind_is_called() {
        assert_eq!(placeholder("X-Api.Key/ü", 2), "redacted-x-api-key-2");
        assert_eq!(placeholder("$", 1), "redacted-secret-1");
        assert_eq!(guid_placeholder(26), "00000000-0000-4000-8000-00000000001a");
    }
}
