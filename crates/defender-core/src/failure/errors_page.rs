//! `docs/errors.md` has a section for every hint, and none that no hint names; and each other code has its row.

use std::collections::BTreeSet;

use super::*;
use crate::aadsts::CATALOGUE;
use crate::http::{TransportFailure, TransportFailureKind};
use crate::protocol::PROTOCOLS;
use crate::test_config::{at, config};
use crate::token::read_token;

const PAGE: &str = include_str!("../../../../docs/errors.md");

/// One failure of every kind that this module, and the token endpoint, can make, of every API.
fn failures() -> Vec<Failure> {
    PROTOCOLS.into_iter().flat_map(|protocol| failures_of(&Config { protocol, ..config() })).collect()
}

fn failures_of(config: &Config) -> Vec<Failure> {
    let head = |status| ResponseHead { status, headers: Vec::new() };
    let token = |status, body: &str| read_token(&head(status), body.as_bytes(), at(0), config).unwrap_err();
    let mut failures = vec![
        no_answer(&head(200), b"", config),
        page_failure(PageFault::Elsewhere, &head(200), b"", config),
        page_failure(PageFault::Endless, &head(200), b"", config),
        page_failure(PageFault::Refused, &head(410), b"", config),
        quota_failure((Quota { calls: 1, seconds: 1 }, 1), config),
        token(200, ""),
        token(200, "{\"access"),
        token(400, r#"{"error":"invalid_client"}"#),
    ];
    for status in 100..600 {
        failures.push(api_failure(&head(status), b"", at(0), config));
        failures.push(token(status, ""));
    }
    for entry in CATALOGUE {
        failures.push(token(400, &format!(r#"{{"error":"x","error_codes":[{}]}}"#, entry.code)));
    }
    for kind in [
        TransportFailureKind::Denied,
        TransportFailureKind::Dns,
        TransportFailureKind::Connect,
        TransportFailureKind::Tls,
        TransportFailureKind::Timeout,
        TransportFailureKind::TooLarge,
        TransportFailureKind::Broken,
    ] {
        failures.push(transport_failure(&TransportFailure { kind, detail: String::new() }, "", config));
    }
    failures
}

fn hint_of(mut failure: Failure) -> String {
    match &failure {
        Failure::InvalidConfig(diagnostics) => diagnostics[0].hint.clone().unwrap(),
        _ => failure.fault_mut().unwrap().hint.clone().unwrap(),
    }
}

/// The section that a hint names.
fn named(hint: &str) -> String {
    let (_, section) = hint.rsplit_once("See docs/errors.md#").unwrap_or_else(|| panic!("no section: {hint}"));
    section.strip_suffix('.').unwrap().to_owned()
}

/// Headings of the third level, as anchors, and what stands below them.
fn sections() -> Vec<(String, &'static str)> {
    let anchor = |heading: &str| {
        let kept = heading.to_lowercase().replace(' ', "-");
        kept.chars().filter(|c| c.is_alphanumeric() || matches!(c, '-' | '_')).collect::<String>()
    };
    let after_headings = PAGE.split("\n### ").skip(1);
    after_headings.map(|section| section.split_once('\n').unwrap()).map(|(head, text)| (anchor(head), text)).collect()
}

#[test]
fn every_hint_names_a_section_and_every_section_is_named() {
    let named: BTreeSet<String> = failures().into_iter().map(|failure| named(&hint_of(failure))).collect();
    let anchors: BTreeSet<String> = sections().into_iter().map(|(anchor, _)| anchor).collect();
    let missing: Vec<_> = named.difference(&anchors).collect();
    let stale: Vec<_> = anchors.difference(&named).collect();
    assert!(missing.is_empty() && stale.is_empty(), "missing: {missing:?}, stale: {stale:?}");
    assert_eq!(sections().len(), anchors.len(), "a section is there twice");
}

#[test]
fn every_section_says_cause_who_acts_and_the_next_step() {
    for (anchor, text) in sections() {
        for part in ["**Failure:** `", "**Cause:** ", "**Who acts:** ", "**Next:** "] {
            assert!(text.contains(part), "{anchor} lacks {part}");
        }
    }
}

#[test]
fn every_section_names_the_failure_that_comes_with_it() {
    for failure in failures() {
        let kind = failure.kind();
        let section = named(&hint_of(failure));
        let (_, text) = sections().into_iter().find(|(anchor, _)| *anchor == section).unwrap();
        assert!(text.contains(&format!("`{kind}`")), "{section} does not name {kind}");
    }
}

#[test]
fn sections_on_codes_are_in_ascending_order() {
    let codes = |anchor: &str| anchor.strip_prefix("aadsts").and_then(|digits| digits.parse::<u32>().ok());
    let found: Vec<u32> = sections().iter().filter_map(|(anchor, _)| codes(anchor)).collect();
    let listed: Vec<u32> = CATALOGUE.iter().map(|entry| entry.code).collect();
    assert_eq!(found, listed);
}

/// The rows of a table, by what its first column holds in backticks.
fn listed(page: &str) -> BTreeSet<&str> {
    page.lines().filter_map(|line| line.strip_prefix("| `")?.split('`').next()).collect()
}

/// The literals in a source file, without its tests, that are words with dots or hyphens.
fn words(source: &str) -> impl Iterator<Item = &str> {
    let code = source.split("#[cfg(test)]\nmod tests {").next().unwrap_or_default();
    let is_word = |text: &&str| text.bytes().all(|b| b.is_ascii_lowercase() || b == b'-' || b == b'.');
    code.split('"').skip(1).step_by(2).filter(is_word).filter(|text| text.contains(['-', '.']))
}

#[test]
fn every_code_that_has_no_section_is_in_the_table() {
    let listed = listed(PAGE.split("## Other codes").nth(1).unwrap());
    let sources = [
        include_str!("../checkpoint.rs"),
        include_str!("../config/json.rs"),
        include_str!("../config/problems.rs"),
        include_str!("../config/reader.rs"),
        include_str!("../machine/asking.rs"),
        include_str!("../machine/deliver.rs"),
        include_str!("../machine/failing.rs"),
        include_str!("../machine/mod.rs"),
        include_str!("../machine/reading.rs"),
        include_str!("../plan.rs"),
        include_str!("../token/claims.rs"),
    ];
    let groups =
        ["answer.", "checkpoint.", "claims.", "clock.", "config.", "driver.", "overlap.", "plan.", "probe.", "range."];
    let is_code =
        |word: &&str| groups.iter().any(|group| word.strip_prefix(group).is_some_and(|rest| !rest.is_empty()));
    let made: BTreeSet<&str> = sources.into_iter().flat_map(words).filter(is_code).collect();
    assert_eq!(made, listed.into_iter().filter(|code| *code != "config.").collect());
}

#[test]
fn every_code_of_the_api_is_in_its_table() {
    let table = PAGE.split("\n## Codes of the API").nth(1).unwrap().split("\n## ").next().unwrap();
    let listed: Vec<&str> = table.lines().filter_map(|line| line.strip_prefix("| `")?.split('`').next()).collect();
    assert_eq!(listed, api_codes::CATALOGUE.iter().map(|entry| entry.code).collect::<Vec<_>>());
}

#[test]
fn every_attribute_and_counter_is_on_the_page_of_events() {
    let listed = listed(include_str!("../../../../docs/events.md"));
    for name in ["defects", "without", "not-an-object", "odd-member", "no-key", "no-stamp"] {
        assert!(
            include_str!("../machine/deliver.rs").contains(&format!("\"{name}\"")) && listed.contains(name),
            "{name}"
        );
    }
    for name in ["rows", "duplicates", "odd-records", "splits", "token-renewals"] {
        assert!(include_str!("../machine/poll.rs").contains(&format!("\"{name}\"")) && listed.contains(name), "{name}");
    }
}

#[test]
fn every_code_without_a_status_or_a_number_is_on_the_page() {
    for mut failure in failures() {
        let code = failure.fault_mut().map(|fault| fault.code.clone()).unwrap_or_default();
        let is_numbered = code.bytes().any(|byte| byte.is_ascii_digit());
        assert!(is_numbered || PAGE.contains(&format!("{code}`")) || PAGE.contains(&format!("### {code}\n")), "{code}");
    }
}
