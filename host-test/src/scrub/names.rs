//! Names whose values are secrets.

use scenario::{SHORTEST_CODE, is_secret};

/// Those beyond what a scenario is refused for: replacing too much does no harm.
const MORE: [&str; 19] = [
    "accesskey",
    "authtoken",
    "awsaccesskeyid",
    "connectionstring",
    "passwd",
    "pwd",
    "sastoken",
    "secret",
    "secretkey",
    "sessionid",
    "sharedkey",
    "token",
    "usercode",
    "xcsrftoken",
    "xfunctionskey",
    "xgoogapikey",
    "xmsclientprincipal",
    "xmstokenaadaccesstoken",
    "xxsrftoken",
];

/// Those that are secrets in a link or a query, and something else elsewhere.
const OF_LINKS: [&str; 11] = [
    "$deltatoken",
    "$skiptoken",
    "continuationtoken",
    "deltatoken",
    "sig",
    "signature",
    "skiptoken",
    "xamzcredential",
    "xamzsecuritytoken",
    "xamzsignature",
    "xgoogsignature",
];

/// Names whose values are secrets, those of the operator included.
pub(super) struct Names(Vec<String>);

impl Names {
    pub(super) fn new(more: &[String]) -> Self {
        Self(more.iter().map(|name| plain(name)).collect())
    }

    /// Whether the operator named it.
    fn are_named(&self, name: &str) -> bool {
        self.0.contains(&plain(name))
    }

    /// Whether the value is a secret wherever it stands. The code of an error is none.
    pub(super) fn hide(&self, name: &str) -> bool {
        let named = is_secret(name) && !name.eq_ignore_ascii_case("code");
        named || MORE.contains(&plain(name).as_str()) || self.are_named(name)
    }

    /// Whether such a value is a secret; the address of an endpoint is none, unless the operator named it.
    pub(super) fn hide_value(&self, name: &str, value: &str) -> bool {
        self.hide(name) && (self.are_named(name) || !value.contains("://"))
    }

    /// Whether it is a secret in a query or a form.
    pub(super) fn hide_member(&self, name: &str) -> bool {
        self.hide(name) || name.eq_ignore_ascii_case("code") || OF_LINKS.contains(&plain(name).as_str())
    }

    /// Whether it is a secret in a link somewhere in a text, where a short code is that of an error.
    pub(super) fn hide_in_link(&self, name: &str, value: &str) -> bool {
        self.hide_member(name) && (!name.eq_ignore_ascii_case("code") || value.len() >= SHORTEST_CODE)
    }
}

/// `clientSecret`, `client-secret` and `client_secret` are one name.
fn plain(name: &str) -> String {
    name.chars().filter(|letter| !"-_".contains(*letter)).flat_map(char::to_lowercase).collect()
}
