//! Tests of [`super`], over what OpenSSL made.

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD as BASE64;
use der::Any;
use x509_cert::der::oid::db::rfc5911::{ID_ENVELOPED_DATA, ID_SIGNED_DATA};
use x509_cert::der::oid::db::rfc5912::ID_SHA_224;

use super::*;

const PASSWORD: &str = "canary-pässwörd €";

/// An Ed25519 key in PKCS#8, which nobody uses.
const KEY: &str = "MC4CAQAwBQYDK2VwBCIEICD7/o8G5oi8O39tU1o/gxCcxI54eZxmxb2pmEiDkufk";

/// It, by `openssl pkcs8 -topk8 -iter 2` with other options each.
const SUPPORTED: [(&str, &str); 8] = [
    (
        "-v2 aes-128-cbc -v2prf hmacWithSHA1",
        "MIGMMEgGCSqGSIb3DQEFDTA7MBoGCSqGSIb3DQEFDDANBAj81TsPjDp/JAIBAjAdBglghkgBZQMEAQIEEIv5BFRox1t6LI/fd3JPuiYEQCl0Ern8a5FqfB8vrrS6\
         1rWJlidBA3nAInCGg0I54qeVrEasOmwma7tiW2Te63/vTLdbrqtWVmX9iS5hGR1Dths=",
    ),
    (
        "-v2 aes-192-cbc -v2prf hmacWithSHA384",
        "MIGaMFYGCSqGSIb3DQEFDTBJMCgGCSqGSIb3DQEFDDAbBAjgdCV3XizZigIBAjAMBggqhkiG9w0CCgUAMB0GCWCGSAFlAwQBFgQQ7QP6oarLJFROB5wyzJExgQRA\
         XosYDDYu2QzyhoIxGWrUDGcgVQKkMBv29q9QY8qlDW/WcmqydbuM7BWZq4WIwAsOPAeER62mDxfjyoSGDE27Bw==",
    ),
    (
        "-v2 aes-256-cbc -v2prf hmacWithSHA512",
        "MIGaMFYGCSqGSIb3DQEFDTBJMCgGCSqGSIb3DQEFDDAbBAiAxC1U0iNcnQIBAjAMBggqhkiG9w0CCwUAMB0GCWCGSAFlAwQBKgQQWIh6qbm5FLogKtq11Ac+IgRA\
         SWLODNIsDvFihD7BNsKINFscNu4tfxi2CO0Lc88dXABAOg7GqPS/UE389NkH1rHgbKiwytGJ1ljmjkEEbx6Ecw==",
    ),
    (
        "-v2 des3 -v2prf hmacWithSHA256",
        "MIGJME0GCSqGSIb3DQEFDTBAMCgGCSqGSIb3DQEFDDAbBAgD/bbhW84VKgIBAjAMBggqhkiG9w0CCQUAMBQGCCqGSIb3DQMHBAjhWtv3IkcUfwQ4LzDH1SgCM06m\
         DRTD5d5y1PKUaEJsY8NnFFBOMR3HDUt1SQWRpqtmfKdcO3EN1N0Lc5NyvxV3DaE=",
    ),
    (
        "-v1 PBE-SHA1-3DES",
        "MFcwGwYKKoZIhvcNAQwBAzANBAhgfdqlk2mjkAIBAgQ4MdB5x+pEZClHBQRBgEvtGv+KrnCPEoviaBw/WOp8ZF7Ss1/wyOwFALAk1wRKFI2EPG9XDE87VM4=",
    ),
    (
        "-v1 PBE-SHA1-2DES",
        "MFcwGwYKKoZIhvcNAQwBBDANBAisZApJAd+WMwIBAgQ4c/mMFRzPGBpTlFyhRzHaJVHWdzDBCPkQQJHK5QtcGgnJlWJXwc7fNOIjkxP71etowAWaf9JiNSo=",
    ),
    (
        "-v1 PBE-SHA1-RC2-40",
        "MFcwGwYKKoZIhvcNAQwBBjANBAhPWrRTudtU8wIBAgQ4oUolU0b5ZoHF9EcsJJGmPTkcjM2saH/p9bSCyBj2kioojJrlc9nxzttpuof2ociHo2NRXvASFmI=",
    ),
    (
        "-v1 PBE-SHA1-RC2-128",
        "MFcwGwYKKoZIhvcNAQwBBTANBAhr9IabnwXegQIBAgQ4f+VHwXRlJboIBeWp4ANvo6blXDiqeKmiV3dMkZBRmWVGT8D+7WccxIetBfqSsfEHwotuYYdI/AY=",
    ),
];

const REFUSED: [(&str, &str); 8] = [
    (
        "scrypt",
        "MIGSME4GCSqGSIb3DQEFDTBBMCAGCSsGAQQB2kcECzATBAgdmqUrPrZARwIBAgIBCAIBATAdBglghkgBZQMEASoEEKKs5YmgqzgWhCMBlL+yzlsEQJZsoq+XB8g0\
         mQH/BDGbrxwLRXIwiv5zEv+Zm/B0ZukOFqQ9OPBvEzH3eFGEAOD7JMWmuJKQJMd1zcUpS92LOs8=",
    ),
    (
        "HMAC with SHA-224",
        "MIGaMFYGCSqGSIb3DQEFDTBJMCgGCSqGSIb3DQEFDDAbBAjIiTHgjQAyegIBAjAMBggqhkiG9w0CCAUAMB0GCWCGSAFlAwQBKgQQtFG91MJeSYqCbDofxwknfwRA\
         oesqIuy/P2K/T7hXamlngxg39YeMbVsZU+safj00kjI8MdVNZ+LZ2DlxXuROeJDwdj0ffJC7zWbvyBMRjZ7IUg==",
    ),
    // Camellia, which has no name here.
    (
        "the algorithm 1.2.392.200011.61.1.1.1.4",
        "MIGcMFgGCSqGSIb3DQEFDTBLMCgGCSqGSIb3DQEFDDAbBAjeo7YPk8kduwIBAjAMBggqhkiG9w0CCQUAMB8GCyqDCIyaSz0BAQEEBBCMxGgSRORnVTZpOX9qY63d\
         BEBgLmT2NzhG5k2wyD9MWlKDRUtPM7GsArKBH2F6hHGqllAxWGJL8vF5dX3mXKPQNm25PHXqhhQ+Ai4FHZMcqug2",
    ),
    (
        "128-bit RC4",
        "ME8wGwYKKoZIhvcNAQwBATANBAioif1I6JXf2QIBAgQw10VKs61qoP0mYmAwXx9mEaAXQv4Jn3g3iSgVQ3jIoUtKQXt8DEbuHr3HZnm5JNZ4",
    ),
    (
        "40-bit RC4",
        "ME8wGwYKKoZIhvcNAQwBAjANBAgByrZIRxL6yAIBAgQwz1MR3QojjHUwins4tTua35NgVrCY+e0I/8xjpLtJe0bWqfcizgLfvDP5Yqe9F2Vj",
    ),
    (
        "RC2 in PBES2",
        "MIGRMFUGCSqGSIb3DQEFDTBIMCsGCSqGSIb3DQEFDDAeBAhTkx3pp9EnTQIBAgIBEDAMBggqhkiG9w0CCQUAMBkGCCqGSIb3DQMCMA0CAToECLuBHNYLZzuVBDio\
         OxhCNkQrad/dik0otbLlVy3pclTNM/Sqc/ObubcByq/Cymje1R75KxuZEB53CoOXiOb8+2uyGQ==",
    ),
    (
        "MD5 and DES",
        "MFYwGgYJKoZIhvcNAQUDMA0ECO0xCvcbA7yyAgECBDhumubgr+2xAoSK/TVQgyZPsXuF3ybGDLL18su+AQTAEH3KCUQvWp5MpL4I1mSp0jsPQmVQ5PUvdQ==",
    ),
    (
        "SHA-1 and DES",
        "MFYwGgYJKoZIhvcNAQUKMA0ECCdggtrmdwX6AgECBDgReCN9O/fecutxfmj2TxhwG/skMqf1rBuJtovDDMk7IWge3sAh0/rEDhoTUyWeglGoACcD4UQYwQ==",
    ),
];

fn decrypted(key: &str, password: &str) -> Result<String, Problem> {
    let key = EncryptedKey::from_der(&BASE64.decode(key).unwrap()).unwrap();
    key.decrypt(&Password::new(password), &mut Rounds::default()).map(|key| BASE64.encode(key))
}

#[test]
fn a_key_is_decrypted_whatever_it_was_encrypted_with_and_only_by_its_password() {
    for (options, key) in SUPPORTED {
        assert_eq!(decrypted(key, PASSWORD).as_deref(), Ok(KEY), "{options}");
        for wrong in ["canary-passwörd €", ""] {
            assert_eq!(decrypted(key, wrong), Err(Problem::WrongPassword), "{options}");
        }
    }
    // What some of these make of it looks as if it were padded.
    for number in 0..1000 {
        let refused = decrypted(SUPPORTED[0].1, &format!("canary-{number}"));
        assert_eq!(refused, Err(Problem::WrongPassword), "{number}");
    }
}

#[test]
fn what_is_not_supported_is_named() {
    for (name, key) in REFUSED {
        assert_eq!(decrypted(key, PASSWORD), Err(Problem::Unsupported(name.to_owned())));
    }
    // RFC 9579 is younger than the table of names.
    let pbmac1 = ObjectIdentifier::new_unwrap("1.2.840.113549.1.5.14");
    for (algorithm, name) in [
        (ID_SHA_224, "SHA-224"),
        (ID_SIGNED_DATA, "a signature in place of a password"),
        (ID_ENVELOPED_DATA, "a public key in place of a password"),
        (pbmac1, "PBMAC1"),
    ] {
        assert_eq!(unsupported(algorithm), Problem::Unsupported(name.to_owned()));
    }
}

#[test]
fn a_hash_is_named_or_left_out_where_it_is_sha_1() {
    let mut key = EncryptedKey::from_der(&BASE64.decode(SUPPORTED[0].1).unwrap()).unwrap();
    let mut scheme: Pbes2 = parameters(&key.algorithm).unwrap();
    let derivation: Pbkdf2 = parameters(&scheme.derivation).unwrap();
    assert!(derivation.prf.is_none());
    let null = Some(Any::from_der(&[5, 0]).unwrap());
    // Source: RFC 8018, appendix B.1.1.
    let hmac_with_sha1 = ObjectIdentifier::new_unwrap("1.2.840.113549.2.7");
    let prf = Some(AlgorithmIdentifierOwned { oid: hmac_with_sha1, parameters: null });
    scheme.derivation = algorithm(ID_PBKDF_2, &Pbkdf2 { prf, ..derivation });
    key.algorithm = algorithm(PBES2, &scheme);
    assert_eq!(decrypted(&BASE64.encode(key.to_der().unwrap()), PASSWORD).as_deref(), Ok(KEY));
}

#[test]
fn a_key_is_made_as_openssl_makes_it() {
    // `openssl kdf` of PKCS12KDF with 3 rounds, and more bytes than a hash has.
    for (hash, purpose, expected) in [
        (
            &SHA1_FOR_LEGACY_USE_ONLY,
            Purpose::Key,
            "f51b190ac298de1e12b65080880481748476c1412d2b7ba1bfe3aa69d17a6fff80d2c17adb3fa31dca5aa69d076980ab9742c6f60194078937e01177\
             dc5d59c9adfebcccbd60",
        ),
        (
            &SHA256,
            Purpose::Mac,
            "30c20606a8d452e418fe7997f44bbcdefc13516cd15577449b435b0cdd7d8f1f07807682522dd9e25fe00896e964a7dff73445759947da62ac3444fa\
             4cc4910d822fe324089c",
        ),
        (
            &SHA384,
            Purpose::Mac,
            "f48952db0b32a202fb38d94fe8175aa3988c0fbf0f6758266478cc74141cb44da5f33cd4bb05836a1488e92a643f1afa6ed5bb1f4732bc5ccd0f49bb\
             f5fa7351242ee91366da",
        ),
        (
            &SHA512,
            Purpose::Mac,
            "63227886144fd3a558400132913926322c206146ae4dc8385cc2e89c337e4220e034b58301499a2e298991930559d364180cf6c79a7e512bcafdf0fc\
             6869bbd938911e2e4013",
        ),
    ] {
        let salt = [1, 2, 3, 4, 5, 6, 7, 8, 0xff];
        let made = derive(hash, &Password::new("caÿ").bmp, &salt, purpose, NonZeroU32::new(3).unwrap(), 70);
        assert_eq!(made.iter().map(|byte| format!("{byte:02x}")).collect::<String>(), expected, "{hash:?}");
    }
}

/// Parameters as a file has them.
fn algorithm(oid: ObjectIdentifier, parameters: &impl der::Encode) -> AlgorithmIdentifierOwned {
    AlgorithmIdentifierOwned { oid, parameters: Some(Any::from_der(&parameters.to_der().unwrap()).unwrap()) }
}

#[test]
fn more_rounds_than_can_be_done_are_refused_by_every_scheme_without_doing_them() {
    let salt = OctetString::new([1, 2]).unwrap();
    for asked in [u64::from(MOST_ROUNDS) + 1, u64::from(u32::MAX), u64::MAX] {
        let old = algorithm(PBE_WITH_SHA_AND_3_KEY_TRIPLE_DES_CBC, &Pkcs12Pbe { salt: salt.clone(), rounds: asked });
        let derivation = Pbkdf2 { salt: salt.clone(), rounds: asked, key_length: None, prf: None };
        let new = Pbes2 {
            derivation: algorithm(ID_PBKDF_2, &derivation),
            cipher: algorithm(ID_AES_256_CBC, &OctetString::new([0; 16]).unwrap()),
        };
        let (password, mut rounds) = (Password::new(PASSWORD), Rounds::default());
        for scheme in [old, algorithm(PBES2, &new)] {
            let refused = decrypt(&scheme, &[0; 16], &password, &mut rounds);
            assert_eq!(refused, Err(Problem::TooManyRounds(asked)));
        }
        let digest = OctetString::new([0; 20]).unwrap();
        let mac = DigestInfo { algorithm: AlgorithmIdentifierOwned { oid: ID_SHA_1, parameters: None }, digest };
        assert_eq!(verify_mac(&mac, &[1], asked, &[], &password, &mut rounds), Err(Problem::TooManyRounds(asked)));
    }
}

#[test]
fn rounds_are_used_up_and_none_at_all_protect_nothing() {
    let mut rounds = Rounds::default();
    let most = u64::from(MOST_ROUNDS);
    assert_eq!(rounds.take(most - 1).map(u32::from), Ok(MOST_ROUNDS - 1));
    assert_eq!(rounds.take(2), Err(Problem::TooManyRounds(2)));
    assert_eq!(rounds.take(0), Err(Problem::Damaged));
    assert_eq!(rounds.take(1).map(u32::from), Ok(1));
}

#[test]
fn each_meaning_of_an_empty_password_has_rounds_of_its_own() {
    let mut tries = 0;
    let opened = Password::open("", |_, rounds| {
        tries += 1;
        rounds.take(u64::from(MOST_ROUNDS)).and(Err::<(), _>(Problem::WrongPassword))
    });
    assert_eq!((opened, tries), (Err(Problem::WrongPassword), 2));
}

/// As many rounds as this, for the tests of files.
pub(in super::super) fn rounds(left: u32) -> Rounds {
    Rounds(left)
}
