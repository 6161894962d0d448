//! Tests of [`super`], over the files of `tests/certificates`.

use std::path::Path;

use super::*;

/// In 2026, when most of them are valid.
const NOW: Duration = Duration::from_secs(1_780_000_000);

fn certificate(pem: &Path, key: Option<&Path>) -> Certificate {
    Certificate {
        member: "certificate".to_owned(),
        pem: pem.to_owned(),
        key: key.map(Path::to_owned),
        client_id: "me".to_owned(),
    }
}

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/certificates").join(name)
}

fn told(pem: &str, key: Option<&str>) -> String {
    let key = key.map(fixture);
    let denial = certificate(&fixture(pem), key.as_deref()).assertion("https://a.example/", NOW).unwrap_err();
    assert!(denial.hint.is_some(), "{denial:?}");
    denial.reason
}

#[test]
fn what_cannot_sign_is_told_in_a_sentence() {
    for (pem, key, words) in [
        ("expired.pem", None, "expired on 2020-01-01 00:00:00 UTC"),
        ("future.pem", None, "is not valid before 2118-01-01 00:00:00 UTC"),
        ("encrypted.pem", None, "encrypted.pem is encrypted"),
        ("ecdsa.pem", None, "ecdsa.pem is an ECDSA key"),
        ("first.pem", Some("second.pem"), "does not belong to the certificate in"),
        ("missing.pem", None, "missing.pem cannot be read: No such file"),
        ("first.pem", Some("missing.pem"), "missing.pem cannot be read: No such file"),
    ] {
        let told = told(pem, key);
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
        ("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n".to_owned() + &private, "damaged certificate"),
    ] {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), text).unwrap();
        let denial = certificate(file.path(), None).assertion("https://a.example/", NOW).unwrap_err();
        assert!(denial.reason.contains(words), "{denial:?}");
        assert!(!format!("{denial:?}").contains(canary), "{denial:?}");
    }
}

#[test]
fn pkcs12_is_told_apart_from_what_is_damaged_with_the_command_that_converts_it() {
    // The beginning of a PKCS#12 file: a sequence, its length, and version 3.
    let pkcs12 = [0x30, 0x82, 0x0a, 0x3f, 0x02, 0x01, 0x03, 0x30, 0x82, 0x0a, 0x05];
    for (bytes, is_pkcs12) in [(&pkcs12[..], true), (&[0x89, b'P', b'N', b'G'][..], false)] {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), bytes).unwrap();
        let denial = certificate(file.path(), None).assertion("https://a.example/", NOW).unwrap_err();
        assert_eq!(denial.reason.contains("it looks like PKCS#12"), is_pkcs12, "{denial:?}");
        assert_eq!(denial.hint.unwrap().contains("openssl pkcs12 -in app.pfx -out app.pem -nodes"), is_pkcs12);
    }
}

#[test]
fn the_certificate_of_the_key_is_found_among_others_and_no_two_assertions_are_alike() {
    let folder = tempfile::tempdir().unwrap();
    let [first, second] = ["first.pem", "second.pem"].map(|name| std::fs::read_to_string(fixture(name)).unwrap());
    let pem = folder.path().join("chain.pem");
    std::fs::write(&pem, format!("{first}{second}")).unwrap();
    let signs = certificate(&pem, Some(&fixture("second.pem")));
    let [one, other] = [(); 2].map(|()| signs.assertion("https://a.example/", NOW).unwrap());
    assert_ne!(one, other);
    let header = |assertion: &str| assertion.split('.').next().unwrap().to_owned();
    let alone = certificate(&fixture("second.pem"), None).assertion("https://a.example/", NOW).unwrap();
    assert_eq!(header(&one), header(&alone));
}
