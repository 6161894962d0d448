//! What a password protects: encryption and MAC with keys that are made from it.
//!
//! Source: RFC 8018 (PBES2), RFC 7292, appendices B and C (PKCS#12's own schemes), RFC 5208, section 6 (encrypted keys).

use std::num::NonZeroU32;

use aes::{Aes128, Aes192, Aes256};
use cbc::cipher::block_padding::Pkcs7;
use cbc::cipher::{BlockCipher, BlockDecrypt, BlockDecryptMut as _, InnerIvInit as _, KeyInit};
use der::asn1::{ObjectIdentifier, OctetString};
use der::{Decode, Encode as _, Sequence};
use des::{TdesEde2, TdesEde3};
use rc2::Rc2;
use ring::digest::{self, Context, SHA1_FOR_LEGACY_USE_ONLY, SHA256, SHA384, SHA512};
use ring::{hmac, pbkdf2};
use x509_cert::der::oid::db::rfc5911::{DES_EDE_3_CBC, ID_AES_128_CBC, ID_AES_192_CBC, ID_AES_256_CBC, ID_PBKDF_2};
use x509_cert::der::oid::db::rfc5912::{ID_SHA_1, ID_SHA_256, ID_SHA_384, ID_SHA_512};
use x509_cert::der::oid::db::rfc6268::{ID_HMAC_WITH_SHA_256, ID_HMAC_WITH_SHA_384, ID_HMAC_WITH_SHA_512};
use x509_cert::der::oid::db::rfc7292::{
    PBE_WITH_SHA_AND_2_KEY_TRIPLE_DES_CBC, PBE_WITH_SHA_AND_3_KEY_TRIPLE_DES_CBC, PBE_WITH_SHA_AND_128_BIT_RC_2_CBC,
    PBEWITH_SHA_AND_40_BIT_RC_2_CBC,
};
use x509_cert::spki::AlgorithmIdentifierOwned;

use super::problem::Problem;

/// How often a hash may be taken to open one file, in all: some seconds of work. OWASP asks for a million and less; a damaged or
/// hostile file can ask for thousands of millions, and for each of its parts anew.
pub(super) const MOST_ROUNDS: u32 = 10_000_000;

const PBES2: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.5.13");
/// That of PBKDF2; the one which a table of names has is another one.
const HMAC_SHA_1: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.2.7");

/// What else files are protected with.
const UNSUPPORTED: [(&str, &str); 11] = [
    ("1.2.840.113549.1.12.1.1", "128-bit RC4"),
    ("1.2.840.113549.1.12.1.2", "40-bit RC4"),
    ("1.2.840.113549.1.5.3", "MD5 and DES"),
    ("1.2.840.113549.1.5.10", "SHA-1 and DES"),
    ("1.2.840.113549.1.5.14", "PBMAC1"),
    ("1.3.6.1.4.1.11591.4.11", "scrypt"),
    ("1.2.840.113549.2.8", "HMAC with SHA-224"),
    ("1.2.840.113549.3.2", "RC2 in PBES2"),
    ("1.2.840.113549.1.7.2", "a signature in place of a password"),
    ("1.2.840.113549.1.7.3", "a public key in place of a password"),
    ("2.16.840.1.101.3.4.2.4", "SHA-224"),
];

/// That a file asks for this, which is not there.
pub(super) fn unsupported(algorithm: ObjectIdentifier) -> Problem {
    let number = algorithm.to_string();
    let name = UNSUPPORTED.iter().find(|(known, _)| *known == number).map(|(_, name)| (*name).to_owned());
    Problem::Unsupported(name.unwrap_or_else(|| format!("the algorithm {number}")))
}

/// A password as the two families of schemes take it.
pub(super) struct Password {
    utf8: Vec<u8>,
    /// A BMPString with two zeros at its end. Source: RFC 7292, appendix B.1.
    bmp: Vec<u8>,
}

impl Password {
    fn new(text: &str) -> Self {
        let bmp = text.encode_utf16().chain([0]).flat_map(u16::to_be_bytes).collect();
        Self { utf8: text.as_bytes().to_vec(), bmp }
    }

    /// Opens something with what a text may mean: some programs write no password as an empty text, others as nothing at all.
    pub(super) fn open<T>(
        text: &str,
        mut with: impl FnMut(&Self, &mut Rounds) -> Result<T, Problem>,
    ) -> Result<T, Problem> {
        match with(&Self::new(text), &mut Rounds::default()) {
            Err(Problem::WrongPassword) if text.is_empty() => {
                with(&Self { utf8: Vec::new(), bmp: Vec::new() }, &mut Rounds::default())
            }
            opened => opened,
        }
    }
}

/// The rounds of hashing that are left to open a file.
pub(super) struct Rounds(u32);

impl Default for Rounds {
    fn default() -> Self {
        Self(MOST_ROUNDS)
    }
}

impl Rounds {
    fn take(&mut self, rounds: u64) -> Result<NonZeroU32, Problem> {
        let taken = u32::try_from(rounds).ok().filter(|taken| *taken <= self.0);
        let taken = taken.ok_or(Problem::TooManyRounds(rounds))?;
        self.0 -= taken;
        NonZeroU32::new(taken).ok_or(Problem::Damaged)
    }
}

/// `EncryptedPrivateKeyInfo`.
#[derive(Sequence)]
pub(super) struct EncryptedKey {
    algorithm: AlgorithmIdentifierOwned,
    data: OctetString,
}

impl EncryptedKey {
    /// The key in PKCS#8.
    pub(super) fn decrypt(&self, password: &Password, rounds: &mut Rounds) -> Result<Vec<u8>, Problem> {
        let key = decrypt(&self.algorithm, self.data.as_bytes(), password, rounds)?;
        let is_whole = der::asn1::AnyRef::from_der(&key).is_ok();
        if is_whole { Ok(key) } else { Err(Problem::WrongPassword) }
    }
}

/// `PBES2-params`.
#[derive(Sequence)]
struct Pbes2 {
    derivation: AlgorithmIdentifierOwned,
    cipher: AlgorithmIdentifierOwned,
}

/// `PBKDF2-params`.
#[derive(Sequence)]
struct Pbkdf2 {
    salt: OctetString,
    rounds: u64,
    #[asn1(optional = "true")]
    key_length: Option<u16>,
    #[asn1(optional = "true")]
    prf: Option<AlgorithmIdentifierOwned>,
}

/// `pkcs-12PbeParams`.
#[derive(Sequence)]
struct Pkcs12Pbe {
    salt: OctetString,
    rounds: u64,
}

/// Decrypts data with a key and an initialisation vector.
type Decrypt = fn(&[u8], &[u8], &[u8]) -> Result<Vec<u8>, Problem>;

/// Decrypts what was encrypted with a password, which is wrong where the padding is. One of 256 wrong ones leaves what looks
/// like padding, so that whoever asks has to look at the structure of what comes out.
pub(super) fn decrypt(
    algorithm: &AlgorithmIdentifierOwned,
    data: &[u8],
    password: &Password,
    rounds: &mut Rounds,
) -> Result<Vec<u8>, Problem> {
    match algorithm.oid {
        PBES2 => pbes2(&parameters(algorithm)?, data, password, rounds),
        PBE_WITH_SHA_AND_3_KEY_TRIPLE_DES_CBC => {
            pkcs12_pbe::<TdesEde3>(24, &parameters(algorithm)?, data, password, rounds)
        }
        PBE_WITH_SHA_AND_2_KEY_TRIPLE_DES_CBC => {
            pkcs12_pbe::<TdesEde2>(16, &parameters(algorithm)?, data, password, rounds)
        }
        PBE_WITH_SHA_AND_128_BIT_RC_2_CBC => pkcs12_pbe::<Rc2>(16, &parameters(algorithm)?, data, password, rounds),
        PBEWITH_SHA_AND_40_BIT_RC_2_CBC => pkcs12_pbe::<Rc2>(5, &parameters(algorithm)?, data, password, rounds),
        other => Err(unsupported(other)),
    }
}

fn parameters<T: for<'a> Decode<'a, Error = der::Error>>(algorithm: &AlgorithmIdentifierOwned) -> Result<T, Problem> {
    let parameters = algorithm.parameters.as_ref().ok_or(Problem::Damaged)?;
    Ok(T::from_der(&parameters.to_der()?)?)
}

fn pbes2(scheme: &Pbes2, data: &[u8], password: &Password, rounds: &mut Rounds) -> Result<Vec<u8>, Problem> {
    let (length, cipher): (usize, Decrypt) = match scheme.cipher.oid {
        ID_AES_128_CBC => (16, cbc_decrypt::<Aes128>),
        ID_AES_192_CBC => (24, cbc_decrypt::<Aes192>),
        ID_AES_256_CBC => (32, cbc_decrypt::<Aes256>),
        DES_EDE_3_CBC => (24, cbc_decrypt::<TdesEde3>),
        other => return Err(unsupported(other)),
    };
    if scheme.derivation.oid != ID_PBKDF_2 {
        return Err(unsupported(scheme.derivation.oid));
    }
    let Pbkdf2 { salt, rounds: asked, key_length: _, prf } = parameters(&scheme.derivation)?;
    let prf = match prf.map_or(HMAC_SHA_1, |prf| prf.oid) {
        HMAC_SHA_1 => pbkdf2::PBKDF2_HMAC_SHA1,
        ID_HMAC_WITH_SHA_256 => pbkdf2::PBKDF2_HMAC_SHA256,
        ID_HMAC_WITH_SHA_384 => pbkdf2::PBKDF2_HMAC_SHA384,
        ID_HMAC_WITH_SHA_512 => pbkdf2::PBKDF2_HMAC_SHA512,
        other => return Err(unsupported(other)),
    };
    let iv: OctetString = parameters(&scheme.cipher)?;
    let mut key = vec![0; length];
    pbkdf2::derive(prf, rounds.take(asked)?, salt.as_bytes(), &password.utf8, &mut key);
    cipher(&key, iv.as_bytes(), data)
}

fn pkcs12_pbe<C: BlockCipher + BlockDecrypt + KeyInit>(
    length: usize,
    scheme: &Pkcs12Pbe,
    data: &[u8],
    password: &Password,
    rounds: &mut Rounds,
) -> Result<Vec<u8>, Problem> {
    let mut derived = |purpose, length| {
        let rounds = rounds.take(scheme.rounds)?;
        Ok::<_, Problem>(derive(
            &SHA1_FOR_LEGACY_USE_ONLY,
            &password.bmp,
            scheme.salt.as_bytes(),
            purpose,
            rounds,
            length,
        ))
    };
    let (key, iv) = (derived(Purpose::Key, length)?, derived(Purpose::Iv, 8)?);
    cbc_decrypt::<C>(&key, &iv, data)
}

fn cbc_decrypt<C: BlockCipher + BlockDecrypt + KeyInit>(
    key: &[u8],
    iv: &[u8],
    data: &[u8],
) -> Result<Vec<u8>, Problem> {
    let cipher = C::new_from_slice(key).map_err(|_| Problem::Damaged)?;
    let cipher = cbc::Decryptor::inner_iv_slice_init(cipher, iv).map_err(|_| Problem::Damaged)?;
    cipher.decrypt_padded_vec_mut::<Pkcs7>(data).map_err(|_| Problem::WrongPassword)
}

/// Checks the MAC of a PKCS#12 file, whose digest says which hash makes it.
pub(super) fn verify_mac(
    mac: &DigestInfo,
    salt: &[u8],
    asked: u64,
    data: &[u8],
    password: &Password,
    rounds: &mut Rounds,
) -> Result<(), Problem> {
    let (hash, mac_of) = match mac.algorithm.oid {
        ID_SHA_1 => (&SHA1_FOR_LEGACY_USE_ONLY, hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY),
        ID_SHA_256 => (&SHA256, hmac::HMAC_SHA256),
        ID_SHA_384 => (&SHA384, hmac::HMAC_SHA384),
        ID_SHA_512 => (&SHA512, hmac::HMAC_SHA512),
        other => return Err(unsupported(other)),
    };
    let key = derive(hash, &password.bmp, salt, Purpose::Mac, rounds.take(asked)?, hash.output_len());
    let key = hmac::Key::new(mac_of, &key);
    hmac::verify(&key, data, mac.digest.as_bytes()).map_err(|_| Problem::WrongPassword)
}

/// `DigestInfo`.
#[derive(Sequence)]
pub(super) struct DigestInfo {
    algorithm: AlgorithmIdentifierOwned,
    digest: OctetString,
}

/// What a key is for. Source: RFC 7292, appendix B.3.
#[derive(Clone, Copy)]
enum Purpose {
    Key = 1,
    Iv = 2,
    Mac = 3,
}

/// Bytes that are made from a password. Source: RFC 7292, appendix B.2, whose names are in the comments.
fn derive(
    hash: &'static digest::Algorithm,
    password: &[u8],
    salt: &[u8],
    purpose: Purpose,
    rounds: NonZeroU32,
    length: usize,
) -> Vec<u8> {
    let block = hash.block_len();
    let filled = |bytes: &[u8]| {
        let length = bytes.len().next_multiple_of(block);
        bytes.iter().copied().cycle().take(length).collect::<Vec<u8>>()
    };
    // I, which begins with S and ends with P.
    let mut input = [filled(salt), filled(password)].concat();
    let mut derived = Vec::new();
    while derived.len() < length {
        let mut first = Context::new(hash);
        // D.
        first.update(&vec![purpose as u8; block]);
        first.update(&input);
        // A_i.
        let part = (1..rounds.get()).fold(first.finish(), |part, _| digest::digest(hash, part.as_ref()));
        derived.extend_from_slice(part.as_ref());
        // B.
        let addend: Vec<u8> = part.as_ref().iter().copied().cycle().take(block).collect();
        for number in input.chunks_exact_mut(block) {
            let mut carry = 1;
            for (byte, addend) in number.iter_mut().zip(&addend).rev() {
                [carry, *byte] = (u16::from(*byte) + u16::from(*addend) + u16::from(carry)).to_be_bytes();
            }
        }
    }
    derived.truncate(length);
    derived
}

#[cfg(test)]
pub(super) mod tests;
