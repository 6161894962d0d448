//! The examples do what their READMEs say, against a recording behind plain HTTP.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::mpsc;

use scenario::Scenario;
use serde_json::Value;
use tempfile::TempDir;

use crate::folder::{component, scenarios};

const SCENARIO: &str = "page-sample-scripts";

fn examples() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples").canonicalize().unwrap()
}

/// Another program of the workspace, as the hosts' build has made it.
fn program(name: &str) -> PathBuf {
    let path = Path::new(env!("CARGO_BIN_EXE_host-test")).with_file_name(name);
    assert!(path.is_file(), "{} is missing: run `make hosts`", path.display());
    path
}

/// Serves the scenario for as long as the tests run, and returns the URL that stands in for every recorded origin.
fn serve() -> String {
    let (say, told) = mpsc::channel();
    std::thread::spawn(move || {
        let scenario = Scenario::load(&scenarios().join(SCENARIO)).unwrap();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let server = host_test::Server::bind(&scenario, 0).await.unwrap();
            say.send(server.base_url().unwrap()).unwrap();
            server.run(|_, answered| answered.map_or_else(|mismatch| eprintln!("{mismatch}"), |_| ())).await.unwrap();
        });
    });
    told.recv().unwrap()
}

fn recorded_config() -> Value {
    serde_json::from_str(&fs::read_to_string(scenarios().join(SCENARIO).join("config.json")).unwrap()).unwrap()
}

/// The records of the recording's answer.
fn recorded() -> Vec<Value> {
    let text = fs::read_to_string(scenarios().join(SCENARIO).join("traffic.json")).unwrap();
    let traffic: Value = serde_json::from_str(&text).unwrap();
    traffic["interactions"][1]["response"]["json"].as_array().unwrap().clone()
}

fn access_token() -> String {
    let text = fs::read_to_string(scenarios().join(SCENARIO).join("traffic.json")).unwrap();
    let traffic: Value = serde_json::from_str(&text).unwrap();
    traffic["interactions"][0]["response"]["json"]["access_token"].as_str().unwrap().to_owned()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

/// Runs a script of the example in an empty folder, with its own configuration but for the hosts.
fn script(name: &str, config: &str, folder: &TempDir) -> Output {
    let (base, recorded) = (serve(), recorded_config());
    let of = |member: &str| recorded[member].as_str().unwrap().to_owned();
    let here = examples().join("microsoft-page");
    let written = fs::read_to_string(here.join(config)).unwrap();
    assert!(written.contains("region = \"us\""), "{written}");
    let elsewhere = written.replacen(
        "name = \"detections\"\n",
        &format!("name = \"detections\"\nallow = [\"{base}\"]\ncomponent = \"{}\"\n", component().display()),
        1,
    );
    assert_ne!(elsewhere, written);
    let tenant = of("tenant_id");
    let endpoints = format!("endpoints = {{ token = \"{base}/{tenant}/oauth2/token\", api = \"{base}\" }}\n");
    fs::write(folder.path().join("config.toml"), elsewhere + &endpoints).unwrap();
    let output = Command::new(here.join(name))
        .arg("config.toml")
        .current_dir(folder.path())
        .env("SOURCE_HOST", program("source-host"))
        .env("TENANT_ID", tenant)
        .env("CLIENT_ID", of("client_id"))
        .env("CLIENT_SECRET", of("client_secret"))
        .output()
        .unwrap();
    let (stdout, stderr) = (text(&output.stdout), text(&output.stderr));
    assert_eq!(output.status.code(), Some(0), "{stdout}{stderr}");
    for secret in [of("client_secret"), access_token()] {
        assert!(!stdout.contains(&secret) && !stderr.contains(&secret), "{name} shows a secret");
    }
    output
}

/// The name that a script prints of the file that it made, which is the only one besides its configuration.
fn saved(output: &Output, folder: &TempDir, extension: &str) -> String {
    let name = text(&output.stdout).trim().to_owned();
    let time = name.strip_prefix("detections-").and_then(|rest| rest.strip_suffix(extension)).unwrap();
    assert!(time.len() == 20 && time.starts_with("20") && time.ends_with('Z'), "{name}");
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 2);
    fs::read_to_string(folder.path().join(name)).unwrap()
}

#[test]
fn check_token_proves_that_a_token_is_issued_and_shows_it_nowhere() {
    let folder = tempfile::tempdir().unwrap();
    let said = text(&script("check-token", "detections.toml", &folder).stdout);
    assert!(said.starts_with("detections: ok: probe.passed: the token was accepted by 127.0.0.1"), "{said}");
}

#[test]
fn print_detections_prints_one_record_a_line() {
    let folder = tempfile::tempdir().unwrap();
    let said = text(&script("print-detections", "detections.toml", &folder).stdout);
    let records: Vec<Value> = said.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(records, recorded());
}

#[test]
fn save_json_saves_the_detections_as_an_array_under_a_name_with_the_time() {
    let folder = tempfile::tempdir().unwrap();
    let array = saved(&script("save-json", "detections.toml", &folder), &folder, ".json");
    assert_eq!(serde_json::from_str::<Vec<Value>>(&array).unwrap(), recorded());
}

#[test]
fn save_csv_saves_the_detections_as_rows_under_a_name_with_the_time() {
    let folder = tempfile::tempdir().unwrap();
    let rows = csv(&saved(&script("save-csv", "detections-csv.toml", &folder), &folder, ".csv"));
    let (header, rows) = rows.split_first().unwrap();
    assert_eq!(header[..50], crate::microsoft_page::members());
    assert_eq!(rows.len(), recorded().len());
    for (row, record) in rows.iter().zip(recorded()) {
        let row: Vec<(&str, &str)> = header.iter().map(String::as_str).zip(row.iter().map(String::as_str)).collect();
        assert_eq!(row.len(), header.len());
        assert_eq!(row.last(), Some(&("AdditionalMembers", "")));
        for (column, cell) in &row[..row.len() - 1] {
            let expected = match &record[column] {
                Value::String(text) => text.clone(),
                Value::Null => String::new(),
                other => other.to_string(),
            };
            assert_eq!((*column, *cell), (*column, expected.as_str()));
        }
    }
}

/// Reads RFC 4180.
fn csv(text: &str) -> Vec<Vec<String>> {
    let (mut rows, mut row, mut cell) = (Vec::new(), Vec::new(), String::new());
    let mut quoted = false;
    let mut characters = text.chars().peekable();
    while let Some(character) = characters.next() {
        match character {
            '"' if quoted && characters.peek() == Some(&'"') => cell.extend(characters.next()),
            '"' => quoted = !quoted,
            ',' if !quoted => row.push(std::mem::take(&mut cell)),
            '\r' if !quoted => {}
            '\n' if !quoted => {
                row.push(std::mem::take(&mut cell));
                rows.push(std::mem::take(&mut row));
            }
            other => cell.push(other),
        }
    }
    assert!(!quoted && row.is_empty() && cell.is_empty(), "the last row has no end");
    rows
}

#[test]
fn the_embedding_program_prints_events_and_begins_where_it_stopped() {
    let folder = tempfile::tempdir().unwrap();
    let base = serve();
    let mut config = recorded_config();
    let tenant = config["tenant_id"].as_str().unwrap().to_owned();
    config["endpoints"] = serde_json::json!({ "token": format!("{base}/{tenant}/oauth2/token"), "api": base });
    fs::write(folder.path().join("config.json"), config.to_string()).unwrap();
    let embedded = |origins: &[&str]| {
        let mut command = Command::new(program("embed-rust"));
        command.arg(component()).args(["config.json", "state"]).args(origins).current_dir(folder.path());
        command.output().unwrap()
    };

    let refused = embedded(&[]);
    assert_eq!(refused.status.code(), Some(1));
    let said = text(&refused.stderr);
    assert!(said.starts_with("Error: the component plans to reach ") && said.contains(&base), "{said}");

    let first = embedded(&[&base]);
    assert_eq!(first.status.code(), Some(0), "{}", text(&first.stderr));
    let events: Vec<Value> = text(&first.stdout).lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(events.iter().map(|event| event["body"].clone()).collect::<Vec<_>>(), recorded());
    assert!(events.iter().all(|event| event["source"] == "embedded" && event["key"] == event["body"]["FullId"]));

    let second = embedded(&[&base]);
    assert_eq!(second.status.code(), Some(0), "{}", text(&second.stderr));
    assert_eq!(text(&second.stdout), "");
}

#[test]
fn the_readme_says_how_long_the_embedding_program_is() {
    let lines = fs::read_to_string(examples().join("embed-rust/src/main.rs")).unwrap().lines().count();
    for readme in ["../README.md", "embed-rust/README.md"] {
        let readme = fs::read_to_string(examples().join(readme)).unwrap();
        assert!(readme.contains(&format!("is a whole program of {lines} lines")), "{lines}");
    }
}

#[test]
fn the_configurations_beside_pipelines_say_whom_they_lead_to() {
    let folders = fs::read_dir(examples().join("pipelines")).unwrap().map(|entry| entry.unwrap().path());
    let files = folders.filter(|path| path.is_dir()).flat_map(|folder| fs::read_dir(folder).unwrap());
    let configs: Vec<PathBuf> = files
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "toml"))
        .collect();
    assert!(configs.len() >= 4, "{configs:?}");
    for config in configs {
        let output = Command::new(program("source-host")).arg("plan").arg("--config").arg(&config).output().unwrap();
        assert!(output.status.success(), "{}: {}", config.display(), text(&output.stderr));
    }
}
