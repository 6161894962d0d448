//! The table of rules forgets none, and names nothing that does not exist.

use crate::microsoft_page::{broken, links};

const PAGE: &str = include_str!("../../../docs/pull-engine.md");

#[test]
fn every_rule_has_a_test_that_exists() {
    let (_, table) = PAGE.split_once("## Each rule").unwrap();
    let rules: Vec<_> = table
        .lines()
        .filter_map(|line| line.strip_prefix("| ")?.split_once(" | "))
        .filter_map(|(number, rest)| Some((number.parse::<u32>().ok()?, links(rest))))
        .collect();
    let numbers: Vec<u32> = rules.iter().map(|(number, _)| *number).collect();
    assert_eq!(numbers, (1..=19).collect::<Vec<_>>());
    for (number, tests) in &rules {
        assert!(!tests.is_empty(), "nothing shows rule {number}");
        let wrong: Vec<String> = tests.iter().filter_map(|(text, target)| broken(text, target)).collect();
        assert!(wrong.is_empty(), "rule {number} names what does not exist: {wrong:#?}");
    }
}
