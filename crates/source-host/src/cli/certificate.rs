//! A certificate whose key signs an assertion for each token request, so that the key stays in the host.
//!
//! Source: Microsoft Learn, "Application authentication certificate credentials"; RFC 7523, section 3.

use std::fs::File;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use async_trait::async_trait;
use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD as BASE64URL;
use chrono::DateTime;
use ring::digest::{SHA1_FOR_LEGACY_USE_ONLY, SHA256, digest};
use ring::rand::{SecureRandom as _, SystemRandom};
use ring::signature::{RSA_PKCS1_SHA256, RSA_PSS_SHA256, RsaEncoding, RsaKeyPair};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use serde_json::json;
use source_host::{Clock as _, Denial, SecretSource, SecretValue, SystemClock};
use x509_cert::Certificate as X509;
use x509_cert::der::Decode as _;

use super::secrets::text_file;

/// How long an assertion is valid. Microsoft takes ten minutes at most.
const LIFETIME: Duration = Duration::from_secs(5 * 60);

/// How far back its validity begins, for a service whose clock is behind.
const SKEW: Duration = Duration::from_secs(60);

/// The algorithm of EC keys, as PKCS#8 and SEC1 write it. Source: RFC 5480, section 2.1.1.
const EC_PUBLIC_KEY: &[u8] = &[0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01];

/// Where a certificate and its key are kept. Both are read anew for each assertion.
#[derive(Clone)]
pub(crate) struct Certificate {
    /// The member of the configuration that it is for.
    pub(crate) member: String,
    /// A PEM file of the certificate, and of the key where that has no file of its own.
    pub(crate) pem: PathBuf,
    pub(crate) key: Option<PathBuf>,
    /// Who signs.
    pub(crate) client_id: String,
}

/// A key with its certificate.
struct Signer {
    key: RsaKeyPair,
    certificate: CertificateDer<'static>,
}

#[async_trait]
impl SecretSource for Certificate {
    async fn value(&self, url: &http::Uri) -> Result<SecretValue, Denial> {
        let (certificate, url) = (self.clone(), url.to_string());
        // The disk may take its time, and a signature is a millisecond of work.
        let signed = tokio::task::spawn_blocking(move || certificate.assertion(&url, SystemClock::default().wall()));
        signed.await.map_err(|error| self.denial(format!("nothing was signed: {error}"), ""))?.map(SecretValue::new)
    }
}

impl Certificate {
    /// Whether an assertion could be signed now.
    pub(crate) fn check(&self) -> Result<(), Denial> {
        self.signer(SystemClock::default().wall()).map(drop)
    }

    /// An assertion for the token endpoint at this URL, at this time since 1970.
    fn assertion(&self, url: &str, now: Duration) -> Result<String, Denial> {
        let Signer { key, certificate } = self.signer(now)?;
        let thumbprint = |algorithm| BASE64URL.encode(digest(algorithm, &certificate));
        // The v1 endpoint is documented with the older algorithm alone.
        let is_v2 = url.contains("/oauth2/v2.0/");
        let (header, padding): (_, &dyn RsaEncoding) = if is_v2 {
            (json!({ "alg": "PS256", "typ": "JWT", "x5t#S256": thumbprint(&SHA256) }), &RSA_PSS_SHA256)
        } else {
            (json!({ "alg": "RS256", "typ": "JWT", "x5t": thumbprint(&SHA1_FOR_LEGACY_USE_ONLY) }), &RSA_PKCS1_SHA256)
        };
        let random = SystemRandom::new();
        let mut id = [0; 16];
        let unsigned = |_| self.denial("the system gives no random numbers", "");
        random.fill(&mut id).map_err(unsigned)?;
        let claims = json!({
            "aud": url,
            "iss": self.client_id,
            "sub": self.client_id,
            "jti": BASE64URL.encode(id),
            "iat": now.as_secs(),
            "nbf": now.saturating_sub(SKEW).as_secs(),
            "exp": (now + LIFETIME).as_secs(),
        });
        let [header, claims] = [header, claims].map(|part| BASE64URL.encode(part.to_string()));
        let signed = format!("{header}.{claims}");
        let mut signature = vec![0; key.public().modulus_len()];
        key.sign(padding, &random, signed.as_bytes(), &mut signature).map_err(unsigned)?;
        Ok(format!("{signed}.{}", BASE64URL.encode(signature)))
    }

    fn signer(&self, now: Duration) -> Result<Signer, Denial> {
        let key_file = self.key.as_ref().unwrap_or(&self.pem);
        let [certificates, key] = [&self.pem, key_file].map(|path| {
            text_file(path).map_err(|why| match is_der(path) {
                true => self.denial(
                    format!("{} is no PEM file: it looks like PKCS#12 (.pfx, .p12) or DER", path.display()),
                    "convert PKCS#12 with `openssl pkcs12 -in app.pfx -out app.pem -nodes` (with -legacy where it is an old one), and \
                     let nobody but this user read the result",
                ),
                false => {
                    self.denial(format!("{} cannot be read: {why}", path.display()), "make it readable for this user")
                }
            })
        });
        let (certificates, key) = (certificates?, key?);
        let key = self.key_pair(&key)?;
        let mut is_empty = true;
        for certificate in CertificateDer::pem_slice_iter(certificates.as_bytes()) {
            let certificate = certificate.ok().and_then(|der| Some((X509::from_der(&der).ok()?, der)));
            let (read, der) = certificate.ok_or_else(|| {
                self.denial(format!("{} holds a damaged certificate", self.pem.display()), "export it again")
            })?;
            let public = read.tbs_certificate().subject_public_key_info().subject_public_key.raw_bytes();
            // A file may hold the issuers as well.
            if public == key.public().as_ref() {
                self.check_validity(&read, now)?;
                return Ok(Signer { key, certificate: der });
            }
            is_empty = false;
        }
        if is_empty {
            return Err(self.denial(
                format!("{} holds no certificate", self.pem.display()),
                "add the part between -----BEGIN CERTIFICATE----- and -----END CERTIFICATE-----",
            ));
        }
        let (key, pem) = (key_file.display(), self.pem.display());
        Err(self.denial(
            format!("the key in {key} does not belong to the certificate in {pem}"),
            "put the certificate and the key that it was made with there",
        ))
    }

    fn key_pair(&self, pem: &str) -> Result<RsaKeyPair, Denial> {
        let file = self.key.as_ref().unwrap_or(&self.pem).display();
        if pem.contains("ENCRYPTED PRIVATE KEY") || pem.contains("Proc-Type: 4,ENCRYPTED") {
            return Err(self.denial(
                format!("the key in {file} is encrypted"),
                "decrypt it with `openssl pkey -in FILE -out KEY`, and let nobody but this user read the result",
            ));
        }
        let key = PrivateKeyDer::from_pem_slice(pem.as_bytes()).map_err(|_| {
            self.denial(
                format!("{file} holds no private key"),
                "add the part between -----BEGIN PRIVATE KEY----- and -----END PRIVATE KEY-----, or name its file with `key`",
            )
        })?;
        if memchr::memmem::find(key.secret_der(), EC_PUBLIC_KEY).is_some() || matches!(key, PrivateKeyDer::Sec1(_)) {
            let hint = "make a certificate with an RSA key: Microsoft Entra ID takes no other assertions";
            return Err(self.denial(format!("the key in {file} is an ECDSA key"), hint));
        }
        let pair = match &key {
            PrivateKeyDer::Pkcs1(der) => RsaKeyPair::from_der(der.secret_pkcs1_der()),
            other => RsaKeyPair::from_pkcs8(other.secret_der()),
        };
        pair.map_err(|why| {
            self.denial(format!("the key in {file} cannot be used: {why}"), "use an RSA key of 2048 to 4096 bits")
        })
    }

    fn check_validity(&self, certificate: &X509, now: Duration) -> Result<(), Denial> {
        let validity = certificate.tbs_certificate().validity();
        let (begins, ends) = (validity.not_before.to_unix_duration(), validity.not_after.to_unix_duration());
        let (what, when) = match now {
            now if now < begins => ("is not valid before", begins),
            now if now > ends => ("expired on", ends),
            _ => return Ok(()),
        };
        let date = i64::try_from(when.as_secs()).ok().and_then(|seconds| DateTime::from_timestamp(seconds, 0));
        let date = date.map(|date| date.format("%Y-%m-%d %H:%M:%S UTC").to_string()).unwrap_or_default();
        Err(self.denial(
            format!("the certificate in {} {what} {date}", self.pem.display()),
            "put a valid one there, with its key, and upload it to the app registration; or set this machine's clock",
        ))
    }

    fn denial(&self, why: impl AsRef<str>, hint: &str) -> Denial {
        let reason = format!("nothing can be signed for `{}`: {}", self.member, why.as_ref());
        Denial { reason, hint: (!hint.is_empty()).then(|| hint.to_owned()) }
    }
}

/// Whether a file begins as ASN.1 does, with a sequence, and holds what is no text. Source: RFC 7292, section 4.
fn is_der(path: &Path) -> bool {
    let mut begins = [0; 2];
    let read = File::open(path).and_then(|mut file| file.read_exact(&mut begins));
    read.is_ok() && begins[0] == 0x30 && begins[1] >= 0x80
}

#[cfg(test)]
mod tests;
