//! The other commands, and the forms of the output.

use serde_json::Value;

use crate::server::{Answer, Server};
use crate::setup::{Setup, defender, guest};

#[test]
fn check_says_what_works_and_what_does_not() {
    let server = Server::start();
    let setup = Setup::new(&server, "");
    let ended = setup.run(&["check", "--config", "host.toml"]).succeeded();
    assert_eq!(ended.stdout, "counter: ok: probe.ok: the items can be read\n");
    server.next_answer(Answer::status(401, ""));
    setup
        .run(&["check", "--config", "host.toml"])
        .failed(3, &["source `counter`: the service refused the credentials"]);
    assert!(!setup.path("state").exists());
}

#[test]
fn plan_shows_what_would_be_reached_without_a_secret_and_without_the_network() {
    let server = Server::start();
    let setup = Setup::new(&server, "");
    std::fs::remove_file(setup.path("secret")).unwrap();
    let plan: Value = serde_json::from_str(&setup.run(&["plan", "--config", "host.toml"]).succeeded().stdout).unwrap();
    assert_eq!(plan["origins"][0], serde_json::json!({ "origin": server.origin(), "purpose": "api", "granted": true }));
    assert_eq!(plan["effective_config"]["origin"], server.origin());
    setup.write("host.toml", &(setup.read("host.toml") + "misbehave = \"plan-foreign\"\n"));
    let refused = setup.run(&["plan", "--config", "host.toml"]).failed(2, &["allow = [\"https://evil.example\"]"]);
    assert!(refused.stdout.contains("\"granted\": false"), "{}", refused.stdout);
    assert!(server.requests().is_empty());
}

#[test]
fn describe_shows_schema_and_imports() {
    let setup = Setup::empty();
    let path = guest();
    let ended = setup.run(&["describe", "--component", path.to_str().unwrap()]).succeeded();
    let described: Value = serde_json::from_str(&ended.stdout).unwrap();
    assert_eq!((&described["name"], &described["config_schema"]["type"]), (&"counter".into(), &"object".into()));
    for import in described["imports"].as_array().unwrap() {
        let import = import.as_str().unwrap();
        assert!(["wasi:http/", "wasi:io/", "wasi:clocks/"].iter().any(|family| import.starts_with(family)), "{import}");
    }
}

#[test]
fn bare_lines_are_the_records_on_one_line_each() {
    let server = Server::start();
    server.grow_to(2);
    let setup = Setup::new(&server, "pretty = true");
    let ended = setup.once(&["--bare"]).succeeded();
    assert_eq!(ended.stdout, "{  \"id\": 1,  \"name\": \"item 1\"}\n{  \"id\": 2,  \"name\": \"item 2\"}\n");
}

#[test]
fn a_json_array_is_written_whole_or_not_at_all() {
    let server = Server::start();
    server.grow_to(2);
    let setup = Setup::new(&server, "request = true");
    server.next_answer(Answer::status(403, ""));
    setup.once(&["--out", "out.json"]).failed(1, &["permission"]);
    let left: Vec<_> = std::fs::read_dir(setup.path(".")).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(left.len(), 2, "{left:?}");
    setup.once(&["--out", "out.json", "--bare"]).succeeded();
    let array: Value = serde_json::from_str(&setup.read("out.json")).unwrap();
    assert_eq!(array, serde_json::json!([{ "id": 1, "name": "item 1" }, { "id": 2, "name": "item 2" }]));
    setup.once(&["--out", "out.json"]).failed(2, &["out.json is there already", "hint: name a file that is not there"]);
    Setup::new(&server, "")
        .once(&["--out", "out.json"])
        .failed(2, &["source `counter` has no end", "--since and --until"]);
}

#[test]
fn an_array_of_nothing_is_an_array() {
    let server = Server::start();
    let setup = Setup::new(&server, "request = true");
    setup.once(&["--out", "out.json"]).succeeded();
    assert_eq!(serde_json::from_str::<Value>(&setup.read("out.json")).unwrap(), serde_json::json!([]));
}

#[test]
fn a_csv_file_is_refused_before_any_request_where_the_source_says_that_it_makes_something_else() {
    let server = Server::start();
    let setup = Setup::empty();
    setup.write(
        "host.toml",
        &format!(
            "[[source]]\nname = \"a\"\ncomponent = '{}'\nallow = [\"{origin}\"]\n[source.config]\napi = \"siem\"\nregion = \"eu\"\n\
             tenant_id = \"11111111-1111-4111-8111-111111111111\"\nclient_id = \"22222222-2222-4222-8222-222222222222\"\n\
             client_secret = \"x\"\nendpoints = {{ token = \"{origin}/token\", api = \"{origin}\" }}\n",
            defender().display(),
            origin = server.origin(),
        ),
    );
    setup
        .once(&["--out", "out.csv"])
        .failed(2, &["source `a` makes events of format `raw`, and no CSV rows", "hint: write format = \"csv\""]);
    assert!(server.requests().is_empty() && !setup.path("out.csv").exists());
}

#[test]
fn a_csv_file_has_one_header_over_several_runs() {
    let server = Server::start();
    let setup = Setup::new(&server, "csv = true");
    for last in [2, 3] {
        server.grow_to(last);
        setup.once(&["--out", "out.csv"]).succeeded();
    }
    assert_eq!(setup.read("out.csv"), "id,name\r\n1,item 1\r\n2,item 2\r\n3,item 3\r\n");
    let raw = Setup::new(&server, "");
    raw.once(&["--out", "out.csv"]).failed(1, &["does not make CSV rows", "format = \"csv\""]);
}
