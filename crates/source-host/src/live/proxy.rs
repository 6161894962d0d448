//! The proxy between the host and the network, where there is one.

use std::fmt;

use hyper_util::client::proxy::matcher::Matcher;
use reqwest::{ClientBuilder, NoProxy, Url};

/// What never goes through a proxy, whatever is configured: this machine.
const THIS_MACHINE: &str = "localhost,127.0.0.0/8,::1";

/// The proxy that connections to other machines go through, or none. What is sent stays encrypted up to the server:
/// the proxy is asked for a tunnel, and sees the server's name and port.
#[derive(Clone, Default)]
pub struct Proxy {
    server: Option<Url>,
    /// Comma-separated, as in `NO_PROXY`.
    except: String,
    credentials: Option<(String, String)>,
}

/// Why this is no proxy. It does not repeat the URL, which may hold a password.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum ProxyError {
    /// Another scheme, or no URL at all.
    #[error("{origin} is no proxy: an http:// or https:// URL of host and port is needed")]
    Url {
        /// Where it was written.
        origin: String,
    },
    /// A URL with user and password where others read along.
    #[error("{origin} holds a user name or a password")]
    Credentials {
        /// Where it was written.
        origin: String,
    },
}

impl ProxyError {
    /// What to do.
    #[must_use]
    pub fn hint(&self) -> &'static str {
        match self {
            Self::Url { .. } => "write it such as http://proxy.example.com:3128",
            Self::Credentials { .. } => {
                "write the URL without them, and say where they are kept with `proxy_credentials` under [host]"
            }
        }
    }
}

impl Proxy {
    /// No proxy, whatever the environment says.
    #[must_use]
    pub fn none() -> Self {
        Self::default()
    }

    /// The proxy at this URL, except for the hosts, domains and networks named, as in `NO_PROXY`.
    ///
    /// # Errors
    ///
    /// It is no URL of a proxy, or holds a password.
    pub fn new(url: &str, except: &[String]) -> Result<Self, ProxyError> {
        let origin = "`proxy` under [host]";
        let server = server(url, origin)?;
        if !server.username().is_empty() || server.password().is_some() {
            return Err(ProxyError::Credentials { origin: origin.to_owned() });
        }
        Ok(Self { server: Some(server), except: except.join(","), credentials: None })
    }

    /// What the environment says: `HTTPS_PROXY` or else `ALL_PROXY`, and `NO_PROXY`, each in small letters as well. A
    /// user and a password may stand in the URL there.
    ///
    /// # Errors
    ///
    /// The variable holds no URL of a proxy.
    pub fn from_env() -> Result<Self, ProxyError> {
        Self::from_variables(|name| std::env::var(name).ok())
    }

    fn from_variables(variable: impl Fn(&str) -> Option<String>) -> Result<Self, ProxyError> {
        let set = |name: &'static str| Some((name, variable(name).filter(|value| !value.is_empty())?));
        let found = ["https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"].into_iter().find_map(set);
        let Some((name, url)) = found else { return Ok(Self::none()) };
        let except = ["no_proxy", "NO_PROXY"].into_iter().find_map(set).map(|(_, value)| value);
        // Many write no scheme there.
        let url = if url.contains("://") { url } else { format!("http://{url}") };
        let server = server(&url, &format!("the environment variable {name}"))?;
        Ok(Self { server: Some(server), except: except.unwrap_or_default(), credentials: None })
    }

    /// With a user and a password, which are never shown.
    #[must_use]
    pub fn with_credentials(mut self, user: &str, password: &str) -> Self {
        self.credentials = Some((user.to_owned(), password.to_owned()));
        self
    }

    /// The name of the machine that it runs on, where it is named and not given by its address.
    pub(super) fn name(&self) -> Option<&str> {
        self.server.as_ref()?.domain()
    }

    /// Whether it stands between this machine and that one. The client asks the same matcher.
    pub(super) fn leads(&self, uri: &http::Uri) -> bool {
        self.server.as_ref().is_some_and(|server| {
            let matcher = Matcher::builder().https(server.as_str()).no(self.directly()).build();
            matcher.intercept(uri).is_some()
        })
    }

    /// What is reached without it, comma-separated.
    fn directly(&self) -> String {
        format!("{THIS_MACHINE},{}", self.except)
    }

    /// Leads a client's connections through it, and through nothing that the client finds by itself.
    pub(crate) fn lead(&self, client: ClientBuilder) -> reqwest::Result<ClientBuilder> {
        let client = client.no_proxy();
        let Some(server) = &self.server else { return Ok(client) };
        let mut proxy = reqwest::Proxy::https(server.clone())?.no_proxy(NoProxy::from_string(&self.directly()));
        if let Some((user, password)) = &self.credentials {
            proxy = proxy.basic_auth(user, password);
        }
        Ok(client.proxy(proxy))
    }
}

fn server(url: &str, origin: &str) -> Result<Url, ProxyError> {
    let wrong = || ProxyError::Url { origin: origin.to_owned() };
    let server = Url::parse(url).map_err(|_| wrong())?;
    let bare = matches!(server.path(), "" | "/") && server.query().is_none() && server.fragment().is_none();
    if matches!(server.scheme(), "http" | "https") && server.host_str().is_some() && bare {
        Ok(server)
    } else {
        Err(wrong())
    }
}

/// Scheme, host and port, without credentials.
impl fmt::Display for Proxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.server {
            Some(server) => f.write_str(&server.origin().ascii_serialization()),
            None => f.write_str("none"),
        }
    }
}

impl fmt::Debug for Proxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Proxy({self})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_environment_is_read_as_other_programs_read_it() {
        let proxy = |variables: &'static [(&str, &str)]| {
            Proxy::from_variables(move |name| {
                variables.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned())
            })
        };
        assert_eq!(proxy(&[]).unwrap().to_string(), "none");
        assert_eq!(proxy(&[("HTTPS_PROXY", "")]).unwrap().to_string(), "none");
        assert_eq!(proxy(&[("HTTP_PROXY", "http://a:1")]).unwrap().to_string(), "none");
        assert_eq!(proxy(&[("ALL_PROXY", "a:1"), ("https_proxy", "http://b:2")]).unwrap().to_string(), "http://b:2");
        assert_eq!(proxy(&[("ALL_PROXY", "a:1")]).unwrap().to_string(), "http://a:1");
        let error = proxy(&[("HTTPS_PROXY", "socks5://user:canary@a:1")]).unwrap_err();
        assert!(error.to_string().starts_with("the environment variable HTTPS_PROXY is no proxy"), "{error}");
        assert!(!error.to_string().contains("canary"), "{error}");
    }

    #[test]
    fn a_password_is_neither_taken_from_a_configuration_nor_shown() {
        let error = Proxy::new("http://user:canary@proxy:3128", &[]).unwrap_err();
        assert!(!format!("{error} {error:?}").contains("canary"), "{error:?}");
        let proxy = Proxy::from_variables(|name| (name == "https_proxy").then(|| "http://user:canary@a:1".to_owned()));
        let proxy = proxy.unwrap().with_credentials("user", "canary");
        assert_eq!(format!("{proxy} {proxy:?}"), "http://a:1 Proxy(http://a:1)");
        for wrong in ["proxy:3128", "ftp://proxy", "http://proxy/path", ""] {
            assert!(matches!(Proxy::new(wrong, &[]), Err(ProxyError::Url { .. })), "{wrong}");
        }
    }
}
