//! Tests of [`super`], over the files of `tests/certificates`.

use std::path::{Path, PathBuf};

use rustls::pki_types::pem::PemObject as _;
use tempfile::NamedTempFile;

use super::pfx::tests::{Lengths, PASSWORD, WITH_UMLAUTS, unprotected};
use super::*;
use crate::cli::config::SecretFrom;

/// In 2026, when most of them are valid.
const NOW: Duration = Duration::from_secs(1_780_000_000);

fn certificate(files: CertificateFiles, password: Option<SecretFrom>) -> Certificate {
    let from = CertificateFrom { files, password };
    Certificate { member: "certificate".to_owned(), from, client_id: "me".to_owned() }
}

fn pem(pem: &Path, key: Option<&Path>) -> Certificate {
    certificate(CertificateFiles::Pem { pem: pem.to_owned(), key: key.map(Path::to_owned) }, None)
}

fn pkcs12(path: &Path, password: Option<&Path>) -> Certificate {
    certificate(CertificateFiles::Pkcs12(path.to_owned()), password.map(|path| SecretFrom::File(path.to_owned())))
}

fn file(bytes: impl AsRef<[u8]>) -> NamedTempFile {
    let file = NamedTempFile::new().unwrap();
    std::fs::write(file.path(), bytes).unwrap();
    file
}

/// What an assertion says of the certificate that signed it.
fn header(certificate: &Certificate) -> String {
    let assertion = certificate.assertion("https://a.example/", NOW).unwrap();
    assertion.split('.').next().unwrap().to_owned()
}

/// Why nothing is signed, and what to do.
fn refusal(certificate: &Certificate) -> (String, String) {
    let denial = certificate.assertion("https://a.example/", NOW).unwrap_err();
    assert!(!format!("{denial:?}").contains("canary-"), "{denial:?}");
    (denial.reason, denial.hint.expect("a hint"))
}

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/certificates").join(name)
}

#[test]
fn what_cannot_sign_is_told_in_a_sentence() {
    for (name, key, words) in [
        ("expired.pem", None, "expired on 2020-01-01 00:00:00 UTC"),
        ("future.pem", None, "is not valid before 2118-01-01 00:00:00 UTC"),
        ("encrypted.pem", None, "encrypted.pem needs a password, or is damaged"),
        ("ecdsa.pem", None, "ecdsa.pem is an ECDSA key"),
        ("ecdsa.pem", Some("sec1.pem"), "sec1.pem is an ECDSA key"),
        ("first.pem", Some("second.pem"), "does not belong to the certificate in"),
        ("missing.pem", None, "missing.pem cannot be read: No such file"),
        ("first.pem", Some("missing.pem"), "missing.pem cannot be read: No such file"),
    ] {
        let (told, _) = refusal(&pem(&fixture(name), key.map(fixture).as_deref()));
        assert!(told.starts_with("nothing can be signed for `certificate`: ") && told.contains(words), "{told}");
    }
}

#[test]
fn a_missing_or_damaged_part_is_told_and_the_key_is_not_shown() {
    let whole = std::fs::read_to_string(fixture("first.pem")).unwrap();
    let (public, private) = whole.split_once("-----BEGIN PRIVATE").unwrap();
    let private = format!("-----BEGIN PRIVATE{private}");
    let canary = private.lines().nth(3).unwrap();
    let damaged = private.replace(canary, &canary.to_lowercase());
    for (text, words) in [
        (public.to_owned(), "holds no private key"),
        (private.clone(), "holds no certificate"),
        (String::new(), "holds no private key"),
        (format!("{public}{damaged}"), "cannot be used"),
        (whole.replace(canary, &format!("!{}", &canary[1..])), " is damaged or cut short"),
        (whole.replace("-----END PRIVATE", "-----END"), " is damaged or cut short"),
        ("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n".to_owned() + &private, "damaged certificate"),
    ] {
        let denial = pem(file(text).path(), None).assertion("https://a.example/", NOW).unwrap_err();
        assert!(denial.reason.contains(words), "{denial:?}");
        assert!(!format!("{denial:?}").contains(canary), "{denial:?}");
    }
}

#[test]
fn a_file_of_another_form_is_told_apart_from_what_is_damaged() {
    let der = [0x30, 0x82, 0x03, 0x19, 0x30, 0x82, 0x02, 0x01];
    for (bytes, words, advice) in [
        (
            &std::fs::read(fixture("modern.pfx")).unwrap()[..],
            "is no PEM file, but PKCS#12",
            "with `pkcs12` in place of",
        ),
        (&der, "it looks like DER", "openssl x509 -inform der -in"),
        (&[0x89, b'P', b'N', b'G'], "it holds what is no text", "readable for this user"),
    ] {
        let (told, hint) = refusal(&pem(file(bytes).path(), None));
        assert!(told.contains(words) && hint.contains(advice), "{told}: {hint}");
    }
    let base64 = base64::prelude::BASE64_STANDARD.encode(std::fs::read(fixture("plain.pfx")).unwrap());
    for (bytes, words, advice) in [
        (&std::fs::read(fixture("first.pem")).unwrap()[..], "is no PKCS#12 file, but PEM", "with `pem` in place of"),
        (base64.as_bytes(), "is a PKCS#12 file in base64", "base64 -d"),
        (&der, "is no PKCS#12 file", "export the certificate together with its private key"),
        (&[], "is no PKCS#12 file", "export the certificate together with its private key"),
        (&[b' '; 65537], "it is longer than 65536 bytes", "readable for this user"),
    ] {
        let (told, hint) = refusal(&pkcs12(file(bytes).path(), None));
        assert!(told.contains(words) && hint.contains(advice), "{told}: {hint}");
    }
    let (told, _) = refusal(&pkcs12(&fixture("missing.pfx"), None));
    assert!(told.contains("missing.pfx cannot be read: No such file"), "{told}");
}

#[test]
fn a_pkcs12_file_signs_like_the_pem_file_that_it_was_made_of() {
    for (name, password, same) in [
        ("modern.pfx", WITH_UMLAUTS, "first.pem"),
        ("legacy.pfx", WITH_UMLAUTS, "second.pem"),
        ("python.pfx", PASSWORD, "second.pem"),
        // The other one in it has expired.
        ("keytool.p12", PASSWORD, "first.pem"),
        ("nss.p12", PASSWORD, "first.pem"),
    ] {
        let password = file(password.to_owned() + "\n");
        let signs = pkcs12(&fixture(name), Some(password.path()));
        assert_eq!(header(&signs), header(&pem(&fixture(same), None)), "{name}");
    }
    for (name, same) in [("empty.pfx", "second.pem"), ("absent.pfx", "first.pem"), ("plain.pfx", "first.pem")] {
        assert_eq!(header(&pkcs12(&fixture(name), None)), header(&pem(&fixture(same), None)), "{name}");
    }
}

#[test]
fn an_encrypted_key_in_pem_is_opened_by_its_password_and_a_replaced_password_is_read() {
    let files = CertificateFiles::Pem { pem: fixture("encrypted.pem"), key: None };
    let password = file(PASSWORD);
    let signs = certificate(files, Some(SecretFrom::File(password.path().to_owned())));
    assert_eq!(header(&signs), header(&pem(&fixture("first.pem"), None)));
    std::fs::write(password.path(), "canary-other").unwrap();
    let (told, _) = refusal(&signs);
    assert!(told.contains("the key in ") && told.contains("is not opened by the password from "), "{told}");
    let whole = std::fs::read_to_string(fixture("encrypted.pem")).unwrap();
    for damaged in
        [whole.replace("-----END ENC", "-----END"), whole.replacen("RIVATE KEY-----\nMII", "RIVATE KEY-----\nMMM", 1)]
    {
        let (told, _) = refusal(&pem(file(damaged).path(), None));
        assert!(told.contains("is damaged or cut short"), "{told}");
    }
    // Among others as well.
    let both = std::fs::read_to_string(fixture("second.pem")).unwrap() + &whole;
    let (told, _) = refusal(&pem(file(&both).path(), None));
    assert!(told.contains("needs a password"), "{told}");
    std::fs::write(password.path(), PASSWORD).unwrap();
    let key = file(both);
    let files = CertificateFiles::Pem { pem: fixture("encrypted.pem"), key: Some(key.path().to_owned()) };
    let signs = certificate(files, Some(SecretFrom::File(password.path().to_owned())));
    assert_eq!(header(&signs), header(&pem(&fixture("first.pem"), None)));
    let old = "-----BEGIN RSA PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\n\nAAAA\n-----END RSA PRIVATE KEY-----\n";
    let (told, hint) = refusal(&pem(file(old).path(), None));
    assert!(told.contains("encrypted in an old way") && hint.contains("openssl pkcs8 -topk8"), "{told}: {hint}");
}

#[test]
fn a_password_that_is_wrong_or_missing_is_told_with_its_place() {
    let wrong = file("canary-wrong");
    let (told, _) = refusal(&pkcs12(&fixture("modern.pfx"), Some(wrong.path())));
    let expected = format!("modern.pfx is not opened by the password from {}, or is damaged", wrong.path().display());
    assert!(told.ends_with(&expected), "{told}");
    let (told, hint) = refusal(&pkcs12(&fixture("modern.pfx"), None));
    assert!(told.ends_with("modern.pfx needs a password, or is damaged"), "{told}");
    assert!(hint.contains("password = { env = "), "{hint}");
    let of_variable = |name: &str| {
        let password = Some(SecretFrom::Env(name.to_owned()));
        certificate(CertificateFiles::Pkcs12(fixture("modern.pfx")), password)
    };
    let (told, _) = refusal(&of_variable("NO_SUCH_VARIABLE_HERE"));
    let expected =
        "the secret `certificate.password` is missing: the environment variable NO_SUCH_VARIABLE_HERE is not set";
    assert_eq!(told, expected);
    let empty = file("\n");
    let (told, hint) = refusal(&pkcs12(&fixture("plain.pfx"), Some(empty.path())));
    assert!(told.starts_with("the secret `certificate.password` is empty"), "{told}");
    assert!(hint.ends_with("; where the file has no password, leave `password` out"), "{hint}");
    // A variable that is there, and no password.
    let (told, _) = refusal(&of_variable("PATH"));
    assert!(
        told.ends_with("modern.pfx is not opened by the password from the environment variable PATH, or is damaged")
    );
}

/// Key and certificate of a PEM file, in PKCS#8 and DER.
fn parts(name: &str) -> (Vec<u8>, Vec<u8>) {
    let key = PrivateKeyDer::from_pem_file(fixture(name)).unwrap();
    (key.secret_der().to_vec(), CertificateDer::from_pem_file(fixture(name)).unwrap().to_vec())
}

#[test]
fn a_pkcs12_file_that_cannot_sign_is_told_in_a_sentence() {
    let [first, second, ecdsa, expired] = ["first.pem", "second.pem", "ecdsa.pem", "expired.pem"].map(parts);
    let cut = std::fs::read(fixture("plain.pfx")).unwrap();
    let told = |keys: &[&[u8]], certificates: &[&[u8]]| {
        let file = file(unprotected(keys, certificates, Lengths::Definite));
        refusal(&pkcs12(file.path(), None)).0
    };
    for (told, words) in [
        (told(&[], &[&first.1]), "holds no private key"),
        (told(&[&first.0], &[]), "holds no certificate"),
        (told(&[&first.0], &[&second.1, &ecdsa.1]), "no certificate in "),
        (told(&[&ecdsa.0], &[&ecdsa.1]), "is an ECDSA key"),
        (told(&[&expired.0], &[&expired.1]), "expired on 2020-01-01 00:00:00 UTC"),
        (told(&[&first.0], &[b"0123"]), "holds a damaged certificate"),
        (told(&[&[0x30, 0]], &[&first.1]), "cannot be used"),
    ] {
        assert!(told.starts_with("nothing can be signed for `certificate`: ") && told.contains(words), "{told}");
    }
    for damaged in [&cut[..cut.len() / 2], &[&cut[..], b"\n"].concat()] {
        let (told, hint) = refusal(&pkcs12(file(damaged).path(), None));
        assert!(told.ends_with("is damaged or cut short, or has something behind it"), "{told}");
        assert!(hint.contains("`openssl pkcs12 -in app.pfx -out app.pem -nodes`"), "{hint}");
    }
}

#[test]
fn of_several_keys_and_certificates_those_sign_that_are_valid_and_end_last() {
    let [first, ecdsa, expired, future] = ["first.pem", "ecdsa.pem", "expired.pem", "future.pem"].map(parts);
    let second = pfx::read(&std::fs::read(fixture("empty.pfx")).unwrap(), "").unwrap();
    let (second_key, second) = (second.keys[0].secret_der(), &second.certificates[0][..]);
    let header_at = |keys: &[&[u8]], certificates: &[&[u8]], now| {
        let file = file(unprotected(keys, certificates, Lengths::Indefinite));
        let assertion = pkcs12(file.path(), None).assertion("https://a.example/", now).unwrap();
        assertion.split('.').next().unwrap().to_owned()
    };
    // Of two keys that are valid that of the later certificate signs.
    let earlier = CertificateDer::from_pem_file(fixture("earlier.pem")).unwrap();
    let mut two = [second_key, &first.0];
    let mut of_two = [&earlier[..], &first.1];
    // Three certificates are of one key.
    let mut keys = [&first.0[..], &ecdsa.0, second_key];
    let mut of_second = [&expired.1[..], second, &ecdsa.1, &future.1];
    // One that is damaged is in nobody's way.
    let mut of_first = [&expired.1[..], &first.1, b"0123", &future.1];
    // At this moment, the end of 2019, two of them are valid.
    let mut at_once = [&expired.1[..], &first.1];
    let both = Duration::from_secs(1_577_836_800);
    for _ in 0..2 {
        assert_eq!(header_at(&keys, &of_second, NOW), header(&pem(&fixture("second.pem"), None)));
        assert_eq!(header_at(&keys, &of_first, NOW), header(&pem(&fixture("first.pem"), None)));
        assert_eq!(header_at(&keys, &at_once, both), header(&pem(&fixture("first.pem"), None)));
        assert_eq!(header_at(&two, &of_two, NOW), header(&pem(&fixture("first.pem"), None)));
        two.reverse();
        of_two.reverse();
        keys.reverse();
        of_second.reverse();
        of_first.reverse();
        at_once.reverse();
    }
}

#[test]
fn a_protection_that_is_not_supported_is_named_with_the_command_that_converts_it() {
    // The number of the hash of the MAC, SHA-256, is made that of SHA-224.
    let mut file_of_sha224 = std::fs::read(fixture("modern.pfx")).unwrap();
    let sha256 = [0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02, 0x01];
    let at = memchr::memmem::rfind(&file_of_sha224, &sha256).unwrap();
    file_of_sha224[at + sha256.len() - 1] = 4;
    let (told, hint) = refusal(&pkcs12(file(&file_of_sha224).path(), None));
    assert!(told.ends_with("is protected with SHA-224, which is not supported"), "{told}");
    assert!(hint.contains("`openssl pkcs12 -in app.pfx -out app.pem -nodes`"), "{hint}");
    // The rounds of the MAC, 2048 in two bytes at the end, are made 2,147,483,647 in four.
    let mut slow = std::fs::read(fixture("modern.pfx")).unwrap();
    assert_eq!(slow.split_off(slow.len() - 4), [2, 2, 8, 0]);
    slow.extend([2, 4, 0x7f, 0xff, 0xff, 0xff]);
    let length = u16::from_be_bytes([slow[2], slow[3]]) + 2;
    slow[2..4].copy_from_slice(&length.to_be_bytes());
    let mac = memchr::memmem::rfind(&slow, &[0x30, 0x41, 0x30, 0x31]).unwrap();
    slow[mac + 1] += 2;
    let (told, _) = refusal(&pkcs12(file(&slow).path(), None));
    assert!(
        told.ends_with("asks for 2147483647 rounds of hashing for one of its parts, and all may take 10000000"),
        "{told}"
    );
}

#[test]
fn the_certificate_of_the_key_is_found_among_others_and_no_two_assertions_are_alike() {
    let folder = tempfile::tempdir().unwrap();
    let [first, second] = ["first.pem", "second.pem"].map(|name| std::fs::read_to_string(fixture(name)).unwrap());
    let chain = folder.path().join("chain.pem");
    std::fs::write(&chain, format!("{first}{second}")).unwrap();
    let signs = pem(&chain, Some(&fixture("second.pem")));
    let [one, other] = [(); 2].map(|()| signs.assertion("https://a.example/", NOW).unwrap());
    assert_ne!(one, other);
    assert_eq!(header(&signs), header(&pem(&fixture("second.pem"), None)));
}

#[test]
fn what_openssl_makes_of_a_store_of_two_entries_signs_with_the_later_one() {
    assert_eq!(header(&pem(&fixture("nodes.pem"), None)), header(&pem(&fixture("first.pem"), None)));
    let second = pem(&fixture("earlier.pem"), Some(&fixture("nodes.pem")));
    assert_eq!(header(&second), header(&pem(&fixture("earlier.pem"), Some(&fixture("second.pem")))));
}
