//! Whole configurations: each rule, and each way to break it.

mod agreement;
mod apis;
mod credentials;
mod endpoints;
mod validator;
mod values;

use super::duration::{HOUR, MINUTE};
use super::members::{ENDPOINTS, Kind, MEMBERS, Member, REQUEST};
use super::schema::example;
use super::{Cloud, Config, CredentialKind, Format, Start, TokenVersion};
use crate::contract::Diagnostic;

const TENANT: &str = "5b5cf0ab-6c4e-4f8a-9d0a-0f2b3c4d5e6f";
const CLIENT: &str = "0c8d1f72-91ab-4c3d-8e5f-6a7b8c9d0e1f";
const SECRET: &str = "Hush~Q8hush.hush_hush-hush";

/// The least configuration, with these members put over it: JSON behind a name, `-` to take one out. Another credential
/// takes the place of the client secret, and another API needs no region.
fn text(changes: &[(&str, &str)]) -> String {
    let quoted = |text: &str| format!("\"{text}\"");
    let mut members = vec![
        ("tenant_id", quoted(TENANT)),
        ("client_id", quoted(CLIENT)),
        ("client_secret", quoted(SECRET)),
        ("api", quoted("siem")),
        ("region", quoted("us")),
    ];
    for (name, value) in changes {
        if CredentialKind::ALL.iter().any(|kind| kind.name() == *name) {
            members.retain(|(known, _)| *known != "client_secret");
        }
        members.retain(|(known, _)| known != name && !(*name == "api" && *known == "region"));
        if *value != "-" {
            members.push((name, (*value).to_owned()));
        }
    }
    let members: Vec<_> = members.iter().map(|(name, value)| format!("\"{name}\": {value}")).collect();
    format!("{{{}}}", members.join(", "))
}

fn config(changes: &[(&str, &str)]) -> Config {
    let text = text(changes);
    agreement::check(&text);
    Config::parse(&text).unwrap_or_else(|problems| panic!("{text}: {problems:#?}"))
}

fn problems(changes: &[(&str, &str)]) -> Vec<Diagnostic> {
    let text = text(changes);
    agreement::check(&text);
    let problems = Config::parse(&text).expect_err(&text);
    assert!(!format!("{problems:?}").contains("ush~Q8"), "a secret is shown: {problems:#?}");
    for problem in &problems {
        assert!(problem.code.starts_with("config."), "{problem:?}");
        assert!(problem.message.ends_with('.'), "{problem:?}");
        assert!(problem.hint.as_ref().is_some_and(|hint| !hint.is_empty()), "{problem:?}");
    }
    problems
}

/// The one problem of a configuration.
fn problem(changes: &[(&str, &str)]) -> Diagnostic {
    let mut problems = problems(changes);
    assert_eq!(problems.len(), 1, "{changes:?}: {problems:#?}");
    problems.remove(0)
}

/// The one problem is at this pointer, and its message and hint together contain these words.
fn assert_problem(changes: &[(&str, &str)], pointer: &str, words: &[&str]) {
    let problem = problem(changes);
    assert_eq!(problem.pointer.as_deref(), Some(pointer), "{changes:?}: {problem:#?}");
    let told = format!("{} {}", problem.message, problem.hint.as_deref().unwrap_or_default());
    for word in words {
        assert!(told.contains(word), "{changes:?} lacks {word}: {told}");
    }
}

fn in_endpoints(name: &str, value: &str) -> String {
    format!("{{\"{name}\": \"{value}\"}}")
}

#[test]
fn the_least_configuration_gets_every_default() {
    let config = config(&[]);
    assert_eq!((config.tenant_id.as_str(), config.client_id.as_str()), (TENANT, CLIENT));
    assert_eq!(config.credential.kind(), CredentialKind::ClientSecret);
    assert_eq!(config.credential.secret().expose(), SECRET);
    assert_eq!((config.cloud, config.token_version), (Cloud::Commercial, TokenVersion::V1));
    assert_eq!(config.token_endpoint.url, format!("https://login.microsoftonline.com/{TENANT}/oauth2/token"));
    assert_eq!(config.api_endpoint.url, "https://wdatp-alertexporter-us.windows.com/api/alerts");
    assert_eq!(config.audience, "https://graph.windows.net");
    assert_eq!(config.start, Start::Ago(2 * HOUR));
    assert_eq!((config.overlap, config.settle, config.slice), (HOUR, MINUTE, HOUR));
    assert_eq!((config.poll_interval, config.limit), (5 * MINUTE, None));
    assert_eq!((config.request, config.format), (None, Format::Raw));
}

#[test]
fn an_unknown_member_names_the_nearest_known_one() {
    for (name, hint) in [
        ("tenantId", "Did you mean `tenant_id`?"),
        ("poll-interval", "Did you mean `poll_interval`?"),
        ("overlapp", "Did you mean `overlap`?"),
        ("DeviceCreatedMachineTags", "Did you mean `device_created_machine_tags`?"),
        ("sinceTimeUtc", "Put `sinceTimeUtc` inside `request`."),
        ("audience", "Put `audience` inside `endpoints`."),
        ("verbosity", "Known are: tenant_id, "),
    ] {
        let problem = problem(&[(name, "1")]);
        assert_eq!((problem.code.as_str(), problem.pointer), ("config.unknown-member", Some(format!("/{name}"))));
        let told = problem.hint.unwrap();
        assert!(told.contains(hint), "{name}: {told}");
    }
    for (object, hint) in [
        (r#"{"since": "2020-01-01"}"#, "The nearest known member is"),
        (r#"{"untilTimeUTC2": "2020-01-01"}"#, "Did you mean `untilTimeUtc`?"),
        (r#"{"tenant_id": "x"}"#, "Put `tenant_id` outside `request`, beside it."),
        (r#"{"token": "x"}"#, "Put `token` inside `endpoints`."),
        (r#"{"cloud_created_machine_tags": "x"}"#, "Did you mean `CloudCreatedMachineTags`?"),
    ] {
        let problem = problem(&[("request", object)]);
        assert!(problem.message.contains("is not a member of `request`"), "{problem:?}");
        assert!(problem.pointer.unwrap().starts_with("/request/"));
        assert!(problem.hint.as_ref().unwrap().contains(hint), "{object}: {:?}", problem.hint);
    }
    assert_problem(&[("endpoints", r#"{"apis": "x"}"#)], "/endpoints/apis", &["Did you mean `api`?"]);
    assert_problem(&[("a/b", "1")], "/a~1b", &["`a/b` is not a member"]);
}

#[test]
fn a_member_written_twice_is_refused() {
    let text = text(&[]).replacen('{', "{\"region\": \"eu\", ", 1);
    let problems = Config::parse(&text).unwrap_err();
    assert_eq!(problems.len(), 1, "{problems:?}");
    assert_eq!(problems[0].pointer.as_deref(), Some("/region"));
    assert!(problems[0].message.contains("twice"), "{problems:?}");
}

#[test]
fn all_problems_are_told_at_once() {
    let told = problems(&[
        ("tenant_id", "\"common\""),
        ("client_id", "5"),
        ("client_secret", "-"),
        ("api", "\"sentinel\""),
        ("region", "\"eu-west\""),
        ("cloud", "\"azure\""),
        ("token_version", "null"),
        ("endpoints", r#"{"api": "http://a.example", "token": "x", "audience": 1, "login": ""}"#),
        ("start", "\"later\""),
        ("overlap", "true"),
        ("settle", "\"5\""),
        ("limit", "[]"),
        ("request", r#"{"ago": "", "limit": "x"}"#),
        ("format", "\"xml\""),
        ("intervall", "1"),
    ]);
    let mut pointers: Vec<_> = told.iter().filter_map(|problem| problem.pointer.as_deref()).collect();
    pointers.sort_unstable();
    pointers.dedup();
    let expected = [
        "/api",
        "/client_id",
        "/client_secret",
        "/cloud",
        "/endpoints/api",
        "/endpoints/audience",
        "/endpoints/login",
        "/endpoints/token",
        "/format",
        "/intervall",
        "/limit",
        "/overlap",
        "/region",
        "/request/ago",
        "/request/limit",
        "/settle",
        "/start",
        "/tenant_id",
        "/token_version",
    ];
    assert_eq!(pointers, expected);
}

/// Every member of every object, by pointer.
fn every_member() -> impl Iterator<Item = (&'static str, &'static Member)> {
    [("", MEMBERS), ("endpoints", ENDPOINTS), ("request", REQUEST)]
        .into_iter()
        .flat_map(|(home, table)| table.iter().map(move |member| (home, member)))
}

/// The changes that give this member this value.
fn with_member(home: &'static str, member: &Member, value: &str) -> (&'static str, String, String) {
    if home.is_empty() {
        (member.name, value.to_owned(), format!("/{}", member.name))
    } else {
        (home, format!("{{\"{}\": {value}}}", member.name), format!("/{home}/{}", member.name))
    }
}

#[test]
fn every_member_refuses_every_wrong_type_and_null_and_nothing() {
    for (home, member) in every_member() {
        for value in ["null", "true", "-1.5", "7", "\"\"", "\" \"", "\"a\\u0000b\"", "[]", "[1]", "{}", "{\"x\": 1}"] {
            let fits = match member.kind {
                Kind::Limit => value == "7",
                Kind::Texts => value == "[]",
                Kind::Object(_) => value == "{}",
                _ => false,
            };
            let (name, value, pointer) = with_member(home, member, value);
            if fits {
                config(&[(name, &value)]);
                continue;
            }
            let told = problems(&[(name, &value)]);
            let here = |problem: &Diagnostic| problem.pointer.as_ref().is_some_and(|at| at.starts_with(&pointer));
            assert!(told.iter().any(here), "{name} {value}: {told:#?}");
        }
    }
}

#[test]
fn every_example_of_the_schema_is_accepted() {
    for (home, member) in every_member() {
        let mut value = String::new();
        example(member).print(0, &mut value);
        let (name, value, _) = with_member(home, member, &value);
        match member.apis.last().filter(|_| !member.apis.contains(&"siem")) {
            Some(api) => config(&[("api", &format!("\"{api}\"")), (name, &value)]),
            None if name == "api" => config(&[(name, &value), ("region", "\"us\"")]),
            None => config(&[(name, &value)]),
        };
    }
}

#[test]
fn a_secret_in_the_wrong_place_is_not_repeated() {
    for (home, member) in every_member().filter(|(_, member)| !matches!(member.kind, Kind::Secret | Kind::Texts)) {
        let (name, value, _) = with_member(home, member, &format!("\"{SECRET}\""));
        problems(&[(name, &value)]);
    }
    problems(&[(SECRET, "1")]);
    assert!(!format!("{:?}", config(&[])).contains("ush~Q8"));
}

#[test]
fn no_mutation_of_a_configuration_panics_and_each_refusal_says_something() {
    let whole = text(&[("request", r#"{"ago": "PT1H", "limit": 5}"#), ("endpoints", r#"{"api": "http://[::1]:80/"}"#)]);
    // A small generator of our own keeps the runs alike.
    let mut state = 1_u64;
    let mut draw = |below: usize| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(state >> 33).unwrap() % below
    };
    let alphabet: Vec<char> = "{}[]\",:/\\%@?#.-_0PTé\u{0}~".chars().collect();
    for _ in 0..5_000 {
        let mut text: Vec<char> = whole.chars().collect();
        for _ in 0..=draw(3) {
            let at = draw(text.len());
            match draw(3) {
                0 => text[at] = alphabet[draw(alphabet.len())],
                1 => text.insert(at, alphabet[draw(alphabet.len())]),
                _ => drop(text.remove(at)),
            }
        }
        let text: String = text.into_iter().collect();
        agreement::check(&text);
        if let Err(problems) = Config::parse(&text) {
            assert!(!problems.is_empty(), "{text}");
        }
    }
}
