//! HAR: what goes out comes back, and what browsers write comes in.

use std::path::Path;

use scenario::Scenario;

use crate::folder::{Copy, host_test, scenarios};

fn import(har: &Path, out: &Path, more: &[&str]) -> crate::folder::Ended {
    let mut args = vec!["import", har.to_str().unwrap(), "--out", out.to_str().unwrap()];
    args.extend(more);
    host_test(&args)
}

#[test]
fn every_scenario_comes_back_from_har_as_the_same_traffic() {
    let root = tempfile::tempdir().unwrap();
    for entry in std::fs::read_dir(scenarios()).unwrap() {
        let folder = entry.unwrap().path();
        let name = folder.file_name().unwrap().to_str().unwrap().to_owned();
        let (har, out) = (root.path().join(format!("{name}.har")), root.path().join(&name));
        let exported = host_test(&["export", folder.to_str().unwrap(), "--out", har.to_str().unwrap()]);
        assert_eq!(exported.status, 0, "{name}: {}", exported.stderr);
        let imported = import(&har, &out, &[]);
        assert_eq!(imported.status, 0, "{name}: {}", imported.stderr);
        let (before, after) = (Scenario::load(&folder).unwrap(), Scenario::load(&out).unwrap());
        assert_eq!(before.traffic.written(), after.traffic.written(), "{name}");
        assert_eq!(before.settings, after.settings, "{name}");
        let value = |config: &str| serde_json::from_str::<serde_json::Value>(config).unwrap();
        assert_eq!(value(&before.config), value(&after.config), "{name}");
    }
}

#[test]
fn a_har_of_a_scenario_has_what_the_specification_asks_for() {
    let copy = Copy::of("first-pull");
    let har = copy.path().join("a.har");
    assert_eq!(host_test(&["export", copy.path().to_str().unwrap(), "--out", har.to_str().unwrap()]).status, 0);
    let har: serde_json::Value = serde_json::from_str(&copy.read("a.har")).unwrap();
    let log = &har["log"];
    assert_eq!((&log["version"], &log["creator"]["name"]), (&"1.2".into(), &"host-test".into()));
    let entries = log["entries"].as_array().unwrap();
    assert_eq!(entries.len(), 2);
    assert_eq!(entries[0]["startedDateTime"], "2026-03-02T09:00:00.000Z");
    assert_eq!(entries[1]["startedDateTime"], "2026-03-02T09:00:00.120Z");
    for entry in entries {
        for member in ["time", "request", "response", "cache", "timings"] {
            assert!(!entry[member].is_null(), "{member}");
        }
        for member in ["method", "url", "httpVersion", "cookies", "headers", "queryString", "headersSize", "bodySize"] {
            assert!(!entry["request"][member].is_null(), "request.{member}");
        }
        for member in [
            "status",
            "statusText",
            "httpVersion",
            "cookies",
            "headers",
            "content",
            "redirectURL",
            "headersSize",
            "bodySize",
        ] {
            assert!(!entry["response"][member].is_null(), "response.{member}");
        }
        for member in ["send", "wait", "receive"] {
            assert!(entry["timings"][member].as_f64().unwrap() >= 0.0, "timings.{member}");
        }
    }
    assert_eq!(entries[0]["request"]["postData"]["mimeType"], "application/x-www-form-urlencoded");
    assert_eq!(entries[0]["request"]["postData"]["params"].as_array().unwrap().len(), 4);
    assert!(
        entries[1]["request"]["url"]
            .as_str()
            .unwrap()
            .ends_with("?sinceTimeUtc=2026-03-02T07%3A59%3A59.9999999Z&untilTimeUtc=2026-03-02T08%3A59%3A00.0000001Z")
    );
}

/// As Chrome writes them, and an entry of Firefox.
const BROWSER: &str = r#"{"log": {"version": "1.2", "creator": {"name": "WebInspector", "version": "537.36"}, "pages": [],
  "entries": [
    {"_initiator": {"type": "script"}, "_priority": "High", "_resourceType": "xhr", "cache": {}, "connection": "443",
     "startedDateTime": "2026-05-04T10:11:12.345Z", "time": 123.456,
     "request": {"method": "POST", "url": "https://login.example/token", "httpVersion": "http/2.0", "cookies": [],
       "headers": [{"name": ":authority", "value": "login.example"}, {"name": ":method", "value": "POST"},
         {"name": "content-type", "value": "application/x-www-form-urlencoded"}, {"name": "cookie", "value": "sid=0123456789abcdef"},
         {"name": "sec-fetch-mode", "value": "cors"}, {"name": "user-agent", "value": "Mozilla/5.0"}],
       "queryString": [], "headersSize": -1, "bodySize": 63,
       "postData": {"mimeType": "application/x-www-form-urlencoded", "text": "grant_type=client_credentials&client_secret=q%2Bw%2Fe0123456789",
         "params": [{"name": "grant_type", "value": "client_credentials"}, {"name": "client_secret", "value": "q%2Bw%2Fe0123456789"}]}},
     "response": {"status": 200, "statusText": "", "httpVersion": "http/2.0", "cookies": [],
       "headers": [{"name": "content-encoding", "value": "gzip"}, {"name": "content-type", "value": "application/json"},
         {"name": "content-length", "value": "41"}, {"name": "set-cookie", "value": "sid=fedcba9876543210; Secure\nlang=de-DE-x-long"}],
       "content": {"size": 43, "mimeType": "application/json", "text": "{\"access_token\":\"an.opaque/token+0123456\"}"},
       "redirectURL": "", "headersSize": -1, "bodySize": -1, "_transferSize": 300, "_error": null},
     "timings": {"blocked": 3.4, "dns": -1, "ssl": -1, "connect": -1, "send": 0.1, "wait": 119, "receive": 1, "_blocked_queueing": 2}},
    {"startedDateTime": "2026-05-04T12:11:13.000+02:00", "time": 7,
     "request": {"method": "GET", "url": "https://api.example/v1/items?since=2026-01-01T00%3A00%3A00Z&b=1", "httpVersion": "HTTP/2", "cookies": [],
       "headers": [{"name": "Authorization", "value": "Bearer an.opaque/token+0123456"}, {"name": "Accept", "value": "*/*"}],
       "queryString": [{"name": "since", "value": "2026-01-01T00:00:00Z"}, {"name": "b", "value": "1"}], "headersSize": 99, "bodySize": 0},
     "response": {"status": 200, "statusText": "OK", "httpVersion": "HTTP/2", "cookies": [], "headers": [],
       "content": {"size": 3, "mimeType": "application/octet-stream", "encoding": "base64", "text": "/wAB"},
       "redirectURL": "", "headersSize": 1, "bodySize": 3}, "cache": {}, "timings": {"send": 0, "wait": 7, "receive": 0}},
    {"startedDateTime": "2026-05-04T10:11:14.000Z", "time": 5, "_webSocketMessages": [], "_resourceType": "websocket",
     "request": {"method": "GET", "url": "wss://api.example/live", "httpVersion": "HTTP/1.1", "cookies": [], "headers": [], "queryString": [], "headersSize": -1, "bodySize": 0},
     "response": {"status": 101, "statusText": "", "httpVersion": "HTTP/1.1", "cookies": [], "headers": [], "content": {"size": 0, "mimeType": ""}, "redirectURL": "", "headersSize": -1, "bodySize": 0},
     "cache": {}, "timings": {"send": 0, "wait": 5, "receive": 0}},
    {"startedDateTime": "2026-05-04T10:11:15.000Z", "time": 0,
     "request": {"method": "GET", "url": "https://gone.example/", "httpVersion": "", "cookies": [], "headers": [], "queryString": [], "headersSize": -1, "bodySize": 0},
     "response": {"status": 0, "statusText": "", "httpVersion": "", "cookies": [], "headers": [], "content": {"size": 0, "mimeType": "x-unknown"}, "redirectURL": "", "headersSize": -1, "bodySize": -1, "_error": "net::ERR_NAME_NOT_RESOLVED"},
     "cache": {}, "timings": {"send": 0, "wait": 0, "receive": 0}}
  ]}}"#;

#[test]
fn what_a_browser_wrote_becomes_a_scenario_without_its_secrets() {
    let root = tempfile::tempdir().unwrap();
    let (har, out) = (root.path().join("a.har"), root.path().join("imported"));
    std::fs::write(&har, format!("\u{feff}{BROWSER}")).unwrap();
    let imported = import(&har, &out, &[]);
    assert_eq!(imported.status, 0, "{}", imported.stderr);
    assert!(imported.stderr.contains("entry 3 is left out: wss://api.example/live is no HTTP"), "{}", imported.stderr);
    assert!(imported.stderr.contains("config.json holds {}"), "{}", imported.stderr);
    let traffic: serde_json::Value =
        serde_json::from_str(&std::fs::read_to_string(out.join("traffic.json")).unwrap()).unwrap();
    let all = traffic.to_string();
    for secret in ["0123456789", "fedcba", "de-DE-x-long", "q+w/e", "opaque"] {
        assert!(!all.contains(secret) && !imported.stderr.contains(secret), "{secret}: {all}");
    }
    let interactions = traffic["interactions"].as_array().unwrap();
    assert_eq!(interactions.len(), 3);
    let [token, items, gone] = &interactions[..] else { panic!() };
    assert_eq!(token["request"]["headers"], serde_json::json!({ "content-type": "application/x-www-form-urlencoded" }));
    assert_eq!(
        token["request"]["form"],
        serde_json::json!({ "grant_type": "client_credentials", "client_secret": { "pattern": "*" } })
    );
    assert_eq!(token["response"]["latency"], "PT0.123S");
    assert_eq!(
        token["response"]["headers"],
        serde_json::json!({
            "content-type": "application/json", "content-length": "42",
            "set-cookie": ["sid=redacted-cookie-1; Secure", "lang=redacted-cookie-2"],
        })
    );
    assert_eq!(items["request"]["headers"], serde_json::json!({ "authorization": "Bearer redacted-access-token-1" }));
    assert_eq!(items["request"]["query"], serde_json::json!({ "since": "2026-01-01T00:00:00Z", "b": "1" }));
    assert_eq!(items["response"]["base64"], "/wAB");
    assert_eq!(gone["fail"], "dns");
    let scenario = Scenario::load(&out).unwrap();
    assert_eq!(scenario.settings.starts.to_rfc3339(), "2026-05-04T10:11:12.345+00:00");
    assert!(scenario.settings.from.contains("WebInspector 537.36"), "{}", scenario.settings.from);
}

#[test]
fn what_is_missing_or_no_har_is_told_with_what_to_do() {
    let root = tempfile::tempdir().unwrap();
    let (har, out) = (root.path().join("a.har"), root.path().join("imported"));
    let without = BROWSER.replace(r#", "text": "{\"access_token\":\"an.opaque/token+0123456\"}""#, "");
    for (text, message, hint) in [
        (
            without.as_str(),
            "entry 1 (POST https://login.example/token): the body of its answer, of 43 bytes, is not in the file",
            "with content",
        ),
        ("{\"log\": {}}", "is no HAR: `entries` is missing in /log (line 1)", "HTTP archive"),
        (
            "{\"log\": {\"entries\": [{\"request\": 5}]}}",
            "is no HAR: /log/entries/0/request is a whole number, and an object belongs there (line 1)",
            "HTTP archive",
        ),
        ("<html>", "is no HAR: expected value at line 1", "HTTP archive"),
        (
            &BROWSER.replace("2026-05-04T10:11:12.345Z", "yesterday"),
            "entry 1 (POST https://login.example/token): `yesterday` is no time",
            "RFC 3339",
        ),
    ] {
        std::fs::write(&har, text).unwrap();
        let refused = import(&har, &out, &[]);
        assert_eq!(refused.status, 2, "{}", refused.stderr);
        assert!(refused.stderr.contains(message) && refused.stderr.contains(hint), "{message}: {}", refused.stderr);
        assert!(!out.exists());
    }
    std::fs::write(&har, &without).unwrap();
    let only = import(&har, &out, &["--only", "https://api.example/"]);
    assert_eq!(only.status, 0, "{}", only.stderr);
    assert_eq!(Scenario::load(&out).unwrap().traffic.interactions().count(), 1);
}

#[test]
fn nothing_is_overwritten_by_an_export() {
    let copy = Copy::of("first-pull");
    copy.write("a.har", "mine");
    let refused =
        host_test(&["export", copy.path().to_str().unwrap(), "--out", copy.path().join("a.har").to_str().unwrap()]);
    assert_eq!(refused.status, 2);
    assert!(refused.stderr.contains("is there already"), "{}", refused.stderr);
    assert_eq!(copy.read("a.har"), "mine");
}
