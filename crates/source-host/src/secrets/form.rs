//! `application/x-www-form-urlencoded`, as far as a value in it is replaced.

use http::HeaderMap;
use http::header::CONTENT_TYPE;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode, utf8_percent_encode};

/// What a form value carries as it is, by every reader's rules.
const ESCAPED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// One field, its value as it is written.
pub(super) struct Field<'a> {
    pub(super) whole: &'a [u8],
    pub(super) name: String,
    written_name: &'a [u8],
    pub(super) value: &'a [u8],
}

/// Whether the headers say that the body is a form.
pub(super) fn is_form(headers: &HeaderMap) -> bool {
    let mut types = headers.get_all(CONTENT_TYPE).iter();
    let (Some(only), None) = (types.next(), types.next()) else { return false };
    let essence = only.as_bytes().split(|byte| *byte == b';').next().unwrap_or_default();
    essence.trim_ascii().eq_ignore_ascii_case(b"application/x-www-form-urlencoded")
}

/// The fields in their order.
pub(super) fn fields(body: &[u8]) -> impl Iterator<Item = Field<'_>> {
    body.split(|byte| *byte == b'&').map(|whole| {
        let at = memchr::memchr(b'=', whole).unwrap_or(whole.len());
        let (written_name, value) = (&whole[..at], whole.get(at + 1..).unwrap_or_default());
        let blanks: Vec<u8> = written_name.iter().map(|byte| if *byte == b'+' { b' ' } else { *byte }).collect();
        Field { whole, name: percent_decode(&blanks).decode_utf8_lossy().into_owned(), written_name, value }
    })
}

impl Field<'_> {
    /// The field with another value.
    pub(super) fn with(&self, value: &str) -> Vec<u8> {
        [self.written_name, b"=", encoded(value).as_bytes()].concat()
    }
}

/// A value as a form carries it, a blank as `%20`.
pub(super) fn encoded(value: &str) -> String {
    utf8_percent_encode(value, ESCAPED).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_cut_at_their_separators_and_names_are_decoded() {
        let read: Vec<_> =
            fields(b"a=1&client%5Fsecret=x=y&&c+d=&e").map(|f| (f.name.clone(), f.value.to_vec())).collect();
        let expected = [("a", "1"), ("client_secret", "x=y"), ("", ""), ("c d", ""), ("e", "")]
            .map(|(n, v)| (n.to_owned(), v.into()));
        assert_eq!(read, expected);
    }

    #[test]
    fn every_character_of_a_value_survives() {
        for value in ["+/=&%", "a b", "100%41", "ü✓🔑", "'\"<>", "\r\n\0", "-._~"] {
            let body = fields(b"s=x").next().map(|field| field.with(value)).unwrap();
            let written = body.strip_prefix(b"s=").unwrap();
            assert_eq!(percent_decode(written).decode_utf8().unwrap(), value);
            assert!(written.iter().all(|byte| byte.is_ascii_alphanumeric() || b"-._~%".contains(byte)));
        }
    }

    #[test]
    fn only_one_content_type_of_a_form_is_one() {
        let is = |types: &[&str]| {
            is_form(&types.iter().map(|value| (CONTENT_TYPE, value.parse().unwrap())).collect::<HeaderMap>())
        };
        assert!(is(&["application/x-www-form-urlencoded"]));
        assert!(is(&["Application/X-WWW-Form-Urlencoded; charset=utf-8"]));
        for other in [&[][..], &["application/json"], &["application/x-www-form-urlencoded-not"]] {
            assert!(!is(other), "{other:?}");
        }
        assert!(!is(&["application/x-www-form-urlencoded", "text/plain"]));
    }
}
