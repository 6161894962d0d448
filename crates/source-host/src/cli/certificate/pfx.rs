//! The structure of a PKCS#12 file. Source: RFC 7292, section 4.
//!
//! It is read in DER, and where lengths are indefinite (X.690, section 8.1.3.6), as some programs write it. Of what BER
//! allows besides nothing is read: an octet string that is constructed with a definite length or of constructed parts, and
//! a length in more bytes than it needs.

use der::asn1::{Any, ObjectIdentifier, OctetString};
use der::{Decode, Encode as _, EncodingRules, Reader, Sequence, SliceReader, TagNumber};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use x509_cert::der::oid::db::rfc5911::{ID_DATA, ID_ENCRYPTED_DATA};
use x509_cert::spki::AlgorithmIdentifierOwned;

use super::Contents;
use super::pbe::{DigestInfo, EncryptedKey, Password, Rounds, decrypt, unsupported, verify_mac};
use super::problem::Problem;

const KEY_BAG: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.12.10.1.1");
const SHROUDED_KEY_BAG: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.12.10.1.2");
const CERT_BAG: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.12.10.1.3");
const X509_CERTIFICATE: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.9.22.1");

/// Whether a file begins as one of PKCS#12 does: a sequence, and version 3.
pub(super) fn is_pfx(bytes: &[u8]) -> bool {
    let [0x30, length, rest @ ..] = bytes else { return false };
    let more = if *length > 0x80 { usize::from(length - 0x80) } else { 0 };
    rest.get(more..).is_some_and(|rest| rest.starts_with(&[0x02, 0x01, 0x03]))
}

/// The keys and certificates of a file.
pub(super) fn read(bytes: &[u8], password: &str) -> Result<Contents, Problem> {
    let pfx = whole(bytes, Pfx::read)?;
    Password::open(password, |password, rounds| pfx.open(password, rounds))
}

/// `PFX`.
struct Pfx {
    safe: Vec<u8>,
    mac: Option<MacData>,
}

/// `MacData`.
#[derive(Sequence)]
struct MacData {
    mac: DigestInfo,
    salt: OctetString,
    #[asn1(default = "once")]
    rounds: u64,
}

fn once() -> u64 {
    1
}

/// `ContentInfo`, of the kinds that hold something here.
enum Content {
    Data(OctetString),
    Encrypted(EncryptedData),
}

/// `EncryptedData`.
#[derive(Sequence)]
struct EncryptedData {
    version: u8,
    info: EncryptedContentInfo,
}

/// `EncryptedContentInfo`.
#[derive(Sequence)]
struct EncryptedContentInfo {
    content_type: ObjectIdentifier,
    algorithm: AlgorithmIdentifierOwned,
    #[asn1(context_specific = "0", tag_mode = "IMPLICIT")]
    content: OctetString,
}

/// `SafeBag`, of the kinds that hold something here.
enum Bag {
    Key(Any),
    ShroudedKey(EncryptedKey),
    Certificate(CertBag),
    Other,
}

/// `CertBag`.
#[derive(Sequence)]
struct CertBag {
    kind: ObjectIdentifier,
    #[asn1(context_specific = "0", tag_mode = "EXPLICIT")]
    value: OctetString,
}

impl Pfx {
    fn read<'a>(reader: &mut SliceReader<'a>) -> Result<Self, Problem> {
        reader.sequence(|reader| {
            let _version: u8 = reader.decode()?;
            let Content::Data(safe) = Content::read(reader)? else { return Err(Problem::Damaged) };
            let mac = if reader.is_finished() { None } else { Some(reader.decode()?) };
            Ok(Self { safe: safe.into_bytes().into(), mac })
        })
    }

    fn open(&self, password: &Password, rounds: &mut Rounds) -> Result<Contents, Problem> {
        if let Some(MacData { mac, salt, rounds: asked }) = &self.mac {
            verify_mac(mac, salt.as_bytes(), *asked, &self.safe, password, rounds)?;
        }
        self.contents(password, rounds)
    }

    fn contents(&self, password: &Password, rounds: &mut Rounds) -> Result<Contents, Problem> {
        let mut contents = Contents::default();
        for content in whole(&self.safe, |reader| sequence_of(reader, Content::read))? {
            let bags = match content {
                Content::Data(data) => whole(data.as_bytes(), |reader| sequence_of(reader, Bag::read))?,
                Content::Encrypted(EncryptedData { info, .. }) => {
                    let data = decrypt(&info.algorithm, info.content.as_bytes(), password, rounds)?;
                    whole(&data, |reader| sequence_of(reader, Bag::read)).map_err(|_| Problem::WrongPassword)?
                }
            };
            for bag in bags {
                bag.add_to(&mut contents, password, rounds)?;
            }
        }
        Ok(contents)
    }
}

impl Content {
    fn read<'a, R: Reader<'a>>(reader: &mut R) -> Result<Self, Problem> {
        reader.sequence(|reader| match reader.decode()? {
            ID_DATA => Ok(Self::Data(explicit(reader)?)),
            ID_ENCRYPTED_DATA => Ok(Self::Encrypted(explicit(reader)?)),
            other => Err(unsupported(other)),
        })
    }
}

impl Bag {
    fn read<'a, R: Reader<'a>>(reader: &mut R) -> Result<Self, Problem> {
        reader.sequence(|reader| {
            let bag = match reader.decode()? {
                KEY_BAG => Self::Key(explicit(reader)?),
                SHROUDED_KEY_BAG => Self::ShroudedKey(explicit(reader)?),
                CERT_BAG => Self::Certificate(explicit(reader)?),
                _ => Self::Other,
            };
            // Names and numbers of keys: what belongs together is told by the keys themselves.
            reader.drain(reader.remaining_len())?;
            Ok(bag)
        })
    }

    fn add_to(self, contents: &mut Contents, password: &Password, rounds: &mut Rounds) -> Result<(), Problem> {
        let key = match self {
            Self::Key(key) => key.to_der()?,
            Self::ShroudedKey(key) => key.decrypt(password, rounds)?,
            Self::Certificate(CertBag { kind: X509_CERTIFICATE, value }) => {
                contents.certificates.push(CertificateDer::from(Vec::from(value.into_bytes())));
                return Ok(());
            }
            Self::Certificate(_) | Self::Other => return Ok(()),
        };
        contents.keys.push(PrivateKeyDer::from(PrivatePkcs8KeyDer::from(key)));
        Ok(())
    }
}

/// Reads all of these bytes.
fn whole<'a, T>(bytes: &'a [u8], read: impl FnOnce(&mut SliceReader<'a>) -> Result<T, Problem>) -> Result<T, Problem> {
    let mut reader = SliceReader::new_with_encoding_rules(bytes, EncodingRules::Ber)?;
    let value = read(&mut reader)?;
    reader.finish()?;
    Ok(value)
}

fn sequence_of<'a, R: Reader<'a>, T>(
    reader: &mut R,
    read: impl Fn(&mut R) -> Result<T, Problem>,
) -> Result<Vec<T>, Problem> {
    reader.sequence(|reader| {
        let mut items = Vec::new();
        while !reader.is_finished() {
            items.push(read(reader)?);
        }
        Ok(items)
    })
}

/// What stands with the tag `[0] EXPLICIT`.
fn explicit<'a, R: Reader<'a>, T: Decode<'a, Error = der::Error>>(reader: &mut R) -> Result<T, Problem> {
    let field = der::asn1::ContextSpecific::<T>::decode_explicit(reader, TagNumber(0))?;
    field.map(|field| field.value).ok_or(Problem::Damaged)
}

#[cfg(test)]
pub(super) mod tests;
