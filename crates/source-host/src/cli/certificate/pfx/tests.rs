//! Tests of [`super`], over the files of `tests/certificates` and some that are put together here.

use std::path::Path;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD as BASE64;

use super::super::pbe::tests::rounds;
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

/// Every byte of the keys and of the certificates.
fn bytes(contents: &Contents) -> (Vec<&[u8]>, Vec<&[u8]>) {
    let keys = contents.keys.iter().map(PrivateKeyDer::secret_der).collect();
    (keys, contents.certificates.iter().map(|der| &der[..]).collect())
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
        assert_eq!(bytes(&contents), (vec![key; 2], vec![&certificate[..]]), "{form:?}");
    }
}

#[test]
fn what_else_ber_allows_is_damaged() {
    let whole = read(&fixture("plain.pfx"), "").unwrap();
    let file = |octets: &dyn Fn(&[u8]) -> Vec<u8>| {
        let certificate = Lengths::Definite.tagged(X509_CERTIFICATE, &octets(&whole.certificates[0]));
        let bags = primitive(0x30, &Lengths::Definite.tagged(CERT_BAG, &certificate));
        let safe = primitive(0x30, &Lengths::Definite.tagged(ID_DATA, &primitive(4, &bags)));
        primitive(0x30, &[&[2, 1, 3], &Lengths::Definite.tagged(ID_DATA, &primitive(4, &safe))[..]].concat())
    };
    let is_read = |octets: &dyn Fn(&[u8]) -> Vec<u8>| match read(&file(octets), "") {
        Ok(contents) => contents.certificates == whole.certificates,
        Err(problem) => {
            assert_eq!(problem, Problem::Damaged);
            false
        }
    };
    let in_parts = |bytes: &[u8]| Lengths::Indefinite.octets(bytes);
    assert!(is_read(&|bytes| primitive(4, bytes)) && is_read(&in_parts));
    assert!(!is_read(&|bytes| primitive(0x24, &primitive(4, bytes))), "a definite length");
    assert!(!is_read(&|bytes| Lengths::Indefinite.constructed(0x24, &[&in_parts(bytes)])), "parts of parts");
    assert!(!is_read(&|bytes| [&[4, 0x83, 0], &primitive(4, bytes)[2..]].concat()), "a longer length");
}

#[test]
fn what_is_neither_key_nor_certificate_is_passed_over() {
    let whole = read(&fixture("plain.pfx"), "").unwrap();
    let form = Lengths::Definite;
    // A secret, and a certificate of SDSI. Source: RFC 7292, sections 4.2.3 and 4.2.5.
    let [secret_bag, sdsi] =
        ["1.2.840.113549.1.12.10.1.5", "1.2.840.113549.1.9.22.2"].map(ObjectIdentifier::new_unwrap);
    let bags = [
        form.tagged(secret_bag, &primitive(4, b"canary")),
        form.tagged(CERT_BAG, &form.tagged(sdsi, &primitive(4, b"canary"))),
        form.tagged(CERT_BAG, &form.tagged(X509_CERTIFICATE, &primitive(4, &whole.certificates[0]))),
    ];
    let bags = primitive(0x30, &bags.concat());
    let safe = primitive(0x30, &form.tagged(ID_DATA, &primitive(4, &bags)));
    let file = primitive(0x30, &[&[2, 1, 3], &form.tagged(ID_DATA, &primitive(4, &safe))[..]].concat());
    assert_eq!(bytes(&read(&file, "").unwrap()), (vec![], vec![&whole.certificates[0][..]]));
}

#[test]
fn a_mac_of_every_hash_is_checked_and_made_once_where_no_rounds_are_named() {
    // An Ed25519 key by `openssl pkcs12 -export -nocerts -keypbe NONE` with these options.
    for (options, file) in [
        (
            "-macalg sha384 -iter 2",
            "MIG8AgEDMGUGCSqGSIb3DQEHAaBYBFYwVDBSBgkqhkiG9w0BBwGgRQRDMEEwPwYLKoZIhvcNAQwKAQGgMDAuAgEAMAUGAytlcAQiBCAg+/6PBuaIvDt/bVNaP4MQ\
             nMSOeHmcZsW9qZhIg5Ln5DBQMEEwDQYJYIZIAWUDBAICBQAEMOuqJhhA7wpyEzwU8nigMsfnlGimGK3zS7Kv5YJ7q50KBarKLUfxSJPI1xrXXe0OYgQI84ZauQvL\
             xMACAQI=",
        ),
        (
            "-macalg sha512 -nomaciter",
            "MIHJAgEDMGUGCSqGSIb3DQEHAaBYBFYwVDBSBgkqhkiG9w0BBwGgRQRDMEEwPwYLKoZIhvcNAQwKAQGgMDAuAgEAMAUGAytlcAQiBCAg+/6PBuaIvDt/bVNaP4MQ\
             nMSOeHmcZsW9qZhIg5Ln5DBdMFEwDQYJYIZIAWUDBAIDBQAEQGsn/dt8MNyZigOWDiasBXu9ZrWwGznkqyuEf1GHo5O+iKX5z7kQu4NkucZwjCX4SiTvVF5ct7kV\
             Uh7E46XY4rYECF4pZdiQR4T/",
        ),
    ] {
        let file = BASE64.decode(file).unwrap();
        assert_eq!(read(&file, PASSWORD).unwrap().keys[0].secret_der().len(), 48, "{options}");
        let mut flipped = file;
        let at = memchr::memmem::find(&flipped, &[0x04, 0x22, 0x04, 0x20]).unwrap();
        flipped[at + 4] ^= 1;
        assert_eq!(read(&flipped, PASSWORD).err(), Some(Problem::WrongPassword), "{options}");
    }
}

#[test]
fn all_parts_of_a_file_share_its_rounds() {
    // Its MAC, its certificates and its key.
    let modern = fixture("modern.pfx");
    let (pfx, password) = (whole(&modern, Pfx::read).unwrap(), WITH_UMLAUTS);
    let open = |left| Password::open(password, |password, _| pfx.open(password, &mut rounds(left))).map(drop);
    assert_eq!(open(3 * 2048), Ok(()));
    assert_eq!(open(3 * 2048 - 1), Err(Problem::TooManyRounds(2048)));
    assert_eq!(open(2048), Err(Problem::TooManyRounds(2048)));
}

#[test]
fn a_number_of_rounds_that_is_longer_than_any_is_damaged() {
    let mac = |rounds: &[u8]| {
        let digest = primitive(0x30, &[primitive(0x30, &ID_DATA.to_der().unwrap()), primitive(4, &[0; 20])].concat());
        let mac = primitive(0x30, &[&digest[..], &[4, 1, 0], &primitive(2, rounds)].concat());
        primitive(0x30, &[&[2, 1, 3], &Lengths::Definite.tagged(ID_DATA, &[4, 2, 0x30, 0])[..], &mac].concat())
    };
    assert_eq!(read(&mac(&[0, 255, 255, 255, 255, 255, 255, 255, 255]), "").err(), Some(unsupported(ID_DATA)));
    assert_eq!(read(&mac(&[1, 0, 0, 0, 0, 0, 0, 0, 0]), "").err(), Some(Problem::Damaged));
}

#[test]
fn a_file_that_was_cut_anywhere_or_has_something_behind_it_is_damaged() {
    let plain = fixture("plain.pfx");
    let whole = read(&plain, "").unwrap();
    let indefinite = unprotected(&[whole.keys[0].secret_der()], &[&whole.certificates[0]], Lengths::Indefinite);
    for (file, password) in [(plain, ""), (indefinite, ""), (fixture("modern.pfx"), WITH_UMLAUTS)] {
        for length in 0..file.len() {
            assert_eq!(read(&file[..length], password).err(), Some(Problem::Damaged), "{length}");
        }
        let longer = [&file[..], b"\n"].concat();
        assert_eq!(read(&longer, password).err(), Some(Problem::Damaged));
    }
}

#[test]
fn whatever_bits_are_flipped_a_file_is_read_or_refused_and_a_mac_notices() {
    let modern = fixture("modern.pfx");
    let expected = read(&modern, WITH_UMLAUTS).unwrap();
    for at in 0..modern.len() {
        let mut flipped = modern.clone();
        flipped[at] ^= 0xff;
        if let Ok(contents) = read(&flipped, WITH_UMLAUTS) {
            assert_eq!(bytes(&contents), bytes(&expected), "{at}");
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
