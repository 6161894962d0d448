//! What is wrong with a server's certificate, in words for a person.

use std::error::Error as StdError;
use std::io;

use rustls::CertificateError;
use rustls::pki_types::UnixTime;

use crate::bindings::Instant;

const RENEW: &str = "renew the server's certificate, or see whether the clock of this machine is right";
const NAME: &str = "write the name that the certificate is made out to, or have one made out to this name";
const ROOT: &str =
    "if the certificate is signed by a root of your own, name a file with it with `ca_file` under [host]";

/// What is wrong and what to do, where a server's certificate is why it was not spoken to.
pub(crate) fn certificate_problem(error: &(dyn StdError + 'static)) -> Option<(String, &'static str)> {
    let mut next = Some(error);
    while let Some(cause) = next {
        if let Some(tls) = tls_error(cause) {
            return problem(tls);
        }
        next = cause.source();
    }
    None
}

/// What an I/O error wraps is not its source: a TLS error is found inside only, two of them deep.
fn tls_error<'a>(error: &'a (dyn StdError + 'static)) -> Option<&'a rustls::Error> {
    let inside = |io: &'a io::Error| io.get_ref().and_then(|inner| tls_error(inner));
    error.downcast_ref().or_else(|| error.downcast_ref().and_then(inside))
}

fn problem(error: &rustls::Error) -> Option<(String, &'static str)> {
    let rustls::Error::InvalidCertificate(error) = error else { return None };
    Some(match error {
        CertificateError::Expired => ("its certificate has expired".to_owned(), RENEW),
        CertificateError::ExpiredContext { not_after, .. } => {
            (format!("its certificate has expired: it was good until {}", date(*not_after)), RENEW)
        }
        CertificateError::NotValidYet => ("its certificate is not valid yet".to_owned(), RENEW),
        CertificateError::NotValidYetContext { not_before, .. } => {
            (format!("its certificate is not valid yet: it will be from {}", date(*not_before)), RENEW)
        }
        CertificateError::NotValidForName => ("its certificate is made out to another name".to_owned(), NAME),
        CertificateError::NotValidForNameContext { expected, presented } => {
            let (expected, presented) = (expected.to_str(), presented.join(", "));
            (format!("its certificate is not made out to {expected}, but to {presented}"), NAME)
        }
        CertificateError::UnknownIssuer => {
            ("its certificate is signed by nobody whom this machine believes".to_owned(), ROOT)
        }
        other => (format!("its certificate is not believed: {other}"), ROOT),
    })
}

fn date(time: UnixTime) -> Instant {
    Instant { seconds: i64::try_from(time.as_secs()).unwrap_or(i64::MAX), nanoseconds: 0 }
}
