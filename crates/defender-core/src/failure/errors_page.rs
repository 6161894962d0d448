//! `docs/errors.md` has a section for every hint, and none that no hint names.

use std::collections::BTreeSet;

use super::*;
use crate::aadsts::CATALOGUE;
use crate::http::{TransportFailure, TransportFailureKind};
use crate::test_config::{at, config};
use crate::token::read_token;

const PAGE: &str = include_str!("../../../../docs/errors.md");

/// One failure of every kind that this module, and the token endpoint, can make.
fn failures() -> Vec<Failure> {
    let head = |status| ResponseHead { status, headers: Vec::new() };
    let token = |status, body: &str| read_token(&head(status), body.as_bytes(), at(0), &config()).unwrap_err();
    let mut failures = vec![
        not_detections(&head(200), b"", &config()),
        token(200, ""),
        token(200, "{\"access"),
        token(400, r#"{"error":"invalid_client"}"#),
    ];
    for status in 100..600 {
        failures.push(api_failure(&head(status), b"", at(0), &config()));
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
        failures.push(transport_failure(&TransportFailure { kind, detail: String::new() }, "", &config()));
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
