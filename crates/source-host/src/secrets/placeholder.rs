//! Placeholders: what the component holds in place of a secret.

use std::io;
use std::sync::atomic::{AtomicU64, Ordering};

use memchr::memmem::Finder;

/// Bytes drawn for each source.
const NONCE: usize = 16;

/// Makes the placeholders of one source. What all of them have in common was drawn for it, so that nobody guesses one,
/// and one search finds any of them.
pub(super) struct Mint {
    nonce: Finder<'static>,
    text: String,
    made: AtomicU64,
}

impl Mint {
    pub(super) fn new() -> io::Result<Self> {
        let mut bytes = [0; NONCE];
        rustls::crypto::ring::default_provider()
            .secure_random
            .fill(&mut bytes)
            .map_err(|_| io::Error::other("the machine gives no random bytes"))?;
        // Without capitals, so that it is found in the name of a header as well.
        let text: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
        Ok(Self { nonce: Finder::new(&text).into_owned(), text, made: AtomicU64::new(0) })
    }

    /// The next one; `kind` is for whoever reads it.
    pub(super) fn placeholder(&self, kind: &str) -> String {
        format!("{kind}-{}-{}", self.text, self.made.fetch_add(1, Ordering::Relaxed))
    }

    /// Whether any of them stands there.
    pub(super) fn is_in(&self, text: impl AsRef<[u8]>) -> bool {
        self.nonce.find(text.as_ref()).is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_placeholder_is_of_letters_that_need_no_escape_and_never_the_same() {
        let (one, other) = (Mint::new().unwrap(), Mint::new().unwrap());
        let made = [one.placeholder("secret"), one.placeholder("secret"), other.placeholder("secret")];
        for (index, placeholder) in made.iter().enumerate() {
            assert!(placeholder.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_-".contains(&byte)));
            assert!(!made[..index].contains(placeholder));
            assert_eq!((one.is_in(placeholder), other.is_in(placeholder)), (index < 2, index == 2));
        }
        // 128 bits of chance are 32 digits.
        assert_eq!(made[0].split('-').nth(1).map(str::len), Some(32));
    }
}
