//! PEM files. Source: RFC 7468.

use std::path::Path;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD as BASE64;
use der::Decode as _;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use source_host::Denial;

use super::pbe::{EncryptedKey, Password};
use super::pfx::is_pfx;
use super::problem::Problem;
use super::{Certificate, Contents};
use crate::cli::secrets::{short_file, text};

const BEGINS: &str = "-----BEGIN ";

const ENCRYPTED_BEGINS: &str = "-----BEGIN ENCRYPTED PRIVATE KEY-----";
const ENCRYPTED_ENDS: &str = "-----END ENCRYPTED PRIVATE KEY-----";

/// What keys begin with: those that are encrypted, in PKCS#8, in PKCS#1 and in SEC1.
const KEY_BEGINS: [&str; 4] = [
    ENCRYPTED_BEGINS,
    "-----BEGIN PRIVATE KEY-----",
    "-----BEGIN RSA PRIVATE KEY-----",
    "-----BEGIN EC PRIVATE KEY-----",
];

/// In a key that is encrypted in the way of OpenSSL before PKCS#8. Source: RFC 1421, section 4.6.1.1.
const OLD_ENCRYPTION: &str = "Proc-Type: 4,ENCRYPTED";

impl Certificate {
    /// The keys of a file, which may be another one, and the certificates of the first.
    pub(super) fn pem(&self, pem: &Path, key: Option<&Path>, password: Option<&str>) -> Result<Contents, Denial> {
        let keys = self.pem_keys(key.unwrap_or(pem), password);
        let certificates = self.pem_text(pem)?;
        let certificates: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(certificates.as_bytes()).collect();
        let keys = keys?;
        let certificates = certificates.map_err(|_| self.damaged_certificate())?;
        if certificates.is_empty() {
            return Err(self.denial(
                format!("{} holds no certificate", pem.display()),
                "add the part between -----BEGIN CERTIFICATE----- and -----END CERTIFICATE-----",
            ));
        }
        Ok(Contents { keys, certificates })
    }

    fn pem_text(&self, path: &Path) -> Result<String, Denial> {
        let bytes = short_file(path).map_err(|why| self.unreadable(path, why))?;
        if is_pfx(&bytes) {
            return Err(self.denial(
                format!("{} is no PEM file, but PKCS#12", path.display()),
                "name it with `pkcs12` in place of `pem`, with password = { env = \"NAME\" } beside it where it has one",
            ));
        }
        // A sequence of ASN.1, and what is no text.
        if let [0x30, 0x80..=0xff, ..] = bytes[..] {
            return Err(self.denial(
                format!("{} is no PEM file: it looks like DER", path.display()),
                "convert it with `openssl x509 -inform der -in app.cer -out app.crt`, or a key with \
                 `openssl pkey -inform der -in app.key -out app.pem`",
            ));
        }
        text(bytes).map_err(|why| self.unreadable(path, why))
    }

    fn pem_keys(&self, path: &Path, password: Option<&str>) -> Result<Vec<PrivateKeyDer<'static>>, Denial> {
        let (pem, file) = (self.pem_text(path)?, path.display());
        let keys: Vec<_> = keys(&pem).map(|key| self.pem_key(key, path, password)).collect::<Result<_, _>>()?;
        if keys.is_empty() {
            return Err(self.denial(
                format!("{file} holds no private key"),
                "add the part between -----BEGIN PRIVATE KEY----- and -----END PRIVATE KEY-----, or name its file with `key`",
            ));
        }
        Ok(keys)
    }

    /// The key that this part of a file is.
    fn pem_key(&self, key: &str, path: &Path, password: Option<&str>) -> Result<PrivateKeyDer<'static>, Denial> {
        let what = format!("the key in {}", path.display());
        if key.contains(OLD_ENCRYPTION) {
            return Err(self.denial(
                format!("{what} is encrypted in an old way, which is not supported"),
                "encrypt it anew with `openssl pkcs8 -topk8 -in FILE -out KEY`",
            ));
        }
        let read = match key.strip_prefix(ENCRYPTED_BEGINS) {
            Some(encrypted) => decrypt(encrypted, password.unwrap_or_default()),
            None => PrivateKeyDer::from_pem_slice(key.as_bytes()).map_err(|_| Problem::Damaged),
        };
        let advice =
            "write it anew with `openssl pkey -in FILE -out KEY`, and let nobody but this user read the result";
        read.map_err(|problem| self.locked(&what, problem, advice))
    }
}

/// The parts of a file that are keys, each up to where the next part begins.
fn keys(pem: &str) -> impl Iterator<Item = &str> {
    let starts = pem.match_indices(BEGINS).map(|(at, _)| &pem[at..]);
    let parts = starts.map(|rest| rest[BEGINS.len()..].find(BEGINS).map_or(rest, |end| &rest[..BEGINS.len() + end]));
    parts.filter(|part| KEY_BEGINS.iter().any(|begins| part.starts_with(begins)))
}

/// The key whose first line stands before this text.
fn decrypt(encrypted: &str, password: &str) -> Result<PrivateKeyDer<'static>, Problem> {
    let (base64, _) = encrypted.split_once(ENCRYPTED_ENDS).ok_or(Problem::Damaged)?;
    let base64: String = base64.split_ascii_whitespace().collect();
    let key = EncryptedKey::from_der(&BASE64.decode(base64).map_err(|_| Problem::Damaged)?)?;
    let key = Password::open(password, |password, rounds| key.decrypt(password, rounds))?;
    Ok(PrivatePkcs8KeyDer::from(key).into())
}
