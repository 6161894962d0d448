//! PEM files. Source: RFC 7468.

use std::path::Path;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD as BASE64;
use der::Decode as _;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use source_host::Denial;

use super::pbe::{EncryptedKey, Password, Problem, Rounds};
use super::pfx::is_pfx;
use super::{Certificate, Contents};
use crate::cli::secrets::{short_file, text};

const ENCRYPTED_BEGINS: &str = "-----BEGIN ENCRYPTED PRIVATE KEY-----";
const ENCRYPTED_ENDS: &str = "-----END ENCRYPTED PRIVATE KEY-----";

/// In a key that is encrypted in the way of OpenSSL before PKCS#8. Source: RFC 1421, section 4.6.1.1.
const OLD_ENCRYPTION: &str = "Proc-Type: 4,ENCRYPTED";

impl Certificate {
    /// The key of a file, which may be another one, and the certificates of the first.
    pub(super) fn pem(&self, pem: &Path, key: Option<&Path>, password: Option<&str>) -> Result<Contents, Denial> {
        let key = self.pem_key(key.unwrap_or(pem), password);
        let certificates = self.pem_text(pem)?;
        let certificates: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(certificates.as_bytes()).collect();
        let key = key?;
        let certificates = certificates.map_err(|_| self.damaged_certificate())?;
        if certificates.is_empty() {
            return Err(self.denial(
                format!("{} holds no certificate", pem.display()),
                "add the part between -----BEGIN CERTIFICATE----- and -----END CERTIFICATE-----",
            ));
        }
        Ok(Contents { keys: vec![key], certificates })
    }

    fn pem_text(&self, path: &Path) -> Result<String, Denial> {
        let unreadable = |why| {
            self.denial(format!("{} cannot be read: {why}", path.display()), "put it there, readable for this user")
        };
        let bytes = short_file(path).map_err(unreadable)?;
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
                "convert it with `openssl x509 -in app.cer -out app.crt`, or a key with `openssl pkey -in app.key -out app.pem`",
            ));
        }
        text(bytes).map_err(unreadable)
    }

    fn pem_key(&self, path: &Path, password: Option<&str>) -> Result<PrivateKeyDer<'static>, Denial> {
        let (pem, file) = (self.pem_text(path)?, path.display());
        if let Some((_, encrypted)) = pem.split_once(ENCRYPTED_BEGINS) {
            let key = encrypted.split_once(ENCRYPTED_ENDS).ok_or(Problem::Damaged);
            let key = key.and_then(|(base64, _)| decrypt(base64, password.unwrap_or_default()));
            let advice =
                "decrypt it with `openssl pkey -in FILE -out KEY`, and let nobody but this user read the result";
            return key.map_err(|problem| self.locked(&format!("the key in {file}"), problem, advice));
        }
        if pem.contains(OLD_ENCRYPTION) {
            return Err(self.denial(
                format!("the key in {file} is encrypted in an old way, which is not supported"),
                "encrypt it anew with `openssl pkcs8 -topk8 -in FILE -out KEY`",
            ));
        }
        PrivateKeyDer::from_pem_slice(pem.as_bytes()).map_err(|_| {
            self.denial(
                format!("{file} holds no private key"),
                "add the part between -----BEGIN PRIVATE KEY----- and -----END PRIVATE KEY-----, or name its file with `key`",
            )
        })
    }
}

fn decrypt(base64: &str, password: &str) -> Result<PrivateKeyDer<'static>, Problem> {
    let base64: String = base64.split_ascii_whitespace().collect();
    let key = BASE64.decode(base64).map_err(|_| Problem::Damaged)?;
    let (key, mut rounds) = (EncryptedKey::from_der(&key)?, Rounds::default());
    let key = Password::open(password, |password| key.decrypt(password, &mut rounds))?;
    Ok(PrivatePkcs8KeyDer::from(key).into())
}
