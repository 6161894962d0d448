//! URLs of the two endpoints: read, normalised, and held against the hosts that Microsoft names.

use std::net::{Ipv4Addr, Ipv6Addr};

use ::http::Uri;

use super::problems::Complaint;
use super::{Cloud, Endpoint, Region, TokenVersion};

/// An absolute URL, taken apart.
#[derive(Debug)]
pub(super) struct Url {
    scheme: &'static str,
    /// In lower case; IPv6 in brackets.
    pub(super) host: String,
    port: u16,
    /// As it was written, beginning with a slash.
    pub(super) path: String,
}

impl Url {
    /// Reads a URL; where `bare` allows it, a host alone means `https://` to it.
    pub(super) fn parse(text: &str, bare: bool) -> Result<Self, Complaint> {
        let no = |predicate: &'static str, hint: &'static str| Err(Complaint::new(predicate, hint));
        for (mark, name) in [('#', "fragment"), ('?', "query")] {
            if text.contains(mark) {
                return Err(Complaint::new(
                    format!("has a {name}, from `{mark}` on"),
                    "Take it out, such as the `?sinceTimeUtc=$START_AT_TIME` of a SIEM connector: the source sets the \
                     range of time by itself, and groups, tags and limit are members of their own.",
                ));
            }
        }
        let absolute = if text.contains("://") || !bare { text.to_owned() } else { format!("https://{text}") };
        let Some((scheme, rest)) = absolute.split_once("://") else {
            return no("does not begin with https://", "Write the full URL, beginning with https://.");
        };
        let (scheme, default_port) = match scheme.to_ascii_lowercase().as_str() {
            "https" => ("https", 443),
            "http" => ("http", 80),
            _ => {
                return no(
                    "does not begin with https://",
                    "Only https:// is possible, and http:// to a loopback address.",
                );
            }
        };
        let allowed = |b: u8| b.is_ascii_alphanumeric() || b"-._~!$&'()*+,;=:@/%[]".contains(&b);
        let (Ok(uri), true) = (absolute.parse::<Uri>(), rest.bytes().all(allowed)) else {
            return no("is not a URL", "Look for blanks, letters beyond ASCII, and a wrong port.");
        };
        let authority = uri.authority().map_or("", ::http::uri::Authority::as_str);
        if authority.contains('@') {
            return no("holds a user name or a password", "Take out everything up to and with the `@`.");
        }
        let host = uri.host().unwrap_or_default().to_ascii_lowercase();
        let host = host.strip_suffix('.').unwrap_or(&host).to_owned();
        if !is_host(&host) {
            return no("has no valid host name", "Write it like https://wdatp-alertexporter-us.windows.com.");
        }
        let port = match (uri.port_u16(), authority.ends_with(']') || !after_host(authority).contains(':')) {
            (Some(port), _) if port > 0 => port,
            (None, true) => default_port,
            _ => return no("has no valid port", "A port is a number from 1 to 65535 behind the host and a colon."),
        };
        if scheme == "http" && !is_loopback(&host) {
            return no(
                "begins with http://, which would send secrets unprotected",
                "Write https://; http:// is possible only to 127.0.0.1, [::1] or localhost.",
            );
        }
        let path = uri.path().to_owned();
        if path.split('/').any(|segment| matches!(segment, "." | "..")) || !percent_triplets(&path) {
            return no("has a path that cannot be", "Write the path plainly, without `..` and without a lone `%`.");
        }
        Ok(Self { scheme, host, port, path })
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

/// The path of the detections, from any of the ways to write it: none at all, `/api/alerts`, with a slash behind it, as
/// `/api/Alerts` or `/api/alert`, each behind a prefix such as a gateway's.
///
/// Source: the examples and sample scripts on Microsoft's page, which has all four.
pub(super) fn detections_path(path: &str) -> Result<String, Complaint> {
    let segments: Vec<&str> = path.split('/').filter(|segment| !segment.is_empty()).collect();
    let Some(prefix) = without_route(&segments) else {
        if segments.is_empty() {
            return Ok("/api/alerts".to_owned());
        }
        return Err(Complaint::new(
            "has a path that does not end in /api/alerts",
            "Write the host alone, or the full URL with /api/alerts at its end; a prefix before it is kept.",
        ));
    };
    if without_route(prefix).is_some() {
        return Err(Complaint::new("has /api/alerts twice in its path", "Write /api/alerts once, or the host alone."));
    }
    let prefix: String = prefix.iter().flat_map(|segment| ["/", segment]).collect();
    Ok(format!("{prefix}/api/alerts"))
}

fn without_route<'a, 'b>(segments: &'a [&'b str]) -> Option<&'a [&'b str]> {
    let (last, rest) = segments.split_last()?;
    let (before, prefix) = rest.split_last()?;
    let is_route = before.eq_ignore_ascii_case("api")
        && (last.eq_ignore_ascii_case("alerts") || last.eq_ignore_ascii_case("alert"));
    is_route.then_some(prefix)
}

/// The hosts of the SIEM API: the clouds that each belongs to, and its region.
///
/// Source: Microsoft's page (both families of host names) and its US Government page of 2021.
const API_HOSTS: &[(&str, &[Cloud], Region)] = &[
    ("wdatp-alertexporter-us.windows.com", &[Cloud::Commercial], Region::Us),
    ("wdatp-alertexporter-eu.windows.com", &[Cloud::Commercial], Region::Eu),
    ("wdatp-alertexporter-uk.windows.com", &[Cloud::Commercial], Region::Uk),
    ("wdatp-alertexporter-us.gcc.securitycenter.windows.us", &[Cloud::Gcc], Region::Us),
    ("wdatp-alertexporter-us.securitycenter.windows.us", &[Cloud::GccHigh, Cloud::Dod], Region::Us),
    ("wdatp-alertexporter-us.securitycenter.windows.com", &[Cloud::Commercial], Region::Us),
    ("wdatp-alertexporter-eu.securitycenter.windows.com", &[Cloud::Commercial], Region::Eu),
    ("wdatp-alertexporter-uk.securitycenter.windows.com", &[Cloud::Commercial], Region::Uk),
];

/// The hosts that issue tokens, the first of each cloud being the one to use.
///
/// Source: Microsoft's page on national clouds, and the aliases in the instance metadata of its sign-in libraries.
const LOGIN_HOSTS: &[(&str, &[Cloud])] = &[
    ("login.microsoftonline.com", WORLDWIDE),
    ("login.microsoftonline.us", US_GOVERNMENT),
    ("login.windows.net", WORLDWIDE),
    ("login.microsoft.com", WORLDWIDE),
    ("sts.windows.net", WORLDWIDE),
    ("login.usgovcloudapi.net", US_GOVERNMENT),
    ("login-us.microsoftonline.com", US_GOVERNMENT),
    ("login.partner.microsoftonline.cn", &[]),
    ("login.chinacloudapi.cn", &[]),
    ("login.microsoftonline.de", &[]),
];

const WORLDWIDE: &[Cloud] = &[Cloud::Commercial, Cloud::Gcc];
const US_GOVERNMENT: &[Cloud] = &[Cloud::GccHigh, Cloud::Dod];

/// The host of the SIEM API in this cloud and region, where there is one.
pub(super) fn api_host(cloud: Cloud, region: Region) -> Option<&'static str> {
    API_HOSTS.iter().find(|(_, clouds, home)| clouds.contains(&cloud) && *home == region).map(|(host, ..)| *host)
}

/// Whether Microsoft names this host for the SIEM API.
pub(crate) fn is_known_api_host(host: &str) -> bool {
    API_HOSTS.iter().any(|(known, ..)| *known == host)
}

/// Whether Microsoft issues tokens at this host.
pub(crate) fn is_known_login_host(host: &str) -> bool {
    LOGIN_HOSTS.iter().any(|(known, _)| *known == host)
}

/// The host that issues the tokens of this cloud.
pub(super) fn login_host(cloud: Cloud) -> &'static str {
    LOGIN_HOSTS.iter().find(|(_, clouds)| clouds.contains(&cloud)).map_or("login.microsoftonline.com", |(host, _)| host)
}

/// Complains where a host of Microsoft belongs to another cloud, region or API. Other hosts pass: a gateway, a test.
pub(super) fn check_api_host(host: &str, cloud: Cloud, region: Option<Region>) -> Result<(), Complaint> {
    if let Some((_, clouds, home)) = API_HOSTS.iter().find(|(known, ..)| *known == host) {
        check_cloud(host, clouds, cloud)?;
        return match region {
            Some(region) if region != *home => Err(Complaint::new(
                format!("names {host}, the host of the region `{}`, but `region` is `{}`", home.name(), region.name()),
                "Leave `endpoints.api` out, or give both the same region.",
            )),
            _ => Ok(()),
        };
    }
    let within = |domain: &str| host == domain || host.strip_suffix(domain).is_some_and(|rest| rest.ends_with('.'));
    if within("windows.us") {
        return check_cloud(host, &[Cloud::Gcc, Cloud::GccHigh, Cloud::Dod], cloud);
    }
    if within("windows.com") && host.starts_with("wdatp-alertexporter-") {
        return check_cloud(host, &[Cloud::Commercial], cloud);
    }
    let foreign =
        ["windows.com", "windows.net", "microsoft.com", "microsoft.us", "microsoftonline.com", "microsoftonline.us"];
    if foreign.into_iter().any(within) {
        return Err(Complaint::new(
            format!("names {host}, a host of Microsoft that does not serve the SIEM API"),
            "Leave `endpoints.api` out: the host follows from `cloud` and `region`.",
        ));
    }
    Ok(())
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
        let predicate = format!("names {host}, and the SIEM API was never offered in that national cloud");
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
    let names = clouds.iter().map(|cloud| format!("`{}`", cloud.name())).collect::<Vec<_>>().join(" or ");
    Err(Complaint::new(
        format!("names {host}, a host of the cloud {names}, but `cloud` is `{}`", cloud.name()),
        format!("Set `cloud` to {names}, or leave the endpoint out: the hosts follow from `cloud`."),
    ))
}

fn is_loopback(host: &str) -> bool {
    host == "localhost" || host == "[::1]" || host.parse::<Ipv4Addr>().is_ok_and(|address| address.is_loopback())
}

fn is_host(host: &str) -> bool {
    if let Some(address) = host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
        return address.parse::<Ipv6Addr>().is_ok();
    }
    let single = !host.contains('.') && is_domain(&format!("{host}.x"));
    is_domain(host) || single || host.parse::<Ipv4Addr>().is_ok()
}

/// What follows the host in an authority: nothing, or a colon and a port.
fn after_host(authority: &str) -> &str {
    authority.rsplit_once(']').map_or(authority, |(_, rest)| rest)
}

fn percent_triplets(path: &str) -> bool {
    path.split('%').skip(1).all(|rest| rest.len() >= 2 && rest.bytes().take(2).all(|b| b.is_ascii_hexdigit()))
}
