//! Base64 with the standard alphabet and without padding, as checkpoints hold keys.
//!
//! By hand rather than by a crate, for the size of the component. Source: RFC 4648, section 4.

const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/// Appends the text of these bytes.
pub(crate) fn encode(bytes: &[u8], out: &mut String) {
    // Eight letters at a time: a checkpoint holds up to 190 KB.
    let (groups, rest) = bytes.as_chunks::<6>();
    for group in groups {
        push(&letters(*group), out);
    }
    let mut last = [0; 6];
    for (to, from) in last.iter_mut().zip(rest) {
        *to = *from;
    }
    push(letters(last).get(..(rest.len() * 4).div_ceil(3)).unwrap_or_default(), out);
}

fn push(letters: &[u8], out: &mut String) {
    out.push_str(str::from_utf8(letters).unwrap_or_default());
}

fn letters([a, b, c, d, e, f]: [u8; 6]) -> [u8; 8] {
    let bits = u64::from_be_bytes([0, 0, a, b, c, d, e, f]);
    [42, 36, 30, 24, 18, 12, 6, 0].map(|shift| ALPHABET[(bits >> shift) as usize % 64])
}

/// The bytes of a text; none for one that [`encode`] does not write.
pub(crate) fn decode(text: &str) -> Option<Vec<u8>> {
    let mut bytes = Vec::with_capacity(text.len() / 4 * 3 + 2);
    for group in text.as_bytes().chunks(4) {
        let mut bits = 0_u32;
        for index in 0..4 {
            bits = bits << 6 | group.get(index).map_or(Some(0), |letter| value(*letter))?;
        }
        let [_, group_bytes @ ..] = bits.to_be_bytes();
        let (whole, rest) = group_bytes.split_at_checked(group.len().checked_sub(1).filter(|count| *count > 0)?)?;
        if rest.iter().any(|byte| *byte != 0) {
            return None;
        }
        bytes.extend_from_slice(whole);
    }
    Some(bytes)
}

fn value(letter: u8) -> Option<u32> {
    let value = match letter {
        b'A'..=b'Z' => letter - b'A',
        b'a'..=b'z' => letter - b'a' + 26,
        b'0'..=b'9' => letter - b'0' + 52,
        b'+' => 62,
        b'/' => 63,
        _ => return None,
    };
    Some(value.into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use ::base64::Engine as _;
    use ::base64::prelude::BASE64_STANDARD_NO_PAD as REFERENCE;

    #[test]
    fn the_text_is_the_one_of_every_other_program_and_is_read_back() {
        let bytes: Vec<u8> = (0..=255_u8).rev().chain(0..=255).collect();
        for length in 0..bytes.len() {
            let (mut text, bytes) = ("before ".to_owned(), &bytes[..length]);
            encode(bytes, &mut text);
            let text = text.strip_prefix("before ").unwrap();
            assert_eq!(text, REFERENCE.encode(bytes));
            assert_eq!(decode(text).as_deref(), Some(bytes));
        }
    }

    #[test]
    fn what_is_not_written_is_not_read() {
        for text in ["A", "AAAAA", "AB", "AAB", "AA==", "AA A", "AA-_", "\u{e9}\u{e9}", "AA\n"] {
            assert_eq!(decode(text), None, "{text}");
            assert!(REFERENCE.decode(text).is_err(), "{text}");
        }
    }
}
