//! Runs of base64 in a text, in either alphabet, padded or not.

use std::ops::Range;

use ::base64::Engine as _;
use ::base64::alphabet::{Alphabet, STANDARD, URL_SAFE};
use ::base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};

/// A shorter run holds no secret that is long enough to be looked for.
const SHORTEST: usize = 11;

/// A run of base64, and what it says.
pub(super) struct Run {
    pub(super) at: Range<usize>,
    pub(super) decoded: Vec<u8>,
    is_url_safe: bool,
    is_padded: bool,
}

/// The runs that can be decoded: whole ones, and those between slashes, which may be those of a path.
pub(super) fn runs(bytes: &[u8]) -> Vec<Run> {
    let mut runs = Vec::new();
    let mut start = 0;
    while start < bytes.len() {
        let length = bytes[start..].iter().take_while(|byte| is_letter(**byte)).count();
        let padding = bytes[start + length..].iter().take(2).take_while(|byte| **byte == b'=').count();
        if length >= SHORTEST {
            let at = start..start + length + padding;
            runs.extend(Run::decode(bytes, at.clone()));
            if bytes[at.clone()].contains(&b'/') {
                let mut part = at.start;
                for piece in bytes[at].split(|byte| *byte == b'/') {
                    if piece.len() >= SHORTEST {
                        runs.extend(Run::decode(bytes, part..part + piece.len()));
                    }
                    part += piece.len() + 1;
                }
            }
        }
        start += length + padding.max(1);
    }
    runs
}

impl Run {
    fn decode(bytes: &[u8], at: Range<usize>) -> Option<Self> {
        let text = &bytes[at.clone()];
        let is_url_safe = text.iter().any(|byte| b"-_".contains(byte));
        let decoded = engine(is_url_safe, false).decode(text).ok()?;
        // One that needs no padding may be of the kind that has it.
        let is_padded = text.ends_with(b"=") || (!is_url_safe && text.len().is_multiple_of(4));
        Some(Self { at, decoded, is_url_safe, is_padded })
    }

    /// Other bytes in the same form.
    pub(super) fn encode(&self, bytes: &[u8]) -> Vec<u8> {
        engine(self.is_url_safe, self.is_padded).encode(bytes).into_bytes()
    }
}

fn engine(is_url_safe: bool, is_padded: bool) -> GeneralPurpose {
    let alphabet: &Alphabet = if is_url_safe { &URL_SAFE } else { &STANDARD };
    let config = GeneralPurposeConfig::new()
        .with_decode_padding_mode(DecodePaddingMode::Indifferent)
        .with_decode_allow_trailing_bits(true)
        .with_encode_padding(is_padded);
    GeneralPurpose::new(alphabet, config)
}

fn is_letter(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"+/-_".contains(&byte)
}
