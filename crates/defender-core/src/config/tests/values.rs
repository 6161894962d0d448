//! Identities, times, limits, groups and the single request.

use super::super::Start;
use super::super::duration::{DAY, MINUTE};
use super::{TENANT, assert_problem, config};
use crate::tick::{TICKS_PER_SECOND, Tick};

#[test]
fn ids_are_normalised_and_checked() {
    let upper = format!("\"{}\"", TENANT.to_ascii_uppercase());
    assert_eq!(config(&[("tenant_id", &upper)]).tenant_id, TENANT);
    assert_eq!(config(&[("tenant_id", "\"Contoso.OnMicrosoft.com\"")]).tenant_id, "contoso.onmicrosoft.com");
    for (pointer, value, words) in [
        ("/tenant_id", "\"common\"", "one tenant of its own"),
        ("/tenant_id", "\"Organizations\"", "one tenant of its own"),
        ("/tenant_id", "\"contoso\"", "neither a GUID nor a domain name"),
        ("/tenant_id", "\"https://contoso.com\"", "neither a GUID nor a domain name"),
        ("/tenant_id", "\"-a.com\"", "neither a GUID nor a domain name"),
        ("/tenant_id", "\"1.2.3.4\"", "neither a GUID nor a domain name"),
        ("/tenant_id", "\" \"", "is empty"),
        ("/client_id", "\"my-app\"", "not a GUID"),
        ("/client_id", "\"{0c8d1f72-91ab-4c3d-8e5f-6a7b8c9d0e1f}\"", "not a GUID"),
        ("/client_secret", "\"\"", "is empty"),
        ("/client_secret", "\" Hush~Q8hush\"", "with a blank"),
        ("/client_secret", "\"Hush~Q8hush\\n\"", "line break"),
        ("/client_secret", "7", "is a number, not a string"),
    ] {
        assert_problem(&[(&pointer[1..], value)], pointer, &[words]);
    }
}

#[test]
fn the_api_is_chosen_knowingly() {
    assert_problem(&[("api", "-")], "/api", &["is missing", "siem", "retiring"]);
    assert_problem(&[("api", "\"SIEM\"")], "/api", &["may be `siem`, `alerts`, `graph`", "Did you mean `siem`?"]);
    assert_problem(&[("api", "\"defender\"")], "/api", &["may be `siem`", "retiring"]);
}

#[test]
fn a_start_is_now_a_duration_or_a_time() {
    let at = |text| Start::At(Tick::parse(text).unwrap());
    for (written, expected) in [
        ("now", Start::Now),
        ("PT30M", Start::Ago(30 * MINUTE)),
        ("P3650D", Start::Ago(3650 * DAY)),
        ("2016-09-12T00:00:00.000", at("2016-09-12T00:00:00Z")),
        ("2016-09-12", at("2016-09-12T00:00:00Z")),
        ("2016-09-12T02:00:00+02:00", at("2016-09-12T00:00:00Z")),
    ] {
        assert_eq!(config(&[("start", &format!("\"{written}\""))]).start, expected, "{written}");
    }
    for (written, words) in [
        ("yesterday", "neither `now`, nor a duration, nor a time"),
        ("2016-13-12", "\"2016-13-12\""),
        ("2h", "neither"),
        ("P1M", "months"),
        ("PT0S", "no time at all"),
        ("P3651D", "longer than P3650D"),
        ("1999-01-01", "2010 to 2099"),
        ("2100-01-01", "2010 to 2099"),
    ] {
        assert_problem(&[("start", &format!("\"{written}\""))], "/start", &[words]);
    }
}

#[test]
fn durations_keep_within_explained_bounds() {
    let config = config(&[
        ("overlap", "\"P30D\""),
        ("settle", "\"PT0S\""),
        ("slice", "\"PT1M\""),
        ("poll_interval", "\"PT1.5S\""),
    ]);
    assert_eq!((config.overlap, config.settle, config.slice), (30 * DAY, 0, MINUTE));
    assert_eq!(config.poll_interval, TICKS_PER_SECOND * 3 / 2);
    for (name, value, words) in [
        ("overlap", "P31D", ["longer than P30D: every poll reads", "Write P30D"]),
        ("settle", "P1DT1S", ["longer than P1D: every detection", "Write P1D"]),
        ("slice", "PT59S", ["shorter than PT1M: shorter slices", "Write PT1M"]),
        ("slice", "P31D", ["longer than P30D", "Write P30D"]),
        ("poll_interval", "PT0.5S", ["shorter than PT1S: Microsoft", "Write PT1S"]),
        ("poll_interval", "P2D", ["longer than P1D", "Write P1D"]),
        ("overlap", "1h", ["not an ISO 8601 duration", "Did you mean PT1H?"]),
        ("overlap", "P1Y", ["years", "Write it like PT1H"]),
    ] {
        assert_problem(&[(name, &format!("\"{value}\""))], &format!("/{name}"), &words);
    }
}

#[test]
fn a_limit_is_a_whole_number_of_sane_size() {
    assert_eq!(config(&[("limit", "1")]).limit, Some(1));
    assert_eq!(config(&[("limit", "1000000")]).limit, Some(1_000_000));
    for (value, words) in [
        ("0", "1 or more"),
        ("-1", "whole number"),
        ("1.5", "whole number"),
        ("1000001", "1000000 at most"),
        ("99999999999999", "1000000 at most"),
        ("\"20\"", "is a string, not a whole number"),
    ] {
        assert_problem(&[("limit", value)], "/limit", &[words]);
    }
}

#[test]
fn groups_and_tags_are_one_text_or_several() {
    let config = config(&[("machinegroups", "\"UKMachines\""), ("cloud_created_machine_tags", "[\"a\", \"b\"]")]);
    assert_eq!(config.filters.machinegroups, ["UKMachines"]);
    assert_eq!(config.filters.cloud_created_machine_tags, ["a", "b"]);
    assert!(config.filters.device_created_machine_tags.is_empty());
    assert_problem(&[("machinegroups", "[\"a\", \"\", \"b\"]")], "/machinegroups/1", &["`machinegroups[1]` is empty"]);
    assert_problem(&[("machinegroups", "[[\"a\"]]")], "/machinegroups/0", &["is a list"]);
    assert_problem(&[("machinegroups", "\"\"")], "/machinegroups", &["is empty"]);
}

#[test]
fn a_request_is_one_as_the_api_documents_it() {
    let request = r#"{"sinceTimeUtc": "2016-09-12T00:00:00.000", "untilTimeUtc": "2016-09-13", "limit": 20,
        "machinegroups": ["UKMachines", "FranceMachines"], "DeviceCreatedMachineTags": "t", "CloudCreatedMachineTags": "u"}"#;
    let single = config(&[("request", request)]).request.unwrap();
    assert_eq!(
        (single.since, single.until),
        (Tick::parse("2016-09-12T00:00:00Z"), Tick::parse("2016-09-13T00:00:00Z"))
    );
    assert_eq!((single.ago, single.limit), (None, Some(20)));
    assert_eq!(single.filters.machinegroups, ["UKMachines", "FranceMachines"]);
    assert_eq!(single.filters.device_created_machine_tags, ["t"]);
    let ago = config(&[("request", r#"{"ago": "PT600S"}"#)]).request.unwrap().ago;
    assert_eq!(ago, Some(("PT600S".to_owned(), 10 * MINUTE)));
    for (request, pointer, words) in [
        (r#"{"ago": "PT1H", "untilTimeUtc": "2020-01-01"}"#, "/request/ago", "excludes both"),
        (r#"{"ago": "1h"}"#, "/request/ago", "Did you mean PT1H?"),
        (r#"{"ago": "PT0S"}"#, "/request/ago", "no time at all"),
        (r#"{"sinceTimeUtc": "2020-01-02", "untilTimeUtc": "2020-01-01"}"#, "/request/sinceTimeUtc", "not before"),
        (r#"{"sinceTimeUtc": "2020-01-01", "untilTimeUtc": "2020-01-01"}"#, "/request/sinceTimeUtc", "not before"),
        (r#"{"sinceTimeUtc": "now"}"#, "/request/sinceTimeUtc", "not a time"),
        (r#"{"limit": 0}"#, "/request/limit", "1 or more"),
        (r#""PT1H""#, "/request", "is a string, not an object"),
    ] {
        assert_problem(&[("request", request)], pointer, &[words]);
    }
}

#[test]
fn members_of_a_running_source_are_refused_beside_a_request() {
    for (name, value) in [
        ("start", "\"now\""),
        ("overlap", "\"PT1H\""),
        ("settle", "\"PT1M\""),
        ("slice", "\"PT1H\""),
        ("poll_interval", "\"PT5M\""),
        ("limit", "5"),
        ("machinegroups", "\"a\""),
        ("device_created_machine_tags", "\"a\""),
        ("cloud_created_machine_tags", "\"a\""),
    ] {
        let pointer = format!("/{name}");
        assert_problem(&[("request", "{}"), (name, value)], &pointer, &["no meaning together with `request`"]);
    }
}
