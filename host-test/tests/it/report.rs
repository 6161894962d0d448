//! `--report`: what the page says. `scripts/browser` opens it in a browser.

use std::path::Path;

use crate::folder::{Copy, host_test};

/// The page of a replay that ends with this status.
fn report(copy: &Copy, status: i32) -> String {
    let file = copy.path().join("report.html");
    let ended = copy.replay(&["--report", file.to_str().unwrap()]);
    assert_eq!(ended.status, status, "{}", ended.stderr);
    assert!(
        ended.stderr.ends_with("/report.html\n") && ended.stderr.contains("report written to "),
        "{}",
        ended.stderr
    );
    std::fs::read_to_string(file).unwrap()
}

fn shows(page: &str, parts: &[&str]) {
    for part in parts {
        assert!(page.contains(part), "{part} is not in {page}");
    }
}

#[test]
fn a_page_shows_each_request_its_answer_the_events_and_the_checkpoint() {
    let page = report(&Copy::of("first-pull"), 0);
    shows(
        &page,
        &[
            "<title>host-test: 1 of 1 scenario as expected</title>",
            "POST https://login.microsoftonline.com/",
            "client_secret=[secret]",
            "&quot;access_token&quot;: &quot;[secret]&quot;",
            "authorization: Bearer [secret]",
            "/api/alerts?sinceTimeUtc=",
            "<span class=\"good\">200</span> <span class=\"faint\">in 0.18 s</span>",
            "<details><summary>5 events</summary>",
            "detected &#39;Mimikatz&#39; high-severity malware",
            "<details><summary>checkpoint</summary>",
        ],
    );
    // Members are shown as they came, in the answer and in the event.
    let members = ["AlertTime", "ComputerDnsName", "AlertTitle"].map(|name| format!("&quot;{name}&quot;: "));
    let places = members.map(|name| page.match_indices(&name).map(|(at, _)| at).collect::<Vec<_>>());
    assert_eq!(places[0].len(), 10);
    assert!((0..10).all(|row| places[0][row] < places[1][row] && places[1][row] < places[2][row]), "{places:?}");
    for outside in ["src=", "@import", "url(", "<script", "<link"] {
        assert!(!page.contains(outside), "{outside}: the page loads something");
    }
}

#[test]
fn a_page_shows_waits_failures_and_where_a_body_ends() {
    let page = report(&Copy::of("throttled-seconds"), 0);
    shows(&page, &["<title>waits 2 min 0 s</title>", "<span class=\"bad\">429</span>", "throttled"]);
    let page = report(&Copy::of("truncated-body"), 0);
    shows(&page, &["the connection breaks after "]);
    let page = report(&Copy::of("connection-refused"), 0);
    shows(&page, &["the connection fails: refused"]);
}

#[test]
fn a_page_shows_what_is_not_as_expected() {
    let copy = Copy::of("first-pull");
    copy.replace("traffic.json", "\"Severity\":\"High\"", "\"Severity\":\"<b>Low</b>\"");
    let page = report(&copy, 1);
    shows(
        &page,
        &[
            "0 of 1 scenario as expected",
            "<span class=\"removed\">-    &quot;Severity&quot;: &quot;High&quot;,</span>",
            "<span class=\"added\">+    &quot;Severity&quot;: &quot;&lt;b&gt;Low&lt;/b&gt;&quot;,</span>",
        ],
    );
    let copy = Copy::of("first-pull");
    copy.replace("config.json", "\"region\": \"eu\"", "\"region\": \"uk\"");
    shows(&report(&copy, 1), &["nothing that was recorded answers this", "the nearest is interaction 2"]);
}

#[test]
fn polls_that_bring_nothing_are_folded() {
    let copy = Copy::of("empty-answer");
    assert!(!report(&copy, 0).contains(" brought nothing: "));
    // A clock that stands still would be worth a notice.
    copy.replace("traffic.json", "\"date\": \"Mon, 02 Mar 2026 09:00:00 GMT\"", "\"server\": \"none\"");
    copy.replace("scenario.json", "\"starts\"", "\"polls\": 6, \"starts\"");
    copy.replace("traffic.json", "\"why\": \"Nothing happened.\"", "\"times\": 6, \"why\": \"Nothing happened.\"");
    for (name, stamp) in
        [("sinceTimeUtc", "2026-03-02T07:59:59.9999999Z"), ("untilTimeUtc", "2026-03-02T08:59:00.0000001Z")]
    {
        copy.replace(
            "traffic.json",
            &format!("\"{name}\": \"{stamp}\""),
            &format!("\"{name}\": {{\"pattern\": \"*\"}}"),
        );
    }
    shows(&report(&copy, 1), &["polls 1 to 6 brought nothing: 7 requests"]);
}

#[test]
fn a_page_that_cannot_be_written_is_told() {
    let scenario = Copy::of("first-pull");
    let nowhere = scenario.path().join("no-such-folder/report.html");
    let ended = host_test(&["replay", scenario.path().to_str().unwrap(), "--report", nowhere.to_str().unwrap()]);
    assert_eq!(ended.status, 2, "{}", ended.stderr);
    let told = format!("error: the report {} cannot be written: ", nowhere.display());
    assert!(ended.stderr.contains(&told) && ended.stderr.contains("hint: name a file in a folder"), "{}", ended.stderr);
    assert!(!Path::new(&nowhere).exists());
}
