//! The schema beside the parser: what one accepts the other accepts, but for what JSON Schema cannot say.

use std::fs;
use std::path::Path;
use std::sync::LazyLock;

use serde_json::Value;

use super::validator::Validator;
use super::*;
use crate::config::{Region, SCHEMA};
use crate::protocol::PROTOCOLS;

static VALIDATOR: LazyLock<Validator> = LazyLock::new(|| Validator::new(SCHEMA));

/// What the parser says of a configuration that the schema accepts.
type Unsaid = (&'static str, &'static [(&'static str, &'static str)]);

/// What the parser refuses and the schema cannot, by the reason why.
const UNSAID: &[(&str, &[Unsaid])] = &[
    (
        "A validator sees one of two members of the same name.",
        &[("is there twice", &[("request", r#"{"limit": 1, "limit": 2}"#)])],
    ),
    (
        "5.0 is a whole number to JSON Schema.",
        &[
            ("is not a whole number", &[("limit", "5.0")]),
            ("is not a whole number", &[("request", r#"{"limit": 2e1}"#)]),
        ],
    ),
    (
        "A pattern adds nothing up and knows no calendar.",
        &[
            ("longer than P", &[("overlap", "\"P29DT24H1S\"")]),
            ("longer than P", &[("start", "\"P3650DT1S\"")]),
            ("shorter than PT", &[("slice", "\"PT59S\"")]),
            ("it is too long", &[("settle", "\"P99999999999999999999D\"")]),
            ("2010 to 2099", &[("start", "\"2009-12-31T23:59:59Z\"")]),
            ("which is not a time", &[("request", r#"{"sinceTimeUtc": "2021-02-29"}"#)]),
            ("nor a time", &[("start", "\"2021-02-29\"")]),
            ("has no valid port", &[("endpoints", r#"{"api": "gateway.example:65536"}"#)]),
            ("has no valid host name", &[("endpoints", r#"{"api": "https://1.2.3"}"#)]),
            ("has no valid host name", &[("endpoints", r#"{"api": "https://[::1::]"}"#)]),
        ],
    ),
    (
        "Two values are not compared with each other.",
        &[("which is not before", &[("request", r#"{"sinceTimeUtc": "2021-02-02", "untilTimeUtc": "2021-02-01"}"#)])],
    ),
    (
        "The hosts, paths and audiences of every API and cloud would fill the schema.",
        &[
            (", a host of ", &[("endpoints", r#"{"api": "graph.microsoft.com"}"#)]),
            (
                ", the host of the region",
                &[
                    ("api", "\"alerts\""),
                    ("region", "\"eu\""),
                    ("endpoints", r#"{"api": "us.api.security.microsoft.com"}"#),
                ],
            ),
            (
                "which is of a national cloud",
                &[("endpoints", r#"{"token": "https://login.chinacloudapi.cn/x/oauth2/token"}"#)],
            ),
            (
                "names another tenant",
                &[(
                    "endpoints",
                    r#"{"token": "https://sts.windows.net/5b5cf0ab-0000-0000-0000-000000000000/oauth2/token"}"#,
                )],
            ),
            ("token endpoint of Microsoft", &[("endpoints", r#"{"token": "https://sts.windows.net/x"}"#)]),
            ("ends in /oauth2/", &[("endpoints", r#"{"token": "https://login.example/oauth2/v2.0/token"}"#)]),
            ("has a path that does not end in", &[("endpoints", r#"{"api": "https://gateway.example/x"}"#)]),
            ("twice in its path", &[("endpoints", r#"{"api": "https://gateway.example/api/alerts/api/alerts"}"#)]),
            (
                "is an audience of ",
                &[("api", "\"graph\""), ("endpoints", r#"{"audience": "https://graph.windows.net"}"#)],
            ),
            (
                "is the audience of the cloud",
                &[
                    ("cloud", "\"dod\""),
                    ("api", "\"graph\""),
                    ("endpoints", r#"{"audience": "https://graph.microsoft.com"}"#),
                ],
            ),
        ],
    ),
    (
        "Whose incidents they are follows from that host and path.",
        &[
            (
                "the API takes 50 at most",
                &[("api", "\"incidents\""), ("limit", "51"), ("endpoints", r#"{"api": "gateway.example"}"#)],
            ),
            (
                "is nothing that this API filters on",
                &[
                    ("api", "\"incidents\""),
                    ("severity", "\"low\""),
                    ("endpoints", r#"{"api": "api.security.microsoft.com"}"#),
                ],
            ),
            (
                "is \"awaitingAction\", and may be",
                &[
                    ("api", "\"incidents\""),
                    ("status", "\"awaitingAction\""),
                    ("endpoints", r#"{"api": "api.security.microsoft.com"}"#),
                ],
            ),
        ],
    ),
];

/// Fails where schema and parser differ about a configuration in what the schema can say; whether both accept it.
pub(super) fn check(text: &str) -> bool {
    // What is no JSON never comes to a validator.
    let Ok(value) = serde_json::from_str::<Value>(text) else { return false };
    let fits = VALIDATOR.accepts(&value);
    match Config::parse(text) {
        Ok(_) => assert!(fits, "the schema refuses what the parser accepts: {text}"),
        Err(problems) if fits => {
            let is_unsaid = |said: &str| UNSAID.iter().flat_map(|(_, of)| *of).any(|(words, _)| said.contains(words));
            let sayable: Vec<_> = problems.iter().filter(|problem| !is_unsaid(&problem.message)).collect();
            assert!(sayable.is_empty(), "the schema accepts {text}, of which the parser says: {sayable:#?}");
        }
        Err(_) => return false,
    }
    fits
}

#[test]
fn what_the_schema_cannot_say_is_refused_by_the_parser_alone() {
    for (reason, examples) in UNSAID {
        for (words, changes) in *examples {
            let text = text(changes);
            assert!(
                VALIDATOR.accepts(&serde_json::from_str(&text).unwrap()),
                "the schema can say it, though {reason} {text}"
            );
            let problems = Config::parse(&text).expect_err(&text);
            assert!(problems.iter().all(|problem| problem.message.contains(words)), "{words}: {problems:#?}");
        }
    }
}

#[test]
fn they_agree_about_every_scenario_and_what_the_fuzzers_keep() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let inside = |folder: &str| fs::read_dir(root.join(folder)).unwrap().map(|entry| entry.unwrap().path());
    let scenarios = inside("host-test/scenarios").map(|folder| folder.join("config.json")).filter(|path| path.exists());
    let read = |path| String::from_utf8_lossy(&fs::read(path).unwrap()).replace("@J@", SECRET);
    let scenarios: Vec<_> = scenarios.map(read).collect();
    let corpus: Vec<_> = inside("crates/fuzzing/corpus/configuration").map(read).collect();
    let accepted = |texts: &[String]| texts.iter().filter(|text| check(text)).count();
    assert!(scenarios.len() > 40 && accepted(&scenarios) > scenarios.len() * 4 / 5, "{}", accepted(&scenarios));
    assert!(accepted(&corpus) > 5 && accepted(&corpus) < corpus.len(), "{}", accepted(&corpus));
}

#[test]
fn they_agree_about_api_cloud_region_and_host() {
    let quoted = |words: &[&str]| -> Vec<String> { words.iter().map(|word| format!("\"{word}\"")).collect() };
    let with = |words: &[&str]| [quoted(words), vec!["-".to_owned(), "\"x\"".to_owned()]].concat();
    let hosts = ["gateway.example", "https://gateway.example/api/incidents", "api.security.microsoft.com"];
    let endpoints: Vec<_> = hosts.iter().map(|host| in_endpoints("api", host)).collect();
    let mut accepted = 0;
    let mut agree = |api: &str, cloud: &str, region: &str, endpoints: &str, limit: &str| {
        let changes = [("api", api), ("cloud", cloud), ("region", region), ("endpoints", endpoints), ("limit", limit)];
        accepted += usize::from(check(&text(&changes)));
    };
    let endpoints: Vec<_> = endpoints.iter().map(String::as_str).chain(["{}", "-"]).collect();
    for api in with(&["siem", "alerts", "graph", "incidents"]) {
        for endpoints in &endpoints {
            for cloud in with(Cloud::NAMES) {
                for region in with(Region::NAMES) {
                    agree(&api, &cloud, &region, endpoints, "-");
                }
            }
            for limit in ["50", "51", "100", "101", "1000", "1001", "10000", "10001"] {
                agree(&api, "-", "-", endpoints, limit);
                agree(&api, "-", "\"us\"", endpoints, limit);
            }
        }
    }
    assert!(accepted > 300, "{accepted}");
}

#[test]
fn they_agree_about_every_value_of_every_member() {
    let mut values: Vec<String> = [
        "null",
        "true",
        "-1",
        "0",
        "1",
        "7",
        "1000000",
        "1000001",
        "1.5",
        "99999999999999999999",
        "[]",
        "{}",
        "[1]",
        "[[]]",
        "[\"\"]",
        "[\"a\", \" b \"]",
        "[\"low\", \"high\"]",
        "[\"new\", 1]",
        "{\"x\": 1}",
        "\"a\\u0000b\"",
        "\"a\\u0085\"",
    ]
    .map(str::to_owned)
    .to_vec();
    let texts = [
        "",
        " ",
        "a",
        " a",
        "a ",
        "a b",
        "\u{a0}",
        "\u{2003}a",
        "a\u{e9}",
        "~",
        "a.b",
        "a.b.c",
        "a..c",
        "a.b.c.d",
        "a_-.b.c",
        "x/y",
        "siem",
        TENANT,
        "5b5cf0ab6c4e4f8a9d0a0f2b3c4d5e6f",
        "common",
        "contoso",
        "a.example",
        "a.1",
        "a.1-2",
        "a-.example",
        "a.example.",
        "a_b.example",
        "now",
        " now",
        "Now",
        "P",
        "PT",
        "P1D",
        "P1DT",
        "PT1H",
        "PT0S",
        "P0D",
        "PT0.0S",
        "PT00H",
        "P1W2DT3H4M5S",
        "PT1M1H",
        "P1Y",
        "PT1,5S",
        "PT0.00000001S",
        "PT0.10000000S",
        "PT1.S",
        "PT1.5H",
        "-PT1H",
        "PT1h",
        " PT1H",
        "2020-09-12",
        " 2020-09-12 ",
        "2020-9-12",
        "2020-13-12",
        "2020-09-32",
        "2020-00-12",
        "2020-09-12T",
        "2020-09-12T10:00",
        "2020-09-12T10:00:00",
        "2020-09-12 10:00:00",
        "2020-09-12t10:00:00z",
        " 2020-09-12T10:00:00Z ",
        "2020-09-12T24:00:00Z",
        "2020-09-12T10:60:00Z",
        "2020-09-12T10:00:60Z",
        "2020-09-12T10:00:61Z",
        "2020-09-12T10:00:00.123456789012Z",
        "2020-09-12T10:00:00.Z",
        "2020-09-12T10:00:00,5Z",
        "2020-09-12T10:00:00+02:00",
        "2020-09-12T10:00:00-23:59",
        "2020-09-12T10:00:00+24:00",
        "2020-09-12T10:00:00+02:60",
        "2020-09-12T10:00:00+0200",
        "2020-09-12T10:00:00+02",
        "2020-09-12T10:00:00 Z",
        "2020-09-12T10:00:00Z0",
        "12020-09-12",
        "gateway",
        "gateway.example",
        "gateway.example:8443",
        "gateway.example:",
        "gateway.example:x",
        "gateway.example.",
        "gateway..example",
        "gateway-.example",
        "[::1]",
        "[::1",
        "1.2.3.4",
        "127.0.0.1",
        "gateway.example/api/alerts",
        "gateway.example//",
        "gateway.example/..",
        "https://gateway.example",
        "HTTPS://Gateway.Example/token",
        "https://gateway.example/",
        "https://gateway.example/token",
        "https://gateway.example:8443/a/token",
        "https://gateway.example/a/./token",
        "https://gateway.example/a/../token",
        "https://gateway.example/a/..",
        "https://gateway.example/.a/b..",
        "https://gateway.example/a%20b",
        "https://gateway.example/a%2",
        "https://gateway.example/a@b",
        "https://me@gateway.example/token",
        "https://gateway.example/?a",
        "https://gateway.example/a#b",
        "https://gateway.example/a b",
        "https://gateway.example/\u{e9}",
        "https://gateway.example/a\\\\b",
        "https://",
        "https:///token",
        "https://gateway.example/v1.0/security/incidents",
        "https://gateway.example/API/Alerts/",
        "ftp://gateway.example/token",
        "http://gateway.example/token",
        "http://localhost/token",
        "HTTP://LocalHost:80/token",
        "http://localhost./token",
        "http://127.0.0.1:1/token",
        "http://127.1/token",
        "http://[::1]/token",
        "http://[::2]/token",
        "http://localhost.example/token",
        "api://x",
        "://",
        "api://x/.default",
        "api://x/.default/",
        "api:// x",
        "/.default",
    ];
    values.extend(texts.iter().map(|text| format!("\"{text}\"")));
    let long = ["a".repeat(63), "a".repeat(64)].map(|label| format!("{label}.example"));
    let longer = [251, 254].map(|length| "a.".repeat((length - 7) / 2) + "example");
    values.extend(long.iter().chain(&longer).map(|text| format!("\"{text}\"")));
    let odata = PROTOCOLS.iter().filter_map(|protocol| protocol.odata.as_ref());
    let words = odata.flat_map(|odata| [odata.severity, odata.status, odata.service_source]).flatten();
    values.extend(words.flat_map(|(word, _)| [format!("\"{word}\""), format!("[\"{word}\"]")]));
    for (home, member) in every_member() {
        let mut accepted = 0;
        for value in &values {
            let (name, value, _) = with_member(home, member, value);

            // A request belongs to one API alone, whatever it holds.
            let apis = if home == "request" { &["siem"][..] } else { &["siem", "alerts", "graph", "incidents"] };
            for api in apis {
                let region = if *api == "siem" { "\"us\"" } else { "-" };
                let changes = [("api", &*format!("\"{api}\"")), ("region", region), (name, &value)];
                accepted += usize::from(check(&text(&changes)));
            }
        }
        // Its examples are among the values, or those of a choice are not.
        assert!(accepted > 0 || matches!(member.kind, Kind::Choice(_)), "{}", member.name);
    }
}

#[test]
fn they_agree_about_every_two_members_and_every_set_of_credentials() {
    let mut accepted = 0;
    for api in ["siem", "alerts", "graph", "incidents"] {
        let region = if api == "siem" { "\"us\"" } else { "-" };
        for (index, (home, member)) in every_member().enumerate() {
            for (other_home, other) in every_member().skip(index + 1) {
                let value = |member| {
                    let mut value = String::new();
                    example(member).print(0, &mut value);
                    value
                };
                let (first, second) = (value(member), value(other));
                let both = format!("{{\"{}\": {first}, \"{}\": {second}}}", member.name, other.name);
                let (name, first, _) = with_member(home, member, &first);
                let (other_name, second, _) = with_member(other_home, other, &second);
                let api = format!("\"{api}\"");
                let mut changes = vec![("api", &*api), ("region", region)];
                if home == other_home && !home.is_empty() {
                    changes.push((name, &both));
                } else {
                    changes.extend([(name, &*first), (other_name, &second)]);
                }
                accepted += usize::from(check(&text(&changes)));
            }
        }
    }
    for set in 0..1_u32 << CredentialKind::ALL.len() {
        let chosen = CredentialKind::ALL.iter().enumerate().filter(|(index, _)| set >> index & 1 == 1);
        let changes: Vec<_> = chosen.map(|(_, kind)| (kind.name(), "\"placeholder\"")).collect();
        accepted += usize::from(check(&text(&[&[("client_secret", "-")][..], &changes].concat())));
    }
    assert!(accepted > 500, "{accepted}");
}
