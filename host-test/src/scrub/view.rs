//! A text as it is meant, and where each byte of that comes from.

/// Decoded bytes. Byte `n` was written from `at[n]` on, up to `at[n + 1]`.
pub(super) struct View {
    pub(super) bytes: Vec<u8>,
    pub(super) at: Vec<usize>,
}

/// Every way in which a text may be meant otherwise than it is written; none where it is not.
pub(super) fn views(bytes: &[u8]) -> impl Iterator<Item = View> {
    [percent(bytes, false), percent(bytes, true), json_escapes(bytes), entities(bytes)].into_iter().flatten()
}

/// Percent-encoding, as URLs and forms have it; there `+` is a blank.
fn percent(bytes: &[u8], is_form: bool) -> Option<View> {
    let mark = if is_form { b'+' } else { b'%' };
    decoded(bytes, mark, |rest| match rest {
        [b'+', ..] if is_form => Some((vec![b' '], 1)),
        [b'%', high, low, ..] => Some((vec![(digit(*high)? << 4) | digit(*low)?], 3)),
        _ => None,
    })
}

/// The escapes of JSON, as far as they are complete.
pub(super) fn json_escapes(bytes: &[u8]) -> Option<View> {
    decoded(bytes, b'\\', |rest| {
        let [b'\\', escape, more @ ..] = rest else { return None };
        let plain = match escape {
            b'"' | b'\\' | b'/' => *escape,
            b'b' => 8,
            b'f' => 12,
            b'n' => b'\n',
            b'r' => b'\r',
            b't' => b'\t',
            b'u' => return unicode(more),
            _ => return None,
        };
        Some((vec![plain], 2))
    })
}

/// `uXXXX` after its `\`, or two of them that are one character.
fn unicode(rest: &[u8]) -> Option<(Vec<u8>, usize)> {
    let unit = |digits: &[u8]| {
        digits.get(..4)?.iter().try_fold(0_u32, |unit, byte| Some((unit << 4) | u32::from(digit(*byte)?)))
    };
    let first = unit(rest)?;
    let (code, length) = match rest.get(4..6) {
        Some(b"\\u") if (0xD800..0xDC00).contains(&first) => {
            let second = unit(&rest[6..]).filter(|second| (0xDC00..0xE000).contains(second))?;
            (0x1_0000 + ((first - 0xD800) << 10) + (second - 0xDC00), 12)
        }
        _ => (first, 6),
    };
    Some((char::from_u32(code)?.to_string().into_bytes(), length))
}

/// Character references of HTML and XML.
fn entities(bytes: &[u8]) -> Option<View> {
    decoded(bytes, b'&', |rest| {
        let name = rest.strip_prefix(b"&")?;
        let length = name.iter().take(12).position(|byte| *byte == b';')?;
        let name = std::str::from_utf8(&name[..length]).ok()?;
        let letter = match name {
            "amp" => '&',
            "lt" => '<',
            "gt" => '>',
            "quot" => '"',
            "apos" => '\'',
            _ => {
                let number = name.strip_prefix('#')?;
                let code = match number.strip_prefix(['x', 'X']) {
                    Some(digits) => u32::from_str_radix(digits, 16),
                    None => number.parse(),
                };
                char::from_u32(code.ok()?)?
            }
        };
        Some((letter.to_string().into_bytes(), length + 2))
    })
}

/// Decodes what `unit` understands, each time with the bytes that it stands for and how long it was.
fn decoded(bytes: &[u8], mark: u8, unit: impl Fn(&[u8]) -> Option<(Vec<u8>, usize)>) -> Option<View> {
    if !bytes.contains(&mark) {
        return None;
    }
    let mut view = View { bytes: Vec::with_capacity(bytes.len()), at: Vec::with_capacity(bytes.len() + 1) };
    let mut changed = false;
    let mut at = 0;
    while at < bytes.len() {
        let (plain, length) = match unit(&bytes[at..]) {
            Some(decoded) => {
                changed = true;
                decoded
            }
            None => (vec![bytes[at]], 1),
        };
        view.at.extend(std::iter::repeat_n(at, plain.len()));
        view.bytes.extend(plain);
        at += length;
    }
    view.at.push(bytes.len());
    changed.then_some(view)
}

fn digit(byte: u8) -> Option<u8> {
    char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok())
}
