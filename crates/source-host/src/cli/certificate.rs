//! A certificate whose key signs an assertion for each token request, so that the key stays in the host.
//!
//! Source: Microsoft Learn, "Application authentication certificate credentials"; RFC 7523, section 3.

mod pbe;
mod pem;
mod pfx;
mod pkcs12;
mod problem;

use std::time::Duration;

use async_trait::async_trait;
use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD as BASE64URL;
use chrono::DateTime;
use ring::digest::{SHA1_FOR_LEGACY_USE_ONLY, SHA256, digest};
use ring::rand::{SecureRandom as _, SystemRandom};
use ring::signature::{RSA_PKCS1_SHA256, RSA_PSS_SHA256, RsaEncoding, RsaKeyPair};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use serde_json::json;
use source_host::{Clock as _, Denial, SecretSource, SecretValue, SystemClock};
use x509_cert::Certificate as X509;
use x509_cert::der::Decode as _;

use super::config::{CertificateFiles, CertificateFrom};
use super::secrets::read;

/// How long an assertion is valid. Microsoft takes ten minutes at most.
const LIFETIME: Duration = Duration::from_secs(5 * 60);

/// How far back its validity begins, for a service whose clock is behind.
const SKEW: Duration = Duration::from_secs(60);

/// The algorithm of EC keys, as PKCS#8 and SEC1 write it. Source: RFC 5480, section 2.1.1.
const EC_PUBLIC_KEY: &[u8] = &[0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01];

/// What signs. Its files are read anew for each assertion.
#[derive(Clone)]
pub(crate) struct Certificate {
    /// The member of the configuration that it is for.
    pub(crate) member: String,
    pub(crate) from: CertificateFrom,
    /// Who signs.
    pub(crate) client_id: String,
}

/// What files hold of it.
#[derive(Default)]
struct Contents {
    keys: Vec<PrivateKeyDer<'static>>,
    certificates: Vec<CertificateDer<'static>>,
}

/// A key with its certificate.
struct Signer {
    key: RsaKeyPair,
    certificate: CertificateDer<'static>,
    read: X509,
}

#[async_trait]
impl SecretSource for Certificate {
    async fn value(&self, url: &http::Uri) -> Result<SecretValue, Denial> {
        let url = url.to_string();
        self.apart(move |certificate| certificate.assertion(&url, SystemClock::default().wall()))
            .await
            .map(SecretValue::new)
    }
}

impl Certificate {
    /// Whether an assertion could be signed now.
    pub(crate) async fn check(&self) -> Result<(), Denial> {
        self.apart(|certificate| certificate.signer(SystemClock::default().wall()).map(drop)).await
    }

    /// Does what may take a while: the disk, and up to some seconds of hashing to open what a password protects.
    async fn apart<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Self) -> Result<T, Denial> + Send + 'static,
    ) -> Result<T, Denial> {
        let certificate = self.clone();
        let done = tokio::task::spawn_blocking(move || work(&certificate)).await;
        done.map_err(|error| self.denial(format!("nothing was signed: {error}"), ""))?
    }

    /// An assertion for the token endpoint at this URL, at this time since 1970.
    fn assertion(&self, url: &str, now: Duration) -> Result<String, Denial> {
        let Signer { key, certificate, .. } = self.signer(now)?;
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

    /// The key that belongs to a certificate: of several, with the one that is valid, and ends last.
    fn signer(&self, now: Duration) -> Result<Signer, Denial> {
        let password = self.password()?;
        let Contents { keys, certificates } = match &self.from.files {
            CertificateFiles::Pem { pem, key } => self.pem(pem, key.as_deref(), password.as_deref())?,
            CertificateFiles::Pkcs12(path) => self.pkcs12(path, password.as_deref())?,
        };
        let all = certificates.len();
        // A file may hold the issuers as well, some of them written in ways of their own.
        let read = |der: CertificateDer<'static>| Some((X509::from_der(&der).ok()?, der));
        let certificates: Vec<_> = certificates.into_iter().filter_map(read).collect();
        let mut signers = Vec::new();
        let mut unusable = (certificates.len() < all).then(|| self.damaged_certificate());
        for key in keys {
            match self.key_pair(&key) {
                Ok(key) => signers.extend(signer_of(key, &certificates, now)),
                Err(why) => unusable = Some(why),
            }
        }
        let signer = signers.into_iter().max_by_key(|signer| preference(&signer.read, now));
        let signer = signer.ok_or_else(|| unusable.unwrap_or_else(|| self.no_pair()))?;
        self.check_validity(&signer.read, now)?;
        Ok(signer)
    }

    fn password(&self) -> Result<Option<String>, Denial> {
        let Some(from) = &self.from.password else { return Ok(None) };
        let password = read(&format!("{}.password", self.member), from);
        password.map(Some).map_err(|Denial { reason, hint }| {
            let without = "where the file has no password, leave `password` out";
            Denial { reason, hint: Some(hint.map_or_else(|| without.to_owned(), |hint| format!("{hint}; {without}"))) }
        })
    }

    fn damaged_certificate(&self) -> Denial {
        self.denial(
            format!("{} holds a damaged certificate", self.from.files.certificate().display()),
            "export it again",
        )
    }

    fn no_pair(&self) -> Denial {
        let (key, certificate) = (self.from.files.key(), self.from.files.certificate());
        let what = match key == certificate {
            true => format!("no certificate in {} belongs to its key", key.display()),
            false => {
                format!("the key in {} does not belong to the certificate in {}", key.display(), certificate.display())
            }
        };
        self.denial(what, "put the certificate and the key that it was made with there")
    }

    fn key_pair(&self, key: &PrivateKeyDer<'_>) -> Result<RsaKeyPair, Denial> {
        let file = self.from.files.key().display();
        if memchr::memmem::find(key.secret_der(), EC_PUBLIC_KEY).is_some() || matches!(key, PrivateKeyDer::Sec1(_)) {
            let hint = "make a certificate with an RSA key: Microsoft Entra ID takes no other assertions";
            return Err(self.denial(format!("the key in {file} is an ECDSA key"), hint));
        }
        let pair = match key {
            PrivateKeyDer::Pkcs1(der) => RsaKeyPair::from_der(der.secret_pkcs1_der()),
            other => RsaKeyPair::from_pkcs8(other.secret_der()),
        };
        pair.map_err(|why| {
            self.denial(format!("the key in {file} cannot be used: {why}"), "use an RSA key of 2048 to 4096 bits")
        })
    }

    fn check_validity(&self, certificate: &X509, now: Duration) -> Result<(), Denial> {
        let (begins, ends) = validity(certificate);
        let (what, when) = match now {
            now if now < begins => ("is not valid before", begins),
            now if now > ends => ("expired on", ends),
            _ => return Ok(()),
        };
        let date = i64::try_from(when.as_secs()).ok().and_then(|seconds| DateTime::from_timestamp(seconds, 0));
        let date = date.map(|date| date.format("%Y-%m-%d %H:%M:%S UTC").to_string()).unwrap_or_default();
        Err(self.denial(
            format!("the certificate in {} {what} {date}", self.from.files.certificate().display()),
            "put a valid one there, with its key, and upload it to the app registration; or set this machine's clock",
        ))
    }

    fn denial(&self, why: impl AsRef<str>, hint: &str) -> Denial {
        let reason = format!("nothing can be signed for `{}`: {}", self.member, why.as_ref());
        Denial { reason, hint: (!hint.is_empty()).then(|| hint.to_owned()) }
    }
}

/// A key with the best of its certificates.
fn signer_of(key: RsaKeyPair, certificates: &[(X509, CertificateDer<'static>)], now: Duration) -> Option<Signer> {
    let fits = |certificate: &X509| {
        let public = certificate.tbs_certificate().subject_public_key_info();
        public.subject_public_key.raw_bytes() == key.public().as_ref()
    };
    let of_key = certificates.iter().filter(|(read, _)| fits(read));
    let (read, der) = of_key.max_by_key(|(read, _)| preference(read, now))?;
    Some(Signer { read: read.clone(), certificate: der.clone(), key })
}

/// When a certificate is valid, since 1970.
fn validity(certificate: &X509) -> (Duration, Duration) {
    let validity = certificate.tbs_certificate().validity();
    (validity.not_before.to_unix_duration(), validity.not_after.to_unix_duration())
}

/// What makes one certificate better than another.
fn preference(certificate: &X509, now: Duration) -> (bool, Duration) {
    let (begins, ends) = validity(certificate);
    (begins <= now && now <= ends, ends)
}

#[cfg(test)]
mod tests;
