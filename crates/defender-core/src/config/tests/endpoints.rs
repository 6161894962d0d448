//! Clouds, regions and endpoints.

use super::{TENANT, assert_problem, config, in_endpoints};

#[test]
fn hosts_follow_from_cloud_and_region() {
    for (cloud, region, login, api) in [
        ("commercial", "\"us\"", "login.microsoftonline.com", "wdatp-alertexporter-us.windows.com"),
        ("commercial", "\"eu\"", "login.microsoftonline.com", "wdatp-alertexporter-eu.windows.com"),
        ("commercial", "\"uk\"", "login.microsoftonline.com", "wdatp-alertexporter-uk.windows.com"),
        ("gcc", "-", "login.microsoftonline.com", "wdatp-alertexporter-us.gcc.securitycenter.windows.us"),
        ("gcc", "\"us\"", "login.microsoftonline.com", "wdatp-alertexporter-us.gcc.securitycenter.windows.us"),
        ("gcc-high", "-", "login.microsoftonline.us", "wdatp-alertexporter-us.securitycenter.windows.us"),
        ("dod", "-", "login.microsoftonline.us", "wdatp-alertexporter-us.securitycenter.windows.us"),
    ] {
        let config = config(&[("cloud", &format!("\"{cloud}\"")), ("region", region), ("token_version", "\"v2\"")]);
        assert_eq!(config.token_endpoint.url, format!("https://{login}/{TENANT}/oauth2/v2.0/token"), "{cloud}");
        assert_eq!(config.api_endpoint.url, format!("https://{api}/api/alerts"), "{cloud} {region}");
    }
}

#[test]
fn every_spelling_of_the_endpoint_on_microsofts_page_is_understood() {
    let us = "https://wdatp-alertexporter-us.windows.com";
    let other = "https://wdatp-alertexporter-us.securitycenter.windows.com";
    for (written, expected) in [
        ("wdatp-alertexporter-us.windows.com", format!("{us}/api/alerts")),
        ("WDATP-AlertExporter-US.windows.com.", format!("{us}/api/alerts")),
        ("wdatp-alertexporter-us.windows.com/api/alerts", format!("{us}/api/alerts")),
        ("https://wdatp-alertexporter-us.windows.com", format!("{us}/api/alerts")),
        ("https://wdatp-alertexporter-us.windows.com/", format!("{us}/api/alerts")),
        ("https://wdatp-alertexporter-us.windows.com:443/api/alerts", format!("{us}/api/alerts")),
        ("HTTPS://wdatp-alertexporter-us.windows.com/api/alerts/", format!("{us}/api/alerts")),
        ("https://wdatp-alertexporter-us.windows.com/api/Alerts", format!("{us}/api/alerts")),
        ("https://wdatp-alertexporter-us.windows.com/api/alert", format!("{us}/api/alerts")),
        ("https://wdatp-alertexporter-us.windows.com//api/alerts", format!("{us}/api/alerts")),
        ("https://wdatp-alertexporter-us.securitycenter.windows.com/api/alerts/", format!("{other}/api/alerts")),
        (
            "https://gateway.example:8443/mde%20x/api/alerts",
            "https://gateway.example:8443/mde%20x/api/alerts".to_owned(),
        ),
        ("gateway:8443", "https://gateway:8443/api/alerts".to_owned()),
        ("http://127.0.0.2:80", "http://127.0.0.2/api/alerts".to_owned()),
        ("http://localhost:1234/", "http://localhost:1234/api/alerts".to_owned()),
        ("http://[::1]:1234/a/b/api/alerts", "http://[::1]:1234/a/b/api/alerts".to_owned()),
    ] {
        let config = config(&[("endpoints", &in_endpoints("api", written))]);
        assert_eq!(config.api_endpoint.url, expected, "{written}");
    }
    let config = config(&[("endpoints", &in_endpoints("api", "http://[::1]:1234"))]);
    let api = &config.api_endpoint;
    assert_eq!((api.scheme.as_str(), api.host.as_str(), api.port), ("http", "[::1]", 1234));
}

#[test]
fn a_bad_api_endpoint_is_told_why() {
    for (written, words) in [
        (
            "https://wdatp-alertexporter-us.windows.com/api/alerts/?sinceTimeUtc=$START_AT_TIME",
            ["query", "Take it out"],
        ),
        ("https://wdatp-alertexporter-us.windows.com/api/alerts#top", ["fragment", "Take it out"]),
        ("https://me:word@gateway.example", ["user name or a password", "@"]),
        ("https://wdatp-alertexporter-us.windows.com/api/alerts/api/alerts", ["twice", "once"]),
        ("https://wdatp-alertexporter-us.windows.com/api/Alerts/api/alert/", ["twice", "once"]),
        ("https://wdatp-alertexporter-us.windows.com/API/api/alerts", ["twice", "once"]),
        ("https://gateway.example/mde", ["does not end in /api/alerts", "prefix before it is kept"]),
        ("https://gateway.example/../api/alerts", ["path that cannot be", "`..`"]),
        ("https://gateway.example/%2/api/alerts", ["path that cannot be", "lone `%`"]),
        ("http://gateway.example/api/alerts", ["unprotected", "127.0.0.1"]),
        ("http://128.0.0.1", ["unprotected", "localhost"]),
        ("http://[::2]", ["unprotected", "localhost"]),
        ("ftp://gateway.example", ["https://", "Only"]),
        ("https://", ["host name", "Write it like"]),
        ("https://:443", ["host name", "Write it like"]),
        ("https://a b.example", ["character that no URL has", "blanks"]),
        ("https://gäteway.example", ["character that no URL has", "ASCII"]),
        ("https://gate~way.example", ["host name", "Write it like"]),
        ("https://1.2.3", ["host name", "Write it like"]),
        ("https://[::g]", ["host name", "Write it like"]),
        ("https://gateway.example:0", ["port", "65535"]),
        ("https://gateway.example:", ["port", "65535"]),
        ("https://gateway.example:65536", ["port", "65535"]),
        ("https://gateway.example:+1", ["port", "65535"]),
        ("https://[::1]:x", ["port", "65535"]),
        ("https://1::2", ["host name", "Write it like"]),
        ("https://graph.microsoft.com", ["which does not serve the SIEM API", "Set `api` to `graph`"]),
        (
            "https://api.securitycenter.microsoft.com/api/alerts",
            ["does not serve the SIEM API", "Set `api` to `alerts`"],
        ),
        ("https://securitycenter.windows.com", ["does not serve the SIEM API", "Leave"]),
        ("https://graph.windows.net", ["does not serve the SIEM API", "Leave"]),
    ] {
        assert_problem(&[("endpoints", &in_endpoints("api", written))], "/endpoints/api", &words);
    }
}

#[test]
fn hosts_of_one_cloud_are_not_mixed_with_another() {
    let login = |host: &str| format!("https://{host}/{TENANT}/oauth2/token");
    for (cloud, region, name, url, words) in [
        (
            "commercial",
            "us",
            "api",
            "wdatp-alertexporter-us.securitycenter.windows.us".to_owned(),
            "`gcc-high` or `dod`",
        ),
        ("commercial", "us", "api", "wdatp-alertexporter-us.gcc.securitycenter.windows.us".to_owned(), "`gcc`"),
        ("commercial", "us", "api", "anything.windows.us".to_owned(), "`gcc` or `gcc-high` or `dod`"),
        ("gcc", "us", "api", "wdatp-alertexporter-us.windows.com".to_owned(), "`commercial`"),
        ("dod", "us", "api", "wdatp-alertexporter-au.windows.com".to_owned(), "`commercial`"),
        ("gcc-high", "us", "api", "wdatp-alertexporter-us.gcc.securitycenter.windows.us".to_owned(), "`gcc`"),
        ("commercial", "eu", "api", "wdatp-alertexporter-us.windows.com".to_owned(), "region `us`"),
        ("commercial", "us", "token", login("login.microsoftonline.us"), "`gcc-high` or `dod`"),
        ("gcc-high", "us", "token", login("login.windows.net"), "`commercial` or `gcc`"),
        ("commercial", "us", "token", login("login.partner.microsoftonline.cn"), "does not know"),
    ] {
        let (cloud, region) = (format!("\"{cloud}\""), format!("\"{region}\""));
        let changes = [("cloud", &cloud[..]), ("region", &region), ("endpoints", &in_endpoints(name, &url))];
        assert_problem(&changes, &format!("/endpoints/{name}"), &[words]);
    }
}

#[test]
fn a_token_endpoint_is_a_full_url_that_fits_version_and_tenant() {
    let full = format!("https://login.windows.net/{TENANT}/oauth2/token");
    for written in [
        &full[..],
        "https://login.microsoftonline.com/contoso.onmicrosoft.com/oauth2/token",
        "http://127.0.0.1:8080/token",
        "https://login.example/a/oauth2/token",
    ] {
        assert_eq!(config(&[("endpoints", &in_endpoints("token", written))]).token_endpoint.url, written);
    }
    for (written, words) in [
        ("login.microsoftonline.com", "full URL"),
        ("https://login.microsoftonline.com", "origin only"),
        ("http://login.example/token", "unprotected"),
        ("https://login.example/a/oauth2/v2.0/token", "`token_version` to `v2`"),
        ("https://login.microsoftonline.com/token", "not a v1 token endpoint"),
        ("https://login.microsoftonline.com/00000000-0000-0000-0000-000000000000/oauth2/token", "another tenant"),
        ("https://login.example/token?x=1", "query"),
    ] {
        assert_problem(&[("endpoints", &in_endpoints("token", written))], "/endpoints/token", &[words]);
    }
    let v1 = in_endpoints("token", "https://login.example/a/oauth2/token");
    assert_problem(&[("token_version", "\"v2\""), ("endpoints", &v1)], "/endpoints/token", &["`v1`"]);
}

#[test]
fn an_audience_is_a_uri_without_default() {
    let set = |audience| config(&[("endpoints", &in_endpoints("audience", audience))]).audience;
    for audience in ["https://WDATPAlertExport.Seville.onmicrosoft.com", "api://x", TENANT] {
        assert_eq!(set(audience), audience);
    }
    for (audience, words) in [("https://graph.windows.net/.default", "v2 adds it"), ("graph", "neither a URI")] {
        assert_problem(&[("endpoints", &in_endpoints("audience", audience))], "/endpoints/audience", &[words]);
    }
}

#[test]
fn the_commercial_region_is_demanded_and_never_guessed() {
    assert_problem(&[("region", "-")], "/region", &["is missing", "never guessed", "`eu`"]);
    assert_eq!(config(&[("region", "-"), ("endpoints", &in_endpoints("api", "gateway.example"))]).region, None);
    assert_problem(&[("region", "\"au\"")], "/region", &["`au`", "only `us`, `eu`, `uk`"]);
    assert_problem(&[("region", "\"EU\"")], "/region", &["Did you mean `eu`?"]);
    assert_problem(&[("region", "\"eu\""), ("cloud", "\"gcc\"")], "/region", &["`gcc`", "has only `us`"]);
}
