//! Recording: against a service with secrets that look real, none of which may reach a file or an output.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::mpsc::Receiver;

use scenario::Scenario;
use tempfile::TempDir;

use crate::folder::{Ended, component, ended, host_test};
use crate::service::{self, COOKIE, LINK, SECRET, SIGNATURE, TOKEN};

/// A folder with a configuration for the service.
struct Bench {
    root: TempDir,
    /// One word for each request that the service got.
    requests: Receiver<()>,
}

impl Bench {
    fn new() -> Self {
        let (url, requests) = service::start();
        Self { requests, ..Self::of(&url, "proxy = \"none\"") }
    }

    /// One for a service at this URL, with these lines of the host.
    fn of(url: &str, host: &str) -> Self {
        let root = tempfile::tempdir().unwrap();
        let config = format!(
            "[host]\ncache = false\n{host}\n\n[[source]]\nname = \"contoso\"\ncomponent = {:?}\nallow = [\"{url}\"]\n\n[source.config]\n\
             tenant_id = \"0f6f1a8e-3c1d-4d0b-9a5e-5f0c7b1d2e43\"\nclient_id = \"5d1b9c54-77a3-4f4e-8c1b-2a9f0e6d3b10\"\n\
             api = \"siem\"\nregion = \"eu\"\npoll_interval = \"PT1S\"\nendpoints = {{ token = \"{url}/token\", api = \"{url}/api/alerts\" }}\n\n\
             [source.secrets]\nclient_secret = {{ env = \"THE_SECRET\" }}\n",
            component().display().to_string()
        );
        std::fs::write(root.path().join("source.toml"), config).unwrap();
        Self { root, requests: std::sync::mpsc::channel().1 }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.root.path().join(name)
    }

    fn record(&self, secret: &str, more: &[&str]) -> Ended {
        let mut command = Command::new(env!("CARGO_BIN_EXE_host-test"));
        command.args(["record", "--config"]).arg(self.path("source.toml")).arg("--out").arg(self.path("recorded"));
        ended(command.args(more).env_clear().env("THE_SECRET", secret))
    }

    fn replay(&self, name: &str) -> Ended {
        let component = component();
        host_test(&["replay", self.path(name).to_str().unwrap(), "--component", component.to_str().unwrap()])
    }

    fn read(&self, file: &str) -> String {
        std::fs::read_to_string(self.path(file)).unwrap()
    }
}

/// Every byte of every file below a folder, hidden ones included.
fn everything(folder: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files.extend(everything(&path));
        } else {
            let bytes = std::fs::read(&path).unwrap();
            files.push((path, bytes));
        }
    }
    files
}

fn assert_clean(bench: &Bench, outputs: &[&Ended]) {
    let form = percent_encoding::utf8_percent_encode(SECRET, percent_encoding::NON_ALPHANUMERIC).to_string();
    let in_json = serde_json::Value::from(SECRET).to_string();
    let mut texts: Vec<(String, Vec<u8>)> =
        everything(bench.root.path()).into_iter().map(|(path, bytes)| (path.display().to_string(), bytes)).collect();
    for Ended { stdout, stderr, .. } in outputs {
        texts.push(("stdout".to_owned(), stdout.clone().into_bytes()));
        texts.push(("stderr".to_owned(), stderr.clone().into_bytes()));
    }
    for secret in [SECRET, &form, in_json.trim_matches('"'), "Zr7hTn2kLw9PbYc5Dm0s", SIGNATURE, COOKIE, LINK] {
        for (place, bytes) in &texts {
            let found = bytes.windows(secret.len()).any(|window| window == secret.as_bytes());
            assert!(!found, "{secret} is in {place}: {}", String::from_utf8_lossy(bytes));
        }
    }
}

#[test]
fn a_recording_replays_as_it_was_and_holds_no_secret() {
    let bench = Bench::new();
    let recorded = bench.record(SECRET, &["--polls", "3"]);
    assert_eq!(recorded.status, 0, "{}", recorded.stderr);
    assert!(recorded.stderr.contains("3 polls, 5 requests"), "{}", recorded.stderr);
    assert!(recorded.stderr.contains("it replays as it was recorded"), "{}", recorded.stderr);
    let replayed = bench.replay("recorded");
    assert_eq!(replayed.status, 0, "{}", replayed.stderr);
    assert!(replayed.stdout.contains("fin-lt-0231"), "{}", replayed.stdout);
    assert_clean(&bench, &[&recorded, &replayed]);
    // What a source reads of its token is still there, and nothing on a person.
    let traffic = bench.read("recorded/traffic.json");
    assert!(
        traffic.contains(".redacted-access-token-1") && !traffic.contains(TOKEN.split('.').nth(1).unwrap()),
        "{traffic}"
    );
    assert!(traffic.contains("lb=redacted-cookie-1; Path=/; HttpOnly"), "{traffic}");
    let scenario = Scenario::load(&bench.path("recorded")).unwrap();
    assert!(scenario.settings.from.starts_with("Recorded by host-test record at 20"), "{}", scenario.settings.from);
    let waits: Vec<&str> = scenario.expected.as_ref().unwrap().1["polls"]
        .as_array()
        .unwrap()
        .iter()
        .map(|poll| poll["at"].as_str().unwrap())
        .collect();
    assert_eq!(waits.len(), 3);
    // Nothing else was left behind.
    let mut names: Vec<_> =
        std::fs::read_dir(bench.root.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    names.sort();
    assert_eq!(names, ["recorded", "source.toml"]);
}

#[test]
fn pseudonyms_and_named_secrets_are_the_same_everywhere() {
    let bench = Bench::new();
    let recorded = bench.record(SECRET, &["--pseudonyms", "--redact", "alert-title"]);
    assert_eq!(recorded.status, 0, "{}", recorded.stderr);
    for (file, bytes) in everything(&bench.path("recorded")) {
        let text = String::from_utf8(bytes).unwrap();
        for name in ["contoso.example", "fin-lt-0231", "a.keller", "0f6f1a8e", "5d1b9c54"] {
            assert!(!text.contains(name), "{name} is in {}", file.display());
        }
    }
    assert!(bench.read("recorded/expected.ndjson").contains("redacted-alerttitle-1"));
    assert_eq!(bench.replay("recorded").status, 0);
}

#[test]
fn refused_credentials_are_recorded_as_well_and_the_secret_that_comes_back_is_not() {
    let bench = Bench::new();
    let wrong = "another/secret+that&is=wrong%0123";
    let recorded = bench.record(wrong, &[]);
    assert_eq!(recorded.status, 0, "{}", recorded.stderr);
    assert!(recorded.stderr.contains("the last poll failed: unauthenticated"), "{}", recorded.stderr);
    for (file, bytes) in everything(bench.root.path()) {
        let text = String::from_utf8_lossy(&bytes).into_owned();
        assert!(!text.contains("another") && !text.contains("wrong%"), "{}: {text}", file.display());
    }
    assert_eq!(bench.replay("recorded").status, 0);
}

#[test]
fn what_is_there_is_not_overwritten_and_nothing_is_asked() {
    let bench = Bench::new();
    std::fs::create_dir(bench.path("recorded")).unwrap();
    let refused = bench.record(SECRET, &[]);
    assert_eq!(refused.status, 2);
    assert!(refused.stderr.contains("is there already\n  hint: name another folder with --out"), "{}", refused.stderr);
    assert!(everything(&bench.path("recorded")).is_empty());
}

#[test]
fn a_configuration_that_cannot_be_used_is_told_as_source_host_does() {
    let bench = Bench::new();
    let config = bench.read("source.toml").replace("allow", "#allow");
    std::fs::write(bench.path("source.toml"), config).unwrap();
    let refused = bench.record(SECRET, &[]);
    assert_eq!(refused.status, 2);
    assert!(
        refused.stderr.contains("which was not granted") && refused.stderr.contains("allow = ["),
        "{}",
        refused.stderr
    );
    let missing = host_test(&["record", "--config", "no.toml", "--out", "x"]);
    assert_eq!(missing.status, 2);
    assert!(missing.stderr.starts_with("error: cannot read the configuration no.toml"), "{}", missing.stderr);
}

#[test]
fn what_was_recorded_goes_to_har_and_comes_back_identical_without_a_secret() {
    let bench = Bench::new();
    let recorded = bench.record(SECRET, &[]);
    assert_eq!(recorded.status, 0, "{}", recorded.stderr);
    let path = |name: &str| bench.path(name).to_str().unwrap().to_owned();
    let exported = host_test(&["export", &path("recorded"), "--out", &path("a.har")]);
    assert_eq!(exported.status, 0, "{}", exported.stderr);
    let imported = host_test(&["import", &path("a.har"), "--out", &path("imported")]);
    assert_eq!(imported.status, 0, "{}", imported.stderr);
    for file in ["scenario.json", "config.json", "traffic.json"] {
        assert_eq!(bench.read(&format!("recorded/{file}")), bench.read(&format!("imported/{file}")), "{file}");
    }
    let component = component();
    let updated = host_test(&["replay", &path("imported"), "--update", "--component", component.to_str().unwrap()]);
    assert_eq!(updated.status, 0, "{}", updated.stderr);
    assert_eq!(bench.read("recorded/expected.json"), bench.read("imported/expected.json"));
    let events =
        |name: &str| bench.read(&format!("{name}/expected.ndjson")).replace(&format!("\"source\":\"{name}\""), "");
    assert_eq!(events("recorded"), events("imported"));
    assert_clean(&bench, &[&recorded, &exported, &imported, &updated]);
}

#[test]
fn a_recording_that_is_killed_leaves_nothing() {
    let bench = Bench::new();
    let mut command = Command::new(env!("CARGO_BIN_EXE_host-test"));
    command.args(["record", "--polls", "1000", "--config"]).arg(bench.path("source.toml"));
    command.arg("--out").arg(bench.path("recorded")).env_clear().env("THE_SECRET", SECRET);
    let mut child = command.spawn().unwrap();
    bench.requests.recv_timeout(std::time::Duration::from_secs(60)).unwrap();
    child.kill().unwrap();
    child.wait().unwrap();
    let files: Vec<PathBuf> = everything(bench.root.path()).into_iter().map(|(path, _)| path).collect();
    assert_eq!(files, [bench.path("source.toml")]);
}

#[test]
fn an_interrupt_ends_a_recording_after_its_poll_and_it_is_kept() {
    let bench = Bench::new();
    let mut command = Command::new(env!("CARGO_BIN_EXE_host-test"));
    command.args(["record", "--polls", "1000", "--config"]).arg(bench.path("source.toml"));
    command.arg("--out").arg(bench.path("recorded")).env_clear().env("THE_SECRET", SECRET);
    let child = command.stderr(std::process::Stdio::piped()).spawn().unwrap();
    // The token, and what was found with it.
    for _ in 0..2 {
        bench.requests.recv_timeout(std::time::Duration::from_secs(60)).unwrap();
    }
    let interrupted = Command::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap();
    assert!(interrupted.success());
    let output = child.wait_with_output().unwrap();
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.success(), "{stderr}");
    assert!(stderr.contains("stopping after this poll") && stderr.contains("replays as it was recorded"), "{stderr}");
    assert_eq!(bench.replay("recorded").status, 0);
}

fn ca_file() -> String {
    format!("ca_file = {:?}", service::tls_file("ca.pem").display().to_string())
}

#[test]
fn a_service_over_tls_is_recorded_and_its_scenario_replays_without_a_secret() {
    let url = format!("https://127.0.0.1:{}", service::start_tls());
    let bench = Bench::of(&url, &format!("proxy = \"none\"\n{}", ca_file()));
    let recorded = bench.record(SECRET, &["--polls", "2"]);
    assert_eq!(recorded.status, 0, "{}", recorded.stderr);
    assert!(recorded.stderr.contains("2 polls, 4 requests"), "{}", recorded.stderr);
    let replayed = bench.replay("recorded");
    assert_eq!(replayed.status, 0, "{}", replayed.stderr);
    assert!(replayed.stdout.contains("fin-lt-0231"), "{}", replayed.stdout);
    assert!(bench.read("recorded/traffic.json").contains(&format!("\"url\": \"{url}/api/alerts\"")));
    assert_clean(&bench, &[&recorded, &replayed]);
}

#[test]
fn a_service_behind_a_proxy_is_recorded_and_the_credentials_of_the_proxy_are_not() {
    let (proxy, heads) = service::start_proxy(None);
    let url = format!("https://api.example.com:{}", service::start_tls());
    let host = format!(
        "proxy = \"http://127.0.0.1:{proxy}\"\nproxy_credentials = {{ file = \"credentials\" }}\n{}",
        ca_file()
    );
    let bench = Bench::of(&url, &host);
    std::fs::write(bench.path("credentials"), "me:password-of-the-proxy").unwrap();
    let recorded = bench.record(SECRET, &[]);
    assert_eq!(recorded.status, 0, "{}", recorded.stderr);
    let head = heads.recv().unwrap();
    assert!(head.starts_with("CONNECT api.example.com:"), "{head}");
    // `printf me:password-of-the-proxy | base64`
    let encoded = "bWU6cGFzc3dvcmQtb2YtdGhlLXByb3h5";
    assert!(head.contains(&format!("proxy-authorization: Basic {encoded}\r\n")), "{head}");
    for (file, bytes) in everything(&bench.path("recorded")) {
        let text = String::from_utf8(bytes).unwrap();
        let shown = ["password-of-the-proxy", encoded, "proxy-authorization"].map(|secret| text.contains(secret));
        assert_eq!(shown, [false; 3], "{}", file.display());
    }
    assert!(bench.read("recorded/traffic.json").contains(&format!("\"url\": \"{url}/token\"")));
    assert_clean(&bench, &[&recorded]);
    assert_eq!(bench.replay("recorded").status, 0);
}

#[test]
fn how_a_connection_failed_is_recorded_as_what_it_was() {
    let tls = service::start_tls();
    let (refusing, _heads) = service::start_proxy(Some("403 Forbidden"));
    let closed = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    for (url, host, kind, code) in [
        (format!("http://{closed}"), "proxy = \"none\"".to_owned(), "refused", "transport.connect"),
        (format!("https://127.0.0.1:{tls}"), "proxy = \"none\"".to_owned(), "certificate", "transport.tls"),
        (
            format!("https://api.example.com:{tls}"),
            format!("proxy = \"http://127.0.0.1:{refusing}\""),
            "destination-unavailable",
            "transport.connect",
        ),
    ] {
        let bench = Bench::of(&url, &host);
        let recorded = bench.record(SECRET, &["--polls", "1"]);
        assert_eq!(recorded.status, 0, "{}", recorded.stderr);
        let traffic = bench.read("recorded/traffic.json");
        assert!(traffic.contains(&format!("\"{kind}\"")), "{kind}: {traffic}");
        assert!(bench.read("recorded/expected.json").contains(&format!("\"code\": \"{code}\"")), "{kind}");
        assert_eq!(bench.replay("recorded").status, 0);
    }
}
