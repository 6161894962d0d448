//! Tests of [`super`], over the files of `tests/certificates` and some that are put together here.

use std::path::Path;

use super::*;

pub(in super::super) const PASSWORD: &str = "canary-password";
/// Letters that the two families of schemes write in other ways.
pub(in super::super) const WITH_UMLAUTS: &str = "canary-pässwörd €";

fn fixture(name: &str) -> Vec<u8> {
    std::fs::read(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/certificates").join(name)).unwrap()
}

/// How lengths are written.
#[derive(Clone, Copy, Debug)]
pub(in super::super) enum Lengths {
    Definite,
    Indefinite,
}

impl Lengths {
    fn constructed(self, tag: u8, parts: &[&[u8]]) -> Vec<u8> {
        let parts = parts.concat();
        match self {
            Self::Definite => primitive(tag, &parts),
            Self::Indefinite => [&[tag, 0x80][..], &parts, &[0, 0]].concat(),
        }
    }

    fn octets(self, bytes: &[u8]) -> Vec<u8> {
        match self {
            Self::Definite => primitive(4, bytes),
            // In parts, as NSS and Bouncy Castle write it.
            Self::Indefinite => {
                let parts: Vec<Vec<u8>> = bytes.chunks(1000).map(|part| primitive(4, part)).collect();
                self.constructed(0x24, &[&parts.concat()])
            }
        }
    }

    fn tagged(self, kind: ObjectIdentifier, value: &[u8]) -> Vec<u8> {
        self.constructed(0x30, &[&kind.to_der().unwrap(), &self.constructed(0xa0, &[value])])
    }
}

fn primitive(tag: u8, bytes: &[u8]) -> Vec<u8> {
    let length = u16::try_from(bytes.len()).unwrap();
    let [high, low] = length.to_be_bytes();
    let header = match length {
        0..0x80 => vec![tag, low],
        0x80..0x100 => vec![tag, 0x81, low],
        _ => vec![tag, 0x82, high, low],
    };
    [&header[..], bytes].concat()
}

/// A file without a password, of keys in PKCS#8 and certificates.
pub(in super::super) fn unprotected(keys: &[&[u8]], certificates: &[&[u8]], lengths: Lengths) -> Vec<u8> {
    let keys = keys.iter().map(|key| lengths.tagged(KEY_BAG, key));
    let certificates = certificates.iter().map(|der| {
        let certificate = lengths.tagged(X509_CERTIFICATE, &lengths.octets(der));
        lengths.tagged(CERT_BAG, &certificate)
    });
    let bags: Vec<Vec<u8>> = keys.chain(certificates).collect();
    let bags = lengths.constructed(0x30, &[&bags.concat()]);
    let safe = lengths.constructed(0x30, &[&lengths.tagged(ID_DATA, &lengths.octets(&bags))]);
    lengths.constructed(0x30, &[&[2, 1, 3], &lengths.tagged(ID_DATA, &lengths.octets(&safe))])
}

fn lengths(contents: &Contents) -> (Vec<usize>, Vec<usize>) {
    let keys = contents.keys.iter().map(|key| key.secret_der().len()).collect();
    (keys, contents.certificates.iter().map(|der| der.len()).collect())
}

#[test]
fn files_of_several_programs_are_read() {
    for (name, password, expected) in [
        ("modern.pfx", WITH_UMLAUTS, (1, 3)),
        ("legacy.pfx", WITH_UMLAUTS, (1, 1)),
        ("python.pfx", PASSWORD, (1, 2)),
        ("keytool.p12", PASSWORD, (2, 2)),
        ("nss.p12", PASSWORD, (1, 1)),
        ("empty.pfx", "", (1, 1)),
        ("absent.pfx", "", (1, 1)),
        ("nomac.pfx", PASSWORD, (1, 1)),
        ("plain.pfx", "", (1, 1)),
        // It needs none.
        ("plain.pfx", PASSWORD, (1, 1)),
    ] {
        let read = read(&fixture(name), password).map(|read| (read.keys.len(), read.certificates.len()));
        assert_eq!(read, Ok(expected), "{name}");
    }
}

#[test]
fn a_wrong_password_opens_nothing() {
    for name in ["modern.pfx", "legacy.pfx", "python.pfx", "keytool.p12", "empty.pfx", "absent.pfx"] {
        for password in ["canary-passwort", " "] {
            assert_eq!(read(&fixture(name), password).err(), Some(Problem::WrongPassword), "{name}");
        }
    }
    assert_eq!(read(&fixture("modern.pfx"), "").err(), Some(Problem::WrongPassword));
    // What some of these make of it looks as if it were padded.
    for number in 0..1000 {
        let refused = read(&fixture("nomac.pfx"), &format!("canary-{number}")).err();
        assert_eq!(refused, Some(Problem::WrongPassword), "{number}");
    }
}

#[test]
fn lengths_may_be_indefinite() {
    let whole = read(&fixture("plain.pfx"), "").unwrap();
    let (key, certificate) = (whole.keys[0].secret_der(), &whole.certificates[0]);
    for form in [Lengths::Definite, Lengths::Indefinite] {
        let contents = read(&unprotected(&[key, key], &[certificate], form), "").unwrap();
        assert_eq!(lengths(&contents), (vec![key.len(); 2], vec![certificate.len()]), "{form:?}");
        assert_eq!((contents.keys[1].secret_der(), &contents.certificates[0]), (key, certificate));
    }
}

#[test]
fn a_file_that_was_cut_anywhere_is_damaged() {
    let plain = fixture("plain.pfx");
    let whole = read(&plain, "").unwrap();
    let indefinite = unprotected(&[whole.keys[0].secret_der()], &[&whole.certificates[0]], Lengths::Indefinite);
    for (file, password) in [(plain, ""), (indefinite, ""), (fixture("modern.pfx"), WITH_UMLAUTS)] {
        for length in 0..file.len() {
            assert_eq!(read(&file[..length], password).err(), Some(Problem::Damaged), "{length}");
        }
    }
}

#[test]
fn whatever_bits_are_flipped_a_file_is_read_or_refused_and_a_mac_notices() {
    let modern = fixture("modern.pfx");
    let expected = lengths(&read(&modern, WITH_UMLAUTS).unwrap());
    for at in 0..modern.len() {
        let mut flipped = modern.clone();
        flipped[at] ^= 0xff;
        if let Ok(contents) = read(&flipped, WITH_UMLAUTS) {
            assert_eq!(lengths(&contents), expected, "{at}");
        }
    }
    let plain = fixture("plain.pfx");
    let whole = read(&plain, "").unwrap();
    let indefinite = unprotected(&[whole.keys[0].secret_der()], &[&whole.certificates[0]], Lengths::Indefinite);
    for file in [plain, indefinite] {
        let mut refused = 0;
        for bit in 0..file.len() * 8 {
            let mut flipped = file.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            refused += usize::from(read(&flipped, "").is_err());
        }
        // Those of the structure, which is some hundred bytes.
        assert!(refused > 300, "{refused}");
    }
}
