use std::path::Path;

use super::*;
use crate::interaction::Answer;

const TOKEN: &str = r#"{"why": "a token", "request": {"method": "POST", "url": "https://login.example/token",
    "form": {"client_secret": "the-real-secret", "grant_type": "client_credentials"}}, "fail": "dns"}"#;

fn get(why: &str, query: &str, rest: &str) -> String {
    format!(
        r#"{{"why": "{why}", "request": {{"method": "GET", "url": "https://api.example/alerts{query}",
        "headers": {{"authorization": "Bearer the-real-token"}}}}, "fail": "dns"{rest}}}"#
    )
}

fn replay(order: Order, interactions: &[&str]) -> Replay {
    let text = format!("{{\"interactions\": [{}]}}", interactions.join(",\n"));
    Replay::new(Arc::new(Traffic::parse(Path::new("traffic.json"), &text).unwrap()), order)
}

fn token(secret: &str) -> Request {
    Request {
        method: "POST".to_owned(),
        url: "https://login.example/token".to_owned(),
        headers: Vec::new(),
        body: format!("grant_type=client_credentials&client_secret={secret}").into_bytes(),
    }
}

fn alerts(query: &str) -> Request {
    Request {
        method: "GET".to_owned(),
        url: format!("https://api.example/alerts{query}"),
        headers: vec![("Authorization".to_owned(), "Bearer the-real-token".to_owned())],
        body: Vec::new(),
    }
}

fn numbers(replay: &mut Replay, requests: &[Request]) -> Vec<usize> {
    requests.iter().map(|request| replay.take(request).map_or(0, |interaction| interaction.number)).collect()
}

#[test]
fn requests_are_answered_in_order_with_the_query_in_any_order() {
    let mut replay = replay(Order::Strict, &[TOKEN, &get("a slice", "?since=1%3A2&limit=3&g=b&g=a", "")]);
    let requests = [token("the-real-secret"), alerts("?g=a&limit=3&g=b&since=1:2")];
    assert_eq!(numbers(&mut replay, &requests), [1, 2]);
    assert!(replay.unused().is_empty());
}

#[test]
fn a_wrong_query_member_is_shown_beside_the_recorded_one() {
    let mut replay = replay(Order::Strict, &[&get("the first slice", "?since=1&limit=3", "")]);
    let mismatch = replay.take(&alerts("?since=2&ago=PT1H")).unwrap_err();
    assert_eq!(
        mismatch.to_string(),
        "no interaction answers request 1:\n  GET https://api.example/alerts?since=2&ago=PT1H\nthe nearest is \
         interaction 1 (traffic.json:1: the first slice), which differs here:\n  query since: expected `1`, got `2`\n  \
         query limit: expected `3`, got nothing\n  query ago: expected nothing, got `PT1H`\n  hint: correct the recorded one, or find out why the source asks for \
         this"
    );
}

#[test]
fn a_wrong_secret_is_a_difference_that_shows_neither_value() {
    let mut replay = replay(Order::Strict, &[TOKEN, &get("a slice", "", "")]);
    let secret = replay.take(&token("a-wrong-secret")).unwrap_err().to_string();
    assert!(secret.contains("form client_secret: expected `a secret (not shown)`, got `another value"), "{secret}");
    replay.take(&token("the-real-secret")).unwrap();
    let mut bearer = alerts("");
    bearer.headers[0].1 = "Bearer a-wrong-token".to_owned();
    let bearer = replay.take(&bearer).unwrap_err().to_string();
    assert!(bearer.contains("header authorization: expected `a secret"), "{bearer}");
    for value in ["the-real-secret", "a-wrong-secret", "the-real-token", "a-wrong-token"] {
        assert!(!secret.contains(value) && !bearer.contains(value), "{value}");
    }
}

#[test]
fn a_request_out_of_turn_names_the_interaction_that_comes_first() {
    let mut replay = replay(Order::Strict, &[TOKEN, &get("a slice", "", "")]);
    let mismatch = replay.take(&alerts("")).unwrap_err().to_string();
    assert!(mismatch.contains("(traffic.json:3: a slice) would answer it, but interaction 1"), "{mismatch}");
}

#[test]
fn a_request_once_too_often_says_that_the_interaction_was_used() {
    let mut replay = replay(Order::Strict, &[TOKEN]);
    replay.take(&token("the-real-secret")).unwrap();
    let mismatch = replay.take(&token("the-real-secret")).unwrap_err().to_string();
    assert!(mismatch.contains("was already used as often as it says"), "{mismatch}");
}

#[test]
fn what_was_not_used_is_listed_with_how_often() {
    let mut replay =
        replay(Order::Strict, &[&get("twice", "", r#", "times": 2"#), TOKEN, &get("more", "", r#", "times": "any""#)]);
    replay.take(&alerts("")).unwrap();
    let unused: Vec<String> = replay.unused().iter().map(ToString::to_string).collect();
    assert_eq!(unused.len(), 2);
    assert!(
        unused[0].starts_with("interaction 1 (traffic.json:1: twice) was not used, and should have been once more")
    );
    assert!(unused[1].starts_with("interaction 2"));
}

#[test]
fn a_group_answers_in_any_order_and_is_complete_before_the_next() {
    let group = format!("{{\"any-order\": [{}, {}]}}", get("one", "?a=1", ""), get("two", "?a=2", ""));
    let mut replay = replay(Order::Strict, &[&group, &get("three", "?a=3", "")]);
    let requests = [alerts("?a=2"), alerts("?a=3"), alerts("?a=1"), alerts("?a=3")];
    assert_eq!(numbers(&mut replay, &requests), [2, 0, 1, 3]);
}

#[test]
fn an_interaction_for_any_number_of_times_gives_way_to_the_next() {
    let mut replay = replay(Order::Strict, &[&get("often", "?a=1", r#", "times": "any""#), &get("next", "?a=2", "")]);
    let requests = [alerts("?a=1"), alerts("?a=1"), alerts("?a=2"), alerts("?a=1")];
    assert_eq!(numbers(&mut replay, &requests), [1, 1, 2, 0]);
}

#[test]
fn free_order_answers_again_and_again_with_the_last_that_fits() {
    let mut replay = replay(Order::Free, &[&get("first", "", ""), TOKEN, &get("then", "", "")]);
    let requests = [alerts(""), alerts(""), alerts(""), token("the-real-secret"), token("the-real-secret")];
    assert_eq!(numbers(&mut replay, &requests), [1, 3, 3, 2, 2]);
}

#[test]
fn debug_shows_no_secret_of_a_request() {
    assert!(!format!("{:?}", token("the-real-secret")).contains("the-real-secret"));
    assert!(!format!("{:?}", alerts("")).contains("the-real-token"));
}

fn search(body: &str) -> Request {
    Request {
        method: "POST".to_owned(),
        url: "https://api.example/search".to_owned(),
        headers: Vec::new(),
        body: body.as_bytes().to_vec(),
    }
}

fn recorded(body: &str) -> Replay {
    let interaction = format!(
        r#"{{"why": "a search", "request": {{"method": "POST", "url": "https://api.example/search", {body}}}, "fail": "dns"}}"#
    );
    replay(Order::Strict, &[&interaction])
}

#[test]
fn a_json_body_matches_whatever_its_layout_and_its_differences_are_told_by_pointer() {
    const BODY: &str = r#""json": {"since": "2026-03-02T09:00:00Z", "tags": ["a", "b"], "password": "invented"},
        "patterns": {"/since": "2026-*Z"}"#;
    let same = r#"{ "tags":["a","b"],"password":"invented","since":"2026-04-01T00:00:00Z" }"#;
    assert_eq!(numbers(&mut recorded(BODY), &[search(same)]), [1]);
    let other = r#"{"since": "2025", "tags": ["a", "c", "d"], "password": "another", "more": null}"#;
    let mismatch = recorded(BODY).take(&search(other)).unwrap_err();
    let differences: Vec<String> = mismatch.differences.iter().map(ToString::to_string).collect();
    assert_eq!(
        differences,
        [
            "json /password: expected `a secret (not shown)`, got `another value (a secret, not shown)`",
            "json /since: expected `2026-*Z (a pattern)`, got `\"2025\"`",
            "json /tags/1: expected `\"b\"`, got `\"c\"`",
            "json /tags/2: expected nothing, got `\"d\"`",
            "json /more: expected nothing, got `null`",
        ]
    );
    let mismatch = recorded(BODY).take(&search("{")).unwrap_err();
    assert!(
        mismatch.differences[0].to_string().starts_with("json: expected `JSON`, got `what is none: EOF"),
        "{mismatch}"
    );
}

#[test]
fn texts_and_bytes_match_as_a_whole() {
    let text = r#""text": {"pattern": "SELECT * FROM a"}"#;
    assert_eq!(numbers(&mut recorded(text), &[search("SELECT b FROM a")]), [1]);
    let mismatch = recorded(text).take(&search("DELETE")).unwrap_err();
    assert_eq!(mismatch.differences[0].to_string(), "text: expected `SELECT * FROM a (a pattern)`, got `DELETE`");
    assert_eq!(numbers(&mut recorded(r#""base64": "YQ==""#), &[search("a")]), [1]);
    let mismatch = recorded(r#""base64": "YQ==""#).take(&search("bc")).unwrap_err();
    assert_eq!(mismatch.differences[0].to_string(), "body: expected `1 other bytes`, got `2 bytes`");
}

#[test]
fn a_body_that_cannot_be_read_is_refused_with_its_place() {
    for (body, message) in [
        (r#""json": {"a": "b"}, "text": "c""#, "`json` and `text` exclude each other"),
        (r#""json": {"a": 1}, "patterns": {"/a": "*"}"#, "`/a` is no text of `json`"),
        (r#""text": "a", "patterns": {"/a": "*"}"#, "`patterns` are for `json` only"),
        (r#""patterns": {"/a": "*"}"#, "there is no `json` that these could be in"),
        (r#""base64": "!""#, "this is no base64"),
    ] {
        let text = format!(
            r#"{{"interactions": [{{"why": "w", "request": {{"method": "POST", "url": "https://a.example/", {body}}}, "fail": "dns"}}]}}"#
        );
        let error = Traffic::parse(Path::new("traffic.json"), &text).unwrap_err().to_string();
        assert!(error.contains(message) && error.contains("/interactions/0/request/"), "{body}: {error}");
    }
}

#[test]
fn a_part_of_a_range_is_answered_with_its_rows_where_the_order_does_not_matter() {
    let recorded = r#"{"why": "rows", "request": {"method": "GET", "url": "https://api.example/alerts",
        "query": {"since": "2026-03-02T08:00:00Z", "until": "2026-03-02T09:00:00Z", "top": "5"}},
        "response": {"status": 200, "headers": {"content-length": "3"}, "json": [{"id": 1.0, "at": "2026-03-02T08:10:00Z"},
            {"id": 2, "at": "2026-03-02T08:40:00.5Z"}]},
        "range": {"since": "since", "until": "until", "stamp": "at"}}"#;
    let asked = |since: &str, until: &str, top: &str| {
        alerts(&format!("?since=2026-03-02T{since}Z&until=2026-03-02T{until}Z&top={top}"))
    };
    let rows = |order: Order, request: &Request| {
        let found = replay(order, &[recorded]).take(request).ok()?;
        let Answer::Response(response) = &found.answer else { panic!("no response") };
        Some(String::from_utf8(response.body.clone()).unwrap())
    };
    let first = r#"[{"id": 1.0, "at": "2026-03-02T08:10:00Z"}]"#;
    assert_eq!(rows(Order::Free, &asked("08:00:00", "08:30:00", "5")).as_deref(), Some(first));
    assert_eq!(rows(Order::Free, &asked("08:10:00", "08:10:00", "5")).as_deref(), Some(first));
    assert_eq!(rows(Order::Free, &asked("08:50:00", "09:00:00", "5")).as_deref(), Some("[]"));
    // Strictly it has to be as recorded, and of what is beyond nothing is known.
    assert_eq!(rows(Order::Strict, &asked("08:00:00", "08:30:00", "5")), None);
    assert_eq!(rows(Order::Free, &asked("07:59:59", "08:30:00", "5")), None);
    assert_eq!(rows(Order::Free, &asked("08:00:00", "08:30:00", "6")), None);
    assert_eq!(rows(Order::Loose, &asked("07:00:00", "08:30:00", "5")).as_deref(), Some(first));
}

#[test]
fn loose_order_answers_what_differs_in_times_only_with_the_nearest() {
    let at = |since: &str| get("it is asked", &format!("?since={since}&top=5"), "");
    let early = at("2026-03-02T08:00:00Z");
    let late = at("2026-03-02T09:00:00.1234567Z");
    let mut replay = replay(Order::Loose, &[&early, &late]);
    let asked = |since: &str, top: &str| alerts(&format!("?since={since}&top={top}"));
    let number = |replay: &mut Replay, request: &Request| replay.find(request).map(|found| found.number).ok();
    // What fits comes first, and what is only found is not used up.
    assert_eq!(number(&mut replay, &asked("2026-03-02T08:00:00Z", "5")), Some(1));
    assert_eq!(replay.unused().len(), 2);
    assert_eq!(number(&mut replay, &asked("2026-03-02T08:29:00Z", "5")), Some(1));
    assert_eq!(number(&mut replay, &asked("2026-03-02T08:31:00Z", "5")), Some(2));
    assert_eq!(number(&mut replay, &asked("2026-03-03", "5")), Some(2));
    // Anything else has to be as it is.
    assert_eq!(number(&mut replay, &asked("2026-03-02T08:00:00Z", "6")), None);
    assert_eq!(number(&mut replay, &asked("yesterday", "5")), None);
    replay.set_order(Order::Free);
    assert_eq!(number(&mut replay, &asked("2026-03-02T08:29:00Z", "5")), None);
}
