//! Accepting what comes out.

use crate::folder::Copy;

#[test]
fn update_writes_what_is_missing_and_then_all_is_as_expected() {
    let copy = Copy::of("first-pull");
    let events = copy.read("expected.ndjson");
    copy.remove("expected.ndjson");
    let missing = copy.replay(&[]);
    assert_eq!(missing.status, 1);
    assert!(missing.stderr.contains("expected.ndjson is not there, so nothing says what is expected"));
    let updated = copy.replay(&["--update"]);
    assert_eq!(updated.status, 0, "{}", updated.stderr);
    assert!(updated.stderr.contains("expected.ndjson written; look at the difference"), "{}", updated.stderr);
    assert_eq!(copy.read("expected.ndjson"), events);
    assert_eq!(copy.replay(&[]).status, 0);
}

#[test]
fn update_changes_nothing_where_all_is_as_expected() {
    let copy = Copy::of("first-pull");
    let before = copy.read("expected.json");
    let ended = copy.replay(&["--update"]);
    assert_eq!(ended.stderr.lines().next(), Some("first-pull: as expected"));
    assert_eq!(copy.read("expected.json"), before);
}

#[test]
fn update_does_not_accept_a_request_that_nothing_answers() {
    let copy = Copy::of("first-pull");
    copy.keep_interactions(&[0]);
    let ended = copy.replay(&["--update"]);
    assert_eq!(ended.status, 1);
    assert!(ended.stderr.contains("no interaction answers request 2"), "{}", ended.stderr);
    assert!(!ended.stderr.contains("to accept this"), "{}", ended.stderr);
}

#[test]
fn expected_files_are_compared_without_regard_to_the_layout_of_json() {
    let copy = Copy::of("first-pull");
    let value: serde_json::Value = serde_json::from_str(&copy.read("expected.json")).unwrap();
    copy.write("expected.json", &value.to_string());
    assert_eq!(copy.replay(&[]).status, 0);
}
