//! A recording behind plain HTTP.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::process::{Child, Command, Stdio};

use crate::folder::{Copy, scenarios};

/// A running server, which ends with the test.
struct Server {
    child: Child,
    address: String,
}

impl Server {
    fn of(scenario: &std::path::Path) -> Self {
        let mut child = Command::new(env!("CARGO_BIN_EXE_host-test"))
            .arg("serve")
            .arg(scenario)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut url = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut url).unwrap();
        let address = url.trim().strip_prefix("http://").unwrap().to_owned();
        Self { child, address }
    }

    /// Sends a request and reads until the connection closes.
    fn ask(&self, method: &str, path: &str, headers: &str, body: &str) -> String {
        let mut stream = TcpStream::connect(&self.address).unwrap();
        let length = body.len();
        let host = &self.address;
        let request = format!("{method} {path} HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\n{headers}");
        let length = if body.is_empty() { String::new() } else { format!("content-length: {length}\r\n") };
        stream.write_all(format!("{request}{length}\r\n{body}").as_bytes()).unwrap();
        let mut answer = Vec::new();
        // A recorded break ends the answer as well.
        let _end = stream.read_to_end(&mut answer);
        String::from_utf8_lossy(&answer).into_owned()
    }

    fn detections(&self, headers: &str) -> String {
        let query = "sinceTimeUtc=2026-03-02T07:59:59.9999999Z&untilTimeUtc=2026-03-02T08:59:00.0000001Z";
        self.ask("GET", &format!("/api/alerts?{query}"), headers, "")
    }

    /// Ends it and returns what it said.
    fn stderr(mut self) -> String {
        self.child.kill().unwrap();
        let mut said = String::new();
        self.child.stderr.take().unwrap().read_to_string(&mut said).unwrap();
        said
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may have ended already.
        let _gone = self.child.kill();
        let _gone = self.child.wait();
    }
}

const TOKEN: &str = "resource=https%3A%2F%2Fgraph.windows.net&client_id=5d1b9c54-77a3-4f4e-8c1b-2a9f0e6d3b10&\
                     client_secret=canary-secret-Q7hkP2xV9mL&grant_type=client_credentials";
const TOKEN_PATH: &str = "/0f6f1a8e-3c1d-4d0b-9a5e-5f0c7b1d2e43/oauth2/token";
const FORM: &str = "content-type: application/x-www-form-urlencoded\r\n";

#[test]
fn a_served_scenario_answers_in_any_order_and_any_number_of_times() {
    let server = Server::of(&scenarios().join("empty-answer"));
    let answer = server.ask("POST", TOKEN_PATH, FORM, TOKEN);
    assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer}");
    let token = answer.split("\"access_token\": \"").nth(1).unwrap().split('"').next().unwrap();
    let headers = format!("accept: application/json\r\nauthorization: Bearer {token}\r\n");
    for _ in 0..3 {
        let answer = server.detections(&headers);
        assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer}");
        assert!(answer.ends_with("[]\r\n0\r\n\r\n"), "{answer}");
    }
    assert!(server.ask("POST", TOKEN_PATH, FORM, TOKEN).starts_with("HTTP/1.1 200 OK\r\n"));
    let said = server.stderr();
    let told: Vec<&str> = said.lines().filter_map(|line| line.split(": interaction ").nth(1)).collect();
    assert_eq!(told, ["1", "2", "2", "2", "1"], "{said}");
}

#[test]
fn a_request_that_nothing_answers_gets_a_404_and_is_explained() {
    let server = Server::of(&scenarios().join("empty-answer"));
    let answer = server.detections("accept: application/json\r\nauthorization: Bearer an-invented-token\r\n");
    assert!(answer.starts_with("HTTP/1.1 404 Not Found\r\n"), "{answer}");
    assert!(answer.contains("header authorization: expected `a secret (not shown)`"), "{answer}");
    let said = server.stderr();
    assert!(said.starts_with("no interaction answers request 1:\n  GET http://127.0.0.1:"), "{said}");
    assert!(!said.contains("an-invented-token"), "{said}");
}

#[test]
fn a_recorded_failure_and_a_cut_break_the_connection() {
    let copy = Copy::of("truncated-body");
    let kept = r#"{"interactions": [
        {"why": "cut", "request": {"method": "GET", "url": "https://a.example/cut"},
         "response": {"status": 200, "text": "abcdef", "cut": 3}},
        {"why": "reset", "request": {"method": "GET", "url": "https://a.example/reset"}, "fail": "reset"}]}"#;
    copy.write("traffic.json", kept);
    let server = Server::of(&copy.path());
    let cut = server.ask("GET", "/cut", "", "");
    assert!(cut.ends_with("3\r\nabc\r\n"), "{cut}");
    assert_eq!(server.ask("GET", "/reset", "", ""), "");
}
