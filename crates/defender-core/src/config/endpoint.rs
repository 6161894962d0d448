//! URLs of the two endpoints: read, normalised, and held against the hosts that Microsoft names.

use percent_encoding::{AsciiSet, CONTROLS, utf8_percent_encode};

use super::problems::Complaint;
use super::{Cloud, Endpoint, Region, TokenVersion};
use crate::protocol::{GCC_HIGH_AND_DOD, PROTOCOLS, Protocol, WORLDWIDE};

/// An absolute URL, taken apart.
#[derive(Debug)]
pub(super) struct Url {
    scheme: &'static str,
    /// In lower case; IPv6 in brackets.
    pub(super) host: String,
    port: u16,
    /// As it was written: empty, or beginning with a slash.
    pub(super) path: String,
}

impl Url {
    /// Reads a URL; where `bare` allows it, a host alone means `https://` to it.
    ///
    /// By hand rather than by a crate: the messages say which part is wrong, and the component stays some 12 KB smaller.
    pub(super) fn parse(text: &str, bare: bool) -> Result<Self, Complaint> {
        let no = |predicate: &'static str, hint: &'static str| Err(Complaint::new(predicate, hint));
        if text.contains(['?', '#']) {
            return no(
                "has a query or a fragment, from `?` or `#` on",
                "Take it out, such as the `?sinceTimeUtc=$START_AT_TIME` of a SIEM connector: the source sets the range of \
                 time by itself, and groups, tags and limit are members of their own.",
            );
        }
        let (scheme, rest) = match text.split_once("://") {
            Some(parts) => parts,
            None if bare => ("https", text),
            None => return no("does not begin with https://", "Write the full URL, beginning with https://."),
        };
        let (scheme, default_port) = if scheme.eq_ignore_ascii_case("https") {
            ("https", 443)
        } else if scheme.eq_ignore_ascii_case("http") {
            ("http", 80)
        } else {
            return no("does not begin with https://", "Only https:// is possible, and http:// to a loopback address.");
        };
        // RFC 3986, appendix A, without `?` and `#`.
        if !rest.bytes().all(|b| b.is_ascii_alphanumeric() || b"-._~!$&'()*+,;=:@/%[]".contains(&b)) {
            return no("holds a character that no URL has", "Look for blanks, backslashes and letters beyond ASCII.");
        }
        let (authority, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
        if authority.contains('@') {
            return no("holds a user name or a password", "Take out everything up to and with the `@`.");
        }
        // The colons of an IPv6 address stand in brackets.
        let colon = authority.rfind(':').filter(|at| !authority[*at..].contains(']'));
        let (host, port) = authority.split_at(colon.unwrap_or(authority.len()));
        let host = host.strip_suffix('.').unwrap_or(host).to_ascii_lowercase();
        if !is_host(&host) {
            return no("has no valid host name", "Write it like https://wdatp-alertexporter-us.windows.com.");
        }
        let port = match port.strip_prefix(':') {
            None => default_port,
            Some(digits) => match digits.parse() {
                Ok(port @ 1..) if !digits.starts_with('+') => port,
                _ => return no("has no valid port", "A port is a number from 1 to 65535 behind the host and a colon."),
            },
        };
        if scheme == "http" && !is_loopback(&host) {
            return no(
                "begins with http://, which would send secrets unprotected",
                "Write https://; http:// is possible only to 127.0.0.1, [::1] or localhost.",
            );
        }
        if path.split('/').any(|segment| matches!(segment, "." | "..")) || !percent_triplets(path) {
            return no("has a path that cannot be", "Write the path plainly, without `..` and without a lone `%`.");
        }
        Ok(Self { scheme, host, port, path: path.to_owned() })
    }

    /// The endpoint at this path of the same origin.
    pub(super) fn endpoint(&self, path: &str) -> Endpoint {
        let default = if self.scheme == "https" { 443 } else { 80 };
        let port = if self.port == default { String::new() } else { format!(":{}", self.port) };
        Endpoint {
            url: format!("{}://{}{port}{path}", self.scheme, self.host),
            scheme: self.scheme.to_owned(),
            host: self.host.clone(),
            port: self.port,
        }
    }
}

/// What a link's query may hold that no URL has, and that servers write all the same.
const UNWISE: &AsciiSet =
    &CONTROLS.add(b' ').add(b'"').add(b'<').add(b'>').add(b'\\').add(b'^').add(b'`').add(b'{').add(b'|').add(b'}');

impl Endpoint {
    /// The URL that a link to a further page means, which is absolute or begins with one slash; none where it leads to
    /// another origin, or is no URL.
    pub(crate) fn resolve(&self, link: &str) -> Option<String> {
        let (place, query) = link.split_at(link.find('?').unwrap_or(link.len()));
        let url = if place.starts_with('/') && !place.starts_with("//") {
            let (origin, _) = self.url.split_at(self.url.len() - Url::parse(&self.url, false).ok()?.path.len());
            Url::parse(&format!("{origin}{place}"), false)
        } else {
            Url::parse(place, false)
        };
        let url = url.ok()?;
        let is_here = url.scheme == self.scheme && url.host == self.host && url.port == self.port;
        (is_here && !query.contains('#'))
            .then(|| format!("{}{}", url.endpoint(&url.path).url, utf8_percent_encode(query, UNWISE)))
    }
}

/// The path of an API, from any of the ways to write it: none at all, one of its routes in letters of any case, with a slash
/// behind it, each behind a prefix such as a gateway's.
///
/// Source for the SIEM API: the examples and sample scripts on Microsoft's page, which have four of them.
pub(super) fn api_path(path: &str, protocol: &Protocol) -> Result<String, Complaint> {
    let path = path.trim_matches('/');
    let without_route = |path| protocol.routes.iter().find_map(|route| without(path, route));
    let route = protocol.routes.first().copied().unwrap_or_default();
    let prefix = match without_route(path) {
        Some(prefix) => prefix,
        None if path.is_empty() => "",
        None => {
            return Err(Complaint::new(
                format!("has a path that does not end in /{route}"),
                format!("Write the host alone, or the full URL with /{route} at its end; a prefix before it is kept."),
            ));
        }
    };
    let first = route.split('/').next().unwrap_or_default();
    if without_route(prefix).is_some() || prefix.rsplit('/').next().is_some_and(|last| last.eq_ignore_ascii_case(first))
    {
        let hint = format!("Write /{route} once, or the host alone.");
        return Err(Complaint::new(format!("has /{route} twice in its path"), hint));
    }
    Ok(format!("{}{prefix}/{route}", if prefix.is_empty() { "" } else { "/" }))
}

/// What stands before a route at the end of a path, without slashes around it.
fn without<'a>(path: &'a str, route: &str) -> Option<&'a str> {
    let mut rest = path;
    for part in route.rsplit('/') {
        let (before, last) = rest.rsplit_once('/').unwrap_or(("", rest));
        if !last.eq_ignore_ascii_case(part) {
            return None;
        }
        rest = before.trim_end_matches('/');
    }
    Some(rest)
}

/// Which protocol is spoken, where `api` leaves two: the first, unless the endpoint has a host or the route of the other alone.
pub(super) fn protocol(api: &str, endpoint: Option<&Url>) -> Option<&'static Protocol> {
    let mut named = PROTOCOLS.into_iter().filter(|protocol| protocol.name == api);
    let (first, second) = (named.next()?, named.next());
    let is_meant = |protocol: &Protocol| {
        endpoint.is_some_and(|url| {
            let path = url.path.trim_matches('/');
            protocol.serves(&url.host) || protocol.routes.iter().any(|route| without(path, route).is_some())
        })
    };
    match second {
        Some(second) if is_meant(second) && !is_meant(first) => Some(second),
        _ => Some(first),
    }
}

/// The hosts that issue tokens, the first of each cloud being the one to use.
///
/// Source: Microsoft's page on national clouds, and the aliases in the instance metadata of its sign-in libraries.
const LOGIN_HOSTS: &[(&str, &[Cloud])] = &[
    ("login.microsoftonline.com", WORLDWIDE),
    ("login.microsoftonline.us", GCC_HIGH_AND_DOD),
    ("login.windows.net", WORLDWIDE),
    ("login.microsoft.com", WORLDWIDE),
    ("sts.windows.net", WORLDWIDE),
    ("login.usgovcloudapi.net", GCC_HIGH_AND_DOD),
    ("login-us.microsoftonline.com", GCC_HIGH_AND_DOD),
    ("login.partner.microsoftonline.cn", &[]),
    ("login.chinacloudapi.cn", &[]),
    ("login.microsoftonline.de", &[]),
];

/// Whether Microsoft issues tokens at this host.
pub(crate) fn is_known_login_host(host: &str) -> bool {
    LOGIN_HOSTS.iter().any(|(known, _)| *known == host)
}

/// The host that issues the tokens of this cloud.
pub(super) fn login_host(cloud: Cloud) -> &'static str {
    LOGIN_HOSTS.iter().find(|(_, clouds)| clouds.contains(&cloud)).map_or("login.microsoftonline.com", |(host, _)| host)
}

/// Complains where a host of Microsoft belongs to another cloud, region or API. Other hosts pass: a gateway, a test.
pub(super) fn check_api_host(
    host: &str,
    protocol: &Protocol,
    cloud: Cloud,
    region: Option<Region>,
) -> Result<(), Complaint> {
    if let Some(known) = protocol.hosts.iter().find(|known| known.name == host) {
        check_cloud(host, known.clouds, cloud)?;
        return match (region, known.region) {
            (Some(region), Some(home)) if region != home => Err(Complaint::new(
                format!("names {host}, the host of the region `{}`, but `region` is `{}`", home.name(), region.name()),
                "Leave `endpoints.api` out, or give both the same region.",
            )),
            _ => Ok(()),
        };
    }
    if let Some(family) = protocol.families.iter().find(|family| family.has(host)) {
        return check_cloud(host, family.clouds, cloud);
    }
    let mut others = PROTOCOLS.iter().filter(|other| other.has_host(host));
    if let Some(other) = others.clone().find(|other| other.name == protocol.name).or_else(|| others.next()) {
        let predicate = format!("names {host}, a host of {}, which does not serve {}", other.title, protocol.title);
        let hint = if other.name == protocol.name {
            "Write the host alone, or leave `endpoints.api` out: the path follows from the host.".to_owned()
        } else {
            format!("Set `api` to `{}`, or leave `endpoints.api` out: the host follows from the rest.", other.name)
        };
        return Err(Complaint::new(predicate, hint));
    }
    let within = |domain: &str| host == domain || host.strip_suffix(domain).is_some_and(|rest| rest.ends_with('.'));
    let foreign = [
        "windows.com",
        "windows.us",
        "windows.net",
        "microsoft.com",
        "microsoft.us",
        "microsoftonline.com",
        "microsoftonline.us",
        "azure.cn",
        "chinacloudapi.cn",
    ];
    if foreign.into_iter().any(within) {
        return Err(Complaint::new(
            format!("names {host}, a host of Microsoft that does not serve {}", protocol.title),
            "Leave `endpoints.api` out: the host follows from `cloud` and `region`.",
        ));
    }
    Ok(())
}

/// Complains where an audience is that of another API or cloud: hosts, login and audience move together.
pub(super) fn check_audience(audience: &str, protocol: &Protocol, cloud: Cloud) -> Result<(), Complaint> {
    let named = |of: &&Protocol| {
        let mut known = of.audiences.iter();
        known.find(|(known, _)| known.eq_ignore_ascii_case(audience.trim_end_matches('/'))).map(|(_, clouds)| *clouds)
    };
    let hint = "Leave `endpoints.audience` out: it follows from `api` and `cloud`.";
    match (named(&protocol), PROTOCOLS.iter().find(|other| named(other).is_some())) {
        (None, Some(other)) => {
            let predicate = format!("is an audience of {}, and not of {}", other.title, protocol.title);
            Err(Complaint::new(predicate, hint))
        }
        (Some(clouds), _) if !clouds.is_empty() && !clouds.contains(&cloud) => {
            let names = clouds.iter().map(|cloud| cloud.name()).collect::<Vec<_>>().join("` or `");
            let predicate = format!("is the audience of the cloud `{names}`, but `cloud` is `{}`", cloud.name());
            Err(Complaint::new(predicate, hint))
        }
        _ => Ok(()),
    }
}

/// Complains where a token endpoint of Microsoft does not fit the cloud or the tenant, or does not fit the version.
pub(super) fn check_token_url(
    url: &Url,
    cloud: Cloud,
    version: TokenVersion,
    tenant: Option<&str>,
) -> Result<(), Complaint> {
    let (path, written) = (url.path.trim_end_matches('/'), version.name());
    if path.is_empty() {
        let predicate = "names an origin only, and must be the full URL of the token endpoint";
        return Err(Complaint::new(
            predicate,
            "Write it like https://login.microsoftonline.com/<tenant_id>/oauth2/token.",
        ));
    }
    for (suffix, other) in [("/oauth2/token", TokenVersion::V1), ("/oauth2/v2.0/token", TokenVersion::V2)] {
        if path.ends_with(suffix) && other != version {
            return Err(Complaint::new(
                format!("ends in {suffix}, the {} endpoint, but `token_version` is `{written}`", other.name()),
                format!("Set `token_version` to `{}`, or correct the URL.", other.name()),
            ));
        }
    }
    let Some((host, clouds)) = LOGIN_HOSTS.iter().find(|(known, _)| *known == url.host) else { return Ok(()) };
    if clouds.is_empty() {
        let predicate = format!("names {host}, which is of a national cloud that this source does not know");
        return Err(Complaint::new(predicate, "Leave `endpoints.token` out, and set `cloud`."));
    }
    check_cloud(host, clouds, cloud)?;
    let suffix = token_suffix(version);
    let Some(named) = path.strip_suffix(suffix).and_then(|tenant| tenant.strip_prefix('/')) else {
        let predicate = format!("is not a {written} token endpoint of Microsoft");
        return Err(Complaint::new(predicate, format!("Write https://{host}/<tenant_id>{suffix}, or leave it out.")));
    };
    match tenant {
        // A GUID and a domain name may well be the same tenant.
        Some(tenant) if is_guid(named) == is_guid(tenant) && !named.eq_ignore_ascii_case(tenant) => {
            Err(Complaint::new(
                "names another tenant than `tenant_id`",
                "Leave `endpoints.token` out: it follows from `cloud` and `tenant_id`.",
            ))
        }
        _ => Ok(()),
    }
}

/// What follows the tenant in the path of a token endpoint.
pub(super) fn token_suffix(version: TokenVersion) -> &'static str {
    match version {
        TokenVersion::V1 => "/oauth2/token",
        TokenVersion::V2 => "/oauth2/v2.0/token",
    }
}

/// Whether a text is a GUID: 8-4-4-4-12 hexadecimal digits.
pub(crate) fn is_guid(text: &str) -> bool {
    text.len() == 36
        && text
            .bytes()
            .enumerate()
            .all(|(at, b)| if [8, 13, 18, 23].contains(&at) { b == b'-' } else { b.is_ascii_hexdigit() })
}

/// Whether a text is a host name of several labels that does not end in a number.
pub(super) fn is_domain(text: &str) -> bool {
    let label = |label: &str| {
        (1..=63).contains(&label.len())
            && label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    let last = text.rsplit('.').next().unwrap_or_default();
    text.len() <= 253 && text.contains('.') && text.split('.').all(label) && !last.bytes().all(|b| b.is_ascii_digit())
}

fn check_cloud(host: &str, clouds: &[Cloud], cloud: Cloud) -> Result<(), Complaint> {
    if clouds.contains(&cloud) {
        return Ok(());
    }
    let names = clouds.iter().map(|cloud| cloud.name()).collect::<Vec<_>>().join("` or `");
    Err(Complaint::new(
        format!("names {host}, a host of the cloud `{names}`, but `cloud` is `{}`", cloud.name()),
        format!("Set `cloud` to `{names}`, or leave the endpoint out: the hosts follow from `cloud`."),
    ))
}

fn is_loopback(host: &str) -> bool {
    host == "localhost" || host == "[::1]" || (host.starts_with("127.") && is_ipv4(host))
}

fn is_host(host: &str) -> bool {
    if let Some(address) = host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
        return is_ipv6(address);
    }
    let single = !host.contains('.') && is_domain(&format!("{host}.x"));
    is_domain(host) || single || is_ipv4(host)
}

fn is_ipv4(host: &str) -> bool {
    let part = |part: &str| part.bytes().all(|b| b.is_ascii_digit()) && part.parse::<u8>().is_ok();
    host.split('.').count() == 4 && host.split('.').all(part)
}

/// Eight groups of hexadecimal digits, or fewer around one `::`. Source: RFC 4291, section 2.2, without its third form.
fn is_ipv6(address: &str) -> bool {
    let (head, tail, short) = match address.split_once("::") {
        Some((head, tail)) => (head, tail, true),
        None => (address, "", false),
    };
    let group = |group: &str| (1..=4).contains(&group.len()) && group.bytes().all(|b| b.is_ascii_hexdigit());
    let mut groups = 0;
    for part in [head, tail].into_iter().filter(|part| !part.is_empty()) {
        if !part.split(':').all(group) {
            return false;
        }
        groups += part.split(':').count();
    }
    if short { groups < 8 } else { groups == 8 }
}

fn percent_triplets(path: &str) -> bool {
    path.split('%').skip(1).all(|rest| rest.len() >= 2 && rest.bytes().take(2).all(|b| b.is_ascii_hexdigit()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_told_from_what_looks_like_one() {
        for address in
            ["127.0.0.1", "0.0.0.0", "255.255.255.255", "[::1]", "[::]", "[1:2:3:4:5:6:7:8]", "[fe80::a:b]", "[a::]"]
        {
            assert!(is_host(address), "{address}");
        }
        for text in [
            "127.0.0",
            "127.0.0.256",
            "127.0.0.+1",
            "127.0.0.1.",
            "[]",
            "[1]",
            "[:]",
            "[:::]",
            "[::1::]",
            "[1::2::3]",
            "[1:2:3:4:5:6:7]",
            "[1:2:3:4:5:6:7:8:9]",
            "[1:2:3:4::5:6:7:8]",
            "[12345::]",
            "[g::]",
            "[::1",
            "",
            ".",
            "a..b",
            "-a",
        ] {
            assert!(!is_host(text), "{text}");
        }
    }

    #[test]
    fn only_these_are_loopback() {
        for host in ["127.0.0.1", "127.255.0.9", "[::1]", "localhost"] {
            assert!(is_loopback(host), "{host}");
        }
        for host in ["127.example.com", "128.0.0.1", "[::2]", "localhost.example", "127.0.0.1.example"] {
            assert!(!is_loopback(host), "{host}");
        }
    }
}
