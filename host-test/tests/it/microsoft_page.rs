//! The catalogue of Microsoft's page forgets no statement, and names nothing that does not exist.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use crate::folder::scenarios;

/// Every statement of the page in its order, with the words that its row must hold.
const STATEMENTS: &[(&str, &[&str])] = &[
    ("title", &[]),
    ("top.json", &[]),
    ("top.rebranding", &[]),
    ("top.applies-to", &[]),
    ("top.trial", &[]),
    ("top.us-government", &[]),
    ("note.alert", &[]),
    ("note.detection", &[]),
    ("note.alerts-api", &[]),
    ("oauth", &[]),
    ("oauth.flows", &["authorization code", "implicit", "client credentials", "resource owner"]),
    ("oauth.site", &[]),
    ("oauth.supported", &["Azure Active Directory", "authorization code", "client credentials"]),
    ("oauth.authorization-code", &[]),
    ("oauth.client-credentials", &[]),
    ("oauth.no-user", &[]),
    ("note.raw", &[]),
    ("before.enable", &[]),
    ("before.values", &[]),
    ("before.application-id", &[]),
    ("before.secret", &[]),
    ("before.token-endpoint", &["https://login.microsoftonline.com/{tenantId}/oauth2/token"]),
    ("before.view-endpoints", &[]),
    ("token.first", &[]),
    ("token.protects", &[]),
    ("token.post", &["POST"]),
    ("token.url", &["POST /72f988bf-86f1-41af-91ab-2d7cd011db47/oauth2/token", "Host: login.microsoftonline.com"]),
    ("token.content-type", &["Content-Type: application/x-www-form-urlencoded"]),
    ("token.resource", &["resource", "https://graph.windows.net"]),
    ("token.client-id", &["client_id"]),
    ("token.client-secret", &["client_secret", "percent-encoded"]),
    ("token.grant-type", &["grant_type", "client_credentials"]),
    ("token.answer", &[]),
    ("token.token-type", &["token_type", "Bearer"]),
    ("token.expires-in", &["expires_in", "3599"]),
    ("token.ext-expires-in", &["ext_expires_in"]),
    ("token.expires-on", &["expires_on", "1488720683"]),
    ("token.not-before", &["not_before", "1488720683"]),
    ("token.answer-resource", &["resource"]),
    ("token.access-token", &["access_token"]),
    ("token.use", &["access_token"]),
    ("request.authenticated", &[]),
    ("request.every", &[]),
    ("request.get", &["GET"]),
    ("request.region", &[]),
    ("request.eu", &["https://wdatp-alertexporter-eu.windows.com/api/alerts"]),
    ("request.us", &["https://wdatp-alertexporter-us.windows.com/api/alerts"]),
    ("request.uk", &["https://wdatp-alertexporter-uk.windows.com/api/alerts"]),
    ("header.authorization", &["Authorization", "required", "Bearer"]),
    ("parameters", &[]),
    ("parameters.none", &["two hours"]),
    ("sinceTimeUtc", &["sinceTimeUtc", "lower bound"]),
    ("sinceTimeUtc.field", &["LastProcessedTimeUtc"]),
    ("sinceTimeUtc.range", &["current time"]),
    ("sinceTimeUtc.default", &["two hours"]),
    ("untilTimeUtc", &["untilTimeUtc", "upper bound"]),
    ("untilTimeUtc.range", &["sinceTimeUtc", "untilTimeUtc"]),
    ("untilTimeUtc.default", &["current time"]),
    ("ago", &["(current_time - ago)", "current_time"]),
    ("ago.format", &["ISO 8601"]),
    ("ago.example", &["ago=PT10M"]),
    ("limit", &["int"]),
    ("limit.newest", &["most recent"]),
    ("limit.default", &["all"]),
    ("machinegroups", &["machinegroups"]),
    ("machinegroups.default", &["all device groups"]),
    (
        "machinegroups.example",
        &[
            "https://wdatp-alertexporter-eu.securitycenter.windows.com/api/alerts/?machinegroups=UKMachines&machinegroups=FranceMachines",
        ],
    ),
    ("DeviceCreatedMachineTags", &["DeviceCreatedMachineTags", "registry"]),
    ("CloudCreatedMachineTags", &["CloudCreatedMachineTags", "Microsoft Defender Security Center"]),
    ("example.all", &["GET https://wdatp-alertexporter-eu.windows.com/api/alerts"]),
    ("example.limit", &["limit=20&sinceTimeUtc=2016-09-12T00:00:00.000"]),
    ("response", &["array", "JSON"]),
    ("response.example", &["50 members"]),
    ("response.empty", &[]),
    ("code.token", &[]),
    ("code.token.csharp", &["https://login.microsoftonline.com/{0}"]),
    ("code.token.powershell", &[]),
    ("code.token.powershell.output", &["LatestSIEM-token.txt"]),
    ("code.token.powershell.stop", &["-ErrorAction Stop"]),
    ("code.token.bash", &[]),
    ("code.token.bash.curl", &["curl -s X POST"]),
    ("code.token.bash.form", &[]),
    ("code.token.bash.field", &["seventh"]),
    ("code.token.bash.append", &["LatestSIEM-token.txt"]),
    ("code.detections", &[]),
    ("code.detections.csharp", &[]),
    ("code.detections.csharp.url", &["https://wdatp-alertexporter-eu.windows.com/api/alert"]),
    ("code.detections.powershell", &[]),
    ("code.detections.powershell.folder", &["Get-Token.ps1", "Get-SIEMToken.ps1", "same folder"]),
    ("code.detections.powershell.time", &["200 hours"]),
    ("code.detections.powershell.frame", &["time frame"]),
    (
        "code.detections.powershell.url",
        &["https://wdatp-alertexporter-us.windows.com/api/alerts?limit=20&sinceTimeUtc=2020-01-01T00:00:00.000"],
    ),
    (
        "code.detections.powershell.headers",
        &["Content-Type: application/json", "Accept: application/json", "Authorization"],
    ),
    ("code.detections.powershell.print", &[]),
    ("code.detections.powershell.name", &[]),
    ("code.detections.powershell.depth", &["ConvertTo-Json"]),
    ("code.detections.powershell.json", &[]),
    ("code.detections.powershell.csv", &[]),
    ("code.detections.powershell.value", &["Select-Object -ExpandProperty value"]),
    ("code.detections.bash", &[]),
    ("code.detections.bash.token", &[]),
    ("code.detections.bash.headers", &["Content-Type: application/json", "Accept: application/json"]),
    ("code.detections.bash.curl", &["curl -s X GET"]),
    ("code.detections.bash.cut", &[]),
    ("code.detections.bash.success", &[]),
    ("errors", &[]),
    ("error.401", &["malformed request", "invalid token"]),
    ("error.403", &["not managed", "deleted"]),
    ("error.500", &["error in the service"]),
    ("related.enable", &[]),
    ("related.arcsight", &[]),
    ("related.siem", &[]),
    ("related.fields", &[]),
    ("related.troubleshoot", &[]),
];

const PAGE: &str = "docs/microsoft-page.md";

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..").canonicalize().unwrap()
}

fn page() -> String {
    fs::read_to_string(root().join(PAGE)).unwrap()
}

/// The cells of every row of every table with so many columns, headers left out.
fn rows(page: &str, columns: usize, first_column: &str) -> Vec<Vec<String>> {
    let mut rows = Vec::new();
    let mut is_wanted = false;
    for line in page.lines() {
        let Some(line) = line.strip_prefix("| ").and_then(|line| line.strip_suffix('|')) else {
            // The line below a header ends up here and goes on with its table.
            is_wanted &= line.starts_with("|---");
            continue;
        };
        let cells: Vec<String> = line.split('|').map(|cell| cell.trim().to_owned()).collect();
        if cells[0] == "id" || cells[0] == "no." {
            is_wanted = cells[0] == first_column;
        } else if is_wanted {
            assert_eq!(cells.len(), columns, "{line}");
            rows.push(cells);
        }
    }
    rows
}

/// The members of the page's example record, in its order.
pub(crate) fn members() -> Vec<String> {
    rows(&page(), 4, "no.").iter().map(|row| row[1].trim_matches('`').to_owned()).collect()
}

/// Text and target of every link.
pub(crate) fn links(text: &str) -> Vec<(String, String)> {
    let mut links = Vec::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("](") {
        let text = before.rsplit('[').next().unwrap();
        let (target, after) = after.split_once(')').unwrap_or_else(|| panic!("a link without an end: {after}"));
        links.push((text.trim_matches('`').to_owned(), target.to_owned()));
        rest = after;
    }
    links
}

/// The anchor that a heading gets.
fn anchor(heading: &str) -> String {
    let kept = heading.to_lowercase().replace(' ', "-");
    kept.chars().filter(|character| character.is_alphanumeric() || "-_".contains(*character)).collect()
}

/// Whether a source file has a test of this name: a function with one of its attributes right above it.
fn holds_test(source: &str, name: &str) -> bool {
    let lines: Vec<&str> = source.lines().map(str::trim).collect();
    let is_it = |line: &str| line.trim_start_matches("async ").starts_with(&format!("fn {name}()"));
    lines.iter().enumerate().filter(|(_, line)| is_it(line)).any(|(at, _)| {
        let mut attributes = lines[..at].iter().rev().take_while(|line| line.starts_with("#["));
        attributes.any(|line| line.starts_with("#[test]") || line.starts_with("#[tokio::test"))
    })
}

/// What is wrong with a link, if something is.
pub(crate) fn broken(text: &str, target: &str) -> Option<String> {
    let (file, heading) = target.split_once('#').map_or((target, None), |(file, heading)| (file, Some(heading)));
    let path = if file.is_empty() { root().join(PAGE) } else { root().join("docs").join(file) };
    if path.parent() == Some(root().join("docs/../host-test/scenarios").as_path()) {
        let is_named = path.ends_with(text);
        return (!is_named || !path.join("scenario.json").is_file()).then(|| format!("no scenario {text} at {target}"));
    }
    let Ok(content) = fs::read_to_string(&path) else { return Some(format!("no file {target}")) };
    if file.ends_with(".rs") && !holds_test(&content, text) {
        return Some(format!("no test {text} in {file}"));
    }
    let heading = heading?;
    let has_heading =
        content.lines().any(|line| line.starts_with('#') && anchor(line.trim_start_matches(['#', ' '])) == heading);
    (!has_heading).then(|| format!("no heading #{heading} in {file}"))
}

#[test]
fn every_statement_of_the_page_is_listed_in_its_order_with_its_words() {
    let rows = rows(&page(), 4, "id");
    let ids: Vec<&str> = rows.iter().map(|row| row[0].trim_matches('`')).collect();
    let expected: Vec<&str> = STATEMENTS.iter().map(|(id, _)| *id).collect();
    let listed: BTreeSet<&str> = ids.iter().copied().collect();
    let missing: Vec<&&str> = expected.iter().filter(|id| !listed.contains(**id)).collect();
    assert!(missing.is_empty(), "{PAGE} forgets {missing:?}");
    assert_eq!(ids, expected);
    for (row, (id, words)) in rows.iter().zip(STATEMENTS) {
        for word in *words {
            assert!(row[1].contains(word), "`{id}` does not say {word}: {}", row[1]);
        }
    }
}

#[test]
fn everything_that_holds_a_statement_exists() {
    for row in rows(&page(), 4, "id") {
        assert!(!links(&row[2]).is_empty(), "nothing holds {}", row[0]);
    }
    let wrong: Vec<String> = links(&page()).iter().filter_map(|(text, target)| broken(text, target)).collect();
    assert!(wrong.is_empty(), "{PAGE} names what does not exist: {wrong:#?}");
}

#[test]
fn a_link_to_what_does_not_exist_is_found() {
    for (text, target) in [
        ("first-pul", "../host-test/scenarios/first-pul"),
        ("first-pull", "../host-test/scenarios/empty-answer"),
        ("no_such_test", "../crates/defender-core/src/csv.rs"),
        // Functions, and no tests.
        ("members", "../host-test/tests/it/microsoft_page.rs"),
        ("broken", "../host-test/tests/it/microsoft_page.rs"),
        ("errors", "errors.md#httpstatus-402"),
        ("here", "#nowhere"),
        ("gone", "gone.md"),
    ] {
        assert!(broken(text, target).is_some(), "{target}");
    }
}

#[test]
fn the_fifty_members_are_listed_in_the_order_of_the_record() {
    let numbers: Vec<String> = rows(&page(), 4, "no.").iter().map(|row| row[0].clone()).collect();
    assert_eq!(numbers, (1..=50).map(|number| number.to_string()).collect::<Vec<_>>());
    let record = fs::read_to_string(scenarios().join("page-example/detections.json")).unwrap();
    let inside = |line: &str| Some(line.trim().strip_prefix('"')?.split('"').next()?.to_owned());
    assert_eq!(members(), record.lines().filter_map(inside).collect::<Vec<_>>());
}
