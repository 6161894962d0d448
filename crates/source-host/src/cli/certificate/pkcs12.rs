//! PKCS#12 files (.pfx, .p12).

use std::path::Path;

use source_host::Denial;

use super::{Certificate, Contents, pfx};
use crate::cli::secrets::short_file;

const EXPORT: &str = "export the certificate together with its private key";

impl Certificate {
    /// The keys and certificates of a file.
    pub(super) fn pkcs12(&self, path: &Path, password: Option<&str>) -> Result<Contents, Denial> {
        let file = path.display();
        let bytes = short_file(path).map_err(|why| self.unreadable(path, why))?;
        if !pfx::is_pfx(&bytes) {
            return Err(self.no_pkcs12(path, &bytes));
        }
        let advice = "convert it with `openssl pkcs12 -in app.pfx -out app.pem -nodes` (with -legacy where it is an old one), name \
                      the result with `pem` in place of `pkcs12`, and let nobody but this user read it";
        let contents = pfx::read(&bytes, password.unwrap_or_default());
        let contents = contents.map_err(|problem| self.locked(&file.to_string(), problem, advice))?;
        if contents.keys.is_empty() {
            return Err(self.denial(format!("{file} holds no private key"), EXPORT));
        }
        if contents.certificates.is_empty() {
            return Err(self.denial(format!("{file} holds no certificate"), EXPORT));
        }
        Ok(contents)
    }

    fn no_pkcs12(&self, path: &Path, bytes: &[u8]) -> Denial {
        let (what, hint) = if memchr::memmem::find(bytes, b"-----BEGIN ").is_some() {
            ("no PKCS#12 file, but PEM", "name it with `pem` in place of `pkcs12`")
        } else if bytes.starts_with(b"MII") {
            // How a secret of Azure Key Vault comes.
            (
                "a PKCS#12 file in base64",
                "decode it with `base64 -d`; `az keyvault secret download` does so with --encoding base64",
            )
        } else {
            ("no PKCS#12 file", EXPORT)
        };
        self.denial(format!("{} is {what}", path.display()), hint)
    }
}
