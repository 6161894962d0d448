//! The proxy of the `[host]` table.

use std::path::Path;

use source_host::Proxy;
use toml::Spanned;

use super::check::{Problems, secret};
use super::{RawSecret, SecretFrom};

/// Where the proxy is named.
#[derive(Debug)]
pub(crate) enum ProxyFrom {
    Environment,
    Configuration(Proxy, Option<SecretFrom>),
}

/// What is written in place of a URL to go without a proxy, whatever the environment says.
const NONE: &str = "none";

pub(super) fn proxy(
    url: Option<Spanned<String>>,
    except: &[String],
    credentials: Option<Spanned<RawSecret>>,
    folder: &Path,
    problems: &mut Problems,
) -> ProxyFrom {
    let credentials = credentials.and_then(|raw| {
        let at = raw.span();
        if url.as_ref().is_none_or(|url| url.get_ref() == NONE) {
            problems.add(at.clone(), "`proxy_credentials` are for the proxy that `proxy` names".to_owned());
        }
        let from = secret(&raw.into_inner(), folder);
        if from.is_none() {
            problems
                .add(at, "say where user:password comes from: { env = \"NAME\" } or { file = \"PATH\" }".to_owned());
        }
        from
    });
    let Some(url) = url else { return ProxyFrom::Environment };
    if url.get_ref() == NONE {
        return ProxyFrom::Configuration(Proxy::none(), None);
    }
    let proxy = Proxy::new(url.get_ref(), except).unwrap_or_else(|error| {
        problems.add(url.span(), format!("{error}; {}", error.hint()));
        Proxy::none()
    });
    ProxyFrom::Configuration(proxy, credentials)
}
