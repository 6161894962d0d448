//! The APIs beyond SIEM's: hosts, audiences, pages and filters of each.

use super::*;
use crate::config::{Emit, Selection};

fn of(api: &str, changes: &[(&str, &str)]) -> Config {
    let api = format!("\"{api}\"");
    config(&[&[("api", &*api)], changes].concat())
}

fn refused(api: &str, changes: &[(&str, &str)], pointer: &str, words: &[&str]) {
    let api = format!("\"{api}\"");
    assert_problem(&[&[("api", &*api)], changes].concat(), pointer, words);
}

#[test]
fn login_audience_and_host_follow_from_the_api_and_the_cloud() {
    for (api, cloud, login, url, audience) in [
        ("alerts", "commercial", "com", "api.security.microsoft.com/api/alerts", "api.securitycenter.microsoft.com"),
        (
            "alerts",
            "gcc",
            "com",
            "api-gcc.securitycenter.microsoft.us/api/alerts",
            "api-gcc.securitycenter.microsoft.us",
        ),
        (
            "alerts",
            "gcc-high",
            "us",
            "api-gov.securitycenter.microsoft.us/api/alerts",
            "api-gov.securitycenter.microsoft.us",
        ),
        (
            "alerts",
            "dod",
            "us",
            "api-gov.securitycenter.microsoft.us/api/alerts",
            "api-gov.securitycenter.microsoft.us",
        ),
        ("graph", "commercial", "com", "graph.microsoft.com/v1.0/security/alerts_v2", "graph.microsoft.com"),
        ("graph", "gcc", "com", "graph.microsoft.com/v1.0/security/alerts_v2", "graph.microsoft.com"),
        ("graph", "gcc-high", "us", "graph.microsoft.us/v1.0/security/alerts_v2", "graph.microsoft.us"),
        ("graph", "dod", "us", "dod-graph.microsoft.us/v1.0/security/alerts_v2", "dod-graph.microsoft.us"),
        ("incidents", "commercial", "com", "graph.microsoft.com/v1.0/security/incidents", "graph.microsoft.com"),
        ("incidents", "dod", "us", "dod-graph.microsoft.us/v1.0/security/incidents", "dod-graph.microsoft.us"),
    ] {
        let config = of(api, &[("cloud", &format!("\"{cloud}\""))]);
        assert_eq!(config.token_version, TokenVersion::V2);
        assert_eq!(
            config.token_endpoint.url,
            format!("https://login.microsoftonline.{login}/{TENANT}/oauth2/v2.0/token"),
            "{api} {cloud}"
        );
        assert_eq!(config.api_endpoint.url, format!("https://{url}"));
        assert_eq!(config.audience, format!("https://{audience}"));
        assert_eq!(config.identity(), format!("microsoft-defender/{api}/{TENANT}"));
    }
}

#[test]
fn a_region_picks_a_host_of_the_alerts_api() {
    let url = |region: &str| of("alerts", &[("region", &format!("\"{region}\""))]).api_endpoint.url;
    for region in ["us", "eu", "uk", "au", "swa", "ina", "aea"] {
        assert_eq!(url(region), format!("https://{region}.api.security.microsoft.com/api/alerts"));
    }
    refused("alerts", &[("region", "\"eu\""), ("cloud", "\"dod\"")], "/region", &["`dod`", "no regions"]);
    refused("graph", &[("region", "\"eu\"")], "/region", &["no meaning with `api` = `graph`", "`siem`, `alerts`"]);
    let old = in_endpoints("api", "api-eu.securitycenter.microsoft.com");
    refused("alerts", &[("region", "\"us\""), ("endpoints", &old)], "/endpoints/api", &["region `eu`"]);
}

#[test]
fn the_incidents_are_those_of_defender_xdr_where_the_endpoint_says_so() {
    let incidents = |api: &str, cloud: &str| {
        of("incidents", &[("endpoints", &in_endpoints("api", api)), ("cloud", &format!("\"{cloud}\""))])
    };
    for (api, cloud, url, audience) in [
        ("api.security.microsoft.com", "commercial", "api.security.microsoft.com", "api.security.microsoft.com"),
        (
            "https://api-gcc.security.microsoft.us/api/incidents/",
            "gcc",
            "api-gcc.security.microsoft.us",
            "api-gcc.security.microsoft.us",
        ),
        (
            "https://api-gov.security.microsoft.us",
            "gcc-high",
            "api-gov.security.microsoft.us",
            "api-gov.security.microsoft.us",
        ),
        ("https://gate.example/api/incidents", "dod", "gate.example", "api-gov.security.microsoft.us"),
    ] {
        let config = incidents(api, cloud);
        assert_eq!(config.protocol.title, "the incidents API of Defender XDR", "{api}");
        assert_eq!(config.api_endpoint.url, format!("https://{url}/api/incidents"));
        assert_eq!((config.audience, config.limit), (format!("https://{audience}"), Some(100)));
    }
    for api in [
        "gate.example",
        "https://gate.example/v1.0/security/incidents",
        "https://gate.example/x/V1.0/Security/Incidents/",
    ] {
        let config = incidents(api, "commercial");
        assert_eq!(config.protocol.title, "the incidents API of Microsoft Graph", "{api}");
        assert!(config.api_endpoint.url.ends_with("/v1.0/security/incidents"), "{api}");
    }
    let xdr = in_endpoints("api", "api.security.microsoft.com");
    refused("incidents", &[("endpoints", &xdr), ("severity", "\"high\"")], "/severity", &["filters on"]);
    refused("incidents", &[("endpoints", &xdr), ("limit", "101")], "/limit", &["100 at most"]);
}

#[test]
fn a_mixture_of_clouds_or_apis_is_refused() {
    for (api, cloud, name, value, words) in [
        ("graph", "gcc-high", "api", "graph.microsoft.com", "`commercial` or `gcc`"),
        ("graph", "commercial", "api", "dod-graph.microsoft.us", "`dod`"),
        ("alerts", "commercial", "api", "api-gov.securitycenter.microsoft.us", "`gcc-high` or `dod`"),
        ("alerts", "dod", "api", "zz.api.security.microsoft.com", "`commercial`"),
        ("alerts", "commercial", "api", "graph.microsoft.com", "Set `api` to `graph`"),
        ("graph", "commercial", "api", "api.security.microsoft.com", "Set `api` to `alerts`"),
        ("graph", "commercial", "api", "wdatp-alertexporter-eu.windows.com", "Set `api` to `siem`"),
        ("graph", "commercial", "api", "https://gate.example/api/alerts", "does not end in /v1.0/security/alerts_v2"),
        ("graph", "gcc-high", "audience", "https://graph.microsoft.com", "`commercial` or `gcc`"),
        (
            "graph",
            "commercial",
            "audience",
            "https://api.securitycenter.microsoft.com",
            "is an audience of the Alerts API",
        ),
        ("alerts", "commercial", "audience", "https://graph.windows.net/", "is an audience of the SIEM API"),
        (
            "incidents",
            "commercial",
            "api",
            "https://api.security.microsoft.com/v1.0/security/incidents",
            "the path follows",
        ),
        ("alerts", "commercial", "audience", "https://api-gov.securitycenter.microsoft.us/", "`gcc-high`"),
        (
            "graph",
            "dod",
            "token",
            "https://login.microsoftonline.com/5b5cf0ab-6c4e-4f8a-9d0a-0f2b3c4d5e6f/oauth2/v2.0/token",
            "`commercial` or `gcc`",
        ),
        (
            "graph",
            "commercial",
            "token",
            "https://login.microsoftonline.com/5b5cf0ab-6c4e-4f8a-9d0a-0f2b3c4d5e6f/oauth2/token",
            "`token_version` is `v2`",
        ),
    ] {
        let changes = [("cloud", &*format!("\"{cloud}\"")), ("endpoints", &in_endpoints(name, value))];
        refused(api, &changes, &format!("/endpoints/{name}"), &[words]);
    }
    // A host nearby that this version does not know yet, and a gateway.
    for host in ["zz.api.security.microsoft.com", "gate.example"] {
        assert_eq!(of("alerts", &[("endpoints", &in_endpoints("api", host))]).api_endpoint.host, host);
    }
}

#[test]
fn a_page_is_within_the_cap_of_its_api() {
    for (api, default, most) in [("alerts", 1000, 10_000), ("graph", 100, 1000), ("incidents", 50, 50)] {
        assert_eq!(of(api, &[]).limit, Some(default));
        assert_eq!(of(api, &[("limit", &most.to_string())]).limit, Some(most));
        refused(api, &[("limit", &(most + 1).to_string())], "/limit", &[&format!("{most} at most")]);
    }
}

#[test]
fn filters_are_words_that_the_api_knows() {
    let selection = |api, changes: &[(&str, &str)]| of(api, changes).selection;
    assert_eq!(selection("graph", &[]), Selection::default());
    let all = [
        ("severity", r#"["low", "high", "low"]"#),
        ("status", r#""inProgress""#),
        ("service_source", r#"["microsoftDefenderForEndpoint"]"#),
    ];
    let expected = Selection {
        severity: vec!["high", "low"],
        status: vec!["inProgress"],
        service_source: vec!["microsoftDefenderForEndpoint"],
    };
    assert_eq!(selection("graph", &all), expected);
    refused("graph", &[("severity", r#"["low", "hihg"]"#)], "/severity/1", &["\"hihg\"", "Did you mean `high`?"]);
    refused("graph", &[("status", r#""active""#)], "/status", &["\"active\"", "`new`, `inProgress`"]);
    refused(
        "alerts",
        &[("severity", r#""unknown""#)],
        "/severity",
        &["may be `informational`", "with the Alerts API of Defender for Endpoint"],
    );
    refused(
        "alerts",
        &[("service_source", r#""x""#)],
        "/service_source",
        &["no meaning with `api` = `alerts`", "`graph`"],
    );
    refused("graph", &[("severity", "7")], "/severity", &["a string or a list of strings"]);
}

#[test]
fn members_of_one_api_are_refused_with_another() {
    for (name, value) in
        [("emit", "\"first-seen\""), ("severity", "\"high\""), ("status", "\"new\""), ("service_source", "\"x\"")]
    {
        assert_problem(&[(name, value)], &format!("/{name}"), &["no meaning with `api` = `siem`", "Take it out"]);
    }
    for (name, value) in [
        ("machinegroups", "\"x\""),
        ("device_created_machine_tags", "[]"),
        ("cloud_created_machine_tags", "\"x\""),
        ("request", "{}"),
    ] {
        for api in ["alerts", "graph", "incidents"] {
            refused(api, &[(name, value)], &format!("/{name}"), &["it belongs to `siem`"]);
        }
    }
    refused("graph", &[("format", "\"csv\"")], "/format", &["detections", "`graph`"]);
    refused(
        "graph",
        &[("expand", "\"off\"")],
        "/expand",
        &["no meaning with `api` = `graph`", "`alerts`", "`incidents`"],
    );
    refused("alerts", &[("expand", "false")], "/expand", &["a string"]);
    assert_eq!(of("alerts", &[]).expanded(), Some("evidence"));
    assert_eq!(of("alerts", &[("expand", "\"off\"")]).expanded(), None);
    assert_eq!(of("graph", &[("emit", "\"first-seen\"")]).emit, Emit::FirstSeen);
    refused("graph", &[("emit", "\"first\"")], "/emit", &["`every-update`, `first-seen`"]);
}

#[test]
fn what_is_in_force_means_the_same_as_what_was_written() {
    for (api, changes) in [
        ("graph", &[("severity", "\"high\""), ("status", "[\"new\", \"resolved\"]"), ("emit", "\"first-seen\"")][..]),
        ("graph", &[("service_source", "\"dataLossPrevention\""), ("limit", "7")]),
        ("alerts", &[("region", "\"aea\""), ("severity", "[\"low\"]"), ("expand", "\"off\"")]),
        ("incidents", &[("status", "\"awaitingAction\""), ("cloud", "\"dod\"")]),
        ("incidents", &[("endpoints", r#"{"api": "api.security.microsoft.com"}"#), ("status", "\"redirected\"")]),
    ] {
        let config = of(api, changes);
        let secret = format!("{{\"client_secret\": \"{SECRET}\",");
        let effective = config.plan().effective_config.replacen('{', &secret, 1);
        assert_eq!(Config::parse(&effective), Ok(config), "{effective}");
    }
}
